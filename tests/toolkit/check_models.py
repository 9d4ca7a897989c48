"""The models of this checkout: trained, evaluated and asked as in a job. Runs in an image's Python."""

import contextlib
import importlib.util
import io
import json
import multiprocessing
import os
import runpy
import sys
import tarfile
import tempfile
import unittest
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits, load_iris

from demo import data
from toolkit import evaluate

CHECKOUT = Path(__file__).resolve().parents[2]
MODELS = CHECKOUT / "training_code"
TEMPLATE = CHECKOUT / "ratchet" / "templates" / "model"


FORK = multiprocessing.get_context("fork")  # shares scikit-learn, which is most of a training's time


@dataclass(frozen=True)
class Done:
    """A process that has ended."""

    returncode: int
    stdout: str
    stderr: str


def train(model, channel, model_dir, *arguments):
    """train.py as the training image runs it: hyperparameters as arguments, folders as SM_* variables."""
    variables = {"SM_CHANNEL_TRAIN": str(channel), "SM_MODEL_DIR": str(model_dir)}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = FORK.Process(target=run_script, args=(MODELS / model / "train.py", arguments, variables, out, err))
        process.start()
        process.join()
        return Done(process.exitcode, *(stream.seek(0) or stream.read() for stream in (out, err)))


def run_script(script, arguments, variables, out, err):
    os.environ.update(variables)
    os.dup2(out.fileno(), sys.__stdout__.fileno())
    os.dup2(err.fileno(), sys.__stderr__.fileno())
    sys.argv = [str(script), *arguments]
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    runpy.run_path(str(script), run_name="__main__")
    sys.stdout.flush()


def serve(model):
    spec = importlib.util.spec_from_file_location(f"serve_{model}", MODELS / model / "serve.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Model(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def channel(self, name, *batches):
        path = self.folder / name
        path.mkdir(parents=True)
        for number, rows in enumerate(batches):
            (path / f"{number}.csv").write_text(data.csv_text(rows))
        return path

    def from_a_spreadsheet(self, rows):
        """A channel whose file begins with a byte order mark, has Windows' line ends, and blank lines at its end."""
        path = self.channel("spreadsheet")
        text = "\ufeff" + data.csv_text(rows).replace("\n", "\r\n") + "\r\n\r\n"
        (path / "saved.csv").write_bytes(text.encode())
        return path

    def trained(self, model, channel, name="model", *arguments):
        done = train(model, channel, self.folder / name, *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def evaluated(self, held_out, metric, **models):
        given = self.folder / "processing"
        (given / "test").mkdir(parents=True)
        (given / "test" / "rows.csv").write_text(data.csv_text(held_out))
        for name, folder in models.items():
            (given / name).mkdir()
            with tarfile.open(given / name / "model.tar.gz", "w:gz") as archive:
                archive.add(self.folder / folder, arcname=".")
        with contextlib.redirect_stdout(io.StringIO()):
            code = evaluate.main(["--metric", metric, "--input", str(given), "--output", str(given)])
        self.assertEqual(code, 0)
        return json.loads((given / "evaluation.json").read_text())

    def refused(self, model, channel, *parts):
        done = train(model, channel, self.folder / "model")
        self.assertNotEqual(done.returncode, 0)
        for part in parts:
            self.assertIn(part, done.stderr)


class DigitsForest(Model):
    def test_the_demos_story(self):
        """A few digits make a champion; more make a better one, surely; wrong labels a worse one."""
        batches = data.digit_batches()
        self.trained("digits_forest", self.channel("few", batches["few"]), "few-model")
        said = self.trained("digits_forest", self.channel("many", batches["few"], batches["many"]), "many-model")
        self.assertRegex(said, r"oob:f1_macro=0\.9\d+")
        found = self.evaluated(batches["held_out"], "f1_macro", challenger="many-model", champion="few-model")
        self.assertGreater(found["champion"]["score"], 0.8)
        self.assertGreater(found["interval"][0], 0.02)

        self.trained(
            "digits_forest", self.channel("wrong", *(batches[name] for name in ("few", "many", "wrong"))), "wrong-model"
        )
        (self.folder / "processing").rename(self.folder / "before")
        found = self.evaluated(batches["held_out"], "f1_macro", challenger="wrong-model", champion="many-model")
        self.assertGreater(found["challenger"]["score"], 0.8)  # above the floor: it is the comparison that refuses it
        self.assertLess(found["interval"][1], 0)

    def test_turned_digits_are_another_world(self):
        """As when the demo is run again: the old champion can't read digits that lie on their side."""
        upright, turned = data.digit_batches(0), data.digit_batches(1)
        self.trained("digits_forest", self.channel("upright", upright["few"], upright["many"]), "upright-model")
        self.trained("digits_forest", self.channel("turned", turned["few"]), "turned-model")
        found = self.evaluated(turned["held_out"], "f1_macro", challenger="turned-model", champion="upright-model")
        self.assertGreater(found["challenger"]["score"], 0.8)
        self.assertGreater(found["interval"][0], 0.3)

    def test_the_same_data_give_the_same_forest(self):
        channel = self.channel("few", data.digit_batches()["few"])
        self.assertEqual(self.trained("digits_forest", channel, "one"), self.trained("digits_forest", channel, "two"))
        self.assertEqual(*((self.folder / name / "model.joblib").read_bytes() for name in ("one", "two")))

    def test_hyperparameters(self):
        channel = self.channel("few", data.digit_batches()["few"])
        self.trained("digits_forest", channel, "model", "--n-estimators", "7", "--max-depth", "2")
        forest = serve("digits_forest").model_fn(str(self.folder / "model"))
        self.assertEqual((len(forest.estimators_), forest.max_depth, forest.n_jobs), (7, 2, 1))

    def test_requests(self):
        self.trained("digits_forest", self.channel("few", data.digit_batches()["few"]))
        functions = serve("digits_forest")
        forest = functions.model_fn(str(self.folder / "model"))
        label, *pixels = data.digit_batches()["few"][0]
        texts = {"text/csv": ",".join(pixels), "application/json": json.dumps([int(pixel) for pixel in pixels])}
        for content_type, body in texts.items():
            digits = functions.predict_fn(functions.input_fn(body, content_type), forest)
            self.assertEqual(functions.output_fn(digits, "text/csv"), (label, "text/csv"))
            self.assertEqual(functions.output_fn(digits, "application/json"), (f"[{label}]", "application/json"))
        for body, content_type, part in (("1,2", "text/csv", "64 are needed"), ("x", "image/png", "send text/csv")):
            with self.assertRaisesRegex(ValueError, part):
                functions.input_fn(body, content_type)

    def test_files_of_a_spreadsheet(self):
        few = data.digit_batches()["few"]
        said = self.trained("digits_forest", self.from_a_spreadsheet(few), "one", "--n-estimators", "3")
        self.assertEqual(said, self.trained("digits_forest", self.channel("plain", few), "two", "--n-estimators", "3"))
        row = ",".join(["1"] * 64)
        self.assertEqual(serve("digits_forest").input_fn(f"\ufeff{row}\r\n\r\n", "text/csv").shape, (1, 64))

    def test_wrong_data(self):
        self.refused("digits_forest", self.channel("none"), "no CSV file")
        self.refused("digits_forest", self.channel("narrow", [("1", "2", "3")]), "0.csv has 3 columns", "64 pixels")
        self.refused("digits_forest", self.channel("words", [("1", *["x"] * 64)]), "0.csv can't be read", "'x'")


class IrisTree(Model):
    def test_a_tree(self):
        batches = data.iris_batches()
        said = self.trained("iris_tree", self.channel("train", batches["flowers"]))
        self.assertRegex(said, r"cv:accuracy=0\.\d+")
        found = self.evaluated(batches["held_out"], "accuracy", challenger="model")
        self.assertGreater(found["challenger"]["score"], 0.9)
        self.assertIn(found["samples"][0]["answer"], ("setosa", "versicolor", "virginica"))

    def test_requests(self):
        self.trained("iris_tree", self.channel("train", data.iris_batches()["flowers"]))
        functions = serve("iris_tree")
        tree = functions.model_fn(str(self.folder / "model"))
        for content_type, body in {"text/csv": "5.1,3.5,1.4,0.2", "application/json": "[5.1, 3.5, 1.4, 0.2]"}.items():
            species = functions.predict_fn(functions.input_fn(body, content_type), tree)
            self.assertEqual(functions.output_fn(species, "text/csv"), ("setosa", "text/csv"))
            self.assertEqual(functions.output_fn(species, "application/json"), ('["setosa"]', "application/json"))

    def test_files_of_a_spreadsheet(self):
        flowers = data.iris_batches()["flowers"]
        said = self.trained("iris_tree", self.from_a_spreadsheet(flowers))
        self.assertEqual(said, self.trained("iris_tree", self.channel("plain", flowers)))
        self.assertIn(f"training on {len(flowers)} flowers of 3 species", said)
        self.assertEqual(serve("iris_tree").input_fn("\ufeff5.1,3.5,1.4,0.2\r\n\r\n", "text/csv").shape, (1, 4))

    def test_wrong_data(self):
        self.refused("iris_tree", self.channel("none"), "no flower")
        self.refused("iris_tree", self.channel("words", [("setosa", "1", "2", "3", "long")]), "0.csv:1", "'long'")
        self.refused("iris_tree", self.channel("narrow", [("setosa", "1", "2")]), "0.csv:1 has 2 lengths")


class Template(Model):
    """The model that `ratchet new` copies."""

    def test_its_sample_makes_a_model_that_passes_its_gate(self):
        said = self.trained(TEMPLATE, TEMPLATE / "sample" / "train")
        self.assertRegex(said, r"cv:f1_macro=0\.\d+")
        held_out = [tuple(line.split(",")) for line in (TEMPLATE / "sample/test/pumps.csv").read_text().splitlines()]
        found = self.evaluated(held_out, "f1_macro", challenger="model")
        self.assertGreater(found["challenger"]["score"], 0.75)

    def test_files_of_a_spreadsheet(self):
        rows = [tuple(line.split(",")) for line in (TEMPLATE / "sample/train/pumps.csv").read_text().splitlines()]
        said = self.trained(TEMPLATE, self.from_a_spreadsheet(rows))
        self.assertEqual(said, self.trained(TEMPLATE, self.channel("plain", rows)))
        self.assertEqual(serve(TEMPLATE).input_fn("\ufeff1,2\r\n3,4\r\n\r\n", "text/csv").shape, (2, 2))

    def test_a_wrong_line_is_named_by_its_number_in_the_file(self):
        path = self.from_a_spreadsheet([("ok", "1", "2")])
        (path / "saved.csv").write_text("ok,1,2\n\nok,1,warm\n")
        self.refused(TEMPLATE, path, "saved.csv:3", "'warm'")

    def test_wrong_data(self):
        self.refused(TEMPLATE, self.channel("none"), "no example")
        self.refused(TEMPLATE, self.channel("words", [("ok", "1", "warm")]), "0.csv:1", "'warm'")
        self.refused(TEMPLATE, self.channel("ragged", [("ok", "1", "2"), ("ok", "1")]), "0.csv:2 has 2 columns")


class BundledData(unittest.TestCase):
    """The digits and irises of the checkout are those that scikit-learn bundles."""

    def test_digits(self):
        bundled = load_digits()
        rows = np.array(data.digits(), dtype=int)
        np.testing.assert_array_equal(rows[:, 0], bundled.target)
        np.testing.assert_array_equal(rows[:, 1:], bundled.data)

    def test_iris(self):
        bundled = load_iris()
        rows = data.iris()
        self.assertEqual([row[0] for row in rows], [bundled.target_names[label] for label in bundled.target])
        np.testing.assert_array_equal(np.array([row[1:] for row in rows], dtype=float), bundled.data)


if __name__ == "__main__":
    unittest.main()
