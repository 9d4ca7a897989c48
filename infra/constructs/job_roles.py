"""The roles that SageMaker assumes for a pipeline's jobs and its endpoint, as the steps declare them."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from infra.constructs.role import ServiceRole
from infra.grants import SAGEMAKER
from infra.workflow.job_role import JobRole


class JobRoles(Construct):
    """`arns` has each role's, by the name that the definition says for it."""

    def __init__(self, scope: Construct, id_: str, roles: Sequence[JobRole]) -> None:
        super().__init__(scope, id_)
        self.arns = {
            role.arn_name: ServiceRole(self, role.name, service=SAGEMAKER, purpose=role.purpose, grants=role.grants).arn
            for role in roles
        }
