"""training_code/autoencoder: the network, what it is compared with, files, requests, and pictures. Where torch is."""

import io
import json
import os
import re
import runpy
import sys
import tempfile
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parents[2] / "training_code" / "autoencoder"
sys.path.insert(0, str(FOLDER))

import autoencoder  # noqa: E402
import digit_files  # noqa: E402
import digits  # noqa: E402
import grouping  # noqa: E402
import reconstruction  # noqa: E402
import tsne  # noqa: E402
from pca import Pca, PcaError  # noqa: E402

from toolkit.probe import Trial  # noqa: E402


def small():
    torch.manual_seed(0)
    return autoencoder.Autoencoder(filters=2).eval()


def blobs(count, each, dimensions=20):
    """Points around so many places far from each other, and the number of each one's place."""
    random = np.random.default_rng(0)
    labels = np.arange(count * each) % count
    return 10 * np.eye(count, dimensions)[labels] + random.normal(0, 0.5, (count * each, dimensions)), labels


def archive():
    """An npz file: many arrays, where one is asked for."""
    body = io.BytesIO()
    np.savez(body, x=np.zeros((1, 784)))
    return body.getvalue()


class InAFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)


class Network(InAFolder):
    def test_the_original_s_size(self):
        self.assertEqual(sum(each.numel() for each in autoencoder.Autoencoder().parameters()), 73_909)

    def test_digits_become_twenty_numbers_and_digits_again(self):
        drawn = digits.draw(7, seed=0)[1]
        latents = autoencoder.encode(small(), drawn, batch=3)
        again = autoencoder.decode(small(), latents, batch=3)
        self.assertEqual((latents.shape, again.shape), ((7, 20), drawn.shape))
        whole = small()(autoencoder.tensor(drawn)).squeeze(1).detach().numpy() * 255
        np.testing.assert_allclose(again, whole, atol=1e-3)

    def test_the_error_is_a_pixel_s_where_white_is_1(self):
        black, white = np.zeros((2, 28, 28), np.uint8), np.full((2, 28, 28), 255.0)
        self.assertEqual(autoencoder.error(black, white), 1.0)
        self.assertAlmostEqual(autoencoder.error(black, white / 2), 0.25)

    def test_it_comes_back_as_it_was(self):
        model = small()
        autoencoder.save(self.folder, model)
        again = autoencoder.load(self.folder)
        for name, value in model.state_dict().items():
            torch.testing.assert_close(again.state_dict()[name], value, rtol=0, atol=0)
        self.assertEqual(sorted(path.suffix for path in self.folder.iterdir()), [".json", ".safetensors"])

    def test_what_is_no_model_is_refused_with_a_sentence(self):
        with self.assertRaisesRegex(autoencoder.ModelError, "can't be read: No such file"):
            autoencoder.load(self.folder)
        autoencoder.save(self.folder, small())
        architecture, state = (self.folder / name for name in (autoencoder.ARCHITECTURE, autoencoder.STATE))
        architecture.write_text('{"filters": 3, "latents": 20}')
        with self.assertRaisesRegex(autoencoder.ModelError, "size mismatch"):
            autoencoder.load(self.folder)
        for text in ('{"filters": 2, "depth": 9}', "[]", "{"):
            architecture.write_text(text)
            with self.assertRaisesRegex(autoencoder.ModelError, "holds no autoencoder"):
                autoencoder.load(self.folder)
        architecture.write_text('{"filters": 2, "latents": 20}')
        state.write_bytes(b"\x80\x04pickle")
        with self.assertRaisesRegex(autoencoder.ModelError, "can't read tensor"):
            autoencoder.load(self.folder)


class Linear(unittest.TestCase):
    def test_what_lies_in_so_many_dimensions_is_kept_whole(self):
        random = np.random.default_rng(0)
        points = random.normal(size=(300, 20)) @ random.normal(size=(20, 784)) + 5
        np.testing.assert_allclose(Pca(points, 20).reconstruct(points), points, atol=1e-8)

    def test_none_fitted_to_others_loses_less(self):
        """By which the gate's comparison holds for the components of whatever a model learned from."""
        held_out, others = digits.draw(250, seed=1)[1], digits.draw(2000, seed=0)[1]
        own, foreign = (
            autoencoder.error(held_out, Pca(fitted, 20).reconstruct(held_out)) for fitted in (held_out, others)
        )
        self.assertLess(own, foreign)
        self.assertGreater(own, 0.001)

    def test_it_loses_what_the_other_directions_hold(self):
        drawn = digits.draw(250, seed=1)[1].reshape(250, -1).astype(float)
        singular = np.linalg.svd(drawn - drawn.mean(axis=0), compute_uv=False)
        lost = ((Pca(drawn, 20).reconstruct(drawn) - drawn) ** 2).sum()
        self.assertAlmostEqual(lost / (singular[20:] ** 2).sum(), 1, places=6)

    def test_too_few_pictures_are_refused(self):
        with self.assertRaisesRegex(PcaError, "199 pictures are too few for 20 .* 200 are needed"):
            Pca(np.zeros((199, 784)), 20)


class Metric(unittest.TestCase):
    def gain(self, *pairs, pca_error=0.01):
        truths = [{"digit": digit, "pca_error": pca_error} for digit, _ in pairs]
        return reconstruction.gain_over_pca(truths, [answer for _, answer in pairs])

    def test_nothing_lost_is_1_and_as_much_as_the_components_is_0(self):
        self.assertEqual(self.gain(([0, 255], [0, 255])), 1)
        self.assertAlmostEqual(self.gain(([0, 255], [25.5, 229.5])), 0)
        self.assertLess(self.gain(([0, 255], [255, 0])), -90)

    def test_each_resample_is_of_its_own_examples(self):
        good, bad = ([0, 255], [0, 255]), ([0, 255], [51, 204])
        self.assertEqual(self.gain(good, good), 1)
        self.assertAlmostEqual(self.gain(good, bad), 1 - 0.02 / 0.01)
        self.assertAlmostEqual(self.gain(bad, bad), 1 - 0.04 / 0.01)

    def test_a_reconstruction_of_another_shape_is_refused(self):
        with self.assertRaisesRegex(ValueError, r"the shape \(1,\), its digit \(2,\)"):
            self.gain(([0, 255], [0]))


class Grouping(unittest.TestCase):
    def test_groups_that_lie_apart_are_found(self):
        points, labels = blobs(10, 30)
        self.assertEqual(grouping.purity(points, labels), 1.0)
        self.assertEqual(grouping.knn_accuracy(points[:200], labels[:200], points[200:], labels[200:]), 1.0)

    def test_labels_that_have_nothing_to_do_with_the_points_are_not(self):
        points, labels = blobs(10, 60)
        mixed = np.random.default_rng(1).permutation(labels)
        self.assertLess(grouping.purity(points, mixed), 0.3)
        self.assertLess(grouping.knn_accuracy(points[:300], mixed[:300], points[300:], mixed[300:]), 0.3)

    def test_most_neighbours_decide_and_of_a_tie_the_nearest(self):
        known, labels = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([7, 8, 8, 7])
        asked = np.array([[0.0]])
        for neighbours, right in {1: 7, 2: 7, 3: 8, 4: 7}.items():
            found = grouping.knn_accuracy(known, labels, asked, np.array([right]), neighbours)
            self.assertEqual(found, 1.0, f"{neighbours} neighbours")

    def test_points_that_are_all_the_same_are_no_trouble(self):
        self.assertEqual(grouping.purity(np.ones((10, 3)), np.arange(10) % 2), 0.5)


class Layout(unittest.TestCase):
    def test_neighbours_stay_neighbours(self):
        points, labels = blobs(15, 15)
        places = tsne.layout(points, perplexity=10)
        self.assertEqual(grouping.knn_accuracy(places[:150], labels[:150], places[150:], labels[150:]), 1.0)
        self.assertAlmostEqual(float(np.hypot(*tsne.normalised(places).T).mean()), 1)
        # Two principal components alone can't hold so many groups apart.
        flat = tsne._principal(points)
        self.assertLess(grouping.knn_accuracy(flat[:150], labels[:150], flat[150:], labels[150:]), 0.9)

    def test_it_is_the_same_each_time(self):
        points, _ = blobs(5, 25)
        one, other = (tsne.layout(points) for _ in range(2))
        np.testing.assert_array_equal(one, other)

    def test_from_an_earlier_layout_it_keeps_the_arrangement(self):
        """And without one, hardly changed points are arranged anew: else there would be no need for it."""
        points, _ = blobs(8, 15)
        moved = points + np.random.default_rng(1).normal(0, 0.3, points.shape)
        first = tsne.layout(points, perplexity=15)
        kept, anew = tsne.layout(moved, perplexity=15, start=first), tsne.layout(moved, perplexity=15)
        far = [np.hypot(*(tsne.normalised(each) - tsne.normalised(first)).T).mean() for each in (kept, anew)]
        self.assertLess(far[0], 0.4)
        self.assertLess(2 * far[0], far[1])

    def test_each_point_has_as_many_neighbours_as_the_perplexity_says(self):
        points, _ = blobs(4, 40)
        squares = ((points[:, None] - points) ** 2).sum(axis=2)
        np.fill_diagonal(squares, np.inf)
        chances = tsne._neighbours(squares, np.log(20))
        entropy = -(chances * np.log(np.maximum(chances, 1e-300))).sum(axis=1)
        np.testing.assert_allclose(np.exp(entropy), 20, rtol=1e-3)

    def test_the_gradient_is_that_of_the_divergence(self):
        random = np.random.default_rng(0)
        points, places = random.normal(size=(30, 5)), random.normal(size=(30, 2))
        joint = tsne._affinities(points, 8)

        def divergence(moved):
            closeness = 1 / (1 + ((moved[:, None] - moved) ** 2).sum(axis=2))
            np.fill_diagonal(closeness, 0)
            others = ~np.eye(30, dtype=bool)
            shares = closeness / closeness.sum()
            return (joint[others] * np.log(joint[others] / shares[others])).sum()

        found = tsne._gradient(joint, places)
        for point, axis in ((0, 0), (7, 1), (29, 0)):
            step = np.zeros_like(places)
            step[point, axis] = 1e-5
            expected = (divergence(places + step) - divergence(places - step)) / 2e-5
            self.assertAlmostEqual(found[point, axis], expected, places=6)

    def test_a_perplexity_that_the_points_are_too_few_for_is_refused(self):
        points, _ = blobs(3, 20)
        for perplexity in (20, 1, -3):
            with self.assertRaisesRegex(ValueError, f"perplexity is {perplexity}; of 60 points .* 1 and 20"):
                tsne.layout(points, perplexity=perplexity)


class Files(InAFolder):
    def write(self, name, content):
        (self.folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    def arrays(self, name, **arrays):
        np.savez(self.folder / name, **arrays)

    def refused(self, message):
        with self.assertRaisesRegex(digit_files.DigitsError, message):
            digit_files.load(self.folder)

    def test_drawn_digits_are_the_same_for_the_same_seed_and_go_through_both_kinds_of_file(self):
        labels, drawn = digits.draw(20, seed=3)
        np.testing.assert_array_equal(drawn, digits.draw(20, seed=3)[1])
        self.assertFalse(np.array_equal(drawn, digits.draw(20, seed=4)[1]))
        self.write("a.csv", "\ufeff" + digits.csv_text(labels[:12], drawn[:12]).replace("\n", "\r\n"))
        self.arrays("b.npz", x=drawn[12:], y=labels[12:])
        read_labels, read = digit_files.load(self.folder)
        np.testing.assert_array_equal(read_labels, labels)
        np.testing.assert_array_equal(read, drawn)
        self.assertEqual((read.dtype, read_labels.dtype), (np.uint8, np.int64))
        # As decoded digits come.
        np.testing.assert_array_equal(digit_files.shaped(drawn.astype(float) - 0.3 * (drawn > 0), "x"), drawn)

    def test_every_digit_is_in_both_parts_and_none_in_both(self):
        labels = np.arange(120) % 10
        learned, judged = digit_files.split(labels, validation=0.25, seed=0)
        self.assertEqual(sorted([*learned, *judged]), list(range(120)))
        self.assertEqual(np.bincount(labels[judged]).tolist(), [3] * 10)

    def test_a_folder_without_digits(self):
        self.write("notes.txt", "nothing")
        self.refused("no CSV or npz file in")

    def test_csv_that_is_none_of_digits(self):
        line = ",".join(["3", *["0"] * 784])
        for content, message in {
            "1,2,3\n": "a.csv has 3 columns; a label and 784 pixels are 785",
            "": "a.csv has no line",
            "label,pixels\n": "a.csv can't be read: could not convert string 'label'",
            f"{line}\n1,2\n": "a.csv can't be read: the number of columns changed from 785 to 2 at row 2",
            line.replace(",0", ",256", 1): r"a.csv: pixel 0 of digit 1 is 256; a pixel has 0 to 255",
            line.replace(",0", ",nan", 1): r"a.csv: pixel 0 of digit 1 is nan; a pixel has 0 to 255",
            line.replace("3", "12", 1): "a.csv: the label of digit 1 is 12.0; labels are 0 to 9",
            line.replace("3", "2.5", 1): "a.csv: the label of digit 1 is 2.5; labels are 0 to 9",
            b"\xff\xfe1": "a.csv is no text in UTF-8",
        }.items():
            with self.subTest(message):
                self.write("a.csv", content)
                self.refused(message)

    def test_npz_that_is_none_of_digits(self):
        x, y = np.zeros((4, 28, 28), np.uint8), np.arange(4)
        for arrays, message in (
            ({"X": x, "y": y}, "a.npz has no array x, only X, y; write it with numpy.savez"),
            ({"x": x, "y": y[:3]}, r"a.npz has 4 digits in x, but y of the shape \(3,\)"),
            ({"x": x[:, :8, :8], "y": y}, r"x of a.npz has the shape \(4, 8, 8\); digits are \(n, 784\) or"),
            ({"x": x - 1.0, "y": y}, "x of a.npz: pixel 0 of digit 1 is -1"),
            ({"x": x, "y": y + 7}, "a.npz: the label of digit 4 is 10; labels are 0 to 9"),
            ({"x": x + 0.5, "y": y}, "x of a.npz holds numbers from 0 to 1; a pixel has 0 to 255: multiply by 255"),
            ({"x": x.astype(str), "y": y}, "x of a.npz holds <U"),
            ({"x": x, "y": np.array([{}] * 4)}, "a.npz can't be read as npz: Object arrays"),
        ):
            with self.subTest(message):
                self.arrays("a.npz", **arrays)
                self.refused(message)
        self.write("a.npz", b"PK\x03\x04 cut off")
        self.refused("a.npz can't be read as npz")


class Serving(InAFolder):
    """Requests, through the functions that the endpoint calls."""

    @classmethod
    def setUpClass(cls):
        cls.serve = runpy.run_path(str(FOLDER / "serve.py"))
        cls.model = small()
        cls.digits = digits.draw(3, seed=0)[1]
        cls.latents = autoencoder.encode(cls.model, cls.digits)

    def ask(self, body, content_type="application/json", accept="application/json"):
        serve = self.serve
        body = json.dumps(body) if isinstance(body, dict) else body
        answer, kind = serve["output_fn"](
            serve["predict_fn"](serve["input_fn"](body, content_type), self.model), accept
        )
        self.assertEqual(kind, accept)
        return json.loads(answer) if accept == "application/json" else answer

    def test_json_encodes_decodes_and_does_both(self):
        flat = self.digits.reshape(3, -1).tolist()
        latents = self.ask({"encode": flat})["latents"]
        np.testing.assert_allclose(latents, self.latents, rtol=1e-5, atol=1e-6)
        self.assertEqual(self.ask({"encode": self.digits.tolist()})["latents"], latents, "rows of pixels, too")
        decoded = self.ask({"decode": latents})["digits"]
        again = self.ask({"reconstruct": flat})["digits"]
        np.testing.assert_allclose(decoded, again, rtol=1e-4, atol=1e-4)
        self.assertEqual(np.shape(again), (3, 784))

    def test_one_digit_is_answered_as_among_many(self):
        one = self.ask({"reconstruct": self.digits[1:2].tolist()}, accept="text/csv")
        many = self.ask({"reconstruct": self.digits.tolist()}, accept="text/csv").splitlines()
        np.testing.assert_allclose(*([float(n) for n in line.split(",")] for line in (one, many[1])), rtol=1e-5)

    def test_csv_says_what_it_wants_by_its_width(self):
        body = "\n".join(",".join(map(str, digit)) for digit in self.digits.reshape(3, -1).tolist())
        encoded = self.ask(body, "text/csv; charset=utf-8", "text/csv")
        self.assertEqual([len(line.split(",")) for line in encoded.splitlines()], [20] * 3)
        decoded = self.ask(encoded, "text/csv", "text/csv")
        self.assertEqual([len(line.split(",")) for line in decoded.splitlines()], [784] * 3)

    def test_npy_says_it_by_its_shape(self):
        def npy(array):
            body = io.BytesIO()
            np.save(body, array)
            return body.getvalue()

        kind = "application/x-npy"
        for wanted in (self.digits, self.digits.reshape(3, -1)):
            latents = np.load(io.BytesIO(self.ask(npy(wanted), kind, kind)))
            np.testing.assert_allclose(latents, self.latents, rtol=1e-5, atol=1e-6)
        self.assertEqual(np.load(io.BytesIO(self.ask(npy(latents), kind, kind))).shape, (3, 784))

    def test_requests_that_cannot_be_answered_are_told_why(self):
        width = "a digit has 784 numbers and is encoded, latents have 20 and are decoded"
        for body, content_type, message in (
            ({"encode": [[0] * 783]}, "application/json", r"encode has the shape \(1, 783\); digits are \(n, 784\)"),
            ({"encode": [0] * 784}, "application/json", r"encode has the shape \(784,\); digits are \(n, 784\)"),
            ({"encode": []}, "application/json", r"encode has the shape \(0,\)"),
            ({"reconstruct": [[300] * 784]}, "application/json", "reconstruct: pixel 0 of digit 1 is 300"),
            ({"encode": [["a"] * 784]}, "application/json", "encode holds <U1 where pixels are numbers"),
            ({"decode": [[0.5] * 19]}, "application/json", r"of the shape \(1, 19\); latents are numbers \(n, 20\)"),
            ({"decode": [[None] * 20]}, "application/json", r"decode holds object .* latents are numbers \(n, 20\)"),
            (
                {"decode": [[float("nan")] * 20]},
                "application/json",
                r"decode: latents must be numbers from -1e.06 to",
            ),
            ({"decode": [[1e38] * 20]}, "application/json", r"decode: latents must be numbers from -1e.06 to"),
            ({"decode": [[1, 2], [3]]}, "application/json", "decode: rows must be equally long"),
            ({"classify": [[0] * 784]}, "application/json", 'must be {"encode": digits}'),
            ({"encode": [[0] * 784], "decode": [[0] * 20]}, "application/json", 'must be {"encode": digits}'),
            ("[[1, 2]]", "application/json", 'must be {"encode": digits}'),
            ("{", "application/json", "the request is no JSON: Expecting"),
            ("1,2,3", "text/csv", f"shape .1, 3.: {width}"),
            ("a,b", "text/csv", "the request can't be read: could not convert string 'a'"),
            ("", "text/csv", "the request has no line"),
            (b"no array", "application/x-npy", "the request is no array in NPY"),
            (b"", "application/x-npy", "the request is no array in NPY"),
            (archive(), "application/x-npy", "the request is no array in NPY"),
            (b"\xff1,2", "text/csv", "the request isn't UTF-8: invalid start byte at byte 0"),
            ("[" * 100_000, "application/json", "the request is no JSON: maximum recursion depth"),
            (
                b"\xff\xd8",
                "image/jpeg",
                "content type image/jpeg: send application/json, text/csv or application/x-npy",
            ),
        ):
            with self.subTest(message), self.assertRaisesRegex(Exception, message) as caught:
                self.ask(body, content_type)
            self.assertIn(type(caught.exception).__name__, ("RequestError", "DigitsError"))

    def test_the_held_out_digits_are_asked_with_what_the_components_lose(self):
        labels, drawn = digits.draw(220, seed=1)
        np.savez(self.folder / "held_out.npz", x=drawn, y=labels)
        asked = list(self.serve["heldout_fn"](str(self.folder)))
        truths = [truth for _, _, truth in asked]
        self.assertEqual([truth["digit"] for truth in truths], drawn.reshape(220, -1).tolist())
        components = Pca(drawn, 20).reconstruct(drawn).reshape(220, -1).tolist()
        self.assertAlmostEqual(reconstruction.gain_over_pca(truths, components), 0)
        body, content_type, _ = asked[0]
        answer = json.loads(json.dumps(self.ask(body, content_type)["digits"][0]))
        self.assertEqual(len(answer), 784)

    def test_held_out_digits_that_are_too_few_say_so(self):
        labels, drawn = digits.draw(50, seed=1)
        np.savez(self.folder / "held_out.npz", x=drawn, y=labels)
        with self.assertRaisesRegex(Exception, "50 pictures are too few for 20 principal components"):
            list(self.serve["heldout_fn"](str(self.folder)))


class Trained(unittest.TestCase):
    """train.py as the job runs it, once; what it leaves behind."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        (cls.folder / "train").mkdir()
        (cls.folder / "train" / "digits.csv").write_text(digits.csv_text(*digits.draw(400, seed=0)))
        cls.figures = cls.train("--epochs", "4", "--filters", "4", "--batch", "16", "--look-every", "30")
        cls.trial = Trial(cls.folder / "tensors")

    @classmethod
    def train(cls, *knobs):
        """The figures that it prints."""
        script, printed = str(FOLDER / "train.py"), io.StringIO()
        arguments = [script, "--train", str(cls.folder / "train"), "--model-dir", str(cls.folder / "model"), *knobs]
        environment = {"RATCHET_TENSORS": str(cls.folder / "tensors")}
        with (
            mock.patch.object(sys, "argv", arguments),
            mock.patch.dict(os.environ, environment),
            redirect_stdout(printed),
        ):
            runpy.run_path(script, run_name="__main__")
        return {name: float(value) for name, value in re.findall(r"^([\w:]+)=([\d.]+)$", printed.getvalue(), re.M)}

    def test_the_figures_are_those_that_the_pipeline_reads(self):
        found = re.findall(r"^    (validation:\w+):", (FOLDER / "pipeline.yaml").read_text(), re.M)
        self.assertEqual(sorted(self.figures), sorted(found))
        self.assertEqual(len(found), 4)

    def test_the_model_is_data_and_loads(self):
        model = autoencoder.load(self.folder / "model")
        self.assertEqual(model.filters, 4)
        self.assertFalse([path for path in self.folder.rglob("*") if path.suffix in (".pt", ".pth", ".pkl")])
        self.assertTrue((self.folder / "model" / "code" / "serve.py").is_file())

    def test_looks_are_steps_of_evaluation_at_the_steps_that_were_asked_for(self):
        # 320 digits are learned from: 20 steps an epoch.
        looks = self.trial.steps("look/latents", "eval")
        at = [self.trial.record("look/latents", look, "eval").train_step for look in looks]
        self.assertEqual(at, [0, 30, 60, 80])
        self.assertEqual(self.trial.value("look/labels", looks[0], "eval").shape, (80,))
        shown = [self.trial.value("look/digits", look, "eval") for look in looks]
        np.testing.assert_array_equal(shown[0], shown[-1])
        self.assertEqual(shown[0].shape, (10, 28, 28))

    def test_the_views_draw_what_was_saved(self):
        views = runpy.run_path(str(FOLDER / "views.py"))
        first, last = (views["latents"](self.trial, step, perplexity=15) for step in (0, 80))
        self.assertNotEqual(first["data"], last["data"])
        self.assertEqual(first["data"], views["latents"](self.trial, 0, perplexity=15)["data"])
        points = last["data"]["values"]
        self.assertEqual(len(points), 80)
        self.assertEqual({point["digit"] for point in points}, set("0123456789"))
        start, end = (views["reconstructions"](self.trial, step) for step in (0, 80))
        self.assertEqual(start.count("<image"), 20)
        self.assertNotEqual(start, end)

    def test_hyperparameters_that_make_no_sense_are_refused_by_name(self):
        for knobs, message in {
            ("--epochs", "0"): "argument --epochs: is 0; it must be a whole number, at least 1",
            ("--batch", "some"): "argument --batch: is some; it must be a whole number, at least 1",
            ("--learning-rate", "-1"): "argument --learning-rate: is -1; it must be a number, above 0",
            ("--validation", "1.5"): "argument --validation: is 1.5; it must be a number, above 0 and below 1",
            ("--look-every", "0"): "argument --look-every: is 0; it must be a whole number, at least 1",
            ("--seed", "-1"): "argument --seed: is -1; it must be a whole number, at least 0",
            ("--bottleneck", "20"): "unrecognized arguments: --bottleneck 20",
        }.items():
            said = io.StringIO()
            with self.subTest(message), redirect_stderr(said), self.assertRaises(SystemExit):
                self.train(*knobs)
            self.assertIn(message, said.getvalue())

    def test_too_few_digits_are_refused_before_anything_is_trained(self):
        (self.folder / "few").mkdir(exist_ok=True)
        (self.folder / "few" / "digits.csv").write_text(digits.csv_text(*digits.draw(60, seed=0)))
        with self.assertRaisesRegex(Exception, "50 pictures are too few for 20 principal components"):
            self.train("--train", str(self.folder / "few"), "--validation", "0.17")


if __name__ == "__main__":
    unittest.main()
