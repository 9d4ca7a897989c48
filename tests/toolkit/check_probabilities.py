"""Metrics of probabilities are scikit-learn's, on the examples and on any resample. Runs in an image's Python."""

import unittest

import numpy as np
from sklearn import metrics as scikit_learn

from toolkit import class_columns, probabilities
from toolkit.bootstrap import Resampling
from toolkit.errors import NoAnswersError, ToolkitError

THEIRS = {
    "roc_auc": lambda truth, answers: scikit_learn.roc_auc_score(truth, answers[:, 1]),
    "average_precision": lambda truth, answers: scikit_learn.average_precision_score(truth, answers[:, 1]),
    "neg_log_loss": lambda truth, answers: -scikit_learn.log_loss(truth, answers, labels=range(answers.shape[1])),
    "neg_brier_score": lambda truth, answers: (
        -scikit_learn.brier_score_loss(
            truth, answers[:, 1] if answers.shape[1] == 2 else answers, labels=range(answers.shape[1])
        )
    ),
    "roc_auc_ovr": lambda truth, answers: scikit_learn.roc_auc_score(
        truth, answers[:, 1] if answers.shape[1] == 2 else answers, multi_class="ovr"
    ),
}


def made(classes, n=200):
    """Classes and answers about them, with ties."""
    random = np.random.default_rng(classes)
    truth = random.integers(0, classes, n)
    answers = random.random((n, classes)) + np.eye(classes)[truth]
    answers = np.round(answers / answers.sum(-1, keepdims=True), 1)
    return truth, answers / answers.sum(-1, keepdims=True)


class Values(unittest.TestCase):
    def same(self, metric, truth, answers):
        ours, theirs = probabilities.score(metric, truth, answers), THEIRS[metric](truth, answers)
        self.assertAlmostEqual(ours, theirs, 9, metric)

    def test_two_classes(self):
        truth, answers = made(2)
        for metric in THEIRS:
            self.same(metric, truth, answers)
        self.assertEqual(set(probabilities.overview(truth, answers)), {*THEIRS, "neg_expected_calibration_error"})

    def test_many_classes(self):
        truth, answers = made(5)
        for metric in ("neg_log_loss", "neg_brier_score", "roc_auc_ovr"):
            self.same(metric, truth, answers)
        self.assertFalse({"roc_auc", "average_precision"} & set(probabilities.overview(truth, answers)))

    def test_certain_and_wrong(self):
        truth, answers = np.array([0, 1, 1]), np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
        for metric in THEIRS:
            self.same(metric, truth, answers)

    def test_calibration(self):
        sure = np.array([[0.1, 0.9]] * 10 + [[0.4, 0.6]] * 10)
        # Nine of the ten of which it is sure to 0.9 are right, and all of the others, where it said 0.6.
        truth = np.array([1] * 9 + [0] + [1] * 10)
        self.assertAlmostEqual(
            probabilities.score("neg_expected_calibration_error", truth, sure), -0.5 * abs(0.6 - 1.0), 9
        )

    def test_a_resample_is_what_scikit_learn_says_of_it(self):
        how = Resampling(resamples=20)
        for classes in (2, 4):
            truth, answers = made(classes)
            drawn = np.random.default_rng(how.seed).integers(0, len(truth), size=(how.resamples, len(truth)))
            for metric in THEIRS if classes == 2 else ("neg_log_loss", "neg_brier_score", "roc_auc_ovr"):
                ours = probabilities.resampled(metric, truth, [answers, answers[:, ::-1]], how)
                theirs = [[THEIRS[metric](truth[each], a[each]) for each in drawn] for a in (answers, answers[:, ::-1])]
                np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=metric)

    def test_a_resample_without_a_class_is_left_out(self):
        truth, answers = np.array([1, 0, 0, 0]), np.array([[0.4, 0.6]] + [[0.6, 0.4]] * 3)
        values = probabilities.resampled("roc_auc", truth, [answers], Resampling(resamples=500))
        self.assertTrue(200 < values.shape[1] < 400)
        self.assertTrue(np.isfinite(values).all())
        # The loss needs no class: nothing is left out.
        losses = probabilities.resampled("neg_log_loss", truth, [answers], Resampling(resamples=500))
        self.assertEqual(losses.shape[1], 500)


class Answers(unittest.TestCase):
    def test_read(self):
        two, three = np.array(["a", "b"]), np.array(["a", "b", "c"])
        for texts, classes, values in (
            (["0.25", "1"], two, [[0.75, 0.25], [0, 1]]),
            (["0.75,0.25", "[0, 1]"], two, [[0.75, 0.25], [0, 1]]),
            (["0.333,0.333,0.333"], three, [[0.333] * 3]),
        ):
            columns, read = probabilities.read("m", texts, classes)
            np.testing.assert_allclose(read, values)
            np.testing.assert_array_equal(columns, classes)

    def test_a_class_that_is_not_held_out(self):
        """The model says which of its probabilities is whose, or the labels are counted from 0."""
        for held_out, own, width, columns in (
            (["a", "c"], ["c", "b", "a"], 3, ["c", "b", "a"]),
            ([1, 3], ["3.0", "1.0", "2.0"], 3, [3, 1, 2]),
            ([0, 2], None, 4, [0, 1, 2, 3]),
            ([0, 2], ["0", "2", "5", "7"], 4, [0, 2, 5, 7]),
            # Of another model, or not the answers' own: the labels decide.
            ([0, 2], ["0", "1"], 4, [0, 1, 2, 3]),
            ([0, 2], ["1", "3", "5", "7"], 4, [0, 1, 2, 3]),
        ):
            text = ",".join(["0.25" if width == 4 else "0.333"] * width)
            found, _ = probabilities.read("m", [text], np.array(held_out), own)
            self.assertEqual(found.tolist(), columns)
        for held_out, own in ((["a", "c"], None), ([1, 2], None), ([0, 7], None), (["a", "c"], ["a", "b", "d"])):
            with self.assertRaisesRegex(NoAnswersError, "if the held-out data lack a class .*hold out examples of it"):
                probabilities.read("m", ["0.2,0.3,0.5"], np.array(held_out), own)

    def test_models_of_different_classes_side_by_side(self):
        classes, placed = class_columns.together(
            {"one": np.array([[0.2, 0.8]]), "other": np.array([[0.5, 0.3, 0.2]])},
            {"one": np.array(["a", "c"]), "other": np.array(["c", "b", "a"])},
        )
        self.assertEqual(classes.tolist(), ["a", "b", "c"])
        np.testing.assert_allclose(placed["one"], [[0.2, 0, 0.8]])
        np.testing.assert_allclose(placed["other"], [[0.2, 0.3, 0.5]])

    def test_ranking_is_of_the_classes_that_have_examples(self):
        truth, answers = made(3)
        there = truth < 2
        two = scikit_learn.roc_auc_score(truth[there] == 0, answers[there][:, 0])
        other = scikit_learn.roc_auc_score(truth[there] == 1, answers[there][:, 1])
        ours = probabilities.score("roc_auc_ovr", truth[there], answers[there])
        self.assertAlmostEqual(ours, (two + other) / 2, 9)

    def test_refused(self):
        for texts, classes, said in (
            (["0.5", "cat"], 2, "the m answered 'cat'; a probability from 0 to 1 is needed"),
            (["1.5"], 2, "answered '1.5'"),
            (["nan"], 2, "answered 'nan'"),
            (["0.5,0.9"], 2, "sum up to 1"),
            (["0.5"], 3, "answers one probability; the held-out labels have 3 classes: answer 3, one a class"),
            (["0.5,0.5"], 3, "answers 2 probabilities; the held-out labels have 3 classes"),
            (["0.2,0.3,0.5"], 2, "answers 3 probabilities; the held-out labels have 2 classes: answer the second"),
            (["0.5", "0.5,0.5"], 2, "now one probability, now two"),
        ):
            with self.assertRaises(NoAnswersError) as raised:
                probabilities.read("m", texts, np.array(["a", "b", "c"][:classes]))
            self.assertIn(said, str(raised.exception))
            self.assertEqual(raised.exception.model, "m")

    def test_classes(self):
        probabilities.check_classes("roc_auc", [0, 1])
        probabilities.check_classes("neg_log_loss", ["a", "b", "c"])
        for metric, classes, said in (
            (
                "roc_auc",
                ["a", "b", "c"],
                "is of two classes, but the held-out labels have 3 (a, b, c); use roc_auc",
            ),
            ("neg_log_loss", ["a"], "needs two classes or more, but all held-out labels are a"),
        ):
            with self.assertRaises(ToolkitError) as raised:
                probabilities.check_classes(metric, classes)
            self.assertIn(said, str(raised.exception))
            self.assertNotIsInstance(raised.exception, NoAnswersError)


if __name__ == "__main__":
    unittest.main()
