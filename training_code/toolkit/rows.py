"""`row_by_row`: in a transform job one bad row doesn't lose the batch.

    from toolkit.rows import row_by_row

    input_fn, predict_fn, output_fn = row_by_row(input_fn, predict_fn, output_fn)

Below the three functions. A request of many rows is answered as ever; one that raises is halved until the bad rows
stand alone, in whose place the answer has `#BAD_ROW`: its line is the bad row's number. So a file with one bad row of
100,000 costs twenty requests' work more, and no result. SageMaker itself would leave the whole file without one.

In a chain of containers each has it: a placeholder of the one before is answered by a placeholder, and nothing is asked
for it. Between them text/csv has to be answered (SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT).

It works on lines: text/csv and application/jsonlines, asked and answered. Whatever else is asked, and everything where
it isn't a transform job that asks (an endpoint, an evaluation), goes to the functions as they are: who waits for an
answer is told the error.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from contract.batches import BAD_ROW, IN_BATCH

_LINES = ("text/csv", "application/jsonlines")
_QUOTED = "application/jsonlines"
_PLACEHOLDERS = (BAD_ROW, f'"{BAD_ROW}"')


@dataclass(frozen=True)
class _Asked:
    """Rows on their way to the model, with what else the function was given; `read` is what they were read into."""

    rows: list[str]
    kind: str
    more: tuple[Any, ...]
    read: Any = None
    error: Exception | None = None


@dataclass(frozen=True)
class _Part:
    """So many rows' answer, or why there is none."""

    count: int
    answer: Any = None
    error: Exception | None = None


def row_by_row(
    input_fn: Callable[..., Any], predict_fn: Callable[..., Any], output_fn: Callable[..., Any]
) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """The three functions, which answer each row that can be answered where a transform job asks."""
    if os.environ.get(IN_BATCH) != "true":
        return input_fn, predict_fn, output_fn

    @functools.wraps(input_fn)
    def reading(body: Any, kind: str, *more: Any) -> Any:
        if str(kind).partition(";")[0] not in _LINES:
            return input_fn(body, kind, *more)
        return _read(input_fn, _Asked(_rows(body if isinstance(body, str) else bytes(body).decode()), kind, more))

    @functools.wraps(predict_fn)
    def predicting(asked: Any, model: Any, *more: Any) -> Any:
        if not isinstance(asked, _Asked):
            return predict_fn(asked, model, *more)
        return list(_answered(input_fn, lambda data: predict_fn(data, model, *more), asked))

    @functools.wraps(output_fn)
    def writing(parts: Any, accept: str, *more: Any) -> Any:
        if not (isinstance(parts, list) and parts and all(isinstance(part, _Part) for part in parts)):
            return output_fn(parts, accept, *more)
        return _written(parts, lambda answer: output_fn(answer, accept, *more), accept)

    return reading, predicting, writing


def _rows(text: str) -> list[str]:
    """The rows as a transform job counts them: at line feeds alone, whatever else str.splitlines would split at."""
    rows = text.split("\n")
    return rows if rows[-1] else rows[:-1]


def _read(input_fn: Callable[..., Any], asked: _Asked) -> _Asked:
    """The rows as the function reads them, or what it raised."""
    if any(row.rstrip("\r") in _PLACEHOLDERS for row in asked.rows):
        error = ValueError("the container before had no answer")
        return _Asked(asked.rows, asked.kind, asked.more, error=error)
    try:
        read = input_fn("\n".join(asked.rows), asked.kind, *asked.more)
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises is this row's fault, or another's
        return _Asked(asked.rows, asked.kind, asked.more, error=error)
    return _Asked(asked.rows, asked.kind, asked.more, read)


def _answered(input_fn: Callable[..., Any], predict: Callable[[Any], Any], asked: _Asked) -> Iterator[_Part]:
    """All rows at once, or each half, until the bad ones stand alone."""
    error = asked.error
    if error is None:
        try:
            yield _Part(len(asked.rows), predict(asked.read))
            return
        except Exception as raised:  # noqa: BLE001 - as above
            error = raised
    if len(asked.rows) <= 1:
        yield _Part(len(asked.rows), error=error)
        return
    middle = len(asked.rows) // 2
    for rows in (asked.rows[:middle], asked.rows[middle:]):
        yield from _answered(input_fn, predict, _read(input_fn, _Asked(rows, asked.kind, asked.more)))


def _written(parts: list[_Part], write: Callable[[Any], Any], accept: str) -> Any:
    """The function's own answer where all rows have one, else its lines with the placeholder in between."""
    if len(parts) == 1 and parts[0].error is None:
        return write(parts[0].answer)
    if str(accept).partition(";")[0] not in _LINES:
        raise next(part.error for part in parts if part.error)
    bad = [part for part in parts if part.error]
    said = f"{len(bad)} of {sum(part.count for part in parts)} rows have no answer; the first: {bad[0].error!r}"
    print(said, file=sys.stderr, flush=True)
    placeholder = f'"{BAD_ROW}"' if accept.startswith(_QUOTED) else BAD_ROW
    lines = [placeholder if part.error else _text(write(part.answer)) for part in parts]
    return "\n".join(lines), accept


def _text(answer: Any) -> str:
    """The text of what an output function returned, in any of the ways that containers take."""
    body = answer[0] if isinstance(answer, tuple) else answer.get_data() if hasattr(answer, "get_data") else answer
    return (body if isinstance(body, str) else bytes(body).decode()).rstrip("\n")
