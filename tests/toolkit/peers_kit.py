"""Processes that train together, started as torchrun starts them: each is told its number and where they meet."""

import os
import socket
import subprocess
import sys

SECONDS = 120


def free_port():
    """A port that nobody has now, as a variable says it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def together(count, script, *arguments, variables=None):
    """So many processes of a script: the exit code and what it said, of each.

    variables: number -> what that process is told besides.
    """
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port(), "WORLD_SIZE": str(count)}
    started = [
        subprocess.Popen(
            [sys.executable, str(script), *arguments],
            env={
                **os.environ,
                **meeting,
                "OMP_NUM_THREADS": "1",
                "RANK": str(number),
                **(variables(number) if variables else {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(count)
    ]
    try:
        printed = [process.communicate(timeout=SECONDS)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    return [(process.returncode, said) for process, said in zip(started, printed, strict=True)]
