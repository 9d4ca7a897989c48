"""The server's life: where its connections come from, when it answers, and when it ends."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from .containers import install, load
from .desk import Desk
from .errors import StartError
from .model import Model, Settings
from .workers import Workers, wanted


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


def load_or_exit(environment: Mapping[str, str], installed: Settings | None = None) -> Model:
    """The model, of code that is `installed` or is to be; or the process's end."""
    with telling_why_not():
        return load(environment, installed)


@contextlib.contextmanager
def telling_why_not() -> Iterator[None]:
    """Exit status 1, with the reason in the log, for what can't start: the container is unhealthy to the platform."""
    try:
        yield
    except StartError as error:
        print(f"The container can't start: {error}.", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(1)
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
    parser.add_argument("--installed", action="store_true", help="the model's requirements.txt is installed already")
    options = parser.parse_args()
    with telling_why_not():
        number = wanted(os.environ)
        # Once: a worker that copied the code would take it away under another that imports it.
        installed = install(os.environ, are_there=options.installed) if options.installed or number > 1 else None
    if number == 1:
        desk = Desk()
        take_connections(options, desk.add)
        answer(desk, installed)
    workers = Workers(number, functools.partial(work, options.control_fd, installed))
    take_connections(options, workers.add)
    workers.end_with_the_first()


def take_connections(options: argparse.Namespace, on_connection: Callable[[socket.socket], None]) -> None:
    """Take them in a thread, from where the command line says."""
    if options.port is None:
        in_thread(end_with_platform, socket.socket(fileno=options.control_fd), on_connection)
    else:
        in_thread(connections_of_port, socket.create_server(("127.0.0.1", options.port)), on_connection)


def work(inherited: int | None, installed: Settings | None, control: socket.socket) -> None:
    """One worker of several: its connections come from the first process, and it ends with that."""
    if inherited is not None:
        os.close(inherited)
    desk = Desk()
    in_thread(end_with_platform, control, desk.add)
    answer(desk, installed)


def answer(desk: Desk, installed: Settings | None = None) -> NoReturn:
    """Load the model and answer until the model's code ends the process, as `sys.exit` does: threads don't keep it."""
    try:
        desk.run(lambda: loaded(desk, installed), end)
    except BaseException as error:  # noqa: BLE001 - whatever it is, nobody answers any more
        end(error)
    os._exit(1)


def loaded(desk: Desk, installed: Settings | None) -> Model:
    """The model, behind a desk that answers as this container's workers do."""
    model = load_or_exit(os.environ, installed)
    if model.answers_others_while_one_waits:
        desk.let_others_while_waiting()
    return model


def end(error: BaseException) -> NoReturn:
    """End the process by what has ended a thread that answers."""
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else 1
        print(f"The model's code has ended the process: sys.exit({error.code!r}).", file=sys.stderr, flush=True)  # noqa: T201
        os._exit(code)
    traceback.print_exception(error)
    sys.stderr.flush()
    os._exit(1)
