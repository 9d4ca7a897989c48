"""An XGBoost booster in ONNX. Runs in XGBoost's image."""

import os
import subprocess
import sys
import unittest

# Where the converters are, in front of the image's packages; others of this process have imported what they replace.
AROUND = {**os.environ, "PYTHONPATH": os.pathsep.join([os.environ["CONVERTERS"], os.environ["PYTHONPATH"]])}

SCRIPT = """
import tempfile
from pathlib import Path
import numpy as np, xgboost
from toolkit.compiled import conversion, converters, model
from toolkit.errors import ToolkitError
rows = np.random.default_rng(0).normal(size=(200, 3))
labels = (rows[:, 0] > 0).astype(int) + (rows[:, 1] > 0)
data = xgboost.DMatrix(rows, labels)
def compiled(booster):
    into = Path(tempfile.mkdtemp())
    (into / "model.onnx").write_bytes(conversion.optimised(converters.xgboost(booster).SerializeToString()))
    return model.OnnxModel(into)
several = xgboost.train({"objective": "multi:softprob", "num_class": 3}, data, 10)
probabilities = compiled(several).output("probabilities", rows)
assert np.abs(probabilities - several.predict(data)).max() < 1e-5
assert (compiled(several).predict(rows) == several.predict(data).argmax(1)).all()
number = xgboost.train({"objective": "reg:squarederror"}, data, 10)
assert np.abs(compiled(number).predict(rows) - number.predict(data)).max() < 1e-4
fitted = xgboost.XGBClassifier(n_estimators=5).fit(rows, labels)
assert np.abs(compiled(fitted).output("probabilities", rows) - fitted.predict_proba(rows)).max() < 1e-5
try:
    converters.xgboost(xgboost.train({"booster": "gblinear"}, data, 2))
except ToolkitError as error:
    assert "onnxmltools can't convert Booster" in str(error) and "write onnx_model in compile.py" in str(error), error
else:
    raise AssertionError
"""


class Boosters(unittest.TestCase):
    def test_a_booster_answers_as_xgboost_does(self):
        done = subprocess.run([sys.executable, "-c", SCRIPT], env=AROUND, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
