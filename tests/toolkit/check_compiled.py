"""A model compiled to ONNX: by the job as it runs, with what it installs, and its parts. Runs in an image's Python."""

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import unittest
from pathlib import Path

import joblib
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import contract
import toolkit
from toolkit import compiler, model_process
from toolkit.compiled import comparing, conversion, converters, making, serving
from toolkit.compiled.model import OnnxModel
from toolkit.confinement import NOTHING, Confinement
from toolkit.errors import ServingError, ToolkitError

# The converters lie in an environment in front of the image's, from whose Python a job begins.
TOOLS = Path(importlib.util.find_spec("onnxruntime").origin).parents[1]
IMAGE = Path(np.__file__).parents[4] / "bin" / "python"
# joblib is imported by model_fn, which a compiled model doesn't call; NumPy's functions are the image's own.
SERVE = """
def model_fn(model_dir):
    import joblib
    return joblib.load(model_dir + "/model.joblib")
def input_fn(body, content_type):
    import numpy as np
    return np.array([line.split(",") for line in body.splitlines()], float)
def predict_fn(rows, model):
    return model.predict(rows)
def output_fn(answers, accept):
    return "\\n".join(map(str, answers.tolist())), accept
"""


class Job(unittest.TestCase):
    """The job in a process of its own, as SageMaker starts it; what converts is this environment's."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.ml = Path(folder.name, "ml")
        self.source, self.model = Path(folder.name, "source"), Path(folder.name, "model")
        for package in (toolkit, contract):
            here = Path(package.__file__).parent
            shutil.copytree(here, self.source / here.name, ignore=shutil.ignore_patterns("__pycache__"))
        (self.source / ".compilers").symlink_to(TOOLS)
        self.rows = np.random.default_rng(0).integers(0, 9, (200, 4)).astype(float)
        self.labels = (self.rows[:, 0] > 4).astype(int) + (self.rows[:, 1] > 4)
        test = self.ml / "processing" / "input" / "test"
        test.mkdir(parents=True)
        lines = [f"{label},{','.join(map(str, row))}" for label, row in zip(self.labels, self.rows, strict=True)]
        (test / "rows.csv").write_text("\n".join(lines) + "\n")

    def compiled(self, estimator, *options, **scripts):
        """Exit code and last sentence of a job for this estimator; scripts: of the folder, by their names."""
        for name, text in {"serve": SERVE, **scripts}.items():
            (self.source / f"{name}.py").write_text(textwrap.dedent(text))
        self.model.mkdir()
        joblib.dump(estimator, self.model / "model.joblib")
        (self.model / "words.json").write_text("[]")
        shutil.copytree(self.source, self.model / "code", ignore=shutil.ignore_patterns(".compilers"))
        archive = self.ml / "processing" / "input" / "trained" / "model.tar.gz"
        archive.parent.mkdir()
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(self.model, ".")
        job = subprocess.run(
            [IMAGE, self.source / "toolkit" / "compiler.py", *options],
            env={**os.environ, "SAGEMAKER_BASE_DIR": str(self.ml), "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        self.said = job.stdout + job.stderr
        message = self.ml / "output" / "message"
        return job.returncode, message.read_text() if message.is_file() else self.said

    def output(self):
        """The compiled model's folder, and its figures."""
        output = self.ml / "processing" / "output"
        folder = self.ml / "compiled"
        with tarfile.open(output / "model.tar.gz") as tar:
            tar.extractall(folder)  # noqa: S202 - made above
        return folder, json.loads((output / "compiled.json").read_text())

    def test_an_estimator_becomes_onnx_by_itself(self):
        tree = DecisionTreeClassifier(random_state=0).fit(self.rows, self.labels)
        code, said = self.compiled(tree, "--int8", compile="KEEP = ['words.json']")
        self.assertEqual(code, 0, self.said)
        self.assertIn("float32: 200 of 200 held-out examples are answered as by the original", said)
        folder, figures = self.output()
        self.assertEqual(
            (figures["unequal"], figures["precision"], list(figures["tried"])), (0, "float32", ["float32"])
        )
        self.assertEqual((folder / "words.json").read_text(), "[]")
        self.assertFalse((folder / "model.joblib").exists())
        self.assertTrue((folder / "runtime" / "onnxruntime" / "capi").is_dir())
        self.assertFalse((folder / "runtime" / "onnxruntime" / "transformers").exists())
        # As an endpoint asks it: with the runtime that it brings along, and nothing of the converters.
        asked = [IMAGE, "-c", ANSWERS, folder, "7,7,0,0", "1,1,1,1"]
        told = subprocess.run(asked, env={**os.environ, "PYTHONPATH": ""}, capture_output=True, text=True, check=False)
        self.assertEqual(told.stdout.split(), ["2", "0", "[0,", "1,", "2]", "(1,", "3)", "False"], told.stderr)

    def test_dense_layers_become_int8_where_that_keeps_the_answers(self):
        # Large enough that the weights are most of the file.
        net = MLPClassifier((200, 200), random_state=0, max_iter=30).fit(self.rows, self.labels)
        code, _ = self.compiled(net, "--int8", "--tolerance", "0.05")
        self.assertEqual(code, 0, self.said)
        _, figures = self.output()
        self.assertEqual(figures["precision"], "int8")
        self.assertLess(figures["bytes"]["compiled"], figures["tried"]["float32"]["bytes"] / 2)
        self.assertLessEqual(figures["unequal"], 10)

    def test_one_that_answers_otherwise_is_refused(self):
        tree = DecisionTreeClassifier(random_state=0).fit(self.rows, self.labels)
        other = """
            def onnx_model(model_dir):
                import joblib
                from toolkit.compiled import converters
                tree = joblib.load(model_dir + "/model.joblib")
                tree.tree_.threshold[0] = 2.5
                return converters.sklearn(tree)
        """
        code, said = self.compiled(tree, compile=other)
        self.assertEqual(code, 1, self.said)
        self.assertRegex(said, r"the compiled model answers \d+ of 200 held-out examples otherwise than the original")
        self.assertRegex(
            said, r"tolerance \(0.005\) lets 1 pass: the answer to rows.csv:\d+ was \d and became \d; raise"
        )
        self.assertFalse((self.ml / "processing" / "output").exists())

    def test_code_that_needs_the_framework_is_refused(self):
        tree = DecisionTreeClassifier(random_state=0).fit(self.rows, self.labels)
        code, said = self.compiled(tree, serve="import sklearn.tree\n" + SERVE)
        self.assertEqual(code, 1, self.said)
        self.assertIn("the compiled model can't answer", said)
        self.assertIn("serve_uncompiled.py:1: ModuleNotFoundError: sklearn isn't at hand", said)

    def test_what_is_no_onnx_is_refused_and_an_error_of_the_folders_own_told_with_its_line(self):
        wrong = {
            "return b'no model'": "what onnx_model returned isn't a model that onnxruntime runs",
            "return 1 / 0": "compile.py:2: ZeroDivisionError",
        }
        for number, (text, sentence) in enumerate(wrong.items()):
            folder = self.ml.parent / str(number) / "model"
            (folder / "code").mkdir(parents=True)
            (folder / "code" / "compile.py").write_text(f"def onnx_model(model_dir):\n    {text}\n")
            with self.assertRaises(ToolkitError) as refused:
                making.in_a_process(Confinement(NOTHING, self.ml), folder, TOOLS, int8=False)
            self.assertIn(f"the model can't be compiled: {sentence}", str(refused.exception))


class Estimators(unittest.TestCase):
    """Those of scikit-learn that are converted by themselves."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.rows = np.random.default_rng(0).normal(size=(200, 4))
        self.words = np.array(["a", "b", "c"])[(self.rows[:, 0] > 0).astype(int) + (self.rows[:, 1] > 0)]

    def compiled(self, estimator):
        content = converters.sklearn(estimator).SerializeToString()
        (self.folder / "model.onnx").write_bytes(conversion.optimised(content))
        return OnnxModel(self.folder)

    def test_classifiers_of_words(self):
        line = make_pipeline(StandardScaler(), LogisticRegression())
        for estimator in (line, HistGradientBoostingClassifier(max_iter=5), GaussianNB()):
            with self.subTest(type(estimator).__name__):
                found = self.compiled(estimator.fit(self.rows, self.words))
                self.assertEqual(found.predict(self.rows).tolist(), estimator.predict(self.rows).tolist())
                self.assertEqual(found.classes_.tolist(), ["a", "b", "c"])
                difference = found.predict_proba(self.rows) - estimator.predict_proba(self.rows)
                self.assertLess(np.abs(difference).max(), 1e-3)

    def test_regressors_of_a_number_and_of_several(self):
        for target in (self.rows[:, 0] * 2, self.rows[:, :2] + 1):
            estimator = Ridge().fit(self.rows, target)
            found = self.compiled(estimator)
            self.assertEqual(found.predict(self.rows).shape, target.shape)
            self.assertLess(np.abs(found.predict(self.rows) - estimator.predict(self.rows)).max(), 1e-4)
            self.assertFalse(hasattr(found, "classes_") or hasattr(found, "predict_proba"))

    def test_what_has_no_converter_or_says_no_width_is_refused(self):
        with self.assertRaisesRegex(ToolkitError, "skl2onnx can't convert .*; write onnx_model in compile.py"):
            converters.sklearn(make_pipeline(FunctionTransformer(np.sin), Ridge()).fit(self.rows, self.rows[:, 0]))
        with self.assertRaisesRegex(ToolkitError, "Ridge doesn't say how many numbers a row has: write features=64"):
            converters.sklearn(Ridge())


ANSWERS = """
import sys
from pathlib import Path
folder, *rows = sys.argv[1:]
sys.path.insert(0, folder + "/code")
from toolkit import serving
functions = serving.load_functions(Path(folder, "code"))
model = functions.load(folder)
print(functions.answer(model, "\\n".join(rows)), model.classes_.tolist())
print(model.predict_proba([[7, 7, 0, 0]]).shape, "sklearn" in sys.modules)
"""


class Parts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "code").mkdir()

    def test_answers_are_alike_as_far_as_float32_goes(self):
        same = [
            ("7", "7"),
            ("0.5,0.25", "0.50000001,0.25"),
            ("a,0.5", "a,0.500001"),
            ('{"a": [0.5]}', '{"a": [0.50001]}'),
        ]
        other = [
            ("7", "8"),
            ("0.5", "0.6"),
            ("a", "b"),
            ("1,2", "1,2,3"),
            ('{"a": 1.5}', '{"b": 1.5}'),
            ("7", "7.1"),
            ("true", "1.0"),
        ]
        for pair in same:
            self.assertTrue(comparing.alike(*pair), pair)
        for pair in other:
            self.assertFalse(comparing.alike(*pair), pair)
        self.assertEqual(comparing.unequal(["1", "2", "3"], ["1", "5", "3"]), [1])

    def test_int8_is_taken_where_it_keeps_the_answers_and_else_float32(self):
        def found(**unequal):
            return {name: compiler.Compared(self.folder, 1, list(range(count))) for name, count in unequal.items()}

        self.assertEqual(compiler.chosen(found(float32=0, int8=1), 200, 0.005), "int8")
        self.assertEqual(compiler.chosen(found(float32=1, int8=2), 200, 0.005), "float32")
        self.assertIsNone(compiler.chosen(found(float32=2, int8=2), 200, 0.005))
        self.assertEqual(compiler.chosen(found(float32=0), 200, 0), "float32")

    def test_an_old_python_is_refused(self):
        with self.assertRaisesRegex(ToolkitError, "needs an image with Python 3.11 or newer.*this one has 3.10"):
            compiler.check_python((3, 10))
        compiler.check_python((3, 11))

    def test_what_is_kept_are_files_of_the_model(self):
        (self.folder / "words.json").write_text("[]")
        (self.folder / "code" / "serve.py").write_text("")
        for keep in ("words.json", ["no.json"], ["../words.json"], ["code/serve.py"], [1]):
            self.addCleanup(sys.modules.pop, "compile", None)
            sys.modules["compile"] = type("compile", (), {"KEEP": keep})
            with self.assertRaisesRegex(ToolkitError, "KEEP of compile.py"):
                conversion.kept(self.folder)
        sys.modules["compile"].KEEP = ["words.json"]
        self.assertEqual(conversion.kept(self.folder), ["words.json"])

    def test_what_onnx_model_may_return(self):
        (self.folder / "model.onnx").write_bytes(b"onnx")
        for made in (b"onnx", bytearray(b"onnx"), self.folder / "model.onnx", str(self.folder / "model.onnx")):
            self.assertEqual(conversion._bytes(made, "onnx_model"), b"onnx")
        with self.assertRaisesRegex(ToolkitError, "onnx_model returned NoneType; it returns ONNX: bytes"):
            conversion._bytes(None, "onnx_model")
        with self.assertRaisesRegex(ToolkitError, "which can't be read: No such file"):
            conversion._bytes(self.folder / "none.onnx", "onnx_model")

    def test_what_a_compiled_model_does_without_its_own_requirements_say(self):
        self.assertIn("pandas", making.not_at_hand(self.folder / "code"))
        (self.folder / "code" / "requirements.txt").write_text("# why\nPandas==3.1.1  # tables\nscikit_learn>=1\n")
        self.assertEqual({"pandas", "sklearn"} & set(making.not_at_hand(self.folder / "code")), set())
        self.assertIn("torch", making.not_at_hand(self.folder / "code"))

    def test_a_transform_fn_cannot_be_taken_apart(self):
        (self.folder / "code" / "serve_uncompiled.py").write_text("def transform_fn(model, body, kind, accept): pass\n")
        self.addCleanup(sys.modules.pop, "serve_uncompiled", None)
        self.addCleanup(sys.path.remove, str(self.folder / "code"))
        sys.path.insert(0, str(self.folder / "code"))
        with self.assertRaisesRegex(ServingError, "compile.py must have input_fn, predict_fn, output_fn"):
            serving.functions(self.folder / "code")

    def test_hidden_modules_are_not_found(self):
        done = model_process.PROCESSES.Process(target=_imports_hidden)
        done.start()
        done.join()
        self.assertEqual(done.exitcode, 0)


def _imports_hidden():
    model_process.hide(["sklearn"])
    importlib.import_module("numpy")
    try:
        importlib.import_module("sklearn.tree")
    except ModuleNotFoundError:
        sys.exit(0)
    sys.exit(1)
