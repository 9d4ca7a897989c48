"""State as small records: only what changed is written, and what is written is given back."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies

from localaws.ministack_adapter.growing_state import KINDS, DynamoDbState, SqsState
from localaws.ministack_adapter.interrupted_stacks import _Stacks
from localaws.ministack_adapter.journal import Journal, Record, pack, unpack
from localaws.ministack_adapter.service_state import ServiceState, join_whole, whole
from localaws.ministack_adapter.stack_state import StackState

QUEUE = ("000000000000", "us-east-1", "http://q")
TABLE = ("000000000000", "us-east-1", "runs")


class Scoped:
    """As MiniStack's scoped dictionaries: entries by (account, region, key) in `_data`."""

    def __init__(self) -> None:
        self._data: dict[Any, Any] = {}


class Outsider:
    pass


def back(journal: Journal, service: str, make: Callable[[], ServiceState]) -> dict[str, Any]:
    return make().restored(journal.records(service))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def test_a_commit_is_all_or_nothing(journal: Journal) -> None:
    def records() -> Any:
        yield Record("s", "store", b"1", b"one")
        raise ValueError

    with pytest.raises(ValueError):
        journal.commit(records())
    assert list(journal.records("s")) == []


def test_records_are_replaced_and_deleted(journal: Journal, tmp_path: Path) -> None:
    journal.commit([Record("s", "store", b"1", b"one"), Record("s", "store", b"2", b"two")])
    journal.commit([Record("s", "store", b"1", b"new"), Record("s", "store", b"2", None)])
    again = Journal(tmp_path / "journal.sqlite")
    assert list(again.records("s")) == [Record("s", "store", b"1", b"new")]
    assert again.services() == ["s"]


@pytest.mark.parametrize("value", [{"a": [1, b"\x00", ("t", None)]}, {1, 2}, bytearray(b"x"), {("k", 1): 2.5}])
def test_plain_data_is_packed_and_unpacked(value: object) -> None:
    assert unpack(pack(value)) == value


def test_nothing_but_plain_data_is_unpacked() -> None:
    with pytest.raises(pickle.UnpicklingError, match="Outsider does not belong in a journal"):
        unpack(pickle.dumps(Outsider()))
    with pytest.raises(pickle.UnpicklingError, match="does not belong"):
        unpack(pickle.dumps(Path))


def test_only_changed_entries_are_found() -> None:
    store = {"a": {"n": 1}, "b": {"n": 1}}
    state = ServiceState("s", lambda: {"store": store}, whole, join_whole)
    assert len(state.changes()) == 2
    assert state.changes() == []
    store["b"]["n"] = 2
    del store["a"]
    store["c"] = {"n": 3}
    found = {unpack(record.key)[0]: record.value and unpack(record.value) for record in state.changes()}
    assert found == {"a": None, "b": {"n": 2}, "c": {"n": 3}}


def test_what_could_not_be_committed_is_found_again() -> None:
    store = {"a": 1}
    state = ServiceState("s", lambda: {"store": store}, whole, join_whole)
    state.changes()
    state.forget()
    assert [unpack(record.value or b"") for record in state.changes()] == [1]


def test_what_is_gone_since_a_restart_is_deleted(journal: Journal) -> None:
    journal.commit(ServiceState("s", lambda: {"store": {"a": 1}}, whole, join_whole).changes())
    emptied = ServiceState("s", lambda: {"store": {}}, whole, join_whole)
    assert emptied.restored(journal.records("s")) == {"store": {"a": 1}}
    journal.commit(emptied.changes())
    assert list(journal.records("s")) == []


def message(number: int, **members: Any) -> dict[str, Any]:
    return {"id": f"m{number}", "body": str(number), "sent_at": number, "visible_at": number, **members}


def test_a_queues_messages_come_and_go(journal: Journal) -> None:
    queues = Scoped()
    queue = {"name": "q", "attributes": {}, "messages": [message(1), message(2)]}
    queues._data[QUEUE] = queue
    state = SqsState(lambda: {"queues": queues})
    journal.commit(state.changes())
    queue["messages"] = [message(2, receipt_handle="r", visible_at=99), message(3)]
    records = state.changes()
    assert len(records) == 2  # m1 is gone, m3 came; that m2 is in flight is not kept
    journal.commit(records)
    restored = back(journal, "sqs", lambda: SqsState(lambda: {"queues": Scoped()}))
    assert restored["queues"]._data == {QUEUE: {**queue, "messages": [message(2), message(3)]}}
    queues._data.clear()
    journal.commit(state.changes())
    assert list(journal.records("sqs")) == []


def test_a_message_in_flight_is_written_as_it_was_sent() -> None:
    queues = Scoped()
    queues._data[QUEUE] = {"name": "q", "attributes": {}, "messages": [message(1, receipt_handle="r", visible_at=99)]}
    written = [unpack(record.value or b"") for record in SqsState(lambda: {"queues": queues}).changes()]
    assert message(1, receipt_handle=None) in written


def test_only_items_that_were_touched_are_written(journal: Journal) -> None:
    tables = Scoped()
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/runs"
    table: dict[str, Any] = {"TableName": "runs", "TableArn": arn, "items": {"a": {"1": {"n": 1}}, "b": {"1": {}}}}
    tables._data[TABLE] = table
    state = DynamoDbState(lambda: {"tables": tables})
    journal.commit(state.changes())
    table["items"]["a"]["1"] = {"n": 2}
    del table["items"]["b"]
    state.touched(table, "a", "1")
    state.touched(table, "b", "1")
    journal.commit(state.changes())
    assert state.changes() == []
    restored = back(journal, "dynamodb", lambda: DynamoDbState(lambda: {"tables": Scoped()}))
    assert restored["tables"]._data == {TABLE: {**table, "items": {"a": {"1": {"n": 2}}}}}


def test_a_log_streams_record_is_written_when_it_changes_without_its_events(journal: Journal) -> None:
    stream = {"lastIngestionTime": 1, "storedBytes": 5, "events": []}
    group = {"arn": "arn", "streams": {"s": stream, "t": {"lastIngestionTime": 2, "events": []}}}
    groups = Scoped()
    groups._data["g"] = group
    state = ServiceState("cloudwatch_logs", lambda: {"log_groups": groups}, *KINDS["cloudwatch_logs"])
    journal.commit(state.changes())
    assert state.changes() == []
    stream.update(lastIngestionTime=3, storedBytes=9)
    records = state.changes()
    assert len(records) == 1
    journal.commit(records)
    empty = ServiceState("cloudwatch_logs", lambda: {"log_groups": Scoped()}, *KINDS["cloudwatch_logs"])
    assert empty.restored(journal.records("cloudwatch_logs"))["log_groups"]._data == {"g": group}


def test_a_functions_code_is_written_when_it_is_other_code(journal: Journal) -> None:
    functions = Scoped()
    functions._data["f"] = {"config": {"MemorySize": 128}, "code_zip": b"zip" * 100}

    def state() -> ServiceState:
        return ServiceState("lambda", lambda: {"functions": functions}, *KINDS["lambda"])

    known = state()
    journal.commit(known.changes())
    functions._data["f"] = {"config": {"MemorySize": 256}, "code_zip": b"zip" * 100}
    (settings,) = known.changes()
    journal.commit([settings])
    assert len(settings.value or b"") < 100
    functions._data["f"]["code_zip"] = b"new code"
    journal.commit(known.changes())
    restored = state().restored(journal.records("lambda"))
    assert restored["functions"]._data == {"f": {"config": {"MemorySize": 256}, "code_zip": b"new code"}}


def test_a_function_without_code_of_its_own_is_one_record(journal: Journal) -> None:
    functions = Scoped()
    functions._data["f"] = {"config": {}, "code_zip": None}
    state = ServiceState("lambda", lambda: {"functions": functions}, *KINDS["lambda"])
    journal.commit(state.changes())
    assert state.restored(journal.records("lambda"))["functions"]._data == functions._data


def a_function(number: int) -> dict[str, Any]:
    return {"config": {"MemorySize": 128}, "code_zip": bytes([number]) * 50}


def an_execution(number: int) -> dict[str, Any]:
    return {"status": "RUNNING", "stopDate": None, "input": str(number)}


def a_machine(number: int) -> dict[str, Any]:
    return {"name": "m", "definition": "{}" * number, "tags": {}}


def a_stack(number: int) -> dict[str, Any]:
    template = {"Resources": {f"R{number}": {}}}
    return {"StackStatus": "CREATE_IN_PROGRESS", "_template": template, "_template_body": "{}", "_resources": {}}


# A service's store, an entry of it, and what its service does to one: each must be on disk after the next look.
DONE: dict[tuple[str, str], tuple[Callable[[int], Any], list[Callable[[Any], Any]]]] = {
    ("lambda", "functions"): (
        a_function,
        [
            lambda it: it["config"].update(MemorySize=it["config"]["MemorySize"] + 1),
            lambda it: it.update(code_zip=(it["code_zip"] or b"") + b"x"),
            lambda it: it.update(code_zip=None),
        ],
    ),
    ("stepfunctions", "executions"): (
        an_execution,
        [
            lambda it: it.update(output="more") if it["status"] == "RUNNING" else None,
            lambda it: it.update(status="FAILED", stopDate=7, cause="why"),
            lambda it: it.update(status="RUNNING", stopDate=None, redriveCount=1 + it.get("redriveCount", 0)),
        ],
    ),
    ("stepfunctions", "state_machines"): (
        a_machine,
        [
            lambda it: it.update(definition=it["definition"] + " "),
            lambda it: it["tags"].update(k=len(it["definition"])),
        ],
    ),
    ("cloudwatch", "metrics"): (
        lambda number: [{"Timestamp": number, "Value": 1.0}],
        [
            lambda it: it.append({"Timestamp": it[-1]["Timestamp"] + 1, "Value": 2.0}),
            lambda it: it.extend({"Timestamp": 1000 + n, "Value": 0.0} for n in range(300)),
            lambda it: it.pop(0) if len(it) > 1 else None,
        ],
    ),
    ("cloudwatch_logs", "log_groups"): (
        lambda number: {"arn": str(number), "streams": {}},
        [
            lambda it: it["streams"].setdefault(f"s{len(it['streams'])}", {"storedBytes": 0, "events": []}),
            lambda it: [stream.update(storedBytes=stream["storedBytes"] + 1) for stream in it["streams"].values()],
            lambda it: it["streams"].popitem() if it["streams"] else None,
            lambda it: it.update(retention=7),
        ],
    ),
    ("cloudformation", "stacks"): (
        a_stack,
        [
            lambda it: it.update(_template={"Resources": {"New": len(it["_resources"])}}),
            lambda it: it.update(_template_body=it["_template_body"] + " "),
            lambda it: it["_resources"].update({f"R{len(it['_resources'])}": {"ResourceStatus": "CREATE_COMPLETE"}}),
            lambda it: it.update(StackStatus="CREATE_COMPLETE"),
        ],
    ),
}


@pytest.mark.parametrize("service_and_store", DONE, ids=lambda place: place[1])
@given(steps=strategies.lists(strategies.tuples(strategies.integers(0, 9), strategies.integers(0, 2)), max_size=12))
def test_what_is_there_is_on_disk_after_a_look(
    service_and_store: tuple[str, str], steps: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever is made, changed and deleted: a glance that missed something would lose what was acknowledged."""
    service, name = service_and_store
    make, changes = DONE[service_and_store]
    written = Journal(tmp_path_factory.mktemp("journal") / "journal.sqlite")

    def state_with(stores: dict[str, Scoped]) -> ServiceState:
        if service == "cloudformation":
            return StackState(lambda: {"change_sets": Scoped(), **stores})
        return ServiceState(service, lambda: stores, *KINDS[service])

    store = Scoped()
    state = state_with({name: store})
    for what, key in steps:
        if what == 9 or key not in store._data:
            store._data[key] = make(key)
        elif what == 8:
            del store._data[key]
        else:
            changes[what % len(changes)](store._data[key])
        written.commit(state.changes())
        restored = state_with({name: Scoped()}).restored(written.records(service))
        assert restored[name]._data == store._data
        assert state.changes() == []
    written.close()


def test_what_a_stack_has_made_is_known_while_it_is_made(journal: Journal) -> None:
    """A stack that is cut off must know what to delete, though nobody has looked at the whole of it meanwhile."""
    stacks = Scoped()
    state = StackState(lambda: {"stacks": stacks})
    key = ("000000000000", "us-east-1", "stack")
    stacks._data[key] = {"StackName": "stack", "StackStatus": "CREATE_IN_PROGRESS", "_resources": {}}
    journal.commit(state.changes())
    stacks._data[key]["_resources"]["Queue"] = {"PhysicalResourceId": "q"}
    changed = state.changes_in_progress()
    assert len(changed) == 1
    journal.commit(changed)
    assert state.changes_in_progress() == []
    kept = back(journal, "cloudformation", lambda: StackState(lambda: {"stacks": Scoped()}))["stacks"]._data
    assert kept == stacks._data
    stacks._data[key].update(StackStatus="CREATE_COMPLETE")
    journal.commit(state.changes())
    stacks._data[key]["_resources"]["Topic"] = {"PhysicalResourceId": "t"}
    assert state.changes_in_progress() == [], "only of those that are being changed"
    del stacks._data[key]
    journal.commit(state.changes())
    assert list(journal.records("cloudformation")) == []


def test_what_should_be_a_text_and_is_none_is_committed_all_the_same(journal: Journal) -> None:
    """One odd entry would keep all others of its service from the disk."""
    machines = Scoped()
    machines._data["odd"] = {"definition": ["no text"]}
    state = ServiceState("stepfunctions", lambda: {"state_machines": machines}, *KINDS["stepfunctions"])
    journal.commit(state.changes())
    assert state.changes() == []
    machines._data["odd"]["definition"].append("more")
    (changed,) = state.changes()
    assert unpack(changed.value or b"") == {"definition": ["no text", "more"]}


def test_a_resource_that_comes_and_goes_between_two_looks_is_gone_on_disk(journal: Journal) -> None:
    """What was committed in between, with another service's change, isn't what the last look was at."""
    stacks, stack = Scoped(), a_stack(0)
    stacks._data["s"] = stack
    state = StackState(lambda: {"stacks": stacks})
    journal.commit(state.changes())
    stack["_resources"]["R"] = {"ResourceStatus": "CREATE_COMPLETE"}
    journal.commit(state.changes_in_progress())
    del stack["_resources"]["R"]
    journal.commit(state.changes())
    restored = back(journal, "cloudformation", lambda: StackState(lambda: {"stacks": Scoped()}))
    assert restored["stacks"]._data == {"s": stack}


def test_a_stack_whose_creator_was_told_nothing_is_noted_with_what_it_has_made(journal: Journal) -> None:
    stacks = Scoped()
    state = StackState(lambda: {"stacks": stacks})
    stacks._data["stack"] = {"StackStatus": "CREATE_IN_PROGRESS", "_resources": {"Queue": {"PhysicalResourceId": "q"}}}
    journal.commit(state.changes_in_progress())
    kept = back(journal, "cloudformation", lambda: StackState(lambda: {"stacks": Scoped()}))["stacks"]._data
    assert kept == stacks._data


def test_what_a_stack_made_at_the_last_is_known_though_it_is_done(journal: Journal) -> None:
    """Its thread goes on while others are looked at: what of it they find on disk must be the stack's."""
    stacks = Scoped()
    state = StackState(lambda: {"stacks": stacks})
    stacks._data["stack"] = stack = {"StackStatus": "CREATE_IN_PROGRESS", "_resources": {}}
    journal.commit(state.changes())
    stack["_resources"] = {"Queue": {"PhysicalResourceId": "q"}}
    stack["StackStatus"] = "CREATE_COMPLETE"
    journal.commit(state.changes_in_progress())
    kept = back(journal, "cloudformation", lambda: StackState(lambda: {"stacks": Scoped()}))["stacks"]._data
    assert kept["stack"]["_resources"] == stack["_resources"]
    journal.commit(state.changes())
    stack["_resources"] = {}
    assert state.changes_in_progress() == [], "at rest since"


def test_stacks_at_rest_are_not_looked_at_for_those_who_read(journal: Journal) -> None:
    stacks, change_sets = Scoped(), Scoped()
    state = StackState(lambda: {"stacks": stacks, "change_sets": change_sets})
    stacks._data["stack"] = stack = {"StackStatus": "CREATE_COMPLETE", "_resources": {}}
    assert state.has_moved, "never looked at"
    journal.commit(state.changes())
    assert not state.has_moved
    for status in ("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"):
        stack["StackStatus"] = status
        assert state.has_moved
        journal.commit(state.changes())
        assert state.has_moved == (status == "UPDATE_IN_PROGRESS")
    change_sets._data["set"] = {"Status": "CREATE_COMPLETE", "ExecutionStatus": "AVAILABLE"}
    assert state.has_moved
    state.changes()
    state.forget()
    assert state.has_moved, "what was found isn't on disk"


def test_what_a_stack_gives_up_is_noted_with_what_it_deletes(journal: Journal) -> None:
    stacks = Scoped()
    state = StackState(lambda: {"stacks": stacks})
    stacks._data["stack"] = {"StackStatus": "DELETE_IN_PROGRESS", "_resources": {"Queue": {"PhysicalResourceId": "q"}}}
    journal.commit(state.changes())
    stacks._data["stack"]["_resources"].clear()
    assert state.changes_in_progress() == [], "the queue may be there still, on disk"


def test_a_stack_has_its_resources_from_the_first() -> None:
    resources: dict[str, Any] = {}
    stacks = _Stacks()
    stacks["new"] = {"StackStatus": "CREATE_IN_PROGRESS"}
    stacks["old"] = {"_resources": resources}
    assert stacks["new"]["_resources"] == {}
    assert stacks["old"]["_resources"] is resources
