"""A pipeline's own image: its dockerfile built by CodeBuild into ECR whenever what it is built from has changed.

The deployment starts the build through a custom resource and waits; the build itself answers CloudFormation when it has
pushed the image or failed, so nothing polls and a build may take as long as CloudFormation waits, an hour. One that
ends before it can answer is answered for, when CodeBuild's event tells of it. What the build does is `image_build.sh`,
how it answers `image_answer.sh`. Jobs and models name the image by its digest.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from aws_cdk import CustomResource, Duration, RemovalPolicy
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.constructs.findings import acknowledge
from infra.constructs.function import Function, Functions, write_log
from infra.constructs.removal import removal_policy
from infra.constructs.role import ServiceRole
from infra.declared_function import DeclaredFunction
from infra.grants import NO_RESOURCE, Account, Grant, use_key
from infra.images import repository_arn
from ratchet.spec.docker_context import DockerContext
from ratchet.spec.environments import Environment, Findings
from ratchet.spec.image import ECR

BUILD_MINUTES = 55
ANSWER_SECONDS = 3600
PUBLIC_REGISTRY = "public.ecr.aws"


class ImageBuild(Construct):
    """`image_uri` is the built image's, by its digest, so that what names it waits for the build."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        context: DockerContext,
        dockerfile: str,
        bases: Sequence[str],
        environment: Environment,
        account: Account,
        key_arn: str,
        functions: Functions,
    ) -> None:
        """bases: the images that the dockerfile is built from."""
        super().__init__(scope, id_)
        source = _asset(self, context)
        repository = _repository(self, environment, key_arn)
        log = logs.CfnLogGroup(self, "Log", retention_in_days=environment.log_retention_days)
        log.apply_removal_policy(RemovalPolicy.DESTROY)
        grants = [
            *_read_source(account, source),
            write_log(log.attr_arn),
            *_push(repository.repository_arn),
            *_pull(bases, account.partition),
            use_key(account, key_arn, "ecr"),
        ]
        project = _project(
            self,
            purpose=f"Builds {dockerfile} into ECR",
            source=source,
            machine=_machine(_variables(repository, dockerfile, bases, environment)),
            role_arn=_role(self, grants).arn,
            key_arn=key_arn,
            log_group=log.ref,
        )
        builder = _builder(self, project, source, account, functions)
        built = _built(self, source, project, repository, builder)
        self.repository_arn = repository.repository_arn
        self.image_uri = f"{repository.repository_uri}@{built.get_att_string('Digest')}"


def _asset(scope: Construct, context: DockerContext) -> assets.Asset:
    """The context's files and no others, named by what is in them."""
    with TemporaryDirectory() as folder:
        for name in context.names:
            target = Path(folder) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(context.folder / name, target)
        return assets.Asset(scope, "Context", path=folder, asset_hash=context.content_hash)


def _role(scope: Construct, grants: Sequence[Grant]) -> ServiceRole:
    purpose = "Builds the pipeline's image"
    return ServiceRole(scope, "Build", service="codebuild.amazonaws.com", purpose=purpose, grants=grants)


def _repository(scope: Construct, environment: Environment, key_arn: str) -> ecr.Repository:
    return ecr.Repository(
        scope,
        "Images",
        image_tag_mutability=ecr.TagMutability.IMMUTABLE,
        image_scan_on_push=True,
        encryption=ecr.RepositoryEncryption.KMS,
        encryption_key=kms.Key.from_key_arn(scope, "Key", key_arn),
        removal_policy=removal_policy(environment),
        empty_on_delete=environment.removal == "destroy",
    )


def _project(
    scope: Construct,
    *,
    purpose: str,
    source: assets.Asset,
    machine: codebuild.CfnProject.EnvironmentProperty,
    role_arn: str,
    key_arn: str,
    log_group: str,
) -> codebuild.CfnProject:
    project = codebuild.CfnProject(
        scope,
        "Project",
        description=purpose,
        service_role=role_arn,
        encryption_key=key_arn,
        timeout_in_minutes=BUILD_MINUTES,
        artifacts=codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS"),
        source=codebuild.CfnProject.SourceProperty(
            type="S3", location=_location(source), build_spec=json.dumps(build_spec())
        ),
        environment=machine,
        logs_config=codebuild.CfnProject.LogsConfigProperty(
            cloud_watch_logs=codebuild.CfnProject.CloudWatchLogsConfigProperty(status="ENABLED", group_name=log_group)
        ),
    )
    acknowledge(
        project, "CB3", "Building a Docker image needs the Docker daemon, which CodeBuild runs only privileged."
    )
    return project


def _variables(
    repository: ecr.Repository, dockerfile: str, bases: Sequence[str], environment: Environment
) -> dict[str, str]:
    """The project's own, for `image_build.sh`."""
    return {
        "REPOSITORY": repository.repository_name,
        "URI": repository.repository_uri,
        "DOCKERFILE": dockerfile,
        "REGISTRIES": " ".join([repository.registry_uri, *_registries(bases)]),
        "FAILING": _failing(environment),
    }


def _machine(variables: Mapping[str, str]) -> codebuild.CfnProject.EnvironmentProperty:
    """The build's machine, and its environment variables."""
    return codebuild.CfnProject.EnvironmentProperty(
        type="LINUX_CONTAINER",
        compute_type="BUILD_GENERAL1_MEDIUM",
        image="aws/codebuild/standard:7.0",
        privileged_mode=True,
        environment_variables=[
            codebuild.CfnProject.EnvironmentVariableProperty(name=name, value=value)
            for name, value in variables.items()
        ],
    )


def _location(source: assets.Asset) -> str:
    return f"{source.s3_bucket_name}/{source.s3_object_key}"


def _failing(environment: Environment) -> str:
    """The severities of findings that fail a build, as ECR calls them; `none` where no finding does."""
    none, *severities = get_args(Findings)
    if environment.image_findings == none:
        return str(none)
    return " ".join(name.upper() for name in severities[: severities.index(environment.image_findings) + 1])


def _builder(
    scope: Construct, project: codebuild.CfnProject, source: assets.Asset, account: Account, functions: Functions
) -> Function:
    """The function that starts builds, and answers for those that can't by themselves."""
    declared = DeclaredFunction(
        folder="lifecycle",
        purpose="Starts the build of the pipeline's image during a deployment",
        seconds=60,
        grants=[
            Grant(actions=["codebuild:BatchGetBuilds", "codebuild:StartBuild"], resources=[project.attr_arn]),
            Grant(actions=["s3:GetObject"], resources=[_source_arn(account, source)]),
        ],
    )
    return Function(scope, "Builder", declared, functions)


def _built(
    scope: Construct, source: assets.Asset, project: codebuild.CfnProject, repository: ecr.Repository, builder: Function
) -> CustomResource:
    """The build as a part of the deployment, made anew when the image's context has changed, or its place."""
    built = CustomResource(
        scope,
        "Built",
        resource_type="Custom::BuiltImage",
        service_token=builder.arn,
        service_timeout=Duration.seconds(ANSWER_SECONDS),
        properties={
            "Project": project.ref,
            "Tag": source.asset_hash,
            "Bucket": source.s3_bucket_name,
            "Key": source.s3_object_key,
            # What CloudFormation replaces (for another key) is empty.
            "Repository": repository.repository_name,
        },
    )
    # A build may have failed before it is heard of, which nobody would answer for.
    built.node.add_dependency(_hear(scope, project, builder))
    return built


def _hear(scope: Construct, project: codebuild.CfnProject, builder: Function) -> lambda_.CfnPermission:
    """Builds that fail are told to the function, which answers for those that couldn't; the last part of that.

    Source: "Build notifications input format reference" (CodeBuild User Guide).
    """
    rule = events.CfnRule(
        scope,
        "Failed",
        description="An image build has ended, and there is no image",
        event_pattern={
            "source": ["aws.codebuild"],
            "detail-type": ["CodeBuild Build State Change"],
            "detail": {"project-name": [project.ref], "build-status": ["FAILED", "FAULT", "STOPPED", "TIMED_OUT"]},
        },
        targets=[events.CfnRule.TargetProperty(id="Builder", arn=builder.arn)],
    )
    return lambda_.CfnPermission(
        scope,
        "Told",
        action="lambda:InvokeFunction",
        function_name=builder.name,
        principal="events.amazonaws.com",
        source_arn=rule.attr_arn,
    )


def build_spec() -> dict[str, object]:
    """Build and push; then, whatever happened, tell CloudFormation (post_build runs after a failed build too)."""
    build, answer = (_command(f"image_{name}.sh") for name in ("build", "answer"))
    return {"version": "0.2", "phases": {"build": {"commands": [build]}, "post_build": {"commands": [answer]}}}


def _command(name: str) -> str:
    """A script as one command, in a shell of its own: all commands of a build share one, which mustn't end.

    Without its comments: CodeBuild writes each command into the log before it runs it.
    """
    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return "\n".join(["(", *(line for line in lines if line.strip() and not line.lstrip().startswith("#")), ")"])


# -------------------------------------------------------------------------------------------------------------- grants


def _source_arn(account: Account, source: assets.Asset) -> str:
    return f"{account.bucket_arn(source.s3_bucket_name)}/{source.s3_object_key}"


def _read_source(account: Account, source: assets.Asset) -> list[Grant]:
    """Reading the source, in the version that the build names.

    Source: "Allow CodeBuild to interact with other AWS services" (CodeBuild User Guide), for an S3 source.
    """
    return [
        Grant(actions=["s3:GetObject", "s3:GetObjectVersion"], resources=[_source_arn(account, source)]),
        Grant(
            actions=["s3:GetBucketAcl", "s3:GetBucketLocation"], resources=[account.bucket_arn(source.s3_bucket_name)]
        ),
    ]


def _registries(bases: Sequence[str]) -> list[str]:
    """AWS's registries among those of the images, each once."""
    hosts = [base.partition("/")[0] for base in bases if ECR.match(base) or base.startswith(f"{PUBLIC_REGISTRY}/")]
    return list(dict.fromkeys(hosts))


def _pull(bases: Sequence[str], partition: str) -> list[Grant]:
    """Pulling the images of ECR, such as SageMaker's own, that the dockerfile is built from, and those of public ECR.

    Source: "Docker basics for Amazon ECR public", and the actions of `aws ecr-public get-login-password`.
    """
    arns = [arn for base in bases if (arn := repository_arn(base, partition))]
    verbs = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
    private = Grant(actions=[f"ecr:{verb}" for verb in verbs], resources=list(dict.fromkeys(arns)))
    public = [
        Grant(actions=["ecr-public:GetAuthorizationToken"], resources=["*"], because=NO_RESOURCE),
        Grant(
            actions=["sts:GetServiceBearerToken"],
            resources=["*"],
            conditions={"StringEquals": {"sts:AWSServiceName": "ecr-public.amazonaws.com"}},
            because=NO_RESOURCE,
        ),
    ]
    return [*([private] if arns else []), *(public if PUBLIC_REGISTRY in _registries(bases) else [])]


def _push(repository_arn: str) -> list[Grant]:
    """Pushing the image, and reading what its scan has found.

    Source: "Use Docker images in a build", the ECR sample of the CodeBuild User Guide.
    """
    verbs = (
        "BatchCheckLayerAvailability",
        "CompleteLayerUpload",
        "DescribeImages",
        "DescribeImageScanFindings",
        "InitiateLayerUpload",
        "PutImage",
        "UploadLayerPart",
        "BatchGetImage",
        "GetDownloadUrlForLayer",
    )
    return [
        Grant(actions=[f"ecr:{verb}" for verb in verbs], resources=[repository_arn]),
        Grant(actions=["ecr:GetAuthorizationToken"], resources=["*"], because=NO_RESOURCE),
    ]
