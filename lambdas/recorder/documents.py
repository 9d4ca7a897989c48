"""The documents that the recorder writes: pure functions of what the state machine sends and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common import notification as topic
from common.json_values import storable
from common.state import State

from contract import environment, evaluations, files, outcomes, states, thresholds, triggers
from contract.approvals import APPROVAL
from contract.awaiting import ON_ITS_WAY
from contract.batches import BATCH
from contract.candidates import CANDIDATE, CANDIDATES
from contract.causes import CAUSE_LENGTH, outcome_of, readable
from contract.chains import CHAIN
from contract.compiled import COMPILING, TRAINED_MODEL_DATA
from contract.other_champions import OTHER_CHAMPIONS
from contract.run_table import RULE_VERDICTS, STOPPED_BY, UNFINISHED
from contract.scaling import SCALING
from contract.shadows import SHADOW, SKIPPED
from contract.tuning import TUNED, TUNING, UNTUNED
from recorder import candidate_figures, spot_figures, training_figures
from recorder.rule_verdicts import rule_verdicts

Document = dict[str, Any]

_NO_CHAMPION = "no champion served whose answers there were to compare with"
_WENT_BACK = "a person went back to a model that has served before"
_SAME_MODEL = "it is the champion's own model"
_OF_A_CHAIN = "SageMaker has no shadows of models with several containers"
_WORK = ("fingerprint", "code_hash", "spec_hash", "image_uri", "data", OTHER_CHAMPIONS)
_CHAMPION = ("run_id", "model_package_arn", "model_data", "image_uri", "score", "metric", "fingerprint")


def outcome(event: Mapping[str, Any]) -> str:
    """The outcome that the machine names, or the meaning of its failure."""
    if event["outcome"]:
        return str(event["outcome"])
    return outcome_of(event["failure"])


def champion(event: Mapping[str, Any], at: str) -> Document:
    """The candidate as the champion that it became."""
    candidate = event["candidate"]
    kept = {key: candidate[key] for key in _CHAMPION}
    some = {key: candidate[key] for key in (TUNED, thresholds.KEPT, CHAIN, TRAINED_MODEL_DATA) if candidate.get(key)}
    return {**kept, **some, **event["deployment"], "promoted_at": at}


def run_record(  # noqa: PLR0913 - everything that a record is made of
    event: Mapping[str, Any],
    *,
    begun: Mapping[str, Any],
    state: State,
    evaluation: Mapping[str, Any] | None,
    rules: Sequence[Mapping[str, Any]] = (),
    timings: Mapping[str, float],
    trials: Sequence[Mapping[str, Any]] = (),
    batch: Mapping[str, Any] | None = None,
    at: str,
) -> Document:
    """The run's item in the run table, and record.json. Fields that a run didn't come to are absent."""
    run, plan = event["run"], event["plan"] or {}
    record = {
        **{name: value for name, value in begun.items() if name not in ON_ITS_WAY},
        "run_id": run["run_id"],
        "pipeline": run["pipeline"],
        "outcome": outcome(event),
        **_asked(run, plan),
        "repaired": event.get("repaired"),
        "ended_at": at,
        "execution_arn": event["execution_arn"],
        **{name: plan.get(name) for name in _WORK},
        **_trained(event, rules, begun, timings),
        CANDIDATES: candidate_figures.figures(event, evaluation, begun.get(RULE_VERDICTS, ())),
        **_tuned(event, plan, trials),
        "evaluation": _without_samples(evaluation),
        APPROVAL: _approval(event, begun),
        "model_package_arn": event["package"],
        **{name: event[name] for name in ("decision", "candidate", "deployment", "verification")},
        **_afterwards(event, batch),
        "champion_before": plan.get("champion"),
        "champion_after": state.champion,
        "error": _error(event),
        "timings": dict(timings),
    }
    return {name: value for name, value in record.items() if value is not None}


def _asked(run: Mapping[str, Any], plan: Mapping[str, Any]) -> Document:
    """Why there is the run: what it was started with, as the planner has understood it where there was one."""
    return {
        "trigger": run["trigger"],
        "forced": plan.get("forced", run["forced"]),
        "supersede": plan.get("supersede", run.get("supersede")) or None,
        "reason": plan.get("reason"),
    }


def _error(event: Mapping[str, Any]) -> Document | None:
    """What the run has failed of; where no candidate has left a model each one's reason is told."""
    failure = event["failure"]
    if not failure:
        return None
    told = readable(failure)
    if event.get(CANDIDATES) and failure["state"] == states.TRAIN:
        each = candidate_figures.figures(event, None, ()) or ()
        why = "\n".join(f"{one[CANDIDATE]}: {one.get('failure')}" for one in each)
        told["cause"] = f"no candidate has left a model:\n{why}"[:CAUSE_LENGTH]
    return told


def with_trouble(record: Mapping[str, Any], trouble: Sequence[str]) -> Document:
    """The record, with what couldn't be done after the run as its error, behind one that is there already."""
    if not trouble:
        return dict(record)
    before = [record["error"]["cause"]] if record.get("error") else []
    cause = "; and ".join([*before, *trouble])
    return {**record, "error": {"state": states.RECORD, "error": "AfterwardsFailed", "cause": cause}}


def finished(record: Mapping[str, Any]) -> Document:
    """The record of a run that the launcher has recorded, with nothing but its own error."""
    left_out = (UNFINISHED, "error", "item")
    return {**{name: value for name, value in record.items() if name not in left_out}, **record[UNFINISHED]}


def told(record: Mapping[str, Any]) -> Document:
    """What the machine told of a recorded run, as far as the registry and the housekeeping ask."""
    return {
        "run": {"run_id": record["run_id"], "pipeline": record["pipeline"], "trigger": record["trigger"]},
        "plan": {"champion": record.get("champion_before")},
        "decision": record.get("decision"),
        "candidate": record.get("candidate"),
        "package": record.get("model_package_arn"),
        "deployment": record.get("deployment"),
        "failure": record.get("error"),
    }


def _trained(
    event: Mapping[str, Any],
    rules: Sequence[Mapping[str, Any]],
    begun: Mapping[str, Any],
    timings: Mapping[str, float],
) -> Document:
    """The jobs that were started, and how training went."""
    return {
        "jobs": {state.lower(): name for state, name in event["jobs"].items() if state in timings},
        "instances": _instances(event) or None,
        "hosts": _hosts(event),
        **training_figures.figures(event["training"], event["failure"], event.get("rounds")),
        "rounds": event.get("rounds"),
        "compiled": (event.get(COMPILING) or {}).get("said"),
        "spot": spot_figures.figures(
            event["training"], event["failure"], event.get("rounds") or candidate_figures.rows(event)
        ),
        "rules": _judged(event, rules, begun) or None,
    }


def _instances(event: Mapping[str, Any]) -> Document:
    """On which instance type each job ran: pipeline.yaml may name several."""
    jobs = {"train": event["training"], "compile": event.get(COMPILING), "evaluate": event["evaluation"]}
    return {step: job["instance"] for step, job in jobs.items() if job and job.get("instance")}


def _hosts(event: Mapping[str, Any]) -> int | None:
    """How many hosts have trained, of a training on several."""
    hosts = (event["training"] or {}).get("hosts") or 1
    return hosts if hosts > 1 else None


def _tuned(event: Mapping[str, Any], plan: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> Document:
    """What the run's tuning job came to, or why the run trained without one."""
    tuning = event.get(TUNING)
    return {TUNING: {**tuning, "trials": list(trials)} if tuning else None, UNTUNED: plan.get(UNTUNED)}


def _approval(event: Mapping[str, Any], begun: Mapping[str, Any]) -> Document | None:
    """What a person said of its model, and in which time; without the token, which is good for nothing any more."""
    known = {**(begun.get(APPROVAL) or {}), **(event.get(APPROVAL) or {})}
    kept = ("status", "reason", "since", "until")
    return {name: known[name] for name in kept if name in known} or None


def _afterwards(event: Mapping[str, Any], batch: Mapping[str, Any] | None) -> Document:
    """What comes beside a deployment: the batch that was answered, the shadow before, how the endpoint is scaled."""
    return {BATCH: dict(batch) if batch else None, SHADOW: _shadow(event), SCALING: _scaling(event)}


def _shadow(event: Mapping[str, Any]) -> Document | None:
    """What a challenger's answers as a shadow came to, or why it was none; None where the spec wants no shadow."""
    if event.get(SHADOW) or SHADOW not in event or not event["deployment"]:
        return event.get(SHADOW)
    return {SKIPPED: _why_no_shadow(event)} if outcome(event) == outcomes.PROMOTED else None


def _why_no_shadow(event: Mapping[str, Any]) -> str:
    candidate, champion = event["candidate"] or {}, (event["plan"] or {}).get("champion")
    if event["run"]["trigger"]["kind"] == triggers.ROLLBACK:
        return _WENT_BACK
    if not champion:
        return _NO_CHAMPION
    if candidate.get("model_package_arn") == champion["model_package_arn"]:
        return _SAME_MODEL
    return _OF_A_CHAIN if candidate.get(CHAIN) or champion.get(CHAIN) else _NO_CHAMPION


def _scaling(event: Mapping[str, Any]) -> Document | None:
    """How the endpoint is scaled, of a run that has looked."""
    found = event.get(SCALING) or {}
    return dict(found) if "in_force" in found else None


def unscaled(event: Mapping[str, Any]) -> list[str]:
    """The trouble of a run that couldn't scale the endpoint as its spec says."""
    found = _scaling(event)
    return [] if found is None or found["in_force"] else [f"the endpoint isn't scaled: {found['reason']}"]


def _judged(event: Mapping[str, Any], last: Sequence[Mapping[str, Any]], begun: Mapping[str, Any]) -> list[Document]:
    """The rules' verdicts, of a run that has trained."""
    training = event["training"]
    if not training:
        return []
    rules = environment.rules(training["environment"])
    issues = candidate_figures.of_job(begun.get(RULE_VERDICTS, ()), event)
    return rule_verdicts(rules, last, issues, stopped=training.get("status") == "Stopped")


def _without_samples(evaluation: Mapping[str, Any] | None) -> Document | None:
    """The held-out examples themselves stay in S3, and what is told of single ones and of classes.

    Segments and classes with a floor stand in the decision, with their verdicts; candidates have a place of their own.
    """
    if evaluation is None:
        return None
    left_out = ("samples", files.ANSWERS, evaluations.SEGMENTS, evaluations.CLASSES, CANDIDATES)
    return {name: storable(value) for name, value in evaluation.items() if name and name not in left_out}


def notification(record: Mapping[str, Any], record_uri: str) -> Document:
    """Publish's arguments: a sentence for people, the figures for programs, attributes for subscription filters."""
    message = {
        "message": outcomes.sentence(record),
        "pipeline": record["pipeline"],
        "run_id": record["run_id"],
        "outcome": record["outcome"],
        "trigger": record["trigger"]["kind"],
        "decision": record.get("decision"),
        STOPPED_BY: record.get(STOPPED_BY),
        "error": record.get("error"),
        "record": record_uri,
    }
    attributes = {name: record[name] for name in ("pipeline", "outcome")}
    subject = f"{record['pipeline']}: {record['outcome']}"
    return topic.notification(subject, message, {**attributes, "trigger": record["trigger"]["kind"]})
