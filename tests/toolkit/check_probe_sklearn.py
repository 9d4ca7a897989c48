"""The probe on scikit-learn's estimators. Runs in the scikit-learn image's Python."""

import io
import logging
import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from toolkit.probe import Probe, Trial


class Estimators(unittest.TestCase):
    def setUp(self):
        warnings.simplefilter("ignore")  # that a network of three iterations hasn't converged
        self.x = np.random.default_rng(0).normal(size=(120, 3))
        self.y = (self.x[:, 1] > 0).astype(int)

    def watched(self, model, fit=True):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        probe = Probe(directory=Path(folder.name))
        probe.watch(model.fit(self.x, self.y) if fit else model)
        probe.close()
        return Trial(folder.name)

    def test_a_forest(self):
        model = RandomForestClassifier(5, max_depth=3, random_state=0)
        trial = self.watched(model)
        np.testing.assert_array_equal(trial.value("importance/features", 0), model.feature_importances_)
        self.assertEqual(trial.value("tree/depth", 0).tolist(), [tree.get_depth() for tree in model.estimators_])
        self.assertGreater(float(trial.value("importance/features/f1", 0)), 0.5)

    def test_what_a_fit_kept_by_iteration(self):
        model = GradientBoostingClassifier(n_estimators=6)
        trial = self.watched(model)
        self.assertEqual([float(trial.value("loss/train", step)) for step in range(6)], model.train_score_.tolist())
        self.assertEqual(trial.value("tree/nodes", 5).shape, (6,))
        self.assertEqual(self.watched(MLPClassifier((4,), max_iter=3)).steps("loss/train"), [0, 1, 2])

    def test_a_pipelines_last_step(self):
        trial = self.watched(make_pipeline(StandardScaler(), LogisticRegression()))
        self.assertEqual(trial.value("coefficients", 0).shape, (1, 3))

    def test_one_that_is_not_fitted(self):
        log = io.StringIO()
        handler = logging.StreamHandler(log)
        logging.getLogger("ratchet.probe").addHandler(handler)
        self.addCleanup(logging.getLogger("ratchet.probe").removeHandler, handler)
        self.watched(LogisticRegression(), fit=False)
        self.assertIn("LogisticRegression isn't fitted yet: call probe.watch(model) after fit", log.getvalue())


if __name__ == "__main__":
    unittest.main()
