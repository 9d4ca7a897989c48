"""`python -m localaws.spot_command interrupt JOB`: take the instance of a managed spot training job.

As on the spot market, the job's script gets SIGTERM, and after the notice SIGKILL; its checkpoints go to S3; once
capacity is back, it starts on a new instance. Asked of a running embedded AWS with its root user's key.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from pathlib import Path

from localaws.sagemaker.jobs.spot_market import Interruption
from localaws.server_file import Server, read_server

PATH = "/_localaws/spot/interruptions"
DEFAULT_STATE = Path(".ratchet/aws")
_SECONDS = 30


class InterruptionRefusedError(Exception):
    """The job wasn't interrupted; the message says why."""


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    server = read_server(options.state)
    if server is None:
        return _fail(f"no embedded AWS is running on {options.state}; start one, or name its folder with --state")
    try:
        interrupt(server, options.job, Interruption(options.notice, options.absence))
    except (InterruptionRefusedError, ValueError) as error:
        return _fail(str(error))
    print(f"{options.job} is interrupted: SIGTERM, and SIGKILL after {options.notice:g} s")  # noqa: T201 - its user
    return 0


def interrupt(server: Server, job: str, interruption: Interruption) -> None:
    """Interrupt a job. Raises InterruptionRefusedError."""
    body = {"TrainingJobName": job, "notice": interruption.notice, "absence": interruption.absence}
    request = urllib.request.Request(  # noqa: S310 - http, to this machine
        server.endpoint_url + PATH,
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {server.secret_access_key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310
            return
    except urllib.error.HTTPError as error:
        raise InterruptionRefusedError(json.loads(error.read())["message"]) from error
    except OSError as error:
        raise InterruptionRefusedError(f"the embedded AWS at {server.endpoint_url} doesn't answer: {error}") from error


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localaws.spot_command", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("interrupt", help="take a job's instance")
    command.add_argument("job", help="name of a training job in status Training")
    command.add_argument("--state", type=Path, default=DEFAULT_STATE, help="folder of the running embedded AWS's state")
    command.add_argument("--notice", type=float, default=Interruption.notice, help="seconds from SIGTERM to SIGKILL")
    command.add_argument("--absence", type=float, default=Interruption.absence, help="seconds without capacity")
    return parser.parse_args(arguments)


def _fail(message: str) -> int:
    print(message, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
