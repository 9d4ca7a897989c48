"""CloudWatch Logs: names of groups and streams. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from localaws.ministack_adapter.limits.refusals import Check, Constraint

_CODE = "InvalidParameterException"
_GROUP = Constraint("logGroupName", pattern=r"[\.\-_/#A-Za-z0-9]+", most=512)
_STREAM = Constraint("logStreamName", pattern="[^:*]*", most=512)

CHECKS: Mapping[str, Check] = {
    "_create_log_group": partial(_GROUP.refusal, code=_CODE),
    "_create_log_stream": partial(_STREAM.refusal, code=_CODE),
}
