"""The environment variables by which the state machine tells a training job whose it is, and what watches it.

The jobs of a tuning job have one environment, which is the same in every run, since SageMaker lets it not change where
a tuning job has parents (aws/sagemaker-python-sdk #3693). What is a trial's own stands there as OWN_RUN and OWN_JOB.

A value has at most 512 characters (CreateTrainingJob, API reference, TrainingEnvironmentValue). A longer document goes
on in `<NAME>_1`, `<NAME>_2`, …
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from contract import names

VALUE_LENGTH = 512

ENVIRONMENT, PIPELINE, RUN_ID = "RATCHET_ENVIRONMENT", "RATCHET_PIPELINE", "RATCHET_RUN_ID"
# Of a run that trains several candidates (candidates.py): the name of this one.
CANDIDATE = "RATCHET_CANDIDATE"
# The probe's settings, and a folder for its tensors where the job isn't SageMaker's.
PROBE, TENSORS = "RATCHET_PROBE", "RATCHET_TENSORS"
# The rules that judge beside the script, and those that SageMaker Debugger evaluates: a JSON list of
# {"rule", "name", "parameters", "action"} each.
RULES, MANAGED_RULES = "RATCHET_RULES", "RATCHET_MANAGED_RULES"

# The views that are drawn beside the script: a JSON list of {"view", "name", "every", "parameters"} each (views.py).
VIEWS = "RATCHET_VIEWS"

# Where the rules beside the script write what they have found (S3 URI); without it they tell nobody who would act.
VERDICTS = "RATCHET_VERDICTS"

# SageMaker's own: the training job's name ("Environment variables", SageMaker Training Toolkit).
TRAINING_JOB = "TRAINING_JOB_NAME"
# In a trial's variables: its run's id, and its job's name.
OWN_RUN, OWN_JOB = "<run>", "<job>"

STOP, NOTIFY, KEEP = "stop", "notify", "record"
ACTIONS = (STOP, NOTIFY, KEEP)


def pieces(name: str, text: str, first: int = VALUE_LENGTH) -> dict[str, str]:
    """A text as variables: `first` characters under its name, the rest in pieces of 512 under numbered names."""
    rest = text[first:]
    parts = [rest[start : start + VALUE_LENGTH] for start in range(0, len(rest), VALUE_LENGTH)]
    numbered = {f"{name}_{number}": part for number, part in enumerate(parts, start=1)}
    return {name: text[:first], **numbered}


def whole(name: str, environment: Mapping[str, str]) -> str | None:
    """The text that `pieces` has cut; None where the variable isn't set."""
    if name not in environment:
        return None
    parts, number = [environment[name]], 1
    while f"{name}_{number}" in environment:
        parts.append(environment[f"{name}_{number}"])
        number += 1
    return "".join(parts)


def of_this_job(name: str, environment: Mapping[str, str]) -> str | None:
    """A variable's whole text as the job that has it reads it: a trial with its own names."""
    text, job = whole(name, environment), environment.get(TRAINING_JOB, "")
    run_id = names.run_of_trial(job)
    return text if text is None or run_id is None else text.replace(OWN_RUN, run_id).replace(OWN_JOB, job)


def compact(document: Any) -> str:
    """JSON without a space, since variables are short."""
    return json.dumps(document, separators=(",", ":"))


def rules(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rules of a training job, by its environment.

    Raises:
        ValueError: the variables hold something else; the message names the variable.
    """
    found: list[dict[str, Any]] = []
    for name in (RULES, MANAGED_RULES):
        found += _rules(name, whole(name, environment) or "[]")
    return found


def judged_by_debugger(environment: Mapping[str, str]) -> bool:
    """Whether SageMaker Debugger evaluates a training job's rules."""
    return MANAGED_RULES in environment


def _rules(name: str, text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not JSON: {error}") from error
    if not isinstance(document, list) or not all(isinstance(rule, dict) for rule in document):
        raise ValueError(f"{name} is no list of rules")
    for rule in document:
        if rule.get("action") not in ACTIONS:
            raise ValueError(f"{name}: {rule.get('name')} has the action {rule.get('action')!r}, not {ACTIONS}")
    return document
