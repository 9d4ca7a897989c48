"""Answers questions about texts. The endpoint and the evaluation both call these four functions.

A request is {"question", "context"}, or a list of such (application/json), or one a line (application/jsonlines). An
answer is {"answer", "score", "start", "end"}: the context's own words, how sure they are, from 0 to 1, and where they
stand in it, counted in characters (Python's, which are Unicode code points) from 0: context[start:end] is the answer.
Where no answer is sure enough, `answer`, `start` and `end` are null; the score is that of the likeliest words.
"""

import json
import re
from dataclasses import dataclass

import answering
import pretrained
import torch
from answering import Settings

from toolkit import request_body
from toolkit.request_body import RequestError
from toolkit.signature import signed

torch.set_num_threads(1)  # one request is a text: handing it to threads would cost more than it saves

JSON, LINES = "application/json", "application/jsonlines"
# Half of a character beyond 16 bits: JSON can write it alone (\\ud83d), and no text can hold it.
HALF = re.compile("[\ud800-\udfff]")
# Of a context, in characters: what a book chapter has. Each window of it takes its time.
LONGEST = 100_000


@dataclass(frozen=True)
class Model:
    """What model_fn loads."""

    network: object
    tokenizer: object
    settings: Settings


@dataclass(frozen=True)
class Request:
    """What is asked: (question, context) each; alone: by a document that isn't a list."""

    asked: list
    alone: bool = False


def model_fn(model_dir):
    """The network, the tokenizer and the settings, from tensors and JSON: nothing that is loaded runs."""
    return Model(*pretrained.load(model_dir), Settings.load(model_dir))


def input_fn(body, content_type):
    """A request's questions, each with its context. Raises RequestError."""
    text, kind = request_body.text(body), content_type.partition(";")[0].strip()
    if kind == LINES:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        return Request(
            [asked(request_body.document(line, f"line {number}"), f"line {number}") for number, line in lines]
        )
    if kind != JSON:
        raise RequestError(f"content type {content_type}: send {JSON} or {LINES}")
    given = request_body.document(text)
    if isinstance(given, list):
        return Request([asked(one, f"question {number}") for number, one in enumerate(given, start=1)])
    return Request([asked(given, "the request")], alone=True)


def asked(given, where):
    """(question, context) of a document. Only the context may be empty: then it holds no answer."""
    if not isinstance(given, dict):
        raise RequestError(f'{where} is {type(given).__name__}; send {{"question": …, "context": …}}')
    for key in ("question", "context"):
        if not isinstance(given.get(key), str):
            raise RequestError(f"{where}: {key} is {given.get(key)!r:.80}; it must be a text")
        if HALF.search(given[key]):
            raise RequestError(f"{where}: {key} holds half of a surrogate pair, which is no character; send both")
    if not given["question"].strip():
        raise RequestError(f"{where}: question is empty; ask something")
    if len(given["context"]) > LONGEST:
        raise RequestError(f"{where}: context has {len(given['context'])} characters, of at most {LONGEST}")
    return given["question"], given["context"]


def predict_fn(request, model):
    """Answers, in the order of the questions."""
    found = answering.spans(model.network, model.tokenizer, request.asked, model.settings)
    answers = [
        span.answer(context, model.settings.threshold) for span, (_, context) in zip(found, request.asked, strict=True)
    ]
    return answers, request.alone


@signed
def output_fn(prediction, accept):
    """JSON, a document or a list as it was asked; or an answer a line (text/csv, which evaluation accepts)."""
    answers, alone = prediction
    if accept in ("text/csv", LINES):
        return "\n".join(map(json.dumps, answers)), accept  # in ASCII: some letters count as ends of lines
    return json.dumps(answers[0] if alone else answers, ensure_ascii=False), JSON
