"""The training of a pipeline, decided once from its spec as a value, from which the steps take what depends on it."""

from __future__ import annotations

from dataclasses import dataclass

from contract import files
from infra.workflow.capacity import Capacity, capacity
from infra.workflow.conditions import all_of, exists
from infra.workflow.judging import Judging, judging
from infra.workflow.language import when
from infra.workflow.steps.candidates import side_by_side
from infra.workflow.steps.rounds import in_rounds
from infra.workflow.steps.stopped import BY_RULE
from infra.workflow.steps.tune import by_tuning
from infra.workflow.surroundings import Surroundings
from infra.workflow.way import Way
from ratchet.spec import PipelineSpec


@dataclass(frozen=True, kw_only=True)
class Training:
    """Once, in rounds, by tuning or several candidates side by side, on what capacity, and who judges it meanwhile."""

    way: Way
    capacity: Capacity
    judging: Judging


def how_it_trains(at: Surroundings, *, again: str, then: str) -> Training:
    """Training that goes on to `then` with a model; the next round, if there are rounds, begins at `again`."""
    way = _way(at, again=again, then=then)
    return Training(
        way=way,
        capacity=capacity(at.spec, way.folder(at, files.CHECKPOINTS)),
        judging=judging(at, way),
    )


def _way(at: Surroundings, *, again: str, then: str) -> Way:
    if at.spec.rounds:
        return in_rounds(at.spec.rounds, again=again, then=then)
    if at.spec.candidates:
        return side_by_side(at.spec.candidates, then=then)
    once = _once(at.spec, then=then)
    return by_tuning(at, once, at.spec.tune, then=then) if at.spec.tune else once


def _once(spec: PipelineSpec, *, then: str) -> Way:
    """One training job; what a stopped one has saved is evaluated where the spec says so."""
    if spec.rules_then != "evaluate":
        return Way(completed=then)
    saved = when(all_of(BY_RULE, exists("$training.model_data")), then, {"failure": None})
    return Way(completed=then, goes_on=[saved])
