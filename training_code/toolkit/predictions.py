"""Models answering examples, each in a process of its own.

So no model's code meets the other's (their modules have the same names), and one that crashes or exits is told apart.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from contract import files
from toolkit import serving
from toolkit.errors import NoAnswersError, ToolkitError
from toolkit.heldout import Example

# Answered at once; keeps memory in bounds.
BATCH = 5000
SAMPLES = 5
# A forked process shares what is imported already, which saves most of a second a model. Only Linux's own libraries
# (and so every SageMaker image) bear it; elsewhere a fresh interpreter imports anew.
PROCESSES: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


@dataclass(frozen=True)
class Answers:
    """One model's answers.

    texts: `texts[i]` is the answer to example i.
    samples: a few examples asked alone, as a caller of the endpoint would ask: {"body", "answer"}, both text/csv.
    """

    texts: list[str]
    samples: list[dict[str, str]]


def predict(
    models: dict[str, Path], examples: list[Example], *, several: bool = False
) -> dict[str, Answers | NoAnswersError]:
    """Each model's answers to the examples, all models at once; the error for which one has none.

    Args:
        models: a model's name in messages -> the folder of its extracted model.tar.gz, with `code/serve.py`.
        several: an answer may be several numbers, with commas between them, such as a probability for each class.

    Raises:
        ToolkitError: the image can't compute metrics, or something from outside killed a model's process.
    """
    _import_what_all_share()
    rows = [example.row for example in examples]
    running = [(name, *_start(name, folder, rows)) for name, folder in models.items()]
    try:
        return {name: _told(name, process, results, examples, several) for name, process, results in running}
    finally:
        for _, process, _ in running:
            process.kill()
            process.join()


def _import_what_all_share() -> None:
    try:
        import sklearn.metrics  # noqa: F401
    except ImportError as error:
        raise ToolkitError(f"the image has no scikit-learn, which computes the gate's metric: {error}") from error


def _start(name: str, folder: Path, rows: list[str]) -> tuple[Any, Connection]:
    results, answers = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_answer, args=(folder, rows, answers), name=name)
    process.start()
    answers.close()  # the model's process holds the other one: its death is an end of file
    return process, results


def _answer(folder: Path, rows: list[str], results: Connection) -> None:
    """Answers, in the model's process: sends ("answers", batches, samples), ("error", a sentence) or
    ("memory",)."""
    _forget_this_toolkit()
    doing = "loading the model"
    try:
        functions = serving.load_functions(folder / "code")
        model = functions.load(str(folder))
        doing = "answering the held-out examples"
        batches = [
            functions.answer(model, "\n".join(rows[start : start + BATCH])) for start in range(0, len(rows), BATCH)
        ]
        doing = "answering one example alone, as a caller of the endpoint asks"
        samples = [(row, functions.answer(model, row)) for row in _spread(rows)]
    except ToolkitError as error:
        results.send(("error", str(error)))
    except MemoryError:
        results.send(("memory",))
    except Exception as error:  # noqa: BLE001 - serve.py may raise anything
        traceback.print_exc()
        results.send(("error", f"serve.py failed while {doing}: {_place(error, folder)}{_said(error)}"))
    else:
        results.send(("answers", batches, samples))


def _forget_this_toolkit() -> None:
    """Lets serve.py find the toolkit and the contract that the model was trained with, which it brings along."""
    for module in [name for name in sys.modules if name.partition(".")[0] in (files.TOOLKIT, files.CONTRACT)]:
        del sys.modules[module]


def _spread(rows: list[str]) -> list[str]:
    """A few rows, evenly spread over all."""
    return rows[:: max(1, len(rows) // SAMPLES)][:SAMPLES]


def _place(error: Exception, folder: Path) -> str:
    """file:line of the model's own code that was running."""
    code = str(folder / "code")
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(code)]
    return f"{Path(own[-1].filename).relative_to(code)}:{own[-1].lineno}: " if own else ""


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _told(
    name: str, process: Any, results: Connection, examples: list[Example], several: bool
) -> Answers | NoAnswersError:
    try:
        return _answers(name, _receive(name, process, results), examples, several)
    except NoAnswersError as error:
        return error


def _receive(name: str, process: Any, results: Connection) -> tuple[list[str], list[tuple[str, str]]]:
    try:
        kind, *content = results.recv()
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGKILL:
            raise _no_memory(name) from None
        raise NoAnswersError(
            name, f"the {name}'s serve.py ended its process with exit code {process.exitcode}"
        ) from None
    if kind == "memory":
        raise _no_memory(name)
    if kind == "error":
        raise NoAnswersError(name, f"the {name} can't answer: {content[0]}")
    return content[0], content[1]


def _no_memory(name: str) -> ToolkitError:
    """It says nothing of the model: on a larger instance the same goes well."""
    return ToolkitError(f"the memory didn't suffice for the {name}'s answers; evaluate.instance must be a larger one")


def _answers(
    name: str, received: tuple[list[str], list[tuple[str, str]]], examples: list[Example], several: bool
) -> Answers:
    batches, samples = received
    texts: list[str] = []
    for number, batch in enumerate(batches):
        texts += _lines(name, batch, len(examples[number * BATCH : (number + 1) * BATCH]), several)
    for index, text in enumerate(texts):
        if text.lower() in ("", "nan", "inf", "-inf"):
            what = f"is {text}" if text else "is empty"
            raise NoAnswersError(
                name, f"the {name}'s answer to {examples[index].place} {what}; a label or a number is needed"
            )
    return Answers(
        texts=texts,
        samples=[{"body": row, "answer": _lines(name, answer, 1, several)[0]} for row, answer in samples],
    )


def _lines(name: str, answer: str, asked: int, several: bool) -> list[str]:
    """One answer an example: a line each, or one line with commas, as XGBoost's container writes it."""
    lines = [line.strip() for line in answer.strip("\r\n").splitlines()]
    if len(lines) == 1 and asked > 1 and lines[0].count(",") == asked - 1:
        lines = [field.strip() for field in lines[0].split(",")]
    if len(lines) != asked:
        counts = f"{len(lines)} answers to {asked} example{'s' if asked > 1 else ''}"
        raise NoAnswersError(name, f"the {name} gave {counts}; output_fn must give one line an example, in their order")
    wide = next((line for line in lines if "," in line), None)
    if wide is not None and not several:
        columns = f"{wide.count(',') + 1} columns ({wide[:60]})"
        raise NoAnswersError(
            name, f"the {name} answers {columns}; for text/csv output_fn must give one label or number a line"
        )
    return [line.strip('"') for line in lines]
