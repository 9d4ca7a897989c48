"""CreateTransformJob's request, and the job's document, which holds it: checks and readings. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localaws.sagemaker.containers.channels import locate
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.unsupported import Refusal, always, refuse, truthy
from localaws.sagemaker.jobs import transform_data
from localaws.sagemaker.jobs.transform_records import MULTI, SINGLE

MIB = 1024 * 1024
MAX_PAYLOAD = 100  # MB of one request, and of all requests that an instance has at once (CreateTransformJob)
DEFAULT_PAYLOAD, DEFAULT_CONCURRENT = 6, 1  # CreateTransformJob
DEFAULT_TIMEOUT, DEFAULT_RETRIES = 600, 3  # ModelClientConfig
_MAX_INSTANCES = 100  # TransformResources
# How a container is told the strategy, and tells it ("Use Your Own Inference Code with Batch Transform").
_STRATEGIES = {"SINGLE_RECORD": SINGLE, "MULTI_RECORD": MULTI}

_REFUSED: dict[str, Refusal] = {
    "ExperimentConfig": truthy,
    "DataCaptureConfig": always,
    "TransformInput.DataSource.S3DataSource.S3DataType": lambda value: value not in ("S3Prefix", "ManifestFile"),
    "TransformResources.TransformAmiVersion": always,
    "MaxPayloadInMB": lambda value: value == 0,
}


@dataclass(frozen=True)
class Pace:
    """How records are sent: so many requests at once to an instance, of so many MB, with one record or many."""

    concurrent: int
    payload: int
    strategy: str

    @property
    def limit(self) -> int:
        """Bytes of one request's body."""
        return self.payload * MIB

    def __str__(self) -> str:
        word = next(word for word, strategy in _STRATEGIES.items() if strategy == self.strategy)
        return f"MaxConcurrentTransforms={self.concurrent}, MaxPayloadInMB={self.payload}, BatchStrategy={word}"


def check(request: Document) -> None:
    """Raise what AWS raises, or "not supported here", for a request that fits its shape."""
    refuse(request, _REFUSED)
    source, output = request["TransformInput"]["DataSource"]["S3DataSource"], request["TransformOutput"]
    locate(source["S3Uri"], "TransformInput.DataSource.S3DataSource.S3Uri")
    locate(output["S3OutputPath"], "TransformOutput.S3OutputPath")
    count = request["TransformResources"]["InstanceCount"]
    if count > _MAX_INSTANCES:
        raise errors.validation(f"TransformResources.InstanceCount is {count}; it can be {_MAX_INSTANCES} at most.")
    _check_payload(request)
    _check_strategy(request)
    transform_data.processing_of(request)


def _check_payload(request: Document) -> None:
    payload, concurrent = request.get("MaxPayloadInMB", DEFAULT_PAYLOAD), request.get("MaxConcurrentTransforms") or 1
    if payload > MAX_PAYLOAD:
        raise errors.validation(f"MaxPayloadInMB is {payload}; it can be {MAX_PAYLOAD} at most.")
    if payload * concurrent > MAX_PAYLOAD:
        raise errors.validation(
            f"MaxConcurrentTransforms * MaxPayloadInMB is {concurrent} * {payload} = {payload * concurrent}; "
            f"it can be {MAX_PAYLOAD} at most."
        )


def _check_strategy(request: Document) -> None:
    """ "To use only one record when making an HTTP invocation request ..., set SplitType to Line" (BatchStrategy)."""
    strategy, split = request.get("BatchStrategy"), request["TransformInput"].get("SplitType", "None")
    if strategy == SINGLE and split == "None":
        raise errors.validation(
            "BatchStrategy is SingleRecord and TransformInput.SplitType is None: a file that isn't split has no single "
            "records. Set SplitType to Line, RecordIO or TFRecord."
        )


def description(request: Document, arn: str) -> Document:
    """The new job's Describe document, but for its status: the request, with AWS's defaults."""
    described = {key: value for key, value in request.items() if key != "Tags"}
    described["TransformJobArn"] = arn
    described["TransformInput"] = {"CompressionType": "None", "SplitType": "None", **request["TransformInput"]}
    described["TransformOutput"] = {"AssembleWith": "None", **request["TransformOutput"]}
    return described


def variables(document: Document) -> dict[str, str]:
    """What a container is told of its job; what the request leaves open isn't told."""
    told = {"SAGEMAKER_BATCH": "true"}
    if "MaxPayloadInMB" in document:
        told["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(document["MaxPayloadInMB"])
    if document.get("MaxConcurrentTransforms"):
        told["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(document["MaxConcurrentTransforms"])
    for word, strategy in _STRATEGIES.items():
        if document.get("BatchStrategy") == strategy:
            told["SAGEMAKER_BATCH_STRATEGY"] = word
    return told


def said(answer: bytes) -> dict[str, Any]:
    """What a container answered at /execution-parameters. ValueError where it isn't a JSON object."""
    try:
        found = json.loads(answer)
    except ValueError:
        found = answer[:100].decode("utf-8", "replace")
    if not isinstance(found, dict):
        raise ValueError(f"/execution-parameters said {found!r}; it must be a JSON object")
    return found


def pace(document: Document, said: Mapping[str, Any]) -> Pace:
    """The request's settings before those that the container said, before AWS's defaults. ValueError for what a
    container can't say."""
    strategy = document.get("BatchStrategy") or _STRATEGIES.get(str(said.get("BatchStrategy", "MULTI_RECORD")))
    payload = document.get("MaxPayloadInMB", said.get("MaxPayloadInMB", DEFAULT_PAYLOAD))
    concurrent = document.get("MaxConcurrentTransforms") or said.get("MaxConcurrentTransforms", DEFAULT_CONCURRENT)
    if strategy is None or not _is_count(payload) or not _is_count(concurrent) or payload * concurrent > MAX_PAYLOAD:
        raise ValueError(
            f"/execution-parameters said {dict(said)!r}; MaxConcurrentTransforms and MaxPayloadInMB must be whole "
            f"numbers from 1 on, {MAX_PAYLOAD} at most as a product, and BatchStrategy one of {', '.join(_STRATEGIES)}"
        )
    return Pace(concurrent, payload, strategy)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def headers(document: Document) -> dict[str, str]:
    """The headers of every request to a container."""
    given = {
        "Content-Type": document["TransformInput"].get("ContentType"),
        "Accept": document["TransformOutput"].get("Accept"),
    }
    return {name: value for name, value in given.items() if value}


def output_uri(document: Document, name: str) -> str:
    """Where the result of an input file goes; `name` is the file's below its prefix."""
    return f"{document['TransformOutput']['S3OutputPath'].rstrip('/')}/{name}.out"
