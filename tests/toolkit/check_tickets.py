"""training_code/tickets: what both candidates learn, how sure they are, requests, and data that can't be used."""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "training_code" / "tickets"
sys.path.insert(0, str(FOLDER))

import embedding  # noqa: E402
import example_tickets  # noqa: E402
import ngrams  # noqa: E402
import routing  # noqa: E402
import serve  # noqa: E402
import tfidf  # noqa: E402
import tickets  # noqa: E402

from toolkit.request_body import RequestError  # noqa: E402

# Another check's judge looks for serve.py of a model of its own.
sys.modules.pop("serve")
sys.path.remove(str(FOLDER))

TEXTS = ["please order a headset, thanks", "the vpn drops every few minutes"]
SMALL = {tfidf: ("--c", "3"), embedding: ("--epochs", "10", "--dim", "16", "--buckets", "4096")}


def trained(script, folder, *more):
    """What a candidate's training prints."""
    words = ["x", "--train", str(folder / "train"), "--model-dir", str(folder / "model"), "--folds", "2", *more]
    unsaved = mock.patch.object(script, "save_serving_code")
    with mock.patch.object(sys, "argv", words), unsaved, contextlib.redirect_stdout(io.StringIO()) as printed:
        script.main()
    return dict(line.split("=") for line in printed.getvalue().splitlines() if line.startswith("cv:"))


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def data(self, text):
        (self.folder / "train").mkdir(exist_ok=True)
        (self.folder / "train" / "tickets.csv").write_text(text, encoding="utf-8")

    def examples(self, count):
        rows = example_tickets.written(count, seed=0)
        self.data("Description,Category\n" + "".join(f'"{text}",{label}\n' for text, label in rows))


class Learning(Folder):
    def test_both_candidates_learn_and_the_same_serve_py_answers_with_either(self):
        self.examples(300)
        for script, knobs in SMALL.items():
            with self.subTest(script.__name__):
                figures = trained(script, self.folder, *knobs)
                self.assertGreater(float(figures["cv:accuracy"]), 0.6)
                model = serve.model_fn(self.folder / "model")
                answered, confidences = serve.sure_fn(TEXTS, model)
                self.assertEqual(answered.tolist(), ["Purchase", "Network"])
                self.assertTrue(((confidences > 0) & (confidences <= 1)).all())
                self.assertEqual(serve.sure_fn([""], model)[0].shape, (1,), "an empty ticket has an answer, too")

    def test_the_same_seed_gives_the_same_embeddings_in_another_process(self):
        made = "NgramEmbeddings(dim=4, buckets=64, epochs=2, rate=0.5, batch=2, seed=1)"
        code = f"from ngrams import *; m = {made}.fit(['a b', 'c d', 'a c'], ['x', 'y', 'x'])"
        code += "; print(m.predict_proba(['a d']).tolist())"
        runs = [
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "PYTHONPATH": str(FOLDER), "PYTHONHASHSEED": seed},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        ]
        self.assertEqual(*runs)

    def test_a_step_goes_down_the_gradient(self):
        """Against differences of the loss, for a vector and for the weights."""
        model = ngrams.NgramEmbeddings(dim=3, buckets=32, epochs=1, rate=1, batch=2, seed=0)
        model.fit(["a b c", "b d", "c c"], ["x", "y", "x"])
        model.vectors, model.weights = model.vectors.astype(float), model.weights.astype(float) + 0.1
        model.weights[0, 0] += 0.5
        grams, target = [model._hashed("a b b"), model._hashed("d")], np.array([0, 1])

        def loss():
            said = ngrams._softmax(model._means(grams) @ model.weights)
            return -np.log(said[np.arange(2), target]).sum()

        def slope(table, place, small=1e-6):
            table[place] += small
            above = loss()
            table[place] -= 2 * small
            below = loss()
            table[place] += small
            return (above - below) / (2 * small)

        places = [(model.vectors, (grams[0][1], 2)), (model.vectors, (grams[1][0], 0)), (model.weights, (1, 1))]
        expected, before = [slope(*each) for each in places], [table[place].copy() for table, place in places]
        model._step(grams, target, 1e-3)
        for (table, place), was, steep in zip(places, before, expected, strict=True):
            self.assertAlmostEqual((was - table[place]) / 1e-3, steep, places=5)


class Routing(unittest.TestCase):
    def test_a_confidence_is_the_share_of_right_ones_among_those_at_least_as_sure(self):
        sure = np.array([0.9, 0.8, 0.7, 0.6])
        probabilities = np.stack([sure, 1 - sure], 1)
        with mock.patch.object(routing, "FEWEST", 1):
            learned = routing.learned(probabilities, np.array(["a", "a", "b", "a"]))
        # Two of two, then two of three, then three of four; a surer one is no less often right.
        found = routing.confidence(learned, np.array([0.95, 0.85, 0.75, 0.65, 0.5]))
        np.testing.assert_allclose(found, [1, 1, 0.75, 0.75, 0.75])

    def test_what_is_routed_at_a_threshold_was_right_as_often_in_cross_validation(self):
        random = np.random.default_rng(0)
        sure = random.uniform(0.5, 1, 2000)
        labels = np.where(random.uniform(size=2000) < sure, "a", "b")
        probabilities = np.stack([sure, 1 - sure], 1)
        learned = routing.learned(probabilities, labels)
        routed = routing.confidence(learned, sure) >= routing.PRECISION
        self.assertGreater(routed.mean(), 0.05)
        self.assertGreaterEqual((labels[routed] == "a").mean(), routing.PRECISION)
        rest = labels[~routed]
        self.assertLess((rest == "a").mean(), routing.PRECISION)

    def test_a_few_right_ones_at_the_top_prove_nothing(self):
        sure = np.linspace(0.99, 0.5, 100)
        labels = np.array(["a"] * 5 + ["b", "a"] * 47 + ["b"])
        learned = routing.learned(np.stack([sure, 1 - sure], 1), labels)
        self.assertLess(routing.confidence(learned, np.array([0.99]))[0], 0.7)


class Requests(unittest.TestCase):
    def test_a_ticket_a_line_and_lists_and_one_alone(self):
        lines = '"please order a headset, thanks"\r\nthe vpn drops every few minutes\r\n'
        for body in (lines, lines.encode(), "\ufeff" + lines):
            self.assertEqual(serve.input_fn(body, "text/csv; charset=utf-8"), TEXTS)
        self.assertEqual(serve.input_fn(json.dumps(TEXTS), "application/json"), TEXTS)
        self.assertEqual(serve.input_fn(json.dumps(TEXTS[0]), "application/json"), TEXTS[:1])
        self.assertEqual(serve.input_fn('"two\nlines"', "text/csv"), ["two\nlines"])

    def test_what_is_answered(self):
        answers = [("Access", 0.97), ("Network", 0.8123456)]
        self.assertEqual(serve.output_fn(answers, "text/csv")[0], "Access\nNetwork")
        self.assertEqual(
            json.loads(serve.output_fn(answers, "application/json")[0]),
            [
                {"category": "Access", "confidence": 0.97, "route": True},
                {"category": "Network", "confidence": 0.8123, "route": False},
            ],
        )

    def test_what_cannot_be_a_request_is_refused(self):
        for body, kind, message in (
            ("a, b", "text/csv", "row 1 has 2 fields"),
            ("", "text/csv", "must hold a ticket's text"),
            (b"\xff", "text/csv", "isn't UTF-8"),
            ("[", "application/json", "is no JSON"),
            ("[1]", "application/json", "must hold a ticket's text"),
            ('{"text": "x"}', "application/json", "must hold a ticket's text"),
            ("x" * (serve.MOST_LETTERS + 1), "text/csv", "has 1,048,577 letters"),
            ("x", "text/plain", "send text/csv or application/json"),
        ):
            with self.subTest(message), self.assertRaisesRegex(RequestError, message):
                serve.input_fn(body, kind)


class Data(Folder):
    def test_what_cannot_be_learned_from_is_refused_with_its_place(self):
        ten = "".join(f"text {n},A\n" for n in range(10))
        for text, message in (
            ("text,label\nx,A\n", "tickets.csv: its header has no Description and no Category; it has text, label"),
            ("", "its header has no Description and no Category; it has nothing"),
            ("Description,Category\nx,\n", "tickets.csv:2 has no Category"),
            ("Description,Category\nx\n", "tickets.csv:2 has no Category"),
            ("Description,Category\nhi, there,A\n", "tickets.csv:2 has more fields than the header"),
            ("Description,Category\n" + ten, r"too few categories \(A\)"),
            ("Description,Category\n" + ten + "x,B\n", "each category needs 10 tickets at least; B has 1"),
        ):
            self.data(text)
            with self.subTest(message), self.assertRaisesRegex(SystemExit, message):
                tickets.load(self.folder / "train")

    def test_a_folder_without_a_file_is_told(self):
        with self.assertRaisesRegex(SystemExit, "no CSV file in"):
            tickets.load(self.folder)

    def test_what_is_drawn_is_the_same_for_the_same_seed_and_can_be_told_apart_mostly(self):
        one, same = (example_tickets.written(50, seed=3) for _ in range(2))
        self.assertEqual(one, same)
        self.assertNotEqual(one, example_tickets.written(50, seed=4))
        self.assertEqual({label for _, label in one}, set(example_tickets.TOPICS))


if __name__ == "__main__":
    unittest.main()
