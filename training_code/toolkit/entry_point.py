"""The first process of a training container: runs the image's own `train`, and passes SIGTERM on to the user's script.

AWS's training toolkit, which is the first process otherwise, doesn't (aws/sagemaker-training-toolkit, issues 125 and
173). A container starts before the toolkit has unpacked any source, so the request for the job brings this text itself,
a line an argument (infra/workflow/first_process.py): no imports but the standard library's, Python 3.8.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

STARTER = "start_with_right_hostname.sh"  # of PyTorch's images: their ENTRYPOINT, which runs `train` for `train`
SHELLS = ("ash", "bash", "busybox", "dash", "ksh", "sh", "zsh")


class EntryPoint:
    """A container's main program, and whom its SIGTERM has gone to."""

    def __init__(self) -> None:
        self.started: subprocess.Popen[bytes] | None = None
        self.asked = False
        self.told: list[int] = []

    def run(self) -> int:
        """Runs the image's own training command; its exit code, as a shell has it."""
        signal.signal(signal.SIGTERM, self.pass_on)
        starter = shutil.which(STARTER)
        command = ["bash", "-m", starter, "train"] if starter else ["train"]
        try:
            self.started = subprocess.Popen(command)
        except FileNotFoundError as error:
            print(f"{error.filename} isn't in this image, so it is none of SageMaker's framework images", flush=True)
            return 127
        if self.asked:
            self.pass_on()
        status = self.started.wait()
        # A shell may be gone while what it ran still saves, until SIGKILL at the latest.
        while any(parent_of(pid) is not None for pid in self.told):
            time.sleep(0.05)
        return status if status >= 0 else 128 - status

    def pass_on(self, *_: object) -> None:
        """To the script; to what has been started, where there is none yet."""
        self.asked = True
        if self.started is None:
            return
        for pid in scripts(self.started.pid) or [self.started.pid]:
            try:
                os.kill(pid, signal.SIGTERM)
                self.told.append(pid)
            except ProcessLookupError:
                pass


def scripts(started: int) -> list[int]:
    """What the toolkit has started: the user's script, and of a shell script the shell and what it runs.

    Not what a script has started in its turn: it would lose its workers before it has saved. Nor the toolkit's own
    `sh -c`, whose end the toolkit would take for the script's.
    """
    queue = [child for toolkit in toolkits(started) for child in children(toolkit)]
    found = []
    while queue:
        pid = queue.pop()
        below = children(pid) if program(pid) in SHELLS else []
        queue += below
        if not (below and arguments(pid)[1:2] == ["-c"]):
            found.append(pid)
    return found


def toolkits(started: int) -> list[int]:
    """The process of `train`, which PyTorch's starter runs below itself, beside tools of its own."""
    if program(started) not in SHELLS:
        return [started]
    return [pid for pid in children(started) if "train" in (Path(word).name for word in arguments(pid))]


def children(parent: int) -> list[int]:
    """The processes that one has started and that still run."""
    pids = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return [pid for pid in pids if parent_of(pid) == parent]


def parent_of(pid: int) -> int | None:
    """A process's parent; None for one that has ended."""
    state, parent, *_ = [*read(pid, "stat").rpartition(")")[2].split(), "", ""]
    return None if state in ("", "Z", "X") else int(parent)


def program(pid: int) -> str:
    """The name of the file that a process runs."""
    try:
        return Path("/proc", str(pid), "exe").resolve(strict=True).name
    except OSError:
        return ""


def arguments(pid: int) -> list[str]:
    """A process's command line."""
    return read(pid, "cmdline").split("\0")


def read(pid: int, name: str) -> str:
    """A process's file in /proc."""
    try:
        return Path("/proc", str(pid), name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


if __name__ == "__main__":
    sys.exit(EntryPoint().run())
