"""What views return, how they are found, when they are due, and the helpers that draw. Runs in an image."""

import base64
import json
import re
import struct
import sys
import types
import unittest
import xml.etree.ElementTree
import zlib

import numpy as np
from views_kit import SVG, ViewsCase

from contract import views as limits
from toolkit.errors import ToolkitError
from toolkit.probe import NotSavedError
from toolkit.views import evaluation_steps, image_grid, png, svg, to_pixels, vega
from toolkit.views.built_in.charts import COLOURS
from toolkit.views.configuration import Configuration, read
from toolkit.views.documents import Document, earlier
from toolkit.views.due import Due
from toolkit.views.errors import FigureError, ViewError
from toolkit.views.figures import picture
from toolkit.views.loading import load, module_of
from toolkit.views.moments import TrialUntil


class Figures(unittest.TestCase):
    def test_what_may_be_returned(self):
        chart = {"mark": "bar", "data": {"values": [{"a": np.float32(0.5), "b": np.int64(2), "c": float("nan")}]}}
        for figure, ending in (
            (chart, "vl.json"),
            (types.SimpleNamespace(to_dict=lambda: chart), "vl.json"),
            (SVG, "svg"),
            ('<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x.dtd">' + SVG, "svg"),
            (png(np.zeros((2, 3), np.uint8)), "png"),
            (bytearray(png(np.zeros((2, 3, 3), np.uint8))), "png"),
        ):
            with self.subTest(ending):
                self.assertEqual(picture(figure)[0], ending)
        found = json.loads(picture(chart)[1])["data"]["values"]
        self.assertEqual(found, [{"a": 0.5, "b": 2, "c": None}])

    def test_what_may_not(self):
        whole = png(np.zeros((4, 4), np.uint8))
        wide = struct.pack(">II", 100_000, 100_000) + whole[24:29]
        huge = whole[:16] + wide + struct.pack(">I", zlib.crc32(b"IHDR" + wide)) + whole[33:]
        for figure, part in (
            (None, "returned None; a figure is a dict (Vega-Lite), a str (SVG) or bytes (PNG); is a `return` missing?"),
            (np.zeros((2, 2)), "of pixels toolkit.views.png makes a PNG"),
            (types.SimpleNamespace(savefig=print), "of Matplotlib: figure.savefig("),
            (7, "returned a int"),
            ({"data": {}}, "no Vega-Lite document: it has none of mark, layer"),
            ({"mark": "point", "data": [{"x": 1}]}, "data is a list, which Vega-Lite takes for nothing; write"),
            ({"mark": "bar", "$schema": "https://vega.github.io/schema/vega/v5.json"}, "the document is no Vega-Lite"),
            ({"mark": "bar", "data": {"url": "points.csv"}}, "a page doesn't load 'points.csv'"),
            ({"layer": [{"mark": "bar", "data": {"url": "a.csv"}}]}, "a page doesn't load 'a.csv'"),
            ({"mark": "bar", "data": {"values": [object()]}}, "can't be written as JSON"),
            ({"mark": "bar", 3: 4}, "its keys must be text; 3 isn't"),
            ("a sentence", "no SVG document: syntax error"),
            ("<svg><g></svg>", "no SVG document: mismatched tag"),
            ("<html xmlns='http://www.w3.org/1999/xhtml'/>", "its first element is <html>"),
            ("<svg/>", "a picture starts with <svg xmlns="),
            ('<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + SVG, "declares the entity 'a'"),
            (b"GIF89a", "no PNG: they start with b'GIF89a'"),
            (whole[:-20], "the PNG is broken"),
            (whole[:43] + bytes([whole[43] ^ 255]) + whole[44:], "checksum"),
            (huge, "100000 × 100000 pixels"),
            (b"\x89PNG\r\n\x1a\n", "lacks its header"),
            (bytes(20 << 20), "20.0 MiB; at most 2 MiB"),
            ("x" * (3 << 20), "3.0 MiB; at most 2 MiB"),
            ({"mark": "bar", "data": {"values": [{"a": "x" * (3 << 20)}]}}, "at most 2 MiB"),
        ):
            with self.subTest(part):
                with self.assertRaises(FigureError) as raised:
                    picture(figure)
                self.assertIn(part, str(raised.exception))


class Helpers(unittest.TestCase):
    def pixels_of(self, content):
        """A PNG's pixels, as the standard says they lie in it: 8 bits, no filter."""
        width, height, depth, colour = struct.unpack(">IIBB", content[16:26])
        self.assertEqual(depth, 8)
        channels = {0: 1, 2: 3}[colour]
        start = content.index(b"IDAT") + 4
        length = struct.unpack(">I", content[start - 8 : start - 4])[0]
        rows = np.frombuffer(zlib.decompress(content[start : start + length]), np.uint8).reshape(height, -1)
        self.assertFalse(rows[:, 0].any())
        return rows[:, 1:].reshape(height, width, channels)

    def test_a_png_holds_its_pixels(self):
        for shape in ((3, 4), (3, 4, 1), (3, 4, 3)):
            pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
            np.testing.assert_array_equal(self.pixels_of(png(pixels)), pixels.reshape(3, 4, -1))
        channels_first = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
        np.testing.assert_array_equal(self.pixels_of(png(channels_first)), np.moveaxis(channels_first, 0, -1))

    def test_what_is_no_picture(self):
        for array, part in (
            (np.zeros((2, 2)), "to_pixels makes them"),
            (np.zeros(4, np.uint8), "not (4,)"),
            (np.zeros((0, 4), np.uint8), "not (0, 4)"),
            (np.zeros((5, 5, 5), np.uint8), "not (5, 5, 5)"),
        ):
            with self.subTest(part):
                with self.assertRaises(ToolkitError) as raised:
                    png(array)
                self.assertIn(part, str(raised.exception))

    def test_numbers_as_pixels(self):
        self.assertEqual(to_pixels([-1.0, 0.0, 1.0]).tolist(), [0, 128, 255])
        self.assertEqual(to_pixels([0.0, 0.5, 2.0], 0.0, 1.0).tolist(), [0, 128, 255])
        self.assertEqual(to_pixels([np.nan, np.inf, 0.0, 1.0]).tolist(), [0, 255, 0, 255])
        self.assertEqual(to_pixels([3.0, 3.0]).tolist(), [0, 0])
        same = np.arange(3, dtype=np.uint8)
        self.assertIs(to_pixels(same), same)

    def test_a_grid_of_images(self):
        grey, colour = np.full((4, 5), 0.5), np.zeros((4, 5, 3), np.uint8)
        text = image_grid([[grey, None], [colour, grey]], row_names=("<in>", "out"), column_names=(1, 2), title="a & b")
        self.assertEqual(picture(text)[0], "svg")
        root = xml.etree.ElementTree.fromstring(text)  # noqa: S314 - drawn a line before
        name = "{http://www.w3.org/2000/svg}"
        self.assertEqual(root.find(f"{name}title").text, "a & b")
        self.assertEqual([found.text for found in root.iter(f"{name}text")], ["1", "2", "<in>", "out"])
        images = list(root.iter(f"{name}image"))
        self.assertEqual([image.get("width") for image in images], ["20"] * 3)
        data = base64.b64decode(images[1].get("href").partition(",")[2])
        self.assertEqual(picture(data), ("png", png(colour)))
        self.assertIn("prefers-color-scheme:dark", text)
        # Nothing stands outside of the picture.
        for image in images:
            self.assertLessEqual(float(image.get("x")) + 20, float(root.get("width")) + 0.01)
            self.assertLessEqual(float(image.get("y")) + 16, float(root.get("height")) + 0.01)

    def test_what_is_no_grid(self):
        for rows, part in (
            ([[np.zeros((2, 2)), np.zeros((3, 2))]], "one size; there are (2, 2) and (3, 2)"),
            ([[None]], "there are none"),
            ([[np.zeros(2)]], "row 0, column 0"),
        ):
            with self.subTest(part):
                with self.assertRaises(ToolkitError) as raised:
                    image_grid(rows)
                self.assertIn(part, str(raised.exception))

    def test_contrast_on_light_and_dark(self):
        """Ink and captions at 4.5:1 against white and GitHub's dark page, as WCAG 2.2 (1.4.3) has it."""

        def luminance(colour):
            parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
            linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

        def contrast(one, other):
            light, dark = sorted((luminance(one), luminance(other)), reverse=True)
            return (light + 0.05) / (dark + 0.05)

        light, _, dark = svg.STYLE.partition("@media")
        for style, page in ((light, "#ffffff"), (dark, "#0d1117")):
            for name in ("ink", "soft", "accent"):
                colour = re.search(rf"\.{name}{{fill:(#\w+)}}", style).group(1)
                self.assertGreaterEqual(contrast(colour, page), 4.5, (name, page))
        for colour in COLOURS:
            for page in ("#ffffff", "#0d1117"):
                self.assertGreaterEqual(contrast(colour, page), 3.0, (colour, page))

    def test_values_of_a_vega_lite_document(self):
        rows = vega.values(x=np.array([1, 2]), y=[1.23456789, float("inf")], name=["a", "b"])
        self.assertEqual(rows, [{"x": 1, "y": 1.235, "name": "a"}, {"x": 2, "y": None, "name": "b"}])
        with self.assertRaisesRegex(ValueError, "equally long: x 1, y 2"):
            vega.values(x=[1], y=[1, 2])


class Configurations(unittest.TestCase):
    def test_reads_what_the_variable_says(self):
        text = (
            '[{"view": "my_views.latents", "parameters": {"a": 1}}, {"view": "confusion"}, {"view": "x", "every": 7}]'
        )
        first, second, third = read(text)
        self.assertEqual(first, Configuration("my_views.latents", "latents", 100, {"a": 1}))
        self.assertEqual((second.name, second.every), ("confusion", "evaluation"))
        self.assertEqual(third.every, 7)

    def test_refuses_what_cannot_be_read(self):
        many = json.dumps([{"view": "losses", "name": f"n{number}"} for number in range(21)])
        for text, part in (
            ("[{", "RATCHET_VIEWS is not JSON"),
            ("{}", "must be a list"),
            ('["losses"]', "not 'losses'"),
            ('[{"view": 3}]', "a view is"),
            ('[{"view": "a", "every": 0}]', "every is 0; a number of steps (1 or more) or 'evaluation'"),
            ('[{"view": "a", "every": true}]', "every is True"),
            ('[{"view": "a", "every": "epoch"}]', "every is 'epoch'"),
            ('[{"view": "a", "name": "../a"}]', "name is '../a'"),
            ('[{"view": "a", "name": "%s"}]' % ("x" * 65), "at most 64"),
            ('[{"view": "a", "parameters": [1]}]', "parameters are [1]"),
            ('[{"view": "a"}, {"view": "b.a"}]', "two views are called a"),
            (many, "21 views are too many"),
        ):
            with self.subTest(text[:40]):
                with self.assertRaises(ViewError) as raised:
                    read(text)
                self.assertIn(part, str(raised.exception))


class Loading(ViewsCase):
    def setUp(self):
        super().setUp()
        before = {name for name in sys.modules if "." not in name}
        sys.path.insert(0, str(self.folder))
        self.addCleanup(sys.path.remove, str(self.folder))
        self.addCleanup(lambda: [sys.modules.pop(name) for name in {n for n in sys.modules if "." not in n} - before])

    def test_one_s_own_go_before_those_of_the_toolkit(self):
        self.code("def losses(trial, step, smoothing=3):\n    return smoothing\ndef mine(trial, step): ...")
        self.assertEqual(module_of("losses", self.folder), "views")
        self.assertEqual(module_of("norms", self.folder), "")
        self.assertEqual(load("losses", {"smoothing": 5}, self.folder)(None, 0), 5)

    def test_a_view_may_be_imported_or_assigned(self):
        self.code("def confusion(trial, step):\n    return 1", "elsewhere")
        self.code("from elsewhere import confusion\nnorms = confusion\nhistograms: int = 1\n")
        self.assertEqual([module_of(name, self.folder) for name in ("confusion", "norms")], ["views", "views"])
        self.assertEqual(load("elsewhere.confusion", {}, self.folder)(None, 0), 1)

    def test_a_view_may_stand_in_a_try_or_an_if(self):
        for code in ("try:\n    import json\n{}except ImportError:\n    pass\n", "if 1:\n    pass\nelse:\n{}"):
            self.code(code.format("    def losses(trial, step): ...\n"))
            self.assertEqual(module_of("losses", self.folder), "views")

    def test_a_broken_module_leaves_the_toolkit_s(self):
        self.code("def latents(trial, step)\n    return 1\n")
        self.assertEqual(module_of("losses", self.folder), "")

    def test_what_there_is_not(self):
        self.code("import os\ndef latents(trial, step, *, perplexity=30): ...\nnumber = 3\n")
        self.code("import not_installed_here\n", "lacking")
        self.code("x = (\n", "unfinished")
        self.code("1 / 0\n", "raising")
        self.code("import sys\nsys.exit(3)\n", "exiting")
        for view, parameters, part in (
            ("latent", {}, "views.py has no function latent; did you mean latents?"),
            ("losse", {}, "did you mean losses?"),
            ("number", {}, "views.py has no function number"),
            ("latents", {"perplexty": 3}, "'perplexty'; its parameters are perplexity"),
            ("losses", {"smooth": 3}, "losses has no parameter 'smooth'; did you mean 'smoothing'?"),
            ("losses", {"smoothing": 0}, "must be at least 1"),
            ("histograms", {"collection": "images"}, "must be one of weights, biases"),
            ("confusion", {"labels": "("}, "it is no regular expression"),
            ("lacking.a", {}, "ModuleNotFoundError: No module named 'not_installed_here' (lacking.py:1)"),
            ("unfinished.a", {}, "importing unfinished failed: SyntaxError: '(' was never closed (unfinished.py:1)"),
            ("raising.a", {}, "ZeroDivisionError: division by zero (raising.py:1)"),
            ("exiting.a", {}, "SystemExit: 3 (exiting.py:2)"),
            ("nowhere.a", {}, "there is no nowhere.py in the model's folder"),
            ("raising", {}, "views.py has no function raising"),
        ):  # fmt: skip
            with self.subTest(view):
                with self.assertRaises(ViewError) as raised:
                    load(view, parameters, self.folder)
                self.assertIn(part, str(raised.exception))

    def test_without_a_views_py(self):
        with self.assertRaises(ViewError) as raised:
            load("loses", {}, self.folder)
        self.assertIn("there is no view 'loses'; did you mean losses?", str(raised.exception))
        self.assertIn("a function in views.py", str(raised.exception))


class Steps(unittest.TestCase):
    def trained(self, every, steps, *, take=True, pictures=0):
        due, found = Due(every), []
        for step in steps:
            due.trained(step, pictures)
            if take and due.step is not None:
                found.append(due.take())
        return found, due

    def test_multiples(self):
        self.assertEqual(self.trained(10, range(35))[0], [0, 10, 20, 30])

    def test_where_steps_are_not_saved_one_by_one(self):
        self.assertEqual(self.trained(100, range(0, 1000, 70))[0], [0, 100, 200, 300, 400, 500, 600, 700, 800, 900])
        self.assertEqual(self.trained(10, (0, 500, 1000))[0], [0, 500, 1000])

    def test_a_job_that_goes_on_draws_no_step_before_it(self):
        self.assertEqual(self.trained(10, range(83, 103))[0], [90, 100])

    def test_a_step_that_comes_while_another_waits_takes_its_place(self):
        _, due = self.trained(10, range(35), take=False)
        self.assertEqual((due.take(), due.skipped), (30, 3))

    def test_many_pictures_make_it_sparser(self):
        self.assertEqual(self.trained(10, range(100), pictures=limits.PICTURES)[0], [0, 20, 40, 60, 80])

    def test_evaluation_is_due_when_the_pass_is_over(self):
        due = Due(None)
        for step in range(4):
            due.trained(step)
        due.evaluating(4)
        due.evaluating(4)
        self.assertIsNone(due.step)
        due.trained(4)
        self.assertEqual(due.take(), 4)
        due.evaluating(5)
        due.evaluating(6)  # without training steps that were saved between
        self.assertEqual(due.take(), 5)
        due.evaluated()
        self.assertEqual(due.take(), 6)
        due.evaluated()
        self.assertIsNone(due.step)
        with self.assertRaises(ValueError):
            due.take()


class Documents(ViewsCase):
    def test_only_a_document_of_the_same_view_goes_on(self):
        configuration = Configuration("a", "a", 10, {"b": 1})
        document = Document(configuration, self.folder)
        document.says(3, "x" * 5000)
        document.write()
        text = (self.folder / "views" / "a.json").read_bytes()
        self.assertEqual(len(json.loads(text)["problems"][0]["reason"]), limits.REASON_LENGTH)
        self.assertIsNotNone(earlier(text, configuration))
        for other in (None, b"", b"{", b"[]", b'{"pictures": [{"step": 1}]}', b'{"pictures": 3}'):
            self.assertIsNone(earlier(other, configuration))
        self.assertIsNone(earlier(text, Configuration("a", "a", 10, {"b": 2})))

    def test_the_last_problems_are_kept(self):
        document = Document(Configuration("a", "a"), self.folder)
        for step in range(30):
            document.says(step, "no")
        self.assertEqual([problem["step"] for problem in document.content()["problems"]], list(range(10, 30)))


class Moments(ViewsCase):
    def test_a_picture_s_trial_ends_at_its_step(self):
        self.saved(25)
        trial = TrialUntil(self.tensors)
        trial.until = 10
        self.assertEqual(trial.steps("points"), list(range(11)))
        self.assertEqual(trial.last_step(), 10)
        self.assertEqual(list(trial.numbers("loss/train")), list(range(11)))
        self.assertEqual(trial.passes(), {10: [0]})
        self.assertEqual(evaluation_steps(trial, 10), [0])
        self.assertEqual(trial.value("examples", 0, "eval").tolist(), [9, 9, 9])
        for name, step, mode in (("points", 11, "train"), ("examples", 1, "eval")):
            with self.assertRaisesRegex(NotSavedError, "is later than the picture's step 10"):
                trial.value(name, step, mode)
        self.assertEqual(trial.names(), ["examples", "loss/train", "loss/validation", "points"])
        trial.until = 9
        self.assertEqual(trial.names(), ["loss/train", "points"], "nothing was evaluated until then")
        trial.until = 20
        self.assertEqual(trial.passes(), {10: [0], 20: [1]})
        self.assertEqual((evaluation_steps(trial, 19), evaluation_steps(trial, 20)), ([0], [1]))
        with self.assertRaisesRegex(NotSavedError, "no evaluation until step 9"):
            evaluation_steps(trial, 9)


if __name__ == "__main__":
    unittest.main()
