"""An audit of labels, as its container makes it: planted errors are found, by models that haven't seen the examples."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import numpy as np

import contract
import toolkit
from contract import label_audits
from toolkit.errors import ToolkitError
from toolkit.heldout.example import CSV, Example
from toolkit.labels import confident, learners, shown
from toolkit.labels.columns import columns
from toolkit.labels.features import features
from toolkit.labels.judging import Asked, audit, folds

NOWHERE = Path("/nonexistent")


def example(place, content, label, kind=CSV, **more):
    return Example(place, content, kind, label, **more)


def flowers(count=90, wrong=()):
    """Three classes of two numbers that are far apart; those at `wrong` are labelled as the next class."""
    drawn = random.Random(3)  # noqa: S311 - no secret
    found = []
    for index in range(count):
        right = index % 3
        label = (right + 1) % 3 if index in wrong else right
        row = f"{10 * right + drawn.gauss(0, 1):.2f},{drawn.gauss(0, 1):.2f}"
        found.append(example(f"a.csv:{index + 1}", row, f"class-{label}"))
    return found


def judged(examples, source=NOWHERE, **asked):
    with contextlib.redirect_stdout(io.StringIO()):
        return audit(examples, Asked(**asked), source)


class Confident(unittest.TestCase):
    """Worked by hand: two classes, of which the models are surer of the first."""

    labels = np.array([0, 0, 0, 1, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.4, 0.6], [0.3, 0.7], [0.85, 0.15]])

    def test_a_threshold_is_the_mean_of_a_classs_own(self):
        found = confident.thresholds(self.labels, self.probabilities)
        np.testing.assert_allclose(found, [1.8 / 3, 1.45 / 3])

    def test_the_joint_counts_who_reaches_a_threshold(self):
        np.testing.assert_array_equal(confident.confident_joint(self.labels, self.probabilities), [[2, 1], [1, 2]])
        self.assertEqual(confident.estimated_errors(self.labels, self.probabilities), 2.0)

    def test_who_reaches_none_is_of_no_class(self):
        probabilities = np.vstack([self.probabilities, [[0.55, 0.45]]])
        labels = np.append(self.labels, 0)
        self.assertEqual(confident.confident_classes(labels, probabilities)[-1], -1)
        joint = confident.confident_joint(labels, probabilities)
        self.assertEqual(joint.sum(), 6)
        whole = confident.calibrated(joint, labels)
        np.testing.assert_allclose(whole.sum(axis=1), [4, 3], err_msg="each row is calibrated to its label's count")
        self.assertAlmostEqual(confident.estimated_errors(labels, probabilities), 4 / 3 + 1)

    def test_whose_label_is_least_probable_is_first(self):
        np.testing.assert_array_equal(confident.ranked(self.labels, self.probabilities)[:2], [2, 5])
        three = np.array([[0.1, 0.5, 0.4], [0.1, 0.8, 0.1], [0.05, 0.5, 0.45]])
        np.testing.assert_array_equal(confident.ranked(np.array([0, 0, 0]), three), [2, 1, 0])
        margins, others = confident.margins(self.labels, self.probabilities)
        np.testing.assert_allclose(margins[[2, 5]], [-0.8, -0.7])
        np.testing.assert_array_equal(others[[2, 5]], [1, 0])

    def test_a_label_of_which_nobody_is_sure_counts_as_right(self):
        joint = np.array([[0.0, 0.0], [0.0, 3.0]])
        np.testing.assert_array_equal(confident.calibrated(joint, self.labels), [[3, 0], [0, 3]])


class Audits(unittest.TestCase):
    def setUp(self):
        # Fewer trees than a job has: these examples are easy.
        fewer = unittest.mock.patch.object(learners, "TREES", 60)
        fewer.start()
        self.addCleanup(fewer.stop)

    def test_planted_errors_stand_first(self):
        wrong = {7, 30, 53, 76}
        found = judged(flowers(wrong=wrong))
        places = {f"a.csv:{index + 1}" for index in wrong}
        self.assertEqual({suspect["place"] for suspect in found["suspects"][:4]}, places)
        first = found["suspects"][0]
        self.assertTrue(first["confident"])
        self.assertLess(first["margin"], 0)
        self.assertIn(found["learner"], "a forest of 60 extremely randomised trees, of 2 columns of numbers")
        self.assertAlmostEqual(found["estimated_errors"], 4, delta=1.5)
        self.assertEqual(found["counts"], {"class-0": 30, "class-1": 29, "class-2": 31})
        self.assertEqual(json.loads(json.dumps(found)), found, "it is JSON as it is")

    def test_twice_the_same_is_the_same_and_other_seeds_divide_otherwise(self):
        labels = np.array([0] * 20 + [1] * 7)
        one = folds(labels, 5, 0)
        np.testing.assert_array_equal(one, folds(labels, 5, 0))
        self.assertFalse((one == folds(labels, 5, 1)).all())
        np.testing.assert_array_equal(np.bincount(one[labels == 0]), [4] * 5)
        self.assertEqual(set(np.bincount(one[labels == 1], minlength=5)), {1, 2})
        self.assertLessEqual(np.ptp(np.bincount(one)), 1)

    def test_texts_words_and_absent_numbers(self):
        drawn = random.Random(0)  # noqa: S311 - no secret
        rows = []
        for index in range(60):
            kind = index % 2
            words = " ".join(
                drawn.choices(
                    ["printer", "paper", "ink", "toner"] if kind else ["login", "password", "vpn", "token"], k=6
                )
            )
            rows.append(f'"please help, {words}",{drawn.choice(["low", "high"])},{"" if index % 7 == 0 else index}')
        labels = ["hardware" if index % 2 else "access" for index in range(60)]
        labels[10] = "hardware"
        found = judged(
            [example(f"t.csv:{n}", row, label) for n, (row, label) in enumerate(zip(rows, labels, strict=True))]
        )
        self.assertEqual(
            found["learner"], "logistic regression, of 1 column of numbers, 1 column of words, 1 column of texts"
        )
        self.assertEqual(found["suspects"][0]["place"], "t.csv:10")
        self.assertTrue(found["suspects"][0]["text"].startswith('"please help'))

    def test_documents_are_columns_by_their_paths(self):
        bodies = ({"size": {"w": 1}, "tags": ["a", "b"], "pixels": [1, 2]}, {"size": {"w": 2}, "more": True})
        found = columns(
            [example(f"a:{n}", json.dumps(body), "x", "application/jsonlines") for n, body in enumerate(bodies)]
        )
        self.assertEqual(found["size.w"], [1, 2])
        self.assertEqual(found["tags"], ["a b", None])
        self.assertEqual((found["pixels.1"], found["more"]), ([2, None], [None, True]))

    def test_arrays_are_numbers_and_pictures(self):
        def npy(array):
            body = io.BytesIO()
            np.save(body, array)
            return body.getvalue()

        arrays = [np.full((1, 6, 6), index % 2, dtype=np.uint8) * 255 for index in range(20)]
        labels = [str(index % 2) for index in range(20)]
        labels[4] = "1"
        some = [
            example(f"a.npz:{n}", npy(array), label, "application/x-npy")
            for n, (array, label) in enumerate(zip(arrays, labels, strict=True))
        ]
        found = judged(some, folds=2)
        self.assertEqual(
            (found["learner"].rpartition(", of ")[2], found["suspects"][0]["place"]), ("36 numbers", "a.npz:4")
        )
        picture = found["suspects"][0]["picture"]
        self.assertEqual(picture["content_type"], "image/png")
        self.assertTrue(base64.b64decode(picture["base64"]).startswith(b"\x89PNG"))

    def test_a_rows_numbers_may_be_a_picture(self):
        row = example("a.csv:1", ",".join(map(str, range(64))), "x")
        self.assertIn("picture", shown.shown(row, (8, 8)))
        self.assertNotIn("picture", shown.shown(row, (8, 9)))
        self.assertNotIn("picture", shown.shown(row))
        self.assertNotIn("picture", shown.shown(row, (8, 8), room=50), "the page has no room left")

    def test_what_cannot_be_judged_is_refused_by_name(self):
        some = flowers(30)
        alone = [*some, example("b.csv:9", "1,2", "rare")]
        pair = [*some, example("b.csv:9", "1,2", "rare"), example("b.csv:10", "1,2", "rare")]
        cases = {
            "all 5 examples are labelled 'x': an audit needs two classes": [
                example(f"a:{n}", "1,2", "x") for n in range(5)
            ],
            "the class 'rare' has 1 example (b.csv:9), fewer than 5 folds: each needs 2 at least": alone,
            "the class 'rare' has 2 examples (b.csv:9, b.csv:10), fewer than 5 folds: ask for --folds 2": pair,
            "each column has the same value": [example(f"a:{n}", "1,2", "xy"[n % 2]) for n in range(20)],
            "holds examples of 2 kinds (text/csv, text/plain)": [
                *some,
                *(example(f"b:{n}", "t", "class-0", "text/plain") for n in range(5)),
            ],
            "is application/octet-stream, which no built-in learner reads": [
                example(f"a:{n}", b"", "xy"[n % 2], "application/octet-stream") for n in range(20)
            ],
        }
        for message, examples in cases.items():
            with self.subTest(message), self.assertRaises(ToolkitError) as refused:
                judged(examples)
            self.assertIn(message, str(refused.exception))
        with unittest.mock.patch.object(label_audits, "MOST_EXAMPLES", 29), self.assertRaises(ToolkitError) as refused:
            judged(some)
        self.assertIn("there are 30 examples; an audit takes at most 29", str(refused.exception))

    def test_a_column_whose_texts_share_no_word(self):
        some = [example(f"a:{n}", f"{n},word{n} {'x' * 80}{n}", "xy"[n % 2]) for n in range(60)]
        with self.assertRaises(ToolkitError) as refused:
            features(some)
        self.assertIn("no word of column '1' stands in 2 examples", str(refused.exception))


class OwnLearner(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.source = Path(folder.name)
        path = list(sys.path)
        self.addCleanup(lambda: sys.path.__setitem__(slice(None), path))

    def judged(self, code, **asked):
        (self.source / "label_audit.py").write_text(code)
        return judged(flowers(wrong={7}), self.source, **asked)

    def test_it_learns_from_the_others_and_never_sees_a_label(self):
        found = self.judged(
            "def probabilities(known, labels, asked, classes):\n"
            "    places = {example.place for example in known}\n"
            "    assert not any(example.place in places or example.label for example in asked + known[:0])\n"
            "    assert len(known) == len(labels) and len(known) + len(asked) == 90\n"
            "    def row(example):\n"
            "        right = round(float(example.body.split(',')[0]) / 10)\n"
            "        return [0.8 if index == right else 0.1 for index in range(len(classes))]\n"
            "    return [row(example) for example in asked]\n"
        )
        self.assertEqual(found["learner"], "probabilities of label_audit.py")
        self.assertEqual([suspect["place"] for suspect in found["suspects"]], ["a.csv:8"])

    def test_what_is_wrong_with_it_is_said(self):
        head = "def probabilities(known, labels, asked, classes):\n    "
        cases = {
            "import nothing_of_that_name": "label_audit.py can't be imported: line 1: ModuleNotFoundError",
            "x = 1": "label_audit.py has no function probabilities(known, labels, asked, classes)",
            f"{head}return [[1]]": "18 rows of 3 probabilities each, in the order of classes; it returned (1, 1)",
            f"{head}return [[0, 0, -1]] * 18": "some are negative, or not finite",
            f"{head}return [[1, 1, 0]] * 18": "which sum to 1; those of one row sum to 2",
            f"{head}return 'abc'": "what it returned are no numbers",
            f"{head}return known[0].nothing": "label_audit.py: line 2: AttributeError",
        }
        for code, message in cases.items():
            with (
                self.subTest(code),
                contextlib.redirect_stderr(io.StringIO()),
                self.assertRaises(ToolkitError) as refused,
            ):
                self.judged(code)
            self.assertIn(message, str(refused.exception))


class Job(unittest.TestCase):
    """A container's folders, in a folder of the test's own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.ml, self.source = Path(folder.name, "ml"), Path(folder.name, "source")
        for package in (toolkit, contract):
            place = Path(package.__file__).parent
            shutil.copytree(place, self.source / place.name, ignore=shutil.ignore_patterns("__pycache__"))
        self.data = self.ml / "processing" / "input" / label_audits.DATA_INPUT
        self.data.mkdir(parents=True)

    def run_job(self, *words):
        return subprocess.run(
            [sys.executable, "toolkit/audit.py", *words],
            cwd=self.source,
            env={**os.environ, "SAGEMAKER_BASE_DIR": str(self.ml), "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def message(self):
        return (self.ml / "output" / "message").read_text()

    def write(self, text, name="a.csv"):
        (self.data / name).write_text(text)

    def test_a_channel_is_audited_whose_label_is_named(self):
        (self.source / "label_audit.py").write_text(
            "def probabilities(known, labels, asked, classes):\n"
            "    return [[1.0, 0.0] if 'good' in example.body else [0.0, 1.0] for example in asked]\n"
        )
        rows = [f"{n},{'good' if n % 2 else 'bad'},{'yes' if n % 2 and n != 5 else 'no'}" for n in range(20)]
        self.write("number,word,answer\n" + "\n".join(rows) + "\n")
        done = self.run_job("--label-name=answer", "--folds", "2", "--channel", "other", "--suspects", "5")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads((self.ml / "processing" / "output" / label_audits.AUDIT).read_text())
        self.assertEqual((found["version"], found["channel"], found["format"]), (1, "other", "csv"))
        self.assertEqual(found["reading"], {"label": "answer", "header": None, "format": None})
        self.assertEqual(found["classes"], ["no", "yes"])
        self.assertEqual(len(found["suspects"]), 5, "the classes are the other way round, so that all are suspects")
        self.assertEqual(sum(pair["count"] for pair in found["pairs"]), 19)

    def test_what_cannot_be_read_is_one_sentence(self):
        lead = "the channel train can't be read as `evaluate` says of the held-out one: "
        cases = (
            ({"a.csv": "a,1\nb\n"}, [], f"{lead}a.csv:2 has 1 column, but a.csv:1 has 2"),
            (
                {"a.csv": "n,class\n1,a\n"},
                ["--label-name=label"],
                "the label 'label' isn't among the columns of a.csv:1",
            ),
            ({"a.csv": "a,1\n,2\n"}, [], f"{lead}a.csv:2: the label (column 0) is empty"),
            ({"a.jsonl": '{"label": "a", "x": 1}\n{"label": 7\n'}, [], f"{lead}a.jsonl:2 is no JSON"),
            ({"a.jsonl": '{"label": [1], "x": 1}\n'}, [], "the label 'label' is a list; it must be a text or a number"),
            ({"a.xlsx": "x"}, [], "save a workbook as CSV"),
            ({"cat/a.png": "x", "dog/b.png": "y"}, ["--folds", "2"], "the class 'cat' has 1 example (cat/a.png)"),
            ({"a.csv": "a,1\n"}, ["--labels=[0, 1]"], "evaluate.label names several columns"),
        )
        for files, words, message in cases:
            with self.subTest(message):
                shutil.rmtree(self.data)
                for name, text in files.items():
                    (self.data / name).parent.mkdir(parents=True, exist_ok=True)
                    self.write(text, name)
                self.assertEqual(self.run_job(*words).returncode, 1)
                self.assertIn(message, self.message)

    def test_a_channel_with_a_manifest(self):
        (self.source / "label_audit.py").write_text(
            "def probabilities(known, labels, asked, classes):\n"
            "    return [[float(example.body == classes[0].encode()), float(example.body != classes[0].encode())]"
            " for example in asked]\n"
        )
        names = [f"pictures/{index}.png" for index in range(6)]
        (self.data / "pictures").mkdir()
        for index, name in enumerate(names):
            self.write(str(index % 2), name)
        lines = [
            {"source-ref": f"s3://b/train/{name}", "class": int(index in (1, 2, 3, 5))}
            for index, name in enumerate(names)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        elsewhere = self.data.with_name(label_audits.MANIFEST_INPUT)
        elsewhere.mkdir()
        for folder, place in ((self.data, "l.manifest"), (elsewhere, "other/l.manifest")):
            with self.subTest(place):
                (folder / "l.manifest").write_text(text)
                done = self.run_job("--label-name=class", "--folds", "2", "--manifest", place)
                self.assertEqual(done.returncode, 0, done.stderr)
                found = json.loads((self.ml / "processing" / "output" / label_audits.AUDIT).read_text())
                self.assertEqual(
                    (found["format"], [each["place"] for each in found["suspects"]]), ("manifest", ["l.manifest:3"])
                )
                (folder / "l.manifest").unlink()
        (self.data / "l.manifest").write_text(text.replace("pictures/4.png", "pictures/9.png"))
        self.assertEqual(self.run_job("--label-name=class", "--folds", "2", "--manifest", "l.manifest").returncode, 1)
        self.assertIn("l.manifest:5 names s3://b/train/pictures/9.png, which isn't among", self.message)
        self.assertEqual(self.run_job("--manifest", "gone.manifest").returncode, 1)
        self.assertIn("there is no manifest gone.manifest", self.message)

    def test_pictures_need_pillow(self):
        for index in range(8):
            (self.data / "ab"[index % 2]).mkdir(exist_ok=True)
            self.write("x", f"{'ab'[index % 2]}/{index}.png")
        self.assertEqual(self.run_job("--folds", "2").returncode, 1)
        self.assertIn("put pillow into the model's requirements.txt", self.message)


if __name__ == "__main__":
    unittest.main()
