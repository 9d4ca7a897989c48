"""A made-up run as AWS and the run table would tell of it: its history, its machine and its record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from contract import histories
from ratchet import curves, report, run_logs, runs

START = datetime(2026, 11, 20, 16, 0, tzinfo=UTC)
RUN_ID = "20261120-160000-ab12"
HOSTILE = "<script>alert('cause')</script>"

MACHINE: dict[str, Any] = {
    "StartAt": "Begin",
    "States": {
        "Begin": {"Type": "Pass", "Next": "Settle"},
        "Settle": {"Type": "Task", "Next": "Settled"},
        "Settled": {"Type": "Choice", "Choices": [{"Next": "Plan"}], "Default": "Quiet"},
        "Quiet": {"Type": "Wait", "Next": "Settle"},
        "Plan": {"Type": "Task", "Next": "Planned", "Catch": [{"Next": "Record"}]},
        "Planned": {"Type": "Choice", "Choices": [{"Next": "Record"}], "Default": "Train"},
        "Train": {"Type": "Task", "Next": "Evaluate", "Catch": [{"Next": "Record"}]},
        "Evaluate": {"Type": "Task", "Next": "Gate", "Catch": [{"Next": "Record"}]},
        "Gate": {"Type": "Task", "Next": "Register"},
        "Register": {"Type": "Task", "Next": "Better"},
        "Better": {"Type": "Choice", "Choices": [{"Next": "Deploy"}], "Default": "Record"},
        "Deploy": {"Type": "Task", "Next": "Verify", "Catch": [{"Next": "Undo"}]},
        "Verify": {"Type": "Task", "Next": "Verified"},
        "Verified": {"Type": "Choice", "Choices": [{"Next": "Record"}], "Default": "Undo"},
        "Undo": {"Type": "Task", "Next": "Record"},
        "Record": {"Type": "Task", "Next": "Recorded"},
        "Recorded": {"Type": "Choice", "Choices": [{"Next": "Failed"}], "Default": "Done"},
        "Done": {"Type": "Succeed"},
        "Failed": {"Type": "Fail"},
    },
}
PROMOTED = [
    *("Begin", "Settle", "Settled", "Quiet", "Settle", "Settled", "Plan", "Planned", "Train", "Evaluate"),
    *("Gate", "Register", "Better", "Deploy", "Verify", "Verified", "Record", "Recorded", "Done"),
]
ROLLED_BACK = [*PROMOTED[: PROMOTED.index("Record")], "Undo", "Record", "Recorded", "Done"]
FAILED = ["Begin", "Settle", "Settled", "Plan", "Planned", "Train", "Record", "Recorded", "Failed"]
LOG = tuple(
    run_logs.Line(START, f"digits-forest-{RUN_ID}-train/algo-1", message, str(number))
    for number, message in enumerate(("epoch 1 of 3", "Traceback (most recent call last):", f"ValueError: {HOSTILE}"))
)
LABELS = ("0", "1", "2", "a label that is much longer than the others")
ANSWERS: dict[str, Any] = {
    "classes": [
        {
            "label": label,
            "examples": 135,
            **{who: {"precision": 0.97, "recall": 0.96, "f1": 0.965} for who in ("challenger", "champion")},
        }
        for label in LABELS
    ],
    "confusion": {
        "labels": LABELS,
        "challenger": [[131, 2, 2, 0], [0, 134, 0, 1], [3, 0, 130, 2], [0, 0, 0, 135]],
        "champion": [[126, 5, 4, 0], [0, 131, 3, 1], [6, 1, 126, 2], [1, 1, 1, 132]],
    },
    "differing": {
        "count": 31,
        "better": 21,
        "worse": 9,
        "examples": [
            {"example": "a.csv:17", "asked": "0,1,5," * 20, "label": "0", "challenger": "1", "champion": "0"},
            {"example": "a.csv:180", "asked": HOSTILE, "label": LABELS[3], "challenger": LABELS[3], "champion": "2"},
        ],
    },
}
RESIDUALS: dict[str, Any] = {
    "residuals": {
        "truth": [float(number) for number in range(60)],
        "challenger": [number + (number * 7 % 11 - 5) / 2 for number in range(60)],
        "champion": [number + number * 13 % 17 - 8.0 for number in range(60)],
    },
    "differing": {"count": 60, "better": 40, "worse": 20, "examples": []},
}
CURVES = tuple(
    curves.Point(name, mode, step, 2.3 / (1 + step / 20) + (step * 7919 % 13) / 40 + (0.2 if mode == "eval" else 0.0))
    for name in ("loss/CrossEntropyLoss", "metric/accuracy")
    for mode, every in (("train", 1), ("eval", 25))
    for step in range(0, 400, every)
)
SECONDS = {"Quiet": 2.0, "Plan": 0.3, "Train": 2.4, "Evaluate": 1.8}


class _Events:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.now = START

    def add(self, kind: str, key: str = "", **details: Any) -> None:
        event: dict[str, Any] = {"type": kind, "timestamp": self.now, "id": len(self.events) + 1}
        if key:
            event[key] = details
        self.events.append(event)


def events(path: Sequence[str], *, failing: str = "", ended: bool = True) -> list[dict[str, Any]]:
    """GetExecutionHistory's events of a way through MACHINE, in which the task `failing` fails."""
    made = _Events()
    made.add("ExecutionStarted")
    for name in path:
        _state(made, name, fails=name == failing)
    if ended:
        made.add("ExecutionFailed" if failing else "ExecutionSucceeded")
    return made.events


def _state(made: _Events, name: str, *, fails: bool) -> None:
    kind = MACHINE["States"][name]["Type"]
    made.add(f"{kind}StateEntered", "stateEnteredEventDetails", name=name, input="{}")
    if kind == "Task":
        made.add(
            "TaskScheduled", "taskScheduledEventDetails", resource="invoke", parameters=f'{{"FunctionName": "{name}"}}'
        )
    made.now += timedelta(seconds=SECONDS.get(name, 0.02))
    if fails:
        made.add("TaskFailed", "taskFailedEventDetails", error="AlgorithmError", cause=HOSTILE)
    elif kind == "Task":
        made.add("TaskSucceeded", "taskSucceededEventDetails")
    if kind != "Fail":
        made.add(f"{kind}StateExited", "stateExitedEventDetails", name=name, output="{}")


def record(**changes: Any) -> dict[str, Any]:
    """The run table's item of a promoted run."""
    package = "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-digits-forest"
    return {
        "pipeline": "digits-forest",
        "item": f"run#{RUN_ID}",
        "run_id": RUN_ID,
        "outcome": "Promoted",
        "trigger": {"kind": "data", "at": START.isoformat()},
        "started_at": START.isoformat(),
        "ended_at": (START + timedelta(seconds=7)).isoformat(),
        "fingerprint": "9f" * 32,
        "code_hash": "1a" * 32,
        "spec_hash": "b7" * 32,
        "data": {"objects": 2, "bytes": 123456},
        "execution_arn": f"arn:aws:states:us-east-1:000000000000:execution:machine:{RUN_ID}",
        "jobs": {"train": f"digits-forest-{RUN_ID}-train", "evaluate": f"digits-forest-{RUN_ID}-evaluate"},
        "evaluation": {
            "metric": "f1_macro",
            "examples": 540,
            "challenger": {"score": 0.9712},
            "champion": {"score": 0.9523},
            "difference": 0.0189,
            "interval": [0.0061, 0.0324],
            "confidence": 0.95,
            "resamples": 2000,
            "seed": 1,
            "metrics": {"accuracy": 0.972, "balanced_accuracy": 0.9698, "f1_macro": 0.9712},
        },
        "decision": {"promote": True, "reason": "better than the champion", "minimum": 0.9, "beat_champion_by": 0.0},
        "champion_before": {
            "run_id": "20261119-1",
            "score": 0.9523,
            "metric": "f1_macro",
            "model_package_arn": package + "/1",
        },
        "champion_after": {
            "run_id": RUN_ID,
            "score": 0.9712,
            "metric": "f1_macro",
            "model_package_arn": package + "/2",
        },
        "hyperparameters": {"n-estimators": "100", "min-samples-leaf": "2"},
        "metrics": {"validation:f1": 0.9668, "seconds": 2.25},
        **changes,
    }


def failed_record() -> dict[str, Any]:
    """The run table's item of a run whose training failed; what it never reached isn't there."""
    error = {"state": "Train", "error": "AlgorithmError", "cause": HOSTILE}
    kept = ("pipeline", "item", "run_id", "trigger", "started_at", "ended_at", "execution_arn", "jobs")
    whole = record()
    return {**{name: whole[name] for name in kept}, "outcome": "Failed", "error": error}


def promoted_sources() -> report.Sources:
    """Everything that a promoted run's report is made from."""
    objects = (
        {"channel": "test", "key": "digits/test/a.csv", "version_id": "v-test", "etag": "y", "bytes": 23456},
        {"channel": "train", "key": "digits/train/a.csv", "version_id": "v-train", "etag": "x", "bytes": 100000},
    )
    execution = histories.of_events(events(PROMOTED))
    return report.Sources(
        runs.of_item(record()),
        "local",
        "000000000000",
        "us-east-1",
        execution,
        MACHINE,
        objects,
        answers=ANSWERS,
        curve_points=CURVES,
    )


def rolled_back_record() -> dict[str, Any]:
    """The run table's item of a run whose endpoint answered otherwise than the evaluation."""
    wrong = "example 3 of 5: answered '1', not '7'"
    return record(
        outcome="RolledBack",
        champion_after=record()["champion_before"],
        error={"state": "Verify", "error": "VerificationFailed", "cause": wrong},
        verification={"verified": False, "reason": wrong, "asked": 2},
    )


def shadowed_record() -> dict[str, Any]:
    """The run table's item of a run whose challenger disagreed as a shadow."""
    why = "80 % of its answers are the champion's, and the spec wants 95 %: 2 of 10 differ (events e1, e2)"
    examples = [
        {"event_id": "e1", "served": "cat", "shadow": HOSTILE},
        {"event_id": "e2", "served": "0", "shadow": "1"},
    ]
    figures = {"pairs": 10, "differ": 2, "unpaired": 0, "copies": 11, "errors": 1, "examples": examples}
    return record(
        outcome="RolledBack",
        champion_after=record()["champion_before"],
        error={"state": "Compare", "error": "ShadowDisagrees", "cause": f"as a shadow: {why}"},
        shadow={"agrees": False, "reason": why, **figures},
    )


def rolled_back_sources() -> report.Sources:
    """Everything that the report of a run is made from that was rolled back after Verify, whose task went well."""
    execution = histories.of_events(events(ROLLED_BACK))
    return report.Sources(runs.of_item(rolled_back_record()), "local", "000000000000", "us-east-1", execution, MACHINE)


def failed_sources() -> report.Sources:
    """Everything that a failed run's report is made from."""
    execution = histories.of_events(events(FAILED, failing="Train"))
    return report.Sources(
        runs.of_item(failed_record()), "local", "000000000000", "us-east-1", execution, MACHINE, log=LOG
    )
