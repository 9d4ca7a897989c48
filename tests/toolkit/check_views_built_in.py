"""The views that come with the toolkit: what they show is what was saved, and their documents stay small; and drawing
by hand, which gives what was drawn beside. Runs in an image."""

import inspect
import json
import os
import subprocess
import sys
import unittest

import numpy as np
from views_kit import DEADLINE, PLAIN, SVG, ViewsCase

from contract import built_in_views
from toolkit.errors import ToolkitError
from toolkit.probe import NotSavedError, Probe, layout
from toolkit.probe.settings import Settings
from toolkit.views.figures import picture
from toolkit.views.loading import load
from toolkit.views.moments import TrialUntil

MOST_BYTES = 100_000


class BuiltIn(ViewsCase):
    def probe(self, view, **parameters):
        """A probe that saves what a view brings, every step."""
        settings = Settings.of({"collections": built_in_views.brings(view, 1, parameters)})
        probe = Probe(settings, directory=self.tensors)
        self.addCleanup(probe.close)
        return probe

    def save(self, probe, name, kind, array):
        probe._offer(name, kind, array)

    def drawn(self, view, step, **parameters):
        trial = TrialUntil(self.tensors)
        trial.until = step
        document = load(view, parameters, self.folder)(trial, step)
        ending, content = picture(document)
        self.assertEqual(ending, "vl.json")
        self.assertLessEqual(len(content), MOST_BYTES)
        self.assertIsNone(document["background"])
        self.assertNotIn("config", document)
        return json.loads(content)

    def test_the_table_is_what_the_functions_take(self):
        for view, told in built_in_views.TABLE.items():
            closed_over = [cell.cell_contents for cell in load(view, {}, self.folder).__closure__]
            function, given = sorted(closed_over, key=lambda found: isinstance(found, dict))
            takes = list(inspect.signature(function).parameters)
            self.assertEqual((function.__name__, takes), (view, ["trial", "step", *told["parameters"]]))
            self.assertEqual(set(given), set(told["parameters"]))
            self.assertTrue(told["says"].endswith("."))

    def test_losses(self):
        probe = self.probe("losses")
        for step in range(40):
            probe.loss("train", 1 / (1 + step))
            probe.step()
            if step % 10 == 9:
                with probe.mode("eval"):
                    for batch in range(3):
                        probe.loss("train", step + batch)
                        probe.step()
        probe.close()
        rows = self.drawn("losses", 30)["data"]["values"]
        trained = [row for row in rows if row["series"] == "loss/train, training"]
        self.assertEqual([row["step"] for row in trained], list(range(31)))
        self.assertEqual([row["loss"] for row in trained], [float(f"{1 / (1 + step):.4g}") for step in range(31)])
        judged = {row["step"]: row["loss"] for row in rows if row["series"] == "loss/train, evaluation"}
        self.assertEqual(judged, {10: 10.0, 20: 20.0, 30: 30.0})
        self.assertEqual(self.drawn("losses", 30, log=True)["layer"][1]["encoding"]["y"]["scale"]["type"], "log")

    def test_many_losses_are_smoothed_and_thinned(self):
        probe = self.probe("losses")
        random = np.random.default_rng(0)
        losses = {f"part{part}": random.normal(size=3000) for part in range(3)}
        losses["part0"][7] = np.nan
        for step in range(3000):
            for name, values in losses.items():
                probe.loss(name, values[step])
            probe.step()
        probe.close()
        document = self.drawn("losses", 2999, smoothing=100)
        self.assertIn("the mean of the last 100 losses", document["title"]["subtitle"])
        for name, values in losses.items():
            rows = [row for row in document["data"]["values"] if row["series"] == f"loss/{name}, training"]
            self.assertEqual(rows[-1]["step"], 2999)
            self.assertAlmostEqual(rows[-1]["loss"], values[-100:].mean(), places=3)
            self.assertLessEqual(rows[-1]["least"], values[-100:].min() + 1e-3)
            self.assertGreaterEqual(rows[-1]["most"], values[-100:].max() - 1e-3)
            self.assertIsNotNone(rows[0]["loss"])

    def test_histograms(self):
        probe = self.probe("histograms")
        random = np.random.default_rng(0)
        saved = {}
        for step in range(90):
            for layer in range(14):
                saved[step, layer] = random.normal(size=400) * (1 + step)
                self.save(probe, f"layer.{layer}/weight", layout.WEIGHT, saved[step, layer])
            self.save(probe, "constant/weight", layout.WEIGHT, np.full(9, 3.0))
            self.save(probe, "broken/weight", layout.WEIGHT, np.full(9, np.nan))
            probe.step()
        probe.close()
        document = self.drawn("histograms", 89, most=12, regex="^layer")
        rows = document["data"]["values"]
        self.assertEqual(len({row["tensor"] for row in rows}), 12)
        self.assertIn("layer.2/weight", document["facet"]["sort"][2])
        last = next(row for row in rows if (row["tensor"], row["step"]) == ("layer.3/weight", 89))
        edges = last["low"] + last["width"] * np.arange(len(last["share"]) + 1)
        exact = np.histogram(saved[89, 3], edges)[0] / 400
        # Within a bin of the saved histogram nobody knows where the values lie.
        self.assertLess(np.abs(np.array(last["share"]) / 1000 - exact).max(), 0.04)
        self.assertAlmostEqual(sum(last["share"]), 1000, delta=15)
        constant = self.drawn("histograms", 89, regex="constant")["data"]["values"]
        self.assertEqual([sum(row["share"]) for row in constant], [1000] * len(constant))
        broken = self.drawn("histograms", 89, regex="broken")["data"]["values"]
        self.assertEqual([sum(row["share"]) for row in broken], [0] * len(broken))

    def test_norms(self):
        probe = self.probe("norms")
        for step in range(120):
            for layer in range(60):
                weight = np.full(4, step + layer + 1.0)
                self.save(probe, f"layer.{layer}/weight", layout.WEIGHT, weight)
                self.save(probe, f"layer.{layer}/weight.gradient", layout.GRADIENT, weight / 10)
            probe.step()
        probe.close()
        document = self.drawn("norms", 100, most=60)
        self.assertEqual(document["spec"]["mark"]["type"], "rect")
        few = self.drawn("norms", 100, regex=r"layer\.[123]/")
        self.assertEqual(few["spec"]["mark"]["type"], "line")
        rows = {(row["of"], row["layer"]): row for row in few["data"]["values"]}
        self.assertEqual(len(rows), 6)
        for (of, layer), row in rows.items():
            scale = 10 if of == "gradients" else 1
            number = int(layer.partition(".")[2])
            wanted = [2 * (step + number + 1) / scale for step in row["step"]]
            np.testing.assert_allclose(row["norm"], wanted, rtol=1e-3)
            self.assertEqual((row["step"][0], row["step"][-1]), (0, 100))

    def test_norms_of_whole_tensors(self):
        probe = Probe(Settings.of({"collections": {"weights": {"interval": 2}}}), directory=self.tensors)
        for _ in range(5):
            self.save(probe, "fc/weight", layout.WEIGHT, np.array([3.0, 4.0]))
            probe.step()
        probe.close()
        (row,) = self.drawn("norms", 4)["data"]["values"]
        self.assertEqual((row["step"], row["norm"]), ([0, 2, 4], [5.0] * 3))

    def test_each_reads_its_own_steps_where_another_saves_other_numbers(self):
        brought = {
            f"{collection}:{view}": how
            for view, every in (("norms", 2), ("histograms", 3))
            for collection, how in built_in_views.brings(view, every, {}).items()
        }
        probe = Probe(Settings.of({"collections": brought}), directory=self.tensors)
        for _ in range(7):
            self.save(probe, "fc/weight", layout.WEIGHT, np.array([3.0, 4.0]))
            probe.step()
        probe.close()
        (row,) = self.drawn("norms", 6)["data"]["values"]
        self.assertEqual((row["step"], row["norm"]), ([0, 2, 4, 6], [5.0] * 4))
        rows = self.drawn("histograms", 6)["data"]["values"]
        self.assertEqual([row["step"] for row in rows], [0, 3, 6])

    def judged(self, labels, predictions, passes=1):
        probe = self.probe("confusion")
        for _ in range(passes):
            probe.step()
            with probe.mode("eval"):
                for truth, answer in zip(np.array_split(labels, 3), np.array_split(predictions, 3), strict=True):
                    probe.labels(truth)
                    probe.predictions(answer)
                    probe.step()
        probe.close()

    def counts(self, document):
        return {(row["label"], row["predicted"]): row["count"] for row in document["data"]["values"]}

    def test_confusion_of_scores(self):
        random = np.random.default_rng(0)
        labels = random.integers(0, 4, 200)
        scores = random.normal(size=(200, 4))
        self.judged(labels, scores, passes=2)
        document = self.drawn("confusion", 2, classes=["a", "b", "c", "d"])
        wanted = {}
        for label, predicted in zip(labels, scores.argmax(1), strict=True):
            key = ("abcd"[label], "abcd"[predicted])
            wanted[key] = wanted.get(key, 0) + 1
        self.assertEqual(self.counts(document), wanted)
        self.assertIn("Confusion at step 2: ", document["title"]["text"])
        right = (labels == scores.argmax(1)).mean()
        self.assertIn(f"{right:.1%} of 200 right", document["title"]["text"])
        for row in document["data"]["values"]:
            self.assertAlmostEqual(row["share"], row["count"] / (labels == "abcd".index(row["label"])).sum(), places=4)

    def test_confusion_of_classes_and_of_one_score(self):
        for predictions in (np.array([0, 1, 1]), np.array([0.2, 0.7, 0.9]), np.array([[-2.0], [0.5], [3.0]])):
            with self.subTest(predictions):
                self.setUp()
                self.judged(np.array([0, 0, 1]), predictions)
                self.assertEqual(self.counts(self.drawn("confusion", 1)), {("0", "0"): 1, ("0", "1"): 1, ("1", "1"): 1})

    def test_confusion_of_many_classes(self):
        labels = np.arange(3000) % 100
        self.judged(labels, np.roll(labels, 1))
        document = self.drawn("confusion", 1, most=60)
        self.assertIn("the 60 most frequent classes, 40 are left out", document["title"]["subtitle"])

    def test_what_is_not_saved(self):
        self.saved(12)
        for view, parameters, part in (
            ("losses", {"regex": "^acc"}, "no loss named like '^acc' was saved until step 11; there are loss/train"),
            ("histograms", {}, "nothing of weights was saved until step 11"),
            ("norms", {}, "no weights or gradients were saved until step 11"),
            ("confusion", {}, "no labels were saved"),
        ):  # fmt: skip
            with self.subTest(view):
                with self.assertRaises(NotSavedError) as raised:
                    self.drawn(view, 11, **parameters)
                self.assertIn(part, str(raised.exception))
        with self.assertRaisesRegex(NotSavedError, "there was no evaluation until step 9"):
            self.drawn("confusion", 9)

    def test_labels_and_predictions_that_do_not_fit(self):
        probe = self.probe("confusion")
        probe.step()
        with probe.mode("eval"):
            probe.labels(np.arange(3))
            probe.predictions(np.arange(4))
            probe.step()
        probe.close()
        with self.assertRaisesRegex(ToolkitError, "the pass has 3 labels and 4 predictions"):
            self.drawn("confusion", 1)


class ByHand(ViewsCase):
    def command(self, *arguments, **environment):
        command = [sys.executable, "-m", "toolkit.views", *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )

    def test_what_is_drawn_by_hand_is_what_was_drawn_beside(self):
        self.code(PLAIN)
        views = [
            {"view": "plain", "every": 5},
            {"view": "losses", "every": 5},
            {"view": "confusion", "name": "passes"},
        ]
        code = """
            for part in range(4):
                train(5 * part, 5 * part + 5)
                drawn("losses", 5 * part)
                drawn("plain", 5 * part)
                evaluate()
            train(20, 21)
        """
        self.assertEqual(self.script(code, views).returncode, 0, self.said)
        output = self.folder / "out"
        done = self.command("--tensors", self.tensors, "--views", json.dumps(views), "--output", output)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(len(done.stdout.splitlines()), 5 + 5 + 4)
        for name in ("plain", "losses", "passes"):
            beside, by_hand = self.document(name), self.document(name, output)
            steps = {found["step"] for found in beside["pictures"]}
            self.assertGreaterEqual(len(steps), 1)
            self.assertLessEqual(steps, {found["step"] for found in by_hand["pictures"]})
            self.assertEqual(by_hand["status"], "ended")
            for found in beside["pictures"]:
                self.assertEqual((output / found["file"]).read_bytes(), (self.tensors / found["file"]).read_bytes())

    def test_one_view_at_chosen_steps(self):
        self.code(f"def latents(trial, step, *, n=1):\n    return {SVG!r}.format(f'{{step}} {{n}}')\n")
        self.saved(25)
        done = self.command(
            "--tensors", self.tensors, "--view", "latents", "--steps", "3, 7", "--parameters", '{"n": 4}',
            "--output", "out",
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        out = self.folder / "out" / "views" / "latents"
        wanted = [out / "000000000003.svg", out / "000000000007.svg"]
        self.assertEqual(done.stdout.splitlines(), list(map(str, wanted)))
        self.assertEqual(wanted[0].read_text(), SVG.format("3 4"))
        done = self.command("--tensors", self.tensors, "--view", "latents", "--every", "evaluation", "--output", "out")
        self.assertEqual([line[-6:] for line in done.stdout.splitlines()], ["10.svg", "20.svg"])

    def test_what_is_saved_late_is_not_given_up(self):
        self.code("""
            def late(trial, step):
                return '<svg xmlns="http://www.w3.org/2000/svg"><text>%s</text></svg>' % trial.value("late", 7)
        """)
        probe = Probe(Settings.of({}), directory=self.tensors)
        for step in range(9):
            probe.loss("train", 1.0)
            if step == 7:
                probe.scalar("late", 3)
            probe.step()
        probe.close()
        done = self.command("--tensors", self.tensors, "--view", "late", "--every", "1", "--output", "out")
        self.assertEqual(done.returncode, 1)
        document = self.document("late", self.folder / "out")
        self.assertEqual([picture["step"] for picture in document["pictures"]], [7, 8])
        self.assertEqual((document["status"], document["failed"]), ("ended", 7))

    def test_what_cannot_be_drawn(self):
        self.code("def raises(trial, step): return [][step]\ndef fine(trial, step): return 1\n")
        self.saved(12)
        base = ("--tensors", self.tensors, "--output", self.folder / "out")
        for arguments, status, part in (
            ((*base, "--view", "raises", "--steps", "3"), 1, "views: raises at step 3: IndexError: list index"),
            ((*base, "--view", "nothing"), 1, "views.py has no function nothing"),
            ((*base, "--view", "fine"), 1, "the view returned a int"),
            ((*base, "--view", "losses", "--steps", "500"), 0, ""),
            ((*base, "--view", "losses", "--parameters", '{"smooth": 1}'), 1, "no parameter 'smooth'; did you mean"),
            (("--tensors", "nowhere", "--output", "out", "--view", "losses"), 1, "there are no tensors in nowhere"),
            ((*base, "--views", "[{"), 2, "RATCHET_VIEWS is not JSON"),
            (base, 2, "there is no view to draw: give --view NAME"),
            ((*base, "--view", "losses", "--every", "never"), 2, "every is 'never'"),
            ((*base, "--view", "losses", "--steps", "a"), 2, "'a' is no training step"),
            ((*base, "--view", "losses", "--parameters", "[]"), 2, "--parameters must be"),
            ((*base, "--view", "a", "--views", "[]"), 2, "give --view or --views"),
            (("--tensors", "x", "--view", "losses"), 2, "--tensors needs --output"),
        ):
            with self.subTest(arguments[4:]):
                done = self.command(*arguments)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(part, done.stderr)
                self.assertNotIn("Traceback", done.stderr)

    def test_nothing_that_is_due(self):
        self.saved(9, losses={"interval": 4, "start": 3})
        base = ("--tensors", self.tensors, "--output", "out")
        done = self.command(*base, "--view", "confusion")
        self.assertEqual(done.returncode, 1)
        self.assertIn("confusion: nothing is due; there was no evaluation until training step 8", done.stderr)


if __name__ == "__main__":
    unittest.main()
