"""`python -m localaws.coverage > docs/coverage.md`: which of SageMaker's operations the embedded AWS has.

Made from botocore's service models and from the handlers themselves, so that it can't say more than is there.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from socket import socket

from botocore.loaders import Loader

from localaws.autoscaling.service import OPERATIONS
from localaws.sagemaker.core.aws_platform import Credentials, Telemetry
from localaws.sagemaker.core.registry_images import RegistryImage
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.service import SageMaker

AUTOSCALING = "application-autoscaling"
RUNTIME_OPERATIONS = frozenset({"InvokeEndpoint", "InvokeEndpointAsync"})
# Each is made in one place: `tuning.history`, `tuning.early_stopping`, `tuning.hyperband`, `tuning.completion`,
# `tuning.space` and `jobs.tuning_documents`, `jobs.tuning_run`.
_TUNING_CHOICES = (
    "A trial's value of the objective is the last that it reported, as in FinalMetricDataList.",
    "A trial that early stopping, Hyperband, a criterion or a user ends counts as Stopped; with a value it counts as "
    "Succeeded, and it can be the best.",
    "Early stopping compares with trials that have ended and got as far, whether they ran through or were stopped; "
    "parents' don't count.",
    "Hyperband is asynchronous successive halving by three, from MinResource on; the values that a trial reports are "
    "its epochs.",
    "A tuning job has converged when ten trials, or three a hyperparameter if that is more, brought no improvement of "
    "1 %.",
    "At MaxRuntimeInSeconds, as at any criterion, running trials are stopped and the tuning job is Completed.",
    "Scaling Auto is logarithmic for positive ranges over three orders of magnitude or more, else linear.",
    "Fewer than five trials without any success, or five that end without a value, fail the tuning job as well; AWS's "
    "sentence for the latter is told nowhere.",
    "A trial's checkpoints are below CheckpointConfig.S3Uri in a folder of its own, named as its training job.",
    "A trial that the end of the server cuts off is a RetryableError: with a RetryStrategy it begins again, without "
    "one the tuning job goes on with its next trial.",
)

# Each is made in `jobs.warm_pools`.
_WARM_POOL_CHOICES = (
    "A training job that began cold has no WarmPoolStatus before it ends; one that took a warm pool is InUse from its "
    "creation.",
    "Of several warm pools that match, the job takes the one that has waited longest. Subnets and security groups "
    "match in any order.",
    "KeepAlivePeriodInSeconds counts from the end of the job, a new one of UpdateTrainingJob too. Above 3,600, the "
    "Developer Guide's limit, it is refused, though the API's shape takes 21,600.",
    "A pool that is Available has no ResourceRetainedBillableTimeInSeconds yet; Reused and Terminated ones have.",
    "There is a quota for warm pools where settings.json names one (`ml.m5.large for training warm pool usage`); an "
    "account's is 0 until AWS has raised it.",
    "The trials of a tuning job neither leave nor take warm pools; SageMaker keeps their instances by itself.",
    "On a laptop no instance waits: what is kept is the time, the status and the persistent cache, "
    "/opt/ml/sagemaker/warmpoolcache, which a job has that is to leave a warm pool or has taken one.",
)
# Each is made in `jobs.supervision`, `jobs.training_output`, `containers.channels`, `jobs.training_metrics`.
_HOSTS_CHOICES = (
    "A job has 1 to 20 instances, an account's default quota. Heterogeneous clusters (InstanceGroups) are refused by "
    "name, and so are MPI, parameter servers and SageMaker's own data parallelism.",
    "The first host that fails ends the job: the others get SIGTERM, and SIGKILL five seconds later. A host that is "
    "done waits for the others.",
    "Of a ShardedByS3Key channel the hosts are dealt objects one by one, by their keys or in the manifest's order; "
    "ShuffleConfig shuffles that order by its Seed before.",
    "Of files with one name that several hosts leave in /opt/ml/model or /opt/ml/output/data, the first host's is "
    "taken, and the log says so. Of checkpoints and outputs with one key, the last that is uploaded stays.",
    "Metrics are read from the logs of all hosts; FinalMetricDataList has the last value of any.",
    "A host has its instance's memory, but no more than its share of this machine's.",
)

# Each is made in `localaws.autoscaling`: `tracking`, `scaling`, `requests`.
_AUTOSCALING_CHOICES = (
    "Only `sagemaker:variant:DesiredInstanceCount` is scaled; other namespaces and dimensions are refused by name, and "
    "so are StepScaling, PredictiveScaling, metric math and metrics of ten seconds.",
    "An asynchronous endpoint isn't scaled to no instances, as it may be in AWS, since only a StepScaling policy "
    "scales it out again: MinCapacity is 1 or more.",
    "Target tracking scales in a tenth of the instances at a time, one at least, and never below what the metric asks "
    "for.",
    "Of a variant that nobody asks, InvocationsPerInstance is 0 once a minute where a policy tracks it.",
    "What SageMaker refuses (a quota) is a Failed activity, and tried again a minute later.",
    "A scheduled action that sets one limit beyond the other takes that along.",
    "The words of some refusals are told nowhere: of limits that aren't any, a variant that doesn't exist, burstable "
    "instances, an update that would change a scaled variant's instance type.",
    "`clock_scale` shortens cooldowns and the alarms' periods; schedules go by the real clock.",
)


def page() -> str:
    """The text of docs/coverage.md."""
    control, runtime = all_operations("sagemaker"), all_operations("sagemaker-runtime")
    has_control, has_runtime = implemented_operations(), RUNTIME_OPERATIONS
    return "\n".join(
        [
            "# SageMaker operations of the embedded AWS",
            "",
            "Made by `python -m localaws.coverage > docs/coverage.md`; not to be edited.",
            "",
            "[x] does the work, [ ] is refused with `not implemented here: <operation>`. An operation that is here "
            "refuses the fields and values that it can't honour, by name.",
            "",
            *_section("sagemaker", control, has_control),
            *_section("sagemaker-runtime", runtime, has_runtime),
            *_section(AUTOSCALING, all_operations(AUTOSCALING), OPERATIONS),
            "## Tuning jobs: what AWS's text leaves open",
            "",
            *(f"- {choice}" for choice in _TUNING_CHOICES),
            "",
            "## Jobs of several hosts: what AWS's text leaves open",
            "",
            *(f"- {choice}" for choice in _HOSTS_CHOICES),
            "",
            "## Warm pools: what AWS's text leaves open",
            "",
            *(f"- {choice}" for choice in _WARM_POOL_CHOICES),
            "",
            "## Autoscaling: what AWS's text leaves open",
            "",
            *(f"- {choice}" for choice in _AUTOSCALING_CHOICES),
            "",
        ]
    )


def all_operations(service: str) -> list[str]:
    """Every operation in botocore's model of a service, by name."""
    return sorted(Loader().load_service_model(service, "service-2")["operations"])


def implemented_operations() -> frozenset[str]:
    """The control-plane operations that have a handler."""
    with tempfile.TemporaryDirectory() as directory:
        sagemaker = SageMaker(_NoPlatform(Path(directory)))
        try:
            return sagemaker.operations
        finally:
            sagemaker.close()


def _section(service: str, operations: Iterable[str], implemented: frozenset[str]) -> list[str]:
    lines = [f"- [{'x' if operation in implemented else ' '}] {operation}" for operation in operations]
    done = sum(line.startswith("- [x]") for line in lines)
    return [f"## {service}: {done} of {len(lines)}", "", *lines, ""]


class _NoPlatform:
    """A `Platform` that does nothing, for a SageMaker that is only asked for its operations."""

    clock_scale = 1.0
    account, region, endpoint_url = "000000000000", "us-east-1", "http://127.0.0.1:1"

    def __init__(self, directory: Path) -> None:
        self.state_dir = self.image_dir = directory
        self.private_dirs = (directory,)

    def answer_on(self, listener: socket) -> Callable[[], None]:
        raise NotImplementedError

    def put_event(self, detail_type: str, detail: Document, resources: list[str]) -> None:
        raise NotImplementedError

    def telemetry_of(self, role_arn: str) -> Telemetry:
        raise NotImplementedError

    def put_log_events(self, group: str, stream: str, events: list[tuple[int, str]]) -> None:
        raise NotImplementedError

    def put_metric_data(self, namespace: str, data: list[Document]) -> None:
        raise NotImplementedError

    def assume_role(self, role_arn: str, session_name: str, source_arn: str) -> Credentials:
        raise NotImplementedError

    def alarm_states(self, role_arn: str, names: Sequence[str], since: float) -> dict[str, str]:
        raise NotImplementedError

    def registry_image(self, uri: str, role_arn: str) -> RegistryImage:
        raise NotImplementedError

    def publish(self, role_arn: str, topic_arn: str, message: str) -> None:
        raise NotImplementedError

    def scalable_variants(self, endpoint: str) -> Sequence[str]:
        raise NotImplementedError

    def deregister_variants(self, caller: Caller, endpoint: str) -> None:
        raise NotImplementedError

    def authorize(self, caller: Caller, action: str, resource: str) -> None:
        raise NotImplementedError


if __name__ == "__main__":
    sys.stdout.write(page())
