"""The bootstrap against scikit-learn's metrics and against what is known. Runs in an image's Python."""

import unittest
import warnings

import numpy as np

from toolkit import bootstrap, metrics

OF_TWO_CLASSES = ["f1", "precision", "recall", "jaccard"]
AVERAGED = [f"{name}_{average}" for name in OF_TWO_CLASSES for average in ("macro", "micro", "weighted")]
OF_LABELS = ["accuracy", "balanced_accuracy", "matthews_corrcoef", *AVERAGED]


class Formulas(unittest.TestCase):
    """A resample is judged as scikit-learn would judge it."""

    def setUp(self):
        warnings.simplefilter("ignore")  # scikit-learn warns of classes without an example; small samples have some
        self.random = np.random.default_rng(0)

    def agree(self, metric, resampler, labels, answers):
        (ours,) = next(resampler(metric, labels, [answers], exact=True)(1, self.random))
        self.assertAlmostEqual(ours[0], metrics.score(metric, labels, answers), places=9, msg=metric)

    def test_several_classes(self):
        for _ in range(20):
            n, classes = self.random.integers(3, 60), self.random.integers(3, 8)
            labels, guesses = self.random.integers(0, classes, (2, n))
            answers = np.where(self.random.random(n) < 0.6, labels, guesses)
            for metric in OF_LABELS:
                self.agree(metric, bootstrap._by_counts, labels, answers)

    def test_two_classes(self):
        for _ in range(20):
            labels, answers = self.random.integers(0, 2, (2, 30))
            for metric in OF_TWO_CLASSES:
                self.agree(metric, bootstrap._by_counts, labels, answers)

    def test_words_are_labels_too(self):
        labels = np.array(["cat", "dog", "dog", "eel"])
        answers = np.array(["cat", "dog", "eel", "fox"])
        for metric in OF_LABELS:
            self.agree(metric, bootstrap._by_counts, labels, answers)

    def test_numbers(self):
        for _ in range(10):
            labels = self.random.random(25) * 3 + 0.1
            answers = abs(labels + self.random.normal(size=25) / 10) + 0.01
            for metric in metrics.REGRESSION:
                self.agree(metric, bootstrap._by_examples, labels, answers)

    def test_another_metric_is_scikit_learns_own(self):
        labels, answers = np.array([0, 1, 1, 0, 2, 2]), np.array([0, 1, 0, 0, 2, 1])
        values = bootstrap.scores("adjusted_rand_score", labels, [answers], bootstrap.Resampling(resamples=3))
        self.assertEqual(values.shape, (1, 3))


class Intervals(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(1)
        self.labels = self.random.integers(0, 10, 400)
        self.good = np.where(self.random.random(400) < 0.95, self.labels, 0)
        self.bad = np.where(self.random.random(400) < 0.80, self.labels, 0)

    def difference(self, one, other, metric="accuracy", **how):
        how = bootstrap.Resampling(**how)
        values = bootstrap.scores(metric, self.labels, [one, other], how)
        return bootstrap.interval(values[0] - values[1], how.confidence)

    def test_the_same_answers_differ_by_nothing(self):
        self.assertEqual(self.difference(self.good, self.good, "f1_macro"), (0.0, 0.0))

    def test_a_better_model_is_surely_better_and_the_other_way_round(self):
        self.assertGreater(self.difference(self.good, self.bad, "f1_macro")[0], 0)
        self.assertLess(self.difference(self.bad, self.good, "f1_macro")[1], 0)

    def test_one_seed_one_interval(self):
        one, again, other = (self.difference(self.good, self.bad, "f1_macro", seed=seed) for seed in (0, 0, 1))
        self.assertEqual(one, again)
        self.assertNotEqual(one, other)

    def test_more_confidence_is_a_wider_interval(self):
        narrow, wide = (self.difference(self.good, self.bad, confidence=confidence) for confidence in (0.5, 0.99))
        self.assertLess(wide[0], narrow[0])
        self.assertGreater(wide[1], narrow[1])

    def test_spread_is_that_of_the_paired_difference(self):
        """For accuracy the standard error is known: that of the mean of d = right(one) - right(other) in {-1, 0, 1}."""
        d = (self.good == self.labels).astype(float) - (self.bad == self.labels)
        error = d.std() / np.sqrt(len(d))
        low, high = self.difference(self.good, self.bad, resamples=20000)
        self.assertAlmostEqual(low, d.mean() - 1.96 * error, delta=0.1 * error + 1 / 400)
        self.assertAlmostEqual(high, d.mean() + 1.96 * error, delta=0.1 * error + 1 / 400)

    def test_kinds_and_examples_are_the_same_bootstrap(self):
        """Drawing counts of kinds and drawing examples one by one give one distribution."""
        how = bootstrap.Resampling(resamples=20000)
        counted = bootstrap.scores("accuracy", self.labels, [self.bad], how)[0]
        right = (self.bad == self.labels).astype(float)
        drawn = right[self.random.integers(0, 400, (20000, 400))].mean(axis=1)
        self.assertAlmostEqual(counted.mean(), drawn.mean(), delta=0.001)
        self.assertAlmostEqual(counted.std(), drawn.std(), delta=0.001)


if __name__ == "__main__":
    unittest.main()
