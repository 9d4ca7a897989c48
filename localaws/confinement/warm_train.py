"""A container's program that is `train` (train_program.py), in a process that was forked, which forks its script."""

from __future__ import annotations

import os
import subprocess
import sys

from localaws.confinement import warm_program
from localaws.confinement.warm_program import BecomesError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from localaws.confinement.kept_modules import Kept


def main(path: str, environment: dict[str, str], kept: Kept) -> int:
    """Run the program at `path`; its exit status. A process that is to become the script leaves by BecomesError."""
    os.environ.clear()
    os.environ.update(environment)
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    space: dict[str, Any] = {"__name__": "train", "__file__": path}
    exec(code, space)  # noqa: S102 - the server's own, which no container can write to

    def run(command: list[str], cwd: str, variables: dict[str, str]) -> int:
        program = warm_program.found(command, variables, cwd, kept)
        if program is None:
            return subprocess.call(command, cwd=cwd, env=variables)
        child = os.fork()
        if child == 0:
            os.chdir(cwd)
            raise BecomesError(program)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    status = space["main"](run)
    sys.stdout.flush()
    return int(status)
