"""The probe on Keras 3, on PyTorch."""

import os
import tempfile
import unittest
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

from toolkit.probe import Probe, Trial
from toolkit.probe.settings import Settings

EVERYTHING = ["weights", "biases", "gradients", "inputs", "outputs", "optimizer_state"]


class Fit(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        keras.utils.set_random_seed(0)
        self.x, self.y = np.random.default_rng(0).normal(size=(24, 4)).astype("float32"), np.arange(24) % 2

    def model(self):
        return keras.Sequential(
            [
                keras.layers.Input((4,)),
                keras.layers.Dense(3, activation="relu", name="hidden"),
                keras.layers.Dense(2, name="out"),
            ]
        )

    def test_two_lines(self):
        model = self.model()
        before = np.array(model.get_layer("hidden").kernel)
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
        probe = Probe(Settings.of({"collections": {name: {"interval": 1} for name in EVERYTHING}}), self.folder)
        model.fit(
            self.x,
            self.y,
            batch_size=8,
            epochs=2,
            validation_data=(self.x[:8], self.y[:8]),
            shuffle=False,
            verbose=0,
            callbacks=[probe.watch(model)],
        )
        probe.close()
        trial = Trial(self.folder)
        self.assertEqual(trial.status["problems"], {})
        self.assertEqual((trial.steps("loss/loss"), trial.steps("loss/loss", "eval")), (list(range(6)), [0, 1]))
        self.assertEqual(trial.record("loss/loss", 1, "eval").train_step, 6)
        np.testing.assert_array_equal(trial.value("hidden/kernel", 0), before)
        np.testing.assert_array_equal(trial.value("hidden/input", 1), self.x[8:16])
        hidden = np.maximum(self.x[:8] @ before + trial.value("hidden/bias", 0), 0)
        np.testing.assert_allclose(trial.value("hidden/output", 0), hidden, rtol=1e-5, atol=1e-6)
        self.assertEqual([trial.record(f"hidden/{what}", 0).layer for what in ("input", "output")], ["Dense", "relu"])
        logits = trial.value("out/output", 0)
        error = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(2)[self.y[:8]]
        np.testing.assert_allclose(trial.value("out/kernel.gradient", 0), hidden.T @ error / 8, rtol=1e-4, atol=1e-6)
        self.assertIn("metric/accuracy", trial.names())
        self.assertTrue(trial.names("^optimizer/.*momentum"))

    def test_the_model_is_itself_again(self):
        model = self.model()
        model.compile("sgd", "mse")
        probe = Probe(Settings.of({"collections": {"outputs": {}}}), self.folder)
        model.fit(self.x, self.x[:, :2], verbose=0, callbacks=[probe.watch(model)])
        probe.close()
        self.assertFalse([layer for layer in model.layers if "call" in vars(layer)])
        self.assertNotIn("apply", vars(model.optimizer))


if __name__ == "__main__":
    unittest.main()
