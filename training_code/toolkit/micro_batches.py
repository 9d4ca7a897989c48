"""`in_batches`: requests that come to an endpoint together are predicted together, where `deploy.batch` says so.

    from toolkit.micro_batches import in_batches

    predict_fn = in_batches(predict_fn)

Below `predict_fn`, which takes many rows: arrays of two axes or more, or lists of rows, and gives as many results. Most
of a small prediction is the call itself: eight requests in one call take little longer than one.

The workers of scikit-learn's and XGBoost's containers are gunicorn's of the kind gevent: while one request waits, the
others go on until they wait, too. Here the first of a batch waits for others, until so many rows are together as `max`
says, or `wait` is over; it waits for a moment only, unless the last batch was of several, and no longer than until as
many have come as the last time. So who asks alone waits for nobody.

One bad request doesn't harm its neighbours: when a batch raises, each of it is predicted alone. What can't be put
together (a DMatrix, a single row without an axis of its own) is predicted alone, too.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contract.micro_batches import MICRO_BATCHES, read

# How long who was alone the last time looks whether others come.
_MOMENT = 0.0005


def in_batches(predict_fn: Callable[..., Any]) -> Callable[..., Any]:
    """The function, called with the rows of several requests where the container is told of batches."""
    said = os.environ.get(MICRO_BATCHES)
    if not said:
        return predict_fn
    batches = _Batches(predict_fn, *read(said))

    @functools.wraps(predict_fn)
    def predicting(data: Any, model: Any, *more: Any) -> Any:
        return batches.predict(data, (model, *more))

    return predicting


@dataclass(eq=False)
class _Asked:
    """One request's rows, and what became of them."""

    data: Any
    rows: int
    result: Any = None
    error: BaseException | None = None


@dataclass(eq=False)
class _Batch:
    """Requests that are predicted together, by the first one's."""

    kind: tuple[Any, ...]
    asked: list[_Asked] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.asked)


class _Batches:
    """Puts requests together, in whichever threads or greenlets they come."""

    def __init__(self, predict: Callable[..., Any], most: int, wait: float) -> None:
        self._predict, self._most, self._wait = predict, most, wait
        self._lock = threading.Lock()
        self._open: _Batch | None = None
        self._last = 1
        self._told: set[str] = set()
        self._together = True

    def predict(self, data: Any, more: tuple[Any, ...]) -> Any:
        """The results of these rows alone."""
        kind = _kind(data)
        if kind is None:
            self._tell(f"a {type(data).__name__} can't be put together with others: it is predicted alone")
        if kind is None or not self._together or not 0 < len(data) < self._most:
            return self._predict(data, *more)
        mine = _Asked(data, len(data))
        batch, leads = self._joined(mine, kind)
        if leads:
            self._lead(batch, more)
        else:
            batch.answered.wait()
        if mine.error is not None:
            raise mine.error
        return mine.result

    def _joined(self, mine: _Asked, kind: tuple[Any, ...]) -> tuple[_Batch, bool]:
        """The batch of a request, and whether it is its first."""
        with self._lock:
            batch = self._open
            if batch is not None and (batch.kind != kind or batch.rows + mine.rows > self._most):
                batch.enough.set()
                batch = None
            leads = batch is None
            batch = self._open = batch or _Batch(kind)
            batch.asked.append(mine)
            if batch.rows >= self._most or 1 < self._last <= len(batch.asked):
                batch.enough.set()
            return batch, leads

    def _lead(self, batch: _Batch, more: tuple[Any, ...]) -> None:
        """Waits for others, and predicts for all."""
        try:
            batch.enough.wait(self._wait if self._last > 1 else min(self._wait, _MOMENT))
            self._close(batch)
            self._answer(batch, more)
        except BaseException as error:
            # Of this request's end, as by sys.exit, the others must hear: nobody else would answer them.
            self._close(batch)
            for each in batch.asked:
                each.error = error
            raise
        finally:
            batch.answered.set()

    def _close(self, batch: _Batch) -> None:
        """Nobody joins it any more."""
        with self._lock:
            if self._open is batch:
                self._open = None
            self._last = len(batch.asked)

    def _answer(self, batch: _Batch, more: tuple[Any, ...]) -> None:
        if len(batch.asked) > 1 and self._answered_together(batch, more):
            return
        for each in batch.asked:
            try:
                each.result = self._predict(each.data, *more)
            except Exception as error:  # noqa: BLE001 - it is raised where it belongs
                each.error = error

    def _answered_together(self, batch: _Batch, more: tuple[Any, ...]) -> bool:
        """Whether one call has answered all of them."""
        try:
            results = self._predict(_as_one([each.data for each in batch.asked]), *more)
        except Exception:  # noqa: BLE001 - somebody's request is bad: whose, is found by asking each alone
            return False
        if isinstance(results, (tuple, str, bytes)) or not hasattr(results, "__len__") or len(results) != batch.rows:
            self._together = False
            self._tell(f"predict_fn gave no {batch.rows} results for so many rows: from now on each is asked alone")
            return False
        start = 0
        for each in batch.asked:
            each.result = results[start : start + each.rows]
            start += each.rows
        return True

    def _tell(self, what: str) -> None:
        """A line of the log, once."""
        if what not in self._told:
            self._told.add(what)
            print(f"{MICRO_BATCHES}: {what}", file=sys.stderr, flush=True)


def _kind(data: Any) -> tuple[Any, ...] | None:
    """What must be alike in data that are put together; None of what can't be."""
    if isinstance(data, list):
        return (list,) if data and all(isinstance(row, (list, tuple, dict, str)) for row in data) else None
    numpy = sys.modules.get("numpy")
    if numpy is not None and type(data) is numpy.ndarray and data.ndim > 1:
        return numpy.ndarray, data.dtype, data.shape[1:]
    return None


def _as_one(parts: list[Any]) -> Any:
    if isinstance(parts[0], list):
        return [row for part in parts for row in part]
    return sys.modules["numpy"].concatenate(parts)
