"""Whether a shadow may take over, by its answers and its metrics; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from comparer.captures import Comparison
from contract.shadows import AGREES

Document = dict[str, Any]


@dataclass(frozen=True)
class Figures:
    """A variant's metrics: copies that it was asked, those that ended in an error of its own, and latencies in
    milliseconds by percentile (None: nothing was measured)."""

    copies: int
    errors: int
    latencies: Mapping[str, float | None] = field(default_factory=dict)


def agreement(found: Comparison, figures: Figures) -> float | None:
    """The share of the answers that are the champion's; an error is no such answer. None where there is none at all."""
    asked = found.pairs + figures.errors
    return (found.pairs - found.differ) / asked if asked else None


def judged(found: Comparison, figures: Figures, limits: Mapping[str, Any]) -> Document:
    """The verdict.

    Args:
        limits: {"agree": a share, "errors": a share, "latencies": {"p90": milliseconds}}, each left out where the spec
            says none.
    """
    wrong = faults(found, figures, limits)
    return {
        AGREES: not wrong,
        "reason": "; ".join(wrong) or told(found, figures),
        "pairs": found.pairs,
        "differ": found.differ,
        "unpaired": found.unpaired,
        "copies": figures.copies,
        "errors": figures.errors,
        "latencies": dict(figures.latencies),
        "examples": found.examples,
    }


def faults(found: Comparison, figures: Figures, limits: Mapping[str, Any]) -> list[str]:
    """What is beyond the limits, a sentence each; a shadow that was asked nothing has done nothing wrong."""
    wrong = []
    share, least = agreement(found, figures), limits.get("agree")
    if least is not None and share is not None and share < least:
        errors = f", and {figures.errors} copies ended in an error" if figures.errors else ""
        ids = ", ".join(example["event_id"] for example in found.examples[:3])
        such = f" (events {ids})" if ids else ""
        wrong.append(
            f"{_percent(share)} of its answers are the champion's, and the spec wants {_percent(least)}: "
            f"{found.differ} of {found.pairs} differ{such}{errors}"
        )
    most = limits.get("errors")
    if most is not None and figures.copies and figures.errors > most * figures.copies:
        wrong.append(
            f"{figures.errors} of {figures.copies} copies ended in an error, and the spec allows {_percent(most)}"
        )
    for percentile, limit in limits.get("latencies", {}).items():
        latency = figures.latencies.get(percentile)
        if latency is not None and latency > limit:
            wrong.append(f"its {percentile} latency was {latency:.4g} ms, and the spec allows {limit} ms")
    return wrong


def told(found: Comparison, figures: Figures) -> str:
    """What it came to, where nothing is wrong."""
    share = agreement(found, figures)
    if share is None:
        asked = f"it was asked {figures.copies} copies" if figures.copies else "no request came"
        return f"nothing was compared: {asked}"
    return f"{_percent(share)} of {found.pairs + figures.errors} answers are the champion's"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
