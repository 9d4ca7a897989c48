"""Errors of what a user writes: where they are, what was wrong, and what would be right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from contract.suggestions import near
from ratchet.spec.yaml_lines import Problem


class ConfigurationError(ValueError):
    """cdk.json or a pipeline's folder asks for something that can't be built. The message is for people."""


class SpecError(ValueError):
    """A pipeline.yaml that can't be used: its problems, one a line, as `file:line: field: message`."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        told = [_sentence(path, problem) for problem in self.problems[:_MOST_PROBLEMS]]
        more = len(self.problems) - len(told)
        super().__init__("\n".join([*told, *([f"and {more} more"] if more else [])]))


# Of a file that is wrong throughout a person reads the beginning.
_MOST_PROBLEMS, _LONGEST_SENTENCE = 50, 2000


def _sentence(path: Path, problem: Problem) -> str:
    field = f"{problem.field}: " if problem.field else ""
    sentence = f"{path}:{problem.line}: {field}{problem.message}"
    return sentence if len(sentence) <= _LONGEST_SENTENCE else f"{sentence[:_LONGEST_SENTENCE]}…"


def refusal(message: str, *at: str | int) -> PydanticCustomError:
    """An error whose message reaches the user as it is; `at` names a field inside the one that is validated."""
    return PydanticCustomError("refused", "{message}", {"message": message, "at": at})


def checked(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A validator from a function that raises ValueError with a sentence for the user."""

    def validate(value: Any) -> Any:
        try:
            return check(value)
        except ValueError as error:
            raise refusal(str(error)) from error

    return validate


def nearest(name: str, known: Sequence[str]) -> str:
    """`; did you mean x?`, or the list of what is known when nothing is near."""
    meant = near(name, known)
    return f"; did you mean {meant}?" if meant else f"; known: {', '.join(known)}"
