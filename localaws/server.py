"""`python -m localaws.server --state DIR`, with the options below: the embedded AWS.

It runs in the foreground, listens on loopback only, keeps everything under its state folder, and is the only one on
that folder.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import gc
import logging
import os
import resource
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from localaws import leftovers
from localaws.database import DamagedStateError
from localaws.sagemaker.containers import sdk_settings
from localaws.server_file import (
    ACCOUNT,
    DEFAULT_PORT,
    EXIT_NO_ROOM,
    EXIT_PORT_TAKEN,
    EXIT_STATE_DAMAGED,
    EXIT_STATE_IN_USE,
    REGION,
    RootKey,
    Server,
    last_port,
    root_key,
    server_file,
    write_port,
    write_server,
)
from localaws.subreaper import fork_under_subreapers

if TYPE_CHECKING:
    from localaws.ministack_adapter import EmbeddedAws

LOOPBACK = "127.0.0.1"
_LOCK_ATTEMPTS = 20
_LOCK_PAUSE_SECONDS = 0.01
# A stop that takes longer is cut off: every acknowledged change is committed already.
STOP_SECONDS = 4.0


def main(arguments: list[str] | None = None) -> int:
    try:
        return _run(_parse(arguments))
    except DamagedStateError as error:
        return _refused(f"the state is damaged, and nothing was changed: {error}.", EXIT_STATE_DAMAGED)
    except (OSError, sqlite3.OperationalError) as error:
        return _refused(f"the state can't be written: {error}. Free some room there, or give it back.", EXIT_NO_ROOM)


def _refused(why: str, code: int) -> int:
    print(why, file=sys.stderr, flush=True)  # noqa: T201 - the console is its user
    return code


def _run(options: argparse.Namespace) -> int:
    state = options.state.resolve()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _lock(state)
    if lock is None:
        return _refused(f"another embedded AWS is running on {state}", EXIT_STATE_IN_USE)
    leftovers.end(state)
    listener = _listen(options.port, state)
    if listener is None:
        return _refused(f"port {options.port} is taken", EXIT_PORT_TAKEN)
    allow_all_descriptors()
    fork_under_subreapers()
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    images = (options.images or state / "images").resolve()
    server = _described(state, listener.getsockname()[1], root_key(state), options.log)
    _set_environment(state, server)
    code = _serve(state, images, options.rule_evaluator, listener, server)
    # MiniStack's worker threads are not daemons: one that is stuck would keep the process from ending.
    os._exit(code)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m localaws.server", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder that holds all of this AWS's state")
    parser.add_argument("--port", type=int, help=f"{DEFAULT_PORT}, or a free one when it is taken")
    parser.add_argument("--images", type=Path, help="cache of image environments; default: inside the state folder")
    parser.add_argument(
        "--rule-evaluator",
        type=_there,
        nargs="+",
        default=[],
        metavar=("FILE", "FOLDER"),
        help="Python program that evaluates SageMaker Debugger's rules, and the folders that it must see; without it, "
        "jobs with rules are refused",
    )
    parser.add_argument("--log", type=Path, help="the file that the output goes to; only reported, not opened")
    return parser.parse_args(arguments)


def _there(path: str) -> Path:
    found = Path(path).resolve()
    if not found.exists():
        raise argparse.ArgumentTypeError(f"there is no {found}")
    return found


def allow_all_descriptors() -> None:
    """Raise the soft limit of open files to the hard one: connections, jobs and endpoints take some each."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # macOS refuses an infinite one
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _lock(state: Path) -> int | None:
    """Hold the state's lock until this process and its subreaper have ended, or None when someone else holds it."""
    descriptor = os.open(state / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    for _ in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_SECONDS)  # who only asks whether it is locked holds it for a moment
        else:
            return descriptor
    os.close(descriptor)
    return None


def _listen(port: int | None, state: Path) -> socket.socket | None:
    """A listening socket on loopback: on `port`, or where none is asked for on the last, the usual or a free one."""
    last = last_port(state) if not port else 0
    for candidate in (last or DEFAULT_PORT, DEFAULT_PORT, 0) if port is None else (port or last, port):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, candidate))
            listener.listen(512)
        except OSError:
            listener.close()
            continue
        write_port(state, listener.getsockname()[1])
        return listener
    return None


def _described(state: Path, port: int, key: RootKey, log: Path | None) -> Server:
    """This process as `server.json` describes it."""
    return Server(
        pid=os.getpid(),
        port=port,
        endpoint_url=f"http://{LOOPBACK}:{port}",
        region=REGION,
        account=ACCOUNT,
        access_key_id=key.access_key_id,
        secret_access_key=key.secret_access_key,
        sagemaker_sdk_settings=str(sdk_settings.write(state, REGION, ACCOUNT)),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        log=str(log or ""),
    )


def _set_environment(state: Path, server: Server) -> None:
    """Set MiniStack's settings, which it reads from the environment when it is imported."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "MINISTACK_", "LAMBDA_", "SFN_"))]:
        del os.environ[name]
    os.environ.update(
        BIND_HOST=LOOPBACK,
        GATEWAY_PORT=str(server.port),
        AUTH="true",
        AWS_ACCESS_KEY_ID=server.access_key_id,
        AWS_SECRET_ACCESS_KEY=server.secret_access_key,
        AWS_DEFAULT_REGION=REGION,
        AWS_EC2_METADATA_DISABLED="true",
        MINISTACK_ACCOUNT_ID=ACCOUNT,
        MINISTACK_REGION=REGION,
        # The adapter's journal keeps the state; MiniStack's own way saves only on a graceful stop.
        PERSIST_STATE="0",
        STATE_DIR=str(state / "ministack"),
        # The adapter keeps objects too, see `s3_state`.
        S3_PERSIST="0",
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        DOCKER_HOST="unix:///nonexistent/docker.sock",
        LAMBDA_EXECUTOR="local",
        LOG_LEVEL="WARNING",
    )


def _serve(state: Path, images: Path, rule_evaluator: Sequence[Path], listener: socket.socket, server: Server) -> int:
    # Start-up makes no garbage worth a collection.
    gc.disable()
    from hypercorn.asyncio import serve  # noqa: PLC0415 - after the environment is set
    from hypercorn.config import Config  # noqa: PLC0415

    from localaws import connections, listeners, ministack_adapter, priority  # noqa: PLC0415

    connections.close_with_clients()
    priority.come_first()
    # At its import it says that it can't sign; a request that wants that is told.
    logging.getLogger("kms").setLevel(logging.ERROR)
    aws = ministack_adapter.install(state_dir=state, image_dir=images, port=server.port, rule_evaluator=rule_evaluator)
    gc.freeze()
    gc.enable()
    config = _configured(Config(), listener)

    async def run() -> None:
        stopping = asyncio.Event()
        _on_stop(asyncio.get_running_loop(), stopping)
        listeners.remember(asyncio.get_running_loop())

        def ready() -> None:
            write_server(state, server)

        await serve(aws.application(ready), config, shutdown_trigger=stopping.wait)

    asyncio.run(_until_stopped(run, aws, state))
    return 0


def _configured(config: Any, listener: socket.socket) -> Any:
    """hypercorn's configuration; it takes the listener over."""
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 0.5
    config.shutdown_timeout = 0.5
    config.h11_max_incomplete_size = 64 * 1024  # of the request line and the headers together; AWS takes less
    config.loglevel = "WARNING"
    return config


def _on_stop(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    def stop() -> None:
        _cut_off_after(STOP_SECONDS)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


async def _until_stopped(run: Callable[[], Awaitable[None]], aws: EmbeddedAws, state: Path) -> None:
    try:
        await run()
    finally:
        server_file(state).unlink(missing_ok=True)
        aws.close()


def _cut_off_after(seconds: float) -> None:
    """End the process even when something (a custom resource, a handler) refuses to."""
    timer = threading.Timer(seconds, os._exit, args=(0,))
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main())
