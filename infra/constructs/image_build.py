"""A pipeline's own image: its dockerfile built by CodeBuild into ECR whenever the model's folder has changed.

The deployment starts the build through a custom resource and waits; the build itself answers CloudFormation when it has
pushed the image or failed, so nothing polls and a build may take as long as CloudFormation waits, an hour.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from aws_cdk import CustomResource, Duration, RemovalPolicy
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from contract import files
from infra.constructs.findings import acknowledge
from infra.constructs.function import Function, Functions, write_log
from infra.constructs.removal import removal_policy
from infra.constructs.role import ServiceRole
from infra.declared_function import DeclaredFunction
from infra.grants import NO_RESOURCE, Account, Grant, use_key
from infra.images import base_images, repository_arn
from ratchet.spec.environments import Environment

BUILD_MINUTES = 55
ANSWER_SECONDS = 3600
_NOT_CONTEXT = ["**/__pycache__", ".*", "*.md", files.SPEC_FILE, "data", "tests"]

# An image whose tag is there already (a rollback to earlier code) isn't built again: tags are immutable.
_BUILD = (
    'if aws ecr describe-images --repository-name "$REPOSITORY" --image-ids imageTag="$TAG" >/dev/null 2>&1; then '
    'echo "$TAG is there"; else '
    "for registry in $REGISTRIES; do "
    'aws ecr get-login-password --region "$(echo "$registry" | cut -d . -f 4)" '
    '| docker login --username AWS --password-stdin "$registry" || exit 1; done && '
    'docker build --tag "$URI:$TAG" --file "$DOCKERFILE" . && docker push "$URI:$TAG"; fi'
)
_ANSWER = (
    'if [ "$CODEBUILD_BUILD_SUCCEEDING" = 1 ]; then STATUS=SUCCESS; else STATUS=FAILED; fi; '
    "curl --fail --silent --show-error --retry 5 --request PUT --header 'Content-Type:' --data-binary "
    '"{\\"Status\\":\\"$STATUS\\",\\"Reason\\":\\"The image build; its log: $CODEBUILD_BUILD_URL\\",'
    '\\"PhysicalResourceId\\":\\"$REPOSITORY\\",\\"StackId\\":\\"$STACK_ID\\",\\"RequestId\\":\\"$REQUEST_ID\\",'
    '\\"LogicalResourceId\\":\\"$LOGICAL_ID\\"}" "$RESPONSE_URL"'
)


class ImageBuild(Construct):
    """`image_uri` is the built image's, by the content of the model's folder; `built` is what must wait for it."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        folder: Path,
        dockerfile: str,
        environment: Environment,
        account: Account,
        key_arn: str,
        functions: Functions,
    ) -> None:
        super().__init__(scope, id_)
        context = assets.Asset(self, "Context", path=str(folder), exclude=_NOT_CONTEXT)
        repository = _repository(self, environment, key_arn)
        log = logs.CfnLogGroup(self, "Log", retention_in_days=environment.log_retention_days)
        log.apply_removal_policy(RemovalPolicy.DESTROY)
        bases = base_images((folder / dockerfile).read_text(encoding="utf-8"))
        grants = [
            *_read_context(account.bucket_arn(context.s3_bucket_name), context.s3_object_key),
            write_log(log.attr_arn),
            *_push(repository.repository_arn),
            *_pull(bases, account.partition),
            use_key(account, key_arn, "ecr"),
        ]
        project = _project(
            self,
            context=context,
            dockerfile=dockerfile,
            repository=repository,
            role_arn=_role(self, grants).arn,
            key_arn=key_arn,
            log_group=log.ref,
            registries=[repository.registry_uri, *{base.partition("/")[0]: None for base in bases}],
        )
        self.repository_arn = repository.repository_arn
        self.image_uri = f"{repository.repository_uri}:{context.asset_hash}"
        self.built = _built(self, project, context, functions)


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
    context: assets.Asset,
    dockerfile: str,
    repository: ecr.Repository,
    role_arn: str,
    key_arn: str,
    log_group: str,
    registries: Sequence[str],
) -> codebuild.CfnProject:
    project = codebuild.CfnProject(
        scope,
        "Project",
        description=f"Builds {dockerfile} into ECR",
        service_role=role_arn,
        encryption_key=key_arn,
        timeout_in_minutes=BUILD_MINUTES,
        artifacts=codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS"),
        source=codebuild.CfnProject.SourceProperty(
            type="S3", location=_location(context), build_spec=json.dumps(build_spec())
        ),
        environment=_machine(
            REPOSITORY=repository.repository_name,
            URI=repository.repository_uri,
            DOCKERFILE=dockerfile,
            REGISTRIES=" ".join(registries),
        ),
        logs_config=codebuild.CfnProject.LogsConfigProperty(
            cloud_watch_logs=codebuild.CfnProject.CloudWatchLogsConfigProperty(status="ENABLED", group_name=log_group)
        ),
    )
    acknowledge(
        project, "CB3", "Building a Docker image needs the Docker daemon, which CodeBuild runs only privileged."
    )
    return project


def _machine(**variables: str) -> codebuild.CfnProject.EnvironmentProperty:
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


def _location(context: assets.Asset) -> str:
    return f"{context.s3_bucket_name}/{context.s3_object_key}"


def _built(
    scope: Construct, project: codebuild.CfnProject, context: assets.Asset, functions: Functions
) -> CustomResource:
    """The build as a part of the deployment, made anew when the model's folder has changed."""
    declared = DeclaredFunction(
        folder="lifecycle",
        purpose="Starts the build of the pipeline's image during a deployment",
        seconds=60,
        grants=[Grant(actions=["codebuild:StartBuild"], resources=[project.attr_arn])],
    )
    return CustomResource(
        scope,
        "Built",
        resource_type="Custom::BuiltImage",
        service_token=Function(scope, "Builder", declared, functions).arn,
        service_timeout=Duration.seconds(ANSWER_SECONDS),
        properties={"Project": project.ref, "Tag": context.asset_hash, "Source": _location(context)},
    )


def build_spec() -> dict[str, object]:
    """Build and push; then, whatever happened, tell CloudFormation (post_build runs after a failed build too)."""
    return {"version": "0.2", "phases": {"build": {"commands": [_BUILD]}, "post_build": {"commands": [_ANSWER]}}}


def _read_context(bucket_arn: str, key: str) -> list[Grant]:
    """Source: "Allow CodeBuild to interact with other AWS services" (CodeBuild User Guide), for an S3 source."""
    return [
        Grant(actions=["s3:GetObject", "s3:GetObjectVersion"], resources=[f"{bucket_arn}/{key}"]),
        Grant(actions=["s3:GetBucketAcl", "s3:GetBucketLocation"], resources=[bucket_arn]),
    ]


def _pull(bases: Sequence[str], partition: str) -> list[Grant]:
    """Pulling the images of ECR that the dockerfile begins with, such as SageMaker's own."""
    arns = [arn for base in bases if (arn := repository_arn(base, partition))]
    verbs = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
    return [Grant(actions=[f"ecr:{verb}" for verb in verbs], resources=list(dict.fromkeys(arns)))] if arns else []


def _push(repository_arn: str) -> list[Grant]:
    """Source: "Use Docker images in a build", the ECR sample of the CodeBuild User Guide."""
    verbs = (
        "BatchCheckLayerAvailability",
        "CompleteLayerUpload",
        "DescribeImages",
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
