"""The stacks of an environment: the shared one, and one for every pipeline folder."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import App, PermissionsBoundary, Tags
from aws_cdk import Environment as Target

from contract import names
from infra.images import chain_images, images
from infra.own_images import check_own_image
from infra.pipeline_stack import PipelineStack
from infra.serverless import check_serverless
from infra.shared_stack import SharedStack
from ratchet.spec import PipelineSpec
from ratchet.spec.environments import Environment
from ratchet.spec.loading import check_context
from ratchet.spec.source_package import SourcePackage, package_of


def add_stacks(app: App, environment: Environment, pipelines: list[PipelineSpec], toolkit: Path) -> None:
    """Adds the environment's stacks to the app.

    Raises:
        SpecError, ConfigurationError: a pipeline can't be deployed there as it is.
    """
    pipelines = [_in(environment, spec) for spec in pipelines]
    packages = {spec.name: _package(spec, environment, toolkit) for spec in pipelines}
    # Stacks that must outlive a slip of the hand refuse to be deleted until someone turns that off.
    settings = {
        "env": Target(account=environment.account, region=environment.region),
        "termination_protection": environment.removal == "retain",
        "permissions_boundary": _boundary(environment),
    }
    shared = SharedStack(app, names.stack(environment.name, names.SHARED), environment=environment, **settings)
    for spec in pipelines:
        stack = PipelineStack(
            app,
            names.stack(environment.name, spec.name),
            environment=environment,
            spec=spec,
            package=packages[spec.name],
            **settings,
        )
        stack.add_stack_dependency(shared)
    Tags.of(app).add(names.ENVIRONMENT_TAG, environment.name)


def _in(environment: Environment, spec: PipelineSpec) -> PipelineSpec:
    """The spec with what the environment says instead."""
    return spec.model_copy(update={"triggers": spec.triggers.with_quiet_at_most(environment.quiet_at_most)})


def _package(spec: PipelineSpec, environment: Environment, toolkit: Path) -> SourcePackage:
    """Everything that can be refused about a pipeline is refused here, before the first stack is made."""
    chain_images(spec, environment.region)
    if spec.dockerfile is None:
        images(spec, environment.region)
    elif environment.image_builds == "none":
        message = f"the environment {environment.name} builds no images (image_builds in cdk.json); name a framework"
        raise spec.error("dockerfile", f"{message}, or deploy to an environment that builds them")
    check_own_image(spec, environment.region)
    check_context(spec)
    check_serverless(spec, environment)
    return package_of(spec, toolkit)


def _boundary(environment: Environment) -> PermissionsBoundary | None:
    if environment.permissions_boundary is None:
        return None
    return PermissionsBoundary.from_name(environment.permissions_boundary)
