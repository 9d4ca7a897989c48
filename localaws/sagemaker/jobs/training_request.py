"""CreateTrainingJob's request, and the job's document, which holds it: checks beyond the shapes, and readings. Pure."""

from __future__ import annotations

from typing import Any

from localaws.sagemaker.containers import image_table, streams, torch_distributed
from localaws.sagemaker.containers.channels import locate
from localaws.sagemaker.containers.opt_ml import OPT_ML, refuse_outside
from localaws.sagemaker.containers.script_mode import EntryPointError, check_entry_point, decode
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.unsupported import Refusal, always, other_than, refuse, truthy
from localaws.sagemaker.debugger import debugger_request, profiler_request
from localaws.sagemaker.jobs import hosts, training_channels, warm_pools
from localaws.sagemaker.jobs.training_metrics import check_definitions

DEFAULT_MAX_RUNTIME = 86_400  # seconds: "The default value is 1 day." (StoppingCondition)
_CHANNEL_DEFAULTS = {"CompressionType": "None", "RecordWrapperType": "None"}  # as DescribeTrainingJob answers them
_CHECKPOINTS = "/opt/ml/checkpoints"  # CheckpointConfig.LocalPath's default

_ONLY_ARGUMENTS = "AlgorithmSpecification.ContainerArguments without ContainerEntrypoint"

_REFUSED: dict[str, Refusal] = {
    "AlgorithmSpecification.AlgorithmName": always,
    "AlgorithmSpecification.TrainingImageConfig": always,
    "DebugRuleConfigurations[].LocalPath": always,
    "DebugRuleConfigurations[].S3OutputPath": always,
    "ProfilerRuleConfigurations": truthy,
    "TensorBoardOutputConfig": always,
    "ExperimentConfig": truthy,
    "RemoteDebugConfig.EnableRemoteDebug": truthy,
    "InfraCheckConfig.EnableInfraCheck": truthy,
    "SessionChainingConfig.EnableSessionTagChaining": truthy,
    "ServerlessJobConfig": always,
    "MlflowConfig": always,
    "ModelPackageConfig": always,
    "ResourceConfig.InstanceGroups": truthy,
    "ResourceConfig.InstancePreferences": truthy,
    "ResourceConfig.InstancePlacementConfig": always,
    "ResourceConfig.TrainingPlanArn": always,
    "StoppingCondition.MaxPendingTimeInSeconds": always,
    "InputDataConfig[].CompressionType": other_than("None"),
    "InputDataConfig[].DataSource.FileSystemDataSource": always,
    "InputDataConfig[].DataSource.DatasetSource": always,
    "InputDataConfig[].DataSource.S3DataSource.S3DataType": other_than("S3Prefix", "ManifestFile", streams.AUGMENTED),
    "InputDataConfig[].DataSource.S3DataSource.InstanceGroupNames": truthy,
    "InputDataConfig[].DataSource.S3DataSource.ModelAccessConfig": always,
    "InputDataConfig[].DataSource.S3DataSource.HubAccessConfig": always,
}
# Hyperparameters by which a framework container distributes training or writes to S3 on its own.
_REFUSED_HYPERPARAMETERS = (
    "sagemaker_s3_output", "sagemaker_mpi_enabled", "sagemaker_parameter_server_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled", "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_distributed_dataparallel_enabled", "sagemaker_pytorch_ddp_enabled",
)  # fmt: skip


def check(request: Document) -> None:
    """Raise what AWS raises, or "not supported here", for a request that fits its shape."""
    refuse(request, _REFUSED)
    _check_resources(request)
    warm_pools.check(request)
    _check_stopping_condition(request)
    training_channels.check(request)
    _check_program(request)
    check_definitions(request["AlgorithmSpecification"].get("MetricDefinitions", []))
    locate(request["OutputDataConfig"]["S3OutputPath"], "OutputDataConfig.S3OutputPath")
    if (checkpoints := checkpoint_path(request)) is not None:
        locate(request["CheckpointConfig"]["S3Uri"], "CheckpointConfig.S3Uri")
        refuse_outside(checkpoints, "CheckpointConfig.LocalPath")
    debugger_request.check(request)
    profiler_request.check(request)


def description(request: Document, arn: str) -> Document:
    """The new job's Describe document, but for its status: the request, with AWS's defaults."""
    described = {key: value for key, value in request.items() if key != "Tags"}
    described["TrainingJobArn"] = arn
    described["StoppingCondition"] = {
        "MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME,
        **request.get("StoppingCondition", {}),
    }
    for member in ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining"):
        described.setdefault(member, False)
    # SDK 2's Estimator.attach reads the key's id unasked.
    described["OutputDataConfig"] = {"KmsKeyId": "", **request["OutputDataConfig"]}
    if "InputDataConfig" in request:
        described["InputDataConfig"] = [{**_CHANNEL_DEFAULTS, **channel} for channel in request["InputDataConfig"]]
    described["ProfilingStatus"] = profiler_request.status(request)
    return described


def checkpoint_path(request: Document) -> str | None:
    """Where the job finds and leaves its checkpoints, None without CheckpointConfig."""
    config = request.get("CheckpointConfig")
    return None if config is None else str(config.get("LocalPath", _CHECKPOINTS)).rstrip("/")


def own_command(request: Document) -> list[str]:
    """The container's command that the request says; none where it leaves that to the image, which runs `train`."""
    algorithm = request["AlgorithmSpecification"]
    return [*algorithm.get("ContainerEntrypoint", []), *algorithm.get("ContainerArguments", [])]


def is_script_mode(request: Document) -> bool:
    """Whether the image's `train` has a script to run."""
    return "sagemaker_program" in request.get("HyperParameters", {})


def remarks(request: Document) -> list[str]:
    """A line for the job's log about every member that is accepted and means nothing on this machine."""
    notes = {
        "EnableInterContainerTrafficEncryption": "EnableInterContainerTrafficEncryption has no effect here: what "
        "hosts say to each other doesn't leave this machine.",
        "VpcConfig": "VpcConfig has no effect here: the job runs on this machine's network.",
        "RetryStrategy": "RetryStrategy has no effect here: a job that this machine cuts off is reported, not retried.",
        "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries": "The metrics' time series is in CloudWatch only.",
        "ResourceConfig.VolumeKmsKeyId": "VolumeKmsKeyId has no effect here: the disk is this machine's.",
    }
    said = [note for path, note in notes.items() if _get(request, path)]
    if training_channels.FAST_FILE in training_channels.modes(request):
        said.append("FastFile channels are complete before the job starts here, not streamed.")
    if profiler_request.is_on(request):
        said.append(profiler_request.NOTHING_MEASURED)
    return said


def _check_resources(request: Document) -> None:
    resources = request.get("ResourceConfig", {})
    for member in ("InstanceType", "InstanceCount", "VolumeSizeInGB"):
        if not resources.get(member) and not (member == "InstanceCount" and member in resources):
            path = f"resourceConfig.{member[0].lower()}{member[1:]}"
            told = f"Value null at '{path}' failed to satisfy constraint: Member must not be null"
            raise errors.validation(f"1 validation error detected: {told}")
    hosts.check_count(resources["InstanceCount"], "resourceConfig.instanceCount", "training job")


def _check_stopping_condition(request: Document) -> None:
    condition = request.get("StoppingCondition", {})
    max_wait = condition.get("MaxWaitTimeInSeconds")
    max_runtime = condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)
    if request.get("EnableManagedSpotTraining"):
        if max_wait is None:
            raise errors.validation("MaxWaitTimeInSeconds is required when EnableManagedSpotTraining is True.")
        if max_wait < max_runtime:
            raise errors.validation(
                f"Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds "
                f"({max_wait} < {max_runtime})."
            )
    elif max_wait is not None:
        raise errors.validation("MaxWaitTimeInSeconds above 0 is not allowed when EnableManagedSpotTraining is False.")


def _check_program(request: Document) -> None:
    algorithm, hyperparameters = request["AlgorithmSpecification"], request.get("HyperParameters", {})
    if image_table.is_own(algorithm["TrainingImage"]):
        if "ContainerArguments" in algorithm and "ContainerEntrypoint" not in algorithm:
            raise errors.not_supported(_ONLY_ARGUMENTS)
        return  # what its hyperparameters mean is the image's
    for name in _REFUSED_HYPERPARAMETERS:
        if decode(hyperparameters.get(name, "false")):
            raise errors.not_supported(f"hyperparameter {name}")
    _check_distribution(request)
    if "ContainerEntrypoint" in algorithm:
        return
    if "CA_REPOSITORY_ARN" in request.get("Environment", {}):
        raise errors.not_supported("Environment.CA_REPOSITORY_ARN: there is no CodeArtifact here to install from")
    if "ContainerArguments" in algorithm:
        raise errors.not_supported(_ONLY_ARGUMENTS)
    check_script_mode(hyperparameters)


def _check_distribution(request: Document) -> None:
    """Refuse torchrun for an image whose container has none."""
    name, image = torch_distributed.ENABLED, request["AlgorithmSpecification"]["TrainingImage"]
    if not decode(request.get("HyperParameters", {}).get(name, "false")):
        return
    module = image_table.training_module(image)
    if module is not None and not torch_distributed.is_pytorch(module):
        raise errors.not_supported(f"hyperparameter {name} with an image that isn't PyTorch's: {image}")


def check_script_mode(hyperparameters: dict[str, str]) -> None:
    """Raise what is wrong with the hyperparameters by which an image's `train` finds the script."""
    program = hyperparameters.get("sagemaker_program")
    if program is None:
        raise errors.not_supported(
            "a training job without the hyperparameter sagemaker_program (script mode) or "
            "AlgorithmSpecification.ContainerEntrypoint; the built-in algorithms aren't here"
        )
    try:
        check_entry_point(decode(program))
    except EntryPointError as error:
        raise errors.validation(str(error)) from error
    directory = decode(hyperparameters.get("sagemaker_submit_directory", "null"))
    if not isinstance(directory, str):
        raise errors.validation(
            "hyperparameter sagemaker_submit_directory must name the source archive, for example "
            '"s3://bucket/key/sourcedir.tar.gz"'
        )
    if not directory.startswith(OPT_ML):
        locate(directory, "hyperparameter sagemaker_submit_directory")


def _get(document: Document, path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
