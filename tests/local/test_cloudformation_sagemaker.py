"""AWS::SageMaker::* in stacks: references, replacement, update in place, failure and deletion."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hosting_kit import ECHO, Hosting, echo_archive
from image_uris import SKLEARN
from resources import unique
from stacks import attribute, ref, resource, stack

BROKEN = ECHO.replace("return pathlib", "raise RuntimeError('no such model'); return pathlib")


@pytest.fixture(scope="module")
def hosting(aws: Any) -> Hosting:
    return Hosting(aws)


def uploaded(hosting: Hosting, name: str, serve: str = ECHO) -> str:
    key = f"{unique(name)}/model.tar.gz"
    hosting.s3.put_object(Bucket=hosting.bucket, Key=key, Body=echo_archive(name, serve))
    return f"s3://{hosting.bucket}/{key}"


# As parameters of a template have it: every number is a string.
CANARY = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": "50"},
            "WaitIntervalInSeconds": "0",
        },
        "TerminationWaitInSeconds": "0",
    }
}


def resources(hosting: Hosting, data: str, endpoint: str, **more: Any) -> dict[str, Any]:
    container = {"Image": SKLEARN, "ModelDataUrl": data, "Environment": {"SAGEMAKER_PROGRAM": "serve.py"}}
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": attribute("Model", "ModelName"),
        "InitialInstanceCount": "1",
        "InitialVariantWeight": "1.0",
        "InstanceType": "ml.m5.large",
    }
    return {
        "Model": resource("AWS::SageMaker::Model", ExecutionRoleArn=hosting.role, PrimaryContainer=container),
        "Config": resource("AWS::SageMaker::EndpointConfig", ProductionVariants=[variant]),
        "Endpoint": resource(
            "AWS::SageMaker::Endpoint",
            EndpointName=endpoint,
            EndpointConfigName=attribute("Config", "EndpointConfigName"),
            **more,
        ),
    }


@pytest.mark.fidelity(
    "CloudFormation",
    "Models and configurations are replaced, an endpoint is updated in place, by its DeploymentConfig.",
    "CloudFormation template reference, AWS::SageMaker::Endpoint: update requires",
)
def test_an_endpoint_is_made_moved_to_a_new_model_and_deleted(aws: Any, hosting: Hosting) -> None:
    endpoint, sagemaker = unique("cfn"), aws.client("sagemaker")
    outputs = {
        "Model": ref("Model"),
        "Endpoint": ref("Endpoint"),
        "Name": attribute("Endpoint", "EndpointName"),
    }
    first = resources(hosting, uploaded(hosting, "first"), endpoint, DeploymentConfig=CANARY)
    links = [first["Model"]["Properties"]["PrimaryContainer"] | {"ContainerHostname": name} for name in ("a", "b")]
    first["Chain"] = resource(
        "AWS::SageMaker::Model",
        ExecutionRoleArn=hosting.role,
        Containers=links,
        InferenceExecutionConfig={"Mode": "Direct"},
    )
    made = stack(aws, first, outputs)
    assert made.settled() == "CREATE_COMPLETE", made.reason("Endpoint")
    chain = sagemaker.describe_model(ModelName=made.physical_id("Chain").rpartition("/")[2])
    assert (chain["Containers"], chain["InferenceExecutionConfig"]) == (links, {"Mode": "Direct"})
    assert re.match(r"arn:aws:sagemaker:us-east-1:000000000000:model/stack-.*-Model-", made.outputs()["Model"])
    assert made.outputs()["Endpoint"] == f"arn:aws:sagemaker:us-east-1:000000000000:endpoint/{endpoint}"
    assert made.outputs()["Name"] == endpoint
    assert hosting.ask(endpoint)["body"]["model"] == "first"
    kept = hosting.describe(endpoint)["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert kept["TrafficRoutingConfiguration"]["CanarySize"]["Value"] == 50

    old_model = made.physical_id("Model").rpartition("/")[2]
    second = resources(hosting, uploaded(hosting, "second"), endpoint, RetainDeploymentConfig="true")
    assert made.update(second, outputs) == "UPDATE_COMPLETE"
    assert hosting.ask(endpoint)["body"]["model"] == "second"
    assert made.physical_id("Model").rpartition("/")[2] != old_model
    with pytest.raises(ClientError, match="Could not find model"):
        sagemaker.describe_model(ModelName=old_model)

    assert made.delete() == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName=endpoint)


@pytest.mark.fidelity(
    "CloudFormation",
    "An endpoint that fails rolls its stack back.",
    "CloudFormation template reference, AWS::SageMaker::Endpoint",
)
def test_a_model_that_does_not_start_rolls_the_stack_back_and_leaves_nothing(aws: Any, hosting: Hosting) -> None:
    endpoint, sagemaker = unique("cfn"), aws.client("sagemaker")
    made = stack(aws, resources(hosting, uploaded(hosting, "broken", BROKEN), endpoint))
    assert made.settled() == "ROLLBACK_COMPLETE"
    assert "did not pass the ping health check" in made.reason("Endpoint")
    with pytest.raises(ClientError, match="Could not find endpoint"):
        sagemaker.describe_endpoint(EndpointName=endpoint)
    assert not sagemaker.list_models(NameContains=made.name)["Models"]


def test_a_failed_update_leaves_the_old_model_serving(aws: Any, hosting: Hosting) -> None:
    endpoint = unique("cfn")
    good = resources(hosting, uploaded(hosting, "good"), endpoint)
    made = stack(aws, good)
    assert made.settled() == "CREATE_COMPLETE"
    assert made.update(resources(hosting, uploaded(hosting, "bad", BROKEN), endpoint)) == "UPDATE_ROLLBACK_COMPLETE"
    assert hosting.ask(endpoint)["body"]["model"] == "good"


@pytest.mark.fidelity(
    "CloudFormation",
    "CloudFormation cannot update a stack when a custom-named resource requires replacing.",
    "cloudtools/stacker #96",
)
def test_a_named_resource_is_not_replaced_under_its_name(aws: Any) -> None:
    name = unique("group")

    def group(description: str) -> dict[str, Any]:
        described = {"ModelPackageGroupName": name, "ModelPackageGroupDescription": description}
        return {"Models": resource("AWS::SageMaker::ModelPackageGroup", **described)}

    made = stack(aws, group("one"), {"Arn": attribute("Models", "ModelPackageGroupArn")})
    assert made.outputs()["Arn"].endswith(f":model-package-group/{name}")
    assert made.update(group("two")) == "UPDATE_ROLLBACK_COMPLETE"
    assert "CloudFormation cannot update a stack when a custom-named resource requires replacing" in made.reason(
        "Models"
    )


@pytest.mark.fidelity(
    "CloudFormation",
    "Tags of SageMaker's resources are updated in place.",
    "CloudFormation template reference, AWS::SageMaker::Model: Tags",
)
def test_tags_are_updated_in_place(aws: Any) -> None:
    def group(**tags: str) -> dict[str, Any]:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        return {"Models": resource("AWS::SageMaker::ModelPackageGroup", ModelPackageGroupName=name, Tags=listed)}

    name, sagemaker = unique("group"), aws.client("sagemaker")
    made = stack(aws, group(a="1", b="2"))
    arn = made.physical_id("Models")
    assert made.update(group(b="3")) == "UPDATE_COMPLETE"
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert (tags.get("a"), tags["b"]) == (None, "3")
