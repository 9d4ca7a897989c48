"""CloudWatch Logs over events on disk: MiniStack's groups and streams, and our own storing and reading.

MiniStack keeps each event twice in memory, and looks through all of them on its event loop. FilterLogEvents knows
`logStreamNamePrefix` here and answers in pages, as AWS does; Insights queries are MiniStack's language over our events.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import heapq
import json
import secrets
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from localaws.ministack_adapter import log_queries
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.log_events import BEFORE_ALL, END, Found, LogEvent, LogEvents, Place

Document = dict[str, Any]

ID = "eventsId"  # a stream's member: the number that its events have
BYTES = "storedBytes"
PAGE_BYTES = 1 << 20  # "up to 1 MB (10,000 log events)" (GetLogEvents and FilterLogEvents, API reference)
_PAGE_EVENTS = 10_000
_SEARCHED = 50_000  # events that one FilterLogEvents looks at; the next page goes on from there
_DAY_MS = 24 * 60 * 60 * 1000
_EXPIRY_SECONDS = 3600.0
# Read much; they must not keep the event loop.
_LOOKING = ("GetLogEvents", "FilterLogEvents", "StartQuery", "GetLogGroupFields")


class _Nowhere(dict[str, Any]):
    """Takes MiniStack's second copy of each event, and forgets it."""

    def __setitem__(self, _key: str, _value: Any) -> None:
        return


def install(aws: EmbeddedAws) -> None:
    from ministack.services import cloudwatch_logs

    events = LogEvents(aws.state_dir / "log-events.sqlite")
    streams = LogStreams(events)
    cloudwatch_logs._log_records = _Nowhere()
    cloudwatch_logs._append_log_events = streams.append
    cloudwatch_logs._get_log_events = streams.get_log_events
    cloudwatch_logs._filter_log_events = streams.filter_log_events
    log_queries.install(streams)
    for name in ("_delete_log_group", "_delete_log_stream"):
        setattr(cloudwatch_logs, name, streams.deleting(getattr(cloudwatch_logs, name)))
    cloudwatch_logs._describe_log_groups = streams.sized(cloudwatch_logs._describe_log_groups)
    cloudwatch_logs.handle_request = _off_the_loop(cloudwatch_logs.handle_request)
    stopping = threading.Event()
    aws.when_ready(functools.partial(streams.expire_forever, stopping))
    aws.when_closing(stopping.set)
    aws.when_closed(events.close)


class LogStreams:
    """The operations. Called on the event loop and in threads."""

    def __init__(self, events: LogEvents) -> None:
        from ministack.core import responses
        from ministack.services import cloudwatch_logs

        self._events = events
        self._logs = cloudwatch_logs
        self._json, self._error = responses.json_response, responses.error_response_json
        self._numbering = threading.Lock()

    # --- what arrives, and what goes

    def append(self, stream: Document, events: list[Document]) -> None:
        """Keep a stream's new events; on disk when it returns."""
        if not events:
            return
        times = [int(event["timestamp"]) for event in events]
        rows = [(at, event["ingestionTime"], event["message"]) for at, event in zip(times, events, strict=True)]
        with self._numbering:
            number = stream.setdefault(ID, secrets.randbits(60))
        self._events.append(number, rows)
        first, last = stream["firstEventTimestamp"], stream["lastEventTimestamp"]
        stream["firstEventTimestamp"] = min(times) if first is None else min(first, *times)
        stream["lastEventTimestamp"] = max(times) if last is None else max(last, *times)
        stream["lastIngestionTime"] = events[-1]["ingestionTime"]
        stream[BYTES] = stream.get(BYTES, 0) + sum(len(event["message"]) for event in events)

    def deleting(self, delete: Callable[[Document], Any]) -> Callable[[Document], Any]:
        """DeleteLogGroup and DeleteLogStream, which take the events along, in the background."""

        @functools.wraps(delete)
        def deleted(data: Document) -> Any:
            streams: Document = self._logs._log_groups.get(data.get("logGroupName"), {}).get("streams", {})
            name = data.get("logStreamName")
            numbers = [stream.get(ID) for key, stream in list(streams.items()) if name in (None, key)]
            answer = delete(data)
            if answer[0] < 400:
                threading.Thread(target=self._forget, args=(numbers,), name="log-events", daemon=True).start()
            return answer

        return deleted

    def sized(self, describe: Callable[[Document], Any]) -> Callable[[Document], Any]:
        """DescribeLogGroups with the bytes that are stored; of a stream AWS says 0 since 2019."""

        @functools.wraps(describe)
        def described(data: Document) -> Any:
            status, headers, body = describe(data)
            answer = json.loads(body)
            for group in answer.get("logGroups", ()):
                streams = list(self._logs._log_groups[group["logGroupName"]]["streams"].values())
                group["storedBytes"] = sum(stream.get(BYTES, 0) for stream in streams)
            return status, headers, json.dumps(answer).encode()

        return described

    def _forget(self, numbers: Iterable[int | None]) -> None:
        for number in numbers:
            if number is not None:
                self._events.forget(number)

    def expire_forever(self, stopping: threading.Event) -> None:
        """Delete what belongs to no stream, and, now and every hour, what is older than its group's retention."""
        for number in self._events.streams():
            if number not in {stream.get(ID) for stream in self._all_streams()}:
                self._events.forget(number)
        while True:
            for group in self._all_groups():
                for stream in list(group["streams"].values()):
                    oldest = _oldest(group)
                    if oldest > 0 and ID in stream and (stream["firstEventTimestamp"] or 0) < oldest:
                        self._events.forget(stream[ID], oldest)
                        stream["firstEventTimestamp"] = oldest
            if stopping.wait(_EXPIRY_SECONDS):
                return

    def _all_groups(self) -> list[Document]:
        return list(self._logs._log_groups._data.values())

    def _all_streams(self) -> list[Document]:
        return [stream for group in self._all_groups() for stream in group["streams"].values()]

    # --- reading

    def get_log_events(self, data: Document) -> Any:
        """GetLogEvents."""
        group, stream = self._logs._resolve_log_group_name(data), data.get("logStreamName")
        refusal = self._missing(group, stream)
        if refusal:
            return refusal
        document = self._logs._log_groups[group]
        number = document["streams"][stream].get(ID, -1)
        start, end = max(data.get("startTime") or 0, _oldest(document)), data.get("endTime")
        limit, token = min(data.get("limit") or _PAGE_EVENTS, _PAGE_EVENTS), data.get("nextToken")
        try:
            forward, place = _place_of(token) if token else (bool(data.get("startFromHead")), None)
        except ValueError:
            return self._error("InvalidParameterException", "The specified nextToken is invalid.", 400)
        if forward:
            begin = max(place or BEFORE_ALL, (start, -1))
            page = _within(self._events.after(number, begin, limit, END[0] if end is None else end))
        else:
            until = min(place or END, END if end is None else (end, -1))
            page = _within(self._events.before(number, until, limit, start)[::-1])[::-1]
        return self._json(_page_document(page, token, forward))

    def filter_log_events(self, data: Document) -> Any:
        """FilterLogEvents: a page of what fits, the oldest first, and where the next one goes on."""
        group = self._logs._resolve_log_group_name(data)
        names, prefix = data.get("logStreamNames"), data.get("logStreamNamePrefix")
        if prefix and names:
            # API reference, FilterLogEvents: "the action returns an InvalidParameterException error".
            message = "logStreamNames and logStreamNamePrefix can't be given together."
            return self._error("InvalidParameterException", message, 400)
        if refusal := self._missing(group):
            return refusal
        fits = self._logs._compile_filter_pattern(data.get("filterPattern", ""))
        limit, token = min(data.get("limit") or _PAGE_EVENTS, _PAGE_EVENTS), data.get("nextToken")
        try:
            place = _place_of(token)[1] if token else None
        except ValueError:
            return self._error("InvalidParameterException", "The specified nextToken is invalid.", 400)
        start, end = data.get("startTime") or 0, data.get("endTime")
        chosen = names or [
            name for name in list(self._logs._log_groups[group]["streams"]) if name.startswith(prefix or "")
        ]
        found = self.in_order(group, chosen, place or (start, -1), END[0] if end is None else end + 1)
        page, last = _matching(found, fits, limit)
        more = {"nextToken": _token("f", last)} if last else {}
        return self._json({"events": [_filtered(each) for each in page], "searchedLogStreams": [], **more})

    def in_order(self, group: str, names: Iterable[str], place: Place, end: int) -> Iterator[Found]:
        """The events of several streams behind a place, by time."""
        document = self._logs._log_groups[group]
        begin = max(place, (_oldest(document), -1))
        streams = [(name, document["streams"][name]) for name in names if name in document["streams"]]
        each = (self._named(name, stream[ID], begin, end) for name, stream in streams if ID in stream)
        return heapq.merge(*each, key=lambda found: found.event.place)

    def _named(self, name: str, number: int, begin: Place, end: int) -> Iterator[Found]:
        return (Found(name, event) for event in self._events.every(number, begin, end))

    def find(self, identifier: str) -> tuple[str, Found] | None:
        """The event of an id, with the names of its group and stream."""
        event = self._events.find(identifier)
        if event is None:
            return None
        for group, document in list(self._logs._log_groups.items()):
            for name, stream in list(document["streams"].items()):
                if stream.get(ID) == event.stream:
                    return group, Found(name, event)
        return None

    def _missing(self, group: str | None, stream: str | None = None) -> Any:
        groups = self._logs._log_groups
        if group not in groups:
            told = f"The specified log group does not exist: {group}"
            return self._error("ResourceNotFoundException", told, 400)
        if stream is not None and stream not in groups[group]["streams"]:
            told = f"The specified log stream does not exist: {stream}"
            return self._error("ResourceNotFoundException", told, 400)
        return None


def _oldest(group: Document) -> int:
    """The time from which on a group keeps its events; 0 for ever."""
    days = group.get("retentionInDays")
    return int(time.time() * 1000) - int(days) * _DAY_MS if days else 0


def _within(events: list[LogEvent]) -> list[LogEvent]:
    """As many of the first events as fit into an answer, one at least."""
    kept: list[LogEvent] = []
    left = PAGE_BYTES
    for event in events:
        left -= len(event.message) + 26
        if left < 0 and kept:
            break
        kept.append(event)
    return kept


def _matching(found: Iterator[Found], fits: Callable[[str], bool], limit: int) -> tuple[list[Found], Place | None]:
    """A page of the events that fit, and the place of the last one looked at, where there may be more."""
    page: list[Found] = []
    left = PAGE_BYTES
    for searched, each in enumerate(found, 1):
        if fits(each.event.message):
            page.append(each)
            left -= len(each.event.message)
        if len(page) >= limit or left < 0 or searched >= _SEARCHED:
            return page, each.event.place if next(found, None) else None
    return page, None


def _filtered(found: Found) -> Document:
    return {"logStreamName": found.name, **_output(found.event), "eventId": found.event.id}


def _output(event: LogEvent) -> Document:
    return {"timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingestion}


def _page_document(page: list[LogEvent], token: str | None, forward: bool) -> Document:
    """GetLogEvents' answer; at an end of the stream the token stays the one that led there (nextForwardToken)."""
    ahead, back = (_token("f", page[-1].place), _token("b", page[0].place)) if page else ("f/-", "b/-")
    if token and not page:
        ahead, back = (token, back) if forward else (ahead, token)
    return {"events": [_output(event) for event in page], "nextForwardToken": ahead, "nextBackwardToken": back}


def _token(direction: str, place: Place) -> str:
    return f"{direction}/{place[0]}:{place[1]}"


def _place_of(token: str) -> tuple[bool, Place | None]:
    """(forward, place) of a token; ValueError for what none of ours is."""
    direction, _, place = token.partition("/")
    if direction not in ("f", "b"):
        raise ValueError(token)
    if place == "-":
        return direction == "f", None
    timestamp, number = place.split(":")
    return direction == "f", (int(timestamp), int(number))


def _off_the_loop(handle: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Have operations that read many events handled in threads."""
    threads = ThreadPoolExecutor(8, thread_name_prefix="logs")

    async def handle_request(method: str, path: str, headers: dict[str, str], *rest: Any) -> Any:
        handled = handle(method, path, headers, *rest)
        if headers.get("x-amz-target", "").rpartition(".")[2] not in _LOOKING:
            return await handled
        here = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(threads, here.run, _driven, handled)

    return handle_request


def _driven(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that awaits nothing, as MiniStack's handlers of these operations are."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise RuntimeError("a handler of CloudWatch Logs waits for the event loop")
