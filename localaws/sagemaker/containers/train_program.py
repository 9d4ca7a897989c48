"""The program `train` in a framework image's container: runs the script as AWS's toolkit does (train_command.py).

Like the toolkit (sagemaker-training, process.py) it waits for the script and passes no signal on to it. It stands in
front of every job, so it imports little.
"""

# pathlib would take as long to import as the rest:
# ruff: noqa: PTH118, PTH120, PTH123

import json
import os
import subprocess
import sys


def main() -> int:
    """Run the script; its exit code, as a shell has it."""
    with open(os.path.join(os.path.dirname(os.path.realpath(__file__)), "train.json"), encoding="utf-8") as file:
        plan = json.load(file)
    if plan["failure"]:
        print(plan["failure"], file=sys.stderr)  # noqa: T201 - the job's log
        return 1
    if plan["install"] and (status := install(plan["cwd"], **plan["install"])) != 0:
        return status
    status = subprocess.call(plan["command"], cwd=plan["cwd"], env={**os.environ, **plan["variables"]})
    return status if status >= 0 else 128 - status


def install(cwd: str, command: list[str], error: str, failure: str, done: str) -> int:
    """Run pip; 0, or the toolkit's exit code when it fails, with the reason in the file `failure`."""
    running = subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE)
    said = []
    for line in running.stderr or ():
        os.write(2, line)
        if line.startswith((b"ERROR", b"error")):
            said.append(line.decode("utf-8", "replace").strip())
    status = running.wait()
    if status == 0:
        os.close(os.open(done, os.O_CREAT))
        return 0
    told, ran = "\n".join(said), " ".join(command)
    reason = f'{error}:\nExitCode {status}\nErrorMessage "{told}"\nCommand "{ran}"'
    with open(failure, "w", encoding="utf-8") as file:
        file.write(reason)
    return 1


if __name__ == "__main__":
    sys.exit(main())
