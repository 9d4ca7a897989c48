"""A step of a run: its states, and all that the machine needs for them. A machine is the sum of its steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.grants import Grant
from infra.workflow.expressions import expression
from infra.workflow.job_role import JobRole
from infra.workflow.language import State, States
from infra.workflow.run_function import RunFunction


@dataclass(frozen=True, kw_only=True)
class Step:
    """States and their requests; the machine's grants for them; the function that it calls, and the role that it
    passes to SageMaker, with grants of their own."""

    states: States
    grants: Sequence[Grant] = ()
    function: RunFunction | None = None
    role: JobRole | None = None


NOTHING = Step(states={})


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A state machine's definition, and all that its steps need."""

    definition: State
    grants: Sequence[Grant]
    functions: Sequence[RunFunction]
    roles: Sequence[JobRole]


def story(*steps: Step, variables: Mapping[str, Any], comment: str) -> Machine:
    """The machine of all steps' states; it sets the variables and goes to the first step's first state.

    Raises:
        ValueError: two steps have a state of the same name.
    """
    states = _together([step.states for step in steps])
    begin = {"Type": "Pass", "Assign": dict(variables), "Next": next(iter(states))}
    return Machine(
        definition={
            "Comment": comment,
            "QueryLanguage": "JSONata",
            "StartAt": "Begin",
            "States": {"Begin": begin, **states},
        },
        grants=[grant for step in steps for grant in step.grants],
        functions=[step.function for step in steps if step.function],
        roles=[step.role for step in steps if step.role],
    )


def _together(parts: Iterable[States]) -> States:
    states: States = {}
    for part in parts:
        twice = sorted(states.keys() & part.keys())
        if twice:
            raise ValueError(f"two states are called {', '.join(twice)}")
        states.update(part)
    return states


def variables(*names: str) -> dict[str, str]:
    """A payload of the run's variables, each by its own name."""
    return {name: expression(f"${name}") for name in names}
