"""Checkpoints of PyTorch: a model with dropout and momentum is the same to the bit after interruptions."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import torch

from toolkit.checkpoint import Batches, Checkpoints
from toolkit.checkpoint.files import read, write


class Torch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def trained(self, folder, total, stop_after=None):
        torch.manual_seed(0)
        examples = torch.randn(32, 4)
        model = torch.nn.Sequential(
            torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1)
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 4)
        batches = Batches(32, size=8)
        parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "batches": batches}
        with contextlib.redirect_stdout(io.StringIO()):
            for count, _ in enumerate(Checkpoints(every=2, folder=folder, **parts).steps(total), start=1):
                loss = model(examples[batches.next()]).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
                if count == stop_after:
                    break
        return model.state_dict()

    def test_the_model_is_the_undisturbed_one(self):
        whole = self.trained(self.folder / "whole", 20)
        for _ in range(5):
            self.trained(self.folder / "cut", 20, stop_after=5)
        end = self.trained(self.folder / "cut", 20)
        for name, value in whole.items():
            self.assertTrue(torch.equal(value, end[name]), name)

    def test_tensors_of_every_kind(self):
        for value in (torch.randn(3).to(torch.bfloat16), torch.tensor(2), torch.zeros(0, 3), torch.ones(2, 3).T):
            write(self.folder / "c", [value])
            found = read(self.folder / "c")[0]
            self.assertEqual(found.dtype, value.dtype)
            self.assertTrue(torch.equal(found, value))


if __name__ == "__main__":
    unittest.main()
