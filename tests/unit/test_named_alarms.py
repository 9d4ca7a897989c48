"""Which alarms a request to CloudWatch names, in each protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localaws.ministack_adapter.named_alarms import alarms_of

JSON = {"content-type": "application/x-amz-json-1.0"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def target(operation: str) -> dict[str, str]:
    return {**JSON, "x-amz-target": f"GraniteServiceVersion20100801.{operation}"}


@pytest.mark.parametrize(
    ("headers", "body", "named"),
    [
        (target("DescribeAlarms"), {"AlarmNames": ["a", "b"]}, ("DescribeAlarms", ["a", "b"])),
        (target("DescribeAlarms"), {}, ("DescribeAlarms", [])),
        (target("DescribeAlarms"), {"AlarmNamePrefix": "a"}, ("DescribeAlarms", [])),
        (target("DeleteAlarms"), {"AlarmNames": ["a", 1, ""]}, ("DeleteAlarms", ["a"])),
        (target("DeleteAlarms"), {"AlarmNames": "a"}, ("DeleteAlarms", [])),
        (target("PutMetricAlarm"), {"AlarmName": "a"}, ("PutMetricAlarm", ["a"])),
        (target("PutMetricData"), {"AlarmName": "a"}, ("PutMetricData", [])),
        (target("DescribeAlarms"), ["a"], ("DescribeAlarms", [])),
    ],
)
def test_a_json_request(headers: dict[str, str], body: Any, named: tuple[str, list[str]]) -> None:
    assert alarms_of("/", headers, json.dumps(body).encode(), {}) == named


def test_a_form() -> None:
    body = b"Action=DeleteAlarms&AlarmNames.member.1=a&AlarmNames.member.2=b+c"
    assert alarms_of("/", FORM, body, {}) == ("DeleteAlarms", ["a", "b c"])
    assert alarms_of("/", {}, b"", {"Action": ["DescribeAlarms"], "AlarmNames.member.1": ["a"]}) == (
        "DescribeAlarms",
        ["a"],
    )


@pytest.mark.parametrize("body", [b"", b"{", b"\xbf\x69AlarmName\x61a\xff"])
def test_what_cannot_be_read_names_no_alarm(body: bytes) -> None:
    assert alarms_of("/", target("DescribeAlarms"), body, {}) == ("DescribeAlarms", [])
    cbor = {"content-type": "application/cbor"}
    path = "/service/GraniteServiceVersion20100801/operation/DescribeAlarms"
    assert alarms_of(path, cbor, body, {}) == ("DescribeAlarms", [])
