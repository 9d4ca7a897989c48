"""The process that judges beside the training: reads what is new, asks the rules, tells what they found."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from contract.environment import KEEP, RULES, STOP
from contract.verdicts import ERROR, ISSUES_FOUND
from toolkit.beside_training import LAST_WORDS_SECONDS, Stop, Trainer
from toolkit.errors import ToolkitError
from toolkit.probe.layout import mark_of_copy
from toolkit.rules import statuses
from toolkit.rules.feed import Feed
from toolkit.rules.judging import Configuration, Judge, Status

log = logging.getLogger("ratchet.judging")

POLL_SECONDS = 0.04
NICENESS = 10
# How old the files of rules that go on may be.
FILE_SECONDS = 2.0
# The last verdicts must be out before the job's container is taken away.
CLOSE_SECONDS = 20.0
# A stop waits so long for what led to it to be copied to S3: the process that copies is gone after it.
COPY_SECONDS = 1.0


class Teller(Protocol):
    """A Messenger, or nobody, who is told the statuses."""

    failures: int
    last_failure: str

    def send(self, current: Sequence[Status]) -> None: ...

    def close(self, timeout: float) -> bool: ...


@dataclass(frozen=True)
class End:
    """The end of the tensors. reason: empty when training ended in good order. stopped: it was ended on purpose."""

    reason: str = ""
    stopped: bool = False


class Runner:
    """Judges one job. `run` returns when there is nothing left to judge. copied: the trainer copies to S3."""

    def __init__(  # noqa: PLR0913 - each an edge, which tests replace
        self,
        feed: Feed,
        configurations: Iterable[Configuration],
        output: Path,
        teller: Callable[[Callable[[Sequence[Status]], None]], Teller],
        *,
        trainer: Trainer,
        stop: Stop,
        copied: bool = False,
    ) -> None:
        self._feed, self._output, self._trainer, self._stop = feed, output, trainer, stop
        self._copied = copied
        self._judges = [Judge(configuration, feed, time.time) for configuration in configurations]
        self._delivered: dict[str, Status] = {}
        self._told: tuple[Status, ...] = ()
        self._written: dict[str, tuple[Status, bool]] = {}
        self._unwritten = 0
        self._last_step, self._last_news, self._last_files = -1, time.monotonic(), 0.0
        self._teller = teller(self._taken)

    def run(self) -> int:
        """Judges until the training or the rules have ended. The exit code: 0, or 1 when not all could be told."""
        self._tell()
        while (end := self._looked()) is None:
            time.sleep(POLL_SECONDS)
        for judge in self._judges:
            if end.stopped:
                judge.stopped(end.reason)
            else:
                judge.finish(self._feed.seen, end.reason)
        self._tell()
        told = self._teller.close(CLOSE_SECONDS)
        if not told:
            log.warning("rules: the last verdicts couldn't be told: %s", self._teller.last_failure or "no answer yet")
        self._write(time.monotonic(), every=True)
        self._say()
        return 0 if told and not self._unwritten else 1

    def _looked(self) -> End | None:
        try:
            return self._look()
        except Exception as error:  # noqa: BLE001 - a broken index, a folder that is gone: every rule must say so
            return End(f"the tensors can't be read any more, after step {self._last_step}: {error}")

    def _look(self) -> End | None:
        """One look: judges what is new. The end, if that was all."""
        finished, gone, stopped = self._feed.finished, self._trainer.gone(), self._stop.asked
        if gone and not finished:
            self._wait_for_last_words()
        self._judge_new()
        if all(judge.status.ended for judge in self._judges):
            return End()
        if finished:
            return End()
        if stopped:
            return End(f"the job was stopped after step {self._last_step}; no issue until then", stopped=True)
        return self._dead() if gone else None

    def _judge_new(self) -> None:
        news = False
        for moment in self._feed.moments():
            news = True
            self._last_step = moment.step
            for judge in self._judges:
                judge.judge(moment)
            self._tell()
        now = time.monotonic()
        if news:
            self._last_news = now
        for judge in self._judges:
            judge.idle(self._last_step, now - self._last_news)
        self._tell()
        self._write(now)

    def _wait_for_last_words(self) -> None:
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        while not self._feed.finished and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)

    def _dead(self) -> End:
        if self._feed.finished:
            return End()
        where = f"the training process ended after step {self._last_step} without closing the probe"
        if any(_stops(judge.status) for judge in self._judges):
            return End(f"{where}: another rule has stopped it; no issue until then", stopped=True)
        return End(f"{where} (was it killed?); no issue until then")

    # Telling

    @property
    def current(self) -> tuple[Status, ...]:
        """The statuses now."""
        return tuple(judge.status for judge in self._judges)

    def _tell(self) -> None:
        """Tells the statuses when one has changed; by event first, since a full disk must not keep a verdict."""
        words = [status.status for status in self.current]
        if words != [status.status for status in self._told]:
            before, self._told = self._told, self.current
            if self._copied:
                self._wait_for_copy([status for status in self._told if _stops(status) and status not in before])
            self._teller.send(self._told)
            self._write(time.monotonic(), every=True)

    def _wait_for_copy(self, stops: Sequence[Status]) -> None:
        deadline = time.monotonic() + COPY_SECONDS
        for status in stops:
            self._write_one(status, delivered=False)
            mark = mark_of_copy(statuses.path(self._output, status.name))
            while not mark.exists() and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS / 4)

    def _taken(self, statuses_: Sequence[Status]) -> None:
        self._delivered.update((status.name, status) for status in statuses_)

    def _write(self, now: float, every: bool = False) -> None:
        if not every and now - self._last_files < FILE_SECONDS:
            return
        self._last_files = now
        for status in self.current:
            delivered = self._delivered.get(status.name)
            known = (status, delivered is not None and delivered.status == status.status)
            if self._written.get(status.name) != known:
                self._write_one(*known)

    def _write_one(self, status: Status, delivered: bool) -> None:
        try:
            statuses.write(self._output, status, delivered)
            self._written[status.name] = (status, delivered)
            self._unwritten = 0
        except OSError as error:
            self._unwritten += 1
            if self._unwritten == 1:
                log.warning("rules: %s can't be written, events are sent all the same: %s", self._output, error)

    def _say(self) -> None:
        for status in self.current:
            reason = f": {status.reason}" if status.reason else ""
            log.info("rules: %s %s%s", status.name, status.status, reason)


def _stops(status: Status) -> bool:
    return status.status == ISSUES_FOUND and status.action == STOP


def judged_without(error: ToolkitError, output: Path, teller: Callable[..., Teller]) -> int:
    """Tells that the rules themselves can't be read, as an error of the variable that holds them. The exit code."""
    status = Status(RULES, RULES, KEEP, ERROR, reason=str(error), at=time.time())
    told = teller(lambda _: None)
    told.send([status])
    told.close(CLOSE_SECONDS)
    try:
        statuses.write(output, status, delivered=True)
    except OSError as failed:
        log.warning("rules: %s can't be written: %s", output, failed)
    log.error("rules: %s", error)
    return 2
