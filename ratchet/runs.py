"""Runs as the run table keeps them, read tolerantly: a field that isn't there, or is new, never breaks a command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from contract import approvals, names, outcomes, run_table, states
from contract.approvals import APPROVAL, SAID_LATER, waits
from contract.causes import gist, reason
from contract.times import moment
from contract.tuning import TUNING
from ratchet import autoscaling, batches, candidate_figures, tuned
from ratchet.account import Account
from ratchet.batches import Batch
from ratchet.durations import duration
from ratchet.errors import UserError

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One run of a pipeline; `document` is the whole record, the rest its fields that every reader wants."""

    pipeline: str
    run_id: str
    outcome: str
    document: Document
    # Where its commands are typed for.
    environment: str = names.LOCAL

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
        """Why it came to its outcome, in a sentence: the error, the gate's reason or the person's, what there was
        nothing new since, or the rule that stopped it."""
        told = self.by_a_person or self.decision.get("reason") or self.document.get("reason")
        return self._error_text or str(told or "") or self.stopped_because

    @property
    def headline(self) -> str:
        """The reason beside its outcome; of a deployment that was rolled back, with whom it leaves serving; of an
        endpoint that the run had to put in order first, with what was wrong."""
        return ". ".join(filter(None, (self._beside_its_outcome, outcomes.put_back(self.document))))

    @property
    def _beside_its_outcome(self) -> str:
        if self.outcome != outcomes.ROLLED_BACK:
            return self.reason
        serving = _mapping(self.document, "champion_before").get("run_id")
        champion = f"the champion, of run {serving}, still serves" if serving else "nothing new serves"
        return f"{champion}. {self._error_text}".rstrip(". ")

    @property
    def approval(self) -> Document:
        """What a person is asked, or has said, of its model; empty where the gate alone decides."""
        return _mapping(self.document, APPROVAL)

    @property
    def by_a_person(self) -> str:
        """What it waits for and which commands answer it, or what a person has said of its model, then or later."""
        waiting = waits(self.document) if self.outcome == outcomes.RUNNING else None
        if waiting:
            return approvals.sentence(self.run_id, waiting, self.environment)
        later = _mapping(self.document, SAID_LATER)
        why = later.get("reason") or "no reason is given"
        said = f"later {later['status']} ({why}): {later['came_to']}" if later else ""
        decided = self.approval.get("reason", "") if self.outcome in outcomes.NOT_APPROVED else ""
        return ". ".join(filter(None, [str(decided), said]))

    @property
    def wrong(self) -> tuple[str, str, str] | None:
        """(state, error, cause) of what ended its work, whatever Step Functions calls that state's end."""
        error = _mapping(self.document, "error")
        if error.get("state"):
            return str(error["state"]), str(error.get("error", "")), str(error.get("cause", ""))
        stopped = self.outcome == outcomes.STOPPED_BY_RULE
        return (states.TRAIN, outcomes.STOPPED_BY_RULE, self.stopped_because) if stopped else None

    @property
    def _error_text(self) -> str:
        error = _mapping(self.document, "error")
        if not error:
            return ""
        where = f"{error['state']}: " if error.get("state") else ""
        return f"{where}{error.get('error', '')}: {gist(reason(error.get('cause')))}".strip(": ")

    @property
    def stopped_because(self) -> str:
        """The rule that stopped its training, at which step, and why; empty if none did."""
        return outcomes.stopped_by(self.document)

    @property
    def spot(self) -> str:
        """Interruptions and savings of training on spot capacity, in a sentence; empty where it was on demand."""
        figures = _mapping(self.document, "spot")
        count, trained, billable = (
            figures.get(key) for key in ("interruptions", "training_seconds", "billable_seconds")
        )
        if count is None:
            return ""
        times = {0: "not interrupted", 1: "interrupted once"}.get(count, f"interrupted {count} times")
        if trained is None or billable is None:
            return f"{times}, before it had trained"
        # Wall-clock time: an account is billed for it once a host (BillableTimeInSeconds, API reference).
        each = f", for each of {hosts} hosts" if (hosts := self.document.get("hosts")) else ""
        saved = f"({figures['saved']:.0%} saved{each})"
        return f"{times}; {duration(trained)} of training, billed as {duration(billable)} {saved}"

    @property
    def hosts(self) -> str:
        """On what it trained, of a training on several hosts: `2 of ml.m5.large`; empty of one on one."""
        hosts, instance = self.document.get("hosts"), _mapping(self.document, "instances").get("train")
        return f"{hosts} of {instance}" if hosts else ""

    @property
    def tuned(self) -> bool:
        """Whether it ran a tuning job."""
        return bool(_mapping(self.document, TUNING))

    @property
    def tuning(self) -> str:
        """What its tuning job came to, or with what it trained without one; empty where its pipeline never tunes."""
        return tuned.sentence(self.document)

    @property
    def candidates(self) -> str:
        """What its candidates came to, in a sentence; empty of a run without them."""
        return candidate_figures.sentence(self.document)

    @property
    def batch(self) -> Batch | None:
        """The rows that it had its champion answer; None for a run that answered no batch."""
        return batches.of_run(self.document)

    @property
    def scaling(self) -> str:
        """How the endpoint is scaled, in a sentence; empty where it isn't, or the run hasn't looked."""
        return autoscaling.sentence(self.document)

    @property
    def rules(self) -> list[Document]:
        """The verdicts of its training's rules: {"name", "status", "step", "value", "reason"} each, as the record has
        them; while it runs, those that found issues or couldn't judge."""
        found = self.document.get("rules")
        if isinstance(found, list):
            return [verdict for verdict in found if isinstance(verdict, Mapping)]
        issues = self.document.get(run_table.RULE_VERDICTS)
        verdicts = issues if isinstance(issues, list) else []
        return [verdict for verdict in verdicts if isinstance(verdict, Mapping)]

    @property
    def promoted_model(self) -> str | None:
        """The run that trained the model that this run made champion; another than itself after a rollback."""
        trained = _mapping(self.document, "candidate").get("run_id")
        return str(trained) if self.outcome == outcomes.PROMOTED and trained else None

    @property
    def failed(self) -> bool:
        return self.outcome in outcomes.UNSUCCESSFUL


def _mapping(document: Document, name: str) -> Document:
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def _score(evaluation: Document, who: str) -> float | None:
    score = _mapping(evaluation, who).get("score")
    return float(score) if isinstance(score, (int, float)) else None


def of_item(item: Document, environment: str = names.LOCAL) -> Run:
    """A run from its item (already plain)."""
    run_id = str(item.get("run_id") or run_table.run_id_of(str(item.get(run_table.SORT_KEY, ""))))
    return Run(
        str(item.get(run_table.PARTITION_KEY, "")),
        run_id,
        str(item.get("outcome", outcomes.RUNNING)),
        item,
        environment,
    )


class RunTable:
    """The environment's run table, to be read."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._client = account.client("dynamodb")
        self._table = account.shared()["RunTableName"]

    def state(self, pipeline: str) -> Document:
        """The pipeline's state: `running`, `pending`, `champion`, `previous_champion`; what is absent isn't there."""
        return self._item(pipeline, run_table.STATE_ITEM) or {}

    def run(self, pipeline: str, run_id: str) -> Run | None:
        item = self._item(pipeline, run_table.run_item(run_id))
        return of_item(item, self._account.environment.name) if item else None

    def runs(self, pipeline: str, limit: int) -> list[Run]:
        """The pipeline's last runs, newest first."""
        environment = self._account.environment.name
        return [of_item(item, environment) for item in self._newest_first(pipeline, limit)]

    def find(self, pipelines: list[str], named: str) -> Run:
        """A run by its id, or the newest of the pipeline of that name.

        Raises:
            UserError: there is no such run.
        """
        if named in pipelines:
            newest = self.runs(named, limit=1)
            if newest:
                return newest[0]
            start = self._account.command(f"run {named}")
            raise UserError(f"the pipeline {named} has no run yet; start one with `{start}`")
        for pipeline in pipelines:
            found = self.run(pipeline, named)
            if found:
                return found
        runs = self._account.command("runs")
        raise UserError(f"there is no run {named!r}; see `{runs}` (a pipeline's name stands for its newest run)")

    def _item(self, pipeline: str, item: str) -> Document | None:
        key = run_table.key(pipeline, item)
        found = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return _deserialized(found) if found else None

    def _newest_first(self, pipeline: str, limit: int) -> Iterator[Document]:
        """Run ids begin with their time, so that the sort key's order is theirs."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="#pipeline = :pipeline AND begins_with(#item, :run)",
            ExpressionAttributeNames={"#pipeline": run_table.PARTITION_KEY, "#item": run_table.SORT_KEY},
            ExpressionAttributeValues={":pipeline": {"S": pipeline}, ":run": {"S": run_table.RUN_ITEMS}},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=limit,
        )
        return (_deserialized(item) for item in answer["Items"])


def _deserialized(item: Mapping[str, Any]) -> dict[str, Any]:
    read = TypeDeserializer().deserialize
    return {name: run_table.plain(read(value)) for name, value in item.items()}
