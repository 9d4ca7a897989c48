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

from toolkit import image_functions, serving
from toolkit.errors import ServingError


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
        with self.assertRaisesRegex(ServingError, r"has no serve\.py"):
            self.saved(self.code.parent / "model")


class ImageFunctions(unittest.TestCase):
    """scikit-learn's, and which images have others: check_serving_xgboost, check_serving_pytorch."""

    def test_input(self):
        rows = np.array([[1, 2.5], [3, 4]])
        npy = io.BytesIO()
        np.save(npy, rows)
        for body, content_type in (
            ("1,2.5\n3,4\n", image_functions.CSV),
            (json.dumps(rows.tolist()), image_functions.JSON),
            (npy.getvalue(), image_functions.NPY),
        ):
            np.testing.assert_array_equal(image_functions.array(body, content_type), rows)

    def test_one_csv_line_has_one_dimension(self):
        self.assertEqual(image_functions.array("1,2,3", image_functions.CSV).shape, (3,))

    def test_output(self):
        encoded = image_functions.encoded
        self.assertEqual(encoded(np.array([1, 2]), image_functions.CSV), "1\n2\n")
        self.assertEqual(encoded(np.array(["a", "b"]), image_functions.CSV), "a\nb\n")
        self.assertEqual(encoded(np.array([1, 2]), image_functions.JSON), "[1, 2]")
        np.testing.assert_array_equal(np.load(io.BytesIO(encoded(np.array([1, 2]), image_functions.NPY))), [1, 2])

    def test_other_types_need_a_function(self):
        with self.assertRaisesRegex(ServingError, "image/png.*need an input_fn"):
            image_functions.array(b"", "image/png")
        with self.assertRaisesRegex(ServingError, "image/png.*need an output_fn"):
            image_functions.encoded([], "image/png")

    def test_a_pickle_is_no_request(self):
        npy = io.BytesIO()
        np.save(npy, np.array([{}], dtype=object), allow_pickle=True)
        with self.assertRaises(ValueError):
            image_functions.array(npy.getvalue(), image_functions.NPY)

    def test_a_model_without_predict(self):
        with self.assertRaisesRegex(ServingError, "dict, which has no method predict"):
            image_functions.predict([], {})

    def test_the_image_says_whose_they_are(self):
        for variables, expected in (
            ({}, image_functions.array),
            ({"SAGEMAKER_TRAINING_MODULE": "sagemaker_sklearn_container.training:main"}, image_functions.array),
            ({"SAGEMAKER_SERVING_MODULE": "sagemaker_xgboost_container.serving:main"}, image_functions.dmatrix),
            ({"SAGEMAKER_TRAINING_MODULE": "sagemaker_pytorch_container.training:main"}, image_functions.tensor),
        ):
            self.assertEqual(image_functions.of_image(variables).input_fn, expected)


if __name__ == "__main__":
    unittest.main()
