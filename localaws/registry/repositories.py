"""What a repository can be: its name, and how its tags change. What isn't done here is refused by name. Pure."""

from __future__ import annotations

import re
from typing import Any

from localaws.registry import references
from localaws.registry.refusals import RegistryError, invalid

_NAME = re.compile(references.REPOSITORY)
_SHORTEST, _LONGEST = 2, 256
_MUTABILITY = ("MUTABLE", "IMMUTABLE")


def check(operation: str, request: dict[str, Any]) -> None:
    """Refuse a request that makes a repository, or changes one, into what can't be here. Raises RegistryError."""
    if operation == "CreateRepository":
        _check_name(str(request.get("repositoryName", "")))
    if operation in ("CreateRepository", "PutImageTagMutability"):
        _check_mutability(request)


def _check_name(name: str) -> None:
    if not _SHORTEST <= len(name) <= _LONGEST or not _NAME.fullmatch(name):
        raise invalid("repositoryName", f"must satisfy regular expression '{references.REPOSITORY}'")


def _check_mutability(request: dict[str, Any]) -> None:
    wanted = request.get("imageTagMutability", "MUTABLE")
    if wanted not in _MUTABILITY:
        told = f"not implemented here: imageTagMutability {wanted}; it can be {' or '.join(_MUTABILITY)}"
        raise RegistryError("InvalidParameterException", told)
    if request.get("imageTagMutabilityExclusionFilters"):
        raise RegistryError("InvalidParameterException", "not implemented here: imageTagMutabilityExclusionFilters")
