"""Shadow variants and data capture on the embedded AWS: copies of requests, whose answers only the bucket gets."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hosting_kit import ECHO, Hosting, echo_archive
from running_aws import AwsFactory
from waiting import until

from bench.load import Load

FAILS_HALF = ECHO.replace("return {", "import itertools; n = next(N); assert n % 2\n    return {").replace(
    "def model_fn", "import itertools\nN = itertools.count()\ndef model_fn"
)
HANGS = ECHO.replace('return {"model"', 'import time; time.sleep(2); return {"model"')
VARIANT = {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory, images: Any) -> Iterator[AwsFactory]:
    found = AwsFactory(tmp_path_factory.mktemp("shadows") / "aws")
    found.state.mkdir(parents=True)
    (found.state / "settings.json").write_text(json.dumps({"clock_scale": 60}))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def hosting(factory: AwsFactory) -> Hosting:
    found = Hosting(factory.start())
    found.role = found.make_role("capturing", ["s3:GetObject", "s3:PutObject", "logs:CreateLog*", "logs:PutLogEvents"])
    found.model("champion", echo_archive("champion"))
    found.model("challenger", echo_archive("challenger", FAILS_HALF))
    made = found.sagemaker.describe_model(ModelName=found.name("champion"))["PrimaryContainer"]
    links = [{name: made[name] for name in ("Image", "ModelDataUrl", "Environment")}] * 2
    found.sagemaker.create_model(ModelName=found.name("chain"), Containers=links, ExecutionRoleArn=found.role)
    return found


def capture(hosting: Hosting, **more: Any) -> dict[str, Any]:
    return {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{hosting.bucket}/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
        **more,
    }


def config(hosting: Hosting, name: str, shadow: dict[str, Any] | None = None, **more: Any) -> str:
    """A config of the champion, with a shadow if one is given."""
    production = {"VariantName": "AllTraffic", "ModelName": hosting.name("champion"), **VARIANT}
    shadows = {"ShadowProductionVariants": [{"VariantName": "Shadow", **VARIANT, **shadow}]} if shadow else {}
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName=hosting.name(name), ProductionVariants=[production], **shadows, **more
    )
    return hosting.name(name)


def update(hosting: Hosting, endpoint: str, name: str) -> dict[str, Any]:
    hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=name)
    return hosting.settled(endpoint)


def captured(hosting: Hosting, endpoint: str, variant: str) -> list[dict[str, Any]]:
    """All that a variant has captured."""
    prefix = f"captured/{endpoint}/{variant}/"
    found = hosting.s3.list_objects_v2(Bucket=hosting.bucket, Prefix=prefix).get("Contents", [])
    bodies = [hosting.s3.get_object(Bucket=hosting.bucket, Key=item["Key"])["Body"].read() for item in found]
    return [json.loads(line) for body in bodies for line in body.decode().splitlines()]


def metric(hosting: Hosting, endpoint: str, variant: str, name: str, **of: str) -> float:
    """The sum of a variant's metric, of a configuration's fleet if one is named."""
    dimensions = {"EndpointName": endpoint, "VariantName": variant, **of}
    now = datetime.now(UTC)
    found = hosting.aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=name,
        Dimensions=[{"Name": each, "Value": value} for each, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(hours=1),
        Period=86400,
        Statistics=["Sum"],
    )
    return sum(point["Sum"] for point in found["Datapoints"])


@pytest.mark.fidelity(
    "Endpoints",
    "A shadow variant is asked a copy of the share of the requests that its weight over the production variant's says; "
    "callers get the production variant's answers only, and its metrics, logs and captured answers are its own.",
    "SageMaker DG, Testing models with shadow variants; Create a shadow test",
)
@pytest.mark.fidelity(
    "Endpoints",
    "Data capture writes {endpoint}/{variant}/yyyy/mm/dd/hh/*.jsonl of production and shadow variants alike, as CSV "
    "and JSON for the content types that are said to be that, with the caller's inferenceId.",
    "SageMaker DG, Capture data from real-time endpoint; Create a shadow test",
)
def test_a_shadow_sees_a_copy_of_its_share_and_its_answers_are_captured_not_served(hosting: Hosting) -> None:
    shadow = {"ModelName": hosting.name("challenger"), "InitialVariantWeight": 0.5}
    name = config(hosting, "half", shadow, DataCaptureConfig=capture(hosting))
    endpoint = hosting.name("half")
    hosting.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=name)
    described = hosting.settled(endpoint)
    assert [each["VariantName"] for each in described["ProductionVariants"]] == ["AllTraffic"]
    (seen,) = described["ShadowProductionVariants"]
    assert (seen["VariantName"], seen["CurrentWeight"], seen["CurrentInstanceCount"]) == ("Shadow", 0.5, 1)
    assert described["DataCaptureConfig"]["CaptureStatus"] == "Started"
    with pytest.raises(ClientError, match="has no variant Shadow"):
        hosting.ask(endpoint, TargetVariant="Shadow")

    answers = [hosting.ask(endpoint, f"{number}", InferenceId=f"id-{number}") for number in range(40)]
    assert {(answer["variant"], answer["body"]["model"]) for answer in answers} == {("AllTraffic", "champion")}
    until(lambda: metric(hosting, endpoint, "Shadow", "Invocations") == 20, "half of the requests were copied")
    assert metric(hosting, endpoint, "Shadow", "Invocation5XXErrors") == 10
    assert metric(hosting, endpoint, "AllTraffic", "Invocations") == 40
    assert metric(hosting, endpoint, "AllTraffic", "Invocation5XXErrors") == 0
    streams = hosting.aws.client("logs").describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}")
    assert {stream["logStreamName"].split("/")[0] for stream in streams["logStreams"]} == {"AllTraffic", "Shadow"}

    served = until(lambda: (f := captured(hosting, endpoint, "AllTraffic")) and len(f) == 40 and f, "all are captured")
    copies = until(lambda: (f := captured(hosting, endpoint, "Shadow")) and len(f) == 10 and f, "errors aren't")
    by_id = {line["eventMetadata"]["eventId"]: line for line in served}
    for line in copies:
        original = by_id[line["eventMetadata"]["eventId"]]
        assert line["captureData"]["endpointInput"] == original["captureData"]["endpointInput"]
        assert line["eventMetadata"] == original["eventMetadata"]
        output = line["captureData"]["endpointOutput"]
        assert (output["mode"], output["encoding"]) == ("OUTPUT", "JSON")
        assert json.loads(output["data"])["model"] == "challenger"
    first = next(line for line in served if line["eventMetadata"]["inferenceId"] == "id-0")
    asked = {"observedContentType": "text/csv", "mode": "INPUT", "data": "0", "encoding": "CSV"}
    assert first["captureData"]["endpointInput"] == asked
    assert first["eventVersion"] == "0"

    weights = [{"VariantName": "Shadow", "DesiredWeight": 1.0}]
    hosting.sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=weights)
    hosting.settled(endpoint)
    for _ in range(6):
        hosting.ask(endpoint)
    until(lambda: metric(hosting, endpoint, "Shadow", "Invocations") == 26, "all requests are copied now")


def test_a_shadow_comes_and_goes_under_load_and_after_a_kill(hosting: Hosting, factory: AwsFactory) -> None:
    """A shadow that hangs delays nobody; no request fails while it comes and goes, nor for what it does."""
    hosting.model("hangs", echo_archive("hangs", HANGS))
    plain, endpoint = config(hosting, "plain"), hosting.name("comes")
    with_shadow = config(hosting, "with", {"ModelName": hosting.name("hangs")})
    hosting.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=plain)
    hosting.settled(endpoint)
    with Load(hosting.aws.server, endpoint) as load:
        assert update(hosting, endpoint, with_shadow)["EndpointConfigName"] == with_shadow
        asked = len(load.answers)
        until(lambda: len(load.answers) > asked + 600, "requests are answered beside a shadow that hangs")
        after = update(hosting, endpoint, plain)
    assert (after["EndpointConfigName"], "ShadowProductionVariants" in after) == (plain, False)
    assert not load.failures
    assert Counter(model for _, model in load.answers).keys() == {"champion"}

    again = config(hosting, "again", {"ModelName": hosting.name("challenger")})
    update(hosting, endpoint, again)
    os.kill(hosting.aws.server.pid, signal.SIGKILL)
    hosting.aws = factory.start()
    hosting.s3, hosting.sagemaker = hosting.aws.client("s3"), hosting.aws.client("sagemaker")
    hosting.runtime = hosting.aws.client("sagemaker-runtime")
    hosting.ask(endpoint)
    assert hosting.settled(endpoint)["ShadowProductionVariants"][0]["CurrentInstanceCount"] == 1
    until(
        lambda: metric(hosting, endpoint, "Shadow", "Invocations", EndpointConfigName=again) == 1,
        "the shadow is asked again",
    )


@pytest.mark.fidelity(
    "Endpoints",
    "A configuration with a shadow variant has one production variant; serverless, asynchronous and Inf1 endpoints "
    "have no shadow.",
    "CreateEndpointConfig, ShadowProductionVariants; SageMaker DG, Shadow tests: Exclusions",
)
@pytest.mark.parametrize(
    ("production", "shadows", "more", "message"),
    [
        ([{}, {"VariantName": "B"}], [{}], {}, "it has 2 and 1."),
        ([{}], [{}, {"VariantName": "T"}], {}, "it has 1 and 2."),
        ([{}], [{"VariantName": "A"}], {}, "unique: A is both"),
        ([{}], [{"InstanceType": "ml.inf1.xlarge"}], {}, "can't be used with Inf1 instances, as S has"),
        (
            [{}],
            [{"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}],
            {},
            "can't be used with ServerlessConfig, as S has",
        ),
        (
            [{}],
            [{}],
            {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b"}}},
            "can't be used with AsyncInferenceConfig",
        ),
        ([{}], [{"ModelName": "no-such-model"}], {}, "Could not find model"),
        ([{}], [{"ModelName": "CHAIN"}], {}, "can't be used with multi-container endpoints: model chain-"),
        ([{}], [{"InstanceType": None}], {}, "InstanceType is missing in shadow variant S."),
    ],
)
def test_what_aws_excludes_with_a_shadow_is_refused(
    hosting: Hosting, production: list[Any], shadows: list[Any], more: dict[str, Any], message: str
) -> None:
    model = {"ModelName": hosting.name("champion"), **VARIANT}
    whole = [
        [{"VariantName": name, **model, **each} for each in part] for name, part in (("A", production), ("S", shadows))
    ]
    given = [[{key: value for key, value in each.items() if value is not None} for each in part] for part in whole]
    for each in given[1]:
        each["ModelName"] = each["ModelName"].replace("CHAIN", hosting.name("chain"))
    with pytest.raises(ClientError) as refused:
        hosting.sagemaker.create_endpoint_config(
            EndpointConfigName="refused", ProductionVariants=given[0], ShadowProductionVariants=given[1], **more
        )
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert message in refused.value.response["Error"]["Message"]
