"""A folder of lambdas/ as a Lambda function, with a role, a log group and a time limit of its own."""

from __future__ import annotations

from dataclasses import dataclass
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
from infra.declared_function import DeclaredFunction
from infra.grants import Grant

LAMBDAS = Path(__file__).parents[2] / "lambdas"
CONTRACT = Path(contract.__file__).parent
RUNTIME = "python3.13"
_RUNTIME_REASON = (
    "A newer runtime is a change of RUNTIME for all functions at once, after their tests have run on it; "
    "python3.13 has security updates until October 2029 (PEP 719)."
)


@dataclass(frozen=True)
class Functions:
    """The parts that all functions of a stack share: their code, as one asset, and the days for which logs are kept."""

    code: assets.Asset
    log_retention_days: int


def functions_of(stack: Construct, *, log_retention_days: int) -> Functions:
    """The code of all functions: they share lambdas/common and the contract."""
    with TemporaryDirectory() as folder:
        package = Path(folder) / "functions"
        copytree(LAMBDAS, package, ignore=ignore_patterns("__pycache__", "*.md"))
        copytree(CONTRACT, package / files.CONTRACT, ignore=ignore_patterns("__pycache__"))
        return Functions(assets.Asset(stack, "Functions", path=str(package)), log_retention_days)


class Function(Construct):
    """A function, its role and its log. Asynchronous events that it fails on go to the dead-letter queue, if any."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        declared: DeclaredFunction,
        functions: Functions,
        *,
        dead_letter_queue_arn: str | None = None,
    ) -> None:
        super().__init__(scope, id_)
        log_group = logs.CfnLogGroup(self, "Log", retention_in_days=functions.log_retention_days)
        log_group.apply_removal_policy(RemovalPolicy.DESTROY)
        self.role = ServiceRole(
            self,
            "Execution",
            service="lambda.amazonaws.com",
            purpose=declared.purpose,
            grants=[*declared.grants, write_log(log_group.attr_arn), *send_dead_letters(dead_letter_queue_arn)],
        )
        function = lambda_.CfnFunction(
            self,
            "Function",
            description=declared.purpose,
            runtime=RUNTIME,
            architectures=["arm64"],
            handler=f"{declared.folder}.handler.handle",
            code=_location(functions.code),
            role=self.role.arn,
            timeout=declared.seconds,
            memory_size=declared.megabytes,
            environment=lambda_.CfnFunction.EnvironmentProperty(variables=dict(declared.variables)),
            dead_letter_config=_dead_letters(dead_letter_queue_arn),
            logging_config=lambda_.CfnFunction.LoggingConfigProperty(log_group=log_group.ref),
        )
        acknowledge(function, "L1", _RUNTIME_REASON)
        self.arn = function.attr_arn
        self.log_group = log_group.ref
        self.name = function.ref


def _location(code: assets.Asset) -> lambda_.CfnFunction.CodeProperty:
    return lambda_.CfnFunction.CodeProperty(s3_bucket=code.s3_bucket_name, s3_key=code.s3_object_key)


def _dead_letters(queue_arn: str | None) -> lambda_.CfnFunction.DeadLetterConfigProperty | None:
    return lambda_.CfnFunction.DeadLetterConfigProperty(target_arn=queue_arn) if queue_arn else None


def write_log(log_group_arn: str) -> Grant:
    """Writing to one log group; its ARN, as Fn::GetAtt gives it, ends in `:*`, the streams in it."""
    return Grant(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[log_group_arn])


def send_dead_letters(queue_arn: str | None) -> list[Grant]:
    return [Grant(actions=["sqs:SendMessage"], resources=[queue_arn])] if queue_arn else []
