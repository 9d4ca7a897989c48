"""The job's processes beside the probe's own: its rank among them, and the rules' process, which judges."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from contract.environment import RULES, TENSORS
from toolkit.probe.problems import Problems

# For the rules' last verdicts, after the end marker.
VERDICT_SECONDS = 60.0


def rank(variables: Mapping[str, str]) -> int:
    """This process's rank: as torchrun and MPI say it, else the host's place among the job's hosts; else 0."""
    for name in ("RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK"):
        if variables.get(name, "").isdigit():
            return int(variables[name])
    host = variables.get("SM_CURRENT_HOST", "")
    number = host.rpartition("-")[2]  # algo-1, algo-2, …
    return int(number) - 1 if number.isdigit() and int(number) > 0 else 0


class Companion:
    """The rules' process."""

    def __init__(self, process: subprocess.Popen[bytes], problems: Problems) -> None:
        self._process, self._problems = process, problems

    def wait(self) -> None:
        """Waits until the rules have said their last verdicts; for a minute at most."""
        try:
            status = self._process.wait(VERDICT_SECONDS)
        except subprocess.TimeoutExpired:
            self._problems.warn("rules", f"the rules gave no last verdicts within {VERDICT_SECONDS:g} s and are ended")
            self._process.terminate()
            return
        if status != 0:
            self._problems.warn("rules", f"the rules' process ended with exit code {status}")


def start_rules(directory: Path, problems: Problems) -> Companion | None:
    """Starts `python -m toolkit.rules` on this folder; None where the job has no rules."""
    if not os.environ.get(RULES, "").strip().strip("[]{} "):
        return None
    package = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH", ""))))
    command = [sys.executable, "-m", "toolkit.rules", "--trainer", str(os.getpid())]
    variables = {**os.environ, TENSORS: str(directory), "PYTHONPATH": path}
    try:
        # Of their own session: what stops the training must not stop those who say why.
        process = subprocess.Popen(command, env=variables, start_new_session=True)
    except OSError as error:
        problems.caught("starting the rules", error)
        return None
    return Companion(process, problems)
