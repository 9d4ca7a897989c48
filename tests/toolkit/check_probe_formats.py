"""The probe's files, read by those whose formats they are: TensorBoard and safetensors."""

import io
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import load_file
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from toolkit.probe import Probe, tensor_files
from toolkit.probe.settings import Settings


class Formats(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        torch.manual_seed(0)
        self.x = torch.randn(4, 3, 8, 8)
        self.probe = Probe(
            Settings.of(
                {
                    "collections": {
                        "weights": {"interval": 1},
                        "gradients": {"interval": 1, "reductions": ["mean", "histogram"]},
                        "pictures": {"include": ["^model/input"], "interval": 1},
                    }
                }
            ),
            self.folder,
        )
        self.model = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.Flatten(), torch.nn.Linear(180, 2)).to(
            torch.bfloat16
        )
        optimizer, loss = torch.optim.SGD(self.model.parameters(), 0.1), torch.nn.CrossEntropyLoss()
        self.probe.watch(self.model, loss, optimizer)
        self.losses = []
        for _ in range(3):
            self.weight = self.model[0].weight.detach().clone()
            found = loss(self.model(self.x.bfloat16()).float(), torch.tensor([0, 1, 0, 1]))
            found.backward()
            self.probe.image("signs", self.x)
            self.losses.append(found.item())
            optimizer.step()
        self.probe.scalar("large", 1e300)
        self.probe.tensor("one", [1.5])
        self.probe._recorder.offer("tree/depth", "tree", np.array([6]))  # as of a round with one tree
        self.probe._recorder.offer("importance/gain", "importance", np.array([6.0, 2.0]))
        self.probe.close()

    def test_safetensors_reads_them(self):
        (path,) = (self.folder / "tensors").rglob("TRAIN-000000000002.safetensors")
        read = load_file(path)
        self.assertTrue(torch.equal(read["0/weight"], self.weight))
        self.assertEqual(read["0/weight"].dtype, torch.bfloat16)
        self.assertTrue(torch.equal(read["signs"], self.x))
        with safe_open(path, "np") as file:
            self.assertEqual(set(file.keys()), {"0/weight", "2/weight", "model/input", "signs"})

    def test_we_read_safetensors(self):
        tensors = {"a": np.arange(12, dtype=np.int16).reshape(3, 4), "b": np.array(2.5), "c": np.zeros((0, 2), bool)}
        path = self.folder / "theirs.safetensors"
        save_file(tensors, path)
        content = path.read_bytes()
        for name, tensor in tensors.items():
            read = tensor_files.read(lambda start, n: content[start : start + n], name, "theirs")
            np.testing.assert_array_equal(read, tensor)
            self.assertEqual(read.dtype, tensor.dtype)

    def test_tensorboard_reads_them(self):
        (run,) = (self.folder / "events").glob("*/train")
        events = EventAccumulator(str(run), {"tensors": 0})
        events.Reload()
        found = [
            (event.step, tensor_util.make_ndarray(event.tensor_proto).item())
            for event in events.Tensors("loss/CrossEntropyLoss")
        ]
        self.assertEqual(found, [(step, np.float32(value)) for step, value in enumerate(self.losses)])
        buckets = tensor_util.make_ndarray(events.Tensors("0/weight")[2].tensor_proto)
        self.assertEqual(buckets[:, 2].sum(), self.weight.numel())
        self.assertAlmostEqual(buckets[0, 0], self.weight.min().item(), places=2)
        self.assertIn("0/weight.gradient", events.Tags()["tensors"])
        self.assertIn("0/weight.gradient/mean", events.Tags()["tensors"])
        kinds = {
            tag: events.SummaryMetadata(tag).plugin_data.plugin_name for tag in ("model/input", "model/input/images")
        }
        self.assertEqual(kinds, {"model/input": "histograms", "model/input/images": "images"})
        one = {tag: events.SummaryMetadata(tag).plugin_data.plugin_name for tag in ("one", "tree/depth")}
        self.assertEqual(one, {"one": "histograms", "tree/depth": "scalars"})
        self.assertEqual(tensor_util.make_ndarray(events.Tensors("tree/depth")[0].tensor_proto).item(), 6)
        self.assertNotIn("importance/gain", events.Tags()["tensors"], "its features' are curves")
        width, height, encoded = tensor_util.make_ndarray(events.Tensors("signs")[0].tensor_proto)
        picture = Image.open(io.BytesIO(encoded))
        self.assertEqual((picture.size, (int(width), int(height)), picture.mode), ((32, 8), (32, 8), "RGB"))
        pixels = np.asarray(picture)
        self.assertEqual((pixels.min(), pixels.max()), (0, 255))


if __name__ == "__main__":
    unittest.main()
