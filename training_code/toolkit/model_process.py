"""A process of its own for a model's code: what it does and raises stays there.

So no model's code meets the other's (their modules have the same names), and one that crashes or exits is told apart.
A process sends one tuple, a word first: ("error", a sentence), ("memory",), or another with what was asked for.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from contract import files
from toolkit.errors import NoAnswersError, ToolkitError

# A forked process shares what is imported already, which saves most of a second a model. Only Linux's own libraries
# (and so every SageMaker image) bear it; elsewhere a fresh interpreter imports anew.
PROCESSES: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def start(name: str, target: Callable[..., None], *given: Any) -> tuple[Any, Connection]:
    """A process that runs `target(*given, results)`, and the connection by which `results` is read."""
    results, answers = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=target, args=(*given, answers), name=name)
    process.start()
    answers.close()  # the model's process holds the other one: its death is an end of file
    return process, results


@contextmanager
def reporting(results: Connection, folder: Path, failed: Callable[[], str] = str) -> Iterator[None]:
    """In the model's process: sends what goes wrong in the block, whose own results the block sends itself.

    Args:
        folder: of the extracted model.tar.gz, whose code may raise anything.
        failed: the beginning of the sentence about what it raises; nothing unless it is said.
    """
    try:
        yield
    except ToolkitError as error:
        results.send(("error", str(error)))
    except MemoryError:
        results.send(("memory",))
    except Exception as error:  # noqa: BLE001 - see above
        traceback.print_exc()
        results.send(("error", f"{failed()}{told(error, folder)}"))


def forget_this_toolkit() -> None:
    """Lets serve.py find the toolkit and the contract that the model was trained with, which it brings along."""
    for module in [name for name in sys.modules if name.partition(".")[0] in (files.TOOLKIT, files.CONTRACT)]:
        del sys.modules[module]


def told(error: Exception, folder: Path) -> str:
    """An error of a model's code, after the file:line of it that was running."""
    code = str(folder / "code")
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(code)]
    place = f"{Path(own[-1].filename).relative_to(code)}:{own[-1].lineno}: " if own else ""
    return f"{place}{type(error).__name__}: {error}"


def receive(
    name: str, process: Any, results: Connection, doing: str = "answer", code: str = files.SERVING_SCRIPT
) -> Any:
    """What the model's process sends.

    Raises:
        NoAnswersError: the model's code raised, or ended the process.
        ToolkitError: there was too little memory.
    """
    try:
        kind, *content = results.recv()
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGKILL:
            raise _no_memory(name) from None
        raise NoAnswersError(name, f"the {name}'s {code} ended its process with exit code {process.exitcode}") from None
    if kind == "memory":
        raise _no_memory(name)
    if kind == "error":
        raise NoAnswersError(name, f"the {name} can't {doing}: {content[0]}")
    return content


def _no_memory(name: str) -> ToolkitError:
    """It says nothing of the model: on a larger instance the same goes well."""
    return ToolkitError(f"the memory didn't suffice for the {name}'s answers; evaluate.instance must be a larger one")
