"""Whether an endpoint's answer is the one that the evaluation saw."""

from __future__ import annotations

import math

# The instance that serves may round float32 differently from the one that evaluated.
RELATIVE = 1e-4
ABSOLUTE = 1e-6


def same(answer: str, expected: str) -> bool:
    """Two text/csv answers to one example: equal as text, or as numbers, of which there may be several."""
    given, wanted = (text.strip().strip('"') for text in (answer, expected))
    if given == wanted:
        return True
    fields, others = (text.strip("[]").split(",") for text in (given, wanted))
    return len(fields) == len(others) and all(map(_close, fields, others))


def _close(given: str, wanted: str) -> bool:
    try:
        return math.isclose(float(given), float(wanted), rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    except ValueError:
        return given.strip() == wanted.strip()
