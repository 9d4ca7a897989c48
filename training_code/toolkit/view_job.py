"""The job of `ratchet view`: draws views of what a training has saved, with that training's own code.

It runs as a SageMaker processing job in the image that trains. Everything lies under /opt/ml/processing:

    input/code/sourcedir.tar.gz     unpacked already: this file is part of it
    input/tensors/                  the tensors' folder of the training
    output/views/<name>.json, …     as beside a training (contract.views); what couldn't be drawn is told there

What is asked stands in the job's arguments (contract.drawings). Where there is no document to tell it in, what went
wrong is one sentence on stderr and in /opt/ml/output/message, which SageMaker returns as ExitMessage.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":
    # Run as a script: the folder above the toolkit takes the place of the toolkit's own on the import path.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from toolkit import exit_message, requirements
from toolkit.container import base_folder
from toolkit.errors import ToolkitError

# After the toolkit, which sees that it can be imported.
from contract import drawings, files  # isort: skip

ML = base_folder()
# The source archive, as it is unpacked: the model's code, the toolkit, the contract.
SOURCE = Path(__file__).resolve().parents[1]
PACKAGES = SOURCE / ".packages"
# Of what is said last.
LINES = 3


def main(argv: Sequence[str]) -> int:
    """Draws; 0 where each view has a document, which tells of its pictures and of what went wrong."""
    output = ML / "processing" / "output"
    try:
        views, steps = drawings.asked(argv)
        if (wanted := SOURCE / files.REQUIREMENTS).is_file():
            requirements.install(wanted, PACKAGES, what="the views")
    except (ToolkitError, ValueError, KeyError) as error:
        exit_message.tell(str(error), ML)
        return 1
    status, said = _draw(json.dumps(views), steps, output)
    told = list((output / files.VIEWS).glob("*.json"))
    if len(told) == len(views):
        return 0
    exit_message.tell(said or f"drawing ended with exit code {status}", ML)
    return 1


def _draw(views: str, steps: list[int] | None, output: Path) -> tuple[int, str]:
    """Draws in a process of its own, which imports what has been installed; its exit code and its last words."""
    tensors = ML / "processing" / "input" / drawings.TENSORS_INPUT
    command = [sys.executable, "-m", "toolkit.views", "--tensors", str(tensors), "--views", views]
    command += ["--code", str(SOURCE), "--output", str(output)]
    command += ["--steps", ",".join(map(str, steps))] if steps else []
    path = os.pathsep.join([str(SOURCE), str(PACKAGES)])
    environment = {**os.environ, "PYTHONPATH": path}
    # The pictures' paths are the container's, of no use to anybody.
    process = subprocess.Popen(
        command,
        cwd=SOURCE,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    last: deque[str] = deque(maxlen=LINES)
    for line in process.stderr or ():
        sys.stderr.write(line)
        last.append(line.strip())
    return process.wait(), " ".join(last)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
