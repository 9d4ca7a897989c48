"""A SageMaker request as it arrives at the adapter: parsed once, and about which resources."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localaws.ministack_adapter import sagemaker_requests
from localaws.ministack_adapter.sagemaker_requests import document_of, operation_of, resource_arns

PREFIX = "arn:aws:sagemaker:us-east-1:000000000000"


def arns(operation: str, **request: Any) -> list[str]:
    return resource_arns("us-east-1", "000000000000", operation, request)


@pytest.mark.parametrize(
    ("operation", "request_", "about"),
    [
        ("CreateTrainingJob", {"TrainingJobName": "t", "RoleArn": "arn:aws:iam::0:role/r"}, ["training-job/t"]),
        ("StopProcessingJob", {"ProcessingJobName": "p"}, ["processing-job/p"]),
        ("CreateTransformJob", {"TransformJobName": "t", "ModelName": "m"}, ["transform-job/t"]),
        ("CreateEndpoint", {"EndpointName": "e", "EndpointConfigName": "c"}, ["endpoint/e", "endpoint-config/c"]),
        ("DescribeModelPackage", {"ModelPackageName": f"{PREFIX}:model-package/m/1"}, ["model-package/m/1"]),
        ("UpdateModelPackage", {"ModelPackageArn": f"{PREFIX}:model-package/m/1"}, ["model-package/m/1"]),
        ("CreateModelPackage", {"ModelPackageGroupName": "g"}, ["model-package/g/*"]),
        ("CreateModelPackage", {"ModelPackageGroupName": f"{PREFIX}:model-package-group/g"}, ["model-package/g/*"]),
        ("AddTags", {"ResourceArn": f"{PREFIX}:model/m", "Tags": []}, ["model/m"]),
    ],
)
def test_a_request_is_about_what_it_names(operation: str, request_: dict[str, Any], about: list[str]) -> None:
    assert arns(operation, **request_) == [f"{PREFIX}:{resource}" for resource in about]


def test_lists_and_requests_that_name_nothing_are_about_everything() -> None:
    assert arns("ListTrainingJobs", NameContains="x") == ["*"]
    assert arns("ListModelPackages", ModelPackageGroupName="g") == ["*"]
    assert arns("Search", Resource="TrainingJob") == ["*"]


def test_the_operation_is_in_the_target() -> None:
    assert operation_of({"x-amz-target": "SageMaker.CreateModel"}) == "CreateModel"
    assert operation_of({}) == ""


def test_a_body_is_parsed_once_however_many_look_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []
    loads = json.loads
    monkeypatch.setattr(sagemaker_requests.json, "loads", lambda body: parsed.append(body) or loads(body))
    first, second = b'{"ModelName": "m"}', b'{"ModelName": "n"}'
    assert [document_of(first) for _ in range(3)] == [{"ModelName": "m"}] * 3
    assert document_of(second) == {"ModelName": "n"}
    assert parsed == [first, second]


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff\xfe", b"7"])
def test_what_is_no_json_object_is_no_request(body: bytes) -> None:
    assert document_of(body) is None


def test_an_empty_body_is_an_empty_request() -> None:
    assert document_of(b"") == {}
