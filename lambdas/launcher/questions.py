"""Messages to the topic about approvals: what a person needs who is to decide, and what became of a late word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common import notification as topic

from contract import files
from contract.approvals import PENDING, SAID_LATER, commands
from contract.names import command
from launcher.triggers import Asked

Document = dict[str, Any]


def question(pipeline: str, asked: Asked, kept: Mapping[str, Any], environment: str) -> Document:
    """Publish's arguments: the figures of the gate, the cost, where the report is, and the two commands."""
    run_id, decision = asked.run_id, asked.decision
    approve, reject = commands(run_id, environment)
    figures = ("metric", "score", "champion_score", "difference", "interval", "confidence", "examples")
    message = {
        "message": f"{pipeline} has a model that waits for your approval until {kept['until']}. {_figures(decision)}. "
        f"Approve it with `{approve}`, or `{reject}`",
        "pipeline": pipeline,
        "run_id": run_id,
        "approve": approve,
        "reject": reject,
        "since": kept["since"],
        "until": kept["until"],
        "model_package_arn": asked.package,
        "decision": {name: decision.get(name) for name in ("reason", *figures)},
        "cost": asked.cost,
        "report": command(f"report {run_id}", environment),
        "figures": f"{files.run_folder(pipeline, run_id)}{files.EVALUATION} in the artifact bucket",
    }
    return _sent(pipeline, run_id, message, PENDING)


def _figures(decision: Mapping[str, Any]) -> str:
    """`f1_macro 0.9700 against the champion's 0.9500, …` as the gate has said it."""
    return str(decision.get("reason") or "the gate gives no reason")


def afterwards(pipeline: str, run_id: str, said: Mapping[str, Any]) -> Document:
    """Publish's arguments: what a person said of a model when its run had ended, and what came of it."""
    told = f"{said['status']} ({said['reason'] or 'no reason is given'})"
    sentence = f"{pipeline}: the model of run {run_id} is {told} in the model registry: {said['came_to']}"
    message = {"message": sentence, "pipeline": pipeline, "run_id": run_id, SAID_LATER: dict(said)}
    return _sent(pipeline, run_id, message, str(said["status"]))


def _sent(pipeline: str, run_id: str, message: Document, approval: str) -> Document:
    attributes = {"pipeline": pipeline, "approval": approval}
    return topic.notification(f"{pipeline}: {approval}, run {run_id}", message, attributes)
