"""Lists in one text, as SageMaker Debugger's parameters hold them."""

from __future__ import annotations

import re

# Commas inside brackets belong to a regular expression: `layer.{1,2}` is one, not two.
_COMMA = re.compile(r",(?![^{\[(]*[}\])])\s*")


def items(text: str) -> list[str]:
    """The items between the commas, without empty ones."""
    return [item for item in _COMMA.split(text.strip()) if item]
