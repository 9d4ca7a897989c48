"""What the XGBoost image's container does for a serve.py with nothing but a model_fn."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import xgboost

from toolkit import image_functions, serving
from toolkit.errors import ServingError

ROWS = np.array([[0.5, 0.0], [2.0, 4.0]])
SERVE = """
import xgboost

def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(model_dir + "/booster.json")
    return booster
"""


class Requests(unittest.TestCase):
    def test_csv_and_libsvm(self):
        for body, content_type in (
            ("0.5,0\n2,4", "text/csv"),
            ("0.5;0\n2;4", "text/csv; charset=utf-8"),
            (b"1 0:0.5\n0 0:2 1:4\n", "text/libsvm"),
            (b"1 1:0.5\n0 1:2 2:4\n", "text/x-libsvm"),
        ):
            read = image_functions.dmatrix(body, content_type)
            np.testing.assert_array_equal(read.get_data().toarray(), ROWS)

    def test_an_empty_field_is_missing(self):
        self.assertEqual(image_functions.dmatrix("1,,3", "text/csv").num_nonmissing(), 2)

    def test_other_types_need_a_function(self):
        with self.assertRaisesRegex(ServingError, "application/json.*need an input_fn; without one there are text/csv"):
            image_functions.dmatrix("[1]", "application/json")


class Model(unittest.TestCase):
    def test_a_booster_answers_csv(self):
        with tempfile.TemporaryDirectory() as folder:
            code = Path(folder) / "code"
            code.mkdir()
            (code / "serve.py").write_text(SERVE)
            rows = np.arange(40.0).reshape(20, 2)
            booster = xgboost.train({"max_depth": 2}, xgboost.DMatrix(rows, label=rows[:, 0]), 5)
            booster.save_model(folder + "/booster.json")
            image = {"SAGEMAKER_TRAINING_MODULE": "sagemaker_xgboost_container.training:main"}
            with mock.patch.dict(os.environ, image):
                functions = serving.load_functions(code)
            answers = functions.answer(functions.load(folder), "1,2\n30,31").split()
            expected = booster.predict(xgboost.DMatrix(np.array([[1.0, 2.0], [30.0, 31.0]])))
            self.assertEqual(answers, [str(value) for value in expected])


if __name__ == "__main__":
    unittest.main()
