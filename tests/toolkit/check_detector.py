"""training_code/detector: data, pictures, weights and requests that can't be used, what is said at which place, which
box of many stays, and mean average precision as COCO has it. Runs where torch, Pillow and safetensors are, in a process
of its own: other folders have modules of the same names."""

import io
import json
import os
import runpy
import sys
import tarfile
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parents[2] / "training_code" / "detector"
sys.path.insert(0, str(FOLDER))

import boxes  # noqa: E402
import cells  # noqa: E402
import detection_metrics  # noqa: E402
import knobs  # noqa: E402
import learning  # noqa: E402
import network  # noqa: E402
import pictures  # noqa: E402
import pretrained  # noqa: E402
import serve  # noqa: E402
import views  # noqa: E402
from PIL import Image  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from toolkit.picture_arrays import PicturesError  # noqa: E402
from toolkit.picture_files import decoded  # noqa: E402
from toolkit.probe import Trial  # noqa: E402

ARCH = network.Architecture(("red", "white"), size=64, width=4)
PICTURE = {"file_name": "a.png", "height": 40, "width": 60, "id": 0}
BOX = {"image_id": 0, "bbox": [10, 10, 30, 30], "category_id": 0}


def in_folder(test):
    """A folder for this test alone."""
    folder = tempfile.TemporaryDirectory()
    test.addCleanup(folder.cleanup)
    return Path(folder.name)


def png(image):
    body = io.BytesIO()
    image.save(body, "PNG")
    return body.getvalue()


def jpeg(image):
    body = io.BytesIO()
    image.save(body, "JPEG")
    return body.getvalue()


def channel(folder, images=(PICTURE,), annotations=(BOX,), **more):
    """A channel with pictures of 60 x 40 pixels."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for one in images:
        if isinstance(one, dict) and str(one.get("file_name")).endswith(".png"):
            Image.new("RGB", (60, 40), "white").save(folder / "images" / Path(one["file_name"]).name)
    document = {"images": images, "annotations": annotations, **more}
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


# Data: what annotations.json says, and what is said of it.
BAD_DATA = {
    "no images": ({"images": "a.png"}, 'annotations.json has no list "images"'),
    "a picture without a name": (
        {"images": [{**PICTURE, "file_name": 3}]},
        "images[0]: file_name is 3; it must be a text",
    ),
    "a picture without a size": (
        {"images": [{**PICTURE, "height": None}]},
        "images[0]: height is None; it must be a whole",
    ),
    "a picture without pixels": (
        {"images": [{**PICTURE, "width": 0}]},
        "a.png is 0 x 40; a picture has at least a pixel",
    ),
    "one id twice": ({"images": [PICTURE, PICTURE]}, "images[1]: the id 0 is a.png's already"),
    "a picture elsewhere": ({"images": [{**PICTURE, "file_name": "../a.png"}]}, "write a name below images/"),
    "no such file": ({"images": [{**PICTURE, "file_name": "b.gif"}]}, "images[0]: there is no file images/b.gif"),
    "a box of nothing": ({"annotations": [{**BOX, "image_id": 7}]}, "annotations[0]: image_id is 7, but no picture of"),
    "three numbers": ({"annotations": [{**BOX, "bbox": [1, 2, 3]}]}, "bbox is [1, 2, 3]; it must be [xmin, ymin, xmax"),
    "no numbers": ({"annotations": [{**BOX, "bbox": "1 2 3 4"}]}, "bbox is '1 2 3 4'; it must be [xmin"),
    "as COCO has boxes": ({"annotations": [{**BOX, "bbox": [30, 20, 20, 10]}]}, "not COCO's [x, y, width, height]"),
    "outside": ({"annotations": [{**BOX, "bbox": [10, 10, 300, 30]}]}, "but a.png is 60 x 40 pixels"),
    "no class": ({"annotations": [{"image_id": 0, "bbox": [1, 1, 9, 9]}]}, "category_id is None; it must be"),
    "another class": (
        {"categories": [{"id": 5, "name": "x"}]},
        "the category_id 0 of a.png isn't among the categories",
    ),
    "a class without a name": ({"categories": [{"id": 0}]}, "categories[0]: name is None; it must be a text"),
    "two classes of one name": (
        {"categories": [{"id": 0, "name": "x"}, {"id": 1, "name": "x"}]},
        "two categories have one id or one name",
    ),
    "nothing to find": ({"annotations": []}, "holds no box; there is nothing to learn"),
}


class Data(unittest.TestCase):
    def test_what_can_not_be_used_is_refused_in_words(self):
        for name, (changes, told) in BAD_DATA.items():
            with self.subTest(name), self.assertRaises(PicturesError) as refused:
                pictures.load(channel(in_folder(self), **changes))
            self.assertIn(told, str(refused.exception), name)

    def test_a_file_that_is_not_there_or_no_json(self):
        folder = in_folder(self)
        with self.assertRaisesRegex(PicturesError, "a channel holds annotations.json and the folder images/"):
            pictures.load(folder)
        (folder / "annotations.json").write_text('{"images": [')
        with self.assertRaisesRegex(PicturesError, "can't be read as JSON: Expecting value: line 1 column 13"):
            pictures.load(folder)

    def test_a_box_without_area_is_left_out_and_told(self):
        flat = [{**BOX, "bbox": box} for box in ([5, 5, 5, 9], [7, 7, 7, 7], [60, 3, 61, 9])]
        found = pictures.load(channel(in_folder(self), annotations=[*flat, BOX]))
        self.assertEqual(len(found.pictures[0].boxes), 1)
        self.assertEqual(len(found.left_out), 3)
        self.assertTrue(found.left_out[0].endswith("annotations[0]: the box [5, 5, 5, 9] of a.png has no area"))

    def test_boxes_are_shares_and_end_where_the_picture_does(self):
        over = {**BOX, "bbox": [-2, -1, 61, 20]}
        (one,) = pictures.load(channel(in_folder(self), annotations=[BOX, over])).pictures
        np.testing.assert_allclose(one.boxes, [[1 / 6, 0.25, 0.5, 0.75], [0, 0, 1, 0.5]], rtol=1e-6)

    def test_classes_have_the_names_and_the_order_of_the_categories(self):
        named = [{"id": 7, "name": "white"}, {"id": 3, "name": "red"}]
        some = [{**BOX, "category_id": number} for number in (3, 7, 3)]
        found = pictures.load(channel(in_folder(self), annotations=some, categories=named))
        self.assertEqual((found.labels, found.pictures[0].classes.tolist()), (("white", "red"), [1, 0, 1]))
        without = pictures.load(channel(in_folder(self), annotations=some))
        self.assertEqual((without.labels, without.pictures[0].classes.tolist()), (("3", "7"), [0, 1, 0]))

    def test_the_drawn_cells_are_such_a_channel(self):
        folder = in_folder(self)
        count = cells.write(folder, 3, (80, 60), seed=1)
        found = pictures.load(folder)
        self.assertEqual((sum(len(one.boxes) for one in found.pictures), found.labels), (count, tuple(cells.CELLS)))
        self.assertFalse(found.left_out)


class Pictures(unittest.TestCase):
    def test_grey_cmyk_palettes_16_bits_and_transparent_ones_are_pictures(self):
        ramp = np.linspace(0, 255, 64 * 48).reshape(48, 64)
        grey = Image.fromarray(ramp.astype(np.uint8))
        kinds = {
            "grey": png(grey),
            "grey with alpha": png(grey.convert("LA")),
            "two colours": png(grey.convert("1")),
            "palette": png(grey.convert("RGB").quantize(16)),
            "16 bits": png(Image.fromarray((ramp * 257).astype(np.uint16))),
            "transparent": png(grey.convert("RGBA")),
            "CMYK": jpeg(grey.convert("RGB").convert("CMYK")),
            "JPEG": jpeg(grey),
        }
        for name, body in kinds.items():
            with self.subTest(name):
                found = decoded(io.BytesIO(body), 32, name)
                self.assertEqual((found.shape, found.dtype), ((32, 32, 3), np.uint8))
                self.assertLess(found[:4].mean() + 60, found[-4:].mean(), "darker above")

    def test_what_is_see_through_is_white(self):
        empty = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
        self.assertEqual(decoded(io.BytesIO(png(empty)), 4, "x").min(), 255)

    def test_twenty_megapixels_are_taken_and_too_many_are_refused_before_they_are_unpacked(self):
        large = jpeg(Image.new("L", (5472, 3648), 90))
        self.assertEqual(decoded(io.BytesIO(large), 64, "x").shape, (64, 64, 3))
        huge = png(Image.new("1", (9000, 9000)))
        with self.assertRaisesRegex(PicturesError, "x is 9000 x 9000; 64,000,000 pixels are the most"):
            decoded(io.BytesIO(huge), 64, "x")

    def test_what_is_cut_off_or_no_picture_is_refused_by_name(self):
        whole = jpeg(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))
        for body in (whole[: len(whole) // 2], b"GIF89a not one that is taken", b""):
            with self.assertRaisesRegex(PicturesError, "cut.png can't be read as a JPEG or PNG"):
                decoded(io.BytesIO(body), 32, "cut.png")

    def test_of_many_those_that_can_not_be_read_are_left_out_and_told(self):
        two = [{**PICTURE, "file_name": f"{number}.png", "id": number} for number in range(2)]
        folder = channel(in_folder(self), images=two)
        (folder / "images" / "1.png").write_bytes(b"no picture")
        found = pictures.load(folder)
        array, kept, left_out = pictures.pixels(found.pictures, 32)
        self.assertEqual((array.shape, [one.path.name for one in kept]), ((1, 32, 32, 3), ["0.png"]))
        self.assertRegex(left_out[0], "1.png can't be read as a JPEG or PNG")
        (folder / "images" / "0.png").write_bytes(b"nor this")
        with self.assertRaisesRegex(PicturesError, "none of the 2 pictures can be read; the first: 0.png"):
            pictures.pixels(found.pictures, 32)


class Boxes(unittest.TestCase):
    def test_overlaps_and_their_general_form(self):
        one = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
        other = torch.tensor([[1.0, 1.0, 3.0, 3.0], [4.0, 0.0, 6.0, 2.0], [0.0, 0.0, 2.0, 2.0]])
        self.assertEqual(boxes.overlaps(one, other)[0].tolist(), [torch.tensor(1 / 7).item(), 0.0, 1.0])
        found = boxes.generalized(one.expand(3, 4), other)
        # Around the first pair lie 9, of which 2 are of neither; around the second 12, of which 4 are.
        torch.testing.assert_close(found, torch.tensor([1 / 7 - 2 / 9, -4 / 12, 1.0]))

    def test_of_boxes_that_cover_each_other_the_surest_of_a_class_stays(self):
        many = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [30, 30, 40, 40], [2, 0, 12, 10]])
        scores, classes = torch.tensor([0.8, 0.9, 0.7, 0.3, 0.6]), torch.tensor([0, 0, 1, 0, 0])
        # The last is covered by the first alone, which has gone itself: by the second it is covered, too.
        self.assertEqual(boxes.kept(many, scores, classes, 0.5).tolist(), [1, 2, 3])
        self.assertEqual(boxes.kept(many, scores, classes, 0.95).tolist(), [1, 0, 2, 4, 3])
        self.assertEqual(boxes.kept(many[:0], scores[:0], classes[:0], 0.5).tolist(), [])


class Learning(unittest.TestCase):
    def test_places_answer_for_what_is_in_the_middle_of_them_at_the_level_of_its_size(self):
        places, steps = network.centres(ARCH)
        right = torch.tensor([[10.0, 10, 30, 30], [0, 0, 64, 64], [61, 61, 62, 62], [12, 12, 20, 20]])
        index = learning.assigned(places, steps, ARCH.strides, right)
        at = {tuple(place.tolist()): which for place, which in zip(places, index.tolist(), strict=True) if which >= 0}
        self.assertEqual(at[28.0, 28.0], 0)
        self.assertEqual(at[12.0, 28.0], 0)
        self.assertEqual(at[12.0, 12.0], 3, "of two the smaller")
        self.assertEqual(at[60.0, 60.0], 2, "too small for any place to lie in: the nearest one's")
        self.assertEqual(sorted({which for which in index.tolist() if which >= 0}), [0, 1, 2, 3])
        self.assertEqual(
            {step for step, which in zip(steps.tolist(), index.tolist(), strict=True) if which == 1}, {8.0}
        )
        self.assertEqual(learning.assigned(places, steps, ARCH.strides, right[:0]).unique().tolist(), [-1])

    def test_the_loss_is_little_where_all_is_right_and_much_where_it_is_not(self):
        model = network.build(ARCH)
        loss = learning.DetectionLoss(ARCH, model.places, model.steps)
        right, classes = torch.tensor([[10.0, 10, 30, 30]]), torch.tensor([1])
        index = learning.assigned(model.places, model.steps, ARCH.strides, right)
        scores = torch.full((1, len(index), 2), -9.0)
        scores[0, index >= 0, 1] = 9.0
        exact = right[index.clamp(min=0)][None]
        self.assertLess(loss((scores, exact), [(right, classes)]).item(), 1e-3)
        self.assertGreater(loss((-scores, exact), [(right, classes)]).item(), 5.0)
        self.assertGreater(loss((scores, exact + 40), [(right, classes)]).item(), 1.0)
        nothing = loss((torch.full_like(scores, -9.0), exact), [(right[:0], classes[:0])])
        self.assertLess(nothing.item(), 1e-3)

    def test_varied_pictures_take_their_boxes_along(self):
        batch = torch.zeros(8, 3, 64, 64)
        batch[:, :, 20:30, 12:36] = 2.0
        truths = [(torch.tensor([[12.0, 20, 36, 30]]), torch.tensor([0]))] * 8
        generator = torch.Generator().manual_seed(0)
        seen, moved = learning.varied(batch, truths, generator, 0.5)
        for picture, (found, _) in zip(seen, moved, strict=True):
            light = picture.mean(0)
            rows, columns = torch.where(light > (light.min() + light.max()) / 2)
            middle = torch.tensor([columns.float().mean() + 0.5, rows.float().mean() + 0.5])
            torch.testing.assert_close((found[0, :2] + found[0, 2:]) / 2, middle, atol=2.5, rtol=0)
        same, still = learning.varied(batch, truths, generator, 0.0, mirrored=False)
        torch.testing.assert_close(same, batch, atol=1e-4, rtol=0)
        torch.testing.assert_close(still[0][0], truths[0][0])

    def test_what_is_moved_out_of_sight_is_gone(self):
        left, classes = learning._moved(
            torch.tensor([[0.0, 0, 10, 10], [30, 30, 40, 40]]),
            torch.tensor([0, 1]),
            64,
            torch.ones(2),
            torch.tensor([0.25, 0]),
        )
        self.assertEqual((classes.tolist(), left.tolist()), ([1], [[22.0, 30.0, 32.0, 40.0]]))


class Precision(unittest.TestCase):
    def test_a_worked_example(self):
        """Three cells in two pictures: found, found twice, not found; and one that isn't there."""
        truths = [
            {"boxes": [[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]], "labels": ["a", "a"]},
            {"boxes": [[0, 0, 1, 1]], "labels": ["a"]},
        ]
        answers = [
            {"normalized_boxes": [[0, 0, 0.5, 0.5], [0, 0, 0.5, 0.4]], "scores": [0.9, 0.8], "labels": ["a", "a"]},
            {"normalized_boxes": [[0, 0, 0.6, 1]], "scores": [0.7], "labels": ["a"]},
        ]
        # Right, wrong (found already), right: precision 1 up to a recall of 1/3, 2/3 up to 2/3, then 0.
        expected = (34 * 1 + 33 * 2 / 3) / 101
        self.assertAlmostEqual(detection_metrics.map50(truths, answers), expected)
        # At 0.65 the third overlaps too little: 0.6. At 0.5, 0.55 and 0.6 it doesn't.
        self.assertAlmostEqual(detection_metrics.map50_95(truths, answers), (3 * expected + 7 * 34 / 101) / 10)

    def test_as_pycocotools(self):
        """What pycocotools 2.0.11 says of these: COCOeval's stats[1] and stats[0], boxes in thousandths."""
        for seed, (map50, map50_95) in COCO.items():
            truths, answers = invented(seed)
            self.assertAlmostEqual(detection_metrics.map50(truths, answers), map50, places=9)
            self.assertAlmostEqual(detection_metrics.map50_95(truths, answers), map50_95, places=9)

    def test_classes_that_are_not_held_out_have_no_say_and_a_picture_may_be_empty(self):
        nothing = {"boxes": [], "labels": []}
        truth = {"boxes": [[0, 0, 1, 1]], "labels": ["a"]}
        answer = {"normalized_boxes": [[0, 0, 1, 1], [0, 0, 1, 1]], "scores": [0.5, 0.9], "labels": ["a", "b"]}
        none = {"normalized_boxes": [], "scores": [], "labels": []}
        self.assertEqual(detection_metrics.map50([truth, nothing], [answer, none]), 1.0)
        self.assertEqual(detection_metrics.map50([truth], [none]), 0.0)
        self.assertTrue(np.isnan(detection_metrics.map50([nothing], [none])))


# Seed -> mAP at 0.5, and from 0.5 to 0.95.
COCO = {
    0: (0.5371646242553377, 0.2960229645968497),
    1: (0.46527587748942184, 0.27176973582098674),
    2: (0.508166071353958, 0.2913979246982328),
}


def invented(seed):
    """Thirty pictures, and answers that are partly right."""
    random, names = np.random.default_rng(seed), ("a", "b", "c")
    truths, answers = [], []
    for _ in range(30):
        count = random.integers(0, 12)
        corner, size, kinds = (
            random.uniform(0, 0.8, (count, 2)),
            random.uniform(0.05, 0.2, (count, 2)),
            random.integers(0, 3, count),
        )
        right = np.concatenate([corner, corner + size], 1)
        truths.append({"boxes": right.tolist(), "labels": [names[kind] for kind in kinds]})
        seen = random.random(count) < 0.8
        near = right[seen] + random.normal(0, 0.008, (seen.sum(), 4))
        taken = np.where(random.random(seen.sum()) < 0.9, kinds[seen], random.integers(0, 3, seen.sum()))
        wrong = random.uniform(0, 0.8, (random.integers(0, 6), 2))
        wrong = np.concatenate([wrong, wrong + random.uniform(0.05, 0.2, wrong.shape)], 1)
        found = np.concatenate([near, wrong, near[:2] + 0.005])
        labels = [names[kind] for kind in (*taken, *random.integers(0, 3, len(wrong)), *taken[:2])]
        scores = random.random(len(found)).round(2).tolist()
        answers.append({"normalized_boxes": found.tolist(), "labels": labels, "scores": scores})
    return truths, answers


class Weights(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(1)
        self.donor = network.build(ARCH)
        self.backbone = {**self.donor.backbone.state_dict(), "head.weight": torch.zeros(10, 32)}

    def kept(self, tensors, name="model.safetensors"):
        folder = in_folder(self)
        if name.endswith(".safetensors"):
            save_file({key: value.contiguous().clone() for key, value in tensors.items()}, folder / name)
        else:
            torch.save(tensors, folder / name)
        return folder

    def archived(self, *names):
        folder, source = in_folder(self), self.kept(self.backbone)
        with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
            for name in names:
                archive.add(source / "model.safetensors", name)
        return folder

    def begun(self, folder, classes=("red", "white"), anew="Auto"):
        tensors, name = pretrained.load(folder)
        torch.manual_seed(2)
        model = network.build(network.Architecture(classes, 64, pretrained.width(tensors) or 4))
        return model, pretrained.begin(model, tensors, name, anew=anew)

    def same(self, model, part="backbone"):
        ours, theirs = (getattr(one, part).state_dict() for one in (model, self.donor))
        return all(torch.equal(ours[name], theirs[name]) for name in theirs)

    def test_a_backbone_in_an_archive_a_safetensors_file_or_a_state_dict(self):
        for folder in (
            self.kept(self.backbone),
            self.kept(self.backbone, "model.pth"),
            self.archived("model.safetensors"),
        ):
            model, told = self.begun(folder, classes=("a", "b", "c"))
            self.assertTrue(self.same(model))
            self.assertFalse(self.same(model, "pyramid"))
            self.assertIn("begins with the backbone of ", told)

    def test_the_champion_of_cifar_subset_has_the_names_and_shapes_of_a_backbone(self):
        module = runpy.run_path(str(FOLDER.parent / "cifar_subset" / "network.py"))
        other = module["build"](module["Architecture"](("cat", "dog"), 4))
        model, _ = self.begun(self.kept(other.state_dict()))
        ours = model.backbone.state_dict()
        self.assertTrue(all(torch.equal(ours[name], other.state_dict()[name]) for name in ours))

    def test_a_whole_detector_goes_on_where_it_was_unless_its_top_is_to_begin_anew(self):
        folder = self.kept(self.donor.state_dict())
        for anew, is_kept in {"Auto": True, "False": True, "True": False}.items():
            model, told = self.begun(folder, anew=anew)
            self.assertTrue(self.same(model))
            self.assertEqual(self.same(model, "head"), is_kept, anew)
            self.assertIn("detector" if is_kept else "backbone", told)
        model, _ = self.begun(folder, classes=("a", "b", "c"))
        self.assertTrue(self.same(model) and not self.same(model, "pyramid"))
        with self.assertRaisesRegex(network.ModelError, "is no detector of as many classes; write Auto"):
            self.begun(folder, classes=("a", "b", "c"), anew="False")

    def test_what_holds_no_backbone_is_refused_by_what_is_wrong(self):
        lacking = {name: value for name, value in self.backbone.items() if name != "layers.3.1.bn2.bias"}
        wide = {**self.backbone, "layers.0.0.conv1.weight": torch.zeros(9, 4, 3, 3)}
        evil = in_folder(self)
        (evil / "model.pt").write_bytes(b"cos\nsystem\n(S'touch evil'\ntR.")
        broken = in_folder(self)
        (broken / "model.tar.gz").write_bytes(b"\x1f\x8b no archive")
        text = in_folder(self)
        (text / "model.safetensors").write_text("no tensors")
        cases = {
            "layers.3.1.bn2.bias; it must be a ResNet-18's state_dict": self.kept(lacking),
            r"has the shape \(9, 4, 3, 3\), not \(4, 4, 3, 3\), for layers.0.0.conv1.weight": self.kept(wide),
            "it holds nothing of the kind": in_folder(self),
            "must hold one file .safetensors, .pt, .pth; it holds a/x.safetensors, b.safetensors": self.archived(
                "a/x.safetensors", "b.safetensors"
            ),
            "model.pt is no state_dict that can be loaded safely": evil,
            "model.tar.gz can't be unpacked": broken,
            "model.safetensors holds no tensors": text,
            "model.pth holds dict; save model.state_dict": self.kept({"epoch": 3}, "model.pth"),
        }
        for told, folder in cases.items():
            with self.subTest(told), self.assertRaisesRegex(network.ModelError, told):
                self.begun(folder)


class Knobs(unittest.TestCase):
    def parsed(self, *arguments):
        told = io.StringIO()
        with mock.patch.dict(os.environ, clear=True), redirect_stderr(told):
            try:
                return knobs.parse(["--model-dir", str(in_folder(self)), *arguments])
            except SystemExit:
                return told.getvalue()

    def test_names_and_defaults_are_the_original_s(self):
        args = self.parsed()
        self.assertEqual(
            (args.batch_size, args.epochs, args.learning_rate, args.optimizer, args.momentum, args.beta_1, args.beta_2),
            (3, 5, 0.001, "adam", 0.9, 0.9, 0.999),
        )
        self.assertEqual((args.rho, args.epsilon, args.initial_accumulator_value), (0.95, 1e-7, 0.1))
        self.assertEqual((args.train_only_top_layer, args.reinitialize_top_layer), (False, "Auto"))
        self.assertEqual(
            (args.early_stopping, args.early_stopping_patience, args.early_stopping_min_delta), (False, 5, 0)
        )
        for name in ("--train_only_top_layer", "--train_only_on_top_layer"):
            self.assertIs(self.parsed(name, "True").train_only_top_layer, True)

    def test_each_optimizer_is_the_one_that_is_asked_for(self):
        weights = [torch.nn.Parameter(torch.ones(2))]
        for name, kind in {
            "adam": "Adam", "SGD": "SGD", "nesterov": "SGD", "rmsprop": "RMSprop", "adagrad": "Adagrad",
            "adadelta": "Adadelta",
        }.items():  # fmt: skip
            made = knobs.optimizer(self.parsed("--optimizer", name, "--momentum", "0.7", "--rho", "0.8"), weights)
            self.assertEqual(type(made).__name__, kind)
            self.assertEqual(made.defaults.get("nesterov", False), name == "nesterov")

    def test_what_means_nothing_here_is_refused_by_its_name(self):
        for name in knobs.REFUSED:
            self.assertIn(f"argument --{name}: can't be said: {knobs.REFUSED[name]}", self.parsed(f"--{name}", "3"))
        self.assertIn("unrecognized arguments: --dropout_rate", self.parsed("--dropout_rate", "0.2"))
        self.assertIn("argument --optimizer: is lion; it must be one of adam, sgd", self.parsed("--optimizer", "lion"))
        self.assertIn("train_only_on_top_layer: is 1; it must be True or", self.parsed("--train_only_top_layer", "1"))
        self.assertIn("argument --beta_1: is 1; it must be a number", self.parsed("--beta_1", "1"))
        self.assertIn("argument --epochs: is 0; it must be a whole number, at least 1", self.parsed("--epochs", "0"))


class Training(unittest.TestCase):
    def trained(self, folder, *arguments, code=0):
        """train.py as a job runs it; what it printed."""
        said = io.StringIO()
        variables = {"RATCHET_TENSORS": str(folder / "tensors")}
        knobs_ = ("--size", "64", "--width", "4", "--epochs", "2", "--batch_size", "4")
        told = ["train.py", "--train", str(folder / "train"), "--model-dir", str(folder / "model"), *knobs_, *arguments]
        with mock.patch.object(sys, "argv", told), mock.patch.dict(os.environ, variables), redirect_stdout(said):
            try:
                runpy.run_path(str(FOLDER / "train.py"), run_name="__main__")
            except SystemExit as ended:
                self.assertTrue(code, ended)
                return said.getvalue() + str(ended)
        self.assertFalse(code, said.getvalue())
        return said.getvalue()

    def drawn(self):
        folder = in_folder(self)
        cells.write(folder / "train", 12, (80, 60), seed=0)
        return folder

    def test_what_is_learned_answers_and_what_it_found_is_drawn(self):
        folder = self.drawn()
        (folder / "train" / "images" / "cells_00003.png").write_bytes(b"cut off")
        path = folder / "train" / "annotations.json"
        document = json.loads(path.read_text())
        document["annotations"].append({"image_id": 0, "bbox": [3, 3, 3, 9], "category_id": 0})
        path.write_text(json.dumps(document))
        said = self.trained(folder)
        self.assertIn("left out 1 boxes", said)
        self.assertIn("left out: cells_00003.png can't be read as a JPEG or PNG", said)
        self.assertRegex(said, r"epoch=2 loss=[0-9.]+ validation:map50=[0-9.]+ validation:map=[0-9.]+")
        self.assertEqual(
            json.loads((folder / "model" / "class_label_to_prediction_index.json").read_text()),
            {name: number for number, name in enumerate(cells.CELLS)},
        )
        model = serve.model_fn(folder / "model")
        body = (folder / "train" / "images" / "cells_00000.png").read_bytes()
        answer = serve.predict_fn(serve.input_fn(body, "application/x-image"), model)
        self.assertEqual(serve.output_fn(answer, "application/json")[1], "application/json")
        trial = Trial(folder / "tensors")
        first, last = (views.boxes(trial, step) for step in (2, 4))
        self.assertEqual(first.count("<image "), 1)
        self.assertIn("stroke-dasharray", first)
        self.assertNotEqual(first, last)

    def test_the_backbone_stays_as_it_is_where_only_the_top_is_trained(self):
        folder = self.drawn()
        weights = folder / "weights"
        weights.mkdir()
        torch.manual_seed(5)
        donor = network.build(network.Architecture(("x",), 64, 4))
        for module in donor.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
        save_file({key: value.clone() for key, value in donor.backbone.state_dict().items()}, weights / "w.safetensors")
        for top, stays in {"True": True, "False": False}.items():
            said = self.trained(folder, "--pretrained", str(weights), "--train_only_top_layer", top)
            self.assertIn("begins with the backbone of w.safetensors", said)
            model, _ = network.load(folder / "model")
            ours, theirs = model.backbone.state_dict(), donor.backbone.state_dict()
            self.assertEqual(all(torch.equal(ours[name], theirs[name]) for name in theirs), stays)

    def test_it_stops_where_nothing_is_gained_and_keeps_the_best(self):
        said = self.trained(
            self.drawn(), "--epochs", "9", "--early_stopping", "True", "--early_stopping_patience", "2",
            "--early_stopping_min_delta", "1.0",
        )  # fmt: skip
        self.assertIn("the best epoch was 1; stopped after 3", said)

    def test_what_can_not_be_trained_ends_with_a_sentence(self):
        folder = self.drawn()
        self.assertIn(
            "there is no channel pretrained: nothing would have learned",
            self.trained(folder, "--train_only_top_layer", "True", code=1),
        )
        self.assertIn("size is 50; it must be a multiple of 32", self.trained(folder, "--size", "50", code=1))
        (folder / "train" / "annotations.json").unlink()
        self.assertIn("a channel holds annotations.json", self.trained(folder, code=1))


class Requests(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(0)
        self.model = network.build(ARCH).eval()
        torch.nn.init.constant_(self.model.head.score.bias, -1.0)

    def asked(self, body, content_type="application/x-image", accept="application/json"):
        answer = serve.predict_fn(serve.input_fn(body, content_type), (self.model, ARCH))
        text, kind = serve.output_fn(answer, accept)
        return json.loads(text), kind

    def test_an_answer_has_boxes_classes_and_scores_surest_first(self):
        found, kind = self.asked(png(Image.new("RGB", (300, 100), "red")))
        self.assertEqual((kind, list(found)), ("application/json", ["normalized_boxes", "classes", "scores"]))
        self.assertTrue(found["scores"] and found["scores"] == sorted(found["scores"], reverse=True))
        for xmin, ymin, xmax, ymax in found["normalized_boxes"]:
            self.assertTrue(0 <= xmin < xmax <= 1 and 0 <= ymin < ymax <= 1)
        self.assertLessEqual(set(found["classes"]), {0, 1})

    def test_a_verbose_one_has_labels_and_what_the_network_says_of_all_places(self):
        body = jpeg(Image.new("CMYK", (64, 64)))
        found, kind = self.asked(body, accept="application/json;verbose")
        self.assertEqual(kind, "application/json")
        self.assertEqual(found["labels"], [ARCH.classes[number] for number in found["classes"]])
        raw = found["model_output"]
        self.assertEqual((np.shape(raw["logits"]), np.shape(raw["normalized_boxes"])), ((84, 2), (84, 4)))
        plain = self.asked(body)[0]
        self.assertEqual({name: found[name] for name in plain}, plain)
        told, kind = self.asked(body, accept="text/csv")
        self.assertEqual((told, kind), ({**plain, "labels": found["labels"]}, "text/csv"))

    def test_where_nothing_is_found_the_lists_are_empty(self):
        torch.nn.init.constant_(self.model.head.score.bias, -20.0)
        found, _ = self.asked(png(Image.new("L", (9, 9))))
        self.assertEqual(found, {"normalized_boxes": [], "classes": [], "scores": []})

    def test_what_can_not_be_answered_is_refused_in_words(self):
        whole = png(Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)))
        cases = {
            "content type text/csv: send a JPEG or PNG as application/x-image": (whole, "text/csv"),
            "the request is empty": (b"", "application/x-image"),
            "the request of 6 bytes can't be read as a JPEG or PNG": (b"GIF89a", "image/png"),
            f"the request of {len(whole) // 2} bytes can't be read": (whole[: len(whole) // 2], "application/x-image"),
            "is 9000 x 9000; 64,000,000 pixels are the most": (
                png(Image.new("1", (9000, 9000))),
                "application/x-image",
            ),
        }
        for told, (body, kind) in cases.items():
            with self.subTest(told), self.assertRaisesRegex(serve.RequestError, told):
                self.asked(body, kind)

    def test_held_out_pictures_that_can_not_be_read_are_left_out_and_told(self):
        two = [{**PICTURE, "file_name": f"{number}.png", "id": number} for number in range(2)]
        folder = channel(in_folder(self), images=two, categories=[{"id": 0, "name": "red"}])
        (folder / "images" / "1.png").write_bytes(b"no picture")
        said = io.StringIO()
        with redirect_stdout(said):
            ((body, kind, truth),) = serve.heldout_fn(folder)
        self.assertEqual((kind, truth["labels"]), ("application/x-image", ["red"]))
        self.assertEqual(truth["boxes"], [[0.16667, 0.25, 0.5, 0.75]])
        self.assertIn("left out: 1.png can't be read", said.getvalue())
        self.assertTrue(body.startswith(b"\x89PNG"))

    def test_a_folder_without_a_whole_network_is_no_model(self):
        folder = in_folder(self)
        with self.assertRaisesRegex(network.ModelError, "architecture.json can't be read: No such file"):
            serve.model_fn(folder)
        network.save(folder, ARCH, self.model)
        (folder / "model.safetensors").write_bytes(b"cut")
        with self.assertRaisesRegex(network.ModelError, "model.safetensors doesn't hold this network"):
            serve.model_fn(folder)


if __name__ == "__main__":
    unittest.main()
