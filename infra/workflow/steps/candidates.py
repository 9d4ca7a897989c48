"""Candidates: several training jobs at the same time, one an item of a Map state, of whose models the best is judged.

`$candidates` is what became of each (contract/candidates.py). An item ends well whatever happens in it, so that one
that fails leaves the others alone: those that have left a model are judged by the same evaluation job, on the same
held-out examples. With none the run ends as the first that failed, or else was stopped. `$training` is set by the gate,
to the training of the best.
"""

from __future__ import annotations

from collections.abc import Sequence

from contract import environment, files
from contract.candidates import CANDIDATE, CANDIDATES
from contract.states import RECORD, TRAIN, TRAIN_CANDIDATE
from infra.workflow.branch import PAUSE_SECONDS, WRONG, branch_task
from infra.workflow.conditions import (
    all_of,
    exists,
    is_completed,
    is_not,
    says_no_capacity,
    says_quota_too_small,
    says_stopped_job,
)
from infra.workflow.expressions import composed, expression, jsonata, quoted
from infra.workflow.jobs import OVERHEAD_SECONDS, run_jobs
from infra.workflow.language import States, assigning, caught, choice, when
from infra.workflow.requests import Document
from infra.workflow.step import Step
from infra.workflow.surroundings import Surroundings
from infra.workflow.way import Way
from ratchet.spec.candidates import Candidate

_BEGIN = "BeginCandidate"
# An item's own variables, beside WRONG: the candidate, its job when it has ended, and until when instances are waited
# for.
_OWN, _JOB, _UNTIL = "own", "described", "until"
_NAME, _NUMBER = f"<${_OWN}.{CANDIDATE}>", f"<${_OWN}.number>"
_TRAINED = f"${CANDIDATES}[training.status = 'Completed']"


class SideBySide(Way):
    """The candidates' training jobs, each with folders of its own."""

    def folder(self, at: Surroundings, folder: str) -> str:
        return self.uri(at, files.of_candidate(folder, _NAME))

    def several(self, at: Surroundings, request: Document, described: str, longest: int) -> Step:
        trains = {
            "Type": "Map",
            "Items": [_item(number, candidate) for number, candidate in enumerate(at.spec.candidates, start=1)],
            "MaxConcurrency": len(at.spec.candidates),
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "INLINE"},
                "StartAt": _BEGIN,
                "States": _one(request, described, longest, at.spec.train.wait_for_instance),
            },
            "Assign": {CANDIDATES: expression("$states.result")},
            "Output": expression("$states.input"),
            "Catch": [caught(TRAIN, RECORD)],
            "Next": "Trained",
        }
        trained = choice("Trained", [when(exists(_TRAINED), self.completed)], default=RECORD, assign=_failed())
        return Step(states={TRAIN: trains, **trained}, grants=run_jobs(at, "TrainingJob", self.job_arns(at)))


def side_by_side(candidates: Sequence[Candidate], *, then: str) -> Way:
    """A training job a candidate, at the same time; the run goes on to `then` where one has left a model."""
    chosen = f"${CANDIDATES}[{CANDIDATE} = $states.result.Payload.{CANDIDATE}].training"
    return SideBySide(
        completed=then,
        round_=_NUMBER,
        any_round=["?"],
        hyperparameters=_with_own,
        environment={environment.CANDIDATE: composed(_NAME)},
        variables={CANDIDATES: None},
        jobs={TRAIN: expression(_job_that_tells())},
        candidates=[candidate.name for candidate in candidates],
        challengers=_TRAINED,
        chosen={"training": expression(chosen)},
    )


def _with_own(hyperparameters: Document) -> str:
    """The spec's hyperparameters, and over them the candidate's own, its script among them."""
    return expression(f"$merge([{jsonata(hyperparameters)}, ${_OWN}.hyperparameters])")


def _job_that_tells() -> str:
    """The job of the best candidate; before it is chosen the first one's that went wrong, if one did."""
    job, first = "$training.description.TrainingJobName", f"$append(${CANDIDATES}[{WRONG} != null], ${CANDIDATES})[0]"
    return f"{exists(job)} ? {job} : ${CANDIDATES} = null ? '' : {first}.job"


def _item(number: int, candidate: Candidate) -> Document:
    hyperparameters = {**candidate.hyperparameters, files.PROGRAM: candidate.entry}
    return {CANDIDATE: candidate.name, "number": str(number), "hyperparameters": hyperparameters}


def _failed() -> Document:
    """The run's failure where none has left a model: the first one's that failed, or, if all were stopped, the first
    one's."""
    failed = f"${CANDIDATES}[{is_not(says_stopped_job(WRONG))}]"
    failure = f"{{'state': {quoted(TRAIN)}, 'error': $first.{WRONG}.error, 'cause': $first.{WRONG}.cause}}"
    return {"failure": expression(f"($first := $append({failed}, ${CANDIDATES})[0]; {failure})")}


def _one(request: Document, described: str, longest: int, patience: int) -> States:
    """A candidate's way, from beginning to end. patience: seconds for which instances are waited for."""
    wrong, until = f"${WRONG}", expression(f"$millis() + {1000 * patience}")
    begin = {_OWN: expression("$states.input"), WRONG: None, _JOB: None, _UNTIL: until}
    has_time = all_of(is_not(says_quota_too_small(wrong)), f"$millis() < ${_UNTIL}")
    named = {"TrainingJobName": request["TrainingJobName"]}
    return {
        **assigning(_BEGIN, begin, then=TRAIN_CANDIDATE),
        **branch_task(
            TRAIN_CANDIDATE,
            "sagemaker:createTrainingJob.sync",
            request,
            then="CandidateTrained",
            wrong="CandidateShort",
            refused="CandidateRefused",
            seconds=longest + OVERHEAD_SECONDS,
            assign={_JOB: expression(described)},
        ),
        **choice("CandidateTrained", [when(is_completed(f"${_JOB}"), "EndCandidate")], default="CandidateStopped"),
        # `Stopped` is not `Failed`, and Step Functions may end a stopped job either way.
        **assigning("CandidateStopped", {WRONG: _stopped()}, then="EndCandidate"),
        **choice(
            "CandidateShort",
            [when(all_of(says_no_capacity(wrong), has_time), "ClearCandidate")],
            default="EndCandidate",
        ),
        **branch_task(
            "ClearCandidate",
            "aws-sdk:sagemaker:deleteTrainingJob",
            named,
            then="CandidateRefused",
            wrong="EndCandidate",
        ),
        **choice("CandidateRefused", [when(has_time, "CandidateWaits", {WRONG: None})], default="EndCandidate"),
        "CandidateWaits": {"Type": "Wait", "Seconds": PAUSE_SECONDS, "Next": TRAIN_CANDIDATE},
        "EndCandidate": {"Type": "Pass", "Output": _ended(request["TrainingJobName"]), "End": True},
    }


def _stopped() -> Document:
    return {"error": "JobNotCompleted", "cause": expression(f"$string(${_JOB}.description)")}


def _ended(job: str) -> Document:
    return {
        CANDIDATE: expression(f"${_OWN}.{CANDIDATE}"),
        "job": job,
        "training": expression(f"${_JOB}"),
        WRONG: expression(f"${WRONG}"),
    }
