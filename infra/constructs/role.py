"""A role with one trusted service and the grants that it needs, as a single resource."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.findings import acknowledge_wildcards
from infra.grants import Grant


class ServiceRole(Construct):
    """A role for one service and one purpose. Its policy is inline: it lives, dies and is read with the role.

    The trust asks for the account, too: the service assumes the role for nobody else's resources ("The confused deputy
    problem", IAM User Guide). Lambda, Step Functions, SageMaker AI and CodeBuild say for whom, by their guides.
    """

    def __init__(self, scope: Construct, id_: str, *, service: str, purpose: str, grants: Sequence[Grant]) -> None:
        super().__init__(scope, id_)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                service, conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}}
            ),
            description=purpose,
            inline_policies={"Grants": iam.PolicyDocument(statements=[_statement(grant) for grant in grants])},
        )
        self.arn = self.role.role_arn
        acknowledge_wildcards(self.role, grants)

    def grant_later(self, id_: str, grants: Sequence[Grant]) -> None:
        """Grants about something that itself depends on the role's bearer: a policy of its own, made after both."""
        policy = iam.Policy(self, id_, roles=[self.role], statements=[_statement(grant) for grant in grants])
        acknowledge_wildcards(policy, grants)


def _statement(grant: Grant) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        actions=list(grant.actions), resources=list(grant.resources), conditions=dict(grant.conditions)
    )
