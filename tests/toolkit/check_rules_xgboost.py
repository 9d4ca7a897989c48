"""Rules on boosted trees. Runs in the XGBoost image's Python."""

import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
import xgboost

from toolkit.probe import Probe
from toolkit.rules.feed import Feed
from toolkit.rules.judging import Configuration, Judge


class Trees(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        random = np.random.default_rng(0)
        x = random.normal(size=(600, 6))
        y = (x[:, 0] + x[:, 1] * x[:, 2] + random.normal(size=600) > 0).astype(int)
        probe = Probe(directory=Path(folder.name))
        train, validation = xgboost.DMatrix(x[:300], y[:300]), xgboost.DMatrix(x[300:], y[300:])
        settings = {"max_depth": 7, "objective": "binary:logistic", "eval_metric": "logloss", "eta": 0.5}
        evals = [(train, "train"), (validation, "validation")]
        watched = [probe.watch(xgboost)]
        xgboost.train(settings, train, 15, evals=evals, verbose_eval=False, callbacks=watched)
        probe.close()
        self.folder = Path(folder.name)

    def status(self, rule, **parameters):
        feed = Feed(self.folder)
        judge = Judge(Configuration(rule, rule, parameters), feed, time.time)
        for moment in feed.moments():
            judge.judge(moment)
        judge.finish(feed.seen)
        return judge.status

    def test_tree_depth(self):
        found = self.status("TreeDepth")
        self.assertEqual((found.status, found.step, found.value), ("IssuesFound", 0, 7.0), found)
        self.assertEqual(self.status("TreeDepth", depth=7).status, "NoIssuesFound")

    def test_feature_importance_overweight(self):
        self.assertEqual(self.status("FeatureImportanceOverweight").status, "NoIssuesFound")
        found = self.status("FeatureImportanceOverweight", threshold=0.2)
        self.assertEqual((found.status, found.step), ("IssuesFound", 0), found)

    def test_overfit_by_the_metrics(self):
        found = self.status("Overfit", tensor_regex="metric/.*logloss", ratio_threshold=1.0)
        self.assertEqual(found.status, "IssuesFound", found)
        self.assertEqual(
            self.status("Overfit", tensor_regex="metric/.*logloss", ratio_threshold=50).status, "NoIssuesFound"
        )

    def test_what_is_missing_is_said(self):
        found = self.status("LossNotDecreasing")
        self.assertEqual(found.status, "Error")
        self.assertIn("metric/train-logloss", found.reason)


if __name__ == "__main__":
    unittest.main()
