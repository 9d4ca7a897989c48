"""The judgement of a tuning job: pure functions from its trials to the model that goes on, or to why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from common.job_statuses import COMPLETED, FAILED, STOPPED

from contract import states, tuning
from contract.verdicts import ISSUES_FOUND, short

Document = dict[str, Any]

# Of a job's description, what its run keeps.
_DESCRIBED = ("TrainingJobName", "TrainingJobStatus", "SecondaryStatus", "FailureReason")
_OF_A_TUNING_JOB = ("HyperParameterTuningJobName", "HyperParameterTuningJobStatus", "FailureReason")
_COUNTERS = ("TrainingJobStatusCounters", "ObjectiveStatusCounters")
# The objective's name, which SageMaker gives every trial ("Define metrics", developer guide).
_SAGEMAKERS_OWN = "_tuning"


@dataclass(frozen=True)
class Settings:
    """What of `tune` in pipeline.yaml the judge needs. `max_runtime` is in seconds."""

    metric: str
    better: str
    max_runtime: int | None = None


@dataclass(frozen=True)
class Trial:
    """One training job of the tuning job. `objective` is None where it printed no figure."""

    number: int
    job: str
    status: str
    values: Mapping[str, str]
    objective: float | None = None
    seconds: float | None = None
    reason: str | None = None
    stopped_by: str | None = None

    def document(self) -> Document:
        """As the record has it; what isn't known is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def trials(summaries: Iterable[Mapping[str, Any]], stopped: Mapping[str, str]) -> list[Trial]:
    """The trials, numbered as they were made.

    Args:
        stopped: training job → the rule that stopped it.
    """
    return [_trial(number, summary, stopped) for number, summary in enumerate(summaries, start=1)]


def _trial(number: int, summary: Mapping[str, Any], stopped: Mapping[str, str]) -> Trial:
    job, reason = str(summary["TrainingJobName"]), summary.get("FailureReason")
    metric = summary.get("FinalHyperParameterTuningJobObjectiveMetric") or {}
    value = metric.get("Value")
    return Trial(
        number=number,
        job=job,
        status=summary["TrainingJobStatus"],
        values=dict(summary.get("TunedHyperParameters") or {}),
        objective=float(value) if isinstance(value, int | float) and math.isfinite(value) else None,
        seconds=_seconds(summary.get("TrainingStartTime"), summary.get("TrainingEndTime")),
        reason=short(reason) if reason else None,
        stopped_by=stopped.get(job),
    )


def _seconds(start: Any, end: Any) -> float | None:
    known = isinstance(start, datetime) and isinstance(end, datetime)
    return round((end - start).total_seconds(), 3) if known else None


def rule_that_stopped(said: Any, stopping: Collection[str]) -> str | None:
    """The first rule of those that may stop a job which has found issues in it, by the job's own word."""
    statuses = said.get("DebugRuleEvaluationStatuses") if isinstance(said, Mapping) else None
    for status in statuses if isinstance(statuses, list) else ():
        name = status.get("RuleConfigurationName") if isinstance(status, Mapping) else None
        if name in stopping and status.get("RuleEvaluationStatus") == ISSUES_FOUND:
            return str(name)
    return None


def in_order(settings: Settings, found: Iterable[Trial]) -> list[Trial]:
    """The trials whose model may go on, the best first: those with an objective that no rule has stopped."""
    sign = -1 if settings.better == tuning.GREATER else 1
    good = [trial for trial in found if trial.status in (COMPLETED, STOPPED) and not trial.stopped_by]
    return sorted(
        (trial for trial in good if trial.objective is not None), key=lambda trial: sign * (trial.objective or 0)
    )


def told(
    planned: Mapping[str, Any], settings: Settings, described: Mapping[str, Any], found: Sequence[Trial]
) -> Document:
    """The run's `tuning` (contract.tuning), without its best trial."""
    counters = {name: count for group in _COUNTERS for name, count in (described.get(group) or {}).items()}
    seconds = [trial.seconds for trial in found if trial.seconds is not None]
    return {
        **_begun(planned, settings),
        "status": described["HyperParameterTuningJobStatus"],
        "counters": counters,
        "jobs": len(found),
        **({"seconds": round(sum(seconds), 3)} if seconds else {}),
    }


def _begun(planned: Mapping[str, Any], settings: Settings) -> Document:
    kept = ("job", "because", "parents", "left_out", "refined", "made_from", "manifests")
    return {
        **{name: planned[name] for name in kept if planned.get(name)},
        "metric": settings.metric,
        "better": settings.better,
    }


def not_begun(planned: Mapping[str, Any], settings: Settings, failure: Mapping[str, Any] | None) -> Document:
    """The answer about a tuning job that SageMaker never made."""
    missing = {
        "state": states.TUNE,
        "error": tuning.NO_TRIAL_ERROR,
        "cause": f"there is no tuning job {planned['job']}",
    }
    return _failed(_begun(planned, settings), failure or missing)


def judge(  # noqa: PLR0913 - all that it judges by
    settings: Settings,
    described: Mapping[str, Any],
    found: Sequence[Trial],
    *,
    told_of: Mapping[str, Any],
    best: Mapping[str, Any] | None,
    failure: Mapping[str, Any] | None,
) -> Document:
    """The answer (contract.tuning): the best trial's model goes on, or why none does.

    Args:
        best: DescribeTrainingJob of the best trial that has left a model.
        failure: the failure of the machine's task, if it had one; Step Functions may end it so after a stop.
    """
    status = described["HyperParameterTuningJobStatus"]
    if status == FAILED:
        return _failed(told_of, _failure(_why_failed(described, found)))
    if status == STOPPED and not ran_out_of_time(settings, described):
        cause = json.dumps({name: described[name] for name in _OF_A_TUNING_JOB if described.get(name)})
        return _failed(told_of, {"state": states.TUNE, "error": "JobNotCompleted", "cause": cause})
    if status not in (COMPLETED, STOPPED):
        still = f"tuning job {described['HyperParameterTuningJobName']} is {status} still"
        return _failed(told_of, failure or _failure(still))
    if best is None:
        return _failed(told_of, _failure(_why_none(settings, described, found)))
    (trial,) = [one for one in found if one.job == best["TrainingJobName"]]
    return {
        "next": tuning.EVALUATE,
        "training": training(best),
        "tuning": {**told_of, "best": trial.document()},
        "tuned": dict(trial.values),
        "failure": None,
    }


def training(described: Mapping[str, Any]) -> Document:
    """The machine's `$training` of the trial that goes on, as of a training job of its own."""
    metrics = described.get("FinalMetricDataList") or ()
    values = described.get("HyperParameters") or {}
    resources = described.get("ResourceConfig") or {}
    return {
        "status": described["TrainingJobStatus"],
        "model_data": described["ModelArtifacts"]["S3ModelArtifacts"],
        "metrics": {metric["MetricName"]: metric["Value"] for metric in metrics},
        "hyperparameters": {name: text for name, text in values.items() if not name.startswith(_SAGEMAKERS_OWN)},
        "seconds": described.get("TrainingTimeInSeconds"),
        "instance": resources.get("InstanceType"),
        "hosts": resources.get("InstanceCount"),
        "environment": dict(described.get("Environment") or {}),
        "description": {name: described[name] for name in _DESCRIBED if described.get(name)},
    }


def ran_out_of_time(settings: Settings, described: Mapping[str, Any]) -> bool:
    """Whether a tuning job that was stopped has had the time that the spec gives it: that is no failure."""
    begun = described.get("CreationTime")
    ended = described.get("HyperParameterTuningEndTime") or described.get("LastModifiedTime")
    if settings.max_runtime is None or not (isinstance(begun, datetime) and isinstance(ended, datetime)):
        return False
    return (ended - begun).total_seconds() >= settings.max_runtime


def _failed(told_of: Mapping[str, Any], failure: Mapping[str, Any]) -> Document:
    return {"next": tuning.FAILED, "training": None, "tuning": dict(told_of), "tuned": None, "failure": dict(failure)}


def _failure(cause: str) -> Document:
    return {"state": states.TUNE, "error": tuning.NO_TRIAL_ERROR, "cause": cause}


def _why_failed(described: Mapping[str, Any], found: Sequence[Trial]) -> str:
    """The tuning job's own words, and behind them what was wrong with the last trial that failed."""
    name = described["HyperParameterTuningJobName"]
    reason = described.get("FailureReason") or "SageMaker gives no reason"
    return f"tuning job {name} failed: {reason}{_of_a_trial(found)}"


def _why_none(settings: Settings, described: Mapping[str, Any], found: Sequence[Trial]) -> str:
    name = described["HyperParameterTuningJobName"]
    silent = [trial for trial in found if trial.objective is None and trial.status in (COMPLETED, STOPPED)]
    if silent and len(silent) == len(found):
        return (
            f"tuning job {name}: none of its {len(found)} training jobs printed a figure that matches train.metrics "
            f"{settings.metric}, the objective"
        )
    stopped = sum(trial.stopped_by is not None for trial in found)
    by_rules = f", {stopped} of them stopped by a rule" if stopped else ""
    return (
        f"tuning job {name}: none of its {len(found)} training jobs{by_rules} left a model to judge{_of_a_trial(found)}"
    )


def _of_a_trial(found: Sequence[Trial]) -> str:
    failed = [trial for trial in found if trial.reason]
    return f"\n{failed[-1].job}: {failed[-1].reason}" if failed else ""
