"""A Lambda function as data: what a stack makes of it, and what a run's step says of the function that it calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.grants import Grant


@dataclass(frozen=True, kw_only=True)
class DeclaredFunction:
    """`lambdas/<folder>/handler.py` as a function; its time limit is 1-900 `seconds`, its memory 128-10240 `megabytes`,
    of which new accounts have 3008."""

    folder: str
    purpose: str
    seconds: int
    megabytes: int = 256
    variables: Mapping[str, str] = field(default_factory=dict)
    grants: Sequence[Grant] = ()
