"""A run shown while it happens: a line a state, the present one moving."""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from ratchet.history import Execution, Visit
from ratchet.units import duration

_STYLES = {
    "Promoted": "bold green",
    "NotBetter": "yellow",
    "UpToDate": "cyan",
    "Running": "blue",
    "RolledBack": "bold red",
    "Failed": "bold red",
    "Stopped": "bold red",
}


def outcome_style(outcome: str) -> str:
    """Rich's style of an outcome."""
    return _STYLES.get(outcome, "bold")


class LiveStates:
    """Prints each state once, when it is left; the one that the run is in spins, with the seconds it has taken."""

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
        done = [visit for visit in execution.visits if visit.exited or (execution.status and visit.failed)]
        for visit in done[self._printed.get(run_id, 0) :]:
            if visit.takes_time or visit.failed:
                self._console.print(_line(visit))
        self._printed[run_id] = len(done)
        if execution.current:
            self._status.update(_present(execution.current))


def _line(visit: Visit) -> str:
    seconds = duration(visit.seconds) if visit.seconds is not None else ""
    mark = "[red]✗[/]" if visit.failed else "[green]✓[/]"
    again = f"  {visit.attempts} attempts" if visit.attempts > 1 else ""
    error = f"  {visit.error}: {first_line(visit.cause)}" if visit.failed else ""
    return f"{mark} {visit.name:<28} {seconds:>12}{again}{escape(error)}"


def first_line(text: str | None, length: int = 200) -> str:
    """The beginning of a cause."""
    line = (text or "").strip().partition("\n")[0]
    return line if len(line) <= length else line[: length - 1] + "…"


def _present(visit: Visit) -> str:
    return f"{visit.name}  {duration((datetime.now(UTC) - visit.entered).total_seconds())}"
