"""The loaded model: where it comes from, and how a request goes through its functions."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .bodies import ANY, JSON
from .functions import Functions
from .http_messages import Request, Response


class Settings(NamedTuple):
    """What a container's variables say of its model.

    code_dir: SAGEMAKER_SUBMIT_DIRECTORY, a path here: the platform has fetched an `s3://` one before it started us.
    """

    model_dir: Path
    code_dir: Path
    program: str
    accept: str


class Model(ABC):
    """A loaded model behind its functions; asked one request at a time, as one worker of the framework containers.

    answers_others_while_one_waits: whether the worker's code does, where it waits (`one_at_a_time`).
    """

    answers_others_while_one_waits = False

    def __init__(self, functions: Functions, settings: Settings) -> None:
        self.functions = functions
        self.settings = settings
        self.model = self.load()

    def load(self) -> object:
        """The result of `model_fn`."""
        return self.functions.model_fn(str(self.settings.model_dir))

    def respond(self, request: Request) -> Response:
        """The answer to a request; nothing that the user's code raises gets past here."""
        try:
            return self.transform(request)
        except Exception as error:  # noqa: BLE001 - whatever it raises becomes an answer, its traceback log lines
            return self.failure(error)

    def execution_parameters(self) -> Response | None:
        """How a transform job had best ask; None where the container has no word on it."""
        return None

    @abstractmethod
    def transform(self, request: Request) -> Response:
        """The functions' answer."""

    @abstractmethod
    def failure(self, error: Exception) -> Response:
        """The answer of a container whose functions raised."""

    def accept_of(self, request: Request) -> str:
        """What the request wants to be answered in; the container's own choice when it leaves it open."""
        asked = request.headers.get("accept", "")
        return self.settings.accept if asked in ("", ANY) else asked


def settings_of(environment: Mapping[str, str]) -> Settings:
    """The container's variables, read."""
    base = Path(environment.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
    submitted = environment.get("SAGEMAKER_SUBMIT_DIRECTORY") or "/opt/ml/model/code"
    inside = submitted.removeprefix("/opt/ml/")
    return Settings(
        model_dir=base / "model",
        code_dir=base / inside if inside != submitted else Path(submitted),
        program=environment.get("SAGEMAKER_PROGRAM") or "inference.py",  # the inference toolkit's default
        accept=environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or JSON,
    )


def timed(name: str, started: float) -> None:
    """A log line on how long it took to load."""
    print(f"Loaded the model with {name} in {time.perf_counter() - started:.2f} s.", flush=True)  # noqa: T201
