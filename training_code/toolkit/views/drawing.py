"""`python -m toolkit.views.drawing`: the process in which views' code runs, which another one watches and may kill.

Requests come by standard input, answers go to what was standard output, a line of JSON each. Neither is left to the
views: what they print goes to the job's log.

    → {"view", "step", "parameters", "to": path of the picture, without its format}
    ← {"ending", "bytes", "seconds"}, the picture lies in the file of that ending; or {"reason", "final": no use to try
      another step, "absent": a tensor wasn't saved}
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from contract.views import REASON_LENGTH
from toolkit.probe.errors import NotSavedError
from toolkit.views import figures
from toolkit.views.errors import ViewError, cause
from toolkit.views.loading import load
from toolkit.views.moments import TrialUntil

_PARENT_DEATH_SIGNAL = 1  # prctl(2)
# Whom the kernel ends first when memory is short: this process, not the training.
_FIRST_TO_GO = "1000"


class Drawing:
    """Draws views of one job's tensors. Whatever a view does short of ending its process, nothing is raised here."""

    def __init__(self, place: str, code: Path) -> None:
        self._place, self._code = place, code
        self._home = Path.cwd()
        self._trial: TrialUntil | None = None
        self._loaded: dict[str, Callable[[Any, int], Any]] = {}

    def draw(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request."""
        started = time.perf_counter()
        try:
            ending, content = figures.picture(self._figure(request))
            Path(f"{request['to']}.{ending}").write_bytes(content)
        except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt of a view's own, too
            kinds = {"final": isinstance(error, ViewError), "absent": isinstance(error, NotSavedError)}
            return {"reason": cause(error, self._code)[:REASON_LENGTH], **kinds}
        finally:
            os.chdir(self._home)
        return {"ending": ending, "bytes": len(content), "seconds": round(time.perf_counter() - started, 3)}

    def _figure(self, request: Mapping[str, Any]) -> Any:
        view, parameters, step = request["view"], request["parameters"], request["step"]
        key = json.dumps([view, parameters])
        if key not in self._loaded:
            self._loaded[key] = load(view, parameters, self._code)
        self._trial = self._trial or TrialUntil(self._place)
        self._trial.until = step
        return self._loaded[key](self._trial, step)


def main(arguments: Sequence[str]) -> None:
    """Draws what is asked for until nobody asks any more."""
    parser = argparse.ArgumentParser(prog="python -m toolkit.views.drawing", description=__doc__)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--tensors", required=True)
    parser.add_argument("--code", type=Path, required=True)
    options = parser.parse_args(arguments)
    _depend_on(options.parent)
    requests, answers = _taken_away()
    sys.path[0] = str(options.code)  # as it is for the training script
    drawing, own = Drawing(options.tensors, options.code), os.getpid()
    for line in requests:
        answer = drawing.draw(json.loads(line))
        if os.getpid() != own:  # a view has forked, and this is its child
            os._exit(0)
        answers.write(json.dumps(answer).encode() + b"\n")
    # At once: a view's threads needn't end.
    os._exit(0)


def _depend_on(parent: int) -> None:
    """Ends with the process that watches, and before the training where memory is short."""
    with suppress(OSError, AttributeError):  # where there is no Linux
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
    if os.getppid() != parent:
        os._exit(1)


def _taken_away() -> tuple[Any, Any]:
    """Standard input and output, under numbers that nobody knows; in their place nothing, and the log."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(requests, "rb"), os.fdopen(answers, "wb", buffering=0)


if __name__ == "__main__":
    main(sys.argv[1:])
