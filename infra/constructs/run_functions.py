"""The functions that a run's steps call, as the steps declare them."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.constructs.function import Function
from infra.grants import Grant
from infra.workflow.run_function import RunFunction
from infra.workflow.run_grants import RUNS_ARE_NAMED_LATER


class RunFunctions(Construct):
    """`arns` has each function's, by the name that the definition says for it."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        functions: Sequence[RunFunction],
        code: assets.Asset,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, id_)
        self._made = [(declared, _function(self, declared, code, log_retention_days)) for declared in functions]
        self.arns = {declared.arn_name: function.arn for declared, function in self._made}

    def grant_executions(self, execution_arns: str) -> None:
        """Grants what functions may do to executions, once there is the machine that calls them."""
        for declared, function in self._made:
            if declared.execution_actions:
                grant = Grant(
                    actions=declared.execution_actions, resources=[execution_arns], because=RUNS_ARE_NAMED_LATER
                )
                function.role.grant_later("History", [grant])


def _function(scope: Construct, declared: RunFunction, code: assets.Asset, log_retention_days: int) -> Function:
    return Function(
        scope,
        declared.folder.capitalize(),
        folder=declared.folder,
        code=code,
        purpose=declared.purpose,
        timeout_seconds=declared.seconds,
        environment=declared.variables,
        grants=declared.grants,
        log_retention_days=log_retention_days,
    )
