"""A run's report: one self-contained HTML page of what its machine did, what the gate saw, and what it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from botocore.exceptions import ClientError

from contract import causes, files, names, outcomes, verdicts
from contract.candidates import CANDIDATE
from contract.histories import Execution
from contract.thresholds import CURVE, KEPT
from contract.tuning import TUNING
from ratchet import (
    answers,
    candidate_figures,
    curves,
    diagram,
    figures,
    history,
    pages,
    round_figures,
    run_logs,
    threshold_figures,
    tuned,
    tuning_figures,
    views,
)
from ratchet.account import Account
from ratchet.durations import duration
from ratchet.runs import Run
from ratchet.view_pages import section

# A run on ten thousand objects is told by the first ones and their number.
LISTED_OBJECTS = 50

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Sources:
    """Everything that a report is made from. What AWS no longer has, or the run never wrote, is empty."""

    run: Run
    environment: str
    account: str
    region: str
    execution: Execution = field(default_factory=lambda: Execution(()))
    definition: Document = field(default_factory=dict)
    objects: tuple[Document, ...] = ()
    log: tuple[run_logs.Line, ...] = ()
    answers: Document = field(default_factory=dict)
    curve_points: tuple[curves.Point, ...] = ()
    views: tuple[section.Kept, ...] = ()


def gather(account: Account, run: Run) -> Sources:
    """Reads a run's history, definition and documents from AWS."""
    execution, definition = _machine(account, run)
    bucket = account.shared()["ArtifactBucketName"]
    folder = files.run_folder(run.pipeline, run.run_id)
    tensors = tensors_of(account, bucket, run)
    identity = account.client("sts").get_caller_identity()
    return Sources(
        run=run,
        environment=account.environment.name,
        account=identity["Account"],
        region=account.environment.region,
        execution=execution,
        definition=definition,
        objects=tuple(_objects(account, bucket, folder, run)),
        log=tuple(_log(account, run, execution)),
        answers=_answers(account, bucket, folder, run),
        curve_points=curves.read(account, bucket, tensors),
        views=section.gather(account, bucket, tensors),
    )


def _log(account: Account, run: Run, execution: Execution) -> list[run_logs.Line]:
    """The end of the log of the job that went wrong: of the state that the run blames, or of what kept it from that."""
    blamed = [run.wrong[0], *(visit.name for visit in execution.visits if visit.failed)] if run.wrong else []
    return next(filter(None, (run_logs.tail(account, run, state) for state in blamed)), [])


def _machine(account: Account, run: Run) -> tuple[Execution, Document]:
    """The execution and its machine's definition; empty once Step Functions has forgotten them (after 90 days)."""
    if run.execution_arn is None:
        return Execution(()), {}
    client = account.client("stepfunctions")
    try:
        described = client.describe_state_machine_for_execution(executionArn=run.execution_arn)
        return history.read(account, run.execution_arn), json.loads(described["definition"])
    except client.exceptions.ExecutionDoesNotExist:
        return Execution(()), {}


def _objects(account: Account, bucket: str, folder: str, run: Run) -> Iterator[Document]:
    """The data objects that the run worked on, each with its channel, key, version and size in bytes."""
    manifests = (run.document.get("data") or {}).get("manifests") or {}
    for channel in sorted(manifests):
        for entry in _listed(account, bucket, folder + files.versions(channel)):
            yield {"channel": channel, **entry}


def _answers(account: Account, bucket: str, folder: str, run: Run) -> Document:
    """Of classes and single examples, which aren't in the record; empty where the evaluation tells nothing of them."""
    evaluation = _json(account, bucket, folder + files.EVALUATION) if run.evaluation else None
    found = evaluation.get(files.ANSWERS) if isinstance(evaluation, dict) else None
    return found if isinstance(found, dict) else {}


def tensors_of(account: Account, bucket: str, run: Run) -> str:
    """The folder of the tensors whose losses and views are shown; of a run in progress that of its newest round."""
    if run.outcome != outcomes.RUNNING:
        return shown_tensors(run)
    return views.folder_of(account, bucket, files.run_folder(run.pipeline, run.run_id) + files.TENSORS)


def shown_tensors(run: Run) -> str:
    """The folder of the tensors whose losses are shown: of the best trial, the best candidate or the shown round."""
    candidate = run.decision.get(CANDIDATE)
    if candidate:
        return files.run_folder(run.pipeline, run.run_id) + files.of_candidate(files.TENSORS, candidate)
    best = (run.document.get(TUNING) or {}).get("best")
    if not best:
        return files.run_folder(run.pipeline, run.run_id) + files.of_round(files.TENSORS, _shown_round(run))
    # A trial may be of an earlier run, whose place this one has taken.
    of_run = names.run_of_trial(best["job"]) or run.run_id
    return files.run_folder(run.pipeline, of_run) + files.of_trial(files.TENSORS, best["job"])


def _shown_round(run: Run) -> int | None:
    """Of a training in rounds the one whose losses are shown: the chosen one, else the last."""
    rounds = run.document.get("rounds") or {}
    last = [row.get("round") for row in rounds.get("rows") or ()][-1:]
    return rounds.get("chosen") or (last[0] if last else None)


def _listed(account: Account, bucket: str, key: str) -> list[Document]:
    """A JSON list of the run's; empty where it has none."""
    found = _json(account, bucket, key)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _json(account: Account, bucket: str, key: str) -> Any:
    """A JSON document of the run's; None where there is none that can be read."""
    try:
        body = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404", "AccessDenied"):
            return None
        raise
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def write(sources: Sources, path: Path, cache: Path | None = None) -> None:
    """Writes the page. cache: the folder in which the script of views is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(sources, cache), encoding="utf-8")


def render(sources: Sources, cache: Path | None = None) -> str:
    """The page, as HTML."""
    run = sources.run
    execution = sources.execution.blaming(*run.wrong) if run.wrong else sources.execution
    page = _templates().get_template("report.html.j2")
    return page.render(
        run=run,
        sources=sources,
        diagram=diagram.lay_out(sources.definition, execution) if sources.definition else None,
        bars=figures.bars(execution.visits, execution.ended),
        scores=figures.scores(run.evaluation, run.decision.get("minimum")),
        answers=answers.figures(sources.answers),
        threshold=threshold_figures.figure(run.evaluation.get(KEPT) or {}, sources.answers.get(CURVE) or {}),
        curves=curves.charts(sources.curve_points, _found_issues(run)),
        views=section.section(sources.views, run.started_at, cache),
        other_metrics=_other_metrics(run),
        trials=tuned.trials(run.document),
        tuning=tuning_figures.figure(run.document),
        where="" if sources.environment == names.LOCAL else f" -e {sources.environment}",
        candidates=candidate_figures.table(run.document),
        rounds=round_figures.rounds(run.document.get("rounds") or {}),
        interval=figures.interval(run.evaluation, run.decision.get("beat_champion_by")),
        record=json.dumps(run.document, indent=2, ensure_ascii=False, default=str),
        listed=LISTED_OBJECTS,
    )


def _found_issues(run: Run) -> list[Document]:
    return [rule for rule in run.rules if rule.get("status") == verdicts.ISSUES_FOUND]


def _other_metrics(run: Run) -> dict[str, Any]:
    """The evaluation's metrics that the gate didn't judge by."""
    metrics = run.evaluation.get("metrics")
    return (
        {name: value for name, value in metrics.items() if name != run.metric} if isinstance(metrics, Mapping) else {}
    )


def _templates() -> jinja2.Environment:
    environment = pages.templates()
    environment.filters.update(
        duration=duration, reason=causes.reason, clock=_clock, figure=_figure, size=_size, short=_short, plain=_plain
    )
    return environment


def _clock(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else "–"


def _figure(value: object) -> str:
    """A score or a difference with as many digits as help."""
    return f"{value:.4f}" if isinstance(value, (int, float)) and not isinstance(value, bool) else "–"


def _plain(value: object) -> str:
    """A number as it would be written, anything else as it is."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _size(value: object) -> str:
    """Bytes for people."""
    if not isinstance(value, (int, float)):
        return "–"
    number = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def _short(value: object, length: int = 12) -> str:
    """The beginning of a hash."""
    text = str(value) if value else "–"
    return text if len(text) <= length + 4 else text[:length] + "…"
