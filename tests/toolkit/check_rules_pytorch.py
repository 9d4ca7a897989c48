"""Rules on real training in PyTorch: what goes wrong is found, what goes well is left alone. Runs in its image."""

import json
import math
import tempfile
import time
import unittest
from pathlib import Path

import torch
from torch import nn

from toolkit.probe import Probe, Trial
from toolkit.probe.settings import Settings
from toolkit.rules.activations import DeadRelu, SaturatedActivation
from toolkit.rules.feed import Feed
from toolkit.rules.judging import Configuration, Judge

EVERYTHING = ("weights", "biases", "gradients", "inputs", "outputs", "losses", "labels", "predictions")


def every_step(collections):
    return {name: {"interval": 1} for name in collections}


class Net(nn.Module):
    """Two layers with ReLUs, on points of three groups."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.first, self.relu = nn.Linear(4, 16), nn.ReLU()
        self.second = nn.Linear(16, 3)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.mul_(scale)

    def forward(self, x):
        return self.second(self.relu(self.first(x)))


class Deep(nn.Module):
    """So many sigmoids that the first layers learn nothing."""

    def __init__(self):
        super().__init__()
        layers = [layer for _ in range(12) for layer in (nn.Linear(16, 16), nn.Sigmoid())]
        self.body = nn.Sequential(nn.Linear(4, 16), *layers, nn.Linear(16, 3))

    def forward(self, x):
        return self.body(x)


class Training(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.y = torch.arange(96) % 3
        centres = torch.tensor([[3.0, 0, 0, 0], [0, 3, 0, 0], [0, 0, 3, 0]])
        self.x = centres[self.y] + 0.3 * torch.randn(96, 4)

    def train(self, model, steps=40, rate=0.1, collections=EVERYTHING):
        settings = {"collections": collections if isinstance(collections, dict) else every_step(collections)}
        probe = Probe(Settings.of(settings), self.folder)
        loss, optimizer = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=rate)
        probe.watch(model, loss, optimizer)
        for step in range(steps):
            model.train()
            optimizer.zero_grad()
            loss(model(self.x), self.y).backward()
            optimizer.step()
            if step % 10 == 9:
                model.eval()
                with torch.no_grad():
                    loss(model(self.x), self.y)
        probe.close()

    def status(self, rule, **parameters):
        feed = Feed(self.folder)
        judge = Judge(Configuration(rule, rule, parameters), feed, time.time)
        for moment in feed.moments():
            judge.judge(moment)
        judge.finish(feed.seen)
        return judge.status

    def verdict(self, rule, **parameters):
        found = self.status(rule, **parameters)
        return found.status if found.status != "Error" else f"Error: {found.reason}"

    def test_good_training(self):
        self.train(Net())
        for rule, parameters in (
            ("VanishingGradient", {}),
            ("ExplodingTensor", {}),
            ("WeightUpdateRatio", {}),
            ("AllZero", {"collection_names": ["weights", "gradients"]}),
            ("UnchangedTensor", {"collection_names": ["weights"]}),
            ("TensorVariance", {"collection_names": ["weights"], "max_threshold": 10}),
            ("PoorWeightInitialization", {}),
            ("DeadRelu", {"threshold_layer": 80}),
            ("LossNotDecreasing", {}),
            ("Overfit", {}),
            ("AccuracyDrop", {"baseline": 0.99}),
            ("ClassImbalance", {"argmax": True, "samples": 1500}),
            ("StalledTraining", {}),
        ):
            with self.subTest(rule):
                self.assertEqual(self.verdict(rule, **parameters), "NoIssuesFound")

    def test_an_exploding_loss(self):
        self.train(Net(scale=30), rate=1e6)
        found = self.status("ExplodingTensor")
        self.assertEqual(found.status, "IssuesFound", found)
        self.assertLess(found.step, 10)
        self.assertEqual(self.verdict("WeightUpdateRatio"), "IssuesFound")

    def test_vanishing_gradients(self):
        self.train(Deep(), steps=3)
        found = self.status("VanishingGradient")
        self.assertEqual((found.status, found.step), ("IssuesFound", 0), found)

    def test_a_loss_that_stays(self):
        self.train(Net(), rate=0.0)
        self.assertEqual(self.status("LossNotDecreasing").step, 10)
        self.assertEqual(self.status("UnchangedTensor", collection_names=["weights"]).step, 2)

    def test_dead_relus(self):
        model = Net()
        with torch.no_grad():
            model.first.bias.fill_(-100.0)
        self.train(model, steps=2)
        found = self.status("DeadRelu")
        self.assertEqual((found.status, found.step, found.value), ("IssuesFound", 0, 100.0), found)

    def test_the_layers_of_a_plain_sequential_are_found_by_their_type(self):
        model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3))
        with torch.no_grad():
            model[0].bias.fill_(-100.0)
            model[2].bias.fill_(100.0)
        # As pipeline.yaml has them saved for these rules.
        saves = {**DeadRelu.saves, **SaturatedActivation.saves}
        self.train(model, steps=1, collections={name: {**how, "interval": 1} for name, how in saves.items()})
        self.assertEqual(Trial(self.folder).names("put"), ["1/output", "3/input"])
        self.assertEqual(Trial(self.folder).record("1/output", 0).layer, "ReLU")
        self.assertIn("1/output", self.status("DeadRelu").reason)
        self.assertIn("3/input", self.status("SaturatedActivation").reason)

    def test_a_bad_confusion_matrix(self):
        self.train(Net(), steps=30)
        found = self.status("Confusion")
        self.assertEqual((found.status, found.step), ("IssuesFound", 0), found)

    def test_what_is_not_saved(self):
        self.train(Net(), collections=("weights",))
        for rule, part in (("DeadRelu", "relu"), ("VanishingGradient", "gradients"), ("Confusion", "labels")):
            with self.subTest(rule):
                self.assertIn(part, self.verdict(rule))
                self.assertIn("Error", self.verdict(rule))

    def test_similar_across_runs(self):
        self.train(Net(), steps=3)
        here = str(self.folder)
        self.assertEqual(self.verdict("SimilarAcrossRuns", other_trial=here), "NoIssuesFound")

    def test_half_precision(self):
        model = Net().to(torch.bfloat16)
        self.x = self.x.to(torch.bfloat16)
        self.train(model, steps=12)
        self.assertEqual(self.verdict("ExplodingTensor"), "NoIssuesFound")
        self.assertTrue(math.isfinite(self.status("VanishingGradient").value))
        self.assertNotIn("Error", json.dumps(self.verdict("WeightUpdateRatio")))


if __name__ == "__main__":
    unittest.main()
