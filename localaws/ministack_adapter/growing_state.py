"""How the entries that grow are split into records: queues, log groups, metrics, executions; and DynamoDB's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from localaws.ministack_adapter.journal import Record, pack
from localaws.ministack_adapter.service_state import (
    Glance,
    Joiner,
    Key,
    Part,
    ServiceState,
    Splitter,
    Stores,
    chunks,
    join_chunks,
    join_whole,
    live_stores,
    packed,
    whole,
)

Document = dict[str, Any]


class SqsState(ServiceState):
    """SQS's records: queues without their messages, and each message.

    A message is written when it arrives and deleted when it is; that it is in flight is not kept, so after a restart
    it is delivered again, which SQS's at-least-once delivery allows. Only what came and went is looked at closely,
    since a queue may hold thousands.
    """

    def __init__(self, stores: Callable[[], Stores]) -> None:
        super().__init__("sqs", stores, _split_queue, _join_queue, _glance_at_queue)
        self._known: dict[Key, set[str]] = {}

    def changes(self) -> list[Record]:
        queues: dict[Key, Document] = dict(self._stores()["queues"]._data)
        gone = [(scope, self._known.pop(scope)) for scope in set(self._known) - set(queues)]
        records = [self._record(scope, message_id, None) for scope, ids in gone for message_id in ids]
        for scope, queue in queues.items():
            records += self._came_and_went(scope, queue)
        return super().changes() + records

    def forget(self) -> None:
        super().forget()
        self._known = {scope: set() for scope in self._known}

    def _came_and_went(self, scope: Key, queue: Document) -> list[Record]:
        known = self._known.get(scope, set())
        if not known and not queue["messages"]:
            return []
        present = {message["id"]: message for message in list(queue["messages"])}
        if known == present.keys():
            return []
        self._known[scope] = set(present)
        came = [self._record(scope, each, pack(_as_sent(present[each]))) for each in present.keys() - known]
        return came + [self._record(scope, each, None) for each in known - present.keys()]

    def _seed(self, record: Record, key: Any, sub: Key) -> None:
        if record.store == "queues" and sub:
            self._known.setdefault(key, set()).add(sub[0])
        else:
            super()._seed(record, key, sub)

    def _record(self, scope: Key, message_id: str, value: bytes | None) -> Record:
        return Record(self.service, "queues", pack((scope, (message_id,))), value)


def _as_sent(message: Document) -> Document:
    in_flight = message.get("receipt_handle")
    return {**message, "receipt_handle": None, "visible_at": message["sent_at"]} if in_flight else message


def _split_queue(store: str, value: Any) -> Iterator[Part]:
    if store != "queues":
        yield from whole(store, value)
        return
    yield Part((), None, without(value, "messages"))


def _glance_at_queue(store: str, value: Any) -> Any:
    return packed(store, without(value, "messages") if store == "queues" else value)


def without(value: Document, name: str) -> Document:
    """The members but for one."""
    return {each: member for each, member in value.items() if each != name}


def _join_queue(parts: dict[Key, Any]) -> Any:
    queue = parts.pop((), None)
    if queue is None or not isinstance(queue, dict) or "attributes" not in queue:
        return queue
    messages = sorted(parts.values(), key=lambda message: (message["sent_at"], str(message.get("seq", ""))))
    return {**queue, "messages": messages}


def split_logs(store: str, value: Any) -> Iterator[Part]:
    """A log group and its streams, whose events are elsewhere (`log_events`)."""
    if store != "log_groups":
        yield from whole(store, value)
        return
    yield Part((), None, without(value, "streams"))
    for name, stream in list(value["streams"].items()):
        token = tuple(stream.get(member) for member in _STREAM_CHANGES)
        yield Part((name,), token, without(stream, "events"))


# What tells whether a stream's record is another one than before.
_STREAM_CHANGES = (
    "uploadSequenceToken",
    "firstEventTimestamp",
    "lastEventTimestamp",
    "lastIngestionTime",
    "storedBytes",
)


def join_logs(parts: dict[Key, Any]) -> Any:
    """A log group with its streams."""
    group = parts.pop((), None)
    if not isinstance(group, dict) or "arn" not in group:
        return group
    return {**group, "streams": {name: {**stream, "events": []} for (name,), stream in parts.items()}}


def split_metrics(store: str, value: Any) -> Iterator[Part]:
    """A metric's data points in chunks."""
    if store != "metrics" or not isinstance(value, list):
        yield from whole(store, value)
        return
    yield from chunks((), value, lambda point: (point["Timestamp"], point.get("Value")))


def glance_at_metric(store: str, value: Any) -> Any:
    """At a metric's data points by their chunks."""
    grows = store == "metrics" and isinstance(value, list)
    return [part.token for part in split_metrics(store, value)] if grows else packed(store, value)


def join_metrics(parts: dict[Key, Any]) -> Any:
    return join_whole(parts) if () in parts else join_chunks(parts)


def split_executions(store: str, value: Any) -> Iterator[Part]:
    """An execution as one record, taken as unchanged once it has ended (until it is redriven)."""
    yield Part((), _ending(store, value), value)


def glance_at_execution(store: str, value: Any) -> Any:
    """At its ending; at a state machine beside its definition."""
    if store == "state_machines":
        return glance_beside(value, "definition")
    return _ending(store, value) or packed(store, value)


def _ending(store: str, value: Any) -> tuple[Any, ...] | None:
    if store != "executions" or value.get("status") in (None, "RUNNING", "PENDING_REDRIVE"):
        return None
    return value["status"], value.get("stopDate"), value.get("redriveCount")


def glance_beside(value: Document, name: str) -> Any:
    """At an entry with one member that is most of it, a text or bytes, which remember their hash."""
    member = value.get(name)
    if not isinstance(member, (str, bytes)):
        return packed("", value)
    return hash(member), packed("", without(value, name))


def split_functions(store: str, value: Any) -> Iterator[Part]:
    """A function apart from its code, which is most of it and looked at only when it is other bytes."""
    if store != "functions" or not isinstance(value.get(_CODE), bytes):
        yield from whole(store, value)
        return
    code = value[_CODE]
    yield Part((), None, without(value, _CODE))
    yield Part((_CODE,), hash(code), code)


_CODE = "code_zip"


def glance_at_function(store: str, value: Any) -> Any:
    """At a function beside its code."""
    return glance_beside(value, _CODE) if store == "functions" else packed(store, value)


def join_functions(parts: dict[Key, Any]) -> Any:
    function = join_whole(parts)
    code = parts.get((_CODE,))
    return function if function is None or code is None else {**function, _CODE: code}


class DynamoDbState(ServiceState):
    """DynamoDB's records: tables without their items, and the items that were written since the last look.

    MiniStack writes items through `_set_item` and `_remove_item`, which tell `touched`, and replaces whole tables
    through `_items_replaced`, which tells `replaced`.
    """

    def __init__(self, stores: Callable[[], Stores]) -> None:
        super().__init__("dynamodb", stores, _split_table, _join_table, _glance_at_table)
        self._touched: set[tuple[str, str, str, Any, Any]] = set()
        self._replaced: set[tuple[str, str, str]] = set()
        self._known: dict[tuple[str, str, str], set[tuple[Any, Any]]] = {}

    def touched(self, table: Document, pk: Any, sk: Any) -> None:
        self._touched.add((*_scope(table), pk, sk))

    def replaced(self, table: Document) -> None:
        self._replaced.add(_scope(table))

    def changes(self) -> list[Record]:
        touched, self._touched = self._touched, set()
        replaced, self._replaced = self._replaced, set()
        tables: dict[Any, Document] = dict(self._stores()["tables"]._data)
        gone = set(self._known) - set(tables)
        records = [record for scope in gone for record in self._all_gone(scope)]
        for scope in replaced | (set(tables) - set(self._known)):
            records += self._whole_table(scope, tables.get(scope))
        records += [self._item(tables, item) for item in touched if item[:3] in tables]
        return super().changes() + records

    def forget(self) -> None:
        super().forget()
        self._replaced |= set(self._known)

    def _seed(self, record: Record, key: Any, sub: Key) -> None:
        if record.store == "tables" and sub:
            self._known.setdefault(key, set()).add((sub[0], sub[1]))
        else:
            super()._seed(record, key, sub)

    def _whole_table(self, scope: Any, table: Document | None) -> list[Record]:
        if table is None:
            return []
        present = {(pk, sk) for pk, items in list(table["items"].items()) for sk in list(items)}
        gone = self._known.get(scope, set()) - present
        self._known[scope] = present
        written = [self._record(scope, pk, sk, table["items"][pk][sk]) for pk, sk in present]
        return written + [self._record(scope, pk, sk, None) for pk, sk in gone]

    def _all_gone(self, scope: Any) -> list[Record]:
        return [self._record(scope, pk, sk, None) for pk, sk in self._known.pop(scope)]

    def _item(self, tables: dict[Any, Document], touched: tuple[str, str, str, Any, Any]) -> Record:
        scope, pk, sk = touched[:3], touched[3], touched[4]
        item = tables[scope]["items"].get(pk, {}).get(sk)
        known = self._known[scope]
        if item is None:
            known.discard((pk, sk))
        else:
            known.add((pk, sk))
        return self._record(scope, pk, sk, item)

    def _record(self, scope: Any, pk: Any, sk: Any, item: Document | None) -> Record:
        return Record(self.service, "tables", pack((scope, (pk, sk))), None if item is None else pack(item))


def _scope(table: Document) -> tuple[str, str, str]:
    _, _, _, region, account, _ = table["TableArn"].split(":", 5)
    return account, region, table["TableName"]


def _split_table(store: str, value: Any) -> Iterator[Part]:
    if store != "tables":
        yield from whole(store, value)
        return
    yield Part((), None, without(value, "items"))


def _glance_at_table(store: str, value: Any) -> Any:
    return packed(store, without(value, "items") if store == "tables" else value)


def _join_table(parts: dict[Key, Any]) -> Any:
    table = parts.pop((), None)
    if not isinstance(table, dict) or "TableArn" not in table:
        return table
    items: dict[Any, dict[Any, Any]] = {}
    for (pk, sk), item in parts.items():
        items.setdefault(pk, {})[sk] = item
    return {**table, "items": items}


# How services' states are split, joined and glanced at.
KINDS: dict[str, tuple[Splitter, Joiner, Glance]] = {
    "cloudwatch_logs": (split_logs, join_logs, packed),
    "cloudwatch": (split_metrics, join_metrics, glance_at_metric),
    "lambda": (split_functions, join_functions, glance_at_function),
    "stepfunctions": (split_executions, join_whole, glance_at_execution),
}


def stores_of_lambda(module: Any) -> Stores:
    """Lambda's stores, with each function's code in its record; MiniStack's `get_state` writes it to files."""
    return {
        "functions": module._functions,
        "layers": module._layers,
        "esms": module._esms,
        "function_urls": module._function_urls,
        "kinesis_positions": module._kinesis_positions,
        "dynamodb_stream_positions": module._dynamodb_stream_positions,
    }


def stores_of_sts(module: Any) -> Stores:
    """The temporary credentials, which MiniStack forgets at a stop."""
    return {"sessions": module._sessions}


def stores_of_logs(module: Any) -> Stores:
    """CloudWatch Logs' stores, except `log_records`, a second copy of every event, which isn't kept."""
    return {name: store for name, store in live_stores(module).items() if name != "log_records"}
