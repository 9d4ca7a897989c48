"""Each rule fires at the right step, and doesn't where it must not. Runs in an image's Python."""

import json
import math
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np
from rules_kit import Job, series

from toolkit.probe.settings import Settings
from toolkit.rules import classification, tensors
from toolkit.rules.judging import Configuration, Judge
from toolkit.rules.table import RULES

RNG = np.random.default_rng(7)


class RuleCase(unittest.TestCase):
    def fires(self, job, at, rule, *parts, **parameters):
        status = job.status(rule, **parameters)
        self.assertEqual((status.status, status.step), ("IssuesFound", at), status)
        for part in parts:
            self.assertIn(part, status.reason)
        return status

    def quiet(self, job, rule, **parameters):
        status = job.status(rule, **parameters)
        self.assertEqual(status.status, "NoIssuesFound", status)
        return status

    def errs(self, job, rule, *parts, **parameters):
        status = job.status(rule, **parameters)
        self.assertEqual(status.status, "Error", status)
        for part in parts:
            self.assertIn(part, status.reason)


class Gradients(RuleCase):
    def test_vanishing_gradient(self):
        magnitudes = [1e-2, 1e-4, 1e-6, 1e-8, 1e-10]
        job = series([np.full(8, -m) for m in magnitudes], "gradient__conv__weight.gradient", every=500)
        status = self.fires(job, 1500, "VanishingGradient", "conv/weight.gradient", "below 1e-07")
        self.assertAlmostEqual(status.value, 1e-8)
        self.quiet(job, "VanishingGradient", threshold=1e-12)

    def test_vanishing_gradient_of_one_layer_among_many(self):
        job = Job().save(0, gradient__a=np.ones(3), gradient__b=np.ones(3))
        job.save(1, gradient__a=np.ones(3), gradient__b=np.zeros(3))
        self.fires(job, 1, "VanishingGradient", "|b|")

    def test_weight_update_ratio(self):
        weights = [np.ones(4), np.ones(4) * 1.01, np.ones(4) * 30]
        self.fires(series(weights, "weight__w"), 2, "WeightUpdateRatio", "since step 1", "above 10")
        self.fires(series([weights[0], weights[1], weights[1]], "weight__w"), 2, "WeightUpdateRatio", "below 1e-08")
        self.quiet(series(weights[:2], "weight__w"), "WeightUpdateRatio")
        self.quiet(series(weights, "weight__w"), "WeightUpdateRatio", large_threshold=50)

    def test_weight_update_ratio_over_steps(self):
        # Each step moves by 4 times; over two steps by 24.
        weights = [np.ones(4), np.ones(4) * 5, np.ones(4) * 25]
        self.quiet(series(weights, "weight__w"), "WeightUpdateRatio")
        status = self.fires(series(weights, "weight__w"), 2, "WeightUpdateRatio", "since step 0", num_steps=2)
        self.assertAlmostEqual(status.value, 24, places=5)

    def test_one_saved_step_is_too_few_to_compare(self):
        self.errs(series([np.ones(4)], "weight__w"), "WeightUpdateRatio", "too few steps")

    def good_start(self, **changed):
        job = Job()
        for step in range(12):
            parts = {
                "gradient__w.gradient": RNG.normal(size=100),
                "loss__loss": 2.0 - step / 10,
                "input__relu1__input": RNG.normal(size=(8, 50)),
                "input__relu2__input": RNG.normal(size=(8, 50)) * 2,
            }
            job.save(step, **{name: changed.get(name, lambda v, _: v)(value, step) for name, value in parts.items()})
        return job

    def test_poor_weight_initialization(self):
        self.quiet(self.good_start(), "PoorWeightInitialization")
        loud = self.good_start(input__relu2__input=lambda v, s: v * (1 if s < 3 else 100))
        self.fires(loud, 3, "PoorWeightInitialization", "variances")
        flat = self.good_start(**{"gradient__w.gradient": lambda v, _: v * 1e-5})
        self.fires(flat, 0, "PoorWeightInitialization", "percentile")
        stuck = self.good_start(loss__loss=lambda *_: 2.0)
        self.fires(stuck, 5, "PoorWeightInitialization", "no new minimum for 5 steps")

    def test_poor_weight_initialization_judges_the_first_steps_only(self):
        late = self.good_start(input__relu2__input=lambda v, s: v * (1 if s < 10 else 100))
        self.quiet(late, "PoorWeightInitialization")
        self.fires(late, 10, "PoorWeightInitialization", steps=12)


class Tensors(RuleCase):
    def test_exploding_tensor(self):
        job = series([np.ones(3), np.array([1, np.inf, 1]), np.array([1, np.nan, np.nan])], "output__x__output")
        self.fires(job, 1, "ExplodingTensor", "infinity (1 of 3 values)")
        self.fires(job, 2, "ExplodingTensor", "NaN (2 of 3 values)", only_nan=True)
        self.quiet(series([np.ones(3)] * 5, "weight__w"), "ExplodingTensor")

    def test_exploding_loss_and_evaluation(self):
        self.fires(series([1.0, 2.0, math.nan]), 2, "ExplodingTensor")
        job = series([1.0]).save(0, "EVAL", loss__val=math.inf)
        self.fires(job, 0, "ExplodingTensor", "val")
        self.quiet(job, "ExplodingTensor", tensor_regex="^train$")

    def test_all_zero(self):
        job = series([np.array([0, 0, 0, 1.0]), np.zeros(4)], "weight__w")
        self.fires(job, 1, "AllZero", "100 % of w is zero", tensor_regex=["w"])
        self.fires(job, 0, "AllZero", collection_names="weights", threshold=75)
        self.quiet(series([np.array([0, 0, 0, 1.0])] * 3, "weight__w"), "AllZero", collection_names="weights")

    def test_unchanged_tensor(self):
        values = [np.ones(3), np.ones(3) * 2, np.ones(3) * 3, np.ones(3) * 3, np.ones(3) * 3]
        self.fires(series(values, "weight__w", every=100), 400, "UnchangedTensor", "step 200", tensor_regex="w")
        self.quiet(series(values[:4], "weight__w"), "UnchangedTensor", tensor_regex="w")
        self.fires(series(values[:4], "weight__w"), 3, "UnchangedTensor", tensor_regex="w", num_steps=2)

    def test_unchanged_nan(self):
        job = series([np.full(2, np.nan)] * 4, "weight__w")
        self.quiet(job, "UnchangedTensor", tensor_regex="w")
        self.fires(job, 2, "UnchangedTensor", tensor_regex="w", equal_nan=True)

    def test_tensor_variance(self):
        job = series([np.array([-1.0, 1]), np.array([-4.0, 4]), np.array([-0.1, 0.1])], "output__x")
        status = self.fires(job, 1, "TensorVariance", "above 10", tensor_regex="x", max_threshold=10)
        self.assertAlmostEqual(status.value, 16)
        self.fires(job, 2, "TensorVariance", "below 0.5", tensor_regex="x", min_threshold=0.5)
        self.quiet(job, "TensorVariance", tensor_regex="x", max_threshold=20, min_threshold=0.001)

    def test_similar_across_runs(self):
        ours = series([np.ones(3), np.ones(3), np.ones(3) * 1.5], "weight__w")
        same = series([np.ones(3)] * 3, "weight__w")
        opened = tensors.SimilarAcrossRuns.opened
        self.addCleanup(setattr, tensors.SimilarAcrossRuns, "opened", staticmethod(opened))
        tensors.SimilarAcrossRuns.opened = staticmethod(lambda _place: same)
        status = self.fires(ours, 2, "SimilarAcrossRuns", "by up to 0.5", other_trial="there")
        self.assertAlmostEqual(status.value, 0.5)
        self.quiet(same, "SimilarAcrossRuns", other_trial="there")
        tensors.SimilarAcrossRuns.opened = staticmethod(lambda _place: series([], "weight__w"))
        self.errs(ours, "SimilarAcrossRuns", "the other run", other_trial="there")


class Activations(RuleCase):
    def of_layer(self, layer, name, values):
        """A job with one tensor of a layer of that type, whose name says nothing."""
        job = Job()
        job.save_named(0, "TRAIN", {name: values}, ["activation"], layer)
        return job

    def test_a_layer_is_found_by_its_type(self):
        dead, far = np.full((8, 5), -1.0), np.full((8, 5), 12.0)
        for layer in ("ReLU", "ReLU6", "relu"):
            self.fires(self.of_layer(layer, "1/output", dead), 0, "DeadRelu", "units of 1/output are dead")
        self.fires(self.of_layer("ReLU", "1/output:1", dead), 0, "DeadRelu")
        for layer in ("LeakyReLU", "PReLU", "RReLU", "GELU", "Conv2d", None):
            self.errs(self.of_layer(layer, "1/output", dead), "DeadRelu", "never saved; saved were 1/output")
        self.errs(self.of_layer("ReLU", "1/output.gradient", dead), "DeadRelu")
        self.errs(self.of_layer("LeakyReLU", "leaky_relu1/output", dead), "DeadRelu")
        # 12 is beyond tanh's threshold, 9.5, and within sigmoid's, 17.
        self.fires(self.of_layer("Tanh", "3/input", far), 0, "SaturatedActivation", "3/input")
        self.quiet(self.of_layer("Sigmoid", "3/input", far), "SaturatedActivation")
        self.fires(self.of_layer("Sigmoid", "3/input", 2 * far), 0, "SaturatedActivation")
        self.fires(self.of_layer("Embedding", "0/input", np.zeros((4, 9), int)), 0, "NLPSequenceRatio", "0/input")

    def test_dead_relu(self):
        alive = np.abs(RNG.normal(size=(16, 10))) + 0.1
        dying = alive.copy()
        dying[:, :5] = 0
        dead = alive.copy()
        dead[:, :6] = 0
        job = series([alive, dying, dead], "output__relu1__output", every=500)
        status = self.fires(job, 1000, "DeadRelu", "60 % of the units of relu1/output are dead")
        self.assertAlmostEqual(status.value, 60)
        self.quiet(series([alive, dying], "output__relu1__output"), "DeadRelu")
        self.fires(job, 500, "DeadRelu", threshold_layer=40)

    def test_dead_filters(self):
        images = np.abs(RNG.normal(size=(4, 8, 5, 5))) + 0.1
        images[:, :6] = 0
        self.fires(series([images], "output__relu__output"), 0, "DeadRelu", "75 %")
        images[0, :6, 2, 2] = 1  # one position of 100: 1 % is active enough
        self.quiet(series([images], "output__relu__output"), "DeadRelu")

    def test_saturated_activation(self):
        fine = RNG.normal(size=(16, 10))
        ends = fine.copy()
        ends[:, :6] = 12.0
        self.fires(series([fine, ends], "input__tanh__input"), 1, "SaturatedActivation", "60 %")
        # The same inputs leave a sigmoid its slope; 20 doesn't.
        self.quiet(series([fine, ends], "input__sigmoid__input"), "SaturatedActivation")
        self.fires(series([ends * 2], "input__sigmoid1__input"), 0, "SaturatedActivation")
        wide = {"threshold_tanh_min": "-20", "threshold_tanh_max": "20"}
        self.quiet(series([ends], "input__tanh__input"), "SaturatedActivation", **wide)


class Losses(RuleCase):
    def test_loss_not_decreasing(self):
        falling = [10 - i * 0.1 for i in range(30)]
        self.quiet(series(falling), "LossNotDecreasing")
        stuck = falling[:12] + [falling[11]] * 20
        # Judged at 10, 20, 30: at 20 it is still below the loss at 10; at 30 no more.
        self.fires(series(stuck), 30, "LossNotDecreasing", "at step 20")
        self.fires(series(falling), 10, "LossNotDecreasing", "by 50 %", diff_percent=50)
        self.fires(series(stuck), 16, "LossNotDecreasing", num_steps=4)

    def test_a_small_rise_is_noise(self):
        rising = [5 * 1.004**step for step in range(30)]  # 4 % in ten steps
        self.quiet(series(rising), "LossNotDecreasing")
        self.fires(series(rising), 10, "LossNotDecreasing", "by 3 % at most", increase_threshold_percent=3)
        self.fires(series([5 * 1.006**step for step in range(30)]), 10, "LossNotDecreasing", "by 5 % at most")

    def test_the_documentations_own_example(self):
        # Saved every 3 steps, num_steps 10: step 21 is compared with step 9, and judged again at 33.
        losses = {9: 5.0, 12: 4.0, 15: 4.0, 18: 4.0, 21: 4.5, 24: 9.0, 27: 9.0, 30: 9.0, 33: 9.0}
        job = Job()
        for step, loss in losses.items():
            job.save(step, loss__l=loss)
        self.fires(job, 33, "LossNotDecreasing", "after 4.5 at step 21")

    def test_loss_of_nan_fires_at_once(self):
        self.fires(series([1.0, 0.9, math.nan]), 2, "LossNotDecreasing", "NaN")
        self.fires(series([1.0] + [math.inf] * 12), 10, "LossNotDecreasing", "infinite")

    def test_loss_of_the_mode_that_is_asked_for(self):
        job = series([3 - i / 10 for i in range(25)])
        for step in range(25):
            job.save(step, "EVAL", loss__val=1.0)
        self.quiet(job, "LossNotDecreasing")
        self.fires(job, 10, "LossNotDecreasing", "val", mode="EVAL")
        self.fires(job, 10, "LossNotDecreasing", "val", mode="GLOBAL")

    def test_smoothing_bears_noise(self):
        noisy = [5 - i * 0.02 + (0.5 if i % 10 == 0 else -0.05) * (i > 5) for i in range(60)]
        self.fires(series(noisy), 10, "LossNotDecreasing")
        self.quiet(series(noisy), "LossNotDecreasing", smoothing=10)

    ROBUST = {"num_steps": 100, "smoothing": 50, "increase_threshold_percent": 0, "learned_percent": 10}  # noqa: RUF012 - read only

    def noisy(self, means, noise=0.1):
        return series([mean * (1 + noise * RNG.normal()) for mean in means])

    def test_what_has_learned_is_left_alone(self):
        fast = [0.1 + 2.2 * 0.9**step for step in range(600)]
        restarted = [loss + 0.8 * (step % 200 < 50) * (step >= 200) for step, loss in enumerate(fast)]
        for means in (fast, restarted, [2.3 - step / 1000 for step in range(600)]):
            self.assertEqual(self.noisy(means).status("LossNotDecreasing").status, "IssuesFound")
            self.quiet(self.noisy(means), "LossNotDecreasing", **self.ROBUST)

    def test_what_never_learned_or_has_lost_it_is_found(self):
        lost = [2.3 * 0.9**step if step < 300 else 2.4 for step in range(600)]
        self.fires(self.noisy(lost), 349, "LossNotDecreasing", "at step 249", **self.ROBUST)
        rising = [2.3 * 1.002**step for step in range(600)]
        self.fires(self.noisy(rising), 149, "LossNotDecreasing", "at step 49", **self.ROBUST)
        exploded = [2.3, *[1e6] * 20, *[2.8] * 600]
        self.fires(series(exploded), 249, "LossNotDecreasing", **self.ROBUST)
        self.assertEqual(self.noisy([2.3] * 1500).status("LossNotDecreasing", **self.ROBUST).status, "IssuesFound")
        self.fires(series([2.0, 1.0, math.nan]), 2, "LossNotDecreasing", "NaN", **self.ROBUST)

    def test_learned_is_a_share_of_where_it_began(self):
        job = series([10.0] + [9.4] * 30)
        self.fires(job, 20, "LossNotDecreasing", learned_percent=10)
        self.quiet(job, "LossNotDecreasing", learned_percent=5)
        below = series([-10.0] + [-10.4] * 30)
        self.fires(below, 20, "LossNotDecreasing", learned_percent=5)
        self.quiet(below, "LossNotDecreasing", learned_percent=4)

    def test_losses_that_are_no_scalars_are_not_averaged(self):
        job = Job()
        for step in range(20):
            job.save(step, loss__each=np.ones(8))
            job.save(step, "EVAL", loss__each=np.ones(8) * 5)
        for rule in ("LossNotDecreasing", "Overfit", "Overtraining"):
            with self.subTest(rule):
                self.errs(job, rule, "each", "shape (8,), no scalar", "losses.mean()")
        job = Job()
        for step in range(20):
            job.save(step, loss__each=np.ones(8), loss__one=[[1.0 - step / 100]])
        judged = self.quiet(job, "LossNotDecreasing")
        self.assertIn("each: it is a tensor of shape (8,)", judged.reason)
        ones = series([[0.5, 0.5]], "metric__accuracy", mode="EVAL")
        self.errs(ones, "AccuracyDrop", "accuracy", "no scalar", baseline=0.9)

    def test_what_is_no_loss_is_left_out_beside_one(self):
        """As with Debugger, an expression that finds everything does no harm."""
        job = Job()
        for step in range(40):
            job.save(step, loss__loss=2.0 * 0.9**step, tensor__features=np.full((4, 4), 1.0 + step))
            job.save_reduced(step, "weights", "mean", 1.0 + step)
            job.save(step, "EVAL", loss__loss=2.0 * 0.9**step, tensor__features=np.full((4, 4), 9.0 + step))
        for rule in ("LossNotDecreasing", "Overfit"):
            with self.subTest(rule):
                self.quiet(job, rule, tensor_regex=".*")

    def passes(self, pairs, train_steps=5):
        job, step = Job(), 0
        for number, (train, validation) in enumerate(pairs):
            for _ in range(train_steps):
                job.save(step, loss__loss=train)
                step += 1
            for part in range(2):  # a pass of two batches, the second much better than their mean
                job.save(number * 2 + part, "EVAL", loss__loss=validation * (1.5 - part))
        return job

    def test_overfit(self):
        job = self.passes([(1.0, 1.05), (0.8, 0.85), (0.5, 0.7), (0.4, 0.8)])
        status = self.fires(job, 5, "Overfit", "40 % above")
        self.assertAlmostEqual(status.value, 0.4)
        self.fires(job, 7, "Overfit", patience=2)
        self.fires(job, 7, "Overfit", start_step=6)
        self.quiet(job, "Overfit", ratio_threshold=2)
        self.quiet(self.passes([(1.0, 1.05), (0.5, 0.5)]), "Overfit")

    def test_overfit_judges_whole_passes(self):
        # The first batch of each pass alone would be 50 % above.
        self.quiet(self.passes([(1.0, 1.0)] * 4), "Overfit")

    def test_overfit_of_boosted_trees(self):
        job = Job()
        for step, (train, validation) in enumerate([(1.0, 1.05), (0.5, 0.54), (0.3, 0.5)]):
            job.save(step, **{"loss__train-rmse": train, "loss__validation-rmse": validation})
        self.fires(job, 2, "Overfit")

    def test_overfit_without_validation(self):
        self.errs(series([1.0, 0.9]), "Overfit", "a validation loss was never saved", "EVAL")

    def test_overtraining(self):
        better = [(2 - i / 5, 2.1 - i / 5) for i in range(5)]
        job = self.passes(better + [(1.2, 1.3)] * 12)
        # The last better pass is the fifth, steps 8 and 9 of EVAL; ten more have passed at the fifteenth.
        self.fires(job, 29, "Overtraining", "10 passes")
        self.fires(job, 13, "Overtraining", patience_validation=2)
        self.quiet(job, "Overtraining", patience_validation=13)
        self.quiet(self.passes([(20 - i, 21 - i) for i in range(15)]), "Overtraining")

    def test_overtraining_needs_both_to_stand_still(self):
        job = self.passes([(20 - i, 1.0) for i in range(15)])
        self.quiet(job, "Overtraining", patience_validation=3, patience_train=10)


class Progress(RuleCase):
    def test_stalled_training(self):
        judge = Judge(Configuration("StalledTraining", "s", {"threshold": 60}), series([1.0]), time.time)
        judge.idle(17, 59.0)
        self.assertEqual(judge.status.status, "InProgress")
        judge.idle(17, 61.0)
        self.assertEqual((judge.status.status, judge.status.step, judge.status.value), ("IssuesFound", 17, 61.0))
        self.quiet(series([1.0, 0.5]), "StalledTraining")


class Classification(RuleCase):
    def labelled(self, labels, predictions, steps=1, mode="TRAIN"):
        job = Job()
        for step in range(steps):
            job.save(step, mode, label__labels=labels, prediction__predictions=predictions)
        return job

    def test_class_imbalance(self):
        labels = np.array([0] * 190 + [1] * 10)
        job = self.labelled(labels, labels, steps=4)
        status = self.fires(job, 2, "ClassImbalance", "570 labels", "19 times")
        self.assertAlmostEqual(status.value, 19)
        self.fires(job, 0, "ClassImbalance", samples=100)
        self.quiet(job, "ClassImbalance", threshold_imbalance=20)

    def test_class_imbalance_by_mispredictions(self):
        labels = np.array([0] * 180 + [1] * 20)
        predictions = np.where(np.arange(200) < 195, 0, 1)  # 15 of class 1's 20 are missed
        job = self.labelled(labels, predictions, steps=3)
        self.fires(job, 2, "ClassImbalance", "75 % of class 1 is predicted wrong")
        self.quiet(job, "ClassImbalance", threshold_misprediction=0.8)

    def test_class_imbalance_of_probabilities(self):
        labels = np.arange(600) % 3
        job = self.labelled(labels, np.eye(3)[labels])
        self.quiet(job, "ClassImbalance", argmax=True)
        self.errs(job, "ClassImbalance", "argmax: true")

    def test_confusion(self):
        labels = np.repeat([0, 1, 2], 20)
        good = labels.copy()
        good[0] = 1
        bad = labels.copy()
        bad[:4] = 1
        job = self.labelled(labels, good)
        job.save(1, label__labels=labels, prediction__predictions=bad)
        self.fires(job, 1, "Confusion", "class 1 is right")
        self.quiet(self.labelled(labels, good), "Confusion")
        self.fires(job, 0, "Confusion", "is class 0", max_off_diag=0.01)
        self.quiet(job, "Confusion", min_diag=0.8, max_off_diag=0.2)

    def test_confusion_of_a_class_that_is_never_predicted(self):
        self.fires(self.labelled([0, 1, 1], [1, 1, 1]), 0, "Confusion", "class 0")

    def test_confusion_with_too_many_classes(self):
        self.errs(self.labelled([0, 1, 2], [0, 1, 2]), "Confusion", "within 0 and 1", category_no=2)

    def test_labels_without_predictions(self):
        job = Job().save(0, label__labels=np.zeros(600))
        for rule in ("ClassImbalance", "Confusion", "AccuracyDrop"):
            self.errs(job, rule, "no predictions were saved" if rule != "AccuracyDrop" else "accuracy")

    def accuracies(self, *right, of=10):
        job, step = Job(), 0
        for count in right:
            job.save(step, loss__loss=1.0)
            labels = np.zeros(of)
            for part in range(2):  # two batches: the first all right as far as it goes
                wrong = of - min(of, max(0, count - part * of))
                predictions = np.where(np.arange(of) < of - wrong, 0, 1)
                job.save(2 * step + part, "EVAL", label__labels=labels, prediction__predictions=predictions)
            step += 1
        job.save(step, loss__loss=1.0)
        return job

    def test_accuracy_drop(self):
        job = self.accuracies(2, 18, 19, 17)
        # Pass 1 has grace; pass 2 reaches 0.9, pass 4 falls to 0.85: more than 0.1 below the stored 0.96.
        status = self.fires(job, 7, "AccuracyDrop", "pass 4", "below 0.96", baseline=0.96, threshold=0.1)
        self.assertAlmostEqual(status.value, 0.85)
        self.quiet(job, "AccuracyDrop", baseline=0.9)
        self.fires(job, 1, "AccuracyDrop", "pass 1", baseline=0.9, grace_epochs=0)

    def test_accuracy_drop_without_a_baseline(self):
        self.fires(self.accuracies(10, 18, 14), 5, "AccuracyDrop", "below 0.9")
        self.quiet(self.accuracies(10, 18, 18), "AccuracyDrop")

    def test_accuracy_drop_of_a_scalar(self):
        job = Job()
        for step, accuracy in enumerate([0.5, 0.9, 0.7]):
            job.save(step, loss__loss=1.0)
            job.save(step, "EVAL", scalar__accuracy=accuracy)
        self.fires(job, 2, "AccuracyDrop", baseline=0.9)

    def test_accuracy_drop_from_a_stored_baseline(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "evaluation.json"
            path.write_text(json.dumps({"challenger": {"score": 0.97}}))
            self.fires(self.accuracies(2, 17), 3, "AccuracyDrop", "below 0.97", baseline_uri=str(path))
            path.write_text(json.dumps({"accuracy": "high"}))
            self.errs(self.accuracies(2), "AccuracyDrop", "holds no accuracy", baseline_uri=str(path))
        self.errs(self.accuracies(2), "AccuracyDrop", "can't be read", baseline_uri=str(path))
        self.assertRaises(classification.RuleError, classification.stored_baseline, str(path))


class Inputs(RuleCase):
    def test_check_input_images(self):
        raw = RNG.uniform(0, 1, size=(128, 3, 4, 4))
        self.fires(series([raw] * 5, "input__input"), 3, "CheckInputImages", "512 images")
        self.quiet(series([raw - 0.5] * 5, "input__input"), "CheckInputImages")
        self.errs(series([raw], "input__input"), "CheckInputImages", "128 images were seen")

    def test_one_channel_is_enough(self):
        images = RNG.normal(size=(600, 4, 4, 3))
        images[..., 2] += 0.5
        self.fires(series([images], "input__input"), 0, "CheckInputImages", "channel 2", channel=3)
        self.quiet(series([images], "input__input"), "CheckInputImages", channel=3, threshold_mean=0.6)

    def test_nlp_sequence_ratio(self):
        full, padded = np.ones((4, 10), int), np.ones((4, 10), int)
        padded[:, 4:] = 0
        job = series([full, padded], "input__embedding__input")
        status = self.fires(job, 1, "NLPSequenceRatio", "60 %", "token 0")
        self.assertAlmostEqual(status.value, 60)
        self.quiet(job, "NLPSequenceRatio", token_values="0, 3", token_thresholds_percent="70.0, 50.0")
        self.errs(job, "NLPSequenceRatio", "one for each token", token_values=[0, 3])


class Trees(RuleCase):
    def test_tree_depth(self):
        # Node ids of complete trees of depth 3, 4 and 5; the root is 0.
        job = series([np.arange(2 ** (depth + 1) - 1) for depth in (3, 4, 5)], "tree__tree__nodes")
        status = self.fires(job, 2, "TreeDepth", "5 deep")
        self.assertEqual(status.value, 5)
        self.quiet(job, "TreeDepth", depth=5)
        self.fires(series([3.0, 6.0], "tree__trees__depth"), 1, "TreeDepth", "6 deep")

    def test_feature_importance_overweight(self):
        even, uneven = np.ones(10), np.array([9.0, 8, 8, 1, 1, 1, 1, 1])
        job = series([even, even, uneven], "importance__importance__weight")
        status = self.fires(job, 2, "FeatureImportanceOverweight", "3 largest of 8")
        self.assertAlmostEqual(status.value, 25 / 30)
        self.quiet(job, "FeatureImportanceOverweight", threshold=0.85)

    def test_feature_importances_as_scalars(self):
        job = Job().save(0, **{f"importance__importance__weight__f{i}": v for i, v in enumerate([9, 1, 1, 1, 1])})
        self.fires(job, 0, "FeatureImportanceOverweight", nfeatures=2, threshold=0.7)


class WhatIsMissing(RuleCase):
    """A rule that has nothing to judge says so: an error with a sentence, never silence."""

    def test_every_rule_on_a_job_that_saves_nothing_it_needs(self):
        required = {
            "AllZero": {"collection_names": "weights"},
            "UnchangedTensor": {"collection_names": "weights"},
            "TensorVariance": {"collection_names": "weights", "max_threshold": 1},
            "SimilarAcrossRuns": {"other_trial": "/nowhere", "collection_names": "weights"},
            "ExplodingTensor": {"collection_names": "weights"},
            "AccuracyDrop": {},
        }
        needless = {"StalledTraining"}
        for rule in RULES.keys() - needless:
            with self.subTest(rule):
                job = series([1.0, 0.5], "scalar__something__else")
                self.errs(job, rule, "sav", **required.get(rule, {}))

    def test_a_job_that_saves_nothing(self):
        for rule in ("LossNotDecreasing", "StalledTraining"):
            self.errs(Job(), rule, "does train.py make a Probe")

    def test_regex_that_matches_nothing(self):
        job = series([np.zeros(3)], "weight__conv1__weight")
        self.errs(job, "AllZero", "conv9", "conv1/weight", tensor_regex=["conv9"], threshold=50)
        # Half of what was asked for is judged, and the rest is said.
        self.errs(series([np.ones(3)], "weight__conv1__weight"), "AllZero", "conv9", tensor_regex=["conv1", "conv9"])

    def test_tensors_of_nan(self):
        job = series([np.full(3, np.nan)] * 3, "weight__w")
        for rule, given in (
            ("AllZero", {"tensor_regex": "w"}),
            ("TensorVariance", {"tensor_regex": "w", "max_threshold": 1}),
            ("WeightUpdateRatio", {}),
        ):
            self.errs(job, rule, "NaN", **given)

    def test_some_nan_is_said(self):
        job = series([np.ones(3), np.full(3, np.nan), np.ones(3)], "weight__w")
        self.assertIn("not 1 times", self.quiet(job, "AllZero", tensor_regex="w").reason)


class WhatRulesBring(unittest.TestCase):
    def test_the_probe_takes_it(self):
        for name, rule in RULES.items():
            with self.subTest(name):
                saved = Settings.of({"collections": rule.saves}).collections
                self.assertLessEqual(rule.saves.keys(), {collection.name for collection in saved})

    def test_it_is_what_the_rule_inspects(self):
        for rule, name, kind in (
            ("DeadRelu", "layer1.0.relu/output:1", "output"),
            ("SaturatedActivation", "tanh/input", "input"),
            ("SaturatedActivation", "body.sigmoid2/input", "input"),
            ("PoorWeightInitialization", "relu/input", "input"),
            ("CheckInputImages", "model/input", "input"),
            ("NLPSequenceRatio", "embeddings/input", "input"),
            ("AccuracyDrop", "label/CrossEntropyLoss", "label"),
        ):
            with self.subTest(rule=rule, name=name):
                brought = Settings.of({"collections": RULES[rule].saves}).collections
                holding = [c.name for c in brought if c.name in RULES[rule].saves and c.holds(name, kind)]
                self.assertTrue(holding)


class Parameters(RuleCase):
    def test_what_is_wrong_is_said(self):
        for rule, given, part in (
            ("LossNotDecreasing", {"num_step": 3}, "did you mean 'num_steps'?"),
            ("LossNotDecreasing", {"num_steps": "many"}, "whole number"),
            ("LossNotDecreasing", {"num_steps": 0}, "at least 1"),
            ("LossNotDecreasing", {"mode": "TEST"}, "one of TRAIN, EVAL, GLOBAL"),
            ("ExplodingTensor", {"tensor_regex": "a("}, "no regular expression"),
            ("ExplodingTensor", {"only_nan": 3}, "true or false"),
            ("DeadRelu", {"threshold_layer": 101}, "at most 100"),
            ("AllZero", {}, "collection_names or tensor_regex"),
            ("TensorVariance", {"tensor_regex": "w"}, "max_threshold or min_threshold"),
            ("SimilarAcrossRuns", {}, "needs the parameter other_trial"),
            ("StalledTraining", {"stop_training_on_fire": "True"}, "action: stop"),
            ("SaturatedActivation", {"threshold_tanh_min": 10}, "not below threshold_tanh_max, 9.4999"),
            ("LossDecreasing", {}, "did you mean LossNotDecreasing?"),
        ):
            with self.subTest(rule=rule, given=given):
                self.errs(series([1.0]), rule, part, **given)

    def test_debuggers_text_parameters(self):
        stuck = series([1.0] * 30)
        given = {"num_steps": "4", "use_losses_collection": "True", "diff_percent": "0.1"}
        self.fires(stuck, 4, "LossNotDecreasing", **given)
        job = series([np.zeros(2)], "weight__b1")
        self.fires(job, 0, "AllZero", tensor_regex="a{1,2}, b[0,1]")

    def test_debuggers_name_for_stalled_training(self):
        self.quiet(series([1.0]), "StalledTrainingRule")


class Coverage(unittest.TestCase):
    def test_each_rule_fires_in_a_test_and_is_quiet_in_one(self):
        text = Path(__file__).read_text()
        for rule in RULES:
            if rule != "StalledTraining":
                self.assertRegex(text, rf'self.fires\(.*"{rule}"')
            self.assertRegex(text, rf'self.quiet\(.*"{rule}"')


if __name__ == "__main__":
    unittest.main()
