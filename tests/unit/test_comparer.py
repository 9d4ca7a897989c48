"""A shadow's answers beside those that were served: which belong together, what differs, and the judgement."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from comparer import captures, handler
from comparer.captures import Answered, Comparison, answered, compare
from comparer.judgement import Figures, judged
from hypothesis import given
from hypothesis import strategies as st
from memory_aws import installed

from localaws.sagemaker.hosting.connection import Answer
from localaws.sagemaker.hosting.data_capture import captured
from localaws.sagemaker.hosting.witnesses import Exchange

CONFIG = {
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
}
NOTHING = Comparison()


def line(event: str, asked: str, told: str, content_type: str = "text/csv") -> str:
    """As the embedded AWS captures it."""
    answer = Answer(200, {"content-type": content_type}, told.encode())
    return json.dumps(captured(CONFIG, Exchange(event, 0.0, "e", "A", asked.encode(), "text/csv", "*/*", answer)))


def found(*lines: str) -> list[Answered]:
    return list(answered(lines))


# ------------------------------------------------------------------------------------------------------------- pairing


def test_answers_are_paired_by_event_and_compared_as_answers() -> None:
    served = found(line("1", "a", "0.5"), line("2", "a", "cat"), line("3", "b", '{"p": [1, 2]}', "application/json"))
    copies = found(
        line("3", "b", '{"p":[1,2.0000001]}', "application/json"), line("2", "a", "dog"), line("1", "a", "0.50")
    )
    result = compare(served, copies)
    assert (result.pairs, result.differ, result.unpaired) == (3, 1, 0)
    assert result.examples == [{"event_id": "2", "served": "cat", "shadow": "dog"}]


def test_copies_with_ids_of_their_own_are_paired_by_what_was_asked() -> None:
    served = found(line("1", "a", "cat"), line("2", "b", "dog"), line("3", "b", "dog"))
    copies = found(*(line(f"x{number}", asked, told) for number, (asked, told) in enumerate(
        [("b", "dog"), ("b", "cow"), ("b", "dog"), ("a", "cat"), ("c", "elk")]
    )))  # fmt: skip
    result = compare(served, copies)
    assert (result.pairs, result.differ, result.unpaired) == (4, 1, 1)
    assert result.examples[0]["event_id"] in {"2", "3"}, "the id of what was served"


def test_with_a_threshold_what_is_answered_counts_not_how_sure() -> None:
    served = found(*(line(str(n), str(n), "7,0.9,7\n") for n in range(3)))
    copies = found(line("0", "0", "7,0.8,7\n"), line("1", "1", "7,0.4,unsure\n"), line("2", "2", "3,0.9,3\n"))
    assert compare(served, copies).differ == 2


JSON, LINES = "application/json", "application/jsonlines"
SURE, UNSURE = (
    f'{{"prediction": 7, "confidence": 0.{digits}, "answer": {told}}}' for digits, told in ((9, 7), (4, '"unsure"'))
)


@pytest.mark.parametrize(
    ("served", "shadow", "kind", "agrees"),
    [
        ("7,0.9,7", "7,0.4,unsure", "text/csv", False),
        (f"[{SURE}, {SURE}]", f"[{SURE.replace('0.9', '0.8')}, {SURE}]", JSON, True),
        (f"[{SURE}]", f"[{UNSURE}]", JSON, False),
        (f"{SURE}\n{SURE}", f"{SURE}\n{SURE.replace('0.9', '0.95')}\n", LINES, True),
        (f"{SURE}\n{SURE}", f"{SURE}\n{UNSURE}", LINES, False),
        (f"[{SURE}]", f"[{SURE}, {SURE}]", JSON, False),
    ],
)
def test_a_threshold_counts_in_whatever_form_it_is_answered(served: str, shadow: str, kind: str, agrees: bool) -> None:
    assert compare(found(line("1", "a", served, kind)), found(line("1", "a", shadow, kind))).differ == (not agrees)


@pytest.mark.parametrize(
    ("without", "told", "kind"),
    [("7\n3\n", "7,0.9,7\n3,0.4,unsure\n", "text/csv"), ("[7, 7]", f"[{SURE}, {UNSURE}]", JSON)],
)
def test_where_a_threshold_comes_or_goes_what_is_predicted_counts(without: str, told: str, kind: str) -> None:
    other = told.replace("7", "1")
    for served, shadow in ((without, told), (told, without)):
        assert compare(found(line("1", "a", served, kind)), found(line("1", "a", shadow, kind))).differ == 0
    assert compare(found(line("1", "a", without, kind)), found(line("1", "a", other, kind))).differ == 1


def test_bodies_of_other_types_are_compared_as_text_where_they_are_text() -> None:
    other = "application/x-other"
    assert compare(found(line("1", "a", "1.0", other)), found(line("1", "a", "1.00", other))).differ == 0
    data = base64.b64encode(b"\xff\x00").decode()
    part = {"encoding": "BASE64", "data": data}
    raw = {"captureData": {"endpointInput": part, "endpointOutput": part}, "eventMetadata": {"eventId": "1"}}
    assert found(json.dumps(raw))[0].answer == data


@pytest.mark.parametrize(
    "broken",
    ["", "{", "[]", "null", '{"captureData": {}}', '{"captureData": {"endpointInput": 1}, "eventMetadata": {}}'],
)
def test_lines_that_are_no_whole_exchange_are_left_out(broken: str) -> None:
    assert found(broken, line("1", "a", "b"), broken)[0].event_id == "1"


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xy")), max_size=20))
def test_a_shadow_with_the_same_answers_never_differs_whatever_the_ids(asked: list[tuple[str, str]]) -> None:
    """A question has one answer of a model; ids are the originals' or new ones."""
    answers = dict(asked)
    served = found(*(line(str(number), question, answers[question]) for number, (question, _) in enumerate(asked)))
    for prefix in ("", "new-"):
        ids = (f"{prefix}{number}" for number in range(len(asked)))
        copies = found(
            *(line(event, question, answers[question]) for event, (question, _) in zip(ids, asked, strict=True))
        )
        result = compare(served, copies)
        assert (result.pairs, result.differ, result.unpaired) == (len(asked), 0, 0)


def test_examples_are_few_and_short() -> None:
    served = found(*(line(str(number), "q", "a" * 500) for number in range(50)))
    result = compare(served, found(*(line(str(number), "q", "b" * 500) for number in range(50))))
    assert (result.differ, len(result.examples)) == (50, 10)
    assert len(result.examples[0]["served"]) == len(result.examples[0]["shadow"]) == 80


# ----------------------------------------------------------------------------------------------------------- judgement

FEW = Comparison(
    pairs=100, differ=10, examples=[{"event_id": f"e{n}", "served": "1", "shadow": "2"} for n in range(10)]
)
VERDICTS: dict[str, tuple[Comparison, Figures, dict[str, Any], bool, str]] = {
    "enough agree": (FEW, Figures(100, 0), {"agree": 0.9}, True, "90 % of 100 answers are the champion's"),
    "too few agree": (
        FEW,
        Figures(100, 0),
        {"agree": 0.95},
        False,
        "90 % of its answers are the champion's, and the spec wants 95 %: 10 of 100 differ (events e0, e1, e2)",
    ),
    "an error is no agreement": (
        Comparison(pairs=10),
        Figures(20, 10),
        {"agree": 0.95},
        False,
        "50 % of its answers are the champion's, and the spec wants 95 %: 0 of 10 differ, and 10 copies ended in",
    ),
    "nothing but errors": (NOTHING, Figures(20, 20), {"agree": 0.5}, False, "0 % of its answers"),
    "errors at the limit": (NOTHING, Figures(100, 1), {"errors": 0.01}, True, "0 % of 1 answers"),
    "errors beyond it": (
        NOTHING,
        Figures(100, 2),
        {"errors": 0.01},
        False,
        "2 of 100 copies ended in an error, and the spec allows 1 %",
    ),
    "slow": (
        NOTHING,
        Figures(9, 0, {"p90": 512.34}),
        {"latencies": {"p90": 500}},
        False,
        "its p90 latency was 512.3 ms, and the spec allows 500 ms",
    ),
    "not measured": (
        NOTHING,
        Figures(9, 0, {"p90": None}),
        {"latencies": {"p90": 500}},
        True,
        "nothing was compared: it",
    ),
    "no traffic": (
        NOTHING,
        Figures(0, 0),
        {"agree": 1.0, "errors": 0.0},
        True,
        "nothing was compared: no request came",
    ),
    "agreement that is only told": (FEW, Figures(100, 0), {"errors": 0.01}, True, "90 % of 100 answers"),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_a_shadow_is_judged_by_what_the_spec_says(case: str) -> None:
    comparison, figures, limits, agrees, reason = VERDICTS[case]
    verdict = judged(comparison, figures, limits)
    assert (verdict["agrees"], verdict["reason"].startswith(reason)) == (agrees, True), verdict["reason"]


# ------------------------------------------------------------------------------------------------------------- handler


def at(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


SINCE = datetime(2026, 11, 27, 10, 30, 20, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "endpoint_name": "e",
    "bucket": "artifacts",
    "prefix": "captures/p/r",
    "production": "AllTraffic",
    "shadow": "Shadow",
    "since": at(SINCE),
    "until": at(SINCE + timedelta(hours=1)),
    "limits": {"agree": 0.95, "errors": 0.01, "latencies": {"p90": 200}},
}


def test_the_comparer_reads_both_variants_captures_and_the_shadows_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = installed(monkeypatch)
    for variant, told in (("AllTraffic", "cat"), ("Shadow", "dog"), ("Shadow2", "elk")):
        body = "\n".join(line(str(number), "q", told) for number in range(4))
        key = f"captures/p/r/e/{variant}/2026/11/27/10/30-20-000-x.jsonl"
        aws.s3.put_object(Bucket="artifacts", Key=key, Body=body.encode())
    aws.cloudwatch.datapoints = {
        "Invocations": [{"Sum": 3.0}, {"Sum": 2.0}],
        "Invocation5XXErrors": [{"Sum": 1.0}],
        "ModelLatency": [{"ExtendedStatistics": {"p90": 100_000.0}}, {"ExtendedStatistics": {"p90": 150_000.0}}],
    }
    verdict = handler.handle(EVENT, None)
    assert (verdict["pairs"], verdict["differ"], verdict["copies"], verdict["errors"]) == (4, 4, 5, 1)
    assert (verdict["agrees"], verdict["latencies"]) == (False, {"p90": 150.0})
    asked = aws.called("get_metric_statistics")[0]
    assert asked["Dimensions"] == [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "Shadow"}]
    assert asked["StartTime"] <= SINCE and asked["EndTime"] >= SINCE + timedelta(hours=1)
    assert asked["Period"] >= (asked["EndTime"] - asked["StartTime"]).total_seconds()


@pytest.mark.fidelity(
    "CloudWatch",
    "A metric's values of a minute are kept for 15 days: a period that begins earlier is a multiple of five minutes.",
    "CloudWatch API reference, GetMetricStatistics, Period",
)
@pytest.mark.parametrize("days", [0.01, 13.0, 15.0, 30.0])
def test_periods_are_multiples_of_what_cloudwatch_keeps(days: float) -> None:
    asked = handler._of_shadow(EVENT | {"until": at(SINCE + timedelta(days=days))})
    step = 60 if days < 14 else 300
    assert asked["Period"] % step == 0


def test_captures_are_read_up_to_what_a_function_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = installed(monkeypatch)
    for number in range(5):
        body = line(str(number), "q", "x").encode()
        aws.s3.put_object(Bucket="artifacts", Key=f"captures/p/r/e/A/{number}", Body=body)
    monkeypatch.setattr(captures, "MOST_BYTES", 3 * len(body))
    read = captures.read(aws.client("s3"), "artifacts", "captures/p/r/e/A/", handler.LOG)
    assert [one.event_id for one in read] == ["0", "1", "2"]


def test_of_an_object_that_is_larger_than_that_the_beginning_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy endpoint's first object may be: a shadow that was compared with nothing would have passed."""
    aws = installed(monkeypatch)
    lines = [line(str(number), "q", "x") for number in range(5)]
    aws.s3.put_object(Bucket="artifacts", Key="captures/p/r/e/A/0", Body="\n".join(lines).encode())
    monkeypatch.setattr(captures, "MOST_BYTES", 3 * len(lines[0]))
    read = captures.read(aws.client("s3"), "artifacts", "captures/p/r/e/A/", handler.LOG)
    assert [one.event_id for one in read] == ["0", "1"]
