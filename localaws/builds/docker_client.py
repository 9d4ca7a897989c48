"""The program `docker` of a build's container: hands its command line, folder and files to who does it beside it.

`docker_client.py SOCKET ARGUMENT…`. Standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping

# Docker's own words, where a project isn't privileged (CodeBuild User Guide, Troubleshooting).
_NO_DAEMON = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n"
    "(The project's environment has privilegedMode false; a build that uses docker needs it true.)"
)


def filled(words: list[str], environment: Mapping[str, str]) -> list[str]:
    """A command line whose `--build-arg NAME` have their values from the environment of who asks, as docker's. Pure."""
    found = list[str]()
    for before, word in zip(["", *words], words, strict=False):
        start = "--build-arg=" if word.startswith("--build-arg=") else ""
        name = word.removeprefix(start)
        is_named = (start or before == "--build-arg") and name in environment
        found.append(f"{word}={environment[name]}" if is_named else word)
    return found


def main(arguments: list[str]) -> int:
    """Have the command done; its exit status."""
    words = filled(arguments[1:], os.environ)
    asked = {"arguments": words, "folder": os.getcwd()}  # noqa: PTH109 - nothing else is imported
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as service:
        try:
            service.connect(arguments[0])
        except OSError:
            print(_NO_DAEMON, file=sys.stderr)  # noqa: T201
            return 1
        socket.send_fds(service, [json.dumps(asked).encode() + b"\n"], [0, 1, 2])
        answer = b""
        while piece := service.recv(64):
            answer += piece
    return int(answer or b"1")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
