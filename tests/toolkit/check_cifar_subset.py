"""training_code/cifar_subset: its network, its pictures, what it refuses, and a whole training. Runs where torch,
Pillow and safetensors are, in a process of its own: other folders have modules of the same names."""

import io
import json
import os
import runpy
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "training_code" / "cifar_subset"
sys.path.insert(0, str(FOLDER))

import learning  # noqa: E402
import network  # noqa: E402
import pictures  # noqa: E402
import serve  # noqa: E402
import shapes  # noqa: E402
import views  # noqa: E402

from toolkit import network_files  # noqa: E402
from toolkit.errors import ToolkitError  # noqa: E402
from toolkit.picture_arrays import PicturesError  # noqa: E402
from toolkit.probe import Trial  # noqa: E402

NAMES = shapes.CLASSES


def folder(case):
    made = tempfile.TemporaryDirectory()
    case.addCleanup(made.cleanup)
    return Path(made.name)


class Network(unittest.TestCase):
    def test_its_size_and_its_names(self):
        model = network.build(network.Architecture(tuple("0123456789")))
        self.assertEqual(network.parameters(model), 701_466)
        names = {name.partition(".")[0] for name in model.state_dict()}
        self.assertEqual(names, {"stem", "layers", "head"})
        self.assertIn("layers.2.0.shortcut.0.weight", model.state_dict())
        with torch.no_grad():
            self.assertEqual(model.layers(model.stem(torch.zeros(1, 3, 64, 96))).shape, (1, 128, 8, 12))
        with torch.device("meta"):
            papers = network.build(network.Architecture(tuple("0123456789"), 64))
        self.assertEqual(network.parameters(papers), 11_173_962)

    def test_it_comes_back_as_it_was(self):
        where = folder(self)
        arch = network.Architecture(NAMES, 4, 2)
        model = network.build(arch).eval()
        network_files.save(where, arch, model)
        again, same = network.load(where)
        self.assertEqual(same, arch)
        x = torch.randn(2, 3, 32, 32)
        torch.testing.assert_close(again(x), model(x), rtol=0, atol=0)

    def test_what_is_no_network(self):
        where = folder(self)
        for arguments, message in (
            ((("a",),), "at least two"),
            ((NAMES, 0), "width is 0"),
            ((NAMES, 4, 3), "stride is 3"),
        ):
            with self.assertRaisesRegex(network.ModelError, message):
                network.Architecture(*arguments)
        with self.assertRaisesRegex(network.ModelError, "can't be read"):
            network.load(where)
        arch = network.Architecture(NAMES, 4)
        network_files.save(where, network.Architecture(NAMES, 8), network.build(arch))
        with self.assertRaisesRegex(network.ModelError, "doesn't hold this network"):
            network.load(where)
        (where / network_files.ARCHITECTURE).write_text("[]")
        with self.assertRaisesRegex(network.ModelError, "is no architecture"):
            network.load(where)


class Pictures(unittest.TestCase):
    def test_shapes_are_the_same_for_the_same_seed_and_go_through_a_file(self):
        drawn, labels = shapes.draw(24, seed=3)
        np.testing.assert_array_equal(shapes.draw(24, seed=3)[0], drawn)
        self.assertFalse(np.array_equal(shapes.draw(24, seed=4)[0], drawn))
        where = folder(self)
        np.savez(where / "a.npz", X=drawn, y=labels)
        np.savez(where / "b.npz", X=drawn[:3], y=labels[:3])
        images, found = pictures.load(where)
        self.assertEqual((len(images), found.tolist()), (27, [*labels, *labels[:3]]))

    def test_a_moved_picture_is_the_picture_elsewhere(self):
        image = np.zeros((1, 32, 32, 3), np.uint8)
        image[0, 10, 20] = 255
        seen = set()
        for _ in range(200):
            (row, column), *more = np.argwhere(pictures.shifted(image)[0, :, :, 0])
            self.assertFalse(more)
            seen.add((int(row), int(column)))
        self.assertLessEqual({row for row, _ in seen}, set(range(6, 15)))
        self.assertLessEqual({column for _, column in seen}, {*range(16, 25), *range(7, 16)})
        self.assertGreater(len(seen), 50)

    def test_a_batch_is_its_pictures(self):
        drawn, _ = shapes.draw(6, seed=0)
        dataset = pictures.Pictures(drawn, np.arange(6))
        x, y = dataset.__getitems__([4, 1])
        self.assertEqual(y.tolist(), [4, 1])
        self.assertTrue(torch.equal(x[1], dataset[1][0]))

    def test_a_split_has_its_part_of_every_class(self):
        classes = np.repeat([0, 1, 2], [100, 40, 10])
        judged, guide, learned = pictures.split(classes, (0.1, 0.2), seed=1)
        self.assertEqual(sorted([*judged, *guide, *learned]), list(range(150)))
        self.assertEqual(np.bincount(classes[judged]).tolist(), [10, 4, 1])
        self.assertEqual(np.bincount(classes[guide]).tolist(), [20, 8, 2])

    def test_files_that_hold_no_pictures(self):
        drawn, labels = shapes.draw(4, seed=0)
        for arrays, message in (
            ({"X": drawn}, "no array 'y'"),
            ({"X": drawn, "y": labels[:3]}, "there are 4 pictures"),
            ({"X": drawn[:, :16], "y": labels}, r"\(n, 32, 32, 3\) is needed"),
            ({"X": drawn / 255, "y": labels}, "from 0 to 1; they go from 0 to 255"),
            ({"X": drawn.astype(int) + 200, "y": labels}, "they go from 0 to 255"),
            ({"X": np.array([None] * 4), "y": labels}, "can't be read"),
        ):
            where = folder(self)
            np.savez(where / "a.npz", **arrays)
            with self.assertRaisesRegex(PicturesError, f"a.npz.*{message}"):
                pictures.load(where)
        with self.assertRaisesRegex(PicturesError, "no .npz file"):
            pictures.load(folder(self))


class Training(unittest.TestCase):
    def setUp(self):
        self.data, self.out = folder(self), folder(self)
        drawn, labels = shapes.draw(120, seed=0)
        np.savez(self.data / "shapes.npz", X=drawn, y=labels)

    def trained(self, *arguments):
        given = ["--train", str(self.data), "--model-dir", str(self.out / "model"), "--width", "4", *arguments]
        variables = {"SAGEMAKER_BASE_DIR": str(self.out / "none"), "RATCHET_TENSORS": str(self.out / "tensors")}
        said = io.StringIO()
        argv = mock.patch.object(sys, "argv", [str(FOLDER / "train.py"), *given])
        with argv, mock.patch.dict(os.environ, variables), redirect_stdout(said), redirect_stderr(said):
            runpy.run_path(str(FOLDER / "train.py"), run_name="__main__")
        return said.getvalue()

    def test_guided_by_pictures_that_judge_nothing_and_shown(self):
        said = self.trained("--method", "glister", "--fraction", "0.4", "--epochs", "3", "--batch", "16")
        self.assertIn("96 pictures to learn from", said)
        self.assertIn("by=random", said)
        self.assertIn("epoch=1 by=glister examples=38", said)
        self.assertRegex(said, r"selection_seconds=[0-9.]+\nseconds=[0-9.]+\n")
        document = views.chosen(Trial(self.out / "tensors"), 6)
        shares, losses = document["vconcat"]
        self.assertEqual({row["epoch"] for row in shares["data"]["values"]}, {0, 1, 2})
        self.assertEqual({row["name"] for row in shares["data"]["values"]}, set(NAMES))
        self.assertEqual(len(losses["data"]["values"]), 6)
        json.dumps(document)
        model = serve.model_fn(self.out / "model")
        drawn, _ = shapes.draw(2, seed=5)
        body = io.BytesIO()
        np.save(body, drawn)
        found = serve.predict_fn(serve.input_fn(body.getvalue(), serve.NPY), model)
        text, kind = serve.output_fn(found, serve.CSV)
        self.assertEqual((kind, len(text.splitlines())), (serve.CSV, 2))
        self.assertLessEqual(set(text.splitlines()), set(NAMES))
        listed, _ = serve.output_fn(found, serve.JSON)
        self.assertEqual([one["class"] for one in json.loads(listed)], text.splitlines())

    def test_hyperparameters_that_can_t_be(self):
        for arguments, message in (
            (("--fraction", "0"), "--fraction: is 0; it must be a number, above 0 and at most 1"),
            (("--fraction", "1.2"), "--fraction: is 1.2"),
            (("--method", "craig"), "invalid choice: 'craig'"),
            (("--select-every", "0"), "--select-every: is 0; it must be a whole number, at least 1"),
            (("--stride", "3"), "--stride: is 3"),
        ):
            said = io.StringIO()
            with self.assertRaises(SystemExit), redirect_stderr(said), mock.patch.object(sys, "argv", ["train.py"]):
                sys.argv += arguments
                runpy.run_path(str(FOLDER / "train.py"), run_name="__main__")
            self.assertIn(message, said.getvalue())
        with self.assertRaisesRegex(ToolkitError, "full takes all examples, and fraction is 0.5"):
            self.trained("--method", "full", "--fraction", "0.5")


class Serving(unittest.TestCase):
    def test_a_picture_of_any_size(self):
        made = io.BytesIO()
        Image.new("L", (50, 70), 200).save(made, "PNG")
        self.assertEqual(serve.input_fn(made.getvalue(), "image/png").shape, (1, 32, 32, 3))

    def test_requests_that_can_t_be_answered(self):
        for body, kind, message in (
            (b"GIF89a", "image/png", "can't be read as a JPEG or PNG"),
            (b"x", "application/x-npy", "no array in NPY"),
            (b"1,2", "text/csv", "send image/png"),
        ):
            with self.assertRaisesRegex(ToolkitError, message):
                serve.input_fn(body, kind)

    def test_probabilities_add_up(self):
        found = learning.probabilities(network.build(network.Architecture(NAMES, 4, 2)), shapes.draw(3, seed=0)[0])
        np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


if __name__ == "__main__":
    unittest.main()
