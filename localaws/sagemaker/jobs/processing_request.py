"""CreateProcessingJob's request, and the job's document, which holds it: checks and readings. Pure."""

from __future__ import annotations

from pathlib import Path

from localaws.sagemaker.containers import image_table
from localaws.sagemaker.containers.channels import SHARDED, Source, locate, overlapping
from localaws.sagemaker.containers.opt_ml import located
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.unsupported import Refusal, always, other_than, refuse, truthy
from localaws.sagemaker.jobs import hosts

DEFAULT_MAX_RUNTIME = 86_400  # seconds (ProcessingStoppingCondition)
_ROOT = "/opt/ml/processing/"

_REFUSED: dict[str, Refusal] = {
    "ExperimentConfig": truthy,
    "ProcessingResources.ClusterConfig.InstancePreferences": truthy,
    "ProcessingInputs[].AppManaged": truthy,
    "ProcessingInputs[].DatasetDefinition": always,
    "ProcessingInputs[].S3Input.S3InputMode": other_than("File"),
    "ProcessingInputs[].S3Input.S3CompressionType": other_than("None"),
    "ProcessingOutputConfig.Outputs[].AppManaged": truthy,
    "ProcessingOutputConfig.Outputs[].FeatureStoreOutput": always,
}


def check(request: Document) -> None:
    """Raise what AWS raises, or "not supported here", for a request that fits its shape."""
    refuse(request, _REFUSED)
    application = request["AppSpecification"]
    if "ContainerEntrypoint" not in application and not image_table.is_own(application["ImageUri"]):
        raise errors.not_supported("AppSpecification without ContainerEntrypoint: say what the container runs")
    cluster = request["ProcessingResources"].get("ClusterConfig", {})
    for member in ("InstanceType", "InstanceCount"):
        if cluster.get(member) in (None, ""):
            raise errors.validation(f"ProcessingResources.ClusterConfig.{member} is required")
    hosts.check_count(cluster["InstanceCount"], "processingResources.clusterConfig.instanceCount", "processing job")
    _check_inputs(request)
    _check_outputs(request)


def sources(request: Document, ml: Path) -> list[Source]:
    """The inputs, each in its directory; `ml` is what the container sees as /opt/ml."""
    return [
        Source(
            item["InputName"],
            item["S3Input"]["S3DataType"],
            item["S3Input"]["S3Uri"],
            located(item["S3Input"]["LocalPath"], ml),
            item["S3Input"].get("S3DataDistributionType") == SHARDED,
        )
        for item in request.get("ProcessingInputs", [])
    ]


def outputs(request: Document) -> list[Document]:
    """The outputs' S3Output documents."""
    return [item["S3Output"] for item in request.get("ProcessingOutputConfig", {}).get("Outputs", [])]


def kms_key(request: Document) -> str | None:
    """The key that encrypts the outputs, None without one."""
    key: str | None = request.get("ProcessingOutputConfig", {}).get("KmsKeyId")
    return key


def output_directory(output: Document, ml: Path) -> Path:
    """Where an output's files are; `ml` is what the container sees as /opt/ml."""
    return located(output["LocalPath"], ml)


def description(request: Document, arn: str) -> Document:
    """The new job's Describe document, but for its status: the request, with AWS's defaults."""
    described = {key: value for key, value in request.items() if key != "Tags"}
    described["ProcessingJobArn"] = arn
    condition = request.get("StoppingCondition", {})
    described["StoppingCondition"] = {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME, **condition}
    return described


def is_isolated(request: Document) -> bool:
    """Whether the job asks for no network."""
    return bool(request.get("NetworkConfig", {}).get("EnableNetworkIsolation"))


def remarks(request: Document) -> list[str]:
    """A line for the job's log about every member that is accepted and means nothing on this machine."""
    said = []
    if request.get("NetworkConfig", {}).get("VpcConfig"):
        said.append("VpcConfig has no effect here: the job runs on this machine's network.")
    if request["ProcessingResources"]["ClusterConfig"].get("VolumeKmsKeyId"):
        said.append("VolumeKmsKeyId has no effect here: the disk is this machine's.")
    return said


def _check_inputs(request: Document) -> None:
    names: set[str] = set()
    for item in request.get("ProcessingInputs", []):
        name = item["InputName"]
        if name in names:
            raise errors.validation(f"Processing input names must be unique: {name}")
        names.add(name)
        if "S3Input" not in item:
            raise errors.validation(f"Processing input {name} has no S3Input")
        _check_complete(name, item["S3Input"])
        _check_local_path(item["S3Input"].get("LocalPath"), f"processing input {name}")
    clash = overlapping(sources(request, Path()))
    if clash:
        raise errors.validation(f"Processing input {clash} has the LocalPath of another input; paths must be unique")


def _check_complete(name: str, s3_input: Document) -> None:
    """Members that the shape leaves open, since an app-managed input needs none of them (ProcessingS3Input)."""
    if "LocalPath" not in s3_input or "S3InputMode" not in s3_input:
        raise errors.validation(
            f"Input {name} missing one or more required fields for SageMaker-managed S3Input: "
            '"LocalPath", "S3DownloadMode", "S3InputMode"'
        )


def _check_outputs(request: Document) -> None:
    names: set[str] = set()
    for item in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
        name = item["OutputName"]
        if name in names:
            raise errors.validation(f"Processing output names must be unique: {name}")
        names.add(name)
        if "S3Output" not in item:
            raise errors.validation(f"Processing output {name} has no S3Output")
        _check_local_path(item["S3Output"].get("LocalPath"), f"processing output {name}")
        locate(item["S3Output"]["S3Uri"], f"the S3Uri of processing output {name}")


def _check_local_path(path: str | None, what: str) -> None:
    """ "LocalPath is an absolute path ... and must begin with /opt/ml/processing/." (ProcessingS3Input)."""
    if path is None or not path.startswith(_ROOT) or ".." in path.split("/"):
        raise errors.validation(f"LocalPath of {what} must begin with {_ROOT}, not {path!r}")
