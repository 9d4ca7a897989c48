"""Approvals: a run that waits is told to a person, and goes on when the model registry has a decision.

Whatever says that something was decided only says "look": what is believed is what the registry has now. Each step can
be cut off, and be done again: a task token is good for one answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from common.log import Log
from common.refusals import is_missing
from common.run_table import RunTable
from common.state import State, Trigger

from contract import outcomes, triggers
from contract.approvals import (
    APPROVAL,
    APPROVED,
    DESCRIPTION_LENGTH,
    NOT_APPROVED,
    SAID_LATER,
    WITHDRAWN,
    commands,
    waits,
)
from contract.run_table import HELD
from launcher import questions
from launcher.triggers import Asked

Document = dict[str, Any]
DECIDED = (APPROVED, NOT_APPROVED)
MISSING = "gone"


@dataclass(frozen=True)
class Package:
    """What the registry says of a model package: its approval, why, and the run that made it."""

    arn: str
    status: str
    reason: str = ""
    run_id: str = ""


@dataclass(frozen=True)
class Approvals:
    """Of a pipeline with `approval: manual`. `sagemaker` is a boto3 client."""

    pipeline: str
    environment: str
    table: RunTable
    sagemaker: Any
    # Gives the task of that token its output; whether it still waited.
    answer: Callable[[str, Document], bool]
    publish: Callable[[Document], object]
    now: Callable[[], str]
    log: Log

    def ask(self, asked: Asked) -> None:
        """Keeps the token of a run that waits, and asks a person, unless there is an answer already."""
        state = self.table.read_state()
        kept = asked.kept()
        running = state.running is not None and state.running["run_id"] == asked.run_id
        if not running or not self.table.set_while_running(asked.run_id, APPROVAL, kept):
            self.log.warning("asked too late", run_id=asked.run_id)
            return
        if not self.look(asked.run_id) and not self.supersede(self.table.read_state()):
            self.publish(questions.question(self.pipeline, asked, kept, self.environment))
            self.log.info("asked", run_id=asked.run_id, package=asked.package, until=kept["until"])

    def look(self, run_id: str) -> bool:
        """Lets the run go on if it waits and has been decided about; whether it has."""
        waiting = waits(self.table.read_run(run_id) or {})
        if waiting is None:
            return False
        package = self.package(waiting["package"])
        return package.status in DECIDED and self._go_on(run_id, waiting, package.status, package.reason)

    def supersede(self, state: State) -> bool:
        """Ends the run that waits, if triggers wait for its end: it holds back no newer data."""
        running, pending = state.running, state.pending
        if not running or not pending or (pending.get(HELD) and pending["kinds"][0] != triggers.REPAIR):
            return False
        waiting = waits(self.table.read_run(running["run_id"]) or {})
        if waiting is None:
            return False
        kinds = " and ".join(pending["kinds"])
        reason = f"it waited for approval when a newer run was asked for ({kinds}), which takes its place"
        return self._go_on(running["run_id"], waiting, outcomes.SUPERSEDED, reason)

    def heard(self, arn: str) -> Trigger | None:
        """A model package has changed: the run that waits for it goes on; a champion that is rejected goes back."""
        package, state = self.package(arn), self.table.read_state()
        running, champion = state.running or {}, state.champion or {}
        waiting = waits(self.table.read_run(running["run_id"]) or {}) if running else None
        if waiting and waiting["package"] == arn:
            self.look(running["run_id"])
            return None
        if champion.get("model_package_arn") == arn:
            return self._withdrawn(state, package) if package.status == NOT_APPROVED else None
        if package.status == APPROVED:
            self._approved_late(package)
        return None

    def refusal(self, model: Document) -> str | None:
        """Why a model may not be brought back, in a sentence: only what is approved is deployed."""
        package = self.package(model["model_package_arn"])
        if package.status == APPROVED:
            return None
        approve, _ = commands(model["run_id"], self.environment)
        return (
            f"the model of run {model['run_id']} is {package.status} in the model registry ({_why(package)}), and "
            f"only what is approved is deployed; `{approve}` approves it"
        )

    def ended(self, record: Document) -> Document:
        """The record of a run that was cut off: one that waited waits no more, and its model is nobody's to approve."""
        waiting = waits(record)
        if waiting is None:
            return record
        why = f"run {record['run_id']}: {record['outcome']} while it waited for approval"
        self._reject(waiting["package"], why)
        return {**record, APPROVAL: {"since": waiting["since"], "until": waiting["until"], "reason": why}}

    def package(self, arn: str) -> Package:
        """A model package as it is now."""
        try:
            found = self.sagemaker.describe_model_package(ModelPackageName=arn)
        except ClientError as error:
            if is_missing(error):
                return Package(arn, MISSING)
            raise
        made_by = found.get("CustomerMetadataProperties", {}).get("run_id", "")
        return Package(arn, found.get("ModelApprovalStatus", ""), found.get("ApprovalDescription", ""), made_by)

    def _go_on(self, run_id: str, waiting: Any, status: str, reason: str) -> bool:
        kept = {"since": waiting["since"], "until": waiting["until"], "status": status, "reason": reason}
        waited = self.answer(waiting["token"], kept)
        self.table.set_while_running(run_id, APPROVAL, {**kept, "package": waiting["package"]})
        self.log.info("decided" if waited else "decided too late", run_id=run_id, status=status, reason=reason)
        return True

    def _withdrawn(self, state: State, package: Package) -> Trigger | None:
        """Back to the champion before; with none that is approved the champion goes on: no answers are worse."""
        if any(triggers.ROLLBACK in kinds for kinds in _kinds(state)):
            return None
        champion, before = state.champion or {}, state.previous_champion
        wrong = self.refusal(before) if before else "there is no champion before it"
        if before is None or wrong:
            came_to = f"{wrong}; so it goes on serving. A run that is approved takes its place"
            self._told(champion["run_id"], package, came_to)
            return None
        self._told(champion["run_id"], package, f"a rollback to the model of run {before['run_id']}")
        by = f"the model registry, where the champion was rejected ({_why(package)})"
        detail = {triggers.TO: before["run_id"], triggers.BY: by, WITHDRAWN: package.arn}
        return Trigger(triggers.ROLLBACK, self.now(), detail)

    def _approved_late(self, package: Package) -> None:
        """Of a run that has ended without deploying its model: the approval changes nothing, and that is said."""
        record = self.table.read_run(package.run_id) if package.run_id else None
        if record and record["outcome"] not in (outcomes.PROMOTED, outcomes.RUNNING):
            came_to = f"nothing is deployed: the run had ended {record['outcome']} before; start another"
            self._told(package.run_id, package, came_to)

    def _told(self, run_id: str, package: Package, came_to: str) -> None:
        """Says it in the log, in the run's record and to the topic; once, however often it is heard."""
        record = self.table.read_run(run_id)
        said = {"status": package.status, "reason": package.reason, "came_to": came_to}
        before = (record or {}).get(SAID_LATER) or {}
        if {name: before.get(name) for name in said} == said:
            return
        self.log.warning("said later", run_id=run_id, **said)
        if record:
            self.table.write_run(run_id, {**record, SAID_LATER: {**said, "at": self.now()}})
        self.publish(questions.afterwards(self.pipeline, run_id, said))

    def _reject(self, arn: str, why: str) -> None:
        request = {"ModelApprovalStatus": NOT_APPROVED, "ApprovalDescription": why[:DESCRIPTION_LENGTH]}
        try:
            self.sagemaker.update_model_package(ModelPackageArn=arn, **request)
        except ClientError as error:
            if not is_missing(error):
                raise


def _why(package: Package) -> str:
    return package.reason or "no reason is given"


def _kinds(state: State) -> list[list[str]]:
    """What runs, and what waits."""
    running = [[state.running["trigger"]["kind"]]] if state.running else []
    return [*running, *([state.pending["kinds"]] if state.pending else [])]
