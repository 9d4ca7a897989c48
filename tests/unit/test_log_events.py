"""Log events on disk: their order, their pages, and what goes."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from ministack.services import cloudwatch_logs
from waiting import until

from localaws.ministack_adapter import log_queries, log_streams
from localaws.ministack_adapter.log_events import BEFORE_ALL, END, LogEvents
from localaws.ministack_adapter.log_streams import LogStreams

NOW = int(time.time() * 1000)


@pytest.fixture
def events(tmp_path: Path) -> Iterator[LogEvents]:
    opened = LogEvents(tmp_path / "events.sqlite")
    yield opened
    opened.close()


def numbers(found: Any) -> list[str]:
    return [event.message for event in found]


def test_events_are_in_the_order_of_their_times_and_then_of_their_arrival(events: LogEvents, tmp_path: Path) -> None:
    events.append(1, [(5, 0, "c"), (9, 0, "e")])
    events.append(2, [(5, 0, "other")])
    events.append(1, [(5, 0, "d"), (1, 0, "a"), (2, 0, "b")])
    assert numbers(events.every(1, BEFORE_ALL, END[0])) == ["a", "b", "c", "d", "e"]
    third = events.after(1, BEFORE_ALL, 9)[2]
    assert numbers(events.after(1, third.place, 2)) == ["d", "e"]
    assert numbers(events.after(1, BEFORE_ALL, 9, end=5)) == ["a", "b"]
    assert numbers(events.before(1, END, 2)) == ["d", "e"]
    assert numbers(events.before(1, events.after(1, third.place, 1)[0].place, 9, start=2)) == ["b", "c"]
    other = LogEvents(tmp_path / "events.sqlite")
    other.append(1, [(9, 0, "after a restart")])
    assert numbers(other.before(1, END, 2)) == ["e", "after a restart"], "numbers go on"
    other.close()


def test_an_event_is_found_by_its_id(events: LogEvents) -> None:
    events.append(7, [(3, 4, "it"), (3, 4, "not")])
    found = events.after(7, BEFORE_ALL, 1)[0]
    assert (len(found.id), events.find(found.id)) == (56, found)
    for wrong in ("", "x" * 56, "9" * 56, found.id[:-1], "0" * 56):
        assert events.find(wrong) is None


def test_what_is_forgotten_is_gone_from_the_file(events: LogEvents, tmp_path: Path) -> None:
    events.append(1, [(number, 0, "m" * 1000) for number in range(5000)])
    events.append(2, [(1, 0, "stays")])
    events.forget(1, before=10)
    assert events.after(1, BEFORE_ALL, 1)[0].timestamp == 10
    full = pages(tmp_path)
    events.forget(1)
    assert list(events.streams()) == [2]
    assert pages(tmp_path) < full / 10


def pages(folder: Path) -> int:
    connection = sqlite3.connect(folder / "events.sqlite")
    count = int(connection.execute("PRAGMA page_count").fetchone()[0])
    connection.close()
    return count


# ------------------------------------------------------------------------------------------------ operations


@pytest.fixture
def streams(events: LogEvents, monkeypatch: pytest.MonkeyPatch) -> LogStreams:
    made = LogStreams(events)
    for name in ("_log_groups", "_queries", "_metric_filters"):
        monkeypatch.setattr(cloudwatch_logs, name, type(getattr(cloudwatch_logs, name))())
    monkeypatch.setattr(cloudwatch_logs, "_log_records", log_streams._Nowhere())
    monkeypatch.setattr(cloudwatch_logs, "_append_log_events", made.append)
    answer(cloudwatch_logs._create_log_group, logGroupName="g")
    for stream in ("a", "b"):
        answer(cloudwatch_logs._create_log_stream, logGroupName="g", logStreamName=stream)
    return made


def answer(operation: Any, **request: Any) -> dict[str, Any]:
    status, _, body = operation(request)
    return {"status": status, **json.loads(body)}


def put(stream: str, *messages: str, start: int = NOW) -> None:
    lines = [{"timestamp": start + number, "message": message} for number, message in enumerate(messages)]
    assert (
        answer(cloudwatch_logs._put_log_events, logGroupName="g", logStreamName=stream, logEvents=lines)["status"]
        == 200
    )


def said(found: dict[str, Any]) -> list[str]:
    return [event["message"] for event in found["events"]]


@pytest.mark.fidelity(
    "CloudWatch Logs",
    "GetLogEvents answers the latest events, or from the head, in pages both ways; at an end the token stays the same.",
    "CloudWatch Logs API, GetLogEvents",
)
def test_get_log_events_in_pages(streams: LogStreams) -> None:
    put("a", *"abcdefg")
    put("b", "other")
    of: dict[str, Any] = {"logGroupName": "g", "logStreamName": "a"}
    latest = answer(streams.get_log_events, **of, limit=3)
    assert said(latest) == ["e", "f", "g"]
    assert said(answer(streams.get_log_events, **of, limit=3, nextToken=latest["nextBackwardToken"])) == ["b", "c", "d"]
    end = answer(streams.get_log_events, **of, nextToken=latest["nextForwardToken"])
    assert (said(end), end["nextForwardToken"]) == ([], latest["nextForwardToken"])
    put("a", "h", start=NOW + 50)
    assert said(answer(streams.get_log_events, **of, nextToken=end["nextForwardToken"])) == ["h"]
    head = answer(streams.get_log_events, **of, limit=2, startFromHead=True)
    assert said(head) == ["a", "b"]
    assert said(answer(streams.get_log_events, **of, limit=2, nextToken=head["nextForwardToken"])) == ["c", "d"]
    start = answer(streams.get_log_events, **of, nextToken=head["nextBackwardToken"])
    assert (said(start), start["nextBackwardToken"]) == ([], head["nextBackwardToken"])
    assert said(answer(streams.get_log_events, **of, startTime=NOW + 1, endTime=NOW + 3)) == ["b", "c"]
    assert answer(streams.get_log_events, **of, nextToken="f/x:y")["status"] == 400
    assert answer(streams.get_log_events, **{**of, "logStreamName": "c"})["__type"] == "ResourceNotFoundException"


@pytest.mark.fidelity(
    "CloudWatch Logs",
    "An answer holds 1 MB or 10,000 events at most, and FilterLogEvents says where the next page goes on.",
    "CloudWatch Logs API, GetLogEvents and FilterLogEvents",
)
def test_answers_are_bounded(streams: LogStreams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_streams, "PAGE_BYTES", 100)
    put("a", *("m" * 30 for _ in range(5)))
    of: dict[str, Any] = {"logGroupName": "g", "logStreamName": "a"}
    assert len(said(answer(streams.get_log_events, **of))) == 1
    found, token, page = 0, {}, {}
    while not found or token:
        page = answer(streams.filter_log_events, logGroupName="g", **token)
        found += len(page["events"])
        token = {"nextToken": page["nextToken"]} if "nextToken" in page else {}
        assert len(page["events"]) < 5
    assert found == 5


def test_filter_log_events_merges_streams_and_goes_on_where_it_stopped(
    streams: LogStreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a", "x 1", "y", "x 3", start=NOW)
    put("b", "x 2", "y", "y", "x 4", start=NOW + 1)
    monkeypatch.setattr(log_streams, "_SEARCHED", 2)
    found, token = [], {}
    for _ in range(9):
        page = answer(streams.filter_log_events, logGroupName="g", filterPattern="x", **token)
        found += said(page)
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert found == ["x 1", "x 2", "x 3", "x 4"]
    only = answer(streams.filter_log_events, logGroupName="g", logStreamNamePrefix="b", limit=1)
    assert (said(only), only["events"][0]["logStreamName"]) == (["x 2"], "b")


@pytest.mark.fidelity(
    "CloudWatch Logs",
    "Events that are older than the group's retention aren't shown any more.",
    "CloudWatch Logs API, PutRetentionPolicy",
)
def test_retention(streams: LogStreams, events: LogEvents) -> None:
    put("a", "old", start=NOW - 3 * 24 * 3600 * 1000)
    put("a", "new")
    answer(cloudwatch_logs._put_retention_policy, logGroupName="g", retentionInDays=1)
    of: dict[str, Any] = {"logGroupName": "g", "logStreamName": "a"}
    assert said(answer(streams.get_log_events, **of)) == ["new"]
    assert said(answer(streams.filter_log_events, logGroupName="g")) == ["new"]
    stopping = Event()
    stopping.set()
    events.append(12345, [(1, 1, "of no stream")])
    streams.expire_forever(stopping)
    assert [numbers(events.every(stream, BEFORE_ALL, END[0])) for stream in events.streams()] == [["new"]]


def test_deleted_streams_take_their_events_along(streams: LogStreams, events: LogEvents) -> None:
    put("a", "a")
    put("b", "b")
    of = streams.deleting(cloudwatch_logs._delete_log_stream)
    assert answer(of, logGroupName="g", logStreamName="none")["status"] == 400
    assert answer(of, logGroupName="g", logStreamName="a")["status"] == 200
    until(lambda: len(list(events.streams())) == 1, "the stream's events go")
    assert answer(streams.deleting(cloudwatch_logs._delete_log_group), logGroupName="g")["status"] == 200
    until(lambda: not list(events.streams()), "the group's events go")


def test_a_groups_size_is_that_of_its_messages(streams: LogStreams) -> None:
    put("a", "12345", "678")
    assert cloudwatch_logs._log_groups["g"]["streams"]["a"]["events"] == [], "they are on disk"
    described = answer(streams.sized(cloudwatch_logs._describe_log_groups))
    assert described["logGroups"][0]["storedBytes"] == 8
    assert not cloudwatch_logs._log_records


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("fields @message | filter @message like /x/", ["x 1", "x 2", "x 3"]),
        ("fields @message | sort @timestamp desc | limit 2", ["x 3", "y"]),
        ("fields @message | filter @logStream = 'b'", ["x 2"]),
        ("fields @message | sort @message desc | limit 1", ["y"]),
        ("fields @message | limit 1", ["x 1"]),
    ],
)
def test_queries(streams: LogStreams, query: str, expected: list[str]) -> None:
    queries = log_queries.LogQueries(streams)
    put("a", "x 1", start=NOW - 4000)
    put("b", "x 2", start=NOW - 3000)
    put("a", "y", "x 3", start=NOW - 2000)
    times = {"startTime": NOW // 1000 - 60, "endTime": NOW // 1000}
    started = answer(queries.start_query, logGroupName="g", queryString=query, **times)
    found = answer(cloudwatch_logs._get_query_results, queryId=started["queryId"])
    assert [row[0]["value"] for row in found["results"]] == expected
    assert found["statistics"]["recordsScanned"] == 4
    wrong = answer(queries.start_query, logGroupName="g", queryString="filter @message like /(?=a)/")
    assert wrong["__type"] == "MalformedQueryException"
    assert answer(queries.start_query, logGroupName="none", queryString=query)["__type"] == "ResourceNotFoundException"


def test_a_record_by_its_pointer(streams: LogStreams) -> None:
    queries = log_queries.LogQueries(streams)
    put("a", "it")
    found = answer(streams.filter_log_events, logGroupName="g")["events"][0]
    record = answer(queries.get_log_record, logRecordPointer=found["eventId"])["logRecord"]
    assert (record["@message"], record["@logStream"], record["@log"]) == ("it", "a", "g")
    assert answer(queries.get_log_record, logRecordPointer="x")["status"] == 400
    assert [each["@message"] for each in queries.last_records(["g"], 0, NOW)] == ["it"]
