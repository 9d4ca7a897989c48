"""A model as its endpoint serves it: by the functions of serve.py, or by a chain of containers (contract.chains).

Evaluation answers through this, and so may a test of your own, with what `save_serving_code` has put into a model:

    from toolkit.served import Served

    served = Served(model_dir)
    served.load()
    served.answer("vhigh,low,2,4,big,high\\n")

Of a chain each container's functions are loaded with its own variables. What one answers, the next is asked, under the
content type that its container would send; in between nobody says in what form to answer, so that a container answers
as its SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT says, or in JSON (aws/amazon-sagemaker-examples #729). All run in this one
process, in whatever image that has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract import chains
from toolkit import serving
from toolkit.errors import ServingError
from toolkit.serving import CSV, JSON, SCRIPT, Functions


@dataclass(frozen=True)
class Container:
    """One container: the file with its functions, whose image it runs in, and its variables."""

    entry: str = SCRIPT
    framework: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Loaded:
    container: Container
    functions: Functions
    model: Any


class Served:
    """A model's containers, in order. `running` is the file whose functions are at work, or were last."""

    def __init__(self, model_dir: str | Path) -> None:
        self._folder = Path(model_dir)
        self._loaded: list[_Loaded] = []
        self.running = SCRIPT

    @property
    def model(self) -> Any:
        """What the last container has loaded: of the one that answers."""
        return self._loaded[-1].model

    def load(self) -> None:
        """Loads each container's functions and its model.

        Raises:
            ServingError: a script is missing, or can't serve. What it raises itself passes through.
        """
        code = self._folder / "code"
        for container in containers(code):
            with self._in(container):
                functions = serving.load_functions(code, container.entry, container.framework)
                self._loaded.append(_Loaded(container, functions, functions.load(str(self._folder))))

    def answer(self, body: str | bytes, content_type: str = CSV, accept: str = CSV) -> str:
        """The answer to a request, as text."""
        *before, last = self._loaded
        for each in before:
            with self._in(each.container):
                chosen = each.container.environment.get(chains.ACCEPT) or JSON
                body, content_type = each.functions.respond(each.model, body, content_type, chosen)
        with self._in(last.container):
            return last.functions.answer(last.model, body, content_type, accept)

    @contextmanager
    def _in(self, container: Container) -> Iterator[None]:
        """With a container's variables."""
        self.running = container.entry
        before = {name: os.environ.get(name) for name in container.environment}
        os.environ.update(container.environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def containers(code: Path) -> list[Container]:
    """The containers that serve the model whose code lies in a folder: serve.py's, unless there is a chain.

    Raises:
        ServingError: the file that says which isn't what Ratchet writes.
    """
    said = code / chains.CHAIN_FILE
    if not said.is_file():
        return [Container()]
    try:
        found = json.loads(said.read_text(encoding="utf-8"))
        return [Container(str(each["entry"]), each["framework"], dict(each["environment"])) for each in found]
    except (ValueError, KeyError, TypeError) as error:
        raise ServingError(f"{said.relative_to(code.parent)} says no chain: {type(error).__name__}: {error}") from error
