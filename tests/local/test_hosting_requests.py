"""Models, endpoint configurations and endpoints: what is refused, with AWS's codes and messages, and what is listed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hosting_kit import Hosting, echo_archive
from image_uris import SKLEARN
from running_aws import Aws

ARN = "arn:aws:sagemaker:us-east-1:000000000000"


@pytest.fixture(scope="module")
def hosting(aws: Aws) -> Hosting:
    return Hosting(aws)


@pytest.fixture(scope="module")
def model(hosting: Hosting) -> str:
    return hosting.model("shared", echo_archive("shared"))


def refused(call: Any, request: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def model_request(hosting: Hosting, container: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    url = f"s3://{hosting.bucket}/shared/model.tar.gz"
    primary = {"Image": SKLEARN, "ModelDataUrl": url} if container is None else {"Image": SKLEARN, **container}
    return {
        "ModelName": hosting.name("refused"),
        "PrimaryContainer": primary,
        "ExecutionRoleArn": hosting.role,
        **more,
    }


@pytest.mark.parametrize(
    ("container", "more", "message"),
    [
        ({"Mode": "MultiModel"}, {}, "not supported here: Mode=MultiModel of a container"),
        ({"MultiModelConfig": {}}, {}, "not supported here: MultiModelConfig of a container"),
        ({"ImageConfig": {"RepositoryAccessMode": "Vpc"}}, {}, "not supported here: ImageConfig of a container"),
        (None, {"EnableNetworkIsolation": True}, "not supported here: EnableNetworkIsolation=true of a model"),
        (
            None,
            {"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}},
            "not supported here: VpcConfig of a model",
        ),
        (
            None,
            {"InferenceExecutionConfig": {"Mode": "Direct"}},
            "InferenceExecutionConfig with Mode=Direct needs Cont",
        ),
        ({"Image": "012345678901.dkr.ecr.us-east-1.amazonaws.com/my-own:1"}, {}, "Requested image 0123"),
        ({"ModelDataUrl": "s3://no-such-bucket-at-all/model.tar.gz"}, {}, "Could not find model data at s3://no-such"),
        (None, {"PrimaryContainer": None, "Containers": []}, "Give either PrimaryContainer or Containers"),
        (None, {"ExecutionRoleArn": None}, "ExecutionRoleArn is missing"),
        (None, {"ExecutionRoleArn": "arn:aws:iam::000000000000:role/no-such-role"}, "Could not assume role"),
        (
            {"ModelPackageName": "no-such-package", "Image": None},
            {},
            f"ModelPackage {ARN}:model-package/no-such-package",
        ),
    ],
)
def test_a_model_that_cant_work_is_refused_when_it_is_made(
    hosting: Hosting, model: str, container: dict[str, Any] | None, more: dict[str, Any], message: str
) -> None:
    request = model_request(hosting, container, **more)
    request["PrimaryContainer"] = {k: v for k, v in (request["PrimaryContainer"] or {}).items() if v is not None}
    request = {key: value for key, value in request.items() if value not in (None, {}, [])}
    code, text = refused(hosting.sagemaker.create_model, request)
    assert code == "ValidationException"
    assert text.startswith(message)
    assert refused(hosting.sagemaker.describe_model, {"ModelName": request["ModelName"]})[0] == "ValidationException"


@pytest.mark.fidelity(
    "Models",
    "A model has 15 containers at most, each with an image that there is and model data that its role can read.",
    "SageMaker API, CreateModel: Containers",
)
def test_each_of_several_containers_is_checked(hosting: Hosting, model: str) -> None:
    container = model_request(hosting)["PrimaryContainer"]
    request = {"ModelName": hosting.name("refused"), "ExecutionRoleArn": hosting.role}
    code, text = refused(hosting.sagemaker.create_model, request | {"Containers": 16 * [container]})
    assert code == "ValidationException"
    assert text.endswith(
        "at 'containers' failed to satisfy constraint: Member must have length less than or equal to 15"
    )
    for wrong, told in (
        ({"Image": "012345678901.dkr.ecr.us-east-1.amazonaws.com/my-own:1"}, "Requested image 0123"),
        (
            {"ModelDataUrl": f"s3://{hosting.bucket}/none.tar.gz"},
            f"Could not access model data at s3://{hosting.bucket}",
        ),
    ):
        code, text = refused(hosting.sagemaker.create_model, request | {"Containers": [container, container | wrong]})
        assert (code, text[: len(told)]) == ("ValidationException", told)


@pytest.mark.fidelity(
    "Models",
    "Could not access model data at s3://…: told when the model is made, with the role.",
    "philschmid/llm-sagemaker-sample #2",
)
def test_model_data_that_the_role_may_not_read_is_found_when_the_model_is_made(hosting: Hosting, model: str) -> None:
    blind = hosting.make_role("blind", ["logs:PutLogEvents"])
    code, message = refused(hosting.sagemaker.create_model, model_request(hosting, ExecutionRoleArn=blind))
    assert code == "ValidationException"
    assert message.startswith(f"Could not access model data at s3://{hosting.bucket}/shared/model.tar.gz.")
    assert blind in message
    assert '"s3:GetObject"' in message


@pytest.mark.fidelity(
    "IAM",
    "CreateModel needs iam:PassRole on ExecutionRoleArn.",
    "SageMaker API, CreateModel: ExecutionRoleArn",
)
def test_a_role_that_the_caller_may_not_pass_is_refused(hosting: Hosting, model: str) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]}
    trust["Version"] = "2012-10-17"  # type: ignore[assignment]
    caller = hosting.make_role("caller", ["sagemaker:*"], trust)
    credentials = hosting.aws.client("sts").assume_role(RoleArn=caller, RoleSessionName="me")["Credentials"]
    code, message = refused(hosting.aws.client("sagemaker", credentials).create_model, model_request(hosting))
    assert code == "AccessDeniedException"
    assert "iam:PassRole" in message
    assert hosting.role in message


@pytest.mark.fidelity(
    "IAM",
    "InvokeEndpoint needs sagemaker:InvokeEndpoint.",
    "Service Authorization Reference, Amazon SageMaker",
)
def test_the_runtime_is_authorized_too(hosting: Hosting) -> None:
    trust = json.loads('{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}}]}')
    trust["Statement"][0]["Action"] = "sts:AssumeRole"
    caller = hosting.make_role("reader", ["sagemaker:Describe*"], trust)
    credentials = hosting.aws.client("sts").assume_role(RoleArn=caller, RoleSessionName="me")["Credentials"]
    runtime = hosting.aws.client("sagemaker-runtime", credentials)
    code, message = refused(runtime.invoke_endpoint, {"EndpointName": "any", "Body": b"1"})
    assert code in {"AccessDenied", "AccessDeniedException"}
    assert "sagemaker:InvokeEndpoint" in message


VARIANT = {"VariantName": "A", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}


@pytest.mark.parametrize(
    ("variant", "more", "message"),
    [
        ({"AcceleratorType": "ml.eia1.medium"}, {}, "AcceleratorType of production variant A"),
        ({"EnableSSMAccess": True}, {}, "EnableSSMAccess=true of production variant A"),
        ({"RoutingConfig": {"RoutingStrategy": "PREFIX_AWARE"}}, {}, "RoutingStrategy=PREFIX_AWARE of production"),
        ({"CoreDumpConfig": {"DestinationS3Uri": "s3://b/k"}}, {}, "CoreDumpConfig of production variant A"),

        ({}, {"EnableNetworkIsolation": True}, "EnableNetworkIsolation=true of an endpoint configuration"),
    ],
)  # fmt: skip
def test_what_endpoints_dont_do_here_is_refused_by_name(
    hosting: Hosting, model: str, variant: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    variants = [{**VARIANT, "ModelName": model, **variant}]
    request = {"EndpointConfigName": hosting.name("not-here"), "ProductionVariants": variants, **more}
    code, text = refused(hosting.sagemaker.create_endpoint_config, request)
    assert (code, text.startswith(f"not supported here: {message}")) == ("ValidationException", True), text


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ([{"ModelName": "no-such-model"}], f'Could not find model "{ARN}:model/no-such-model".'),
        ([{"InitialInstanceCount": None}], "InitialInstanceCount is missing in production variant A."),
        ([{"InstanceType": None}], "InstanceType is missing in production variant A."),
        ([{"ModelName": None}], "ModelName is missing in production variant A."),
        ([{}, {}], "Production variant names must be unique: A, A"),
        ([{"InitialVariantWeight": 0.0}], "At least one production variant must have an InitialVariantWeight above 0."),
        (
            [{"InstanceType": "ml.huge"}],
            "1 validation error detected: Value 'ml.huge' at 'productionVariants.1.member.",
        ),
    ],
)
def test_wrong_variants_are_refused(hosting: Hosting, model: str, variants: list[dict[str, Any]], message: str) -> None:
    whole = [{**VARIANT, "ModelName": model, **variant} for variant in variants]
    given = [{key: value for key, value in variant.items() if value is not None} for variant in whole]
    request = {"EndpointConfigName": hosting.name("wrong"), "ProductionVariants": given}
    code, text = refused(hosting.sagemaker.create_endpoint_config, request)
    assert (code, text.startswith(message)) == ("ValidationException", True), text


@pytest.mark.fidelity(
    "Endpoints",
    'Cannot create already existing endpoint "<arn>"., likewise for models and configurations.',
    "aws/sagemaker-python-sdk #101",
)
@pytest.mark.fidelity(
    "Endpoints",
    'Could not find endpoint configuration "<arn>"., likewise for models and endpoints.',
    "aws/amazon-sagemaker-operator-for-k8s, sagemaker_client_wrapper.go; hashicorp/terraform-provider-aws #40048",
)
def test_names_that_are_taken_or_unknown_are_refused_in_awss_words(hosting: Hosting, model: str) -> None:
    sagemaker = hosting.sagemaker
    endpoint = hosting.deploy("taken", echo_archive("m"))
    variants = [{**VARIANT, "ModelName": model}]
    taken = [
        (sagemaker.create_model, model_request(hosting, ModelName=endpoint), f'model "{ARN}:model/{endpoint}"'),
        (sagemaker.create_endpoint_config, {"EndpointConfigName": endpoint, "ProductionVariants": variants},
         f'endpoint configuration "{ARN}:endpoint-config/{endpoint}"'),
        (sagemaker.create_endpoint, {"EndpointName": endpoint, "EndpointConfigName": endpoint},
         f'endpoint "{ARN}:endpoint/{endpoint}"'),
    ]  # fmt: skip
    for call, request, what in taken:
        assert refused(call, request) == ("ValidationException", f"Cannot create already existing {what}.")
    unknown = [
        (sagemaker.describe_model, {"ModelName": "nope"}, f'model "{ARN}:model/nope"'),
        (sagemaker.delete_model, {"ModelName": "nope"}, f'model "{ARN}:model/nope"'),
        (sagemaker.describe_endpoint, {"EndpointName": "nope"}, f'endpoint "{ARN}:endpoint/nope"'),
        (sagemaker.delete_endpoint, {"EndpointName": "nope"}, f'endpoint "{ARN}:endpoint/nope"'),
        (sagemaker.create_endpoint, {"EndpointName": "new", "EndpointConfigName": "nope"},
         f'endpoint configuration "{ARN}:endpoint-config/nope"'),
        (sagemaker.update_endpoint, {"EndpointName": endpoint, "EndpointConfigName": "nope"},
         f'endpoint configuration "{ARN}:endpoint-config/nope"'),
        (sagemaker.update_endpoint, {"EndpointName": "nope", "EndpointConfigName": endpoint},
         f'endpoint "{ARN}:endpoint/nope"'),
    ]  # fmt: skip
    for call, request, what in unknown:
        assert refused(call, request) == ("ValidationException", f"Could not find {what}.")
    routing = {"Type": "CANARY", "WaitIntervalInSeconds": 0, "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 60}}
    deployment = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    another = hosting.config("not-taken", {"ModelName": model})
    request = {"EndpointName": endpoint, "EndpointConfigName": another, "DeploymentConfig": deployment}
    assert refused(sagemaker.update_endpoint, request) == (
        "ValidationException",
        "CanarySize must be less than or equal to 50% of the variant's total instance count; for variant AllTraffic "
        "it is 60%.",
    )


def test_what_was_made_is_described_listed_tagged_and_deleted(hosting: Hosting) -> None:
    sagemaker, prefix = hosting.sagemaker, f"listed-{hosting.suffix}"
    hosting.model("listed", echo_archive("m"), Tags=[{"Key": "team", "Value": "ml"}])
    described = sagemaker.describe_model(ModelName=prefix)
    assert described["PrimaryContainer"]["Image"] == SKLEARN
    assert described["ExecutionRoleArn"] == hosting.role
    assert sagemaker.list_tags(ResourceArn=described["ModelArn"])["Tags"] == [{"Key": "team", "Value": "ml"}]
    hosting.config("listed", {"ModelName": prefix})
    config = sagemaker.describe_endpoint_config(EndpointConfigName=prefix)
    assert config["ProductionVariants"][0]["InitialVariantWeight"] == 1.0
    assert [m["ModelName"] for m in sagemaker.list_models(NameContains=prefix)["Models"]] == [prefix]
    listed = sagemaker.list_endpoint_configs(NameContains=prefix)["EndpointConfigs"]
    assert [c["EndpointConfigName"] for c in listed] == [prefix]
    sagemaker.delete_endpoint_config(EndpointConfigName=prefix)
    sagemaker.delete_model(ModelName=prefix)
    assert sagemaker.list_models(NameContains=prefix)["Models"] == []


REFUSED_MEMBERS = [
    "TargetModel", "EnableExplanations", "InferenceComponentName", "SessionId",
    "PrefixAwareId",
]  # fmt: skip


@pytest.mark.parametrize("member", REFUSED_MEMBERS)
def test_what_invocations_dont_do_here_is_refused_by_name(hosting: Hosting, member: str) -> None:
    request = {"EndpointName": "any", "Body": b"1", member: "value"}
    assert refused(hosting.runtime.invoke_endpoint, request) == (
        "ValidationError", f"not supported here: {member} of InvokeEndpoint",
    )  # fmt: skip


def test_other_ways_to_invoke_are_not_implemented_here(hosting: Hosting) -> None:
    stream = {"EndpointName": "any", "Body": b"1"}
    assert (
        "not implemented here: InvokeEndpointWithResponseStream"
        in (refused(hosting.runtime.invoke_endpoint_with_response_stream, stream)[1])
    )


def test_a_request_with_wrong_tags_leaves_nothing(hosting: Hosting, model: str) -> None:
    name, twice = hosting.name("twice"), [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    sagemaker, variants = hosting.sagemaker, [{**VARIANT, "ModelName": model}]
    config = hosting.config("once", {"ModelName": model})
    requests = [
        (sagemaker.create_model, model_request(hosting, ModelName=name), sagemaker.describe_model, "ModelName"),
        (sagemaker.create_endpoint_config, {"EndpointConfigName": name, "ProductionVariants": variants},
         sagemaker.describe_endpoint_config, "EndpointConfigName"),
        (sagemaker.create_endpoint, {"EndpointName": name, "EndpointConfigName": config},
         sagemaker.describe_endpoint, "EndpointName"),
    ]  # fmt: skip
    for create, request, describe, member in requests:
        assert "Duplicate tag keys" in refused(create, {**request, "Tags": twice})[1]
        assert "Could not find" in refused(describe, {member: name})[1]
