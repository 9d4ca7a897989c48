"""One model's pipeline: who its jobs are, what decides, the state machine, and what sets it in motion."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from contract import files
from infra.constructs.account import account_of
from infra.constructs.function import Function, Functions, functions_of
from infra.constructs.image_build import ImageBuild
from infra.constructs.job_roles import JobRoles
from infra.constructs.launcher import launcher
from infra.constructs.lifecycle import Lifecycle
from infra.constructs.removal import removal_policy
from infra.constructs.run_functions import RunFunctions
from infra.constructs.state_machine import StateMachine
from infra.constructs.topic_alarms import PipelineAlarms
from infra.constructs.triggers import TriggerQueue, Triggers
from infra.grants import SAGEMAKER, call_functions, pass_roles
from infra.images import images, repository_arn, rules_image
from infra.shared_stack import imported
from infra.workflow.machine import run_machine
from infra.workflow.surroundings import Code, Image, Surroundings, values
from ratchet.spec import PipelineSpec
from ratchet.spec.environments import Environment
from ratchet.spec.source_package import SourcePackage


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
        functions = functions_of(self, log_retention_days=environment.log_retention_days)
        source = _source(self, package)
        build = _image_build(self, environment, spec, functions)
        at = _surroundings(self, environment, spec, source, build)
        machine = _state_machine(self, at, functions)
        queue = TriggerQueue(self, "Waiting")
        starts = launcher(self, "Launcher", at=at, functions=functions, queue=queue.queue, machine=machine)
        lifecycle = Lifecycle(
            self,
            "Lifecycle",
            at=at,
            environment=environment,
            functions=functions,
            queue=queue.queue,
            machine=machine,
        )
        lifecycle.resource.node.add_dependency(_model_package_group(self, at, environment))
        if build:
            lifecycle.resource.node.add_dependency(build.built)
        Triggers(self, "Triggers", at=at, queue=queue.queue, function=starts, machine=machine, last=lifecycle.resource)
        PipelineAlarms(self, "Alarms", at=at, machine=machine, dead_letters=queue.dead_letters)
        _outputs(self, at, machine, starts)


def _source(stack: Stack, package: SourcePackage) -> Code:
    """sourcedir.tar.gz as an asset, named by its content's hash (gzip's bytes may differ between machines)."""
    with TemporaryDirectory() as folder:
        archive = Path(folder) / files.SOURCE_ARCHIVE
        archive.write_bytes(package.archive())
        asset = assets.Asset(stack, "Source", path=str(archive), asset_hash=package.code_hash)
    return Code(bucket=asset.s3_bucket_name, key=asset.s3_object_key, uri=asset.s3_object_url, hash=package.code_hash)


def _image_build(stack: Stack, environment: Environment, spec: PipelineSpec, functions: Functions) -> ImageBuild | None:
    if spec.dockerfile is None:
        return None
    return ImageBuild(
        stack,
        "Image",
        folder=spec.folder,
        dockerfile=spec.dockerfile,
        environment=environment,
        account=account_of(stack),
        key_arn=imported(environment, account_of(stack)).key_arn,
        functions=functions,
    )


def _surroundings(
    stack: Stack, environment: Environment, spec: PipelineSpec, source: Code, build: ImageBuild | None
) -> Surroundings:
    """The values that the machine, its functions and its roles are made from."""
    account = account_of(stack)

    def image(uri: str) -> Image:
        return Image(uri, repository_arn(uri, account.partition))

    if build:
        training = hosting = Image(build.image_uri, build.repository_arn)
    else:
        found = images(spec, environment.region)
        training, hosting = image(found.training), image(found.hosting)
    rules = rules_image(spec, environment.region)
    return Surroundings(
        spec=spec,
        environment=environment.name,
        account=account,
        shared=imported(environment, account),
        code=source,
        image=training,
        hosting_image=hosting,
        rules_image=image(rules) if rules else None,
        vpc=environment.vpc,
    )


def _state_machine(stack: Stack, at: Surroundings, functions: Functions) -> StateMachine:
    """The machine of a run, with the functions and the roles that its steps declare."""
    run = run_machine(at)
    roles = JobRoles(stack, "Jobs", run.roles)
    called = RunFunctions(stack, "Run", run.functions, functions)
    machine = StateMachine(
        stack,
        "Workflow",
        definition=run.definition,
        values={**values(at), **called.arns, **roles.arns},
        grants=[
            call_functions(list(called.arns.values())),
            *run.grants,
            pass_roles(list(roles.arns.values()), SAGEMAKER),
        ],
        purpose=f"Runs of {at.pipeline}",
        log_retention_days=functions.log_retention_days,
    )
    called.grant_executions(at.executions(machine.name))
    return machine


def _model_package_group(stack: Stack, at: Surroundings, environment: Environment) -> sagemaker.CfnModelPackageGroup:
    group = sagemaker.CfnModelPackageGroup(
        stack,
        "Models",
        model_package_group_name=at.model_package_group,
        model_package_group_description=f"What runs of {at.pipeline} have trained and judged",
    )
    group.apply_removal_policy(removal_policy(environment))
    return group


def _outputs(stack: Stack, at: Surroundings, machine: StateMachine, starts: Function) -> None:
    CfnOutput(stack, "StateMachineArn", value=machine.arn, description="One execution is one run")
    CfnOutput(stack, "LauncherFunctionName", value=starts.name, description="Starts a run by hand")
    # Without the bucket: it is another stack's output, which mustn't be this one's, too.
    data = ", ".join(f"{name}: {prefix}" for name, prefix in at.spec.data.items())
    CfnOutput(
        stack, "Data", value=data, description="Where in the data bucket data go; a run waits until each has some"
    )
    CfnOutput(stack, "EndpointName", value=at.endpoint, description="Answers once there is a champion")
    CfnOutput(stack, "ModelPackageGroupName", value=at.model_package_group, description="Every model that was judged")
