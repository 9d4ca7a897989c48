"""How the entries that grow are split into records: queues, log groups, metrics, executions; and DynamoDB's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from localaws.ministack_adapter.journal import Record, pack
from localaws.ministack_adapter.service_state import (
    Joiner,
    Key,
    Part,
    ServiceState,
    Splitter,
    Stores,
    chunks,
    entries,
    join_chunks,
    join_whole,
    live_stores,
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
        super().__init__("sqs", stores, _split_queue, _join_queue)
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
    yield Part((), None, {name: member for name, member in value.items() if name != "messages"})


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
    yield Part((), None, {name: member for name, member in value.items() if name != "streams"})
    for name, stream in list(value["streams"].items()):
        token = tuple(stream.get(member) for member in _STREAM_CHANGES)
        yield Part((name,), token, {key: member for key, member in stream.items() if key != "events"})


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


def join_metrics(parts: dict[Key, Any]) -> Any:
    return join_whole(parts) if () in parts else join_chunks(parts)


def split_executions(store: str, value: Any) -> Iterator[Part]:
    """An execution as one record, taken as unchanged once it has ended (until it is redriven)."""
    ended = store == "executions" and value.get("status") not in (None, "RUNNING", "PENDING_REDRIVE")
    token = (value["status"], value.get("stopDate"), value.get("redriveCount")) if ended else None
    yield Part((), token, value)


def split_functions(store: str, value: Any) -> Iterator[Part]:
    """A function apart from its code, which is most of it and looked at only when it is other bytes.

    Bytes remember their hash: asking again costs nothing.
    """
    if store != "functions" or not isinstance(value.get("code_zip"), bytes):
        yield from whole(store, value)
        return
    code = value["code_zip"]
    yield Part((), None, {name: member for name, member in value.items() if name != "code_zip"})
    yield Part(("code_zip",), hash(code), code)


def join_functions(parts: dict[Key, Any]) -> Any:
    function = join_whole(parts)
    code = parts.get(("code_zip",))
    return function if function is None or code is None else {**function, "code_zip": code}


class DynamoDbState(ServiceState):
    """DynamoDB's records: tables without their items, and the items that were written since the last look.

    MiniStack writes items through `_set_item` and `_remove_item`, which tell `touched`, and replaces whole tables
    through `_items_replaced`, which tells `replaced`.
    """

    def __init__(self, stores: Callable[[], Stores]) -> None:
        super().__init__("dynamodb", stores, _split_table, _join_table)
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
    yield Part((), None, {name: member for name, member in value.items() if name != "items"})


def _join_table(parts: dict[Key, Any]) -> Any:
    table = parts.pop((), None)
    if not isinstance(table, dict) or "TableArn" not in table:
        return table
    items: dict[Any, dict[Any, Any]] = {}
    for (pk, sk), item in parts.items():
        items.setdefault(pk, {})[sk] = item
    return {**table, "items": items}


_MAKING = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
_STATUSES = ("StackStatus", "Status", "ExecutionStatus")


class StackState(ServiceState):
    """CloudFormation's records: stacks without their resources, and each stack's resources.

    What a stack has made is noted with the commit that has it, whoever commits: a stack that is cut off knows what to
    delete.
    """

    def __init__(self, stores: Callable[[], Stores]) -> None:
        super().__init__("cloudformation", stores, _split_stack, _join_stack)
        self._statuses: dict[Any, tuple[str, ...]] | None = None  # at the last look; None: it couldn't be committed
        self._made: set[Any] = set()  # the stacks that weren't being made then

    @property
    def has_moved(self) -> bool:
        """Whether a stack's thread may have changed something since the last look: one works, or has ended."""
        now = self._statuses_now()
        return now != self._statuses or any(name.endswith("_IN_PROGRESS") for names in now.values() for name in names)

    def changes(self) -> list[Record]:
        statuses = self._statuses_now()  # before what they come with
        found = super().changes()
        self._statuses = statuses
        self._made = {key for key, (status, *_) in statuses.items() if status not in _MAKING}
        return found

    def forget(self) -> None:
        super().forget()
        self._statuses, self._made = None, set()

    def _statuses_now(self) -> dict[Any, tuple[str, ...]]:
        """By the keys of stacks and change sets, of which one is never the other's."""
        stores = self._stores()
        found = [each for name in ("stacks", "change_sets") if name in stores for each in entries(stores[name])]
        return {key: tuple(str(document.get(name)) for name in _STATUSES) for key, document in found}

    def changes_in_progress(self) -> list[Record]:
        """The changes of the resources of stacks being made or updated; small, and looked at with every commit.

        With the first of them the stack itself, which its creator may not have been told of yet.
        """
        changed: list[Record] = []
        for key, stack in self._being_made(list(self._stores()["stacks"]._data.items())):
            for part in _split_stack("stacks", stack):
                if part.sub or ("stacks", key, part.sub) not in self._tokens:
                    self._look("stacks", key, part, self._tokens, changed)
        return changed

    def _being_made(self, stacks: list[tuple[Any, Document]]) -> list[tuple[Any, Document]]:
        """Those that only gain resources, or did until a moment ago.

        What a stack gives up is noted with all that it deletes: else nobody would know of what is left.
        """
        return [
            (key, stack)
            for key, stack in stacks
            if (status := stack.get("StackStatus")) in _MAKING
            or (status == "CREATE_COMPLETE" and key not in self._made)
        ]


def _split_stack(store: str, value: Any) -> Iterator[Part]:
    if store != "stacks":
        yield from whole(store, value)
        return
    yield Part((), None, {name: member for name, member in value.items() if name != "_resources"})
    yield _resources_of(value)


def _resources_of(stack: Document) -> Part:
    return Part(("resources",), None, stack.get("_resources", {}))


def _join_stack(parts: dict[Key, Any]) -> Any:
    stack = parts.get(())
    return {**stack, "_resources": parts[("resources",)]} if stack and ("resources",) in parts else stack


SPLIT: dict[str, tuple[Splitter, Joiner]] = {
    "cloudwatch_logs": (split_logs, join_logs),
    "cloudwatch": (split_metrics, join_metrics),
    "lambda": (split_functions, join_functions),
    "stepfunctions": (split_executions, join_whole),
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
