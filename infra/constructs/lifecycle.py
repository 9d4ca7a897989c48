"""Around a pipeline's deployment: new code starts a run, and before it goes, what its runs have made is taken down."""

from __future__ import annotations

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra import permissions
from infra.constructs.function import Function
from infra.permissions import Surroundings
from infra.workflow.names import CONTENT_HASH_LENGTH, content_prefix, endpoint_name, model_package_group_name
from ratchet.spec.environments import Environment

SECONDS = 900


class Lifecycle(Construct):
    """A custom resource that is updated when the code's hash changes, and deleted before the rest of the pipeline.

    Runs make endpoints, models and model packages that no template knows. Everything that starts runs must depend on
    `resource`, so that it is gone when those are taken down.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        at: Surroundings,
        environment: Environment,
        code: assets.Asset,
        code_hash: str,
        queue_url: str,
        queue_arn: str,
        state_machine_arn: str,
        execution_arns: str,
    ) -> None:
        super().__init__(scope, id_)
        function = Function(
            self,
            "Handler",
            folder="lifecycle",
            code=code,
            purpose=f"Starts a run of {at.spec.name} on new code; takes down what runs have made when the stack goes",
            timeout_seconds=SECONDS,
            environment={},
            grants=permissions.lifecycle(at, queue_arn, state_machine_arn, execution_arns),
            log_retention_days=environment.log_retention_days,
        )
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::Pipeline",
            service_token=function.arn,
            service_timeout=Duration.seconds(SECONDS),
            properties={
                "Pipeline": at.spec.name,
                "CodeHash": code_hash,
                "StartsRuns": "yes" if at.spec.triggers.code else "no",
                "QueueUrl": queue_url,
                "StateMachineArn": state_machine_arn,
                "RunTable": at.shared.run_table,
                "Endpoint": endpoint_name(environment.name, at.spec.name),
                "ContentPrefix": content_prefix(environment.name, at.spec.name),
                "ContentHashLength": str(CONTENT_HASH_LENGTH),
                "ModelPackageGroup": model_package_group_name(environment.name, at.spec.name),
                "ModelPackages": environment.removal,
            },
        )
