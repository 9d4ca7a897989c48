"""The functions that a run calls: planner, gate, verifier and recorder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra import permissions
from infra.constructs.function import Function
from infra.grants import Grant
from infra.permissions import Surroundings
from infra.workflow import machine

RETAINED_CHAMPIONS = 3


class RunFunctions(Construct):
    """One function for each decision of a run. Their time limits are those that the machine reckons with."""

    def __init__(
        self, scope: Construct, id_: str, *, at: Surroundings, code: assets.Asset, log_retention_days: int
    ) -> None:
        super().__init__(scope, id_)
        self._code = code
        self._log_retention_days = log_retention_days
        table, artifacts = {"RUN_TABLE": at.shared.run_table}, {"ARTIFACT_BUCKET": at.shared.artifact_bucket}
        self.planner = self._function(
            "Planner",
            "Fixes what a run works on",
            machine.PLANNER_SECONDS,
            {**table, **artifacts, "DATA_BUCKET": at.shared.data_bucket},
            permissions.planner(at),
        )
        self.gate = self._function(
            "Gate", "Decides whether the challenger wins", machine.GATE_SECONDS, artifacts, permissions.gate(at)
        )
        self.verifier = self._function(
            "Verifier",
            "Asks the endpoint real questions",
            machine.VERIFIER_SECONDS,
            artifacts,
            permissions.verifier(at),
        )
        self.recorder = self._function(
            "Recorder",
            "Writes what a run did, and clears away what nobody needs",
            machine.RECORDER_SECONDS,
            {**table, **artifacts, "TOPIC_ARN": at.shared.topic_arn, "RETAINED_CHAMPIONS": str(RETAINED_CHAMPIONS)},
            permissions.recorder(at),
        )

    def _function(
        self, id_: str, purpose: str, seconds: int, environment: Mapping[str, str], grants: Sequence[Grant]
    ) -> Function:
        return Function(
            self,
            id_,
            folder=id_.lower(),
            code=self._code,
            purpose=purpose,
            timeout_seconds=seconds,
            environment=environment,
            grants=grants,
            log_retention_days=self._log_retention_days,
        )
