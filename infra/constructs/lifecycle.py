"""Around a pipeline's deployment: its model package group is there, new code starts a run, and before the pipeline
goes, what its runs have made is taken down.

The group isn't CloudFormation's: where it is retained, a pipeline that is deployed anew would fail on the name that is
taken, and it can't be imported by the deployment (`--import-existing-resources` needs a primary identifier that the
template can say; this one's is its ARN).
"""

from __future__ import annotations

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from contract.scaling import resource
from infra.constructs.function import Function, Functions
from infra.constructs.state_machine import StateMachine
from infra.declared_function import DeclaredFunction
from infra.grants import NO_RESOURCE, Grant, use_items, use_key
from infra.workflow.endpoint import VARIANT
from infra.workflow.guardrails import clear_alarms_away, own_alarms
from infra.workflow.run_grants import RUNS_ARE_NAMED_LATER, clear_away
from infra.workflow.scaling import look_for_target, stop
from infra.workflow.surroundings import Surroundings
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
        functions: Functions,
        queue: sqs.Queue,
        machine: StateMachine,
    ) -> None:
        super().__init__(scope, id_)
        declared = DeclaredFunction(
            folder="lifecycle",
            purpose=f"Starts a run of {at.pipeline} on new code; takes down what runs have made when the stack goes",
            seconds=SECONDS,
            grants=_grants(at, queue.queue_arn, machine),
        )
        self.resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::Pipeline",
            service_token=Function(self, "Handler", declared, functions).arn,
            service_timeout=Duration.seconds(SECONDS),
            properties=_properties(at, environment, queue.queue_url, machine.arn),
        )


def _properties(at: Surroundings, environment: Environment, queue_url: str, machine_arn: str) -> dict[str, str]:
    """The event of lambdas/lifecycle; a change of a property is an update."""
    return {
        "Environment": at.environment,
        "Pipeline": at.pipeline,
        "CodeHash": at.code_hash,
        "StartsRuns": "yes" if at.spec.triggers.code else "no",
        "QueueUrl": queue_url,
        "StateMachineArn": machine_arn,
        "RunTable": at.shared.run_table,
        "Endpoint": at.endpoint,
        "ContentPrefix": at.content_prefix,
        "ModelPackageGroup": at.model_package_group,
        "ModelPackages": environment.removal,
        **({"Alarms": "yes"} if own_alarms(at) else {}),
        # What it was stays in the old properties of an update: an endpoint that is scaled no more is told so.
        **({"Scaled": resource(at.endpoint, VARIANT)} if at.spec.deploy.autoscale else {}),
    }


def _grants(at: Surroundings, queue_arn: str, machine: StateMachine) -> list[Grant]:
    return [
        Grant(actions=["sqs:SendMessage"], resources=[queue_arn]),
        Grant(actions=["states:ListExecutions"], resources=[machine.arn]),
        Grant(actions=["states:StopExecution"], resources=[at.executions(machine.name)], because=RUNS_ARE_NAMED_LATER),
        *clear_away(at),
        *clear_alarms_away(at),
        # Of a pipeline for batches too, whose endpoint was scaled before.
        look_for_target(),
        *stop(at),
        Grant(
            actions=[
                "sagemaker:DescribeModelPackageGroup",
                "sagemaker:CreateModelPackageGroup",
                "sagemaker:AddTags",
                "sagemaker:DeleteModelPackageGroup",
            ],
            resources=[at.sagemaker("model-package-group", at.model_package_group)],
        ),
        Grant(actions=["sagemaker:ListModelPackages"], resources=["*"], because=NO_RESOURCE),
        Grant(
            actions=["sagemaker:DeleteModelPackage"],
            resources=[at.model_package_arns],
            because="Every version in the group goes with the group, where the environment says destroy.",
        ),
        use_items(at.shared.run_table_arn, at.pipeline, "GetItem", "DeleteItem"),
        use_key(at.account, at.shared.key_arn, "dynamodb"),
    ]
