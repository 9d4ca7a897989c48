"""A model's refusal of a request, with what its endpoint logged meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ratchet import model_errors

ASKED = datetime(2026, 11, 26, 12, tzinfo=UTC)
PAGE = "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>\n<h1>Internal Server Error</h1>\n"
GROUP = "/aws/sagemaker/Endpoints/dev-iris"


class NoGroupError(Exception):
    """What boto3 raises where an endpoint has never logged."""


class Logs:
    """CloudWatch Logs with lines that arrive while it is asked: one list a call, the last of them from then on."""

    class exceptions:  # noqa: N801 - boto3's
        ResourceNotFoundException = NoGroupError

    def __init__(self, *arriving: list[str] | Exception) -> None:
        self.arriving, self.requests, self.stream = list(arriving), [], "AllTraffic/i-1"

    def get_paginator(self, _operation: str) -> Logs:
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        self.requests.append(request)
        lines = self.arriving[min(len(self.requests), len(self.arriving)) - 1]
        if isinstance(lines, Exception):
            raise lines
        at = int(ASKED.timestamp() * 1000)
        events = [
            {"timestamp": at + place, "message": text, "eventId": str(place), "logStreamName": self.stream}
            for place, text in enumerate(lines)
        ]
        return [{"events": events}]


class Account:
    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def client(self, _service: str) -> Logs:
        return self._logs


def told(logs: Logs, message: str = PAGE, **more: str) -> tuple[str, list[float]]:
    pauses: list[float] = []
    response = {"OriginalMessage": message, **more}
    text = model_errors.told(Account(logs), "dev-iris", response, ASKED, pauses.append)  # type: ignore[arg-type]
    return text, pauses


def test_a_page_is_told_by_its_title_and_the_log_says_the_rest() -> None:
    logs = Logs([], [], ["Traceback"], ["Traceback", "ValueError: 3 columns"])
    text, pauses = told(logs)
    assert text == f"500 Internal Server Error\nIts log ({GROUP}) says:\nTraceback\nValueError: 3 columns"
    assert len(pauses) == 4
    assert logs.requests[0]["logGroupName"] == GROUP
    since = datetime.fromtimestamp(logs.requests[0]["startTime"] / 1000, UTC)
    assert ASKED - timedelta(seconds=2) <= since <= ASKED


def test_a_sentence_is_told_as_it_is() -> None:
    assert told(Logs(["x"]), "no such row")[0].startswith("no such row\nIts log")
    assert model_errors.sentence({"Error": {"Message": "no answer"}}) == "no answer"


@pytest.mark.parametrize(
    "silent",
    [[], NoGroupError(), ClientError({"Error": {"Code": "AccessDeniedException"}}, "FilterLogEvents")],
    ids=["no line", "no group", "no right to read it"],
)
def test_a_log_that_says_nothing_is_named_and_not_waited_for_too_long(silent: Any) -> None:
    text, pauses = told(Logs(silent))
    assert text == f"500 Internal Server Error\nIts log is {GROUP}."
    assert sum(pauses) <= model_errors.PATIENCE_SECONDS


def test_of_a_chain_the_container_is_named_and_its_own_lines_are_told() -> None:
    stream = "AllTraffic/i-0123/features"
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}:log-stream:{stream}"
    logs = Logs(["ValueError: row 1"])
    logs.stream = stream
    text, _ = told(logs, LogStreamArn=arn)
    assert text == f"features: 500 Internal Server Error\nIts log ({GROUP}) says:\nValueError: row 1"
    assert logs.requests[0]["logStreamNamePrefix"] == stream
    alone = Logs(["ValueError: row 1"])
    assert told(alone, LogStreamArn=arn.removesuffix("/features"))[0].startswith("500 Internal Server Error")
    assert "logStreamNamePrefix" not in alone.requests[0]
