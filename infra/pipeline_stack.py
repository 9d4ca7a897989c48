"""One model's pipeline: who its jobs are, what decides, the state machine, and what sets it in motion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_cdk import Annotations, CfnOutput, Stack
from constructs import Construct

from contract import label_audits
from contract.approvals import MANUAL, OUTPUT
from contract.views import ROLE_OUTPUT
from infra import framework_support, own_images
from infra.compiling_images import check_compiling
from infra.constructs.account import account_of
from infra.constructs.function import Function, Functions, functions_of
from infra.constructs.image_build import ImageBuild
from infra.constructs.job_roles import JobRoles
from infra.constructs.launcher import launcher
from infra.constructs.lifecycle import Lifecycle
from infra.constructs.run_functions import RunFunctions
from infra.constructs.source import Source
from infra.constructs.state_machine import StateMachine
from infra.constructs.topic_alarms import PipelineAlarms
from infra.constructs.triggers import TriggerQueue, Triggers
from infra.grants import SAGEMAKER, call_functions, pass_roles
from infra.images import chain_images, images, repository_arn, rules_image
from infra.over_http import judging_image
from infra.shared_stack import imported
from infra.workflow.auditing import auditing
from infra.workflow.folder import write_tags
from infra.workflow.machine import run_machine
from infra.workflow.surroundings import Image, Surroundings, values
from infra.workflow.viewing import viewing
from ratchet.spec import PipelineSpec
from ratchet.spec.docker_context import docker_context
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
        for number, warning in enumerate(framework_support.warnings(spec, datetime.now(UTC).date())):
            Annotations.of(self).add_warning_v2(f"ratchet:end-of-patch-{number}", warning)
        for number, warning in enumerate(own_images.warnings(spec)):
            Annotations.of(self).add_warning_v2(f"ratchet:own-image-{number}", warning)
        functions = functions_of(self, log_retention_days=environment.log_retention_days)
        build = _image_build(self, environment, spec, functions)
        # The machine's runs wait by messages through the queue, which comes before it.
        queue = TriggerQueue(self, "Waiting")
        at = _surroundings(self, environment, spec, package.code_hash, build, queue=queue)
        source = Source(self, "Source", at=at, package=package, functions=functions)
        machine = _state_machine(self, at, functions)
        machine.resource.node.add_dependency(source.copied)
        starts = _launcher(self, at, functions, queue, machine)
        lifecycle = Lifecycle(
            self,
            "Lifecycle",
            at=at,
            environment=environment,
            functions=functions,
            queue=queue.queue,
            machine=machine,
        )
        Triggers(self, "Triggers", at=at, queue=queue.queue, function=starts, machine=machine, last=lifecycle.resource)
        _viewing(self, at)
        _auditing(self, at)
        PipelineAlarms(self, "Alarms", at=at, machine=machine, dead_letters=queue.dead_letters)
        _outputs(self, at, machine, starts)


def _image_build(stack: Stack, environment: Environment, spec: PipelineSpec, functions: Functions) -> ImageBuild | None:
    built = spec.dockerfile_read
    if spec.dockerfile is None or built is None:
        return None
    return ImageBuild(
        stack,
        "Image",
        context=docker_context(spec.folder, spec.dockerfile),
        dockerfile=spec.dockerfile,
        bases=built.images,
        environment=environment,
        account=account_of(stack),
        key_arn=imported(environment, account_of(stack)).key_arn,
        functions=functions,
    )


def _surroundings(
    stack: Stack,
    environment: Environment,
    spec: PipelineSpec,
    code_hash: str,
    build: ImageBuild | None,
    *,
    queue: TriggerQueue,
) -> Surroundings:
    """The values that the machine, its functions and its roles are made from."""
    account = account_of(stack)

    def image(uri: str) -> Image:
        return Image(uri, repository_arn(uri, account.partition))

    if build:
        training = hosting = Image(build.image_uri, build.repository_arn)
        evaluating = None
    else:
        found = images(spec, environment.region)
        training, hosting = image(found.training), image(found.hosting)
        evaluating = image(found.evaluating) if found.evaluating else None
        check_compiling(spec, (evaluating or training).uri, hosting.uri)
    rules, judging = rules_image(spec, environment.region), judging_image(spec, environment.region)
    return Surroundings(
        spec=spec,
        environment=environment.name,
        account=account,
        shared=imported(environment, account),
        code_hash=code_hash,
        image=training,
        hosting_image=hosting,
        evaluating_image=evaluating,
        rules_image=image(rules) if rules else None,
        judging_image=image(judging) if judging else None,
        chain_images=tuple(image(own) if own else None for own in chain_images(spec, environment.region)),
        vpc=environment.vpc,
        queue_url=queue.queue.queue_url,
        queue_arn=queue.queue.queue_arn,
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
        values={**values(at), **called.arns, **roles.arns, **roles.names},
        grants=[
            call_functions(list(called.arns.values())),
            *run.grants,
            pass_roles(list(roles.arns.values()), SAGEMAKER),
            write_tags(roles.of_a_run),
        ],
        purpose=f"Runs of {at.pipeline}",
        log_retention_days=functions.log_retention_days,
    )
    called.grant_executions(at.executions(machine.name))
    return machine


def _viewing(stack: Stack, at: Surroundings) -> None:
    """Who draws views of finished trainings, where the pipeline has some. No run does, so the machine can't pass it."""
    if not at.spec.views:
        return
    role = viewing(at)
    arn = JobRoles(stack, "Views", [role]).arns[role.arn_name]
    CfnOutput(stack, ROLE_OUTPUT, value=arn, description="Of the jobs that draw views afterwards: ratchet view")


def _auditing(stack: Stack, at: Surroundings) -> None:
    """Who audits labels, where pipeline.yaml names channels for it. No run does, so the machine can't pass it."""
    if not at.spec.labels:
        return
    role = auditing(at)
    arn = JobRoles(stack, "Labels", [role]).arns[role.arn_name]
    CfnOutput(stack, label_audits.ROLE_OUTPUT, value=arn, description="Of the jobs that audit labels: ratchet labels")


def _launcher(
    stack: Stack, at: Surroundings, functions: Functions, queue: TriggerQueue, machine: StateMachine
) -> Function:
    return launcher(
        stack,
        "Launcher",
        at=at,
        functions=functions,
        queue=queue.queue,
        dead_letters=queue.dead_letters,
        machine=machine,
    )


def _outputs(stack: Stack, at: Surroundings, machine: StateMachine, starts: Function) -> None:
    CfnOutput(stack, "StateMachineArn", value=machine.arn, description="One execution is one run")
    CfnOutput(stack, "LauncherFunctionName", value=starts.name, description="Starts a run by hand")
    # Without the bucket: it is another stack's output, which mustn't be this one's, too.
    data = ", ".join(f"{name}: {prefix}" for name, prefix in at.spec.data.items())
    CfnOutput(
        stack, "Data", value=data, description="Where in the data bucket data go; a run waits until each has some"
    )
    if at.spec.approval.manual:
        CfnOutput(stack, OUTPUT, value=MANUAL, description="A person approves each model: ratchet approve, or reject")
    CfnOutput(stack, "EndpointName", value=at.endpoint, description="Answers once there is a champion")
    if not at.has_endpoint:
        rows = "Where in the data bucket the rows lie that each run's champion answers; there is no endpoint"
        CfnOutput(stack, "BatchInput", value=at.spec.deploy.input or "", description=rows)
    if at.spec.deploy.queue:
        requests = "Where in the data bucket requests lie that the endpoint may be asked with InvokeEndpointAsync"
        CfnOutput(stack, "QueueInput", value=at.spec.deploy.queue.input, description=requests)
    CfnOutput(stack, "ModelPackageGroupName", value=at.model_package_group, description="Every model that was judged")
