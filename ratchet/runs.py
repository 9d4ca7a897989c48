"""Runs as the run table keeps them, read tolerantly: a field that isn't there, or is new, never breaks a command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from ratchet.account import Account
from ratchet.causes import reason
from ratchet.durations import duration
from ratchet.errors import UserError

RUNNING = "Running"
PROMOTED = "Promoted"
UP_TO_DATE = "UpToDate"
# A run that ended so didn't do what it was started for.
FAILED_OUTCOMES = frozenset({"Failed", "RolledBack", "Stopped", "StoppedByRule"})

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One run of a pipeline; `document` is the whole record, the rest its fields that every reader wants."""

    pipeline: str
    run_id: str
    outcome: str
    document: Document

    @property
    def trigger(self) -> str:
        """`data`, `schedule`, `code`, `manual` or `rollback`."""
        return str(_mapping(self.document, "trigger").get("kind", "?"))

    @property
    def started_at(self) -> datetime | None:
        return moment(self.document.get("started_at"))

    @property
    def ended_at(self) -> datetime | None:
        return moment(self.document.get("ended_at"))

    @property
    def seconds(self) -> float | None:
        """From start to end; None while it runs."""
        if self.started_at and self.ended_at:
            return (self.ended_at - self.started_at).total_seconds()
        return None

    @property
    def execution_arn(self) -> str | None:
        return self.document.get("execution_arn")

    @property
    def evaluation(self) -> Document:
        return _mapping(self.document, "evaluation")

    @property
    def decision(self) -> Document:
        return _mapping(self.document, "decision")

    @property
    def metric(self) -> str:
        return str(self.evaluation.get("metric", ""))

    @property
    def challenger_score(self) -> float | None:
        return _score(self.evaluation, "challenger")

    @property
    def champion_score(self) -> float | None:
        return _score(self.evaluation, "champion")

    @property
    def reason(self) -> str:
        """Why it ended as it did, in a sentence: the gate's, or the error's."""
        error = _mapping(self.document, "error")
        if error:
            where = f"{error['state']}: " if error.get("state") else ""
            return f"{where}{error.get('error', '')}: {reason(error.get('cause'))}".strip(": ")
        return str(self.decision.get("reason", "")) or self.stopped_because

    @property
    def stopped_because(self) -> str:
        """Which rule stopped its training, at which step, and why; empty if none did."""
        verdict = _mapping(self.document, "stopped_by")
        if not verdict:
            return ""
        step = "" if verdict.get("step") is None else f" at step {verdict['step']}"
        return f"{verdict.get('name', 'a rule')}{step}: {verdict.get('reason', '')}"

    @property
    def spot(self) -> str:
        """What training on spot capacity came to, in a sentence; empty where it was on demand."""
        figures = _mapping(self.document, "spot")
        count, trained, billable = (
            figures.get(key) for key in ("interruptions", "training_seconds", "billable_seconds")
        )
        if count is None:
            return ""
        times = {0: "not interrupted", 1: "interrupted once"}.get(count, f"interrupted {count} times")
        if trained is None or billable is None:
            return f"{times}, before it had trained"
        return (
            f"{times}; {duration(trained)} of training, billed as {duration(billable)} ({figures['saved']:.0%} saved)"
        )

    @property
    def rules(self) -> list[Document]:
        """What the rules of its training found: {"name", "status", "step", "value", "reason"} each, as the record has
        it; while it runs, those that found issues or couldn't judge."""
        found = self.document.get("rules")
        if isinstance(found, list):
            return [verdict for verdict in found if isinstance(verdict, Mapping)]
        issues = self.document.get("rule_verdicts")
        verdicts = issues if isinstance(issues, list) else []
        return [verdict for verdict in verdicts if isinstance(verdict, Mapping)]

    @property
    def failed(self) -> bool:
        return self.outcome in FAILED_OUTCOMES


def _mapping(document: Document, name: str) -> Document:
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def _score(evaluation: Document, who: str) -> float | None:
    score = _mapping(evaluation, who).get("score")
    return float(score) if isinstance(score, (int, float)) else None


def moment(value: object) -> datetime | None:
    """An ISO 8601 time; None for what isn't one."""
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def plain(value: Any) -> Any:
    """DynamoDB's decimals and sets as plain numbers and lists, so that JSON can hold them."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value


def of_item(item: Document) -> Run:
    """A run from its item (already plain)."""
    run_id = str(item.get("run_id") or str(item.get("item", "")).removeprefix("run#"))
    return Run(str(item.get("pipeline", "")), run_id, str(item.get("outcome", RUNNING)), item)


class RunTable:
    """The environment's run table, to be read."""

    def __init__(self, account: Account) -> None:
        self._client = account.client("dynamodb")
        self._table = account.shared()["RunTableName"]

    def state(self, pipeline: str) -> Document:
        """The pipeline's state: `running`, `pending`, `champion`, `previous_champion`; what is absent isn't there."""
        return self._item(pipeline, "state") or {}

    def run(self, pipeline: str, run_id: str) -> Run | None:
        item = self._item(pipeline, f"run#{run_id}")
        return of_item(item) if item else None

    def runs(self, pipeline: str, limit: int) -> list[Run]:
        """The pipeline's last runs, newest first."""
        return [of_item(item) for item in self._newest_first(pipeline, limit)]

    def find(self, pipelines: list[str], named: str) -> Run:
        """A run by its id, or the newest of the pipeline of that name.

        Raises:
            UserError: there is no such run.
        """
        if named in pipelines:
            newest = self.runs(named, limit=1)
            if newest:
                return newest[0]
            raise UserError(f"the pipeline {named} has no run yet; start one with `ratchet run {named}`")
        for pipeline in pipelines:
            found = self.run(pipeline, named)
            if found:
                return found
        raise UserError(f"there is no run {named!r}; see `ratchet runs` (a pipeline's name stands for its newest run)")

    def _item(self, pipeline: str, item: str) -> Document | None:
        key = {"pipeline": {"S": pipeline}, "item": {"S": item}}
        found = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return _deserialized(found) if found else None

    def _newest_first(self, pipeline: str, limit: int) -> Iterator[Document]:
        """Run ids begin with their time, so that the sort key's order is theirs."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pipeline = :pipeline AND begins_with(#item, :run)",
            ExpressionAttributeNames={"#item": "item"},
            ExpressionAttributeValues={":pipeline": {"S": pipeline}, ":run": {"S": "run#"}},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=limit,
        )
        return (_deserialized(item) for item in answer["Items"])


def _deserialized(item: Mapping[str, Any]) -> dict[str, Any]:
    read = TypeDeserializer().deserialize
    return {name: plain(read(value)) for name, value in item.items()}
