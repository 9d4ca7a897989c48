"""A state machine from its definition, with every event logged and every execution traced."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from aws_cdk import RemovalPolicy, Stack
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as stepfunctions
from constructs import Construct

from infra.constructs.role import ServiceRole
from infra.grants import NO_RESOURCE, Grant
from infra.workflow.surroundings import placeholder


class StateMachine(Construct):
    """`definition` is Amazon States Language that says `${Name}` where `values` has what the deployment knows."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        definition: Mapping[str, Any],
        values: Mapping[str, str],
        grants: Sequence[Grant],
        purpose: str,
        log_retention_days: int,
    ) -> None:
        super().__init__(scope, id_)
        role = ServiceRole(
            self,
            "Execution",
            service="states.amazonaws.com",
            purpose=purpose,
            grants=[*grants, *_log_delivery_and_traces()],
        )
        text = json.dumps(definition, indent=1, ensure_ascii=False)
        machine = stepfunctions.CfnStateMachine(
            self,
            "Machine",
            role_arn=role.arn,
            definition_string=text,
            definition_substitutions={name: value for name, value in values.items() if placeholder(name) in text},
            logging_configuration=self._log(log_retention_days),
            tracing_configuration=stepfunctions.CfnStateMachine.TracingConfigurationProperty(enabled=True),
        )
        self.resource = machine
        self.arn = machine.attr_arn
        self.name = machine.attr_name

    def _log(self, days: int) -> stepfunctions.CfnStateMachine.LoggingConfigurationProperty:
        # Under this prefix log delivery needs no statement of its own in the account's one resource policy, which would
        # be full after a few pipelines ("Step Functions: CloudWatch Logs resource policy size restrictions").
        name = f"/aws/vendedlogs/states/{Stack.of(self).stack_name}"
        group = logs.CfnLogGroup(self, "Log", log_group_name=name, retention_in_days=days)
        group.apply_removal_policy(RemovalPolicy.DESTROY)
        target = stepfunctions.CfnStateMachine.CloudWatchLogsLogGroupProperty(log_group_arn=group.attr_arn)
        return stepfunctions.CfnStateMachine.LoggingConfigurationProperty(
            level="ALL",
            include_execution_data=True,
            destinations=[stepfunctions.CfnStateMachine.LogDestinationProperty(cloud_watch_logs_log_group=target)],
        )


def _log_delivery_and_traces() -> list[Grant]:
    """Sources: "Using CloudWatch Logs to log execution history", "Trace requests using AWS X-Ray" (Step Functions)."""
    deliveries = ("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries")
    policies = ("PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups")
    traces = ("PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets")
    return [
        Grant(actions=[f"logs:{verb}" for verb in (*deliveries, *policies)], resources=["*"], because=NO_RESOURCE),
        Grant(actions=[f"xray:{verb}" for verb in traces], resources=["*"], because=NO_RESOURCE),
    ]
