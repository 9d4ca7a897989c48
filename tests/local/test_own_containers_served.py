"""Models served from images of one's own: what their servers see, what their callers are told, and how they end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hosting_kit import Hosting, archive
from image_kit import PULL
from own_image_kit import needs_perl, own_image
from refusals import refusal
from running_aws import Aws
from waiting import until

pytestmark = needs_perl
DATA = archive({"weights.txt": "42"})
BINDS = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def hosting(aws: Aws) -> Hosting:
    kit = Hosting(aws)
    kit.role = kit.make_role("own", ["s3:*Object", "s3:ListBucket", "logs:CreateLog*", "logs:PutLogEvents", *PULL])
    return kit


@pytest.fixture(scope="module")
def image(aws: Aws) -> str:
    program = ["perl", "/usr/local/bin/serve"]
    return own_image(aws, Env=["OF_IMAGE=image", "OVER=image"], Labels={BINDS: "true"}, Entrypoint=program)


@pytest.fixture(scope="module")
def endpoint(hosting: Hosting, image: str) -> Iterator[str]:
    yield hosting.deploy("own", DATA, {"OVER": "request", "MORE": "yes"}, image)


def asked(hosting: Hosting, endpoint: str, body: str | bytes, **more: Any) -> dict[str, Any]:
    answer = hosting.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **more)
    return {**answer, "Body": answer["Body"].read().decode()}


def said(hosting: Hosting, endpoint: str, body: str | bytes, **more: Any) -> str:
    return str(asked(hosting, endpoint, body, **more)["Body"])


def lines(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


# ------------------------------------------------------------------------------------------------ what it sees


@pytest.mark.fidelity(
    "Containers",
    "A model container of one's own is `docker run IMAGE serve`: the image's program with that argument, the model in "
    "/opt/ml/model, the request's Environment over the image's, the hosting platform's variables and host name.",
    "SageMaker DG, Custom Inference Code with Hosting Services; pytorch/serve#631 (a container's variables)",
)
def test_what_the_container_is(hosting: Hosting, endpoint: str) -> None:
    variables = lines(said(hosting, endpoint, "variables"))
    told = {name: variables[name] for name in ("OF_IMAGE", "OVER", "MORE", "AWS_REGION", "HOSTNAME", "PATH")}
    assert told == {
        "OF_IMAGE": "image", "OVER": "request", "MORE": "yes", "AWS_REGION": "us-east-1", "HOSTNAME": "model.aws.local",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }  # fmt: skip
    assert variables["SAGEMAKER_SAFE_PORT_RANGE"] == "21000-21999"
    assert "SAGEMAKER_BASE_DIR" not in variables, "nothing of a framework's"
    assert "PYTHONPATH" not in variables
    assert said(hosting, endpoint, "read /opt/ml/model/weights.txt") == "42"
    assert said(hosting, endpoint, "list /opt/ml/*").split() == ["model"]
    assert "\tmodel.aws.local" in said(hosting, endpoint, "read /etc/hosts")
    assert {"home", "root", "var", "work"}.isdisjoint(said(hosting, endpoint, "list /*").split())
    log = until(lambda: all_ if "serving" in (all_ := hosting.log_lines(endpoint)) else None, "the log")
    assert "serving as ok on 8080 with serve" in log
    assert "in a network of its own, in which it reaches this AWS at AWS_ENDPOINT_URL, and nothing else" in log


def test_its_network_has_this_aws_and_nothing_else(hosting: Hosting, endpoint: str) -> None:
    port = hosting.aws.server.port
    assert said(hosting, endpoint, f"reach 127.0.0.1 {port}").startswith("HTTP/1.1 "), "AWS_ENDPOINT_URL"
    assert said(hosting, endpoint, "reach 127.0.0.1 22") == "no: Connection refused"
    assert said(hosting, endpoint, "reach 192.0.2.1 80") == "no: Network is unreachable"


@pytest.mark.fidelity(
    "Endpoints",
    "Of a caller's headers a container gets ContentType, Accept and CustomAttributes, and beside them those of a "
    "client of HTTP/1.1: Host, with the container's address.",
    "SageMaker DG, Custom Inference Code with Hosting Services: How Your Container Should Respond to Inference "
    "Requests; aws-samples/amazon-sagemaker-from-idea-to-production#25 (host: 169.254.180.2:8080)",
)
def test_what_the_server_is_asked(hosting: Hosting, endpoint: str) -> None:
    more = {"ContentType": "application/x-mine", "Accept": "a/b", "CustomAttributes": "c=1"}
    assert lines(said(hosting, endpoint, "headers", **more)) == {
        "content-type": "application/x-mine",
        "accept": "a/b",
        "x-amzn-sagemaker-custom-attributes": "c=1",
        "content-length": "7",
        "host": "169.254.180.2:8080",
        "user-agent": "AHC/2.0",
    }


# ------------------------------------------------------------------------------------------------ what it answers


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ("1,2\n3,4", "3\n7\n"),
        ("chunked one two three", "onetwothree"),
        ("endless until it closes", "until it closes"),
        ("bye,1", "1\n"),
        ("status 201", "status 201"),
        (f"large {25 * MIB}", "x" * 25 * MIB),
    ],
)
def test_answers_of_every_kind_reach_the_caller(hosting: Hosting, endpoint: str, body: str, answer: str) -> None:
    assert said(hosting, endpoint, body) == answer


def test_what_it_says_beside_its_answer(hosting: Hosting, endpoint: str) -> None:
    answer = asked(hosting, endpoint, "attributes trace=7")
    assert (answer["CustomAttributes"], answer["ContentType"]) == ("trace=7", "a/b")
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_a_body_of_25_mb_reaches_it(hosting: Hosting, endpoint: str) -> None:
    body = b"length " + b"x" * (25 * MIB - len(b"length "))
    assert said(hosting, endpoint, body) == str(25 * MIB)


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        ("status 500", 500, 'server error (500) from primary with message "status 500".'),
        ("status 503", 503, 'server error (503) from primary with message "status 503".'),
        ("status 418", 418, 'client error (418) from primary with message "status 418".'),
        ("status 302", 302, 'server error (302) from primary with message "status 302".'),
        ("read /opt/ml/model/absent", 500, "No such file or directory"),
        ("close", 500, "The container closed the connection before it answered."),
        ("nonsense", 0, r"The container's answer isn't HTTP: it begins with b'go away\r\n'."),
        (
            f"large {25 * MIB + 1}",
            0,
            f"The container's answer has {25 * MIB + 1} bytes; the limit is {25 * MIB} bytes.",
        ),
    ],
)
def test_what_is_no_answer_is_a_model_error(hosting: Hosting, endpoint: str, body: str, status: int, why: str) -> None:
    with pytest.raises(hosting.runtime.exceptions.ModelError) as refused:
        said(hosting, endpoint, body)
    told = refused.value.response
    assert (told["OriginalStatusCode"], why in told["Error"]["Message"]) == (status, True), told
    assert f"/aws/sagemaker/Endpoints/{endpoint}:log-stream:AllTraffic/i-" in told["LogStreamArn"]
    assert said(hosting, endpoint, "1,2") == "3\n", "the container goes on"


@pytest.mark.fidelity(
    "Endpoints",
    "A container is asked as many requests at a time as come: how many it answers at once is its own server's matter.",
    "SageMaker DG, Custom Inference Code with Hosting Services names no limit; AWS ML blog, Best practices for load "
    "testing Amazon SageMaker real-time inference endpoints",
)
def test_requests_go_to_it_at_once(hosting: Hosting, endpoint: str) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: said(hosting, endpoint, "wait 2.2"), range(8)))
    assert answers == ["waited 2.2"] * 8, "longer than /ping may take"
    assert time.monotonic() - began < 8, "one after another they take 18 s"


def test_a_container_that_ends_is_started_again(hosting: Hosting, endpoint: str) -> None:
    with pytest.raises(hosting.runtime.exceptions.ModelError, match="closed the connection before it answered"):
        said(hosting, endpoint, "exit")
    until(lambda: hosting.log_lines(endpoint).count("serving as ok") >= 2, "another start")
    assert said(hosting, endpoint, "1,2") == "3\n"


def test_it_comes_back_although_its_image_has_gone(hosting: Hosting) -> None:
    image = own_image(hosting.aws, Env=["OF_IMAGE=gone"])
    name = hosting.deploy("outlives", DATA, {}, image)
    repository = image.partition("/")[2].partition(":")[0]
    hosting.aws.client("ecr").delete_repository(repositoryName=repository, force=True)
    with pytest.raises(hosting.runtime.exceptions.ModelError):
        said(hosting, name, "exit")
    assert said(hosting, name, "1,2") == "3\n"


# ------------------------------------------------------------------------------------------------ before it serves


@pytest.mark.fidelity(
    "Models",
    "CreateModel refuses an image that isn't in the registry, and one of several containers whose image hasn't got the "
    "label by which it says that it listens where SAGEMAKER_BIND_TO_PORT says.",
    "aws-samples/easy-amazon-sagemaker-deployments#4; deepjavalibrary/djl-serving#708",
)
def test_images_that_no_model_can_have(hosting: Hosting, image: str) -> None:
    gone = image.replace("own/image", "own/gone")
    containers = [
        {"Image": image, "ContainerHostname": "a"},
        {"Image": own_image(hosting.aws), "ContainerHostname": "b"},
    ]
    create, named = (
        hosting.sagemaker.create_model,
        {"ModelName": hosting.name("refused"), "ExecutionRoleArn": hosting.role},
    )
    assert refusal(create, **named, PrimaryContainer={"Image": gone}) == (
        "ValidationException", f"Requested image {gone} not found."
    )  # fmt: skip
    assert refusal(create, **named, Containers=containers) == (
        "ValidationException",
        f"Your Ecr Image {containers[1]['Image']} does not contain required {BINDS}=true Docker label(s).",
    )


@pytest.mark.fidelity(
    "Endpoints",
    "An endpoint whose role may not pull the model's image fails with role and image; one whose image has gone with a "
    "sentence on both; one whose container has no `serve` with CannotStartContainerError.",
    "aws/sagemaker-python-sdk#2002; aws/amazon-sagemaker-examples#275; aws-samples/comfyui-on-amazon-sagemaker#2",
)
def test_endpoints_that_fail(hosting: Hosting, image: str) -> None:
    gone = own_image(hosting.aws)
    denied = hosting.make_role("no-image", ["s3:GetObject", "ecr:GetAuthorizationToken"])
    wanted = {
        "denied": ({"image": image, "ExecutionRoleArn": denied}, f"The role '{denied}' does not have BatchGetImage "),
        "gone": ({"image": gone}, "Please make sure all images included in the model for the production variant All"),
        "empty": (
            {"image": own_image(hosting.aws, files={"greeting": "hello"})},
            "CannotStartContainerError. Please ensu",
        ),
        "crash": (
            {"image": image, "environment": {"MODE": "crash"}},
            "The primary container for production variant All",
        ),
    }
    for part, (model, _) in wanted.items():
        config = hosting.config(part, {"ModelName": hosting.model(part, DATA, **model)})
        if part == "gone":
            name = gone.partition("/")[2].partition(":")[0]
            hosting.aws.client("ecr").delete_repository(repositoryName=name, force=True)
        hosting.sagemaker.create_endpoint(EndpointName=hosting.name(part), EndpointConfigName=config)
    for part, (_, reason) in wanted.items():
        settled = hosting.settled(hosting.name(part))
        assert settled["EndpointStatus"] == "Failed"
        assert settled["FailureReason"].startswith(reason)
    assert 'exec: "serve": executable file not found in $PATH' in hosting.log_lines(hosting.name("empty"))
    assert "the model is broken" in hosting.log_lines(hosting.name("crash"))


# ------------------------------------------------------------------------------------------------ kinds of endpoints


@pytest.mark.fidelity(
    "Endpoints",
    "Every container of several listens where SAGEMAKER_BIND_TO_PORT says, has a range of further ports of its own, "
    "and its ContainerHostname as host name.",
    "SageMaker DG, Run Real-time Predictions with an Inference Pipeline; ContainerDefinition",
)
def test_several_containers_each_with_its_port(hosting: Hosting, image: str) -> None:
    containers = [{"Image": image, "ContainerHostname": name} for name in ("first", "second")]
    name = hosting.name("chain")
    more = {"InferenceExecutionConfig": {"Mode": "Direct"}, "ExecutionRoleArn": hosting.role}
    hosting.sagemaker.create_model(ModelName=name, Containers=containers, **more)
    hosting.sagemaker.create_endpoint(
        EndpointName=name, EndpointConfigName=hosting.config("chain", {"ModelName": name})
    )
    assert hosting.settled(name)["EndpointStatus"] == "InService", hosting.log_lines(name)
    seen = [lines(said(hosting, name, "variables", TargetContainerHostname=each)) for each in ("first", "second")]
    assert [each["HOSTNAME"] for each in seen] == ["first", "second"]
    assert len({each["SAGEMAKER_BIND_TO_PORT"] for each in seen} - {"8080"}) == 2
    assert [each["SAGEMAKER_SAFE_PORT_RANGE"] for each in seen] == ["21000-21999", "22000-22999"]


def test_one_behind_the_other(hosting: Hosting, image: str) -> None:
    hosting.s3.put_object(Bucket=hosting.bucket, Key="asks.tar.gz", Body=archive({"ask.txt": "headers"}))
    first = {"Image": image, "ModelDataUrl": f"s3://{hosting.bucket}/asks.tar.gz"}
    name = hosting.name("serial")
    hosting.sagemaker.create_model(ModelName=name, Containers=[first, {"Image": image}], ExecutionRoleArn=hosting.role)
    hosting.sagemaker.create_endpoint(
        EndpointName=name, EndpointConfigName=hosting.config("serial", {"ModelName": name})
    )
    assert hosting.settled(name)["EndpointStatus"] == "InService", hosting.log_lines(name)
    assert said(hosting, name, "1,2\n3,4") == "3\n7\n"
    second = lines(said(hosting, name, "read /opt/ml/model/ask.txt", Accept="text/csv"))
    assert second["accept"] == "text/csv"
    assert set(second) == {"accept", "content-length", "host", "user-agent"}, "the first answered without a type"
    with pytest.raises(hosting.runtime.exceptions.ModelError, match=r"client error \(418\) from container-1"):
        said(hosting, name, "status 418")


def test_an_update_to_one_that_doesnt_come_to_serve_leaves_what_serves(
    hosting: Hosting, endpoint: str, image: str
) -> None:
    before = hosting.describe(endpoint)["EndpointConfigName"]
    shift = {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY", "WaitIntervalInSeconds": 0, "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        },
    }  # fmt: skip
    model = hosting.model("broken", DATA, {"MODE": "crash"}, image)
    hosting.sagemaker.update_endpoint(
        EndpointName=endpoint,
        EndpointConfigName=hosting.config("broken", {"ModelName": model}),
        DeploymentConfig={"BlueGreenUpdatePolicy": shift},
    )
    settled = hosting.settled(endpoint)
    assert (settled["EndpointStatus"], settled["EndpointConfigName"]) == ("InService", before)
    assert "did not pass the ping health check" in settled["FailureReason"]
    assert said(hosting, endpoint, "1,2") == "3\n"


def test_it_is_shadowed_captured_shifted_and_isolated(hosting: Hosting, endpoint: str, image: str) -> None:
    name, captured = hosting.name("shifted"), f"s3://{hosting.bucket}/captured"
    isolated = hosting.model("isolated", DATA, {"OVER": "new"}, image, EnableNetworkIsolation=True)
    variant = {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large", "ModelName": isolated}
    production = {"VariantName": "AllTraffic", "InitialVariantWeight": 1.0, **variant}
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[production],
        ShadowProductionVariants=[{**production, "VariantName": "shadow"}],
        DataCaptureConfig={
            "EnableCapture": True, "InitialSamplingPercentage": 100, "DestinationS3Uri": captured,
            "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        },
    )  # fmt: skip
    hosting.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=hosting.name("own"))
    assert hosting.settled(name)["EndpointStatus"] == "InService"
    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=name)
    assert hosting.settled(name)["EndpointConfigName"] == name
    variables = lines(said(hosting, name, "variables"))
    assert (variables["OVER"], "AWS_ACCESS_KEY_ID" in variables, "AWS_ENDPOINT_URL" in variables) == (
        "new",
        False,
        False,
    )
    assert said(hosting, name, f"reach 127.0.0.1 {hosting.aws.server.port}") == "no: Connection refused"
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    found = hosting.s3.list_objects_v2
    until(lambda: "Contents" in found(Bucket=hosting.bucket, Prefix="captured"), "captured data")


def test_asynchronous_and_serverless(hosting: Hosting, image: str) -> None:
    model, name = hosting.model("kinds", DATA, {}, image), hosting.name("async")
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {"VariantName": "A", "ModelName": model, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        ],
        AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": f"s3://{hosting.bucket}/answers"}},
    )
    serverless = hosting.name("serverless")
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName=serverless,
        ProductionVariants=[
            {"VariantName": "A", "ModelName": model, "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}
        ],
    )
    for each in (name, serverless):
        hosting.sagemaker.create_endpoint(EndpointName=each, EndpointConfigName=each)
    assert [hosting.settled(each)["EndpointStatus"] for each in (name, serverless)] == ["InService"] * 2
    assert said(hosting, serverless, "1,2") == "3\n"
    hosting.s3.put_object(Bucket=hosting.bucket, Key="rows", Body=b"4,5")
    place = hosting.runtime.invoke_endpoint_async(EndpointName=name, InputLocation=f"s3://{hosting.bucket}/rows")
    key = place["OutputLocation"].removeprefix(f"s3://{hosting.bucket}/")
    until(lambda: "Contents" in hosting.s3.list_objects_v2(Bucket=hosting.bucket, Prefix=key), "the answer")
    assert hosting.s3.get_object(Bucket=hosting.bucket, Key=key)["Body"].read() == b"9\n"


# ------------------------------------------------------------------------------------------------ batch transform


def transform(hosting: Hosting, part: str, model: str, **more: Any) -> dict[str, Any]:
    name, bucket = hosting.name(part), hosting.bucket
    hosting.s3.put_object(Bucket=bucket, Key=f"{part}/rows.csv", Body=b"".join(b"%d,1\n" % row for row in range(100)))
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{part}/"}}
    hosting.sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName=model,
        TransformInput={"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        TransformOutput={"S3OutputPath": f"s3://{bucket}/{part}-out", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **more,
    )

    def over() -> dict[str, Any] | None:
        job: dict[str, Any] = hosting.sagemaker.describe_transform_job(TransformJobName=name)
        return job if job["TransformJobStatus"] not in ("InProgress", "Stopping") else None

    job: dict[str, Any] = until(over, f"{name} to end")
    events = hosting.aws.client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix=name
    )["events"]
    return {**job, "Log": "\n".join(event["message"] for event in events)}


SUMS = "".join(f"{row + 1}\n" for row in range(100)).encode()


@pytest.mark.fidelity(
    "Containers",
    "A transform job runs the image as an endpoint does, with SAGEMAKER_BATCH=true; what /execution-parameters says "
    "holds where the request says nothing; an image without it has the defaults.",
    "SageMaker DG, Custom Inference Code with Batch Transform",
)
def test_a_transform_job_in_an_image_of_ones_own(hosting: Hosting, image: str) -> None:
    told = json.dumps({"MaxConcurrentTransforms": 4, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2})
    asks = transform(hosting, "asks", hosting.model("asks", DATA, {"PARAMETERS": told}, image))
    plain = transform(hosting, "plain", hosting.model("plain", DATA, {}, image, EnableNetworkIsolation=True))
    assert [job["TransformJobStatus"] for job in (asks, plain)] == ["Completed"] * 2
    assert "MaxConcurrentTransforms=4, MaxPayloadInMB=2, BatchStrategy=SINGLE_RECORD" in asks["Log"]
    assert "MaxConcurrentTransforms=1, MaxPayloadInMB=6, BatchStrategy=MULTI_RECORD" in plain["Log"]
    assert "the container reaches nothing, and has no credentials" in plain["Log"]
    for part in ("asks", "plain"):
        answer = hosting.s3.get_object(Bucket=hosting.bucket, Key=f"{part}-out/rows.csv.out")["Body"].read()
        assert answer == SUMS


@pytest.mark.parametrize(
    ("mode", "reason", "logged"),
    [
        ({"MODE": "crash"}, "AlgorithmError: Model container failed to respond to ping.", "the model is broken"),
        (
            {"PARAMETERS": '{"MaxConcurrentTransforms": 0}'},
            "AlgorithmError: /execution-parameters said {'MaxConcurrentTransforms': 0}; ",
            "serving as ok",
        ),
    ],
)
def test_transform_jobs_that_fail(hosting: Hosting, image: str, mode: dict[str, str], reason: str, logged: str) -> None:
    part = f"fails-{next(iter(mode)).lower()}"
    job = transform(hosting, part, hosting.model(part, DATA, mode, image))
    assert (job["TransformJobStatus"], job["FailureReason"][: len(reason)]) == ("Failed", reason)
    assert logged in job["Log"]
