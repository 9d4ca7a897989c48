"""The held-out examples: CSV files without a header, the label in one column, the rest as the model is asked."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ToolkitError


class DataError(ToolkitError):
    """The held-out data can't be used; the message names the file and the line."""


@dataclass(frozen=True)
class Example:
    """One line of a held-out file."""

    place: str  # file:line
    features: tuple[str, ...]
    label: str

    @property
    def row(self) -> str:
        """The request to the model: the line without its label and without an end of line."""
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(self.features)
        return out.getvalue()


def read(folder: Path, label: int) -> list[Example]:
    """Every example of the folder's CSV files, in the order of their paths.

    Args:
        folder: where the channel was downloaded; files in sub-folders count, files that don't end in `.csv` don't.
        label: index of the label's column, from 0; negative counts from the right.

    Raises:
        DataError: no such folder, no CSV file, no example, rows of unequal length, a header, or no such column.
    """
    if not folder.is_dir():
        raise DataError(f"no held-out data: the folder {folder} of the `test` channel is missing")
    files = sorted(path for path in folder.rglob("*.csv") if path.is_file())
    if not files:
        others = sorted(path.name for path in folder.rglob("*") if path.is_file())
        raise DataError(f"no CSV file in {folder}, {'only ' + ', '.join(others[:5]) if others else 'which is empty'}")
    examples = [example for path in files for example in _read_file(path, path.relative_to(folder), label)]
    if not examples:
        raise DataError(f"no example in {folder}: {', '.join(path.name for path in files[:5])} hold no line")
    first = examples[0]
    for example in examples:
        if len(example.features) != len(first.features):
            columns = f"{len(example.features) + 1} columns, but {first.place} has {len(first.features) + 1}"
            raise DataError(f"{example.place} has {columns}; all held-out files need the same columns")
    return examples


def _read_file(path: Path, name: Path, label: int) -> list[Example]:
    examples: list[Example] = []
    try:
        # newline="" is what the csv module asks for; -sig drops the mark that spreadsheets put at the start.
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.reader(lines)
            for fields in filter(None, reader):
                place = f"{name}:{reader.line_num}"
                if examples and len(fields) != len(examples[0].features) + 1:
                    columns = f"{len(fields)} columns, but {examples[0].place} has {len(examples[0].features) + 1}"
                    raise DataError(f"{place} has {columns}")
                examples.append(_example(place, fields, label))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{name} is no CSV text: {error}") from error
    if len(examples) > 1 and _is_header(examples[0], examples[1]):
        raise DataError(f"{examples[0].place} looks like a header ({examples[0].row!r}); held-out files have none")
    return examples


def _example(place: str, fields: list[str], label: int) -> Example:
    width = len(fields)
    if not -width <= label < width:
        raise DataError(f"label column {label} is out of range: {place} has {width} columns (0 to {width - 1})")
    if width == 1:
        raise DataError(f"{place} has one column, the label; a model needs at least one more to be asked by")
    answer = fields.pop(label).strip()
    if not answer:
        raise DataError(f"{place}: the label (column {label}) is empty")
    return Example(place=place, features=tuple(fields), label=answer)


def _is_header(first: Example, second: Example) -> bool:
    """Nothing in the first line is a number, and something in the second is."""
    texts, next_texts = (first.label, *first.features), (second.label, *second.features)
    return not any(map(_is_number, texts)) and any(map(_is_number, next_texts))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
