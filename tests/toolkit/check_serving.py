"""The code that travels with a model, and the framework containers' defaults. Runs in an image's Python."""

import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

from toolkit import serving


class Saving(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.code = Path(folder.name) / "code"
        self.write("serve.py", "train.py", "features/words.py", "labels.json", "requirements.txt")

    def write(self, *names):
        for name in names:
            path = self.code / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")

    def saved(self, model_dir):
        target = serving.save_serving_code(model_dir, self.code)
        return {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}

    def test_the_folders_code_and_the_toolkit(self):
        self.write("__pycache__/serve.pyc", ".git/config", "sample/train/rows.csv")
        found = self.saved(self.code.parent / "model")
        own = {"serve.py", "train.py", "features/words.py", "labels.json", "requirements.txt"}
        self.assertEqual({name for name in found if not name.startswith(("toolkit/", "contract/"))}, own)
        self.assertLess({"toolkit/serving.py", "contract/files.py"}, found)
        self.assertFalse([name for name in found if "__pycache__" in name])

    def test_the_running_scripts_folder_by_default(self):
        with mock.patch("sys.argv", [str(self.code / "train.py"), "--seed", "0"]):
            target = serving.save_serving_code(self.code.parent / "model")
        self.assertTrue((target / "features" / "words.py").is_file())

    def test_a_model_folder_inside_of_the_codes_isnt_copied_into_itself(self):
        self.assertNotIn("model/code/serve.py", self.saved(self.code / "model"))

    def test_the_toolkit_finds_the_contract_beside_itself_and_in_a_checkout(self):
        target = serving.save_serving_code(self.code.parent / "model", self.code).resolve()
        checkout = Path(__file__).resolve().parents[2]
        for place, contract in ((target, target), (checkout / "training_code", checkout)):
            asked = subprocess.run(
                [sys.executable, "-c", "import toolkit.serving, contract; print(contract.__file__)"],
                env={**os.environ, "PYTHONPATH": str(place)},
                cwd=self.code,
                capture_output=True,
                text=True,
                check=True,
            )
            self.assertEqual(asked.stdout.strip(), str(contract / "contract" / "__init__.py"))

    def test_saved_twice(self):
        self.assertEqual(self.saved(self.code.parent / "model"), self.saved(self.code.parent / "model"))

    def test_no_serve(self):
        (self.code / "serve.py").unlink()
        with self.assertRaisesRegex(serving.ServingError, r"has no serve\.py"):
            self.saved(self.code.parent / "model")


class Defaults(unittest.TestCase):
    """Source: the SageMaker Inference Toolkit's decoder and encoder."""

    def test_input(self):
        rows = np.array([[1, 2.5], [3, 4]])
        npy = io.BytesIO()
        np.save(npy, rows)
        for body, content_type in (
            ("1,2.5\n3,4\n", serving.CSV),
            (json.dumps(rows.tolist()), serving.JSON),
            (npy.getvalue(), serving.NPY),
        ):
            np.testing.assert_array_equal(serving.default_input(body, content_type), rows)

    def test_one_csv_line_has_one_dimension(self):
        self.assertEqual(serving.default_input("1,2,3", serving.CSV).shape, (3,))

    def test_output(self):
        self.assertEqual(serving.default_output(np.array([1, 2]), serving.CSV), "1\n2\n")
        self.assertEqual(serving.default_output(np.array(["a", "b"]), serving.CSV), "a\nb\n")
        self.assertEqual(serving.default_output(np.array([1, 2]), serving.JSON), "[1, 2]")
        written = serving.default_output(np.array([1, 2]), serving.NPY)
        np.testing.assert_array_equal(np.load(io.BytesIO(written)), [1, 2])

    def test_other_types_need_a_function(self):
        with self.assertRaisesRegex(serving.ServingError, "image/png.*need an input_fn"):
            serving.default_input(b"", "image/png")
        with self.assertRaisesRegex(serving.ServingError, "image/png.*need an output_fn"):
            serving.default_output([], "image/png")

    def test_a_pickle_is_no_request(self):
        npy = io.BytesIO()
        np.save(npy, np.array([{}], dtype=object), allow_pickle=True)
        with self.assertRaises(ValueError):
            serving.default_input(npy.getvalue(), serving.NPY)

    def test_a_model_without_predict(self):
        with self.assertRaisesRegex(serving.ServingError, "dict, which has no method predict"):
            serving.default_predict([], {})


if __name__ == "__main__":
    unittest.main()
