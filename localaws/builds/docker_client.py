"""The program `docker` of a build's container: hands its command line, folder and files to who does it beside it.

`docker_client.py SOCKET ARGUMENT…`. Standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import sys

# Docker's own words, where a project isn't privileged (CodeBuild User Guide, Troubleshooting).
_NO_DAEMON = (
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n"
    "(The project's environment has privilegedMode false; a build that uses docker needs it true.)"
)


def main(arguments: list[str]) -> int:
    """Have the command done; its exit status."""
    asked = {"arguments": arguments[1:], "folder": os.getcwd()}  # noqa: PTH109 - nothing else is imported
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
