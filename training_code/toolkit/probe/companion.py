"""The job's processes beside the probe's own: its rank among them; the rules' process, which judges; the views', which
draws."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.environment import RULES, TENSORS, VIEWS
from contract.views import LAST_PICTURES_SECONDS
from toolkit.probe.problems import Problems

# For the rules' last verdicts, after the end marker; and for the last pictures, with what it takes to write them.
VERDICT_SECONDS = 60.0
PICTURE_SECONDS = LAST_PICTURES_SECONDS + 3.0


@dataclass(frozen=True)
class Kind:
    """A process that runs beside the training, as `python -m toolkit.<name>`, where its variable is set.

    last: what it gives when the training has ended, for which it has so many seconds; then it gets a signal.
    """

    name: str
    variable: str
    last: str
    seconds: float
    signal: int


_RULES = Kind("rules", RULES, "verdicts", VERDICT_SECONDS, signal.SIGTERM)
# It ends by itself well before, and SIGTERM would ask it for its last pictures again.
_VIEWS = Kind("views", VIEWS, "pictures", PICTURE_SECONDS, signal.SIGKILL)


def rank(variables: Mapping[str, str]) -> int:
    """This process's rank: as torchrun and MPI say it, else the host's place among the job's hosts; else 0."""
    for name in ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK"):
        if variables.get(name, "").isdigit():
            return int(variables[name])
    host = variables.get("SM_CURRENT_HOST", "")
    number = host.rpartition("-")[2]  # algo-1, algo-2, …
    return int(number) - 1 if number.isdigit() and int(number) > 0 else 0


class Companion:
    """A process beside the training: the rules' or the views'."""

    def __init__(self, process: subprocess.Popen[bytes], kind: Kind, problems: Problems) -> None:
        self._process, self._kind, self._problems = process, kind, problems

    def wait(self) -> None:
        """Waits until it has said its last, as it does once the end marker is there; for as long as its kind may."""
        kind = self._kind
        try:
            status = self._process.wait(kind.seconds)
        except subprocess.TimeoutExpired:
            said = f"the {kind.name} gave no last {kind.last} within {kind.seconds:g} s and are ended"
            self._problems.warn(kind.name, said)
            self._process.send_signal(kind.signal)
            return
        if status != 0:
            self._problems.warn(kind.name, f"the {kind.name}' process ended with exit code {status}")


def start_rules(directory: Path, problems: Problems) -> Companion | None:
    """Starts `python -m toolkit.rules` on this folder; None where the job has no rules."""
    return _start(_RULES, directory, problems)


def start_views(directory: Path, problems: Problems) -> Companion | None:
    """Starts `python -m toolkit.views` on this folder; None where the job has no views."""
    return _start(_VIEWS, directory, problems, "--code", str(_code()))


def _start(kind: Kind, directory: Path, problems: Problems, *more: str) -> Companion | None:
    if not os.environ.get(kind.variable, "").strip().strip("[]{} "):
        return None
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
    command = [sys.executable, "-m", f"toolkit.{kind.name}", "--trainer", str(os.getpid()), *more]
    variables = {**os.environ, TENSORS: str(directory), "PYTHONPATH": path}
    try:
        # Of their own session: what stops the training must not stop those who say why.
        process = subprocess.Popen(command, env=variables, start_new_session=True)
    except OSError as error:
        problems.caught(f"starting the {kind.name}", error)
        return None
    return Companion(process, kind, problems)


def _code() -> Path:
    """The model's folder: the training script's."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(script).resolve().parent if script else Path.cwd()
