"""A pipeline's own image: its dockerfile built by CodeBuild into ECR whenever the model's folder has changed.

The deployment starts the build through a custom resource and waits; the build itself answers CloudFormation when it has
pushed the image or failed, so nothing polls and a build may take as long as CloudFormation waits, an hour.
"""

from __future__ import annotations

import json
from pathlib import Path

from aws_cdk import CustomResource, Duration, RemovalPolicy
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.constructs.findings import acknowledge
from infra.constructs.function import Function, write_log
from infra.constructs.removal import removal_policy
from infra.constructs.role import ServiceRole
from infra.grants import NO_RESOURCE, Account, Grant, read_object, use_key
from ratchet.spec.environments import Environment

BUILD_MINUTES = 55
ANSWER_SECONDS = 3600
_NOT_CONTEXT = ["**/__pycache__", ".*", "*.md", "pipeline.yaml", "data", "tests"]

# An image whose tag is there already (a rollback to earlier code) isn't built again: tags are immutable.
_BUILD = (
    'if aws ecr describe-images --repository-name "$REPOSITORY" --image-ids imageTag="$TAG" >/dev/null 2>&1; then '
    'echo "$TAG is there"; else '
    'aws ecr get-login-password | docker login --username AWS --password-stdin "${URI%%/*}" && '
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
        code: assets.Asset,
    ) -> None:
        super().__init__(scope, id_)
        context = assets.Asset(self, "Context", path=str(folder), exclude=_NOT_CONTEXT)
        self._repository = self._images(environment, key_arn)
        self.repository_arn = self._repository.repository_arn
        self.image_uri = f"{self._repository.repository_uri}:{context.asset_hash}"
        project = self._project(context, dockerfile, environment, account, key_arn)
        builder = Function(
            self,
            "Builder",
            folder="lifecycle",
            code=code,
            purpose="Starts the build of the pipeline's image during a deployment",
            timeout_seconds=60,
            environment={},
            grants=[Grant(actions=["codebuild:StartBuild"], resources=[project.attr_arn])],
            log_retention_days=environment.log_retention_days,
        )
        self.built = CustomResource(
            self,
            "Built",
            resource_type="Custom::BuiltImage",
            service_token=builder.arn,
            service_timeout=Duration.seconds(ANSWER_SECONDS),
            properties={
                "Project": project.ref,
                "Tag": context.asset_hash,
                "Source": f"{context.s3_bucket_name}/{context.s3_object_key}",
            },
        )

    def _images(self, environment: Environment, key_arn: str) -> ecr.Repository:
        return ecr.Repository(
            self,
            "Images",
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            image_scan_on_push=True,
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=kms.Key.from_key_arn(self, "Key", key_arn),
            removal_policy=removal_policy(environment),
            empty_on_delete=environment.removal == "destroy",
        )

    def _project(
        self, context: assets.Asset, dockerfile: str, environment: Environment, account: Account, key_arn: str
    ) -> codebuild.CfnProject:
        log = logs.CfnLogGroup(self, "Log", retention_in_days=environment.log_retention_days)
        log.apply_removal_policy(RemovalPolicy.DESTROY)
        role = ServiceRole(
            self,
            "Build",
            service="codebuild.amazonaws.com",
            purpose="Builds the pipeline's image",
            grants=[
                *read_object(account.bucket_arn(context.s3_bucket_name), context.s3_object_key),
                write_log(log.attr_arn),
                *_push(self.repository_arn),
                use_key(account, key_arn, "ecr"),
            ],
        )
        variables = {
            "REPOSITORY": self._repository.repository_name,
            "URI": self._repository.repository_uri,
            "DOCKERFILE": dockerfile,
        }
        project = codebuild.CfnProject(
            self,
            "Project",
            description=f"Builds {dockerfile} into ECR",
            service_role=role.arn,
            encryption_key=key_arn,
            timeout_in_minutes=BUILD_MINUTES,
            artifacts=codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS"),
            source=codebuild.CfnProject.SourceProperty(
                type="S3",
                location=f"{context.s3_bucket_name}/{context.s3_object_key}",
                build_spec=json.dumps(build_spec()),
            ),
            environment=codebuild.CfnProject.EnvironmentProperty(
                type="LINUX_CONTAINER",
                compute_type="BUILD_GENERAL1_MEDIUM",
                image="aws/codebuild/standard:7.0",
                privileged_mode=True,
                environment_variables=[
                    codebuild.CfnProject.EnvironmentVariableProperty(name=name, value=value)
                    for name, value in variables.items()
                ],
            ),
            logs_config=codebuild.CfnProject.LogsConfigProperty(
                cloud_watch_logs=codebuild.CfnProject.CloudWatchLogsConfigProperty(status="ENABLED", group_name=log.ref)
            ),
        )
        acknowledge(
            project, "CB3", "Building a Docker image needs the Docker daemon, which CodeBuild runs only privileged."
        )
        return project


def build_spec() -> dict[str, object]:
    """Build and push; then, whatever happened, tell CloudFormation (post_build runs after a failed build too)."""
    return {"version": "0.2", "phases": {"build": {"commands": [_BUILD]}, "post_build": {"commands": [_ANSWER]}}}


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
