"""Whether a run tunes, and why: pure functions over the pipeline's state and `tune` of pipeline.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.state import State, asked

from contract import times
from contract.tuning import TUNED

Document = dict[str, Any]

SECONDS_OF_A_DAY = 86_400


class NotTunableError(ValueError):
    """Somebody wants a pipeline tuned whose pipeline.yaml says nothing of it."""


@dataclass(frozen=True)
class Decision:
    """Whether the run tunes, and why it does or doesn't.

    wished: somebody, or a drift of the data, asks for it: then it is work, whatever else is new.
    values: the tuned hyperparameters that a run which doesn't tune trains with.
    """

    tunes: bool
    because: str
    wished: bool = False
    values: Mapping[str, str] = field(default_factory=dict)


def decide(settings: Mapping[str, Any] | None, state: State, now: datetime) -> Decision | None:
    """As `tune` says; None for a pipeline without it.

    Raises:
        NotTunableError: it is asked for, and can't be done.
    """
    wishes = asked(state.running or {})
    if settings is None:
        if wishes["tune"]:
            raise NotTunableError(
                "the run is to tune, but pipeline.yaml has no tune: (docs/pipeline.md); say there what to tune, or run "
                "without --tune"
            )
        return None
    if wishes["tune"]:
        return Decision(tunes=True, wished=True, because="somebody asked for it")
    if wishes["drift"] and settings["on_drift"]:
        return Decision(tunes=True, wished=True, because="the data have drifted")
    known = known_values(state)
    reason = next(_reasons(settings, state, known, now), None)
    if reason is not None:
        return Decision(tunes=True, because=reason)
    return Decision(tunes=False, because=_not_due(settings, state), values=known)


def known_values(state: State) -> Mapping[str, str]:
    """The tuned values to train with: the champion's, else the best of the last tuning job; empty if there are none."""
    champion, tuning = state.champion or {}, state.tuning or {}
    found: Mapping[str, str] = champion.get(TUNED) or tuning.get("best") or {}
    return found


def _reasons(settings: Mapping[str, Any], state: State, known: Mapping[str, str], now: datetime) -> Iterator[str]:
    if not known and settings["first_run"]:
        yield "no tuned hyperparameters are known yet"
    names = tuned_names(settings["ranges"])
    if known and names != set(known):
        others = ", ".join(sorted(names ^ set(known)))
        yield f"tune.ranges has other hyperparameters than those that are known ({others})"
    every, last = settings["every"] or {}, state.tuning or {}
    since = last.get("runs", 0) + 1
    if known and every.get("runs") and since >= every["runs"]:
        yield f"it is the {_ordinal(since)} run since the last that tuned ({last.get('run_id', 'long ago')})"
    days = _days_since(last.get("at"), now)
    if known and every.get("seconds") and (days is None or days * SECONDS_OF_A_DAY >= every["seconds"]):
        yield "nobody knows when it was last tuned" if days is None else f"it was last tuned {days:.1f} days ago"


def _not_due(settings: Mapping[str, Any], state: State) -> str:
    if not known_values(state):
        return "it trains with train.py's own values until `ratchet run --tune`"
    whose = "the champion's" if (state.champion or {}).get(TUNED) else "the last tuning job's"
    every = settings["every"] or {}
    when = f"tuned again after {every['runs']} runs" if every.get("runs") else "tuned again when it is time"
    return f"it trains with {whose} hyperparameters, {when if every else 'tuned again by `ratchet run --tune`'}"


def tuned_names(ranges: Mapping[str, Any]) -> set[str]:
    """The hyperparameters of ParameterRanges."""
    return {entry["Name"] for entries in ranges.values() for entry in entries}


def _days_since(text: object, now: datetime) -> float | None:
    then = times.moment(text)
    return None if then is None else (now - then).total_seconds() / SECONDS_OF_A_DAY


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
