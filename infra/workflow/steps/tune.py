"""Tune: a tuning job, whose best training job goes on to evaluation; or one training job, with known values.

Plan decides which (`$plan.tuning`). `$tuning` is what became of the tuning job, `$tuned` the tuned hyperparameters of
the model that is judged, which its champion keeps. A function writes all trials down and chooses among them.
"""

from __future__ import annotations

import math
from dataclasses import replace

from contract import files, functions, names
from contract.states import RECORD, TRAIN, TUNE
from contract.tuning import ADOPTED, EVALUATE, TUNED, TUNING
from infra.grants import Grant, use_key
from infra.workflow.conditions import equals, exists, one_of
from infra.workflow.expressions import expression, jsonata
from infra.workflow.instances import taking_instances
from infra.workflow.job_role import TRAINING, arn_name
from infra.workflow.jobs import OVERHEAD_SECONDS, run_jobs
from infra.workflow.language import State, States, choice, task, waiting_for, when
from infra.workflow.requests import Document
from infra.workflow.run_function import RunFunction, invoke
from infra.workflow.run_grants import find_models, read_from_runs, write_runs
from infra.workflow.step import Step, variables
from infra.workflow.surroundings import Surroundings, placeholder
from infra.workflow.tuning_request import better, definition, objective, trials, tuning_job
from infra.workflow.way import Way
from ratchet.spec.tune import MAX_JOBS, Tune
from ratchet.spec.tune_ranges import parameter_ranges

_HOW, _FOLLOW, _JUDGE = "HowToTrain", "FollowTuning", "JudgeTrials"
_LOOK_SECONDS = 5
# A trial waits for an instance, downloads its data and uploads its model, as any other job.
_TRIAL_SECONDS = 900
# TimeoutSeconds ("Task workflow state", Step Functions Developer Guide).
_LONGEST = 99_999_999
_ROLE = placeholder(arn_name(TRAINING))
_DESCRIBE = "sagemaker:DescribeHyperParameterTuningJob"
_LIST = "sagemaker:ListTrainingJobsForHyperParameterTuningJob"


def by_tuning(at: Surroundings, once: Way, tune: Tune, *, then: str) -> Way:
    """Training by a tuning job where the plan says so, else `once`; either goes on to `then` with a model."""
    return replace(
        once,
        begins=_HOW,
        writes=f"{exists('$plan.tuning.folder')} ? $plan.tuning.folder : $run.run_id",
        hyperparameters=_with_tuned,
        variables={TUNING: None, TUNED: None},
        candidate={TUNED: expression(f"${TUNED}")},
        plan={"tune": _told_to_plan(at, tune)},
        plan_grants=_look_at_parents(at, tune),
        jobs={TUNE: expression(f"{exists('$plan.tuning.job')} ? $plan.tuning.job : ''")},
        step=_tune(at, tune, then=then),
    )


def _with_tuned(hyperparameters: Document) -> str:
    """The spec's hyperparameters, and the tuned ones as far as they are known."""
    return expression(f"$merge([{jsonata(hyperparameters)}, ${TUNED}])")


def _tune(at: Surroundings, tune: Tune, *, then: str) -> Step:
    judge = _judge(at)
    told = {
        **variables("run", "failure"),
        TUNING: expression("$plan.tuning"),
        "metric": tune.objective.metric,
        "better": better(tune),
        "max_runtime": tune.max_runtime,
    }
    answer = ("next", "training", "failure", TUNING, TUNED)
    learnt = {name: expression(f"$states.result.Payload.{name}") for name in answer}
    states = {
        **choice(_HOW, _ways(), default=TRAIN, assign={TUNED: expression("$plan.tuned")}),
        **taking_instances(
            TUNE,
            "sagemaker:createHyperParameterTuningJob.sync",
            tuning_job(at, tune, trials(then), _ROLE),
            then=_JUDGE,
            patience=at.spec.train.wait_for_instance,
            timeout=_longest(at, tune),
            # All trials are written down, whatever became of the tuning job.
            on_failure=_JUDGE,
        ),
        **_follow(),
        **invoke(_JUDGE, judge, told, then="NextTrials", assign=learnt),
        **choice("NextTrials", [when(equals("$next", EVALUATE), then)], default=RECORD),
    }
    return Step(states=states, grants=run_jobs(at, "HyperParameterTuningJob", _own_jobs(at)), function=judge)


def _ways() -> list[State]:
    """The ways to train where the run tunes: with a tuning job of its own, or one that goes on already."""
    return [when(exists(f"$plan.tuning.{ADOPTED}"), _FOLLOW), when(exists("$plan.tuning"), TUNE)]


def _follow() -> States:
    """Waits for the end of a tuning job that another run has made, which was cut off."""
    status = {"tuning_status": expression("$states.result.HyperParameterTuningJobStatus")}
    goes_on = one_of("$tuning_status", ("InProgress", "Stopping"))
    return {
        **task(
            _FOLLOW,
            "aws-sdk:sagemaker:describeHyperParameterTuningJob",
            {"HyperParameterTuningJobName": expression("$plan.tuning.job")},
            then="TuningNow",
            assign=status,
            on_failure=_JUDGE,
        ),
        **choice("TuningNow", [when(goes_on, "WaitForTuning")], default=_JUDGE),
        **waiting_for("WaitForTuning", _LOOK_SECONDS, then=_FOLLOW),
    }


def _longest(at: Surroundings, tune: Tune) -> int:
    """Seconds that a tuning job may take in all."""
    if tune.max_runtime is not None:
        return tune.max_runtime + OVERHEAD_SECONDS
    train = at.spec.train
    one = (train.spot.max_wait if train.spot else train.max_runtime) + _TRIAL_SECONDS
    return min(_LONGEST, math.ceil((tune.max_jobs or MAX_JOBS) / tune.parallel) * one + OVERHEAD_SECONDS)


def _told_to_plan(at: Surroundings, tune: Tune) -> Document:
    """How to decide whether the run tunes, and what another tuning job must be like to be a parent."""
    one = definition(at, trials(), _ROLE)
    return {
        "environment": at.environment,
        "first_run": tune.first_run,
        "every": tune.every and tune.every.model_dump(mode="json"),
        "on_drift": tune.on == "drift",
        "objective": objective(tune),
        "better": better(tune),
        "ranges": parameter_ranges(tune.ranges),
        "refine": tune.refine,
        "warm_start": tune.warm_start and tune.warm_start.model_dump(mode="json"),
        "names": sorted({*tune.ranges, *one["StaticHyperParameters"]}),
        "variables": one["Environment"],
    }


# -------------------------------------------------------------------------------------------------------------- grants


def _own_jobs(at: Surroundings) -> list[str]:
    """The tuning jobs of all of the pipeline's runs."""
    return [_arn(at, names.tuning_prefix(at.environment, at.pipeline) + names.ANY_RUN_TOKEN)]


def _arn(at: Surroundings, tuning_job: str) -> str:
    return at.sagemaker("hyper-parameter-tuning-job", tuning_job)


def _look_at_parents(at: Surroundings, tune: Tune) -> list[Grant]:
    """Plan's look at a tuning job that goes on already, at those that may be parents, and at the parents' trials where
    it narrows the ranges."""
    own = Grant(actions=[_DESCRIBE], resources=_own_jobs(at))
    if tune.warm_start is None:
        return [own]
    jobs = [_arn(at, job) for job in tune.warm_start.jobs]
    named = [Grant(actions=[_DESCRIBE], resources=jobs)] if jobs else []
    lists = [Grant(actions=[_LIST], resources=jobs or _own_jobs(at))] if tune.refine else []
    return [own, *named, *lists]


def _judge(at: Surroundings) -> RunFunction:
    verdicts = [f"{files.VERDICTS}/*"] if at.spec.rules else []
    return RunFunction(
        folder="trials",
        purpose="Writes the trials of tuning down, and chooses the one whose model goes on",
        seconds=300,
        variables={functions.ARTIFACT_BUCKET: at.shared.artifact_bucket},
        grants=[
            Grant(actions=[_DESCRIBE, _LIST], resources=_own_jobs(at)),
            Grant(actions=["sagemaker:DescribeTrainingJob"], resources=trials().job_arns(at)),
            *(read_from_runs(at, *verdicts) if verdicts else [find_models(at)]),
            write_runs(at, files.TRIALS),
            use_key(at.account, at.shared.key_arn, "s3"),
        ],
    )
