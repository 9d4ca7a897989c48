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
    status = subprocess.call(plan["command"], cwd=plan["cwd"], env={**os.environ, **plan["variables"]})
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
