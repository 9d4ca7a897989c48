"""An alarm tells its topics as CloudWatch itself, and what became of that stands in the alarm's history.

"Amazon CloudWatch alarms: actions" and DescribeAlarmHistory: a topic whose policy (or whose key's) doesn't let
`cloudwatch.amazonaws.com` publish gets no message, and nothing but the history says so. MiniStack hands the message to
the subscribers past the topic's policy.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from localaws.ministack_adapter import deliveries
from localaws.ministack_adapter.authorization import AccessDeniedError
from localaws.ministack_adapter.embedded_aws import EmbeddedAws

Document = dict[str, Any]

CLOUDWATCH = "cloudwatch.amazonaws.com"
_ACTIONS_OF = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    from ministack.services import cloudwatch

    dispatch: Callable[[Document, str, str, str], None] = cloudwatch._dispatch_alarm_actions

    def _dispatch_alarm_actions(alarm: Document, old_state: str, new_state: str, reason: str) -> None:
        allowed = list(_allowed(alarm, new_state))
        dispatch({**alarm, _ACTIONS_OF[new_state]: allowed}, old_state, new_state, reason)

    cloudwatch._dispatch_alarm_actions = _dispatch_alarm_actions


def _allowed(alarm: Document, state: str) -> Iterator[str]:
    """The topics that let the alarm in; the alarm's history says of each how it went."""
    from ministack.services import cloudwatch

    if not alarm.get("ActionsEnabled", True):
        return
    for action in filter(cloudwatch._is_sns_action_arn, alarm.get(_ACTIONS_OF[state]) or []):
        try:
            deliveries.check(CLOUDWATCH, action, alarm["AlarmArn"])
        except AccessDeniedError as denied:
            _remember(alarm, action, _error(alarm, action, denied.message))
        else:
            _remember(alarm, action, None)
            yield action


def _error(alarm: Document, topic: str, reason: str) -> str:
    """The topic's refusal in AWS's words; its key's in IAM's."""
    if " kms:" in reason:
        return reason
    return f"Resource: {alarm['AlarmArn']} is not authorized to perform: SNS:Publish on resource: {topic}"


def _remember(alarm: Document, action: str, error: str | None) -> None:
    from ministack.services import cloudwatch

    done = {"actionState": "Failed" if error else "Succeeded", "notificationResource": action}
    failed = f'Failed to execute action {action}. Received error: "{error}"'
    cloudwatch._history_entries().append(
        {
            "AlarmName": alarm["AlarmName"],
            "AlarmType": "CompositeAlarm" if alarm.get("AlarmRule") else "MetricAlarm",
            "Timestamp": cloudwatch._ts_iso(time.time()),
            "HistoryItemType": "Action",
            "HistorySummary": failed if error else f"Successfully executed action {action}",
            "HistoryData": json.dumps({**done, "error": error} if error else done),
        }
    )
