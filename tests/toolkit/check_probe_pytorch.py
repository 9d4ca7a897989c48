"""The probe on PyTorch models. Runs in the PyTorch image's Python."""

import io
import json
import logging
import tempfile
import unittest
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from toolkit.probe import NotSavedError, Probe, Trial, reductions
from toolkit.probe.settings import REDUCTIONS, Settings
from toolkit.probe.torch_arrays import TORCH

EVERYTHING = ["weights", "biases", "gradients", "buffers", "inputs", "outputs", "output_gradients", "optimizer_state"]


class Twice(nn.Module):
    """One ReLU called twice, as in a residual block."""

    def __init__(self):
        super().__init__()
        self.one, self.two, self.relu = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.two(self.relu(self.one(x))) + x)


class Case(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.log = io.StringIO()
        handler = logging.StreamHandler(self.log)
        logging.getLogger("ratchet.probe").addHandler(handler)
        self.addCleanup(logging.getLogger("ratchet.probe").removeHandler, handler)

    def trained(self, model, steps=2, *, loss=None, watch_optimizer=True, collections=None, x=None, target=None):
        """Trains with the probe; `seen` is what the training itself saw: weights before each step, and gradients."""
        collections = {name: {"interval": 1} for name in EVERYTHING} if collections is None else collections
        probe = Probe(Settings.of({"collections": collections}), self.folder)
        loss = loss or nn.MSELoss()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.Adam(trained, lr=0.01)
        probe.watch(model, loss, optimizer if watch_optimizer else None)
        x = torch.randn(8, 4) if x is None else x
        self.seen = []
        for _ in range(steps):
            optimizer.zero_grad()
            output = model(x)
            loss(output, torch.zeros_like(output) if target is None else target).backward()
            copies = {name: p.detach().clone() for name, p in model.named_parameters()}
            gradients = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
            self.seen.append((copies, gradients))
            optimizer.step()
        probe.close()
        self.assertEqual(self.log.getvalue(), "")
        return Trial(self.folder)


class Names(Case):
    def test_parameters_and_gradients_as_the_optimizer_found_them(self):
        trial = self.trained(Twice(), 3)
        for step, (weights, gradients) in enumerate(self.seen):
            for name, weight in weights.items():
                path = name.replace(".", "/")
                np.testing.assert_array_equal(trial.value(path, step), weight)
                np.testing.assert_array_equal(trial.value(f"{path}.gradient", step), gradients[name])
        self.assertEqual(
            [trial.kind(n) for n in ("one/weight", "one/bias", "one/bias.gradient")], ["weight", "bias", "gradient"]
        )
        self.assertEqual(trial.value("one/weight.exp_avg", 0).shape, (4, 4))
        self.assertAlmostEqual(float(trial.value("optimizer/lr[0]", 0)), 0.01)

    def test_a_module_called_twice_has_an_index_that_its_gradient_has_too(self):
        model, x = Twice(), torch.randn(8, 4)
        one, two = model.one(x).detach(), None
        trial = self.trained(model, 1, x=x)
        self.assertEqual(trial.names("^relu/.*put"), [f"relu/{n}" for n in
            ("input", "input:1", "output", "output.gradient", "output:1", "output:1.gradient")])  # fmt: skip
        np.testing.assert_allclose(trial.value("relu/input", 0), one, rtol=1e-6)  # before it was changed in place
        np.testing.assert_allclose(trial.value("relu/output", 0), one.relu(), rtol=1e-6)
        # By calculus: of the mean of squares with regard to the last output, and through it and `two` to the first.
        last = torch.tensor(trial.value("relu/output:1", 0))
        np.testing.assert_allclose(trial.value("relu/output:1.gradient", 0), 2 * last / last.numel(), rtol=1e-5)
        two = (2 * last / last.numel() * (last > 0)) @ torch.tensor(trial.value("two/weight", 0))
        np.testing.assert_allclose(trial.value("relu/output.gradient", 0), two, rtol=1e-4, atol=1e-8)

    def test_the_whole_model_is_called_model(self):
        trial = self.trained(nn.Sequential(nn.Linear(4, 2)), 1)
        np.testing.assert_array_equal(trial.value("model/output", 0), trial.value("0/output", 0))

    def test_tensors_within_tuples(self):
        class Recurrent(nn.Module):
            def __init__(self):
                super().__init__()
                self.lstm = nn.LSTM(4, 3)

            def forward(self, x):
                return self.lstm(x)[0]

        trial = self.trained(Recurrent(), 1)
        self.assertEqual(
            trial.names("^lstm/output"),
            ["lstm/output[0]", "lstm/output[0].gradient", "lstm/output[1][0]", "lstm/output[1][1]"],
        )

    def test_wrapping_changes_no_name(self):
        names = set(self.trained(nn.DataParallel(nn.Sequential(nn.Linear(4, 2))), 1).names())
        self.assertIn("0/weight", names)
        self.assertIn("model/output", names)

    def test_loss_labels_and_predictions(self):
        collections = {"labels": {"interval": 1}, "predictions": {"interval": 1}}
        target = torch.tensor([0, 1] * 4)
        trial = self.trained(nn.Linear(4, 2), 2, loss=nn.CrossEntropyLoss(), collections=collections, target=target)
        self.assertEqual(trial.steps("loss/CrossEntropyLoss"), [0, 1])
        np.testing.assert_array_equal(trial.value("label/CrossEntropyLoss", 1), target)
        scores = torch.tensor(trial.value("prediction/CrossEntropyLoss", 1))
        self.assertAlmostEqual(
            float(trial.value("loss/CrossEntropyLoss", 1)), nn.functional.cross_entropy(scores, target).item(), places=5
        )

    def test_running_statistics(self):
        trial = self.trained(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), 1)
        self.assertEqual(trial.kind("1/running_mean"), "buffer")
        self.assertEqual(trial.value("1/running_var", 0).shape, (3,))


class Robust(Case):
    def test_frozen_layers_and_layers_that_are_not_called(self):
        model = Twice()
        model.spare = nn.Linear(2, 2)
        model.one.weight.requires_grad = False
        trial = self.trained(model, 2)
        self.assertEqual(trial.steps("one/weight"), [0, 1])
        for name in ("one/weight.gradient", "spare/weight.gradient", "spare/output"):
            with self.assertRaisesRegex(NotSavedError, "a module that isn't called, or a parameter without a gradient"):
                trial.value(name, 0)

    def test_training_is_the_same_with_and_without(self):
        weights = []
        for watched in (True, False):
            torch.manual_seed(1)
            model = nn.Sequential(
                nn.Linear(4, 8), nn.ReLU(inplace=True), nn.Dropout(), nn.BatchNorm1d(8), nn.Linear(8, 2)
            )
            self.trained(model, 5, collections=None if watched else {"losses": False})
            weights.append([p.detach() for p in model.parameters()])
        for one, other in zip(*weights, strict=True):
            self.assertTrue(torch.equal(one, other))

    def test_nan_is_saved_as_it_is(self):
        trial = self.trained(nn.Linear(4, 2), 1, x=torch.full((8, 4), float("nan")))
        self.assertTrue(np.isnan(trial.value("model/output", 0)).all())
        self.assertEqual(trial.reduction("model/output", 0, "nonfinite"), 16)
        self.assertTrue(np.isnan(float(trial.value("loss/MSELoss", 0))))

    def test_half_precision(self):
        trial = self.trained(nn.Linear(4, 2).to(torch.bfloat16), 1, x=torch.randn(8, 4, dtype=torch.bfloat16))
        np.testing.assert_array_equal(trial.value("model/weight", 0), self.seen[0][0]["weight"].float())
        self.assertEqual(trial.record("model/weight", 0).dtype, "BF16")

    def test_a_loss_that_is_a_function_is_said(self):
        probe = Probe(directory=self.folder)
        model = nn.Linear(4, 2)
        probe.watch(model, nn.functional.mse_loss, torch.optim.SGD(model.parameters(), 0.1))
        probe.close()
        self.assertIn("is no module, so it can't be watched: call probe.loss(name, value)", self.log.getvalue())

    def test_hooks_are_gone_after_the_end(self):
        model = Twice()
        self.trained(model, 1)
        self.assertFalse(any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()))


class Steps(Case):
    def test_an_optimizer_that_nobody_named_counts_the_steps(self):
        self.assertEqual(self.trained(nn.Linear(4, 2), 3, watch_optimizer=False).steps("model/weight"), [0, 1, 2])

    def test_only_what_is_due(self):
        trial = self.trained(
            Twice(),
            7,
            collections={"weights": {"interval": 3}, "acts": {"include": ["relu/output$"], "start": 5, "interval": 1}},
        )
        self.assertEqual((trial.steps("one/weight"), trial.steps("relu/output")), ([0, 3, 6], [5, 6]))
        self.assertEqual(trial.names(kind="output"), ["relu/output"])
        self.assertEqual(trial.steps("loss/MSELoss"), list(range(7)))

    def test_gradient_accumulation_is_one_step(self):
        probe, model = Probe(Settings.of({"collections": {"outputs": {"interval": 1}}}), self.folder), nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        probe.watch(model, None, optimizer)
        for _ in range(2):
            for _ in range(3):
                model(torch.randn(5, 4)).sum().backward()
            optimizer.step()
        probe.close()
        self.assertEqual(Trial(self.folder).names("output"), ["model/output", "model/output:1", "model/output:2"])
        self.assertEqual(Trial(self.folder).steps("model/output"), [0, 1])

    def test_evaluation_follows_the_models_mode(self):
        probe, model, loss = (
            Probe(Settings.of({"collections": {"outputs": {"interval": 1}}}), self.folder),
            Twice(),
            nn.MSELoss(),
        )
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        probe.watch(model, loss, optimizer)
        for _ in range(2):
            model.train()
            loss(model(torch.randn(3, 4)), torch.zeros(3, 4)).backward()
            optimizer.step()
            model.eval()
            with torch.no_grad():
                for _ in range(4):
                    loss(model(torch.randn(2, 4)), torch.zeros(2, 4))
        probe.close()
        trial = Trial(self.folder)
        self.assertEqual((trial.steps("loss/MSELoss"), trial.steps("loss/MSELoss", "eval")), ([0, 1], list(range(8))))
        self.assertEqual([trial.record("loss/MSELoss", step, "eval").train_step for step in (0, 3, 4, 7)], [1, 1, 2, 2])
        self.assertEqual(trial.value("relu/output:1", 7, "eval").shape, (2, 4))

    def test_an_evaluation_in_the_middle_of_a_step_leaves_it_whole(self):
        probe, model = (
            Probe(Settings.of({"collections": {"outputs": {"interval": 1}, "weights": {"interval": 1}}}), self.folder),
            nn.Linear(4, 2),
        )
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        probe.watch(model, None, optimizer)
        output = model(torch.randn(3, 4))
        with probe.mode("eval"):
            model(torch.randn(2, 4))
        output.sum().backward()
        optimizer.step()
        probe.close()
        trial = Trial(self.folder)
        self.assertEqual(
            (trial.value("model/output", 0).shape, trial.value("model/output", 0, "eval").shape), ((3, 2), (2, 2))
        )
        self.assertEqual(trial.steps("model/weight"), [0])


class Loaders(Case):
    def test_the_processes_that_load_data_write_nothing(self):
        probe = Probe(Settings.of({"collections": {"weights": {"interval": 1}}}), self.folder)
        model, loss = nn.Linear(4, 2), nn.MSELoss()
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        probe.watch(model, loss, optimizer)
        data = TensorDataset(torch.randn(40, 4), torch.randn(40, 2))
        for x, y in DataLoader(data, batch_size=4, num_workers=2):  # forked while steps wait to be written
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
        probe.close()
        (index,) = (self.folder / "index").iterdir()
        found = [json.loads(line) for line in index.read_text().splitlines()]
        self.assertEqual([line["step"] for line in found if line["kind"] == "loss"], list(range(10)))
        self.assertEqual(len(list((self.folder / "end").iterdir())), 1)


class Numbers(unittest.TestCase):
    def test_reductions_are_numpys_too(self):
        warnings.simplefilter("ignore")
        for tensor in (
            torch.randn(50, 7),
            torch.arange(9),
            torch.zeros(3),
            torch.tensor([1.0, float("nan"), float("-inf")]),
            torch.randn(6).bfloat16(),
        ):
            found = TORCH.reduced(tensor, REDUCTIONS)
            for name in REDUCTIONS:
                expected = reductions.of(tensor.float().numpy(), name)
                if name == "histogram":
                    self.assertEqual(sum(found[name]["counts"]), sum(expected["counts"]))
                    np.testing.assert_allclose(found[name]["edges"], expected["edges"], rtol=1e-4, atol=1e-6)
                else:
                    np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-6, err_msg=name)


if __name__ == "__main__":
    unittest.main()
