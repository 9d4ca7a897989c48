"""Runs in a build's container: unpacks the source, and runs the phases' commands. Standard library only.

`agent.py JOB EVENTS`: JOB is a file that says what to do, EVENTS the number of a descriptor for what has happened, a
JSON document a line. What the commands say goes to the standard output, as the build's log.

The commands of a version 0.2 buildspec share one shell, in CodeBuild by handing its variables and folder on from one to
the next; so here. A command that calls `exit` ends itself alone.
"""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Sets what the last command left, and leaves what this one does, unless it ends the shell itself.
_SCRIPT = """\
cd "$(cat '{folder}/folder')" || exit
. '{folder}/variables'
set -a
. '{folder}/command'
set -- $?
set +a
export -p > '{folder}/variables'
pwd > '{folder}/folder'
exit $1
"""


class Agent:
    """Runs one build."""

    def __init__(self, job: dict[str, Any], events: int) -> None:
        self._job = job
        self._events = events
        self._folder = Path(job["scratch"])
        self._shell: str = job["shell"]
        self._succeeding = True

    def run(self) -> int:
        """Run the phases; 0 where all have succeeded."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "folder").write_text(f"{self._job['source']}\n")
        (self._folder / "variables").write_text("")
        (self._folder / "script").write_text(_SCRIPT.format(folder=self._folder))
        try:
            unpack(self._job.get("archive"), Path(self._job["source"]))
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            self._tell(phase="DOWNLOAD_SOURCE", state="FAILED", message=str(error))
            return 1
        follow = True
        for phase in self._job["phases"]:
            if not follow:
                break
            succeeded = self._phase(phase)
            self._succeeding = self._succeeding and succeeded
            # "Build phase transitions": after a BUILD that has failed comes POST_BUILD all the same.
            follow = succeeded or phase["goes_on"] or phase["name"] == "BUILD"
        self._tell(exported=self._exported())
        return 0 if self._succeeding else 1

    def _phase(self, phase: dict[str, Any]) -> bool:
        say(f"Entering phase {phase['name']}")
        self._tell(phase=phase["name"], state="IN_PROGRESS")
        problem = self._first_problem(phase["commands"])
        of_last = self._first_problem(phase["finally"])
        problem = problem or of_last
        state = "FAILED" if problem else "SUCCEEDED"
        say(f"Phase complete: {phase['name']} State: {state}")
        say(f"Phase context status code: {'COMMAND_EXECUTION_ERROR' if problem else ''} Message: {problem}")
        self._tell(phase=phase["name"], state=state, message=problem)
        return not problem

    def _first_problem(self, commands: list[str]) -> str:
        """Run commands until one fails; what CodeBuild says of that, nothing where none did."""
        for command in commands:
            say(f"Running command {command}")
            status = self._command(command)
            if status != 0:
                say(f"Command did not exit successfully {command} exit status {status}")
                return f"Error while executing command: {command}. Reason: exit status {status}"
        return ""

    def _command(self, command: str) -> int:
        (self._folder / "command").write_text(f"{command}\n")
        with (self._folder / "variables").open("a") as file:
            file.write(f"export CODEBUILD_BUILD_SUCCEEDING={int(self._succeeding)}\n")
        shell = [self._shell, str(self._folder / "script")]
        return subprocess.run(shell, stdin=subprocess.DEVNULL, check=False).returncode

    def _exported(self) -> dict[str, str]:
        names = [name for name in self._job["exported"] if _NAME.fullmatch(name)]
        asked = "".join(f"printf '%s\\0' \"${{{name}-}}\"\n" for name in names)
        script = f". '{self._folder}/variables'\n{asked}"
        found = subprocess.run([self._shell, "-c", script], stdout=subprocess.PIPE, check=False).stdout
        return dict(zip(names, found.decode("utf-8", "replace").split("\0"), strict=False))

    def _tell(self, **event: Any) -> None:
        os.write(self._events, json.dumps(event).encode() + b"\n")


def say(text: str) -> None:
    """A line of the build's own in its log."""
    now = time.time()
    at = time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(now))
    print(f"[Container] {at}.{int(now % 1 * 1e6):06d} {text}", flush=True)  # noqa: T201 - the log


def unpack(archive: str | None, target: Path) -> None:
    """Unpack a ZIP archive with its modes, times and links; what would lie outside of the target isn't written.

    By the times layers of images are found again that an earlier build has made.
    """
    target.mkdir(parents=True, exist_ok=True)
    if archive is None:
        return
    with zipfile.ZipFile(archive) as zipped:
        links = []
        for entry in zipped.infolist():
            mode = entry.external_attr >> 16
            if stat.S_ISLNK(mode):
                links.append((target / entry.filename, zipped.read(entry).decode()))
            else:
                path = Path(zipped.extract(entry, target))
                if not entry.is_dir() and mode:
                    path.chmod(stat.S_IMODE(mode) & 0o777)
                changed = time.mktime((*entry.date_time, 0, 0, -1))
                os.utime(path, (changed, changed))
        for place, leads_to in links:  # last, so that nothing is written through them
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(leads_to)
    Path(archive).unlink()


def main(arguments: list[str]) -> int:
    """Run the build that a file says."""
    events = int(arguments[1])
    os.set_inheritable(events, False)
    return Agent(json.loads(Path(arguments[0]).read_text()), events).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
