"""Gate: decides from the evaluation whether the challenger becomes the champion, and writes the decision down."""

from __future__ import annotations

import os
from typing import Any

from common.artifacts import Artifacts
from common.clients import client
from common.log import Log

from contract import files, functions
from contract.candidates import CANDIDATES
from gate.candidates import chosen, of_several, told_of
from gate.decision import decide

Document = dict[str, Any]

LOG = Log({"function": "gate"})


def handle(event: Document, _context: object) -> Document:
    """The decision, which gate.json keeps.

    Args:
        event: {"run": the execution's input, "gate": the spec's, "champion": the plan's or null, "supersede": whether
            a person asked that a champion that can't answer be superseded}, and of a run that trains candidates
            "candidates": their names.

    Raises:
        ArtifactMissingError: the evaluation job wrote no evaluation.json.
        BadEvaluationError: it answers another question.
    """
    run = event["run"]
    artifacts = Artifacts(client("s3"), os.environ[functions.ARTIFACT_BUCKET], run["pipeline"], run["run_id"])
    evaluation = artifacts.read(files.EVALUATION, most=files.EVALUATION_BYTES)
    named = event.get(CANDIDATES)
    gate = of_several(event["gate"], named) if named else event["gate"]
    told = chosen(evaluation, named) if named else {}
    decision = decide(evaluation, gate, event["champion"], pipeline=run["pipeline"], supersede=event["supersede"])
    decision = told_of(decision, told) if told else decision
    artifacts.write(files.GATE, decision)
    LOG.info("decided", pipeline=run["pipeline"], run_id=run["run_id"], **decision)
    return decision
