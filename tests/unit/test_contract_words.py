"""Outcomes in sentences, verdicts, triggers, refusals, times, a run's files and the run table's keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from common.state import State

from contract import files, names, outcomes, refusals, run_table, states, times, triggers, verdicts

RUN_ID = "20261120-101112-abcd"
VERDICT = {"name": "A", "rule": "Overfit", "step": 10, "reason": "too much"}

# ---------------------------------------------------------------------------------------------------------- outcomes


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (
            {"outcome": "Promoted", "decision": {"reason": "better by 0.1"}},
            "digits has a new champion (better by 0.1). Run r.",
        ),
        (
            {"outcome": "NotBetter", "decision": {"reason": "not better"}},
            "digits keeps its champion: not better. Run r.",
        ),
        ({"outcome": "UpToDate", "reason": "no news"}, "digits is up to date: no news. Run r."),
        ({"outcome": "WaitsForData", "reason": "none in test"}, "digits waits for data: none in test. Run r."),
        (
            {"outcome": "RolledBack", "error": {"state": "AwaitEndpoint", "cause": "an alarm"}},
            "digits keeps its champion: the deployment was rolled back (AwaitEndpoint: an alarm). Run r.",
        ),
        (
            {"outcome": "Stopped", "error": {"state": "Train", "cause": "by hand"}},
            "digits keeps its champion: the run was stopped (Train: by hand). Run r.",
        ),
        (
            {"outcome": "StoppedByRule", "stopped_by": VERDICT},
            "digits keeps its champion: the rule A stopped training at step 10: too much. Run r.",
        ),
        (
            {"outcome": "Failed", "decision": None, "error": {"state": "Plan", "cause": "no data"}},
            "digits keeps its champion: the run failed (Plan: no data). Run r.",
        ),
    ],
)
def test_every_outcome_is_told_in_a_sentence(record: dict[str, Any], said: str) -> None:
    assert outcomes.sentence({"pipeline": "digits", "run_id": "r", **record}) == said


def test_no_outcome_is_forgotten() -> None:
    for outcome in outcomes.OUTCOMES:
        assert outcomes.sentence({"pipeline": "p", "run_id": "r", "outcome": outcome}).endswith(". Run r.")
    assert set(outcomes.OUTCOMES) > outcomes.UNSUCCESSFUL
    assert outcomes.RUNNING not in outcomes.OUTCOMES


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (VERDICT, "A at step 10: too much"),
        ({**VERDICT, "step": 0}, "A at step 0: too much"),
        ({**VERDICT, "step": None}, "A: too much"),
        ({"name": "A"}, "A: "),
        ({"reason": "r"}, "a rule: r"),
        ({}, ""),
        (None, ""),
        ("text", ""),
    ],
)
def test_the_rule_that_stopped_training_is_told(verdict: Any, said: str) -> None:
    assert outcomes.stopped_by({"stopped_by": verdict}) == said
    assert outcomes.stopped_by({}) == ""


# ---------------------------------------------------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ('{"step": 7, "value": 0.5, "reason": "r"}', {"step": 7, "value": 0.5, "reason": "r"}),
        ("{}", {}),
        ("", {}),
        (None, {}),
        (
            "RuleEvaluationConditionMet: Evaluation of the rule A at step 500 resulted in the condition being met\n",
            {
                "reason": "RuleEvaluationConditionMet: Evaluation of the rule A at step 500 resulted in the condition"
                " being met",
                "step": 500,
            },
        ),
        ("InternalServerError: at step 5", {"reason": "InternalServerError: at step 5"}),
        ("[1]", {"reason": "[1]"}),
        ("5", {"reason": "5"}),
    ],
)
def test_what_a_status_says_is_read_from_json_and_from_debuggers_words(text: str | None, details: Any) -> None:
    assert verdicts.details(text) == details


# ---------------------------------------------------------------------------------------------- triggers, refusals


def test_a_triggers_message_says_only_what_there_is_to_say() -> None:
    assert triggers.message("manual") == {"kind": "manual"}
    assert triggers.message("code", {"code_hash": "c"}) == {"kind": "code", "detail": {"code_hash": "c"}}
    assert triggers.message("manual", {}, forced=True) == {"kind": "manual", "forced": True}
    assert triggers.message("manual", supersede=True) == {"kind": "manual", "supersede": True}


def test_a_repair_goes_before_all_others_and_data_last() -> None:
    assert (*triggers.KINDS[:2], triggers.KINDS[-1]) == (triggers.REPAIR, triggers.ROLLBACK, triggers.DATA)
    assert triggers.KINDS[:2] == triggers.WITHOUT_DATA
    assert triggers.RECONCILE not in triggers.KINDS


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        ('Could not find endpoint "arn:aws:sagemaker:us-east-1:123456789012:endpoint/e".', True),
        ("Requested resource not found.", True),
        ("ModelPackageGroup arn does not exist.", True),
        ("Stack with id x does not exist", True),
        ("COULD NOT FIND IT", True),
        (ValueError("Requested resource not found."), True),
        ("Cannot create already existing model", False),
        ("User is not authorized to perform: sagemaker:DescribeEndpoint", False),
        ("", False),
    ],
)
def test_what_is_missing_is_known_by_its_phrases(message: object, missing: bool) -> None:
    assert refusals.says_missing(message) is missing


# -------------------------------------------------------------------------------------------------------------- times


def test_times_are_utc_with_milliseconds() -> None:
    at = datetime(2026, 11, 26, 14, 35, 15, 678_999, tzinfo=UTC)
    assert times.text(at) == "2026-11-26T14:35:15.678Z"
    assert times.text(at.astimezone(timezone(timedelta(hours=-7)))) == "2026-11-26T14:35:15.678Z"
    assert times.moment(times.text(at)) == at.replace(microsecond=678_000)


@pytest.mark.parametrize("value", ["yesterday", "", None, 5, {"at": "now"}])
def test_what_is_no_time_is_none(value: object) -> None:
    assert times.moment(value) is None


# ------------------------------------------------------------------------------------------------------ a run's files


def test_a_runs_folder_is_below_its_pipelines() -> None:
    assert files.run_folder("digits", RUN_ID) == f"runs/digits/{RUN_ID}/"
    assert files.run_folder("digits", RUN_ID).startswith(files.runs_folder("digits"))


def test_files_have_the_names_that_the_page_says() -> None:
    assert (files.manifest("train"), files.versions("train")) == (
        "manifests/train.manifest",
        "manifests/train.versions.json",
    )
    assert files.EVALUATION == "evaluation/evaluation.json"
    assert (files.PLAN, files.GATE, files.RECORD) == ("plan.json", "gate.json", "record.json")


def test_a_rounds_folders_are_its_own() -> None:
    assert files.of_round(files.CHECKPOINTS, None) == "train/checkpoints"
    assert files.of_round(files.CHECKPOINTS, 2) == "train/checkpoints/round-2"
    assert files.rules_folder(files.TENSORS) == "train/tensors/rules/"
    assert files.rules_folder(files.of_trial(files.TENSORS, "j-001")) == "train/tensors/j-001/rules/"
    assert files.rules_folder(files.of_round(files.TENSORS, 3)) == "train/tensors/round-3/rules/"


# ------------------------------------------------------------------------------------------------------ the run table


def test_an_items_key_is_the_pipeline_and_the_item() -> None:
    assert run_table.key("digits", run_table.STATE_ITEM) == {"pipeline": {"S": "digits"}, "item": {"S": "state"}}
    assert run_table.run_item(RUN_ID) == f"run#{RUN_ID}"
    assert run_table.run_id_of(run_table.run_item(RUN_ID)) == RUN_ID
    assert run_table.run_id_of("state") == "state"


def test_the_states_fields_are_those_that_others_read() -> None:
    read = (run_table.RUNNING, run_table.PENDING, run_table.CHAMPION, run_table.PREVIOUS_CHAMPION)
    assert set(read) < State.__dataclass_fields__.keys()


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Decimal("3"), 3),
        (Decimal("3.5"), 3.5),
        (Decimal("1E+2"), 100),
        ({"a": [Decimal(1), (Decimal("0.5"),)]}, {"a": [1, [0.5]]}),
        ({"b"}, ["b"]),
        (frozenset({Decimal(1)}), [1]),
        ("text", "text"),
        (None, None),
        (True, True),
    ],
)
def test_a_value_of_the_table_becomes_plain(value: Any, plain: Any) -> None:
    found = run_table.plain(value)
    assert found == plain
    assert type(found) is type(plain)


def test_the_words_do_not_clash() -> None:
    """A name that says two things is wrong in one of its places."""
    assert len({*names.STEPS}) == len(names.STEPS)
    assert len({*states.VARIABLES}) == len(states.VARIABLES)
    assert states.BUSY_ERROR.endswith("Error")
