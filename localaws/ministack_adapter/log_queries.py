"""CloudWatch Logs Insights over events on disk: MiniStack's language, one event in memory at a time."""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Protocol

from localaws.ministack_adapter.log_events import Found, Place
from localaws.patterns import PatternError, regex

Document = dict[str, Any]
Predicate = Callable[[Document], bool]

_LIKE = re.compile(r"like\s+/((?:\\.|[^/\\])*+)/")
_FIELDS_FROM = 10_000  # events whose fields GetLogGroupFields counts


class Streams(Protocol):
    """Where a query finds events; `log_streams.LogStreams`."""

    def in_order(self, group: str, names: list[str], place: Place, end: int) -> Iterator[Found]:
        """The events of several streams of a group behind a place, by time."""

    def find(self, identifier: str) -> tuple[str, Found] | None:
        """The event of an id, with its group."""


def install(streams: Streams) -> None:
    """Put our queries in the place of MiniStack's."""
    from ministack.services import cloudwatch_logs

    queries = LogQueries(streams)
    cloudwatch_logs._get_log_record = queries.get_log_record
    cloudwatch_logs._collect_query_records = queries.last_records
    cloudwatch_logs._start_query = queries.start_query


class LogQueries:
    """StartQuery, GetLogRecord and what GetLogGroupFields looks at."""

    def __init__(self, streams: Streams) -> None:
        from ministack.core import responses
        from ministack.services import cloudwatch_logs

        self._streams = streams
        self._logs = cloudwatch_logs
        self._json, self._error, self._new_id = (
            responses.json_response,
            responses.error_response_json,
            responses.new_uuid,
        )

    def get_log_record(self, data: Document) -> Any:
        """GetLogRecord."""
        found = self._streams.find(str(data.get("logRecordPointer") or ""))
        if found is None:
            return self._error("InvalidParameterException", "Invalid logRecordPointer provided", 400)
        return self._json({"logRecord": self._logs._public_log_record(self._record(*found))})

    def last_records(self, groups: list[str], start: int, end: int) -> list[Document]:
        """Records between two times in epoch seconds, so many that their fields are known."""
        return list(islice(self._records(groups, int(start), int(end)), _FIELDS_FROM))

    def start_query(self, data: Document) -> Any:
        """StartQuery: done when it answers."""
        logs = self._logs
        groups = logs._resolve_query_log_groups(data)
        if not groups:
            told = "logGroupName, logGroupNames, or logGroupIdentifiers is required"
            return self._error("InvalidParameterException", told, 400)
        if missing := next((name for name in groups if name not in logs._log_groups), None):
            return self._error("ResourceNotFoundException", f"The specified log group does not exist: {missing}", 400)
        if refusal := self._wrong_pattern(str(data.get("queryString", ""))):
            return refusal
        text, times = data.get("queryString", ""), (data.get("startTime", 0), data.get("endTime", int(time.time())))
        counts = _Counts()
        matched = counts.matched(self._records(groups, *map(int, times)), logs._insights_filter_predicates(text))
        rows = self._sorted(matched, text, logs._parse_insights_limit(text, data.get("limit")))
        fields = logs._parse_insights_fields(text)
        given = {name: data.get(name) or empty for name, empty in _GROUP_MEMBERS.items()}
        identifier = self._new_id()
        logs._queries[identifier] = {
            **given,
            "queryId": identifier,
            "startTime": times[0],
            "endTime": times[1],
            "queryString": text,
            "status": "Complete",
            "results": [logs._row_from_record(record, fields) for record in rows],
            "statistics": counts.statistics(),
        }
        return self._json({"queryId": identifier})

    def _wrong_pattern(self, query: str) -> Any:
        """A query whose expression can't be taken is refused; MiniStack lets it find nothing."""
        for pattern in _LIKE.findall(query):
            try:
                regex(pattern)
            except PatternError as error:
                return self._error("MalformedQueryException", f"{pattern!r}: {error}", 400)
        return None

    def _sorted(self, records: Iterator[Document], query: str, limit: int) -> list[Document]:
        """The first records by the query's order; no more than these are kept meanwhile."""
        spec = self._logs._parse_insights_sort(query)
        if not spec:
            first = list(islice(records, limit))
            for _ in records:
                pass  # to be counted
            return first
        field, ascending = spec
        choose = heapq.nsmallest if ascending else heapq.nlargest
        by_time = field == "@timestamp"
        return choose(limit, records, key=lambda each: each["_timestamp_ms"] if by_time else str(each.get(field, "")))

    def _records(self, groups: list[str], start: int, end: int) -> Iterator[Document]:
        """All records between two times in epoch seconds, by time."""
        each = (self._of_group(group, start * 1000, end * 1000) for group in groups if group in self._logs._log_groups)
        return heapq.merge(*each, key=lambda record: record["_timestamp_ms"])

    def _of_group(self, group: str, start: int, end: int) -> Iterator[Document]:
        names = list(self._logs._log_groups[group]["streams"])
        return (self._record(group, found) for found in self._streams.in_order(group, names, (start, -1), end + 1))

    def _record(self, group: str, found: Found) -> Document:
        record: Document = self._logs._build_log_record(
            ptr=found.event.id,
            timestamp_ms=found.event.timestamp,
            message=found.event.message,
            log_group=group,
            log_stream=found.name,
        )
        return record


_GROUP_MEMBERS: Document = {"logGroupName": "", "logGroupNames": [], "logGroupIdentifiers": []}


class _Counts:
    """What a query looked at."""

    def __init__(self) -> None:
        self._scanned = self._bytes = self._matched = 0

    def matched(self, records: Iterator[Document], predicates: list[Predicate]) -> Iterator[Document]:
        """The records for which all predicates hold; counted as they pass."""
        for record in records:
            self._scanned += 1
            self._bytes += len(record["@message"])
            if all(predicate(record) for predicate in predicates):
                self._matched += 1
                yield record

    def statistics(self) -> Document:
        counted = {"recordsMatched": self._matched, "recordsScanned": self._scanned, "bytesScanned": self._bytes}
        return {name: float(number) for name, number in counted.items()}
