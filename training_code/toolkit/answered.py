"""What models have answered over HTTP, in transform jobs: read from the jobs' results, and paired with the examples.

    input/asked/part-00000.csv, …               the held-out rows as they were asked, without their labels
    input/<model>/part-00000.csv.out, …         the answers, a line each
    input/<model>/no_answers.json               or why there are none, in a sentence

The rows that were asked are compared with those that are read here, one by one: data that have changed meanwhile would
be judged by another row's label.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract import evaluations, files
from toolkit import predictions
from toolkit.answer_lines import Reader
from toolkit.errors import NoAnswersError, ToolkitError
from toolkit.heldout import Example

WHOSE = "its container"
# How a transform job's results are called.
_ENDING = ".out"


@dataclass(frozen=True)
class Part:
    """Examples that were asked in one file."""

    name: str
    examples: Sequence[Example]

    @property
    def told(self) -> str:
        first, last = self.examples[0].place, self.examples[-1].place
        return f" ({first})" if first == last else f" ({first} to {last})"


def parts(folder: Path, examples: Sequence[Example]) -> list[Part]:
    """The files of requests, with the examples that they are about.

    Raises:
        ToolkitError: something else was asked than the held-out data are now.
    """
    found, begun = [], 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        *asked, _ = path.read_text(encoding="utf-8").split("\n")  # the last line ends, too
        rows = examples[begun : begun + len(asked)]
        _check_same(asked, rows)
        found.append(Part(path.name, rows))
        begun += len(asked)
    if begun != len(examples):
        raise _changed(f"there are {len(examples)}, of which {begun} were asked")
    return found


def answers(
    folder: Path, name: str, asked: Sequence[Part], *, several: bool
) -> predictions.Answers | NoAnswersError | None:
    """A model's answers, or why it has none; None of one that there isn't.

    Raises:
        ToolkitError: what lies there isn't what was written.
    """
    if not folder.is_dir():
        return None
    try:
        _check_there(folder, name)
        return _read(folder, name, asked, several)
    except NoAnswersError as error:
        return error


def _check_same(asked: Sequence[str], examples: Sequence[Example]) -> None:
    for line, example in zip(asked, examples):
        if line != example.content:
            raise _changed(f"{example.place} is another row than was asked")


def _changed(how: str) -> ToolkitError:
    return ToolkitError(f"the held-out data have changed while the models answered: {how}; start another run")


def _check_there(folder: Path, name: str) -> None:
    """Raises NoAnswersError where the folder says why there are no answers."""
    said = folder / files.NO_ANSWERS
    if not said.is_file():
        return
    try:
        why = json.loads(said.read_text(encoding="utf-8"))[evaluations.CANNOT_ANSWER]
    except (ValueError, KeyError, TypeError) as error:
        raise ToolkitError(f"{said} can't be read: {type(error).__name__}: {error}") from error
    raise NoAnswersError(name, str(why))


def _read(folder: Path, name: str, asked: Sequence[Part], several: bool) -> predictions.Answers:
    examples = [example for part in asked for example in part.examples]
    reader = Reader(name, WHOSE, frozenset(example.label for example in examples), several)
    texts = [text for part in asked for text in _texts(folder, reader, part)]
    reader.check(texts, examples)
    return predictions.Answers(texts=texts, samples=list(_samples(reader, examples, texts)))


def _texts(folder: Path, reader: Reader, part: Part) -> list[str]:
    path = folder / f"{part.name}{_ENDING}"
    if not path.is_file():
        raise NoAnswersError(
            reader.name, f"the {reader.name} gave no answers to {len(part.examples)} examples{part.told}"
        )
    try:
        answer = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise NoAnswersError(
            reader.name, f"the {reader.name}'s answers{part.told} are no text in UTF-8: {error}; {WHOSE} must give CSV"
        ) from error
    return reader.lines(_without_empty(answer, len(part.examples)), len(part.examples), part.told)


def _without_empty(answer: str, asked: int) -> str:
    """Of answers that end in a line break a transform job may write another one behind: an empty line between."""
    lines = answer.splitlines()
    filled = [line for line in lines if line.strip()]
    return "\n".join(filled) if len(lines) != asked == len(filled) else answer


def _samples(reader: Reader, examples: Sequence[Example], texts: Sequence[str]) -> Iterator[dict[str, str]]:
    """A few rows with what was answered: the endpoint is asked them again."""
    for index in predictions.spread(examples):
        predictions.check_length(reader.name, examples[index].place, texts[index])
        yield predictions.sample(examples[index], texts[index])
