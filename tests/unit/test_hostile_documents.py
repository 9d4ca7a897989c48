"""Documents that a job's own code, or anybody with a right to send, may have written: any JSON at any place.

A function either takes them or refuses them with a sentence of its own; it never fails by what Python says of them.
"""

from __future__ import annotations

import copy
import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from common.answers import same
from common.json_values import DEPTH, NotJsonError, parsed, storable, told, unstorable
from common.run_table import _attribute
from common.state import State
from gate.decision import decide
from gate.evaluation import BadEvaluationError
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle import handler as lifecycle
from lifecycle.answer import BadRequestError, answer
from memory_aws import Aws, installed
from recorder.documents import run_record
from verifier import handler as verifier
from verifier.handler import NoSamplesError

from contract import causes, held_out, held_out_labels, held_out_lines
from contract.held_out import HeldOutError

DEEP = json.loads("[" * 300 + "]" * 300)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**40, -(10**400), 1e308, 1e-200, DEEP])
    | st.floats()
    | st.text(st.characters(codec=None), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every part of a document."""
    yield way
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, entry in entries:
        yield from places(entry, (*way, name))


def changed(document: Any, way: tuple[Any, ...], part: Any) -> Any:
    """The document with another part there."""
    if not way:
        return part
    document = copy.deepcopy(document)
    place = document
    for name in way[:-1]:
        place = place[name]
    place[way[-1]] = part
    return document


def hostile(document: Any) -> st.SearchStrategy[Any]:
    """The document with anything in one of its places."""
    return st.builds(changed, st.just(document), st.sampled_from(list(places(document))), anything)


# ---------------------------------------------------------------------------------------------------------------- JSON


@given(anything)
@settings(deadline=None)
def test_what_is_kept_can_be_stored(value: Any) -> None:
    kept = storable(value)
    assert unstorable(kept) is None
    json.dumps(kept, allow_nan=False).encode()
    _attribute(kept)
    assert kept == value or unstorable(value)


@given(anything)
def test_what_is_told_is_short_and_plain(value: Any) -> None:
    assert len(told(value)) < 100 and told(value).isascii() and told(value).isprintable()


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, '{"a":' * 100_000, "9" * 5000, "[NaN", b"\xff"])
def test_what_is_no_json_is_refused_in_one_way(text: str | bytes) -> None:
    with pytest.raises(NotJsonError):
        parsed(text)


def test_levels_are_counted() -> None:
    def nested(levels: int) -> Any:
        return [nested(levels - 1)] if levels else 1

    assert unstorable(nested(DEPTH)) is None
    assert unstorable(nested(DEPTH + 1)) == f"more than {DEPTH} levels"


# ---------------------------------------------------------------------------------------------------------------- gate

GATE = {
    "metric": "f1_macro",
    "minimum": 0.9,
    "beat_champion_by": 0.0,
    "confidence": 0.95,
    "when_champion_cannot_answer": "keep",
    "segments": {"column": "region", "minimum": 0.5, "examples": 1},
    "classes": {"recall": 0.5, "examples": 1},
}
_SCORES = {"precision": 0.9, "recall": 0.9, "f1": 0.9}
EVALUATION: dict[str, Any] = {
    "metric": "f1_macro",
    "examples": 360,
    "challenger": {"score": 0.95, "interval": [0.9, 0.99]},
    "champion": {"score": 0.9, "interval": [0.85, 0.95]},
    "difference": 0.05,
    "interval": [0.01, 0.09],
    "confidence": 0.95,
    "segments": [{"segment": "north", "examples": 70, "score": 0.9, "champion": 0.8, "unjudged": None}],
    "classes": [{"class": "7", "examples": 51, **_SCORES, "champion": _SCORES}],
    "not_held_out": ["8"],
    "samples": [{"body": "0,1", "answer": "7"}, {"body_base64": "AAAA", "content_type": "image/png", "answer": "8"}],
}


@given(hostile(EVALUATION))
@settings(max_examples=400, deadline=None)
def test_gate_decides_or_says_what_is_wrong_with_the_evaluation(evaluation: Any) -> None:
    try:
        decision = decide(evaluation, GATE, {"run_id": "r1"}, pipeline="digits")
    except BadEvaluationError as error:
        assert len(str(error)) < 500 and "\n" not in str(error)
        return
    assert unstorable(decision) is None
    assert isinstance(decision["promote"], bool)


@pytest.mark.parametrize(
    ("way", "part", "said"),
    [
        ((), [], "the evaluation is a JSON array; it must be a JSON object"),
        (("challenger",), [1], "the challenger in the evaluation is a JSON array; it must be an object"),
        (("challenger", "score"), 10**400, "is a number of more than 38 digits; it must be a number"),
        (("champion", "score"), float("nan"), "the champion's score in the evaluation is nan; it must be a finite"),
        (("difference",), "0.1", "the evaluation's difference in the evaluation is '0.1'; it must be a number"),
        (("segments", 0), 7, "entry 0 of segments in the evaluation is 7; it must be an object"),
        (("segments", 0, "score"), float("nan"), "the entry 0 of segments's score in the evaluation is nan"),
        (("classes", 0, "class"), None, "has None as class; it must be a text"),
        (("classes", 0, "champion", "recall"), "x", "recall in the evaluation is 'x'; it must be a number"),
    ],
)
def test_what_is_wrong_with_an_evaluation_is_said(way: tuple[Any, ...], part: Any, said: str) -> None:
    with pytest.raises(BadEvaluationError) as refused:
        decide(changed(EVALUATION, way, part), GATE, {"run_id": "r1"}, pipeline="digits")
    assert said in str(refused.value)


def test_a_class_that_is_not_held_out_is_told() -> None:
    """Its floor says nothing: there is nothing to judge it by, and the others are judged."""
    decision = decide(EVALUATION, GATE, {"run_id": "r1"}, pipeline="digits")
    assert decision["promote"]
    assert decision["reason"].endswith("; not judged, since no held-out example is of it: 8")
    many = decide({**EVALUATION, "not_held_out": [*"abcde"]}, GATE, {"run_id": "r1"}, pipeline="digits")
    assert many["reason"].endswith("no held-out example is of it: a, b, c and 2 more")


# ------------------------------------------------------------------------------------------------------------ recorder

EVENT: dict[str, Any] = {
    "run": {
        "pipeline": "digits",
        "run_id": "r2",
        "trigger": {"kind": "data", "at": "t", "detail": {}},
        "forced": False,
    },
    "outcome": "NotBetter",
    "execution_arn": "arn",
    "jobs": {},
    **dict.fromkeys(
        ("plan", "training", "failure", "decision", "package", "candidate", "deployment", "verification", "evaluation")
    ),
}


@given(hostile(EVALUATION))
@settings(max_examples=200, deadline=None)
def test_a_record_holds_whatever_an_evaluation_says(evaluation: Any) -> None:
    evaluation = evaluation if isinstance(evaluation, dict) else {"metric": evaluation}
    record = run_record(EVENT, begun={}, state=State(), evaluation=evaluation, timings={}, at="t")
    json.dumps(record, allow_nan=False)
    _attribute(record)


# ------------------------------------------------------------------------------------------------------------ verifier


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    return installed(monkeypatch, ARTIFACT_BUCKET="artifacts")


@given(hostile(EVALUATION))
@settings(max_examples=200, deadline=None)
def test_verifier_takes_samples_or_says_what_they_must_be(evaluation: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        aws = installed(patch, ARTIFACT_BUCKET="artifacts")
        body = json.dumps(evaluation).encode()
        aws.s3.objects["artifacts", "runs/digits/r1/evaluation/evaluation.json"] = body
        try:
            samples = verifier.read_samples({"pipeline": "digits", "run_id": "r1"})
        except NoSamplesError:
            return
    assert all(isinstance(sample["answer"], str) for sample in samples)


@pytest.mark.parametrize(
    "answer_", ["[" * 900 + "]" * 900, "[" * 100_000, "[" + "9" * 400 + "]", "9" * 5000, "{", "[NaN]"]
)
def test_an_endpoint_may_answer_anything(answer_: str) -> None:
    assert same(answer_, answer_)
    for expected in ("[1]", "1", '{"a": [[1]]}', "[" * 900 + "1" + "]" * 900):
        assert not same(answer_, expected)
        assert not same(expected, answer_)


# ----------------------------------------------------------------------------------------------------------- lifecycle

REQUEST: dict[str, Any] = {
    "RequestType": "Delete",
    "ResourceType": "Custom::EmptiedBucket",
    "ResponseURL": "https://cloudformation/answer",
    "StackId": "stack",
    "RequestId": "request",
    "LogicalResourceId": "Emptied",
    "PhysicalResourceId": "bucket",
    "ResourceProperties": {"Bucket": "bucket"},
}


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@given(hostile(REQUEST))
@settings(max_examples=200, deadline=None)
def test_lifecycle_answers_whoever_can_be_answered(request_: Any) -> None:
    asked: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        installed(patch)
        patch.setattr(urllib.request, "urlopen", lambda put, **_: (asked.append(put), nullcontext())[1])
        patch.setattr(urllib.request, "Request", lambda url, data, *_, **__: (url, data))
        try:
            lifecycle.handle(request_, Context())
        except BadRequestError:
            assert not asked
            return
    ((_, body),) = asked
    assert json.loads(body)["Status"] in ("SUCCESS", "FAILED")


@pytest.mark.fidelity(
    "CloudFormation",
    "A custom resource's response has at most 4,096 bytes, whatever its reason says.",
    "CloudFormation User Guide, Custom resource response objects",
)
@pytest.mark.parametrize("reason", ["x" * 5000, "ü" * 5000, "\U0001f600" * 5000, "\x00" * 5000, "\ud800" * 100])
def test_an_answer_is_never_too_long(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    asked: list[bytes] = []
    monkeypatch.setattr(urllib.request, "urlopen", lambda put, **_: (asked.append(put.data), nullcontext())[1])
    answer(REQUEST, "FAILED", reason=reason)
    (body,) = asked
    assert 100 < len(body) <= 4096
    assert json.loads(body)["Reason"]


# ---------------------------------------------------------------------------------------------- what the contract reads


@pytest.mark.parametrize("text", ["[" * 50_000, '{"a":' * 50_000, '{"a": ' + "9" * 5000 + "}"])
@pytest.mark.parametrize(
    "read",
    [
        lambda text: causes.readable({"state": "Train", "error": "E", "cause": text}),
        lambda text: causes.reason(f"it failed: {text}"),
        held_out_labels.outputs,
    ],
)
def test_text_that_only_looks_like_json_is_text(read: Callable[[str], Any], text: str) -> None:
    read(text)


@pytest.mark.parametrize("text", ['{"label": ' + "[" * 50_000, '{"label": ' + "9" * 5000 + "}", '{"label": 1'])
def test_a_line_of_held_out_data_that_cannot_be_read_is_told_with_its_place(text: str) -> None:
    how = held_out.Reading(label="label")
    with pytest.raises(HeldOutError, match=r"test\.jsonl:1 is no JSON"):
        held_out_lines.read([text + "\n"], "test.jsonl", how)
