"""A process of its own for a model's code: what it does and raises stays there.

So no model's code meets the other's (their modules have the same names), and one that crashes or exits is told apart.
A process sends one message, a word first: ("error", a sentence), ("memory",), or another with what was asked for. What
comes from a model, whose code nobody has read, is JSON of texts and no longer than `MOST_BYTES`; the pipeline's own
code (heldout_fn, a metric) sends objects of Python's.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import MetaPathFinder
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from contract import files
from toolkit.errors import NoAnswersError, ToolkitError

# A forked process shares what is imported already, which saves most of a second a model. Only Linux's own libraries
# (and so every SageMaker image) bear it; elsewhere a fresh interpreter imports anew.
PROCESSES: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


MOST_BYTES = 1 << 29


def start_confined(name: str, target: Callable[..., None], *given: Any) -> tuple[Any, Connection]:
    """A process that runs `target(*given, judge)`, and the connection to it, on which both sides speak."""
    ours, theirs = PROCESSES.Pipe(duplex=True)
    process = PROCESSES.Process(target=target, args=(*given, theirs), name=name)
    process.start()
    theirs.close()
    return process, ours


def keep_only(connection: Connection) -> None:
    """In a model's process: closes whatever the judge has open, connections to the other model among it."""
    if sys.platform == "linux":
        kept = {0, 1, 2, connection.fileno()}
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):  # one that is no file
                kept.add(stream.fileno())
        for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
            if number not in kept:
                with suppress(OSError):  # the listing's own is closed already
                    os.close(number)


def say(connection: Connection, *message: Any) -> None:
    """A model's message."""
    connection.send_bytes(json.dumps(message).encode())


def heard(
    name: str, process: Any, connection: Connection, code: str = files.SERVING_SCRIPT, doing: str = "answer"
) -> str:
    """A model's answer to one request, or to another that `doing` says.

    Raises:
        NoAnswersError: the model's code raised, ended the process, or said something else.
        ToolkitError: there was too little memory.
    """
    try:
        message = json.loads(connection.recv_bytes(MOST_BYTES))
    except (EOFError, ConnectionError):
        raise _ended(name, process, code) from None
    except (OSError, ValueError, RecursionError) as error:
        raise NoAnswersError(name, f"the {name}'s answer can't be read: {type(error).__name__}: {error}") from None
    texts = isinstance(message, list) and all(isinstance(part, str) for part in message)
    if not texts or len(message) not in (1, 2):
        raise NoAnswersError(name, f"the {name}'s process said no answer")
    (answer,) = _content(name, message, doing) or [""]
    return str(answer)


def start(name: str, target: Callable[..., None], *given: Any) -> tuple[Any, Connection]:
    """A process that runs `target(*given, results)`, and the connection by which `results` is read."""
    results, answers = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=target, args=(*given, answers), name=name)
    process.start()
    answers.close()  # the model's process holds the other one: its death is an end of file
    return process, results


@contextmanager
def reporting(send: Callable[..., None], code: Path, failed: Callable[[], str] = str) -> Iterator[None]:
    """In the process: sends what goes wrong in the block, whose own results the block sends itself.

    Args:
        send: sends a message's parts.
        code: the folder of the code, which may raise anything.
        failed: the beginning of the sentence about what it raises; nothing unless it is said.
    """
    try:
        yield
    except ToolkitError as error:
        send("error", str(error))
    except MemoryError:
        send("memory")
    except Exception as error:  # noqa: BLE001 - see above
        traceback.print_exc()
        send("error", f"{failed()}{told(error, code)}")


def forget_this_toolkit() -> None:
    """Lets serve.py find the toolkit and the contract that the model was trained with, which it brings along."""
    for module in [name for name in sys.modules if name.partition(".")[0] in (files.TOOLKIT, files.CONTRACT)]:
        del sys.modules[module]


def hide(modules: Sequence[str]) -> None:
    """Lets this process import these modules no more, as if they weren't installed."""
    hidden = frozenset(modules)
    for module in [name for name in sys.modules if name.partition(".")[0] in hidden]:
        del sys.modules[module]
    if hidden:
        sys.meta_path.insert(0, _Hidden(hidden))


class _Hidden(MetaPathFinder):
    """Finds nothing of some modules, for good."""

    def __init__(self, modules: frozenset[str]) -> None:
        self._modules = modules

    def find_spec(self, fullname: str, *_where: Any) -> None:
        if fullname.partition(".")[0] in self._modules:
            raise ModuleNotFoundError(f"{fullname} isn't at hand: the model must answer without it", name=fullname)


def told(error: Exception, code: Path) -> str:
    """An error of some code, after the file:line of it that was running."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(code))]
    place = f"{Path(own[-1].filename).relative_to(code)}:{own[-1].lineno}: " if own else ""
    return f"{place}{type(error).__name__}: {error}"


def receive(
    name: str, process: Any, results: Connection, doing: str = "answer", code: str = files.SERVING_SCRIPT
) -> Any:
    """What a process of the pipeline's own code sends.

    Raises:
        NoAnswersError: the code raised, or ended the process.
        ToolkitError: there was too little memory.
    """
    try:
        message = results.recv()
    except EOFError:
        raise _ended(name, process, code) from None
    return _content(name, message, doing)


def _ended(name: str, process: Any, code: str) -> ToolkitError:
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return _no_memory(name)
    return NoAnswersError(name, f"the {name}'s {code} ended its process with exit code {process.exitcode}")


def _content(name: str, message: Sequence[Any], doing: str) -> list[Any]:
    kind, *content = message
    if kind == "memory":
        raise _no_memory(name)
    if kind == "error":
        raise NoAnswersError(name, f"the {name} can't {doing}: {content[0]}")
    return content


def _no_memory(name: str) -> ToolkitError:
    """It says nothing of the model: on a larger instance the same goes well."""
    return ToolkitError(f"the memory didn't suffice for the {name}'s answers; evaluate.instance must be a larger one")
