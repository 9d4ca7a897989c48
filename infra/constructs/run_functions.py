"""The functions that a run's steps call, as the steps declare them."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from infra.constructs.function import Function, Functions
from infra.grants import Grant
from infra.workflow.run_function import RunFunction
from infra.workflow.run_grants import RUNS_ARE_NAMED_LATER


class RunFunctions(Construct):
    """`arns` has each function's, by the name that the definition says for it."""

    def __init__(self, scope: Construct, id_: str, declared: Sequence[RunFunction], functions: Functions) -> None:
        super().__init__(scope, id_)
        self._made = [(one, Function(self, one.folder.capitalize(), one, functions)) for one in declared]
        self.arns = {one.arn_name: function.arn for one, function in self._made}

    def grant_executions(self, execution_arns: str) -> None:
        """Grants the functions' actions on executions, once there is the machine that calls them."""
        for declared, function in self._made:
            if declared.execution_actions:
                grant = Grant(
                    actions=declared.execution_actions, resources=[execution_arns], because=RUNS_ARE_NAMED_LATER
                )
                function.role.grant_later("History", [grant])
