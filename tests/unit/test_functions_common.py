"""The functions' common parts: documents in S3, the run table, the sweep by content names, messages and the log."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from common import clients, clock, item_size
from common.artifacts import ArtifactMissingError, Artifacts
from common.content_names import Needed, sweep
from common.log import Log
from common.notification import notification
from common.refusals import is_missing
from common.run_table import BusyError, RunTable
from common.state import State
from memory_aws import Aws, installed

RUN_ID = "20261120-101112-abcd"
FOLDER = f"runs/digits/{RUN_ID}/"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    return installed(monkeypatch)


# -------------------------------------------------------------------------------------------------------- artifacts


@pytest.fixture
def artifacts(aws: Aws) -> Artifacts:
    return Artifacts(aws.client("s3"), "artifacts", "digits", RUN_ID)


def test_a_document_is_written_into_the_runs_folder(aws: Aws, artifacts: Artifacts) -> None:
    assert artifacts.write("plan.json", {"a": 1}) == f"s3://artifacts/{FOLDER}plan.json"
    assert aws.s3.objects == {("artifacts", f"{FOLDER}plan.json"): b'{\n  "a": 1\n}'}
    assert aws.called("put_object")[0]["ContentType"] == "application/json"
    assert artifacts.read("plan.json") == {"a": 1}


def test_a_number_that_json_has_not_is_refused_not_written(aws: Aws, artifacts: Artifacts) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        artifacts.write("gate.json", {"score": float("nan")})
    assert not aws.s3.objects


def test_a_document_that_is_not_there_is_named(artifacts: Artifacts) -> None:
    with pytest.raises(ArtifactMissingError, match=f"s3://artifacts/{FOLDER}plan.json doesn't exist"):
        artifacts.read("plan.json")


def test_a_document_that_is_no_json_is_named(aws: Aws, artifacts: Artifacts) -> None:
    aws.s3.objects["artifacts", f"{FOLDER}plan.json"] = b"{"
    with pytest.raises(ValueError, match=f"s3://artifacts/{FOLDER}plan.json is no JSON"):
        artifacts.read("plan.json")


def test_names_are_those_that_read_takes(artifacts: Artifacts) -> None:
    for name in ("rules/a.json", "rules/b.json", "other.json"):
        artifacts.write(name, name)
    assert artifacts.names("rules/") == ["rules/a.json", "rules/b.json"]
    assert [artifacts.read(name) for name in artifacts.names("rules/")] == ["rules/a.json", "rules/b.json"]
    assert artifacts.names("none/") == []


# -------------------------------------------------------------------------------------------------------- run table


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def table(aws: Aws, pauses: list[float]) -> RunTable:
    return RunTable(aws.client("dynamodb"), "runs", "digits", pause=pauses.append)


def test_a_state_that_was_never_written_is_empty(table: RunTable) -> None:
    assert table.read_state() == State()


def test_a_change_is_written_with_the_next_version(aws: Aws, table: RunTable) -> None:
    change = {"champion": {"score": 0.97, "metric": "f1"}, "retained": ({"model_name": "m"},)}
    before, after = table.update(lambda state: replace(state, **change))
    assert (before, after) == (State(), State(version=1, **change))
    assert table.read_state() == after
    _, again = table.update(lambda state: replace(state, champion=None))
    assert again.version == 2
    item = aws.dynamodb.items["digits", "state"]
    assert item.keys() == {"pipeline", "item", "version", "retained"}, "what is absent is no attribute"
    assert all(request["ConsistentRead"] and request["TableName"] == "runs" for request in aws.called("get_item"))


def test_no_change_is_no_write(aws: Aws, table: RunTable, pauses: list[float]) -> None:
    assert table.update(lambda state: state) == (State(), State())
    assert not aws.called("put_item") and not pauses


@pytest.mark.parametrize("there", [False, True], ids=["first write", "later write"])
def test_a_change_that_another_made_first_is_made_again_on_top(aws: Aws, table: RunTable, there: bool) -> None:
    """Two launchers at once: neither's change is lost."""
    if there:
        table.update(lambda state: replace(state, running={"run_id": "r"}))

    def other(operation: str) -> None:
        if operation == "put_item":
            aws.undisturbed()
            table.update(lambda state: replace(state, champion={"run_id": "other"}))

    aws.step = other
    table.update(lambda state: replace(state, pending={"count": 1}))
    state = table.read_state()
    assert (state.champion, state.pending) == ({"run_id": "other"}, {"count": 1})
    assert state.version == (3 if there else 2)
    assert (state.running is not None) == there


def test_a_race_that_is_always_lost_ends(aws: Aws, table: RunTable, pauses: list[float]) -> None:
    aws.refuse("put_item", "ConditionalCheckFailedException")
    with pytest.raises(BusyError, match="the state of digits was written by others 40 times in a row"):
        table.update(lambda state: replace(state, champion={"run_id": "r"}))
    assert len(aws.called("put_item")) == len(pauses) == 40
    assert all(0 <= pause <= 0.2 for pause in pauses)


def test_pauses_grow_to_their_longest(
    aws: Aws, table: RunTable, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: (low, high))
    aws.refuse("put_item", "ConditionalCheckFailedException")
    with pytest.raises(BusyError):
        table.update(lambda state: replace(state, champion={"run_id": "r"}))
    assert pauses[:6] == [(0, 0.01), (0, 0.02), (0, 0.04), (0, 0.08), (0, 0.16), (0, 0.2)]


def test_other_errors_are_raised(aws: Aws, table: RunTable) -> None:
    aws.refuse("put_item", "AccessDeniedException", "no one may")
    with pytest.raises(Exception, match="no one may"):
        table.write_run("r", {})
    aws.refuse("update_item", "AccessDeniedException", "no one may")
    with pytest.raises(Exception, match="no one may"):
        table.set_in_run_once("r", "field", 1)


def test_a_runs_item_is_replaced_or_made_once(table: RunTable) -> None:
    assert table.read_run(RUN_ID) is None
    assert table.write_new_run(RUN_ID, {"outcome": "Running", "score": 0.5, "steps": [1, 2.0], "none": None})
    assert not table.write_new_run(RUN_ID, {"outcome": "again"})
    found = table.read_run(RUN_ID)
    assert found == {
        "pipeline": "digits",
        "item": f"run#{RUN_ID}",
        "outcome": "Running",
        "score": 0.5,
        "steps": [1, 2],
        "none": None,
    }
    table.write_run(RUN_ID, {"outcome": "Promoted"})
    assert table.read_run(RUN_ID) == {"pipeline": "digits", "item": f"run#{RUN_ID}", "outcome": "Promoted"}


def test_a_field_is_set_once_and_removed_only_as_it_was(table: RunTable) -> None:
    assert not table.set_in_run_once(RUN_ID, "stopped_by", {"name": "a"}), "there is no such run"
    assert table.read_run(RUN_ID) is None
    table.write_run(RUN_ID, {})
    assert table.set_in_run_once(RUN_ID, "stopped_by", {"name": "a"})
    assert not table.set_in_run_once(RUN_ID, "stopped_by", {"name": "b"})
    assert not table.remove_from_run(RUN_ID, "stopped_by", {"name": "b"})
    assert (table.read_run(RUN_ID) or {})["stopped_by"] == {"name": "a"}
    assert table.remove_from_run(RUN_ID, "stopped_by", {"name": "a"})
    assert "stopped_by" not in (table.read_run(RUN_ID) or {})


def test_entries_are_appended_to_what_was_read(table: RunTable) -> None:
    assert not table.append_to_run(RUN_ID, "verdicts", [1], after=0), "there is no such run"
    table.write_run(RUN_ID, {})
    assert not table.append_to_run(RUN_ID, "verdicts", [1], after=1)
    assert table.append_to_run(RUN_ID, "verdicts", [1], after=0)
    assert not table.append_to_run(RUN_ID, "verdicts", [2], after=0), "somebody was first"
    assert table.append_to_run(RUN_ID, "verdicts", [2, 3], after=1)
    assert (table.read_run(RUN_ID) or {})["verdicts"] == [1, 2, 3]


# ---------------------------------------------------------------------------------------------------- content names


def test_a_sweep_takes_what_nobody_needs_and_nothing_of_others(aws: Aws) -> None:
    ours = [f"local-digits-{number:012x}" for number in range(5)]
    others = ["local-digits-forest-0123456789ab", "local-digits-short", "xlocal-digits-0123456789ab"]
    aws.sagemaker.configs = {name: [name] for name in [*ours, *others]}
    aws.sagemaker.models = [*ours, *others]
    needed = Needed(models=frozenset(ours[:1]), endpoint_configs=frozenset(ours[:1]))
    assert sweep(aws.client("sagemaker"), "local-digits-", needed) == [*ours[1:], *ours[1:]]
    assert list(aws.sagemaker.configs) == aws.sagemaker.models == [ours[0], *others]
    assert sweep(aws.client("sagemaker"), "local-digits-", needed) == []
    assert sweep(aws.client("sagemaker"), "local-digits-") == [ours[0], ours[0]]


@pytest.mark.parametrize(
    ("code", "message", "missing"),
    [
        ("ValidationException", 'Could not find endpoint "arn".', True),
        ("ResourceNotFound", "Requested resource not found.", True),
        ("ValidationException", "1 validation error detected", False),
        ("AccessDeniedException", "Could not find a policy that allows it", False),
    ],
)
def test_a_missing_thing_is_known_by_code_and_words(aws: Aws, code: str, message: str, missing: bool) -> None:
    error: Any = aws.client("sagemaker").error("describe_endpoint", code, message)
    assert is_missing(error) is missing


def test_an_error_without_words_is_no_missing_thing(aws: Aws) -> None:
    error: Any = aws.client("sagemaker").error("describe_endpoint", "ValidationException", "")
    del error.response["Error"]["Message"]
    assert not is_missing(error)


# ------------------------------------------------------------------------------------------- messages, times, the log


def test_a_message_is_json_with_a_subject_that_sns_takes() -> None:
    made = notification("dïgits: " + "x" * 200, {"a": 1}, {"outcome": "Failed"})
    assert made["Subject"] == "d?gits: " + "x" * 91
    assert len(made["Subject"]) == 99
    assert made["Message"] == '{\n  "a": 1\n}'
    assert made["MessageAttributes"] == {"outcome": {"DataType": "String", "StringValue": "Failed"}}


def test_a_log_line_is_json_with_what_was_bound(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 20, 10, 11, 12, 500, UTC))
    log = Log({"function": "f"}).bind(run_id="r")
    log.info("one", at=datetime(2026, 1, 1, tzinfo=UTC))
    log.warning("two")
    log.error("three", run_id="s")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    time = "2026-11-20T10:11:12.000Z"
    assert lines == [
        {
            "time": time,
            "level": "INFO",
            "event": "one",
            "function": "f",
            "run_id": "r",
            "at": "2026-01-01 00:00:00+00:00",
        },
        {"time": time, "level": "WARNING", "event": "two", "function": "f", "run_id": "r"},
        {"time": time, "level": "ERROR", "event": "three", "function": "f", "run_id": "s"},
    ]
    assert Log().fields == {}


def test_a_client_is_made_once(aws: Aws) -> None:
    assert clients.client("s3") is clients.client("s3") is aws.client("s3")
    assert clock.now().tzinfo is UTC


# ---------------------------------------------------------------------------------------------- what an item holds


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (1e300, "1e+300"),
        (float("nan"), "nan"),
        (1e-200, "1e-200"),
        (10**50, "an integer of 167 bits"),
        ("\ud800", "?"),
        (7.25, 7.25),
        (0.0, 0),
        (True, True),
    ],
)
def test_what_the_table_has_no_number_or_no_bytes_for_is_a_text(aws: Aws, value: Any, kept: Any) -> None:
    table = RunTable(aws.client("dynamodb"), "runs", "digits")
    table.write_run("r", {"figures": [value]})
    found = table.read_run("r")
    assert found is not None and found["figures"] == [kept]


def test_a_document_that_an_item_holds_is_left_as_it_is() -> None:
    document = {"a": "x" * 100_000, "b": [1] * 10_000}
    assert item_size.fitted(document) is document


def test_of_a_document_that_is_too_large_the_longest_texts_are_cut_first() -> None:
    document = {"short": "x" * 900, "long": "x" * 600_000}
    found = item_size.fitted(document)
    assert found["short"] == document["short"]
    assert len(found["long"]) == 20_000 and found["long"].endswith("… (600000 characters in all)")
    assert len(item_size.fitted({"all": ["x" * 3_000] * 5_000})["all"]) == 100
