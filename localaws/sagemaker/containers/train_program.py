"""The program `train` in a framework image's container: runs the script as AWS's toolkit does (train_command.py).

Like the toolkit (sagemaker-training, process.py) it waits for the script and passes no signal on to it. It stands in
front of every job, so it imports little.
"""

# pathlib would take as long to import as the rest:
# ruff: noqa: PTH110, PTH118, PTH120, PTH123

import json
import os
import subprocess
import sys

KILLED = 137  # the status that a shell gives for what SIGKILL ended


def main() -> int:
    """Run the script; 0, or the toolkit's exit code for whatever went wrong."""
    with open(os.path.join(os.path.dirname(os.path.realpath(__file__)), "train.json"), encoding="utf-8") as file:
        plan = json.load(file)
    if plan["failure"]:
        print(plan["failure"], file=sys.stderr)  # noqa: T201 - the job's log
        return 1
    if plan["install"] and (reason := install(plan["cwd"], **plan["install"])):
        return failed(reason, plan["reason_file"])
    status = subprocess.call(plan["command"], cwd=plan["cwd"], env={**os.environ, **plan["variables"]})
    if status == 0:
        return 0
    extra = '\nExtraInfo "OutOfMemory: Process killed by SIGKILL (signal 9)"' if status == KILLED else ""
    return failed(described("ExecuteUserScriptError", status, "", plan["told"], extra), plan["reason_file"])


def install(cwd: str, command: list[str], error: str) -> str:
    """Run pip; why it failed, nothing where it did not."""
    running = subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE)
    said = []
    for line in running.stderr or ():
        os.write(2, line)
        if line.startswith((b"ERROR", b"error")):
            said.append(line.decode("utf-8", "replace").strip())
    status = running.wait()
    if status == 0:
        return ""
    return described(error, status, "\n".join(said), " ".join(command))


def described(error: str, status: int, message: str, command: str, extra: str = "") -> str:
    """A failure in the toolkit's words (errors.py); a script that a signal ended has a status below 0."""
    return f'{error}:\nExitCode {status}\nErrorMessage "{message}"{extra}\nCommand "{command}"'


def failed(reason: str, file: str) -> int:
    """Leave a reason in its file, unless the script has left its own; the toolkit's exit code for every failure."""
    if not os.path.exists(file):
        with open(file, "w", encoding="utf-8") as written:
            written.write(reason)
    return 1


if __name__ == "__main__":
    sys.exit(main())
