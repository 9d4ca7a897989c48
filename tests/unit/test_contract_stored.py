"""Words by which a running job, a table, a bucket or a person's script of yesterday is read.

Who changes one of them changes what is stored or in flight: it takes a migration, not a rename.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from contract import (
    compiled,
    environment,
    files,
    functions,
    names,
    outcomes,
    refusals,
    rounds,
    run_table,
    shadows,
    states,
    triggers,
    tuning,
    verdicts,
)

STORED: dict[ModuleType, dict[str, Any]] = {
    compiled: {
        "MODEL_FILE": "model.onnx",
        "FIGURES_FILE": "compiled.json",
        "RUNTIME": "runtime",
        "FOLDER": "compiled",
        "TRAINED_MODEL_DATA": "trained_model_data",
        "SCRIPT": "compile.py",
        "REQUIREMENTS": "requirements-compiled.txt",
        "ONNX": "onnx",
    },
    environment: {
        "VALUE_LENGTH": 512,
        "ENVIRONMENT": "RATCHET_ENVIRONMENT",
        "PIPELINE": "RATCHET_PIPELINE",
        "RUN_ID": "RATCHET_RUN_ID",
        "PROBE": "RATCHET_PROBE",
        "TENSORS": "RATCHET_TENSORS",
        "RULES": "RATCHET_RULES",
        "MANAGED_RULES": "RATCHET_MANAGED_RULES",
        "STOP": "stop",
        "NOTIFY": "notify",
        "KEEP": "record",
        "TRAINING_JOB": "TRAINING_JOB_NAME",
        "OWN_RUN": "<run>",
        "OWN_JOB": "<job>",
    },
    files: {
        "RUNS": "runs/",
        "PLAN": "plan.json",
        "TRIALS": "trials.json",
        "GATE": "gate.json",
        "RECORD": "record.json",
        "MODEL_ARCHIVE": "model.tar.gz",
        "SOURCE_ARCHIVE": "sourcedir.tar.gz",
        "SPEC_FILE": "pipeline.yaml",
        "TRAINING_SCRIPT": "train.py",
        "SERVING_SCRIPT": "serve.py",
        "TOOLKIT": "toolkit",
        "CONTRACT": "contract",
        "TRAIN": "train",
        "CHECKPOINTS": "train/checkpoints",
        "DEBUGGER": "train/debugger",
        "TENSORS": "train/tensors",
        "RULES": "rules",
        "EVALUATION_FOLDER": "evaluation",
        "EVALUATION": "evaluation/evaluation.json",
        "CODE_INPUT": "code",
        "TEST_INPUT": "test",
        "CHALLENGER_INPUT": "challenger",
        "CHAMPION_INPUT": "champion",
        "TEST_CHANNEL": "test",
        "PREVIOUS_CHANNEL": "previous",
    },
    functions: {
        name: name
        for name in (
            *("RUN_TABLE", "DATA_BUCKET", "ARTIFACT_BUCKET", "TOPIC_ARN", "RETAINED_CHAMPIONS", "PIPELINE"),
            *("STATE_MACHINE_ARN", "CHANNEL_PREFIXES", "DEAD_LETTERS_URL", "ENVIRONMENT"),
        )
    },
    names: {
        "TRAIN_STEP": "train",
        "EVALUATE_STEP": "evaluate",
        "TUNE_STEP": "tune",
        "ANY_RUN_TOKEN": "??????????",
        "ANY_TRIAL": "???-????????",
        "ANY_RUN_ID": "????????-??????-????",
        "ANY_CONTENT_HASH": "????????????",
        "SHARED": "shared",
        "ENVIRONMENT_TAG": "ratchet:environment",
        "PIPELINE_TAG": "ratchet:pipeline",
        "RUN_TAG": "ratchet:run",
    },
    outcomes: {
        "RUNNING": "Running",
        "PROMOTED": "Promoted",
        "NOT_BETTER": "NotBetter",
        "UP_TO_DATE": "UpToDate",
        "WAITS_FOR_DATA": "WaitsForData",
        "IDLE": ("UpToDate", "WaitsForData"),
        "ROLLED_BACK": "RolledBack",
        "STOPPED": "Stopped",
        "STOPPED_BY_RULE": "StoppedByRule",
        "NOT_APPROVED": ("Rejected", "Expired", "Superseded"),
        "FAILED": "Failed",
        "UNSUCCESSFUL": {"RolledBack", "Stopped", "StoppedByRule", "Failed"},
        "WORK": "Run",
        "ROLLBACK": "Rollback",
    },
    refusals: {
        "MISSING": ("could not find", "does not exist", "not found"),
        "EXISTING": "already exist",
        "THROTTLED": ("Throttling", "Rate exceeded"),
    },
    rounds: {
        "AGAIN": "again",
        "EVALUATE": "evaluate",
        "FAILED": "failed",
        "BY_RULE": "rule",
        "BY_TOLERANCE": "tolerance",
        "LAST": "last",
        "NOT_MEASURED_ERROR": "RoundNotMeasured",
    },
    run_table: {
        "PARTITION_KEY": "pipeline",
        "SORT_KEY": "item",
        "STATE_ITEM": "state",
        "RUN_ITEMS": "run#",
        "RUNNING": "running",
        "PENDING": "pending",
        "CHAMPION": "champion",
        "PREVIOUS_CHAMPION": "previous_champion",
        "LAST_AT": "last_at",
        "HELD": "held",
        "STOPPED_BY": "stopped_by",
        "RULE_VERDICTS": "rule_verdicts",
        "ENDS": "ends",
        "UNFINISHED": "unfinished",
    },
    states: {
        "MILESTONES": (
            *(
                "Settle",
                "Plan",
                "Tune",
                "Train",
                "Compile",
                "Evaluate",
                "Gate",
                "Register",
                "Approve",
                "Deploy",
                "Shadow",
                "Compare",
                "Verify",
                "Answer",
                "Record",
            ),
        ),
        "REPAIRS": ("Record", "Undo", "Autoscale", "NotRecorded"),
        "VARIABLES": (
            *("run", "plan", "training", "evaluation", "decision", "package", "candidate", "deployment"),
            *("verification", "repaired", "failure", "outcome"),
        ),
        "BUSY_ERROR": "BusyError",
    },
    shadows: {"SHADOW": "shadow", "SHADOW_VARIANT": "Shadow", "AGREES": "agrees", "SKIPPED": "skipped"},
    triggers: {
        "KINDS": ("repair", "rollback", "manual", "drift", "code", "schedule", "data"),
        "BY": "by",
        "TO": "to",
        "AFTER": "after",
        "ROLLBACK_REFUSED_ERROR": "RollbackRefusedError",
        "RECONCILE": "reconcile",
        "STARTED": "started",
        "WAITING": "pending",
        "IDLE": "idle",
    },
    tuning: {
        "EVALUATE": "evaluate",
        "FAILED": "failed",
        "GREATER": "greater",
        "LESS": "less",
        "TUNING": "tuning",
        "TUNED": "tuned",
        "UNTUNED": "untuned",
        "ADOPTED": "adopted",
        "NO_TRIAL_ERROR": "NoTrialSucceeded",
    },
    verdicts: {
        "SOURCE": "ratchet.rules",
        "SAGEMAKER_SOURCE": "aws.sagemaker",
        "DETAIL_TYPE": "SageMaker Training Job State Change",
        "METRICS_NAMESPACE": "Ratchet/Rules",
        "IN_PROGRESS": "InProgress",
        "NO_ISSUES": "NoIssuesFound",
        "ISSUES_FOUND": "IssuesFound",
        "ERROR": "Error",
        "STOPPED": "Stopped",
        "EVALUATING": ("InProgress", "Stopping"),
    },
}


WORDS = [(module, name) for module, words in STORED.items() for name in words]


@pytest.mark.parametrize(("module", "name"), WORDS, ids=lambda entry: getattr(entry, "__name__", entry))
def test_a_word_that_is_stored_stays(module: ModuleType, name: str) -> None:
    assert getattr(module, name) == STORED[module][name]
