"""The probe on XGBoost. Runs in the XGBoost image's Python."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import xgboost

from toolkit.probe import Probe, Trial
from toolkit.probe.settings import Settings


class Rounds(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        random = np.random.default_rng(0)
        self.x = random.normal(size=(200, 3))
        self.y = (self.x[:, 1] + self.x[:, 2] / 4 > 0).astype(int)

    def test_metrics_importances_and_trees_of_each_round(self):
        probe, told = Probe(Settings.of({"collections": {"importances": {}, "trees": {}}}), self.folder), {}
        data = xgboost.DMatrix(self.x, self.y, feature_names=["a", "b", "c"])
        settings = {"max_depth": 2, "objective": "binary:logistic", "eval_metric": ["logloss", "auc"]}
        callbacks = [probe.watch(xgboost)]
        booster = xgboost.train(
            settings, data, 4, evals=[(data, "train")], evals_result=told, verbose_eval=False, callbacks=callbacks
        )
        probe.close()
        trial = Trial(self.folder)
        self.assertEqual(
            [float(trial.value("metric/train-logloss", step)) for step in range(4)], told["train"]["logloss"]
        )
        gain = booster.get_score(importance_type="gain")
        for kind in ("weight", "gain", "cover", "total_gain", "total_cover"):
            scores = booster.get_score(importance_type=kind)
            expected = [scores.get(name, 0) for name in "abc"]
            np.testing.assert_allclose(trial.value(f"importance/{kind}", 3), expected, rtol=1e-5)
        self.assertAlmostEqual(float(trial.value("importance/gain/b", 3)), gain["b"], places=5)
        frame = booster.trees_to_dataframe()
        for step in range(4):
            self.assertEqual(trial.value("tree/nodes", step).tolist(), [int((frame.Tree == step).sum())])
            self.assertLessEqual(trial.value("tree/depth", step)[0], 2)

    def test_importances_and_trees_are_saved_ever_more_seldom(self):
        probe = Probe(directory=self.folder)
        data = xgboost.DMatrix(self.x, self.y)
        evals, watched = [(data, "train")], [probe.watch(xgboost)]
        xgboost.train({}, data, 20, evals=evals, verbose_eval=False, callbacks=watched)
        probe.close()
        trial = Trial(self.folder)
        self.assertEqual(trial.steps("metric/train-rmse"), list(range(20)))
        for name in ("importance/gain", "importance/gain/f0", "tree/depth"):
            self.assertEqual(trial.steps(name), [0, 8, 16], name)

    def test_the_estimator_with_several_trees_a_round(self):
        probe = Probe(Settings.of({"collections": {"trees": {}}}), self.folder)
        labels = np.arange(200) % 3
        model = xgboost.XGBClassifier(n_estimators=2, max_depth=3, callbacks=[probe.watch(xgboost)])
        model.fit(self.x, labels, eval_set=[(self.x, labels)], verbose=False)
        probe.close()
        self.assertEqual(Trial(self.folder).value("tree/depth", 1).shape, (3,))
        self.assertEqual(Trial(self.folder).steps("metric/validation_0-mlogloss"), [0, 1])


if __name__ == "__main__":
    unittest.main()
