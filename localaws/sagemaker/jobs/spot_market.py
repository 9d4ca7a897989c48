"""The market for spot instances, as this machine plays it. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

NOTICE = 120.0  # seconds from SIGTERM to SIGKILL ("Managed Spot Training", developer guide; StopTrainingJob's too)


@dataclass(frozen=True)
class Interruption:
    """A spot instance is taken: `notice` seconds from SIGTERM to SIGKILL (0: no SIGTERM at all), and after `absence`
    seconds there is capacity again."""

    notice: float = NOTICE
    absence: float = 1.0

    def __post_init__(self) -> None:
        _at_least("notice", self.notice, 0)
        _at_least("absence", self.absence, 0)


@dataclass(frozen=True)
class SpotMarket:
    """When spot jobs are interrupted without being told to be, and what they cost.

    interrupt_every: seconds of training after which a job's instance is taken; None: never, only by command.
    interruptions: how often that happens to a job at most.
    notice, absence: seconds, as of an `Interruption`.
    discount: what spot saves of the on-demand price, from 0 to below 1. AWS's own depends on the day ("up to 90%").
    """

    interrupt_every: float | None = None
    interruptions: int = 1
    notice: float = NOTICE
    absence: float = 1.0
    discount: float = 0.7

    def __post_init__(self) -> None:
        if self.interrupt_every is not None:
            _at_least("interrupt_every", self.interrupt_every, 0.1)
        _at_least("interruptions", self.interruptions, 0)
        if not isinstance(self.interruptions, int):
            raise ValueError(f"interruptions: {self.interruptions!r}; it must be a whole number")
        _at_least("discount", self.discount, 0)
        if self.discount >= 1:
            raise ValueError(f"discount: {self.discount!r}; it must be below 1, as 0.7 for 70 %")
        self.interruption()

    def interruption(self) -> Interruption:
        """The interruption that the schedule makes."""
        return Interruption(self.notice, self.absence)

    def billable(self, seconds: int) -> int:
        """Seconds at the on-demand price that `seconds` of spot training cost, at least 1."""
        return max(1, math.ceil(seconds * (1 - self.discount)))


def _at_least(name: str, value: object, least: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < least:  # type: ignore[arg-type, operator]
        raise ValueError(f"{name}: {value!r}; it must be a number of at least {least:g}")


# Nobody is interrupted unasked.
QUIET_MARKET = SpotMarket()
