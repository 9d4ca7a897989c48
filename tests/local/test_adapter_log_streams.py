"""FilterLogEvents looks at the streams that the caller asks for."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def group(aws: Any) -> str:
    name, logs = f"group-{uuid.uuid4().hex[:8]}", aws.client("logs")
    logs.create_log_group(logGroupName=name)
    for stream in ("job-a/algo-1", "job-a/algo-2", "job-b/algo-1"):
        logs.create_log_stream(logGroupName=name, logStreamName=stream)
        event = {"timestamp": int(time.time() * 1000), "message": f"from {stream}"}
        logs.put_log_events(logGroupName=name, logStreamName=stream, logEvents=[event])
    return name


def messages(aws: Any, group: str, **more: Any) -> set[str]:
    found = aws.client("logs").filter_log_events(logGroupName=group, **more)["events"]
    return {event["message"] for event in found}


@pytest.mark.fidelity(
    "CloudWatch Logs",
    "logStreamNamePrefix chooses the streams of FilterLogEvents.",
    "CloudWatch Logs API, FilterLogEvents",
)
def test_a_prefix_chooses_the_streams(aws: Any, group: str) -> None:
    assert messages(aws, group, logStreamNamePrefix="job-a/") == {"from job-a/algo-1", "from job-a/algo-2"}
    assert messages(aws, group, logStreamNamePrefix="job-c/") == set()
    assert len(messages(aws, group)) == 3


@pytest.mark.fidelity(
    "CloudWatch Logs",
    "logStreamNamePrefix beside logStreamNames is an InvalidParameterException.",
    "CloudWatch Logs API, FilterLogEvents",
)
def test_a_prefix_beside_names_is_refused_as_aws_does(aws: Any, group: str) -> None:
    with pytest.raises(ClientError, match="InvalidParameterException"):
        messages(aws, group, logStreamNamePrefix="job-a/", logStreamNames=["job-b/algo-1"])


@pytest.mark.fidelity(
    "CloudWatch Logs",
    "An unknown group is a ResourceNotFoundException.",
    "CloudWatch Logs API, FilterLogEvents",
)
def test_a_group_that_is_not_there_is_an_error_with_a_prefix_too(aws: Any) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        messages(aws, "no-such-group", logStreamNamePrefix="x")
