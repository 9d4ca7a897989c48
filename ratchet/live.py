"""A run shown while it happens: a line a state, the present one moving."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from contract import outcomes
from contract.causes import gist, reason
from contract.histories import Execution, Visit
from ratchet.durations import duration

_STYLES = {
    outcomes.PROMOTED: "bold green",
    outcomes.NOT_BETTER: "yellow",
    **dict.fromkeys(outcomes.NOT_APPROVED, "yellow"),
    **dict.fromkeys(outcomes.IDLE, "cyan"),
    outcomes.RUNNING: "blue",
    **dict.fromkeys(outcomes.UNSUCCESSFUL, "bold red"),
}


def outcome_style(outcome: str) -> str:
    """Rich's style of an outcome."""
    return _STYLES.get(outcome, "bold")


@dataclass(frozen=True)
class Step:
    """A state as a reader sees it: with the waiting for it, and however often the machine came back to it."""

    visits: tuple[Visit, ...]

    @property
    def name(self) -> str:
        return next((visit.name for visit in self.visits if visit.kind != "Wait"), self.visits[0].name)

    @property
    def last(self) -> Visit:
        return self.visits[-1]

    @property
    def seconds(self) -> float | None:
        last = self.last.exited
        return (last - self.visits[0].entered).total_seconds() if last else None


def steps(execution: Execution) -> list[Step]:
    """The execution's states that take time; a loop of looking and waiting is one step, and of branches those that each
    goes through are."""
    found: list[Step] = []
    for visit in execution.visits:
        if visit.error is None and (visit.has_branches or not visit.takes_time):
            continue
        if found and (visit.kind == "Wait" or visit.name == found[-1].name):
            found[-1] = Step((*found[-1].visits, visit))
        else:
            found.append(Step((visit,)))
    return found


class LiveStates:
    """Prints each step once, when it is over and the next has begun; the present one spins, with the seconds it has
    taken."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = Status("waiting for the run to start", console=console)
        self._printed: dict[str, int] = {}

    def __enter__(self) -> LiveStates:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def look(self, run_id: str, execution: Execution) -> None:
        """Shows what is new in the execution since the last look."""
        found = steps(execution)
        # The next may go on beside it, in another branch.
        over = list(takewhile(lambda step: step.last.exited is not None, found[:-1]))
        done = found if execution.status else over
        for step in done[self._printed.get(run_id, 0) :]:
            self._console.print(_line(step))
        self._printed[run_id] = len(done)
        if not execution.status and found:
            self._status.update(_present(found[-1]))


def _line(step: Step) -> str:
    seconds = duration(step.seconds) if step.seconds is not None else ""
    mark = "[red]✗[/]" if step.last.failed else "[green]✓[/]"
    attempts = max(visit.attempts for visit in step.visits)
    again = f"  {attempts} attempts" if attempts > 1 else ""
    error = f"  {step.last.error}: {first_line(gist(reason(step.last.cause)))}" if step.last.failed else ""
    return f"{mark} {escape(step.name):<24} {seconds:>12}{again}{escape(error)}"


def first_line(text: str | None, length: int = 200) -> str:
    """The beginning of a cause."""
    line = (text or "").strip().partition("\n")[0]
    return line if len(line) <= length else line[: length - 1] + "…"


def _present(step: Step) -> str:
    return f"{escape(step.name)}  {duration((datetime.now(UTC) - step.visits[0].entered).total_seconds())}"
