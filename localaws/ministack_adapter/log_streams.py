"""FilterLogEvents with `logStreamNamePrefix`, which MiniStack ignores."""

from __future__ import annotations

from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

Document = dict[str, Any]
_NO_STREAM = ""  # is no stream's name


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    from ministack.core.responses import error_response_json
    from ministack.services import cloudwatch_logs

    filter_log_events = cloudwatch_logs._filter_log_events

    def _filter_log_events(data: Document) -> Any:
        prefix = data.get("logStreamNamePrefix")
        if not prefix:
            return filter_log_events(data)
        if data.get("logStreamNames"):
            # API reference, FilterLogEvents: "the action returns an InvalidParameterException error".
            message = "logStreamNames and logStreamNamePrefix can't be given together."
            return error_response_json("InvalidParameterException", message, 400)
        group = cloudwatch_logs._log_groups.get(cloudwatch_logs._resolve_log_group_name(data), {})
        names = [name for name in group.get("streams", {}) if name.startswith(prefix)]
        return filter_log_events({**data, "logStreamNames": names or [_NO_STREAM]})

    cloudwatch_logs._filter_log_events = _filter_log_events
