"""SageMaker Debugger's profiler in CreateTrainingJob: checks, and the job's ProfilingStatus. Pure.

The profiler is accepted, since version 2 of the SageMaker SDK asks for it with every framework's estimator; nothing is
measured here, and the job's log says so (API reference: ProfilerConfig).
"""

from __future__ import annotations

from localaws.sagemaker.containers.channels import locate
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document

NOTHING_MEASURED = (
    "ProfilerConfig has no effect here: no system metrics are collected; nothing is written below its S3OutputPath."
)
_INTERVALS = (100, 200, 500, 1000, 5000, 60000)  # milliseconds


def check(request: Document) -> None:
    """Raise what AWS raises, or "not supported here"."""
    config = request.get("ProfilerConfig", {})
    interval = config.get("ProfilingIntervalInMilliseconds", _INTERVALS[0])
    if interval not in _INTERVALS:
        one_of = ", ".join(map(str, _INTERVALS))
        raise errors.validation(f"ProfilerConfig.ProfilingIntervalInMilliseconds must be one of {one_of}: {interval}")
    if is_on(request):
        _check_what_it_does(config)


def is_on(request: Document) -> bool:
    """Whether the request asks for profiling."""
    return "ProfilerConfig" in request and not request["ProfilerConfig"].get("DisableProfiler")


def status(request: Document) -> str:
    """DescribeTrainingJob's ProfilingStatus."""
    return "Enabled" if is_on(request) else "Disabled"


def _check_what_it_does(config: Document) -> None:
    if "S3OutputPath" not in config:
        raise errors.validation("ProfilerConfig.S3OutputPath is required unless DisableProfiler is true.")
    locate(config["S3OutputPath"], "ProfilerConfig.S3OutputPath")
    if config.get("ProfilingParameters"):
        named = ", ".join(sorted(config["ProfilingParameters"]))
        raise errors.not_supported(f"ProfilerConfig.ProfilingParameters ({named}): frameworks aren't profiled")
