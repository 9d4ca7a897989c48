"""Candidates: several challengers answer the same held-out examples, and the best of them is the challenger.

The best has the greatest score; of equals the first. What is told of it is what would be told of a challenger alone,
with intervals that allow for the choice (contract.candidates.confidence_of_each). One that can't answer is told with
its reason, and is no challenger; if none can, the first one's reason is the job's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import evaluations, files
from contract.candidates import CANDIDATE, CANDIDATES, INPUT
from toolkit.errors import NoAnswersError, ToolkitError

if TYPE_CHECKING:
    Document = dict[str, Any]

_CHALLENGER, _CHAMPION = files.CHALLENGER_INPUT, files.CHAMPION_INPUT


def archives(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """The archives of those that have left a model, by their inputs' names.

    Raises:
        ToolkitError: none has.
    """
    there = {f"{INPUT}{name}": folder / f"{INPUT}{name}" / files.MODEL_ARCHIVE for name in names}
    found = {name: archive for name, archive in there.items() if archive.is_file()}
    if not found:
        raise ToolkitError(f"no model to judge: none of the candidates {', '.join(names)} has left one in {folder}")
    return found


def as_challenger(answers: Mapping[str, Any], name: str) -> Document:
    """The answers of one of them (by its input's name) as the challenger's, beside the champion's."""
    return {_CHALLENGER: answers[name], **{each: answers[each] for each in (_CHAMPION,) if each in answers}}


def judged(names: Sequence[str], judge: Callable[[str], Document]) -> Document:
    """The document of evaluation.json.

    Args:
        names: those that have left a model, in the order of pipeline.yaml.
        judge: the document of one of them as the challenger.

    Raises:
        NoAnswersError: none of them can answer.
    """
    found: dict[str, Document | NoAnswersError] = {name: _judged(name, judge) for name in names}
    good = {name: each for name, each in found.items() if not isinstance(each, NoAnswersError)}
    if not good:
        raise next(each for each in found.values() if isinstance(each, NoAnswersError))
    best = max(good, key=lambda name: good[name]["challenger"]["score"])
    return {**good[best], CANDIDATE: best, CANDIDATES: [_told(name, each) for name, each in found.items()]}


def summary(evaluation: Mapping[str, Any]) -> str:
    """A line about each, for the log; empty where there are none."""
    lines = []
    for each in evaluation.get(CANDIDATES, ()):
        silent = each.get(evaluations.CANNOT_ANSWER)
        said = silent or f"{evaluation['metric']}={each['score']:.4f}"
        best = " (the challenger)" if each[CANDIDATE] == evaluation[CANDIDATE] else ""
        lines.append(f"candidate {each[CANDIDATE]}: {said}{best}\n")
    return "".join(lines)


def _judged(name: str, judge: Callable[[str], Document]) -> Document | NoAnswersError:
    try:
        return judge(name)
    except NoAnswersError as error:
        return error


def _told(name: str, each: Document | NoAnswersError) -> Document:
    """A candidate's own figures, beside the others'."""
    if isinstance(each, NoAnswersError):
        return {CANDIDATE: name, evaluations.CANNOT_ANSWER: evaluations.short(str(each))}
    figures = {CANDIDATE: name, **each["challenger"]}
    rival = each[_CHAMPION]
    if rival is None or evaluations.CANNOT_ANSWER in rival:
        return figures
    return {**figures, "difference": each["difference"], "difference_interval": each["interval"]}
