"""One model's pipeline: who its jobs are, what decides, the state machine, and what sets it in motion."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from infra import permissions
from infra.constructs.alarms import Alarms
from infra.constructs.function import Function, functions_code
from infra.constructs.image_build import ImageBuild
from infra.constructs.job_roles import JobRoles
from infra.constructs.lifecycle import Lifecycle
from infra.constructs.removal import removal_policy
from infra.constructs.run_functions import RunFunctions
from infra.constructs.state_machine import StateMachine
from infra.constructs.triggers import TriggerQueue, Triggers
from infra.grants import Account
from infra.images import images, repository_arn, rules_image
from infra.permissions import Surroundings
from infra.shared_stack import imported
from infra.source_package import SourcePackage
from infra.workflow.machine import run_machine
from infra.workflow.names import Names, endpoint_name, model_package_group_name
from ratchet.spec import PipelineSpec
from ratchet.spec.environments import Environment

LAUNCHER_SECONDS = 60


@dataclass(frozen=True)
class _Image:
    """What containers run: the image, and the ECR repository that it is pulled from (None: another registry)."""

    uri: str
    repository_arn: str | None


class PipelineStack(Stack):
    """Everything that belongs to one pipeline. What outlives it (data, artifacts, records) is the shared stack's."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        environment: Environment,
        spec: PipelineSpec,
        package: SourcePackage,
        **stack: Any,
    ) -> None:
        super().__init__(scope, id_, description=f"Ratchet {environment.name}: {spec.name}", **stack)
        self._environment, self._spec, self._package = environment, spec, package
        self._account = Account(
            partition=self.partition, region=self.region, account=self.account, url_suffix=self.url_suffix
        )
        self._shared = imported(environment, self._account)
        self._functions_code = functions_code(self)
        self._source = _source(self, package)
        self._at = self._surroundings()
        self._build = self._image_build()
        machine = self._state_machine(*self._images())
        self._set_in_motion(machine)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            account=self._account,
            shared=self._shared,
            spec=self._spec,
            environment=self._environment.name,
            vpc=self._environment.vpc,
            code_bucket=self._source.s3_bucket_name,
            code_key=self._source.s3_object_key,
        )

    def _image_build(self) -> ImageBuild | None:
        if self._spec.dockerfile is None:
            return None
        return ImageBuild(
            self,
            "Image",
            folder=self._spec.folder,
            dockerfile=self._spec.dockerfile,
            environment=self._environment,
            account=self._account,
            key_arn=self._shared.key_arn,
            code=self._functions_code,
        )

    def _images(self) -> tuple[_Image, _Image]:
        """What trains and evaluates, and what serves."""
        if self._build:
            built = _Image(self._build.image_uri, self._build.repository_arn)
            return built, built
        found = images(self._spec, self._environment.region)
        return self._image(found.training), self._image(found.hosting)

    def _image(self, uri: str) -> _Image:
        return _Image(uri, repository_arn(uri, self.partition))

    def _state_machine(self, training: _Image, hosting: _Image) -> StateMachine:
        roles = JobRoles(
            self,
            "Jobs",
            at=self._at,
            training_repository=training.repository_arn,
            rules_repository=repository_arn(rules_image(self._spec, self._environment.region), self.partition),
            hosting_repository=hosting.repository_arn,
        )
        functions = RunFunctions(
            self,
            "Run",
            at=self._at,
            code=self._functions_code,
            log_retention_days=self._environment.log_retention_days,
        )
        called = (functions.planner, functions.gate, functions.verifier, functions.recorder)
        passed = (roles.training, roles.processing, roles.hosting)
        values = self._values(training, hosting, roles, functions)
        machine = StateMachine(
            self,
            "Workflow",
            definition=run_machine(self._spec, self._names()),
            values=values,
            grants=permissions.state_machine(
                self._at, [function.arn for function in called], [role.arn for role in passed]
            ),
            purpose=f"Runs of {self._spec.name}",
            log_retention_days=self._environment.log_retention_days,
        )
        functions.recorder.role.grant_later("History", permissions.execution_history(self._executions(machine)))
        return machine

    def _names(self) -> Names:
        """The definition says `${field}` for what is known when it is deployed."""
        vpc = self._environment.vpc
        known: dict[str, Any] = {
            "environment": self._environment.name,
            "pipeline": self._spec.name,
            "code_hash": self._package.code_hash,
            "rules_image_uri": rules_image(self._spec, self._environment.region),
            "subnet_ids": vpc.subnets if vpc else (),
            "security_group_ids": vpc.security_groups if vpc else (),
        }
        later: dict[str, Any] = {field.name: f"${{{field.name}}}" for field in fields(Names) if field.name not in known}
        return Names(**known, **later)

    def _values(self, training: _Image, hosting: _Image, roles: JobRoles, functions: RunFunctions) -> dict[str, str]:
        """What stands for each `${field}`."""
        return {
            "artifact_bucket": self._shared.artifact_bucket,
            "run_table": self._shared.run_table,
            "key_arn": self._shared.key_arn,
            "image_uri": training.uri,
            "hosting_image_uri": hosting.uri,
            "code_s3_uri": self._source.s3_object_url,
            "planner_arn": functions.planner.arn,
            "gate_arn": functions.gate.arn,
            "verifier_arn": functions.verifier.arn,
            "recorder_arn": functions.recorder.arn,
            "training_role_arn": roles.training.arn,
            "processing_role_arn": roles.processing.arn,
            "hosting_role_arn": roles.hosting.arn,
        }

    def _set_in_motion(self, machine: StateMachine) -> None:
        queue = TriggerQueue(self, "Waiting", launcher_timeout_seconds=LAUNCHER_SECONDS)
        launcher = self._launcher(queue, machine)
        lifecycle = Lifecycle(
            self,
            "Lifecycle",
            at=self._at,
            environment=self._environment,
            code=self._functions_code,
            code_hash=self._package.code_hash,
            queue_url=queue.queue.queue_url,
            queue_arn=queue.queue.queue_arn,
            state_machine_arn=machine.arn,
            execution_arns=self._executions(machine),
        )
        lifecycle.resource.node.add_dependency(self._model_package_group())
        if self._build:
            lifecycle.resource.node.add_dependency(self._build.built)
        Triggers(
            self,
            "Triggers",
            queue=queue.queue,
            launcher=launcher.name,
            data_bucket=self._shared.data_bucket,
            data_prefixes=list(self._spec.data.values()) if self._spec.triggers.data else [],
            schedule=self._spec.triggers.schedule,
            state_machine_arn=machine.arn,
            last=lifecycle.resource,
        )
        Alarms(
            self,
            "Alarms",
            topic_arn=self._shared.topic_arn,
            state_machine_arn=machine.arn,
            dead_letter_queue=queue.dead_letters.queue_name,
            pipeline=self._spec.name,
        )
        _outputs(self, machine, launcher, self._environment.name, self._spec.name)

    def _launcher(self, queue: TriggerQueue, machine: StateMachine) -> Function:
        return Function(
            self,
            "Launcher",
            folder="launcher",
            code=self._functions_code,
            purpose="Turns triggers into runs: one at a time, none lost",
            timeout_seconds=LAUNCHER_SECONDS,
            environment={
                "PIPELINE": self._spec.name,
                "RUN_TABLE": self._shared.run_table,
                "STATE_MACHINE_ARN": machine.arn,
                "CHANNEL_PREFIXES": json.dumps(list(self._spec.data.values())),
            },
            grants=permissions.launcher(self._at, machine.arn, self._executions(machine), queue.queue.queue_arn),
            log_retention_days=self._environment.log_retention_days,
        )

    def _executions(self, machine: StateMachine) -> str:
        return self._account.arn("states", f"execution:{machine.name}:*")

    def _model_package_group(self) -> sagemaker.CfnModelPackageGroup:
        group = sagemaker.CfnModelPackageGroup(
            self,
            "Models",
            model_package_group_name=model_package_group_name(self._environment.name, self._spec.name),
            model_package_group_description=f"What runs of {self._spec.name} have trained and judged",
        )
        group.apply_removal_policy(removal_policy(self._environment))
        return group


def _source(stack: Stack, package: SourcePackage) -> assets.Asset:
    """sourcedir.tar.gz as an asset, named by its content's hash (gzip's bytes may differ between machines)."""
    with TemporaryDirectory() as folder:
        archive = Path(folder) / "sourcedir.tar.gz"
        archive.write_bytes(package.archive())
        return assets.Asset(stack, "Source", path=str(archive), asset_hash=package.code_hash)


def _outputs(stack: Stack, machine: StateMachine, launcher: Function, environment: str, pipeline: str) -> None:
    endpoint, group = endpoint_name(environment, pipeline), model_package_group_name(environment, pipeline)
    CfnOutput(stack, "StateMachineArn", value=machine.arn, description="One execution is one run")
    CfnOutput(stack, "LauncherFunctionName", value=launcher.name, description="Starts a run by hand")
    CfnOutput(stack, "EndpointName", value=endpoint, description="Answers once there is a champion")
    CfnOutput(stack, "ModelPackageGroupName", value=group, description="Every model that was judged")
