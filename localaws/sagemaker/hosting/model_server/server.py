"""The server's life: where its connections come from, when it answers, and when it ends."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from .containers import load
from .desk import Desk
from .errors import StartError
from .model import Model


def connections_of_control(control: socket.socket, on_connection: Callable[[socket.socket], None]) -> None:
    """Take the connections that the platform passes; returns when it closed its end, or died."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        for descriptor in descriptors:
            on_connection(socket.socket(fileno=descriptor))
        if not message:
            return


def connections_of_port(listener: socket.socket, on_connection: Callable[[socket.socket], None]) -> None:
    """Accept connections for ever."""
    print(f"Serving on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - a container's log
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        on_connection(connection)


def load_or_exit(environment: Mapping[str, str]) -> Model:
    """The model; or exit status 1 with the reason in the log, which the platform takes for an unhealthy container."""
    try:
        return load(environment)
    except StartError as error:
        print(f"The container can't start: {error}.", file=sys.stderr, flush=True)  # noqa: T201
    except Exception:  # noqa: BLE001 - whatever the user's code raises while it is imported or loads
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(1)


def end_with_platform(control: socket.socket, on_connection: Callable[[socket.socket], None]) -> None:
    """Take connections; when the platform is gone, so is this whole process group, the user's children included."""
    with contextlib.suppress(OSError):
        connections_of_control(control, on_connection)
    with contextlib.suppress(OSError):
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def in_thread(target: Callable[..., None], *arguments: Any) -> None:
    """Run it in a thread that doesn't keep the process alive."""
    threading.Thread(target=target, args=arguments, daemon=True).start()


def main() -> None:
    """The command line: where connections come from."""
    parser = argparse.ArgumentParser(description="Serve the model of /opt/ml/model with its serve.py")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--control-fd", type=int, help="socket on which the platform passes connections")
    where.add_argument("--port", type=int, help="loopback port to serve on (0: a free one)")
    options = parser.parse_args()
    desk = Desk()
    if options.port is None:
        in_thread(end_with_platform, socket.socket(fileno=options.control_fd), desk.add)
    else:
        in_thread(connections_of_port, socket.create_server(("127.0.0.1", options.port)), desk.add)
    desk.run(lambda: load_or_exit(os.environ))
