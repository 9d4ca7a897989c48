"""`views` of pipeline.yaml: which pictures of a training are drawn while it runs.

A view is a function of the model's folder, looked at and never run here, or one that comes with the toolkit: which
those are, and with what parameters, is `contract.built_in_views`' to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from contract import built_in_views
from contract import views as contract
from contract.suggestions import near
from ratchet.spec import own_code, own_views, rule_parameters
from ratchet.spec.errors import checked, nearest, refusal
from ratchet.spec.model import Model
from ratchet.spec.rules import Parameter

_EVERY_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "integer", "minimum": 1}, {"const": contract.EVALUATION}]}
_EVERY = f"write a number of training steps, 1 or more, or {contract.EVALUATION}"
# Where its script is told of it: a probe saves what a view reads, and starts the process that draws.
PROBE = "toolkit.probe"


def _every(value: object) -> object:
    if not contract.is_every(value):
        meant = near(value, [contract.EVALUATION]) if isinstance(value, str) else None
        raise ValueError(f"is {value!r}; {f'did you mean {meant}?' if meant else _EVERY}")
    return value


class View(Model):
    """A picture of the saved tensors, again and again while a training runs."""

    view: Annotated[
        str, Field(description="A function of the folder's views.py, or <module>.<function> of another; or a built-in")
    ]
    every: Annotated[
        int | str | None,
        BeforeValidator(checked(_every)),
        WithJsonSchema(_EVERY_SCHEMA),
        Field(description="Drawn every so many training steps, or after each evaluation"),
    ] = None
    name: Annotated[str | None, Field(description="What its pictures are called; the function's name unless told")] = (
        None
    )
    parameters: Mapping[str, Parameter] = {}

    @property
    def own_name(self) -> str:
        """What its pictures are called."""
        return self.name or contract.name_of(self.view)

    def is_built_in(self, folder: Path) -> bool:
        """Whether it is the toolkit's: the folder's own functions go before."""
        return self.view in built_in_views.TABLE and not own_views.has(self.view, folder, surely=True)

    def document(self, folder: Path) -> dict[str, Any]:
        """The view as a training job is told of it."""
        usual = built_in_views.every_of(self.view) if self.is_built_in(folder) else contract.EVERY
        every = usual if self.every is None else self.every
        return {"view": self.view, "name": self.own_name, "every": every, "parameters": dict(self.parameters)}

    def brings(self, folder: Path) -> dict[str, dict[str, Any]]:
        """The probe's collections that a built-in view needs: further ones of their tensors, with the view's own
        steps and numbers, so that rules are given what they would be without it."""
        if not self.is_built_in(folder):
            return {}
        told = self.document(folder)
        needed = built_in_views.brings(self.view, told["every"], self.parameters)
        return {f"{collection}:{self.own_name}": how for collection, how in needed.items()}


def check_views(views: Sequence[View], *, managed_rules: bool) -> None:
    """Raises a refusal when they are too many, one can't be called as it is, or two are called the same.

    managed_rules: whether SageMaker Debugger judges, whose hook's folder the tensors lie in then.
    """
    if views and managed_rules:
        message = "are drawn from the probe's tensors, which SageMaker Debugger takes; write rules_service: open"
        raise refusal(message, "views")
    if len(views) > contract.MOST:
        raise refusal(f"has {len(views)} entries; a training job draws at most {contract.MOST}", "views")
    seen: set[str] = set()
    for index, view in enumerate(views):
        if not contract.is_name(view.own_name):
            message = (
                f"is {view.own_name!r}; use at most {contract.NAME_LENGTH} letters, digits, hyphens and underscores"
            )
            raise refusal(message, "views", index, "name" if view.name else "view")
        if view.own_name in seen:
            message = f"is the second called {view.own_name!r}; give it a name of its own, as name: …"
            raise refusal(message, "views", index)
        seen.add(view.own_name)


def check_view(view: View, folder: Path) -> None:
    """Raises a refusal where a view is no function of the folder's and no built-in one, or takes other parameters."""
    if "." not in view.view and (wrong := own_views.wrong(folder)):
        raise refusal(f"is {view.view!r}, but {wrong}", "view")
    if view.is_built_in(folder):
        told = {"not_taken": {}, "one_of": [], **built_in_views.TABLE[view.view]}
        rule_parameters.check(view.view, told, view.parameters)
        return
    dotted = view.view if "." in view.view else f"{contract.MODULE}.{view.view}"
    if not own_code.is_dotted(dotted):
        raise refusal(f"is {view.view!r}; write a function of views.py by its name, or my_views.latents", "view")
    if "." not in view.view and not own_views.has(view.view, folder):
        raise refusal(_unknown(view.view, folder), "view")
    found = own_code.find_function(dotted, folder)
    if isinstance(found, str):
        raise refusal(found, "view")
    if found is not None:
        own_views.check(found, f"{own_code.path_of(dotted)}:{found.lineno}", view.parameters)


def _unknown(name: str, folder: Path) -> str:
    """The end of a sentence about a view that is neither the folder's nor the toolkit's."""
    known = nearest(name, [*own_views.functions(folder), *built_in_views.TABLE])
    if (folder / own_views.FILE).is_file():
        return f"is {name!r}, which is no function of {own_views.FILE} and no built-in view{known}"
    return f"is {name!r}, which is no built-in view, and there is no {own_views.FILE} in {folder}{known}"


def check_script(folder: Path, script: str) -> str | None:
    """The end of a sentence about a train.py without a probe, of which nothing can be drawn; None where it has one."""
    need = "a script with a probe, which saves what they show"
    otherwise = (
        f"need {need}, and {script} doesn't import {PROBE}: write its two lines (docs/probe.md), or leave them out"
    )
    return own_code.check_import(folder, [script], PROBE, need=need, otherwise=otherwise)
