"""The run table: one pipeline's state and its runs, in DynamoDB."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from common import item_size
from common.state import State
from contract import outcomes
from contract.run_table import ENDS, PARTITION_KEY, SORT_KEY, STATE_ITEM, is_number, key, plain, run_item

# A thousand events in a burst reach a few launchers at once; each lost race costs one read and one write.
WRITES = 40
LONGEST_PAUSE_SECONDS = 0.2

_NEW, _THERE = f"attribute_not_exists({PARTITION_KEY})", f"attribute_exists({PARTITION_KEY})"
_UNSET = f"{_THERE} AND attribute_not_exists(#field)"


class BusyError(Exception):
    """Others wrote the state again and again; whoever sent the event sends it again."""


class RunTable:
    """One pipeline's items. `client` is a boto3 DynamoDB client."""

    def __init__(self, client: Any, table: str, pipeline: str, pause: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._table = table
        self._pipeline = pipeline
        self._pause = pause

    def read_state(self) -> State:
        return state_from_item(self._get(STATE_ITEM) or {})

    def update(self, change: Callable[[State], State]) -> tuple[State, State]:
        """Applies `change` to the state as it is; returns the states before and after.

        Raises:
            BusyError: lost the race to write too often.
        """
        for attempt in range(WRITES):
            before = self.read_state()
            after = change(before)
            if after == before:
                return before, after
            after = replace(after, version=before.version + 1)
            if self._write_state(before, after):
                return before, after
            self._pause(random.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.01 * 2**attempt)))  # noqa: S311 - jitter
        raise BusyError(f"the state of {self._pipeline} was written by others {WRITES} times in a row")

    def _write_state(self, before: State, after: State) -> bool:
        if before.version == 0:
            return self._put(item_from_state(after), _NEW, {})
        return self._put(item_from_state(after), "version = :version", {":version": before.version})

    def read_run(self, run_id: str) -> dict[str, Any] | None:
        return self._get(run_item(run_id))

    def write_run(self, run_id: str, document: dict[str, Any]) -> None:
        """Writes the run's item, replacing the one that is there; of what it can't hold, record.json has the whole."""
        self._put({SORT_KEY: run_item(run_id), **item_size.fitted(document)}, None, {})

    def write_new_run(self, run_id: str, document: dict[str, Any]) -> bool:
        """Writes the run's item unless there is one already."""
        return self._put({SORT_KEY: run_item(run_id), **document}, _NEW, {})

    def write_ending_run(self, run_id: str, record: dict[str, Any]) -> None:
        """Writes how a run is about to end into its item, which goes on saying that it runs.

        One that has ended already is left alone: somebody else has written its end down.
        """
        ending = {**item_size.fitted(record), "outcome": outcomes.RUNNING, ENDS: record["outcome"]}
        item = {SORT_KEY: run_item(run_id), **ending}
        if not self._put(item, "outcome = :running", {":running": outcomes.RUNNING}):
            self.write_new_run(run_id, ending)

    def set_in_run_once(self, run_id: str, field: str, value: Any) -> bool:
        """Sets a field of a run's item that isn't there yet; False if it is, or if there is no such run."""
        return self._update_run(run_id, "SET #field = :value", _UNSET, field, {":value": value})

    def set_while_running(self, run_id: str, field: str, value: Any) -> bool:
        """Sets a field of the item of a run that is on its way; False if it has ended, or if there is no such run."""
        values = {":value": value, ":running": outcomes.RUNNING}
        return self._update_run(run_id, "SET #field = :value", "outcome = :running", field, values)

    def remove_from_run(self, run_id: str, field: str, value: Any) -> bool:
        """Removes a field of a run's item if it still holds `value`."""
        return self._update_run(run_id, "REMOVE #field", "#field = :value", field, {":value": value})

    def append_to_run(self, run_id: str, field: str, entries: list[Any], *, after: int) -> bool:
        """Appends entries to a list of a run's item that has `after` of them; False if it has another number by now."""
        append = "SET #field = list_append(if_not_exists(#field, :none), :entries)"
        values: dict[str, Any] = {":none": [], ":entries": entries}
        if after == 0:
            return self._update_run(run_id, append, _UNSET, field, values)
        return self._update_run(run_id, append, "size(#field) = :after", field, {**values, ":after": after})

    def _update_run(self, run_id: str, update: str, condition: str, field: str, values: dict[str, Any]) -> bool:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=key(self._pipeline, run_item(run_id)),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames={"#field": field},
                ExpressionAttributeValues={name: _attribute(value) for name, value in values.items()},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _get(self, item: str) -> dict[str, Any] | None:
        request = {"TableName": self._table, "Key": key(self._pipeline, item), "ConsistentRead": True}
        found = self._client.get_item(**request).get("Item")
        return None if found is None else {name: _plain(value) for name, value in found.items()}

    def _put(self, document: dict[str, Any], condition: str | None, values: dict[str, Any]) -> bool:
        item = {name: _attribute(value) for name, value in {PARTITION_KEY: self._pipeline, **document}.items()}
        request: dict[str, Any] = {"TableName": self._table, "Item": item}
        if condition:
            request["ConditionExpression"] = condition
        if values:
            request["ExpressionAttributeValues"] = {name: _attribute(value) for name, value in values.items()}
        try:
            self._client.put_item(**request)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


def state_from_item(item: dict[str, Any]) -> State:
    known = {name: item[name] for name in State.__dataclass_fields__ if item.get(name) is not None}
    lists = {name: tuple(known.get(name, ())) for name in ("retained", "withdrawn")}
    return State(**{**known, **lists})


def item_from_state(state: State) -> dict[str, Any]:
    """Absent values become no attributes at all, so that a reader can ask for their existence."""
    fields = {name: value for name, value in asdict(state).items() if value is not None and value != ()}
    return {SORT_KEY: STATE_ITEM, **fields}


def _attribute(value: Any) -> Any:
    return TypeSerializer().serialize(_storable(value))


def _storable(value: Any) -> Any:
    """DynamoDB's numbers are decimals, which boto3 doesn't make of floats; one that it doesn't have becomes a text, as
    does what UTF-8 has no bytes for."""
    if isinstance(value, float) and is_number(value):
        return Decimal(repr(value))
    if isinstance(value, int | float) and not isinstance(value, bool) and not is_number(value):
        return repr(value) if isinstance(value, float) else f"an integer of {value.bit_length()} bits"
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _storable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(entry) for entry in value]
    return value


def _plain(attribute: Any) -> Any:
    return plain(TypeDeserializer().deserialize(attribute))
