"""The model registry through boto3: groups, versions, approvals, and models made from packages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hosting_kit import Hosting, echo_archive
from image_uris import SKLEARN
from refusals import refusal
from running_aws import Aws
from waiting import until

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture(scope="module")
def hosting(aws: Aws) -> Hosting:
    return Hosting(aws)


def specification(data: str = "s3://bucket/model.tar.gz", **container: Any) -> dict[str, Any]:
    return {
        "Containers": [{"Image": SKLEARN, "ModelDataUrl": data, **container}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["text/csv"],
    }


def group(hosting: Hosting, part: str) -> str:
    name = hosting.name(part)
    hosting.sagemaker.create_model_package_group(ModelPackageGroupName=name, ModelPackageGroupDescription="digits")
    return name


def package(hosting: Hosting, group_name: str, **more: Any) -> str:
    request = {"ModelPackageGroupName": group_name, "InferenceSpecification": specification(), **more}
    return str(hosting.sagemaker.create_model_package(**request)["ModelPackageArn"])


@pytest.mark.fidelity(
    "Model registry",
    "Versions of a group count up and are never given twice.",
    "SageMaker DG, Model Registry: Register a Model Version",
)
def test_versions_count_up_and_are_never_given_twice(hosting: Hosting) -> None:
    name = group(hosting, "versions")
    arns = [package(hosting, name) for _ in range(3)]
    assert arns == [f"{ARN}:model-package/{name}/{version}" for version in (1, 2, 3)]
    hosting.sagemaker.delete_model_package(ModelPackageName=arns[2])
    assert package(hosting, name).endswith("/4")
    listed = hosting.sagemaker.list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]
    assert [item["ModelPackageVersion"] for item in listed] == [4, 2, 1]
    assert "ModelPackageName" not in listed[0], "a versioned package is named by its ARN"


@pytest.mark.fidelity(
    "Model registry",
    "A package is described by its ARN, with group, version, approval, metrics and metadata.",
    "SageMaker API, DescribeModelPackage",
)
def test_a_package_tells_what_was_registered(hosting: Hosting) -> None:
    name = group(hosting, "described")
    metrics = {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://b/evaluation.json"}}}
    arn = package(
        hosting, name, ModelApprovalStatus="Approved", CustomerMetadataProperties={"score": "0.97"},
        ModelMetrics=metrics, ModelPackageDescription="run 1",
    )  # fmt: skip
    for reference in (arn, f"{name}/1"):
        found = hosting.sagemaker.describe_model_package(ModelPackageName=reference)
        assert found["ModelPackageArn"] == arn
        assert (found["ModelPackageGroupName"], found["ModelPackageVersion"]) == (name, 1)
        assert (found["ModelPackageStatus"], found["ModelApprovalStatus"]) == ("Completed", "Approved")
        assert found["ModelMetrics"] == metrics
        assert found["CustomerMetadataProperties"] == {"score": "0.97"}
        assert found["InferenceSpecification"]["Containers"][0]["Image"] == SKLEARN


@pytest.mark.fidelity(
    "Model registry",
    "A package waits as PendingManualApproval; UpdateModelPackage approves it and changes or removes metadata.",
    "SageMaker API, UpdateModelPackage",
)
@pytest.mark.fidelity(
    "EventBridge",
    "SageMaker Model Package State Change names the package and its UpdatedModelPackageFields.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge",
)
def test_an_approval_changes_the_package_and_is_an_event(hosting: Hosting) -> None:
    name = group(hosting, "approval")
    events, sqs = hosting.aws.client("events"), hosting.aws.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:*", "Resource": queue}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    detail = {"ModelPackageGroupName": [name], "ModelApprovalStatus": ["Approved"]}
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model Package State Change"], "detail": detail}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue}])

    arn = package(hosting, name, CustomerMetadataProperties={"a": "1", "b": "2"})
    assert hosting.sagemaker.describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"] == (
        "PendingManualApproval"
    )
    hosting.sagemaker.update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="looks good",
        CustomerMetadataProperties={"c": "3"}, CustomerMetadataPropertiesToRemove=["a"],
    )  # fmt: skip
    after = hosting.sagemaker.describe_model_package(ModelPackageName=arn)
    assert (after["ModelApprovalStatus"], after["ApprovalDescription"]) == ("Approved", "looks good")
    assert after["CustomerMetadataProperties"] == {"b": "2", "c": "3"}
    assert after["LastModifiedTime"] >= after["CreationTime"]
    message = until(lambda: sqs.receive_message(QueueUrl=url).get("Messages"), "the event")[0]
    event = json.loads(message["Body"])
    assert event["resources"] == [arn]
    assert event["detail"]["ModelPackageVersion"] == 1
    assert event["detail"]["CreationTime"].endswith("Z")
    assert event["detail"]["UpdatedModelPackageFields"] == [
        "ApprovalDescription", "CustomerMetadataProperties", "ModelApprovalStatus",
    ]  # fmt: skip


@pytest.mark.fidelity(
    "Model registry",
    "ListModelPackages gives unversioned packages unless a group or type is asked for.",
    "SageMaker API, ListModelPackages: ModelPackageType",
)
def test_packages_are_filtered_by_approval_and_kind(hosting: Hosting) -> None:
    name = group(hosting, "filtered")
    package(hosting, name, ModelApprovalStatus="Rejected")
    approved = package(hosting, name, ModelApprovalStatus="Approved")
    lone = hosting.name("unversioned")
    hosting.sagemaker.create_model_package(ModelPackageName=lone, InferenceSpecification=specification())

    def listed(**request: Any) -> list[str]:
        found = hosting.sagemaker.list_model_packages(**request)["ModelPackageSummaryList"]
        return [item["ModelPackageArn"] for item in found]

    assert listed(ModelPackageGroupName=name, ModelApprovalStatus="Approved") == [approved]
    assert f"{ARN}:model-package/{lone}" in listed(NameContains=lone)
    assert approved not in listed(MaxResults=100), "unversioned ones by default"
    assert listed(ModelPackageGroupName=f"{ARN}:model-package-group/{name}", MaxResults=1) == [approved]


@pytest.mark.fidelity(
    "Model registry",
    "One ClientToken makes one version.",
    "SageMaker API, CreateModelPackage: ClientToken",
)
def test_a_retried_create_makes_one_version(hosting: Hosting) -> None:
    name = group(hosting, "retried")
    arns = {package(hosting, name, ClientToken=f"once-{hosting.suffix}") for _ in range(3)}
    assert len(arns) == 1


@pytest.mark.fidelity(
    "Model registry",
    "A group with packages isn't deleted: ConflictException.",
    "SageMaker API, DeleteModelPackageGroup: errors",
)
def test_a_group_goes_when_it_is_empty(hosting: Hosting) -> None:
    name = group(hosting, "emptied")
    arn = package(hosting, name)
    found = hosting.sagemaker.describe_model_package_group(ModelPackageGroupName=name)
    assert (found["ModelPackageGroupStatus"], found["ModelPackageGroupDescription"]) == ("Completed", "digits")
    assert "LastVersion" not in found
    assert refusal(hosting.sagemaker.delete_model_package_group, ModelPackageGroupName=name)[0] == "ConflictException"
    hosting.sagemaker.delete_model_package(ModelPackageName=arn)
    hosting.sagemaker.delete_model_package_group(ModelPackageGroupName=name)
    names = hosting.sagemaker.list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"]
    assert names == []


@pytest.mark.fidelity(
    "Model registry",
    "Model Package Group already exists: <arn>, a ValidationException.",
    "SageMaker API, CreateModelPackageGroup; its ValidationException as users quote it",
)
def test_what_doesnt_fit_is_refused_in_awss_words(hosting: Hosting) -> None:
    name = group(hosting, "refusals")
    sagemaker, valid = hosting.sagemaker, {"InferenceSpecification": specification()}
    assert refusal(sagemaker.create_model_package_group, ModelPackageGroupName=name) == (
        "ValidationException", f"Model Package Group already exists: {ARN}:model-package-group/{name}",
    )  # fmt: skip
    for call in (sagemaker.describe_model_package_group, sagemaker.delete_model_package_group):
        assert refusal(call, ModelPackageGroupName="nope") == (
            "ValidationException", f"ModelPackageGroup {ARN}:model-package-group/nope does not exist.",
        )  # fmt: skip
    for call in (sagemaker.describe_model_package, sagemaker.delete_model_package):
        assert refusal(call, ModelPackageName=f"{name}/9") == (
            "ValidationException", f"ModelPackage {ARN}:model-package/{name}/9 does not exist.",
        )  # fmt: skip
    assert "does not exist" in refusal(sagemaker.create_model_package, ModelPackageGroupName="nope", **valid)[1]
    assert refusal(sagemaker.create_model_package, **valid)[1] == "Missing ARN."
    both = {"ModelPackageGroupName": name, "ModelPackageName": "too", **valid}
    assert refusal(sagemaker.create_model_package, **both)[1].startswith("Both ModelPackageName and")
    card = {"ModelPackageGroupName": name, "ModelCard": {"ModelCardContent": "a", "ModelCardStatus": "Draft"}, **valid}
    assert "must be a JSON object" in refusal(sagemaker.create_model_package, **card)[1]


@pytest.mark.fidelity(
    "Models",
    "A model package keeps the model card that it is given, and an update replaces it.",
    "API reference: CreateModelPackage, UpdateModelPackage, DescribeModelPackage: ModelCard",
)
def test_a_model_card_is_kept(hosting: Hosting) -> None:
    card = {"ModelCardContent": '{"model_overview": {}}', "ModelCardStatus": "Draft"}
    arn = package(hosting, group(hosting, "carded"), ModelCard=card)
    assert hosting.sagemaker.describe_model_package(ModelPackageName=arn)["ModelCard"] == card
    card["ModelCardStatus"] = "Approved"
    hosting.sagemaker.update_model_package(ModelPackageArn=arn, ModelCard=card)
    assert hosting.sagemaker.describe_model_package(ModelPackageName=arn)["ModelCard"] == card


@pytest.mark.fidelity(
    "Models",
    "Search finds model packages and their groups by property and tag, newest first, in pages; each result is under "
    "its resource's name, with its tags.",
    "API reference: Search",
)
def test_groups_and_packages_are_found_by_search(hosting: Hosting) -> None:
    name = group(hosting, "sought")
    arns = [package(hosting, name) for _ in range(3)]
    hosting.sagemaker.update_model_package(ModelPackageArn=arns[0], ModelApprovalStatus="Approved")

    def sought(resource: str, *filters: tuple[str, str], **more: Any) -> dict[str, Any]:
        listed = [{"Name": of, "Operator": "Equals", "Value": value} for of, value in filters]
        return dict(hosting.sagemaker.search(Resource=resource, SearchExpression={"Filters": listed}, **more))

    [found] = sought("ModelPackageGroup", ("ModelPackageGroupName", name))["Results"]
    assert found["ModelPackageGroup"]["ModelPackageGroupArn"] == f"{ARN}:model-package-group/{name}"
    ours = ("ModelPackageGroupName", name)
    first = sought("ModelPackage", ours, MaxResults=2)
    assert first["TotalHits"] == {"Value": 3, "Relation": "EqualTo"}
    rest = sought("ModelPackage", ours, MaxResults=2, NextToken=first["NextToken"])
    ordered = [result["ModelPackage"]["ModelPackageArn"] for result in first["Results"] + rest["Results"]]
    assert ordered == [arns[0], arns[2], arns[1]], "by LastModifiedTime"
    [approved] = sought("ModelPackage", ours, ("ModelApprovalStatus", "Approved"))["Results"]
    assert approved["ModelPackage"]["ModelPackageArn"] == arns[0]
    assert refusal(hosting.sagemaker.search, Resource="Experiment")[1] == "not supported here: Resource = 'Experiment'"


@pytest.mark.fidelity(
    "Model registry",
    "A model of a package that isn't approved is refused.",
    "SageMaker DG, Model Registry: Update the Approval Status of a Model",
)
def test_an_approved_package_can_be_deployed_and_no_other(hosting: Hosting) -> None:
    name = group(hosting, "deployed")
    hosting.s3.put_object(Bucket=hosting.bucket, Key="package.tar.gz", Body=echo_archive("packaged"))
    inside = specification(f"s3://{hosting.bucket}/package.tar.gz", Environment={"SAGEMAKER_PROGRAM": "serve.py"})
    arn = package(hosting, name, InferenceSpecification=inside)
    request = {
        "ModelName": hosting.name("packaged"),
        "PrimaryContainer": {"ModelPackageName": arn},
        "ExecutionRoleArn": hosting.role,
    }
    code, message = refusal(hosting.sagemaker.create_model, **request)
    assert (code, message) == (
        "ValidationException",
        f"ModelPackage {arn} is not approved: it is PendingManualApproval.",
    )
    hosting.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    hosting.sagemaker.create_model(**request)
    config = hosting.config("packaged", {"ModelName": hosting.name("packaged")})
    hosting.sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config)
    assert hosting.settled(config)["EndpointStatus"] == "InService"
    assert hosting.ask(config)["body"]["model"] == "packaged"
