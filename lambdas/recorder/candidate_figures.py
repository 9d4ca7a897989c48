"""The candidates of a run for its record (contract.candidates): what each one's job was, and what it was judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from common.json_values import storable

from contract import environment, files, outcomes
from contract.candidates import CANDIDATE, CANDIDATES
from contract.causes import document_in, outcome_of, readable
from contract.evaluations import CANNOT_ANSWER
from contract.run_table import STOPPED_BY
from contract.states import TRAIN
from contract.verdicts import ISSUES_FOUND
from recorder import spot_figures, training_figures

Document = dict[str, Any]

_KEPT = ("status", "seconds", "instance", "spot")
_FIGURES = ("score", "interval", "difference", "difference_interval", CANNOT_ANSWER)
_CAUSE_LENGTH = 500


def figures(
    event: Mapping[str, Any], evaluation: Mapping[str, Any] | None, verdicts: Sequence[Mapping[str, Any]]
) -> list[Document] | None:
    """Each candidate, in the order of pipeline.yaml; None of a run that trained none.

    Args:
        event: what the state machine sends.
        verdicts: of rules that have found issues, in whichever job.
    """
    trained = event.get(CANDIDATES)
    if not trained:
        return None
    judged = {one[CANDIDATE]: one for one in _judged(evaluation)}
    return [_figures(each, judged.get(each[CANDIDATE], {}), verdicts) for each in trained]


def of_job(verdicts: Sequence[Mapping[str, Any]], event: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The verdicts that are of the model which went on; of a run without candidates all of them."""
    if not event.get(CANDIDATES):
        return list(verdicts)
    job = event["training"]["description"]["TrainingJobName"]
    return [verdict for verdict in verdicts if verdict.get("training_job") == job]


def rows(event: Mapping[str, Any]) -> Document | None:
    """Their jobs' figures of spot training, as those of rounds are told."""
    trained = event.get(CANDIDATES)
    return {"rows": [{"job": each["job"], "spot": _spot(each)} for each in trained]} if trained else None


def _judged(evaluation: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    """What the evaluation tells of each; the toolkit writes it, in a job in which a user's metric runs, too."""
    found = (evaluation or {}).get(CANDIDATES)
    for one in found if isinstance(found, list) else ():
        if isinstance(one, Mapping) and isinstance(one.get(CANDIDATE), str):
            yield one


def _figures(each: Mapping[str, Any], judged: Mapping[str, Any], verdicts: Sequence[Mapping[str, Any]]) -> Document:
    training, wrong = each["training"] or {}, each["wrong"]
    described = document_in(wrong["cause"]) if wrong else {}
    told = {
        CANDIDATE: each[CANDIDATE],
        "job": each["job"],
        "status": described.get("TrainingJobStatus") or ("NotBegun" if wrong else None),
        **{name: training.get(name) for name in _KEPT if training.get(name) is not None},
        "spot": _spot(each),
        "entry": (training.get("hyperparameters") or described.get("HyperParameters") or {}).get(files.PROGRAM),
        **training_figures.figures(each["training"], wrong),
        STOPPED_BY: _rule(each["job"], verdicts) if wrong and _is_stopped(wrong) else None,
        "failure": _why(wrong) if wrong else None,
        **{name: storable(judged[name]) for name in _FIGURES if judged.get(name) is not None},
    }
    return {name: value for name, value in told.items() if value is not None}


def _spot(each: Mapping[str, Any]) -> Document | None:
    described = document_in(each["wrong"]["cause"]) if each["wrong"] else {}
    return (each["training"] or {}).get("spot") or spot_figures.described(described)


def _is_stopped(wrong: Mapping[str, str]) -> bool:
    return outcome_of(wrong) == outcomes.STOPPED


def _why(wrong: Mapping[str, str]) -> str:
    cause = str(readable({"state": TRAIN, **wrong})["cause"])
    return cause if len(cause) <= _CAUSE_LENGTH else f"{cause[: _CAUSE_LENGTH - 1]}…"


def _rule(job: str, verdicts: Sequence[Mapping[str, Any]]) -> str | None:
    """The rule that has stopped a job."""
    stopping = (
        verdict
        for verdict in verdicts
        if verdict.get("training_job") == job
        and verdict.get("action") == environment.STOP
        and verdict.get("status") == ISSUES_FOUND
    )
    return next((str(verdict.get("name")) for verdict in stopping), None)
