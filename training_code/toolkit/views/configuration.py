"""The views of a job, as RATCHET_VIEWS lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from contract import built_in_views, views
from contract.environment import VIEWS
from toolkit.views.errors import ViewError


@dataclass(frozen=True)
class Configuration:
    """One view: which function, what it is called, when it is drawn, and its parameters."""

    view: str
    name: str
    every: int | str = views.EVERY
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(document: Any) -> Configuration:
        """The configuration that {"view", "name"?, "every"?, "parameters"?} holds. Raises ViewError."""
        if not isinstance(document, dict) or not isinstance(document.get("view"), str) or not document["view"]:
            raise ViewError(f'a view is {{"view": name, …}}, not {document!r}')
        view = document["view"]
        name = document.get("name") or views.name_of(view)
        if not isinstance(name, str) or not views.is_name(name):
            most = f"at most {views.NAME_LENGTH} letters, digits, hyphens and underscores"
            raise ViewError(f"{view}: name is {name!r}; use {most}, a letter or digit first and last")
        every = document.get("every")
        every = built_in_views.every_of(view) if every is None else every
        if not views.is_every(every):
            raise ViewError(f"{view}: every is {every!r}; a number of steps (1 or more) or {views.EVALUATION!r}")
        parameters = document.get("parameters") or {}
        if not isinstance(parameters, dict):
            raise ViewError(f"{view}: parameters are {parameters!r}; write them as {{name: value}}")
        return Configuration(view, name, every, parameters)


def read(text: str) -> list[Configuration]:
    """The views of a job. Raises ViewError; the message names the variable or the view."""
    try:
        documents = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ViewError(f"{VIEWS} is not JSON: {error}") from error
    if not isinstance(documents, list):
        raise ViewError(f'{VIEWS} must be a list of {{"view": name, …}}, not {documents!r}')
    found = [Configuration.of(document) for document in documents]
    names = [configuration.name for configuration in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ViewError(f"two views are called {', '.join(sorted(twice))}; give each a name")
    if len(found) > views.MOST:
        raise ViewError(f"{len(found)} views are too many; a job has {views.MOST} at most")
    return found
