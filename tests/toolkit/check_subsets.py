"""toolkit.subsets: what GLISTER's greedy chooses beside brute force, orders from a seed, and going on in the middle."""

import io
import tempfile
import unittest
from contextlib import redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch.utils.data import IterableDataset, TensorDataset

from toolkit.checkpoint import Checkpoints
from toolkit.probe import Probe, Trial
from toolkit.subsets import METHODS, SubsetError, SubsetLoader, orders, record
from toolkit.subsets.glister import ALL, BATCH, CLASS, Greedy, LastLayer, shares

CLASSES, WIDTH = 4, 6


def layer(count, seed, spread=1.0):
    random = np.random.default_rng(seed)
    inputs, scores = random.normal(size=(count, WIDTH)), spread * random.normal(size=(count, CLASSES))
    return LastLayer(inputs, scores, np.arange(count) % CLASSES)


def gradients(of):
    """Each example's gradient of biases and weights, written down in full."""
    residuals = of.residuals()
    weights = residuals[:, :, None] * of.inputs[:, None, :]
    return np.concatenate([residuals, weights.reshape(len(residuals), -1)], 1)


def stepped(validation, gradient, step):
    """The validation set after a step of the last layer against a gradient."""
    biases, weights = gradient[:CLASSES], gradient[CLASSES:].reshape(CLASSES, WIDTH)
    return LastLayer(
        validation.inputs, validation.scores - step * (biases + validation.inputs @ weights.T), validation.targets
    )


def brute_force(candidates, validation, most, step, size=1):
    """The greedy as its definition has it: every gradient in full, after every choice."""
    step /= 1 + np.square(validation.inputs).sum(1).mean()
    each = gradients(candidates)
    elements = each.reshape(-1, size, each.shape[1]).mean(1)
    chosen = []
    for _ in range(most):
        now = stepped(validation, elements[chosen].sum(0), step)
        gains = elements @ gradients(now).mean(0)
        gains[chosen] = -np.inf
        chosen.append(int(gains.argmax()))
    return chosen


class Everything:
    """Draws nothing by chance: the greedy sees every candidate, in order."""

    def permutation(self, count):
        return np.arange(count)

    def integers(self, count, size):  # noqa: ARG002 - of as many as there are
        return np.arange(count)


class Glister(unittest.TestCase):
    def test_the_greedy_is_that_of_brute_force(self):
        for seed in range(5):
            candidates, validation = layer(24, seed), layer(12, 100 + seed)
            found = Greedy(per=ALL, step=2.0).choose(candidates, validation, 9, Everything())
            self.assertEqual(found.tolist(), brute_force(candidates, validation, 9, 2.0))

    def test_the_step_matters_to_what_is_chosen(self):
        """Brute force could agree by chance if nothing depended on what was chosen before."""
        candidates, validation = layer(24, 0), layer(12, 100)
        once = Greedy(per=ALL, step=1e-9).choose(candidates, validation, 9, Everything())
        self.assertNotEqual(once.tolist(), brute_force(candidates, validation, 9, 2.0))

    def test_whole_batches(self):
        candidates, validation = layer(24, 3), layer(12, 103)
        found = Greedy(per=BATCH, step=2.0, batch=4).choose(candidates, validation, 12, Everything())
        wanted = brute_force(candidates, validation, 3, 2.0, size=4)
        self.assertEqual(found.reshape(3, 4)[:, 0].tolist(), [4 * batch for batch in wanted])

    def test_batches_that_leave_some_over_still_give_as_many_as_are_asked_for(self):
        for most in (1, 5, 21, 22):
            found = Greedy(per=BATCH, batch=4).choose(layer(22, 3), layer(12, 4), most, np.random.default_rng(0))
            self.assertEqual((len(found), len(set(found.tolist()))), (most, most))

    def test_within_each_class_by_its_own_validation_examples(self):
        candidates, validation = layer(24, 1), layer(12, 101)
        found = Greedy(per=CLASS, step=2.0).choose(candidates, validation, 8, Everything())
        self.assertEqual(np.bincount(candidates.targets[found]).tolist(), [2, 2, 2, 2])
        for number in range(CLASSES):
            of, judges = (np.flatnonzero(part.targets == number) for part in (candidates, validation))
            wanted = of[brute_force(candidates.of(of), validation.of(judges), 2, 2.0)]
            self.assertEqual(found[candidates.targets[found] == number].tolist(), wanted.tolist())

    def test_a_gain_is_what_the_validation_loss_falls_by_to_first_order(self):
        candidates, validation = layer(8, 2), layer(40, 102)
        small = 1e-5
        each, whole = gradients(candidates), gradients(validation).mean(0)
        for gradient in each:
            fell = validation.losses().mean() - stepped(validation, gradient, small).losses().mean()
            self.assertAlmostEqual(fell / small, gradient @ whole, places=3)

    def test_gradients_and_losses_are_torchs(self):
        for smoothing in (0.0, 0.2):
            given = layer(10, 5)
            of = LastLayer(given.inputs, given.scores, given.targets, smoothing)
            scores = torch.tensor(of.scores, requires_grad=True)
            losses = nn.CrossEntropyLoss(reduction="none", label_smoothing=smoothing)(scores, torch.tensor(of.targets))
            losses.sum().backward()
            np.testing.assert_allclose(of.residuals(), scores.grad, atol=1e-6)
            np.testing.assert_allclose(of.losses(), losses.detach(), atol=1e-6)

    def test_the_best_of_a_few_is_nearly_as_good_as_the_best_of_all(self):
        candidates, validation = layer(400, 6), layer(100, 106)
        all_of_them = gradients(candidates)

        def lowered(chosen):
            return stepped(validation, all_of_them[chosen].sum(0), 0.1 / Greedy().scale(validation)).losses().mean()

        random = np.random.default_rng(0)
        stochastic = Greedy(per=ALL, step=0.1).choose(candidates, validation, 80, random)
        exact = Greedy(per=ALL, step=0.1).choose(candidates, validation, 80, Everything())
        drawn = np.mean([lowered(random.choice(400, 80, replace=False)) for _ in range(20)])
        start = validation.losses().mean()
        self.assertGreater(start - lowered(stochastic), 0.8 * (start - lowered(exact)))
        self.assertLess(lowered(stochastic), drawn)

    def test_the_step_lowers_the_validation_loss_however_large_the_inputs_are(self):
        given = layer(200, 7), layer(60, 107)
        for size in (0.1, 1, 30):
            candidates, validation = (LastLayer(size * each.inputs, each.scores, each.targets) for each in given)
            greedy = Greedy(per=ALL)
            chosen = greedy.choose(candidates, validation, 40, np.random.default_rng(0))
            step = greedy.step / greedy.scale(validation)
            after = stepped(validation, gradients(candidates)[chosen].sum(0), step)
            self.assertLess(after.losses().mean(), validation.losses().mean(), size)

    def test_a_budget_below_any_number_of_rounds_ends(self):
        """The original's loop didn't where the budget was below its rounds."""
        for most in (1, 2, 23, 24):
            found = Greedy(per=ALL).choose(layer(24, 0), layer(12, 1), most, np.random.default_rng(0))
            self.assertEqual((len(found), len(set(found.tolist()))), (most, most))

    def test_shares_of_classes(self):
        self.assertEqual(shares(np.array([50, 30, 20]), 10), [5, 3, 2])
        self.assertEqual(shares(np.array([98, 1, 1]), 10), [8, 1, 1], "one of each")
        self.assertEqual(sum(shares(np.array([7, 7, 7]), 10)), 10)
        self.assertEqual(shares(np.array([3, 3]), 6), [3, 3])
        with self.assertRaisesRegex(SubsetError, "2 examples can't hold one of each of 3 classes"):
            shares(np.array([7, 7, 7]), 2)


class Orders(unittest.TestCase):
    def test_a_walk_takes_all_before_it_takes_one_again(self):
        walked = [orders.walk(np.arange(10), begin, 4, seed=3) for begin in range(0, 40, 4)]
        together = np.concatenate(walked).reshape(4, 10)
        for time in together:
            self.assertEqual(sorted(time.tolist()), list(range(10)))
        self.assertNotEqual(together[0].tolist(), together[1].tolist())

    def test_infobatch_skips_half_of_what_is_below_the_mean_and_what_is_kept_counts_twice(self):
        losses = np.r_[np.full(6000, 0.1), np.full(4000, 2.0)]
        found = orders.pruned_walk(losses, 0, 6500, 0.5, seed=0)
        low = losses[found.indices] < losses.mean()
        self.assertEqual(set(found.weights[low]), {2.0})
        self.assertEqual(set(found.weights[~low]), {1.0})
        self.assertAlmostEqual(low.sum() / (~low).sum(), 0.5 * 6000 / 4000, delta=0.05)
        self.assertEqual(len(set(found.indices.tolist())), 6500, "once through at most")
        # The expected gradient is that of all: weights a class add up as its examples do.
        self.assertAlmostEqual(found.weights[low].sum() / found.weights.sum(), 0.6, delta=0.02)

    def test_what_is_skipped_is_known_from_the_place(self):
        losses = np.random.default_rng(0).random(50)
        whole = orders.pruned_walk(losses, 0, 60, 0.5, seed=1)
        first = orders.pruned_walk(losses, 0, 25, 0.5, seed=1)
        second = orders.pruned_walk(losses, first.place, 35, 0.5, seed=1)
        self.assertEqual(whole.indices.tolist(), [*first.indices, *second.indices])
        self.assertEqual(whole.place, second.place)

    def test_nothing_is_skipped_of_which_no_loss_is_known(self):
        found = orders.pruned_walk(np.full(20, np.nan), 0, 20, 0.9, seed=0)
        self.assertEqual((sorted(found.indices.tolist()), set(found.weights)), (list(range(20)), {1.0}))


def data(count=120, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 8, generator=generator)
    teacher = torch.randn(8, 3, generator=torch.Generator().manual_seed(99))
    return TensorDataset(x, (x @ teacher).argmax(1))


class Job:
    """A small training, and what its loader gave."""

    def __init__(self, method, seed=0, **options):
        torch.manual_seed(abs(seed))
        self.model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))
        self.loss = nn.CrossEntropyLoss(reduction="none")
        settings = {"batch_size": 16, "epochs": 6, "select_every": 2, "validation": data(30, 1), **options}
        fraction = settings.pop("fraction", 1.0 if method == "full" else 0.4)
        self.loader = SubsetLoader(data(), method, fraction, seed=seed, loss=self.loss, model=self.model, **settings)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.2, momentum=0.9)
        self.seen = []

    def epoch(self, stop_after=None):
        for number, (x, y, weight) in enumerate(self.loader, 1):
            self.optimizer.zero_grad()
            (self.loss(self.model(x), y) * weight).mean().backward()
            self.optimizer.step()
            self.seen.append((x.sum().item(), weight.sum().item()))
            if number == stop_after:
                return

    def state(self):
        return {
            "model": {name: value.clone() for name, value in self.model.state_dict().items()},
            "optimizer": self.optimizer.state_dict(),
            "loader": self.loader.state_dict(),
            "random": torch.get_rng_state(),
        }

    def load(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.loader.load_state_dict(state["loader"])
        torch.set_rng_state(state["random"])


class Loader(unittest.TestCase):
    def test_every_method_trains_on_its_fraction(self):
        for method in METHODS:
            job = Job(method)
            for epoch in range(6):
                job.epoch()
                self.assertEqual(job.loader.epoch, epoch + 1)
                self.assertEqual(len(job.loader.chosen.indices), 120 if method == "full" else 48, method)
            self.assertEqual(len(job.seen), 6 * len(job.loader))
            if method in {"full", "fixed"}:
                self.assertEqual(len({tuple(sorted(job.loader.chosen.indices.tolist()))}), 1)

    def test_no_batch_is_much_smaller_than_the_others(self):
        loader = SubsetLoader(data(100), "fixed", 0.5, batch_size=16)
        self.assertEqual(([len(x) for x, _, _ in loader], len(loader)), ([13, 13, 12, 12], 4))

    def test_the_same_seed_chooses_the_same_and_another_doesn_t(self):
        for method in METHODS:
            jobs = [Job(method, seed) for seed in (5, 5, 6)]
            for job in jobs:
                torch.manual_seed(0)
                for _ in range(3):
                    job.epoch()
            self.assertEqual(jobs[0].seen, jobs[1].seen, method)
            self.assertNotEqual(jobs[0].seen, jobs[2].seen, method)

    def test_it_goes_on_in_the_middle_of_an_epoch_to_the_bit(self):
        for method in METHODS:
            for stop in (1, 3):
                whole = Job(method)
                for _ in range(6):
                    whole.epoch()
                cut = Job(method)
                for _ in range(3):
                    cut.epoch()
                cut.epoch(stop_after=stop)
                state = cut.state()
                again = Job(method)
                again.load(state)
                while again.loader.epoch < 6:
                    again.epoch()
                self.assertEqual(cut.seen + again.seen, whole.seen, (method, stop))
                for name, value in whole.model.state_dict().items():
                    self.assertTrue(torch.equal(value, again.model.state_dict()[name]), (method, name))

    def test_checkpoints_take_it_as_a_part(self):
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
            whole = Job("infobatch")
            for _ in range(6):
                whole.epoch()
            for most in (2, 4, 6):
                cut = Job("infobatch")
                parts = {"model": cut.model, "optimizer": cut.optimizer, "loader": cut.loader}
                for epoch in Checkpoints(every=1, folder=folder, **parts).steps(6):
                    if epoch == most:
                        break
                    cut.epoch()
        for name, value in whole.model.state_dict().items():
            self.assertTrue(torch.equal(value, cut.model.state_dict()[name]), name)

    def test_warm_up_and_annealing_say_that_chance_chose(self):
        by = {}
        for method in ("glister", "infobatch"):
            job, by[method] = Job(method, warm_up=2, annealing=0.5), []
            for _ in range(6):
                job.epoch()
                by[method].append(job.loader.chosen.by)
        self.assertEqual(by["glister"], ["random"] * 2 + ["glister"] * 4)
        self.assertEqual(by["infobatch"], ["infobatch"] * 3 + ["random"] * 3)

    def test_which_selections_avoid_wrong_labels(self):
        """Biases' gradients alone are largest where the label is wrong: glister as the original has it takes those."""
        x, y = data(600).tensors
        wrong = torch.arange(600) % 5 < 2
        labels = torch.where(wrong, (y + 1 + torch.arange(600) % 2) % 3, y)
        for method, more, least, most in (
            ("glister", {}, 0, 0.3),
            ("trimmed", {"trim": 0.4}, 0, 0.3),
            ("glister", {"per": "all", "biases_only": True}, 0.5, 1),
        ):
            torch.manual_seed(0)
            model, loss = nn.Sequential(nn.Linear(8, 3)), nn.CrossEntropyLoss(reduction="none")
            loader = SubsetLoader(
                TensorDataset(x, labels), method, 0.3, batch_size=16, model=model, loss=loss,
                validation=data(90, 1), warm_up=8, **more,
            )  # fmt: skip
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for _ in range(9):
                for some, classes, weight in loader:
                    optimizer.zero_grad()
                    (loss(model(some), classes) * weight).mean().backward()
                    optimizer.step()
            share = wrong[loader.chosen.indices].float().mean().item()
            self.assertTrue(least < share < most, f"{method} {more}: {share}; of all, 0.4 are wrong")

    def test_the_model_and_the_probe_are_left_as_they_were(self):
        with tempfile.TemporaryDirectory() as folder:
            job = Job("glister", warm_up=0)
            probe = Probe(directory=folder)
            probe.watch(job.model, optimizer=job.optimizer)
            job = Job("glister", warm_up=0, probe=probe)
            probe.watch(job.model, optimizer=job.optimizer)
            job.model[2].eval()
            before = torch.get_rng_state()
            next(iter(job.loader))
            self.assertTrue(torch.equal(torch.get_rng_state(), before), "torch's generator is the training's")
            self.assertEqual([module.training for module in job.model], [True, True, False, True])
            self.assertEqual(probe.state_dict(), {"TRAIN": 0, "EVAL": 0}, "looking is no evaluation")
            probe.close()

    def test_what_was_chosen_is_saved(self):
        with tempfile.TemporaryDirectory() as folder:
            probe = Probe(directory=folder)
            job = Job("infobatch", probe=probe)
            probe.watch(job.model, optimizer=job.optimizer)
            chosen = []
            for _ in range(3):
                job.epoch()
                chosen.append(job.loader.chosen)
            probe.close()
            trial = Trial(Path(folder))
            self.assertEqual(list(trial.numbers(record.EPOCH).items()), [(0, 0.0), (3, 1.0), (6, 2.0)])
            self.assertEqual(trial.value(record.INDICES, 6).tolist(), chosen[2].indices.tolist())
            np.testing.assert_allclose(trial.value(record.CLASSES, 6).sum(1), [1, 1], rtol=1e-6)
            np.testing.assert_allclose(trial.value(record.LOSSES, 6), chosen[2].losses, rtol=1e-6)
        self.assertIn("epoch=2 by=infobatch examples=48", str(chosen[2]))

    def test_workers_give_the_same(self):
        alone, together = Job("resampled"), Job("resampled", loading={"num_workers": 1})
        alone.epoch()
        together.epoch()
        self.assertEqual(alone.seen, together.seen)


class Refused(unittest.TestCase):
    def refused(self, message, method="glister", **options):
        with self.assertRaisesRegex(SubsetError, message):
            job = Job(method, warm_up=0, **options)
            job.epoch()

    def test_what_can_t_be(self):
        for fraction in (0, -0.1, 1.5, float("nan")):
            self.refused("above 0 and at most 1", "fixed", fraction=fraction)
        self.refused("a fraction of 0.001 of 120 examples is none", "fixed", fraction=0.001)
        self.refused("full takes all examples, and fraction is 0.5", "full", fraction=0.5)
        self.refused("there is no method 'craig'; there are full, fixed", "craig")
        self.refused("batch_size is 0", "fixed", batch_size=0)
        self.refused("seed -1; they are at least 1 and 0", "fixed", seed=-1)
        with mock.patch("toolkit.checkpoint.peers.count", return_value=2):
            self.refused("2 processes train together", "fixed")
        self.refused("there is no option selectevery; did you mean select_every", selectevery=3)
        self.refused("select_every is 0", select_every=0)
        self.refused("ratio is 1", "infobatch", ratio=1.0)
        self.refused("per is 'PerClass'; it is 'class', 'batch' or 'all'", per="PerClass")
        self.refused("loading has shuffle, which the loader itself decides", "fixed", loading={"shuffle": True})
        self.refused("last_layer is 'fc'; the model's Linear layers are 0, 3", last_layer="fc")
        self.refused("what the model answers isn't what its last Linear layer says", last_layer="0")
        self.refused("2 examples can't hold one of each of 3 classes", fraction=0.02, per="class")

    def test_what_is_missing(self):
        self.refused("glister needs validation", validation=None)
        self.refused("infobatch needs epochs", "infobatch", epochs=None)
        x, y = data(30).tensors
        some = TensorDataset(x[y < 2], y[y < 2])
        self.refused("the validation set has no example of class 2", validation=some, per="class")

    def test_losses_of_which_nothing_can_be_had(self):
        for loss, message in (
            (nn.CrossEntropyLoss(), 'reduction="mean", one number a batch'),
            (nn.MSELoss(reduction="none"), "the loss is a MSELoss"),
            (nn.CrossEntropyLoss(torch.ones(3), reduction="none"), "weighs its classes"),
        ):
            with self.assertRaisesRegex(SubsetError, message):
                SubsetLoader(
                    data(), "glister", 0.5, batch_size=8, loss=loss, model=nn.Linear(8, 3), validation=data(30)
                )

    def test_datasets_that_nothing_can_be_chosen_from(self):
        class Stream(IterableDataset):
            def __iter__(self):
                return iter([])

        for dataset, message in (
            (Stream(), "a Stream without a length"),
            (torch.randn(10, 3), "not pairs"),
            (TensorDataset(torch.randn(10, 3)), "not pairs"),
        ):
            with self.assertRaisesRegex(SubsetError, message):
                SubsetLoader(dataset, "fixed", 0.5, batch_size=2)

    def test_targets_that_are_no_classes(self):
        x, y = data().tensors
        loss = nn.CrossEntropyLoss(reduction="none")
        for targets in (y.float(), torch.eye(3)[y]):
            dataset = TensorDataset(x, targets)
            loader = SubsetLoader(
                dataset, "glister", 0.5, batch_size=8, loss=loss, model=nn.Linear(8, 3), validation=dataset, warm_up=0
            )
            with self.assertRaisesRegex(SubsetError, "needs the number of a class"):
                next(iter(loader))

    def test_losses_that_are_never_seen(self):
        loss = nn.CrossEntropyLoss(reduction="none")
        loader = SubsetLoader(data(), "infobatch", 0.5, batch_size=8, loss=loss, epochs=3)
        with self.assertRaisesRegex(SubsetError, "in epoch 0 none was seen"):
            for _ in loader:
                pass
        loader = SubsetLoader(data(), "fixed", 0.5, batch_size=8)
        next(iter(loader))
        with self.assertRaisesRegex(SubsetError, r"losses of the shape \(3,\) for a batch of 8"):
            loader.saw(torch.zeros(3))

    def test_the_state_of_another_loader(self):
        state = Job("fixed").loader.state_dict()
        with self.assertRaisesRegex(SubsetError, "method is fixed there, resampled here; begin with an empty"):
            Job("resampled").loader.load_state_dict(state)
        with self.assertRaisesRegex(SubsetError, "of an epoch is 48 there, 60 here"):
            Job("fixed", fraction=0.5).loader.load_state_dict(state)


if __name__ == "__main__":
    unittest.main()
