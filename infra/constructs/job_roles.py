"""The roles that SageMaker assumes for a pipeline's jobs and its endpoint, as the steps declare them."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from infra.constructs.role import ServiceRole
from infra.grants import SAGEMAKER
from infra.workflow.job_role import JobRole


class JobRoles(Construct):
    """`arns` has each role's, `names` those of the roles that a run tags, by the names that the definition says for
    them; `of_a_run` the ARNs of the tagged ones."""

    def __init__(self, scope: Construct, id_: str, roles: Sequence[JobRole]) -> None:
        super().__init__(scope, id_)
        made = [
            (role, ServiceRole(self, role.name, service=SAGEMAKER, purpose=role.purpose, grants=role.grants).role)
            for role in roles
        ]
        self.arns = {role.arn_name: found.role_arn for role, found in made}
        self.names = {role.own_name: found.role_name for role, found in made if role.of_a_run}
        self.of_a_run = [found.role_arn for role, found in made if role.of_a_run]
