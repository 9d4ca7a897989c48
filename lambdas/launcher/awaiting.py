"""Runs that wait for their endpoint: a machine leaves its task token here, and goes on when the endpoint has changed.

An event may come before the token does, twice, late, or never. So the endpoint is looked at as soon as there is a
token; and whatever lets a run go on too early or too late costs it a look of its own, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from common.log import Log
from common.run_table import RunTable

from contract.awaiting import AWAITS_ENDPOINT
from launcher.triggers import Awaits

Document = dict[str, Any]


class EndpointUnknownError(Exception):
    """The endpoint can't be looked at; the message says why."""


@dataclass(frozen=True)
class Awaiting:
    """Of a pipeline with an endpoint."""

    table: RunTable
    # DescribeEndpoint's answer, None where there is no endpoint. EndpointUnknownError: it can't be looked at.
    describe: Callable[[], Mapping[str, Any] | None]
    # Gives the task of that token its output; whether it still waited.
    answer: Callable[[str, Document], bool]
    log: Log

    def begin(self, wait: Awaits) -> None:
        """Keeps the token of a run that waits; it goes on at once if the endpoint has changed since it looked."""
        if self._is_old(wait) or not self.table.set_while_running(wait.run_id, AWAITS_ENDPOINT, wait.kept()):
            self.log.info("waits no more", run_id=wait.run_id)
            return
        self._look(wait.run_id, wait.kept())

    def look(self, run_id: str) -> None:
        """Lets the run go on if it waits and the endpoint has changed."""
        waiting = self._waiting(run_id)
        if waiting:
            self._look(run_id, waiting)

    def heard(self) -> None:
        """The endpoint has come to rest: the run that waits for it goes on."""
        running = self.table.read_state().running
        waiting = self._waiting(running["run_id"]) if running else None
        if running and waiting:
            self._go_on(running["run_id"], waiting)

    def _waiting(self, run_id: str) -> Document | None:
        found: Document | None = (self.table.read_run(run_id) or {}).get(AWAITS_ENDPOINT)
        return found

    def _is_old(self, wait: Awaits) -> bool:
        """Whether the run has begun another wait since: SQS may bring a message twice, or a later one first."""
        waiting = self._waiting(wait.run_id)
        return waiting is not None and str(waiting["since"]) > wait.since

    def _look(self, run_id: str, waiting: Document) -> None:
        try:
            endpoint = self.describe() or {}
        except EndpointUnknownError as error:
            self.log.warning("endpoint unknown", run_id=run_id, error=str(error))
            return
        seen = waiting.get("status"), waiting.get("config")
        if (endpoint.get("EndpointStatus"), endpoint.get("EndpointConfigName")) != seen:
            self._go_on(run_id, waiting)

    def _go_on(self, run_id: str, waiting: Document) -> None:
        waited = self.answer(waiting["token"], {})
        self.table.remove_from_run(run_id, AWAITS_ENDPOINT, waiting)
        self.log.info("goes on" if waited else "had gone on", run_id=run_id)
