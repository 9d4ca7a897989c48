"""The evaluation job's script, on small models made for the purpose. Runs in an image's Python."""

import base64
import io
import json
import os
import tarfile
import textwrap
import unittest
from pathlib import Path

import numpy as np
from judging_kit import REPEATS, Judging
from sklearn.metrics import r2_score

import contract
from contract.thresholds import THRESHOLD
from toolkit import evaluate

# A container that passes on what it is asked.
ECHO = textwrap.dedent("""
    def model_fn(model_dir):
        return 0
    def transform_fn(model, body, content_type, accept):
        return body, content_type
""")


class Evaluation(Judging):
    # What it finds

    def test_first_model(self):
        self.model()
        found = self.judged()
        self.assertEqual((found["challenger"]["score"], found["examples"]), (1.0, 180))
        self.assertEqual((found["champion"], found["difference"], found["interval"]), (None, None, None))

    def test_challenger_and_champion_with_their_own_code(self):
        # Modules of the same name, each with a module of its own of the same name.
        self.model(
            "challenger",
            "import rows\nassert rows.WHO == 'challenger'" + REPEATS,
            **{"code/rows.py": "WHO = 'challenger'"},
        )
        other = "import rows\nassert rows.WHO == 'champion'" + REPEATS
        self.model("champion", other, column="1", **{"code/rows.py": "WHO = 'champion'"})
        found = self.judged(metric="f1_macro")
        self.assertEqual(found["challenger"]["score"], 1.0)
        self.assertAlmostEqual(found["champion"]["score"], 2 / 3)
        self.assertAlmostEqual(found["difference"], 1 / 3)
        low, high = found["interval"]
        self.assertTrue(0.2 < low < 1 / 3 < high < 0.5, found["interval"])
        self.assertEqual((found["metric"], found["confidence"], found["resamples"]), ("f1_macro", 0.95, 2000))
        self.assertEqual(found["answers"]["confusion"]["champion"], [[60, 0, 0], [0, 30, 30], [0, 30, 30]])
        self.assertEqual(found["answers"]["differing"]["better"], 60)
        self.assertEqual(found["answers"]["differing"]["examples"][0]["example"], "rows.csv:5")

    def test_a_chain_is_judged_as_a_whole_beside_a_champion_that_serves_alone(self):
        says = [
            {"name": name, "entry": f"{name}.py", "framework": None, "environment": {}} for name in ("first", "last")
        ]
        parses = """
            import json
            def model_fn(model_dir):
                return 0
            def input_fn(body, content_type):
                return [line.split(",") for line in body.splitlines()]
            def predict_fn(rows, model):
                return rows
            def output_fn(rows, accept):
                return json.dumps(rows), accept
        """
        # The answers of the first are the questions of the last, in the form that nobody has asked for.
        answers = REPEATS.replace('"text/csv"', '"application/json"').replace(
            '[line.split(",") for line in body.splitlines()]', "__import__('json').loads(body)"
        )
        chain = {"code/first.py": textwrap.dedent(parses), "code/last.py": answers, "code/chain.json": json.dumps(says)}
        self.model("challenger", **{"code/serve.py": None, **chain})
        self.model("champion", column="1")
        found = self.judged()
        self.assertEqual(found["challenger"]["score"], 1.0)
        self.assertAlmostEqual(found["champion"]["score"], 2 / 3)
        self.assertEqual(found["samples"][0], {"body": "0,0", "answer": "0"})
        self.model("challenger", **{"code/serve.py": None, **chain, "code/last.py": answers.replace("rows]", "1/0]")})
        (self.output / "evaluation.json").unlink()
        self.refused("the challenger", "last.py failed while answering the held-out examples: last.py:8: ZeroDivisio")
        self.model("challenger", **{"code/serve.py": None, **chain, "code/last.py": "import os\nos._exit(7)"})
        self.refused("the challenger's chain ended its process with exit code 7")
        self.model("challenger", **{"code/serve.py": None, **chain, "code/chain.json": "[{}]"})
        (evaluate.SOURCE / "chain.json").unlink()
        self.refused("the challenger", "code/chain.json says no chain: KeyError: 'entry'")

    def test_the_first_container_of_a_chain_reads_the_held_out_data(self):
        says = [{"name": name, "entry": f"{name}.py", "framework": None, "environment": {}} for name in ("one", "two")]
        reads = "def heldout_fn(folder):\n    yield from (('0,1', 'text/csv', 1), ('1,0', 'text/csv', 0))\n"
        (evaluate.SOURCE / "chain.json").write_text(json.dumps(says))
        asked = REPEATS.replace('== "text/csv"', '== "text/csv; charset=utf-8"').replace(
            "body.split", "body.decode().split"
        )
        chain = {"code/one.py": reads + ECHO, "code/two.py": asked, "code/chain.json": json.dumps(says)}
        self.model(column="1", **{"code/serve.py": None, **chain})
        self.assertEqual(self.judged()["challenger"]["score"], 1.0)
        self.assertIn("as heldout_fn of one.py reads it", self.printed)

    def test_its_own_toolkit_travels_with_a_model(self):
        own = {"code/toolkit/__init__.py": "", "code/toolkit/old.py": "X = 1"}
        self.model(serve="from toolkit.old import X" + REPEATS, **own)
        self.judged()

    def sure_of(self, threshold):
        """A model that is sure of what it says by the last column: 0.6, 0.8 or 1."""
        os.environ[THRESHOLD] = threshold
        self.addCleanup(os.environ.pop, THRESHOLD, None)
        toolkit = Path(evaluate.__file__).parent
        beside = {
            f"code/{folder.name}/{path.relative_to(folder)}": path.read_text()
            for folder in (toolkit, Path(contract.__file__).parent)
            for path in folder.glob("*.py")
        }
        sure = """
            from toolkit.threshold import with_threshold
            def sure_fn(rows, column):
                return [row[column] for row in rows], [0.6 + 0.2 * int(row[1]) for row in rows]
            predict_fn, output_fn = with_threshold(predict_fn, output_fn, sure_fn)
        """
        return {"serve": REPEATS + textwrap.dedent(sure), **beside}

    def test_with_a_threshold_what_is_predicted_is_judged_and_what_is_answered_is_told(self):
        serving = self.sure_of("0.8")
        self.model(column="1", **serving)
        self.model("champion", column="1")
        found = self.judged("--classes")
        self.assertAlmostEqual(found["challenger"]["score"], 2 / 3)
        self.assertEqual((found["difference"], found["interval"]), (0, [0, 0]))
        at = found["threshold"]
        self.assertEqual((at["threshold"], at["champion"]), ("0.8", None))
        self.assertEqual((at["challenger"]["coverage"], at["challenger"]["precision"]), (2 / 3, 0.5))
        self.assertEqual(set(found["answers"]["curve"]), {"challenger"})
        # As the endpoint answers.
        self.assertEqual({sample["answer"] for sample in found["samples"]} - {"1,0.8,1", "2,1.0,2"}, {"0,0.6,unsure"})

    def test_a_threshold_asks_for_models_that_say_how_sure_they_are(self):
        self.sure_of("0.8")
        self.model()
        self.refused(
            "the challenger answers '0' without a confidence, which serving.threshold needs; write into serve.py",
            "predict_fn, output_fn = with_threshold(predict_fn, output_fn)",
        )

    def test_a_threshold_without_probabilities_says_which_function_is_missing(self):
        serving = self.sure_of("0.8")
        serving["serve"] = serving["serve"].replace(", sure_fn)", ")")
        self.model(**serving)
        self.refused("int has no predict_proba and classes_; give with_threshold a third function, sure_fn(data, ")

    def test_samples_are_answers_to_single_examples(self):
        self.model()
        samples = self.judged()["samples"]
        self.assertEqual(samples[0], {"body": "0,0", "answer": "0"})
        self.assertEqual(len(samples), 5)

    def test_label_column(self):
        self.data("5,5,a\n6,6,b\n")
        self.model(serve=REPEATS.replace("row[column]", '"ab"[int(row[0]) - 5]'))
        self.assertEqual(self.judged("--label", "2")["challenger"]["score"], 1.0)

    def test_many_files_and_numbers_written_in_two_ways(self):
        self.data("1,1.0,\n", "a.csv")
        self.data('"2",2.0,"x, y"\n', "deeper/b.csv")
        self.model()
        self.assertEqual(self.judged()["examples"], 182)

    def test_regression(self):
        self.data("1.5,1\n2.5,3\n4,4\n")
        self.model()
        found = self.judged(metric="neg_mean_absolute_error")
        self.assertAlmostEqual(found["challenger"]["score"], -1 / 3)
        self.assertIn("r2", found["metrics"])

    def test_defaults_of_the_framework_containers(self):
        serve = """
            class Model:
                def predict(self, table):
                    return table.reshape(-1, 2)[:, 0].astype(int)
            def model_fn(model_dir):
                return Model()
        """
        self.model(serve=serve)
        self.assertEqual(self.judged()["challenger"]["score"], 1.0)

    def test_functions_that_take_a_context(self):
        serve = REPEATS.replace("(rows, column)", "(rows, column, context)").replace(
            "(model_dir)", "(model_dir, context)"
        )
        self.model(serve=serve)
        self.assertEqual(self.judged()["challenger"]["score"], 1.0)

    def test_transform_fn_instead_of_three_functions(self):
        serve = """
            def model_fn(model_dir):
                return 0
            def transform_fn(model, body, content_type, accept):
                return "\\n".join(line.split(",")[model] for line in body.splitlines()), accept
        """
        self.model(serve=serve)
        self.assertEqual(self.judged()["challenger"]["score"], 1.0)

    def test_one_line_of_commas_as_xgboost_answers(self):
        self.model(serve=REPEATS.replace('"\\n".join', '",".join'))
        self.assertEqual(self.judged()["challenger"]["score"], 1.0)

    # Held-out data of other kinds, from the file to the answer

    def test_texts_with_line_breaks_commas_and_quotation_marks(self):
        """As CSV, quoted, both in the request and in the answer."""
        rows = ['"a, ""b""","one\nmore, ""quoted"""', '"two\nlines",x', "plain,y"]
        self.data("\ufefflabel,text\n" + "\n".join(rows * 3) + "\n")
        serve = """
            import csv, io
            def model_fn(model_dir):
                return {'one\\nmore, "quoted"': 'a, "b"', "x": "two\\nlines", "y": "plain"}
            def input_fn(body, content_type):
                return [text for text, in csv.reader(io.StringIO(body, newline=""))]
            def predict_fn(texts, model):
                return [model[text] for text in texts]
            def output_fn(labels, accept):
                out = io.StringIO()
                csv.writer(out).writerows([label] for label in labels)
                return out.getvalue()
        """
        self.model(serve=serve)
        found = self.judged("--label-name", "label")
        self.assertEqual((found["challenger"]["score"], found["examples"]), (1.0, 9))
        self.assertEqual(found["samples"][0], {"body": '"one\nmore, ""quoted"""', "answer": 'a, "b"'})
        self.assertIn("a header (by the label's name) with the columns label, text", self.printed)
        self.assertIn("9 examples of 3 classes", self.printed)

    def test_labels_with_commas_answered_as_they_are(self):
        self.data('"b, c",1\nd,2\n' * 3)
        self.model(serve=REPEATS.replace("row[column]", '{"1": "b, c", "2": "d"}[row[0]]'))
        self.assertEqual(self.judged()["challenger"]["score"], 1.0)

    def test_json_lines(self):
        self.only("rows.jsonl", '{"label": 1, "x": [1, 2]}\n{"label": 0, "x": [2, 1]}\n' * 3)
        serve = """
            import json
            def model_fn(model_dir):
                return None
            def input_fn(body, content_type):
                assert isinstance(body, bytes) and content_type == "application/jsonlines"
                return [json.loads(line) for line in body.splitlines()]
            def predict_fn(documents, model):
                return [int(document["x"][0] < document["x"][1]) for document in documents]
            def output_fn(labels, accept):
                return "\\n".join(map(str, labels))
        """
        self.model(serve=serve)
        found = self.judged()
        self.assertEqual(found["challenger"]["score"], 1.0)
        sample = {"body": '{"x": [1, 2]}', "content_type": "application/jsonlines", "answer": "1"}
        self.assertEqual(found["samples"][0], sample)

    def test_arrays_by_the_default_functions(self):
        (self.input / "test" / "rows.csv").unlink()
        np.savez(self.input / "test" / "rows.npz", X=np.arange(24.0).reshape(6, 2, 2), y=[0, 1, 2, 3, 4, 5])
        serve = """
            class Model:
                def predict(self, arrays):
                    assert arrays.shape[1:] == (2, 2)
                    return (arrays[:, 0, 0] / 4).astype(int)
            def model_fn(model_dir):
                return Model()
        """
        self.model(serve=serve)
        found = self.judged()
        self.assertEqual(
            (found["challenger"]["score"], found["samples"][0]["content_type"]), (1.0, "application/x-npy")
        )
        self.assertEqual(np.load(io.BytesIO(base64.b64decode(found["samples"][0]["body_base64"]))).shape, (1, 2, 2))

    def test_images(self):
        (self.input / "test" / "rows.csv").unlink()
        for name in ("cat/1.png", "cat/2.JPG", "dog/3.png"):
            self.data(f"picture of a {name}", name)
        serve = """
            def model_fn(model_dir):
                return None
            def transform_fn(model, body, content_type, accept):
                assert (content_type, accept) in [("image/png", "text/csv"), ("image/jpeg", "text/csv")]
                return body.decode().split()[-1].split("/")[0]
        """
        self.model(serve=serve)
        found = self.judged()
        self.assertEqual((found["challenger"]["score"], found["examples"]), (1.0, 3))
        self.assertEqual(base64.b64decode(found["samples"][0]["body_base64"]), b"picture of a cat/1.png")

    def test_whatever_serve_py_reads_itself(self):
        self.only("sounds.wav", "high low high")
        serve = """
            from pathlib import Path
            def heldout_fn(folder):
                for sound in Path(folder, "sounds.wav").read_text().split():
                    yield sound.encode(), "audio/wav", sound[0]
            def model_fn(model_dir):
                return int(Path(model_dir, "model.txt").read_text())
            def transform_fn(model, body, content_type, accept):
                assert content_type == "audio/wav"
                return body.decode()[model]
        """
        self.model(serve=serve)
        # The champion answers what the challenger's heldout_fn reads, whatever it would read itself.
        self.model("champion", serve.replace("heldout_fn", "older_fn"), column="0")
        found = self.judged()
        self.assertEqual((found["champion"]["score"], found["difference"], found["examples"]), (1.0, 0.0, 3))
        self.assertIn("as heldout_fn of serve.py reads it", self.printed)

    def test_what_serve_py_reads_wrongly(self):
        for reader, parts in {
            "yield 'body', 'text/csv'": ("example 1 is tuple", "it must yield (request body, content type, truth)"),
            "yield [1], 'text/csv', 0": ("example 1: the body is list",),
            "yield '1', 'csv', 0": ("example 1: the content type is 'csv'",),
            "yield '1', 'text/csv', 0\n    yield '1', 'text/csv', None": ("example 2: the truth is NoneType",),
            "return []": ("yields no example",),
            "return 1 / 0": ("serve.py failed in heldout_fn", "serve.py:13", "ZeroDivisionError"),
        }.items():
            with self.subTest(reader):
                self.model(serve=REPEATS + f"\ndef heldout_fn(folder):\n    {reader}\n")
                self.refused(*parts)

    # Parts, and a metric of the user's own

    def test_segments_by_name(self):
        self.data("label,region,guess\n" + "0,north,0\n1,north,1\n0,south,1\n1,,1\n" * 30)
        self.model(serve=REPEATS.replace("row[column] for", "row[1] for"))
        self.model("champion", serve=REPEATS.replace("row[column] for", "'1' for"))
        found = self.judged("--segment-name", "region")
        self.assertEqual(
            found["segments"],
            [
                {"segment": "(empty)", "examples": 30, "score": 1.0, "champion": 1.0, "unjudged": None},
                {"segment": "north", "examples": 60, "score": 1.0, "champion": 0.5, "unjudged": None},
                {"segment": "south", "examples": 30, "score": 0.0, "champion": 0.0, "unjudged": None},
            ],
        )
        self.assertEqual(found["samples"][0], {"body": "north,0", "answer": "0"})
        self.assertNotIn("segments", self.judged("--label-name", "label"))

    def test_segments_of_json_lines_and_by_position(self):
        self.only("rows.jsonl", '["a", 1, "n"]\n["b", 2, "s"]\n' * 3)
        self.model(
            serve=REPEATS.replace('assert content_type == "text/csv"', "body = body.decode()").replace(
                "[row[column] for", "['a' for"
            )
        )
        found = self.judged("--segment", "2")
        self.assertEqual([(part["segment"], part["score"]) for part in found["segments"]], [("n", 1.0), ("s", 0.0)])

    def test_segments_of_files_without_columns(self):
        self.only("cat/1.png", "x")
        self.model()
        self.refused(
            "gate.segments needs a column, and held-out files of images have none", arguments=["--segment", "1"]
        )

    def test_classes_by_themselves(self):
        self.model("challenger", column="1")
        self.model("champion", column="0")
        found = self.judged("--classes")
        third = {"precision": 0.5, "recall": 0.5, "f1": 0.5}
        whole = {"precision": 1.0, "recall": 1.0, "f1": 1.0}
        self.assertEqual(found["classes"][1], {"class": "1", "examples": 60, **third, "champion": whole})
        self.assertEqual([entry["class"] for entry in found["classes"]], ["0", "1", "2"])

    def test_classes_of_probabilities(self):
        self.data("no,0.1\nyes,0.4\nno,0.2\nyes,0.9\n" * 30)
        self.model("challenger", REPEATS.replace("row[column] for", "row[0] for"))
        found = self.judged("--classes", metric="roc_auc")
        recall = {entry["class"]: entry["recall"] for entry in found["classes"]}
        self.assertEqual(recall, {"no": 1.0, "yes": 0.5})

    def test_a_segment_of_one_class_has_no_roc_auc(self):
        self.data("no,a,0.1\nyes,a,0.4\nno,b,0.2\n" * 30)
        self.model("challenger", REPEATS.replace("row[column] for", "row[1] for"))
        both, one = self.judged("--segment", "1", metric="roc_auc")["segments"]
        self.assertEqual((both["score"], one["score"]), (1.0, None))
        self.assertEqual(one["unjudged"], "its examples are too few, or all of one class")

    OWN = "def share(truths, answers):\n    return sum(a == b for a, b in zip(truths, answers)) / len(truths)\n"

    def test_own_metric(self):
        """Both are judged by the challenger's function, whatever the champion's folder has under the name."""
        self.model("challenger", **{"code/mine.py": self.OWN})
        self.model("champion", column="1", **{"code/mine.py": "1 / 0"})
        found = self.judged(metric="mine.share")
        self.assertEqual(found["metric"], "mine.share")
        self.assertAlmostEqual(found["difference"], 1 / 3)
        self.assertTrue(0.2 < found["interval"][0] < 1 / 3 < found["interval"][1] < 0.5)
        self.assertEqual(found["answers"]["confusion"]["labels"], ["0", "1", "2"])
        self.assertEqual(found["answers"]["differing"]["count"], 60)
        self.assertNotIn("better", found["answers"]["differing"])

    def test_own_metric_of_documents(self):
        self.only("rows.jsonl", '{"label": [{"box": [1, 2]}], "x": 1}\n{"label": [], "x": 2}\n' * 4)
        serve = """
            import json
            def model_fn(model_dir):
                return None
            def transform_fn(model, body, content_type, accept):
                assert (content_type, accept) == ("application/jsonlines", "text/csv")
                rows = [json.loads(line)["x"] for line in body.splitlines()]
                return "\\n".join('[{"box": [1, 2], "score": 0.9}]' if x == 1 else "[]" for x in rows)
        """
        own = """
            def found(truths, answers):
                return sum(len(t) == len(a) for t, a in zip(truths, answers)) / len(truths)
        """
        self.model("challenger", serve, **{"code/mine.py": textwrap.dedent(own)})
        self.model("champion", serve.replace("x == 1", "False"))
        self.refused("rows.jsonl:1: the label 'label' is a list; it must be a text or a number", metric="accuracy")
        found = self.judged("--any-label", metric="mine.found")
        self.assertEqual((found["challenger"]["score"], found["champion"]["score"]), (1.0, 0.5))
        self.assertEqual(found["samples"][0]["answer"], '[{"box": [1, 2], "score": 0.9}]')
        self.assertEqual(found["answers"]["differing"]["examples"][0]["label"], '[{"box": [1, 2]}]')

    def test_own_metric_of_truths_that_serve_py_yields(self):
        serve = REPEATS + textwrap.dedent("""
            def heldout_fn(folder):
                import numpy
                yield "1", "text/csv", {"boxes": numpy.ones((1, 2)), "of": "a"}
                yield "2", "text/csv", {"boxes": [], "of": "b"}
        """)
        own = "def count(truths, answers):\n    return sum(len(t['boxes']) for t in truths) + sum(answers)"
        self.model("challenger", serve, **{"code/mine.py": own})
        self.refused("heldout_fn, example 1: the truth is dict; it must be a text or a number", metric="accuracy")
        self.assertEqual(self.judged("--any-label", metric="mine.count")["challenger"]["score"], 4.0)

    def test_own_metric_of_arrays_of_labels(self):
        (self.input / "test" / "rows.csv").unlink()
        np.savez(self.input / "test" / "rows.npz", X=np.arange(6.0).reshape(3, 2), y=np.arange(6.0).reshape(3, 2) * 2)
        serve = """
            class Model:
                def predict(self, rows):
                    return rows
            def model_fn(model_dir):
                return Model()
        """
        own = "def error(truths, answers):\n    return -max(abs(t[1] - a[1]) for t, a in zip(truths, answers))"
        self.model("challenger", serve, **{"code/mine.py": own})
        self.refused("one label an example is needed", metric="r2")
        self.assertEqual(self.judged("--any-label", metric="mine.error")["challenger"]["score"], -5.0)

    def test_own_metric_that_fails(self):
        self.model()
        self.refused("the metric can't judge: the model's folder had no mine.py", metric="mine.share")
        self.model(**{"code/mine.py": self.OWN.replace("==", "/")})
        self.refused("metric mine.share can't judge the challenger's answers: mine.py:2: Zero", metric="mine.share")

    def test_a_champion_that_the_own_metric_cannot_judge(self):
        own = "def total(truths, answers):\n    return sum(truths) - sum(answers)"
        self.model("challenger", **{"code/mine.py": own})
        self.model("champion", REPEATS.replace("[row[column] for", "['cat' for"))
        found = self.judged(metric="mine.total")
        self.assertEqual((found["challenger"]["score"], found["difference"]), (0.0, None))
        self.assertIn("metric mine.total can't judge the champion's answers", found["champion"]["cannot_answer"])

    # Several numbers an example

    TWO = REPEATS.replace("row[column] for", "','.join(row[1:]) for")

    def test_several_numbers(self):
        """The average over the outputs, as scikit-learn's multioutput="uniform_average" is."""
        self.data("price,days,x,p,d\n" + "".join(f"{n},{n % 7},{n},{n + n % 3},{n % 5}\n" for n in range(60)))
        self.model("challenger", self.TWO)
        self.model("champion", self.TWO.replace("row[1:]", "row[1:2] * 2"))
        found = self.judged('--labels=["price", "days"]', "--any-label", metric="r2")
        truth = np.array([[n, n % 7] for n in range(60)])
        given = np.array([[n + n % 3, n % 5] for n in range(60)])
        self.assertAlmostEqual(found["challenger"]["score"], r2_score(truth, given))
        self.assertAlmostEqual(found["champion"]["score"], r2_score(truth, given[:, [0, 0]]))
        random = np.random.default_rng(1)
        values = [r2_score(truth[drawn], given[drawn]) for drawn in random.integers(0, 60, size=(2000, 60))]
        for ours, expected in zip(found["challenger"]["interval"], np.quantile(values, [0.025, 0.975]), strict=True):
            self.assertAlmostEqual(ours, expected, delta=0.04)
        self.assertEqual(found["samples"][0], {"body": "0,0,0", "answer": "0,0"})
        self.assertIn("the label is 'price', 1 of 5 and 'days', 2 of 5", self.printed)

    def test_several_numbers_of_json_lines_and_arrays(self):
        self.only("rows.jsonl", '{"a": 1, "b": 2.5, "x": 3}\n{"a": 2, "b": 3.5, "x": 4}\n' * 3)
        serve = """
            import json
            def model_fn(model_dir):
                return None
            def transform_fn(model, body, content_type, accept):
                rows = [json.loads(line) for line in body.splitlines()]
                assert all(list(row) == ["x"] for row in rows)
                return "\\n".join(json.dumps([row["x"] - 2, row["x"] - 0.5]) for row in rows)
        """
        self.model(serve=serve)
        found = self.judged('--labels=["a", "b"]', "--any-label", metric="neg_mean_absolute_error")
        self.assertEqual(found["challenger"]["score"], 0.0)
        (self.input / "test" / "rows.jsonl").unlink()
        np.savez(self.input / "test" / "rows.npz", X=np.arange(6.0).reshape(3, 2), y=np.arange(6.0).reshape(3, 2) + 1)
        array = """
            class Model:
                def predict(self, rows):
                    return rows
            def model_fn(model_dir):
                return Model()
        """
        self.model(serve=array)
        found = self.judged("--any-label", metric="neg_mean_squared_error")
        self.assertEqual(found["challenger"]["score"], -1.0)

    def test_too_few_numbers(self):
        self.data("1,2,3\n4,5,6\n" * 3)
        self.model()
        several = ("--labels=[0, 1]", "--any-label")
        self.refused(
            "the challenger answered '3', but the held-out labels are 2 numbers each", metric="r2", arguments=several
        )
        self.model("challenger", REPEATS.replace("row[column] for", "'1,2' for"))
        self.model("champion", REPEATS.replace("row[column] for", "'1,2,3' for"))
        found = self.judged(*several, metric="r2")
        self.assertIn("the champion answered '1,2,3', but the held-out", found["champion"]["cannot_answer"])

    def test_a_decimal_comma_is_no_second_number(self):
        self.data('"1,5",2\n"2,5",3\n' * 3)
        self.model()
        self.refused("metric r2 needs numbers, but a held-out label is '1,5'", metric="r2", arguments=["--any-label"])

    # What it refuses: data

    def test_missing_channel(self):
        self.model()
        (self.input / "test" / "rows.csv").unlink()
        (self.input / "test").rmdir()
        self.refused("no held-out data", "`test` channel is missing")

    def test_no_file(self):
        self.model()
        (self.input / "test" / "rows.csv").rename(self.input / "test" / ".rows.csv")
        self.refused("no held-out file", "only .rows.csv")

    def test_unknown_kind(self):
        self.model()
        (self.input / "test" / "rows.csv").rename(self.input / "test" / "rows.wav")
        self.refused("rows.wav: held-out files of an unknown kind", "heldout_fn(folder) in serve.py")

    def test_empty_files(self):
        self.model()
        self.data("\n\n")
        self.refused("no example", "rows.csv")

    def test_ragged_rows(self):
        self.model()
        self.data("0,1,2\n0,1,2\n0,1\n")
        self.refused("rows.csv:3 has 2 columns, but rows.csv:1 has 3")

    def test_files_of_different_width(self):
        self.model()
        self.data("0,1,2,3\n", "wider.csv")
        self.refused("wider.csv:1 has 4 columns, but rows.csv:1 has 3")

    def test_label_out_of_range(self):
        self.model()
        self.refused("label column 3 is out of range", "rows.csv:1 has 3 columns (0 to 2)", arguments=("--label", "3"))

    def test_header(self):
        self.model()
        self.data("species,length\n1,1\n2,2\n")
        self.refused("rows.csv:1 looks like a header")

    def test_empty_label(self):
        self.model()
        self.data("1,1\n,2\n")
        self.refused("rows.csv:2", "label (column 0) is empty")

    def test_no_text(self):
        self.model()
        (self.input / "test" / "rows.csv").write_bytes(b"\xff\xfe\x00\x01,2\n")
        self.refused("rows.csv is no CSV text")

    # What it refuses: models

    def test_no_challenger(self):
        self.refused("no model to judge")

    def test_path_traversal(self):
        for name in ("../out.txt", "/tmp/out.txt", "code/../../out.txt"):
            self.archive("challenger", [(tarfile.TarInfo(name), b"x")])
            self.refused("model.tar.gz", repr(name), "path traversal")
        self.assertFalse((self.ml / "out.txt").exists())

    def test_link(self):
        link = tarfile.TarInfo("code/serve.py")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        self.archive("challenger", [(link, b"")])
        self.refused("'code/serve.py' is a link")

    def test_no_archive(self):
        self.model()
        (self.input / "challenger" / "model.tar.gz").write_bytes(b"PK nonsense")
        self.refused("model.tar.gz can't be read")

    def test_no_serving_code(self):
        self.model(**{"code/serve.py": None})
        self.refused("the challenger", "no code/serve.py", "save_serving_code")

    def test_no_model_fn(self):
        self.model(serve="x = 1")
        self.refused("the challenger", "no function model_fn")

    def test_both_ways_to_answer(self):
        self.model(serve=REPEATS + "def transform_fn(*arguments):\n    pass\n")
        self.refused("both transform_fn and input_fn, predict_fn, output_fn")

    def test_serve_that_raises(self):
        self.model(serve=REPEATS.replace("return [row[column] for row in rows]", "return 1 / 0"))
        self.refused("the challenger", "answering the held-out examples", "serve.py:8", "ZeroDivisionError")

    def test_serve_that_cant_be_imported(self):
        self.model(serve="import no_such_library")
        self.refused("loading the model", "serve.py:1", "No module named 'no_such_library'")

    def test_serve_that_ends_the_process(self):
        self.model(serve="import os\nos._exit(7)")
        self.refused("the challenger's serve.py ended its process with exit code 7")

    def test_model_that_answers_batches_only(self):
        self.model(serve=REPEATS.replace("return [row[column]", "assert len(rows) > 1\n    return [row[column]"))
        self.refused("asks", "one example alone")

    def test_model_that_answers_one_example_without_end(self):
        endless = "return [row[column] if len(rows) > 1 else '9' * 300_000"
        self.model(serve=REPEATS.replace("return [row[column]", endless))
        self.refused("alone has 300,000 characters, of at most 262,144")

    def test_too_few_answers(self):
        self.model(serve=REPEATS.replace("for row in rows]", "for row in rows][1:]"))
        self.refused("the challenger gave 179 answers to 180 examples")

    def test_not_a_number(self):
        self.model(serve=REPEATS.replace("return [row[column] for row in rows]", "return ['nan' for _ in rows]"))
        self.refused("the challenger's answer to rows.csv:1 is nan")

    def test_several_columns(self):
        self.model(serve=REPEATS.replace("[row[column] for", "[','.join(row) for"))
        self.refused("the challenger answers 2 columns (0,0)")

    def test_no_text_answered(self):
        self.model(serve=REPEATS.replace('"\\n".join(answers)', "answers"))
        self.refused("output_fn returned list")

    def test_words_for_numbers(self):
        self.model(serve=REPEATS.replace("[row[column] for", "['cat' for"))
        self.refused("answered 'cat', but the held-out labels are numbers")

    def test_unseen_labels(self):
        self.model(serve=REPEATS.replace("[row[column] for", "['17' for"))
        self.refused("labels that no held-out example has (17)", "0, 1, 2")

    # A champion that can't answer is a fact, not an error

    def silent(self, serve, metric="accuracy", **more):
        """The challenger is judged alone; returns what is recorded of the champion."""
        self.model("challenger", **more)
        self.model("champion", serve)
        found = self.judged(metric=metric)
        self.assertEqual((found["difference"], found["interval"]), (None, None))
        self.assertEqual(found["challenger"]["score"], self.judged(metric=metric)["challenger"]["score"])
        self.assertEqual(len(found["samples"]), 5)
        self.assertEqual(list(found["champion"]), ["cannot_answer"])
        return found["champion"]["cannot_answer"]

    def test_a_champion_that_cannot_answer(self):
        raises = REPEATS.replace("return [row[column] for row in rows]", "raise ValueError('X has 2 features')")
        for serve, said in (
            (raises, "serve.py:8: ValueError: X has 2 features"),
            ("x = 1", "no function model_fn"),
            ("import os\nos._exit(7)", "exit code 7"),
            (REPEATS.replace("for row in rows]", "for row in rows][1:]"), "179 answers to 180 examples"),
            (REPEATS.replace("[row[column] for", "['cat' for"), "'cat', but the held-out labels are numbers"),
            (REPEATS.replace("[row[column] for", "['17' for"), "labels that no held-out example has (17)"),
        ):
            with self.subTest(said):
                self.assertIn(said, self.silent(serve))

    def test_labels_that_became_words(self):
        self.data("cat,cat\ndog,dog\n" * 30)
        self.assertIn("no held-out example has (1)", self.silent(REPEATS.replace("[row[column] for", "['1' for")))

    def test_a_champion_whose_answers_the_metric_cannot_take(self):
        self.data("1,1\n2,2\n3,3\n" * 30)
        negative = REPEATS.replace("[row[column] for", "['-1' for")
        said = self.silent(negative, metric="neg_mean_gamma_deviance")
        self.assertIn("metric neg_mean_gamma_deviance can't be computed", said)
        self.assertIn("the champion's answers", said)

    def test_a_champion_whose_archive_is_broken(self):
        self.model("challenger")
        alone = self.judged()["challenger"]["score"]
        self.model("champion")
        archive = self.input / "champion" / "model.tar.gz"
        whole = archive.read_bytes()
        for content, said in (
            (whole[: len(whole) // 2], "its model.tar.gz can't be read as a gzipped tar archive"),
            (b"<html>", "its model.tar.gz can't be read as a gzipped tar archive"),
            (b"", "its model.tar.gz can't be read as a gzipped tar archive"),
        ):
            with self.subTest(content):
                archive.write_bytes(content)
                found = self.judged()
                self.assertIn(f"the champion can't answer: {said}", found["champion"]["cannot_answer"])
                self.assertEqual((found["challenger"]["score"], found["difference"]), (alone, None))
        link = tarfile.TarInfo("code")
        link.type, link.linkname = tarfile.SYMTYPE, "/"
        self.archive("champion", [(link, b"")])
        self.assertIn("is a link", self.judged()["champion"]["cannot_answer"])

    def test_a_full_disk_says_nothing_of_the_champion(self):
        self.model("challenger")
        self.model("champion")
        extract = evaluate.archives.extract

        def full(archive, folder):
            if folder.name == "champion":
                raise evaluate.archives.ArchiveError("no space") from OSError(28, "No space left on device")
            return extract(archive, folder)

        self.addCleanup(setattr, evaluate.archives, "extract", extract)
        evaluate.archives.extract = full
        self.refused("no space")

    def test_a_champion_that_answered_in_another_form(self):
        """The gate's metric has become one of probabilities, or was one."""
        self.data("0,0.1\n1,0.9\n" * 30)
        words = REPEATS.replace("[row[column] for", "['cat' for")
        self.assertIn("the champion answered 'cat'; a probability from 0 to 1", self.silent(words, metric="roc_auc"))
        self.data("0,0\n1,1\n" * 30)
        both = REPEATS.replace("[row[column] for", "['0.2,0.8' for")
        self.assertIn("the champion answers 2 columns (0.2,0.8)", self.silent(both))

    def test_neither_can_answer(self):
        self.model("challenger", "x = 1")
        self.model("champion", "x = 1")
        self.refused("the challenger", "no function model_fn")

    def test_a_champion_of_another_kind_of_data(self):
        """The challenger is asked images; the champion knows CSV alone."""
        (self.input / "test" / "rows.csv").unlink()
        for number in range(6):
            self.data(
                f"picture of a {'cat' if number % 2 else 'dog'}", f"{'cat' if number % 2 else 'dog'}/{number}.png"
            )
        pictures = """
            def model_fn(model_dir):
                return None
            def transform_fn(model, body, content_type, accept):
                return body.decode().split()[-1]
        """
        rows = """
            def model_fn(model_dir):
                return None
            def input_fn(body, content_type):
                if content_type != "text/csv":
                    raise ValueError(f"{content_type} is no text/csv")
        """
        self.model("challenger", pictures)
        self.model("champion", rows)
        found = self.judged()
        self.assertEqual((found["challenger"]["score"], found["difference"]), (1.0, None))
        self.assertIn("ValueError: image/png is no text/csv", found["champion"]["cannot_answer"])
        self.assertEqual(found["samples"][0]["content_type"], "image/png")

    def test_a_challenger_that_cannot_read_its_own_data(self):
        self.model("challenger", REPEATS + "\ndef heldout_fn(folder):\n    return 1 / 0\n")
        self.model("champion")
        self.refused("the challenger can't read the held-out data", "ZeroDivisionError")
        self.model("challenger", REPEATS + "\ndef heldout_fn(folder):\n    raise MemoryError\n")
        self.refused("the memory didn't suffice for the challenger", "evaluate.instance")

    # What it refuses: metrics

    def test_unknown_metric(self):
        self.model()
        self.refused("metric f1_marco", metric="f1_marco")

    def test_metric_of_two_classes_on_three(self):
        self.model()
        self.refused("metric f1 can't be computed", "multiclass", metric="f1")

    def test_metric_of_probabilities(self):
        self.model()
        self.refused("metric roc_auc_ovo", "probabilities", metric="roc_auc_ovo")

    def test_labels_where_probabilities_are_needed(self):
        self.model()
        self.refused("the challenger answered '2'; a probability from 0 to 1", metric="roc_auc_ovr")

    # Probabilities

    def test_probabilities_of_examples_that_are_asked_alone(self):
        (self.input / "test" / "rows.csv").unlink()
        for number in range(12):
            self.data(f"{number % 3}", f"{'abc'[number % 3]}/{number}.png")
        serve = """
            def model_fn(model_dir):
                return None
            def transform_fn(model, body, content_type, accept):
                return ",".join("0.8" if index == int(body) else "0.1" for index in range(3)) + "\\n"
        """
        self.model("challenger", serve)
        self.model("champion", serve.replace("0.8", "0.6").replace("0.1", "0.2"))
        found = self.judged(metric="neg_log_loss")
        self.assertEqual(
            (found["samples"][0]["answer"], found["samples"][0]["content_type"]), ("0.8,0.1,0.1", "image/png")
        )
        self.assertGreater(found["interval"][0], 0.2)

    def test_probabilities(self):
        self.data("no,0.1\nyes,0.4\nno,0.2\nyes,0.9\n" * 30)
        self.model("challenger", REPEATS.replace("row[column] for", "f'{1 - float(row[0]):.2f},{row[0]}' for"))
        # The second class's alone, and less sure.
        self.model("champion", REPEATS.replace("row[column] for", "str(0.5 + 0.1 * (float(row[0]) > 0.5)) for"))
        found = self.judged(metric="roc_auc")
        self.assertEqual((found["challenger"]["score"], found["champion"]["score"]), (1.0, 0.75))
        self.assertEqual(found["samples"][0], {"body": "0.1", "answer": "0.90,0.1"})
        self.assertGreater(found["interval"][0], 0.1)
        self.assertEqual(found["metrics"]["accuracy"], 0.75)
        self.assertIn("neg_log_loss", found["metrics"])

    def test_a_class_that_is_not_held_out(self):
        """Both models know three classes, in their own order; no example of one was held out today."""
        self.data("a,0.8,0.1,0.1\nc,0.1,0.1,0.8\n" * 30)
        serve = """
            class Model:
                classes_ = ["a", "b", "c"]
            def model_fn(model_dir):
                return Model()
            def input_fn(body, content_type):
                return body.splitlines()
            def predict_fn(rows, model):
                return rows
            def output_fn(rows, accept):
                return "\\n".join(rows), accept
        """
        self.model("challenger", serve)
        other = serve.replace('"a", "b", "c"', '"c", "b", "a"')
        self.model("champion", other.replace("return rows", "return [','.join(row.split(',')[::-1]) for row in rows]"))
        found = self.judged("--classes", metric="roc_auc_ovr")
        self.assertEqual((found["challenger"]["score"], found["champion"]["score"]), (1.0, 1.0))
        self.assertEqual(found["not_held_out"], ["b"])
        self.assertEqual([entry["class"] for entry in found["classes"]], ["a", "c"])
        self.assertIn("note: no held-out example is of b, which a model knows", self.printed)
        (self.output / "evaluation.json").unlink()
        # Which probability is whose nobody can tell; what to do is said.
        self.model("challenger", serve.replace("classes_", "kinds"))
        self.refused("answers 3 probabilities; the held-out labels have 2 classes", metric="neg_log_loss")
        self.refused("lack a class (they have a, c), hold out examples of it, too", metric="neg_log_loss")

    def test_a_class_more_than_the_champion_knows(self):
        self.data("a,1,0,0\nb,0,1,0\nc,0,0,1\n" * 30)
        self.model("challenger", REPEATS.replace("row[column] for", "','.join(row) for"))
        self.model("champion", REPEATS.replace("row[column] for", "'0.5,0.5' for"))
        found = self.judged(metric="neg_log_loss")
        self.assertIn("the champion answers 2 probabilities", found["champion"]["cannot_answer"])
        self.assertIn("the held-out labels have 3 classes", found["champion"]["cannot_answer"])

    def test_metric_of_numbers_on_words(self):
        self.data("cat,1\ndog,2\n" * 3)
        self.model()
        self.refused("metric r2 needs numbers", "'cat'", metric="r2")


if __name__ == "__main__":
    unittest.main()
