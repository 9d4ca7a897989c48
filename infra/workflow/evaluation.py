"""The evaluation job's request (CreateProcessingJob), and the registration of what it judged (CreateModelPackage)."""

from __future__ import annotations

from typing import Any

from contract.files import TEST_CHANNEL
from infra.workflow.names import Names
from infra.workflow.states import expression, jsonata
from infra.workflow.training import job_name, run_folder, tags, vpc
from ratchet.spec import PipelineSpec

Document = dict[str, Any]

VOLUME_GIB = 30
INPUTS = "/opt/ml/processing/input"
OUTPUT = "/opt/ml/processing/output"
RESULT = "evaluation/evaluation.json"

# As SageMaker's own framework processors do: the code arrives as an archive, beside its requirements. An entry point's
# element has at most 256 characters (API reference, AppSpecification), and no braces after a dollar: CloudFormation
# would read those as a substitution.
SCRIPT = (
    'b=$SAGEMAKER_BASE_DIR; [ "$b" ] || b=/opt/ml; cd "$(mktemp -d)"; tar -xzf "$b"/processing/input/code/*; '
    "if [ -f requirements.txt ]; then pip install -qt .p -r requirements.txt; export PYTHONPATH=$PWD/.p; fi; "
    'exec python3 toolkit/evaluate.py "$@"'
)


def processing_job(spec: PipelineSpec, names: Names) -> Document:
    """Challenger and champion answer the held-out examples in the training image; a champion where there is one."""
    request: Document = {
        "ProcessingJobName": job_name(names, "evaluate"),
        "AppSpecification": {
            "ImageUri": names.image_uri,
            "ContainerEntrypoint": ["/bin/sh", "-ec", SCRIPT, "evaluate"],
            "ContainerArguments": arguments(spec),
        },
        "ProcessingInputs": inputs(names),
        "ProcessingOutputConfig": {"Outputs": [output(names)], "KmsKeyId": names.key_arn},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": spec.evaluate.instance,
                "VolumeSizeInGB": VOLUME_GIB,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": spec.evaluate.max_runtime},
        "RoleArn": names.processing_role_arn,
        "Tags": tags(names),
    }
    network = vpc(names)
    return {**request, "NetworkConfig": {"VpcConfig": network}} if network else request


def arguments(spec: PipelineSpec) -> list[str]:
    """What toolkit/evaluate.py is told."""
    options = {"metric": spec.gate.metric, "label": spec.evaluate.label, "confidence": spec.gate.confidence}
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def inputs(names: Names) -> str:
    """The job's inputs, as one expression: the champion's is there when there is a champion."""
    always = [
        s3_input("code", names.code_s3_uri),
        s3_input("test", expression(f'$lookup($plan.data.manifests, "{TEST_CHANNEL}")'), kind="ManifestFile"),
        s3_input("challenger", expression("$training.model_data")),
    ]
    champion = [s3_input("champion", expression("$plan.champion.model_data"))]
    return expression(f"$append({jsonata(always)}, $exists($plan.champion.model_data) ? {jsonata(champion)} : [])")


def s3_input(name: str, uri: str, kind: str = "S3Prefix") -> Document:
    s3: Document = {"S3Uri": uri, "LocalPath": f"{INPUTS}/{name}", "S3DataType": kind, "S3InputMode": "File"}
    return {"InputName": name, "S3Input": s3}


def output(names: Names) -> Document:
    return {
        "OutputName": "evaluation",
        "S3Output": {
            "S3Uri": run_folder(names, RESULT.rpartition("/")[0]),
            "LocalPath": OUTPUT,
            "S3UploadMode": "EndOfJob",
        },
    }


def model_package(names: Names) -> Document:
    """The challenger as a version of the pipeline's model package group, with its evaluation and the gate's decision.

    The run id as ClientToken makes a retry register the same version. Manual approval would register it as
    PendingManualApproval.
    """
    return {
        "ModelPackageGroupName": names.model_package_group,
        "ModelPackageDescription": expression("$substring($decision.reason, 0, 1024)"),
        "InferenceSpecification": {
            "Containers": [{"Image": names.hosting_image_uri, "ModelDataUrl": expression("$training.model_data")}],
            "SupportedContentTypes": ["text/csv", "application/json", "application/x-npy"],
            "SupportedResponseMIMETypes": ["text/csv", "application/json", "application/x-npy"],
        },
        "ModelApprovalStatus": expression("$decision.promote ? 'Approved' : 'Rejected'"),
        "ModelMetrics": {
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": run_folder(names, RESULT)}}
        },
        "CustomerMetadataProperties": {
            "run_id": expression("$run.run_id"),
            "fingerprint": expression("$plan.fingerprint"),
            "metric": expression("$decision.metric"),
            "score": expression("$string($decision.score)"),
        },
        "ClientToken": expression("$run.run_id"),
    }
