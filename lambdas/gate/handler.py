"""Gate: decides from the evaluation whether the challenger becomes the champion, and writes the decision down.

Environment: `ARTIFACT_BUCKET`.

AWS actions:
    s3:GetObject                                    the artifact bucket, runs/<pipeline>/*/evaluation/evaluation.json
    s3:PutObject                                    the artifact bucket, runs/<pipeline>/*/gate.json
    s3:ListBucket                                   the artifact bucket (so that a missing file is a 404, not a 403)
    kms:Decrypt, kms:GenerateDataKey                the key of the bucket
"""

from __future__ import annotations

import os
from typing import Any

from common.artifacts import EVALUATION, Artifacts
from common.clients import client
from common.log import Log

from gate.decision import decide

Document = dict[str, Any]

LOG = Log({"function": "gate"})


def handle(event: Document, _context: object) -> Document:
    """The decision, which gate.json keeps.

    Args:
        event: {"run": the execution's input, "gate": the spec's, "champion": the plan's or null}.

    Raises:
        ArtifactMissing: the evaluation job wrote no evaluation.json.
        BadEvaluation: it answers another question.
    """
    run = event["run"]
    artifacts = Artifacts(client("s3"), os.environ["ARTIFACT_BUCKET"], run["pipeline"], run["run_id"])
    decision = decide(artifacts.read(EVALUATION), event["gate"], event["champion"])
    artifacts.write("gate.json", decision)
    LOG.info("decided", pipeline=run["pipeline"], run_id=run["run_id"], **decision)
    return decision
