"""The mirror of a shadow variant and the captures of exchanges, with workers that are threads."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

import pytest
from test_hosting_fleet import ask, plan, starter
from waiting import WAIT_SECONDS, until

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.hosting import mirror as mirrors
from localaws.sagemaker.hosting.connection import Answer
from localaws.sagemaker.hosting.data_capture import Capture, captured, check_capture, is_on
from localaws.sagemaker.hosting.fleet import Deployment, NoVariantError
from localaws.sagemaker.hosting.mirror import Mirror
from localaws.sagemaker.hosting.shadow_variants import check_containers, share_of
from localaws.sagemaker.hosting.witnesses import Exchange

BOTH = [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}]
CONFIG: dict[str, Any] = {
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://bucket/folder",
    "CaptureOptions": BOTH,
}


def exchange(body: bytes = b"1", status: int = 200, answer: bytes = b"yes", **more: Any) -> Exchange:
    told = Answer(status, {"content-type": more.pop("answered", "text/csv; charset=utf-8")}, answer)
    return Exchange("event", 0.0, "e", "A", body, more.pop("content_type", "text/csv"), "*/*", told, **more)


class Counted:
    """Metrics, and a witness, that remember what they were told."""

    def __init__(self) -> None:
        self.records: list[tuple[Any, int]] = []
        self.seen: list[Exchange] = []
        self.closed = False

    def record(self, source: Any, status: int, _model: float, _overhead: float) -> None:
        self.records.append((source, status))

    def saw(self, exchange: Exchange) -> None:
        self.seen.append(exchange)

    def close(self) -> None:
        self.closed = True


def shadowed(answer: Any, share: float = 1.0) -> tuple[Deployment, Mirror, Counted]:
    counted = Counted()
    mirror = Mirror("S", share, counted, [counted])  # type: ignore[arg-type]
    plans = [plan("A", witnesses=[mirror]), plan("S", is_shadow=True, config="c")]
    fleet = Deployment(plans, starter({"A": lambda: "served", "S": answer}))
    mirror.of(fleet)
    fleet.start()
    return fleet, mirror, counted


def test_a_shadow_is_asked_by_its_mirror_alone_and_its_answers_have_witnesses() -> None:
    fleet, mirror, counted = shadowed(lambda: "copied", 0.25)
    assert {ask(fleet) for _ in range(10)} == {"served"}
    assert fleet.weights() == {"A": 1.0}
    with pytest.raises(NoVariantError):
        ask(fleet, "S")
    for number in range(20):
        mirror.saw(exchange(str(number).encode()))
    until(lambda: len(counted.seen) == 5, "a quarter of the requests is copied, each in its turn")
    assert counted.records == [(("e", "S", "c"), 200)] * 5
    assert {(each.variant, each.answer.body, each.event_id) for each in counted.seen} == {("S", b'"copied"', "event")}
    fleet.retire()
    assert counted.closed, "what has seen the shadow is closed with its fleet"
    mirror.saw(exchange())


def test_a_shadow_that_does_not_keep_up_misses_copies_and_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "MAX_COPIES", 10)
    released = threading.Event()
    fleet, mirror, counted = shadowed(lambda: str(released.wait(WAIT_SECONDS)))
    for _ in range(100):
        mirror.saw(exchange())
    assert (mirror.missed, counted.seen) == (90, [])
    released.set()
    until(lambda: len(counted.seen) == 10, "those that there was room for are asked")
    monkeypatch.setattr(mirrors, "MAX_BYTES", 3)
    mirror.saw(exchange(b"1234"))
    assert mirror.missed == 91
    fleet.stop()


def test_copies_that_a_fleet_which_ends_does_not_take_are_not_held_against_its_shadow() -> None:
    fleet, mirror, counted = shadowed(lambda: "copied")
    with fleet._changed:
        fleet._retired = True
    mirror.saw(exchange())
    until(lambda: not mirror._copies, "the copy is let go")
    assert (mirror.missed, counted.seen) == (0, [])
    fleet.stop()


def test_a_line_says_what_was_asked_and_answered_as_text_where_its_type_is_known() -> None:
    known = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
    line = captured(CONFIG | {"CaptureContentTypeHeader": known}, exchange(b"5,3", inference_id="mine"))
    assert line == {
        "captureData": {
            "endpointInput": {"observedContentType": "text/csv", "mode": "INPUT", "data": "5,3", "encoding": "CSV"},
            "endpointOutput": {
                "observedContentType": "text/csv; charset=utf-8",
                "mode": "OUTPUT",
                "data": "yes",
                "encoding": "CSV",
            },
        },
        "eventMetadata": {"eventId": "event", "inferenceId": "mine", "inferenceTime": "1970-01-01T00:00:00Z"},
        "eventVersion": "0",
    }


@pytest.mark.fidelity(
    "Endpoints",
    "What has no configured content type is captured as base64.",
    "API reference, CaptureContentTypeHeader",
)
@pytest.mark.parametrize("headers", [{}, {"CsvContentTypes": ["text/csv"]}])
def test_what_has_no_known_type_or_is_no_text_is_base64(headers: dict[str, Any]) -> None:
    asked = exchange(b"\xff", content_type="application/x-npy" if headers else "text/csv")
    part = captured(CONFIG | {"CaptureContentTypeHeader": headers}, asked)["captureData"]["endpointInput"]
    assert (part["encoding"], base64.b64decode(part["data"])) == ("BASE64", b"\xff")
    as_text = captured(CONFIG | {"CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]}}, exchange(b"\xff"))
    assert as_text["captureData"]["endpointInput"]["encoding"] == "BASE64"


@pytest.mark.parametrize(
    ("mode", "parts"),
    [
        ("Input", {"endpointInput"}),
        ("Output", {"endpointOutput"}),
        ("InputAndOutput", {"endpointInput", "endpointOutput"}),
    ],
)
def test_only_the_parts_that_are_asked_for_are_captured(mode: str, parts: set[str]) -> None:
    assert captured(CONFIG | {"CaptureOptions": [{"CaptureMode": mode}]}, exchange())["captureData"].keys() == parts


def test_captures_are_sampled_in_turn_leave_errors_out_and_outlive_a_bucket_that_refuses() -> None:
    written: list[tuple[str, bytes]] = []
    refuse = [True]

    def write(key: str, content: bytes) -> None:
        if refuse:
            refuse.clear()
            raise OSError("no such bucket")
        written.append((key, content))

    capture = Capture(CONFIG | {"InitialSamplingPercentage": 50}, write, flush_seconds=0.01)
    capture.saw(exchange(status=500))
    capture.saw(exchange(b"lost"))
    capture.saw(exchange(b"lost"))
    until(lambda: not refuse, "the first object is refused")
    for number in range(10):
        capture.saw(exchange(str(number).encode()))
    capture.close()
    lines = [json.loads(line) for _, content in written for line in content.decode().splitlines()]
    assert len(lines) == 5
    assert all(key.startswith("e/A/1970/01/01/00/00-00-000-") for key, _ in written)
    capture.saw(exchange())


def test_configs_that_cannot_be_captured_or_shadowed_are_refused() -> None:
    with pytest.raises(SageMakerError, match="DestinationS3Uri of DataCaptureConfig is not an S3 location"):
        check_capture(CONFIG | {"DestinationS3Uri": "https://x/y"})
    assert [is_on(each) for each in (None, CONFIG, CONFIG | {"EnableCapture": False})] == [False, True, False]
    assert not is_on(CONFIG | {"InitialSamplingPercentage": 0})
    with pytest.raises(
        SageMakerError, match="can't be used with multi-container endpoints: model chain has 2 containers"
    ):
        check_containers({"ShadowProductionVariants": [{}]}, "chain", 2)
    check_containers({}, "chain", 2)
    assert [share_of(*weights) for weights in ((1, 0.5), (2, 1), (1, 3), (0, 1))] == [0.5, 0.5, 1, 0]
