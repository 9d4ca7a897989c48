"""The alarms that a pipeline's runs make on an endpoint config's fleet while it is deployed: deleted when it has been.

They are found by the configs' names, so they go before these; that takes no right to list an account's alarms.
"""

from __future__ import annotations

from typing import Any

from common.content_names import configs_with
from contract import names

# DescribeAlarms and DeleteAlarms, CloudWatch API reference.
_AT_A_TIME = 100


def sweep_alarms(sagemaker: Any, cloudwatch: Any, prefix: str, pending: str | None = None) -> list[str]:
    """Deletes the alarms on all of the pipeline's configs; returns their names. Safe to repeat.

    Args:
        sagemaker, cloudwatch: boto3 clients.
        prefix: the beginning of the pipeline's content names.
        pending: the config that is being deployed, whose alarms SageMaker still asks.
    """
    configs = [config for config in configs_with(sagemaker, prefix) if config != pending]
    possible = [alarm for config in configs for alarm in names.alarms(config)]
    deleted: list[str] = []
    for start in range(0, len(possible), _AT_A_TIME):
        some = possible[start : start + _AT_A_TIME]
        found = [alarm["AlarmName"] for alarm in cloudwatch.describe_alarms(AlarmNames=some)["MetricAlarms"]]
        if found:
            cloudwatch.delete_alarms(AlarmNames=found)
        deleted += found
    return deleted
