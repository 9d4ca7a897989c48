"""training_code/traffic_signs: what its maps add up to, which pictures belong together, and what it refuses. Runs where
torch, Pillow and safetensors are, in a process of its own: other folders have modules of the same names."""

import base64
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
from torch import nn

FOLDER = Path(__file__).resolve().parents[2] / "training_code" / "traffic_signs"
sys.path.insert(0, str(FOLDER))

import learning  # noqa: E402
import network  # noqa: E402
import pictures  # noqa: E402
import saliency  # noqa: E402
import sanity  # noqa: E402
import serve  # noqa: E402
import sign_metrics  # noqa: E402
import signs  # noqa: E402
import thresholds  # noqa: E402
import tracks  # noqa: E402
import views  # noqa: E402
from PIL import Image  # noqa: E402

from toolkit import network_files  # noqa: E402
from toolkit.picture_arrays import PicturesError  # noqa: E402
from toolkit.probe import Trial  # noqa: E402

NAMES = tuple(signs.CLASSES)


def tiny(width=1 / 16):
    """A network that has trained for all that BatchNorms and biases show."""
    torch.manual_seed(0)
    arch = network.Architecture(NAMES, width)
    model = network.build(arch)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.3)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.running_mean.normal_(std=0.5)
            module.running_var.uniform_(0.3, 2)
    nn.init.normal_(model.fc.bias)
    return model.eval(), arch


def drawn(tracks=1, frames=2):
    return signs.draw(tracks, frames, seed=0)


def npy(array):
    body = io.BytesIO()
    np.save(body, array)
    return body.getvalue()


def archive(array):
    """An npz file: many arrays, where one is asked for."""
    body = io.BytesIO()
    np.savez(body, X=array)
    return body.getvalue()


def picture_file(pixels, kind="PNG"):
    made = io.BytesIO()
    Image.fromarray(pixels).save(made, kind)
    return made.getvalue()


class FullGradients(unittest.TestCase):
    def setUp(self):
        self.model, self.arch = tiny()
        self.images = drawn()[0]
        self.batch = pictures.tensor(self.images)

    def test_they_add_up_to_the_score(self):
        found = saliency.gradients_of(self.model, self.batch)
        with torch.no_grad():
            np.testing.assert_allclose(found.scores, self.model(self.batch).max(1).values, rtol=1e-5)
        np.testing.assert_allclose(found.remainder(), 0, atol=1e-4)

    def test_nothing_adds_up_where_a_batchnorm_s_mean_or_eps_is_left_out(self):
        """As the original's formula had it."""
        without_eps = mock.patch.object(saliency, "batchnorm_bias", lambda g, b, m, v, _eps: b - g * m / np.sqrt(v))
        without_mean = mock.patch.object(saliency, "batchnorm_bias", lambda _g, b, _m, _v, _eps: b)
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = 0.1
        np.testing.assert_allclose(saliency.gradients_of(self.model, self.batch).remainder(), 0, atol=1e-4)
        for wrong in (without_eps, without_mean):
            with wrong:
                self.assertGreater(abs(saliency.gradients_of(self.model, self.batch).remainder()).max(), 0.05)

    def test_of_a_class_that_is_asked_for(self):
        classes = np.full(len(self.images), 3)
        found = saliency.gradients_of(self.model, self.batch, classes)
        with torch.no_grad():
            np.testing.assert_allclose(found.scores, self.model(self.batch)[:, 3], rtol=1e-5)
        np.testing.assert_allclose(found.remainder(), 0, atol=1e-4)

    def test_every_part_is_its_own_layer_s(self):
        parts = saliency.gradients_of(self.model, self.batch).parts
        layers = dict(self.model.named_modules())
        self.assertEqual(len(parts), 21, "20 BatchNorms and the last layer")
        for path, part in parts.items():
            self.assertEqual(part.gradient.shape[:2], (len(self.images), len(layers[path].bias)), path)

    def test_parts_in_another_order_are_the_same_map(self):
        found = saliency.gradients_of(self.model, self.batch)
        backwards = saliency.Gradients(**{**vars(found), "parts": dict(reversed(list(found.parts.items())))})
        np.testing.assert_allclose(saliency.full_gradient(backwards), saliency.full_gradient(found), rtol=1e-5)

    def test_the_network_is_left_as_it_was(self):
        before = [(name, tensor.clone()) for name, tensor in self.model.state_dict().items()]
        saliency.gradients_of(self.model, self.batch)
        for (name, tensor), after in zip(before, self.model.state_dict().values(), strict=True):
            self.assertTrue(torch.equal(tensor, after), name)
        self.assertFalse([m for m in self.model.modules() if m._forward_hooks], "hooks are taken off")
        self.assertTrue(all(parameter.grad is None for parameter in self.model.parameters()))

    def refused(self, model, message):
        with self.assertRaisesRegex(saliency.SaliencyError, message):
            saliency.gradients_of(model, self.batch, last="0")

    def test_networks_of_which_they_would_be_wrong(self):
        self.model.train()
        with self.assertRaisesRegex(saliency.SaliencyError, r"stem_bn takes its batch's mean: call model.eval\(\)"):
            saliency.gradients_of(self.model, self.batch)
        first = nn.Conv2d(3, 2, 3)
        self.refused(nn.Sequential(first, nn.ReLU(inplace=True)), r"1 \(ReLU\) works in place")
        self.refused(nn.Sequential(first, nn.Sigmoid()), "1 is a Sigmoid; full gradients are known of Conv2d, Linear")
        self.refused(Twice(), "first is called twice")

    def test_up_to_the_picture_s_size_as_pytorch_interpolates(self):
        small = np.random.default_rng(0).random((2, 4, 5))
        wanted = nn.functional.interpolate(torch.from_numpy(small)[None], (32, 20), mode="bilinear")[0]
        np.testing.assert_allclose(saliency.upsampled(small, (32, 20)), wanted, atol=1e-12)

    def test_grad_cam_is_where_the_maps_speak_for_the_class(self):
        found = saliency.gradients_of(self.model, self.batch)
        weights = found.map_gradients.mean((2, 3))
        wanted = np.maximum((weights[:, :, None, None] * found.maps).sum(1), 0)
        self.assertEqual(wanted.shape[1:], (4, 4))
        np.testing.assert_allclose(saliency.grad_cam(found), saliency.upsampled(wanted, (32, 32)), rtol=1e-5)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.first(self.first(x))


class Sanity(unittest.TestCase):
    def test_rank_correlations(self):
        random = np.random.default_rng(0).random((3, 4, 4))
        np.testing.assert_allclose(sanity.correlations(random, random**3 + 1), 1)
        np.testing.assert_allclose(sanity.correlations(random, -random), -1)
        np.testing.assert_allclose(sanity.correlations(random, np.ones((3, 4, 4))), 0)

    def test_fresh_weights_change_the_map_layer_by_layer(self):
        model, arch = tiny()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        found = list(sanity.cascade(model, arch, drawn()[0], seed=1))
        layers = [path for path, _ in found]
        self.assertEqual((layers[0], layers[-1], len(layers)), ("fc", "stem", 41))
        self.assertLess(found[-1][1], 0.9)
        self.assertTrue(all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items()))

    def test_deletion_begins_with_the_whole_picture_and_ends_with_none_of_it(self):
        model, _ = tiny()
        images = drawn()[0]
        curves = sanity.deletion(model, images, sanity.random_maps(len(images), 0))
        whole = learning.probabilities(model, images)
        np.testing.assert_allclose(curves[:, 0], whole.max(1), rtol=1e-5)
        gone = pictures.tensor(images).mean((2, 3), keepdim=True).expand(-1, -1, 32, 32)
        with torch.no_grad():
            left = model(gone).softmax(1).numpy()
        np.testing.assert_allclose(curves[:, -1], left[np.arange(len(images)), whole.argmax(1)], rtol=1e-4)

    def test_the_area_under_a_curve(self):
        self.assertEqual(sanity.area(np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])).tolist(), [0.25, 1.0])

    def test_a_map_of_what_counts_is_better_than_one_of_the_rest(self):
        model = Corner()
        images = np.full((2, 32, 32, 3), 100, np.uint8)
        images[:, :8, :8] = 255
        there = np.zeros((2, 32, 32))
        there[:, :8, :8] = 1
        self.assertGreater(sanity.deletion_gain(model, images, there, -there), 0.2)


class Corner(nn.Module):
    """Two classes, by how bright the corner is."""

    def forward(self, x):
        score = 5 * x[:, :, :8, :8].mean((1, 2, 3))
        return torch.stack([score, -score], 1)


class Tracks(unittest.TestCase):
    def test_pictures_that_are_alike_are_one_track_and_other_classes_never(self):
        images = np.repeat(np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), np.uint8), 3, axis=0)
        images[1] += 1
        track = tracks.found(images, np.array(["a", "a", "a", "a", "a", "b"]))
        self.assertEqual(track.tolist(), [0, 0, 0, 1, 1, 2])

    def test_a_split_keeps_tracks_whole(self):
        _, labels, track = drawn(tracks=5, frames=4)
        learned, judged = tracks.split(labels, track, validation=0.2, seed=0)
        self.assertFalse(set(track[learned]) & set(track[judged]))
        self.assertEqual(sorted([*learned, *judged]), list(range(len(labels))))
        self.assertEqual(set(labels[judged]), set(labels))
        again = tracks.split(labels, track, validation=0.2, seed=0)[1]
        self.assertEqual(judged.tolist(), again.tolist())
        self.assertNotEqual(judged.tolist(), tracks.split(labels, track, validation=0.2, seed=1)[1].tolist())

    def test_a_class_of_one_track_is_learned(self):
        learned, judged = tracks.split(np.array(["a"] * 4), np.zeros(4, int), validation=0.5, seed=0)
        self.assertEqual((len(learned), len(judged)), (4, 0))


class Varied(unittest.TestCase):
    def setUp(self):
        self.batch = pictures.tensor(drawn(tracks=4, frames=1)[0])

    def varied(self, strength, seed=0):
        return learning.varied(self.batch, torch.Generator().manual_seed(seed), strength)

    def test_without_strength_pictures_are_what_they_were(self):
        self.assertTrue(self.varied(0.0).equal(self.batch))

    def test_never_the_same_twice_but_by_the_same_seed(self):
        self.assertTrue(self.varied(1.0).equal(self.varied(1.0)))
        self.assertFalse(self.varied(1.0).equal(self.varied(1.0, seed=1)))
        self.assertLessEqual(float(self.varied(1.0).abs().max()), 2)

    def test_reflections_are_white_spots_on_a_share_of_the_pictures(self):
        light = learning.reflections(2000, torch.Generator().manual_seed(0), share=0.5)
        self.assertEqual(light.shape, (2000, 1, pictures.SIZE, pictures.SIZE))
        self.assertGreaterEqual(float(light.min()), 0)
        # Two spots that shine with a chance of 0.6 each: 0.84 of the pictures that shall have some have one.
        shining = (light.amax((1, 2, 3)) > 4).float()
        self.assertAlmostEqual(float(shining.mean()), 0.5 * 0.84, delta=0.04)
        covered = (light > 2).float().mean((1, 2, 3))[shining == 1]
        self.assertLess(float(covered.max()), 0.2, "a spot leaves most of the sign to be seen")


class Metric(unittest.TestCase):
    def test_accuracy_counts_only_above_the_floor(self):
        truths = ["60_kmh"] * 30 + ["30_kmh"] * 70
        self.assertEqual(sign_metrics.accuracy_with_floors(truths, truths), 1.0)
        self.assertEqual(sign_metrics.accuracy_with_floors(truths, ["60_kmh"] * 100), 0.3)
        one_missed = ["30_kmh", *truths[1:]]
        self.assertAlmostEqual(sign_metrics.accuracy_with_floors(truths, one_missed), 29 / 30 - 0.97)
        self.assertEqual(sign_metrics.accuracy_with_floors(["30_kmh", "stop"], ["30_kmh", "60_kmh"]), 0.5)


class Thresholds(unittest.TestCase):
    def test_the_least_that_keeps_to_the_share(self):
        """Of any probabilities no more than the share is above it, and with anything lower more would be."""
        random = np.random.default_rng(0)
        for count in (1, 7, 100, 1000):
            for share in (0, 0.01, 0.1, 0.5):
                some = random.random(count)
                found = thresholds.least(some, share)
                self.assertLessEqual((some > found).mean(), share)
                below = some[some < found]
                if len(below):
                    self.assertGreater((some > below.max()).mean(), share)

    def test_they_are_of_other_classes_pictures_alone(self):
        names, classes = ("60_kmh", "b"), np.array([0, 0, 1, 1, 1, 1])
        likely = np.array([[0.9, 0.1], [0.01, 0.99], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]])
        self.assertEqual(thresholds.chosen(likely, classes, names, 0.25), {"60_kmh": 0.3}, "one of four is above it")
        self.assertEqual(thresholds.chosen(likely, classes, names, 0), {"60_kmh": 0.4})
        self.assertEqual(thresholds.chosen(likely, classes, ("a", "b"), 0.25), {}, "no class has a floor")

    def test_each_picture_is_varied_anew(self):
        model, _ = tiny()
        images = drawn()[0][:3]
        asked = learning.probabilities(model, images)
        likely = learning.varied_probabilities(model, images, 1.0).reshape(learning.TIMES, *asked.shape)
        self.assertGreater(np.ptp(likely, axis=0).max(1).min(), 1e-3)
        np.testing.assert_allclose(learning.varied_probabilities(model, images, 0)[:3], asked, rtol=1e-5)

    def test_the_most_likely_but_where_one_is_passed(self):
        names = ("a", "b", "c")
        likely = np.array([[0.7, 0.2, 0.1], [0.9, 0.05, 0.05], [0.2, 0.3, 0.5], [0.5, 0.25, 0.25]])
        self.assertEqual(thresholds.decided(likely, names, {}).tolist(), [0, 0, 2, 0])
        self.assertEqual(thresholds.decided(likely, names, {"b": 0.2}).tolist(), [0, 0, 1, 1])
        self.assertEqual(thresholds.decided(likely, names, {"b": 0.2, "c": 0.1}).tolist(), [0, 0, 2, 2])
        self.assertEqual(thresholds.decided(likely, names, {"b": 0.9}).tolist(), [0, 0, 2, 0], "never less than likely")
        self.assertEqual(thresholds.decided(likely, names, {"b": 0.0}).tolist(), [1, 1, 1, 1])

    def test_what_is_no_file_of_them(self):
        with tempfile.TemporaryDirectory() as folder:
            thresholds.save(folder, {"60_kmh": 0.07})
            self.assertEqual(thresholds.load(folder, NAMES), {"60_kmh": 0.07})
            for text, message in (
                ('{"61_kmh": 0.1}', r'must have a probability for classes among .*; it holds \{"61_kmh": 0.1\}'),
                ('{"60_kmh": 2}', "must have a probability"),
                ('{"60_kmh": true}', "must have a probability"),
                ("[]", "must have a probability"),
                ("{", "thresholds.json is no JSON"),
            ):
                Path(folder, thresholds.FILE).write_text(text)
                with self.subTest(text), self.assertRaisesRegex(network.ModelError, message):
                    thresholds.load(folder, NAMES)
            Path(folder, thresholds.FILE).unlink()
            with self.assertRaisesRegex(network.ModelError, "an earlier train.py wrote none: train the model anew"):
                thresholds.load(folder, NAMES)


class Pictures(unittest.TestCase):
    def channel(self, **arrays):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        np.savez(Path(folder.name) / "some.npz", **arrays)
        return folder.name

    def refused(self, message, **arrays):
        with self.assertRaisesRegex(PicturesError, message):
            pictures.load(self.channel(**arrays))

    def test_what_is_no_training_data(self):
        images, labels = np.zeros((4, 32, 32, 3), np.uint8), np.array(["a", "a", "b", "b"])
        self.refused("some.npz has no array 'y'", X=images)
        self.refused(r"pictures of shape \(4, 3, 32, 32\)", X=images.transpose(0, 3, 1, 2), y=labels)
        self.refused(r"'y' has the shape \(3,\); there are 4 pictures", X=images, y=labels[:3])
        self.refused(r"'track' has the shape \(1,\); there are 4 pictures", X=images, y=labels, track=np.zeros(1))
        self.refused("pixels from 0 to 300", X=np.linspace(0, 300, images.size).reshape(images.shape), y=labels)
        self.refused("pixels from 0 to 1; they go from 0 to 255", X=np.full(images.shape, 0.5), y=labels)
        self.refused("some.npz can't be read", X=np.array([None]), y=labels)
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(PicturesError, "no .npz file"):
                pictures.load(folder)
            Path(folder, "broken.npz").write_bytes(b"PK\x03\x04 and no more")
            with self.assertRaisesRegex(PicturesError, "broken.npz can't be read"):
                pictures.load(folder)

    def test_tracks_that_one_file_knows_and_another_doesn_t(self):
        images, labels = np.zeros((2, 32, 32, 3), np.uint8), np.array(["a", "b"])
        folder = self.channel(X=images, y=labels, track=np.arange(2))
        np.savez(Path(folder, "other.npz"), X=images, y=labels)
        with self.assertRaisesRegex(PicturesError, "other.npz has no array 'track', which other files have"):
            pictures.load(folder)


class Serving(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        model, arch = tiny()
        network_files.save(self.folder, arch, model)
        thresholds.save(self.folder, {})
        self.model = serve.model_fn(self.folder)
        self.images = drawn()[0][:3]

    def answer(self, body, content_type, accept):
        return serve.output_fn(serve.predict_fn(serve.input_fn(body, content_type), self.model), accept)

    def test_the_same_picture_by_every_way(self):
        (text, kind) = self.answer(npy(self.images), "application/x-npy", "text/csv")
        self.assertEqual((kind, len(text.split("\n"))), ("text/csv", 3))
        body = json.dumps({"pictures": self.images.tolist()})
        found = json.loads(self.answer(body, "application/json", "application/json")[0])
        self.assertEqual([entry["class"] for entry in found], text.split("\n"))
        alone = json.loads(self.answer(picture_file(self.images[0]), "image/png", "application/json")[0])
        self.assertEqual(alone[0]["class"], found[0]["class"])
        self.assertAlmostEqual(alone[0]["probability"], found[0]["probability"], places=4)
        model, _ = tiny()
        self.assertAlmostEqual(found[0]["probability"], learning.probabilities(model, self.images).max(1)[0], places=5)

    def test_a_picture_of_another_size_and_kind(self):
        large = np.repeat(np.repeat(self.images[0], 4, 0), 4, 1)
        whole = self.answer(picture_file(self.images[0]), "image/png", "text/csv")
        self.assertEqual(self.answer(picture_file(large), "image/png", "text/csv"), whole)
        self.assertEqual(self.answer(picture_file(large, "JPEG"), "image/jpeg", "text/csv")[1], "text/csv")

    def test_maps(self):
        body, kind = self.answer(picture_file(self.images[0]), "image/png", "image/png")
        self.assertEqual(kind, "image/png")
        with Image.open(io.BytesIO(body)) as image:
            self.assertEqual((image.format, image.size), ("PNG", (256, 256)))
        asked = json.dumps({"pictures": self.images[:1].tolist(), "saliency": True})
        (entry,) = json.loads(self.answer(asked, "application/json", "application/json")[0])
        self.assertEqual(base64.b64decode(entry["saliency"]), body)

    def test_a_class_that_must_not_be_overlooked(self):
        """Its own probability is told, and the map is what speaks for it."""
        (usual,) = json.loads(self.answer(npy(self.images[:1]), "application/x-npy", "application/json")[0])
        other = next(name for name in NAMES if name != usual["class"])
        thresholds.save(self.folder, {other: 0.0})
        before, _ = self.answer(picture_file(self.images[0]), "image/png", "image/png")
        self.model = serve.model_fn(self.folder)
        (found,) = json.loads(self.answer(npy(self.images[:1]), "application/x-npy", "application/json")[0])
        self.assertEqual(found["class"], other)
        self.assertLess(found["probability"], usual["probability"])
        self.assertNotEqual(self.answer(picture_file(self.images[0]), "image/png", "image/png")[0], before)

    def test_requests_that_can_t_be_answered(self):
        error = serve.RequestError
        for body, kind, message, raised in (
            (b"x", "text/csv", "content type text/csv: send image/png", error),
            (b"no picture", "image/png", "the request of 10 bytes can't be read as a JPEG or PNG", PicturesError),
            (picture_file(self.images[0])[:90], "image/png", "can't be read as a JPEG or PNG", PicturesError),
            (b"\x93NUMPY", "application/x-npy", "the request is no array in NPY", error),
            (archive(self.images), "application/x-npy", "the request is no array in NPY", error),
            (npy(np.zeros((1, 16, 16, 3))), "application/x-npy", r"shape \(1, 16, 16, 3\)", PicturesError),
            (npy(np.zeros((0, 32, 32, 3))), "application/x-npy", "no pictures", PicturesError),
            ("[", "application/json", "the request is no JSON", error),
            (b"\xff", "application/json", "the request isn't UTF-8: invalid start byte at byte 0", error),
            ('{"picture": []}', "application/json", 'the request must be {"pictures"', error),
            ('{"pictures": [["a"]]}', "application/json", "no array of numbers", error),
            ('{"pictures": [], "saliency": 1}', "application/json", "saliency is 1; it is true or false", error),
        ):
            with self.subTest(kind=kind, message=message), self.assertRaisesRegex(raised, message):
                serve.input_fn(body, kind)
        with self.assertRaisesRegex(error, "image/png is the map of one picture; 3 were sent"):
            self.answer(npy(self.images), "application/x-npy", "image/png")

    def test_a_picture_that_would_fill_the_memory(self):
        flat = picture_file(np.zeros((8100, 8000, 3), np.uint8))
        with self.assertRaisesRegex(PicturesError, "8000 x 8100; 64,000,000 pixels are the most"):
            serve.input_fn(flat, "image/png")
        most = mock.patch.object(Image, "MAX_IMAGE_PIXELS", 16_000_000)  # beyond twice that Pillow refuses by itself
        with most, self.assertRaisesRegex(PicturesError, "can't be read as a JPEG or PNG: Image size"):
            serve.input_fn(flat, "image/png")

    def test_a_folder_that_holds_no_network(self):
        with self.assertRaisesRegex(network.ModelError, "architecture.json can't be read"):
            serve.model_fn(self.folder / "elsewhere")
        (self.folder / network_files.STATE).write_bytes(b"no tensors")
        with self.assertRaisesRegex(network.ModelError, "model.safetensors doesn't hold this network"):
            serve.model_fn(self.folder)
        (self.folder / network_files.ARCHITECTURE).write_text('{"classes": ["one"], "width": 1}')
        with self.assertRaisesRegex(network.ModelError, "tells at least two apart"):
            serve.model_fn(self.folder)


class Trainings(unittest.TestCase):
    """train.py itself, as a job starts it."""

    def train(self, folder, *arguments):
        told = {"RATCHET_TENSORS": str(folder / "tensors"), "SM_CHANNEL_TRAIN": str(folder / "train")}
        width = [] if "--width" in arguments else ["--width", "0.03125"]
        command = [str(FOLDER / "train.py"), "--model-dir", str(folder / "model"), *width, *arguments]
        said, wrong = io.StringIO(), io.StringIO()
        job = mock.patch.dict(os.environ, told), mock.patch.object(sys, "argv", command)
        with job[0], job[1], redirect_stdout(said), redirect_stderr(wrong):
            try:
                runpy.run_path(command[0], run_name="__main__")
            except SystemExit as ended:
                return said.getvalue(), f"{wrong.getvalue()}{ended}"
        return said.getvalue(), ""

    def folder(self, tracks=3, frames=2):
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        (Path(made.name) / "train").mkdir()
        images, labels, track = signs.draw(tracks, frames, seed=0)
        np.savez(Path(made.name) / "train" / "signs.npz", X=images, y=labels, track=track)
        return Path(made.name)

    def test_maps_of_eight_pictures_after_each_epoch(self):
        folder = self.folder()
        said, wrong = self.train(folder, "--epochs", "2", "--batch", "8")
        self.assertEqual(wrong, "")
        self.assertRegex(said, r"epoch=2 validation:accuracy=[01]\.\d+ validation:recall:60_kmh=[01]\.\d+\n")
        trial = Trial(folder / "tensors")
        passes = trial.passes()
        self.assertEqual(list(passes), [4, 8], "32 pictures are learned, 8 a step")
        drawn = [views.maps(trial, step) for step in passes]
        self.assertEqual([one.count("<image ") for one in drawn], [24, 24])
        self.assertNotEqual(*drawn)
        self.assertRegex(said, r"taken for 60_kmh from a probability of 0\.\d{4}\n$")
        self.assertEqual(list(thresholds.load(folder / "model", NAMES)), ["60_kmh"])
        # Drawn from what was saved, they are those of the network itself.
        model, _ = network.load(folder / "model")
        shown = trial.value("shown/pictures", passes[8][-1], "eval")
        found = views.saved(trial, passes[8][-1])
        alive = saliency.gradients_of(model, pictures.tensor(shown))
        np.testing.assert_allclose(saliency.full_gradient(found), saliency.full_gradient(alive), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found.remainder(), 0, atol=1e-4)

    def test_tracks_that_nobody_knows_are_found(self):
        folder = self.folder()
        file = folder / "train" / "signs.npz"
        with np.load(file) as known:
            arrays = {name: known[name] for name in ("X", "y")}
        np.savez(file, **arrays)
        said, wrong = self.train(folder, "--epochs", "1", "--batch", "8")
        self.assertEqual(wrong, "")
        self.assertRegex(said, r"the data don't say which pictures are of one track; found \d+ by likeness")

    def test_hyperparameters_that_make_no_sense(self):
        for arguments, message in (
            (("--epochs", "0"), "argument --epochs: is 0; it must be a whole number, at least 1"),
            (("--width", "2"), "argument --width: is 2; it must be a number, above 0 and at most 1"),
            (("--strength", "2"), "argument --strength: is 2; it must be a number, at least 0 and at most 1"),
            (("--validation", "-0.1"), "argument --validation: is -0.1; it must be a number, above 0 and below 1"),
            (("--false-alarms", "1"), "argument --false-alarms: is 1; it must be a number, at least 0 and below 1"),
            (("--learning-rate", "fast"), "argument --learning-rate: is fast; it must be a number, above 0"),
        ):
            with self.subTest(arguments=arguments):
                self.assertIn(message, self.train(self.folder(), *arguments)[1])

    def test_nothing_is_left_to_judge_by(self):
        self.assertIn("has tracks enough for one to judge by", self.train(self.folder(tracks=1))[1])


if __name__ == "__main__":
    unittest.main()
