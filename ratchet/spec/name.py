"""`name` of pipeline.yaml: short enough for every name that is derived from it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from contract import names
from ratchet.spec.errors import checked

# `<environment>-<pipeline>-<content hash>` is the longest name that callers meet: 12 + 1 + 32 + 1 + 12 = 58 of
# SageMaker's 63 characters. Jobs' names, which hold a run id besides, are cut.
NAME_LENGTH = 32
# `ratchet-<environment>-shared` is the shared stack: a pipeline of that name would be deployed over it.
RESERVED_NAMES = (names.SHARED,)


def check_name(value: str) -> str:
    """A pipeline's name, if every name derived from it keeps to AWS's limits; ValueError says why not."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value):
        right = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-").lstrip("0123456789-")
        raise ValueError(
            f"is {value!r}; use lower-case letters, digits and single hyphens, starting with a letter"
            + (f", as {right}" if right else "")
        )
    if len(value) > NAME_LENGTH:
        raise ValueError(
            f"has {len(value)} characters; "
            f"at most {NAME_LENGTH}, so that <environment>-<name>-<hash> fits SageMaker's 63"
        )
    if value in RESERVED_NAMES:
        raise ValueError(f"is {value!r}, the name of the stack that all pipelines share; choose another")
    return value


Name = Annotated[str, AfterValidator(checked(check_name)), Field(json_schema_extra={"maxLength": NAME_LENGTH})]
