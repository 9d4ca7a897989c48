"""A folder of lambdas/ as a Lambda function, with a role, a log group and a time limit of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory

from aws_cdk import RemovalPolicy
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

import contract
from contract import files
from infra.constructs.findings import acknowledge
from infra.constructs.role import ServiceRole
from infra.grants import Grant

LAMBDAS = Path(__file__).parents[2] / "lambdas"
CONTRACT = Path(contract.__file__).parent
RUNTIME = "python3.13"
MEMORY_MB = 256
_RUNTIME_REASON = (
    "A newer runtime is a change of RUNTIME for all functions at once, after their tests have run on it; "
    "python3.13 has security updates until October 2029 (PEP 719)."
)


def functions_code(stack: Construct) -> assets.Asset:
    """All functions' code as one asset of a stack: the functions share lambdas/common and the contract."""
    with TemporaryDirectory() as folder:
        package = Path(folder) / "functions"
        copytree(LAMBDAS, package, ignore=ignore_patterns("__pycache__", "*.md"))
        copytree(CONTRACT, package / files.CONTRACT, ignore=ignore_patterns("__pycache__"))
        return assets.Asset(stack, "Functions", path=str(package))


class Function(Construct):
    """`lambdas/<folder>/handler.py` as a function. `timeout_seconds`: 1-900.

    What it fails to handle of what it was sent asynchronously goes to the dead-letter queue, if there is one.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        folder: str,
        code: assets.Asset,
        purpose: str,
        timeout_seconds: int,
        environment: Mapping[str, str],
        grants: Sequence[Grant],
        log_retention_days: int,
        dead_letter_queue_arn: str | None = None,
    ) -> None:
        super().__init__(scope, id_)
        log_group = logs.CfnLogGroup(self, "Log", retention_in_days=log_retention_days)
        log_group.apply_removal_policy(RemovalPolicy.DESTROY)
        self.role = ServiceRole(
            self,
            "Execution",
            service="lambda.amazonaws.com",
            purpose=purpose,
            grants=[*grants, write_log(log_group.attr_arn), *send_dead_letters(dead_letter_queue_arn)],
        )
        function = lambda_.CfnFunction(
            self,
            "Function",
            description=purpose,
            runtime=RUNTIME,
            architectures=["arm64"],
            handler=f"{folder}.handler.handle",
            code=lambda_.CfnFunction.CodeProperty(s3_bucket=code.s3_bucket_name, s3_key=code.s3_object_key),
            role=self.role.arn,
            timeout=timeout_seconds,
            memory_size=MEMORY_MB,
            environment=lambda_.CfnFunction.EnvironmentProperty(variables=dict(environment)),
            dead_letter_config=(
                lambda_.CfnFunction.DeadLetterConfigProperty(target_arn=dead_letter_queue_arn)
                if dead_letter_queue_arn
                else None
            ),
            logging_config=lambda_.CfnFunction.LoggingConfigProperty(log_group=log_group.ref),
        )
        acknowledge(function, "L1", _RUNTIME_REASON)
        self.arn = function.attr_arn
        self.name = function.ref


def write_log(log_group_arn: str) -> Grant:
    """Writing to one log group; its ARN, as Fn::GetAtt gives it, ends in `:*`, the streams in it."""
    return Grant(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log_group_arn])


def send_dead_letters(queue_arn: str | None) -> list[Grant]:
    return [Grant(actions=["sqs:SendMessage"], resources=[queue_arn])] if queue_arn else []
