"""Endpoints on the embedded AWS, through boto3 as their users do it."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hosting_kit import ECHO, Hosting, archive, echo_archive, invocations
from refusals import refusal
from running_aws import Aws
from waiting import until

ANSWERS_SLOWLY = ECHO.replace('return {"model"', 'import time; print("begun"); time.sleep(2.0); return {"model"')
# Whatever it is asked for, or a response of Flask's own.
ANSWERS_AS_ASKED = """
def model_fn(folder):
    return 1

def transform_fn(model, body, content_type, accept):
    if accept != "flask":
        return body, accept
    from flask import Response
    return Response(body, headers={"X-Amzn-SageMaker-Custom-Attributes": "told", "Content-Type": "text/x"})
"""
BETWEEN_UPDATES = 750  # requests, at least
PING_REASON = (
    "The primary container for production variant AllTraffic did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)


@pytest.fixture(scope="module")
def hosting(aws: Aws) -> Hosting:
    return Hosting(aws)


# --- answers


@pytest.mark.fidelity(
    "Endpoints",
    "An answer names its variant in x-Amzn-Invoked-Production-Variant.",
    "SageMaker Runtime API, InvokeEndpoint",
)
def test_an_endpoint_answers_with_its_model(hosting: Hosting) -> None:
    endpoint = hosting.deploy("answers", echo_archive("first"))
    assert hosting.ask(endpoint, "4,5") == {"variant": "AllTraffic", "body": {"model": "first", "data": "4,5"}}


def test_a_container_sees_sagemakers_contract_and_nothing_of_the_server(hosting: Hosting) -> None:
    serve = ECHO.replace("return body", "return dict(__import__('os').environ, DIR=str(MODEL_DIR))").replace(
        "def model_fn(model_dir):", "def model_fn(model_dir):\n    global MODEL_DIR\n    MODEL_DIR = model_dir"
    )
    endpoint = hosting.deploy("contract", echo_archive("m", serve), {"MY_SETTING": "from the model"})
    seen = hosting.ask(endpoint)["body"]["data"]
    assert seen["MY_SETTING"] == "from the model"
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA"), "the execution role's temporary credentials"
    assert seen["AWS_ENDPOINT_URL"] == hosting.aws.server.endpoint_url
    assert seen["DIR"] == f"{seen['SAGEMAKER_BASE_DIR']}/model"
    assert not [name for name in seen if name.startswith(("MINISTACK", "PYTEST", "GATEWAY"))]


@pytest.mark.fidelity(
    "Endpoints",
    "Logs are in /aws/sagemaker/Endpoints/<endpoint>, streams <variant>/<instance>.",
    "SageMaker DG, CloudWatch Logs for Amazon SageMaker AI",
)
def test_what_serve_prints_is_in_the_endpoints_log_stream(hosting: Hosting) -> None:
    serve = ECHO.replace("return body", "print('asked for', body); return body")
    endpoint = hosting.deploy("logs", echo_archive("m", serve))
    hosting.ask(endpoint, "7")
    until(lambda: "asked for 7" in hosting.log_lines(endpoint), "the line is in the log")
    streams = hosting.aws.client("logs").describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{endpoint}")
    assert re.fullmatch(r"AllTraffic/i-[0-9a-f]{17}", streams["logStreams"][0]["logStreamName"])


@pytest.mark.fidelity(
    "Containers",
    "SAGEMAKER_SUBMIT_DIRECTORY may be an S3 archive of code.",
    "aws/sagemaker-containers, env.py; SageMaker Python SDK, Model",
)
def test_code_may_come_from_s3_instead_of_the_model(hosting: Hosting) -> None:
    hosting.s3.put_object(Bucket=hosting.bucket, Key="code.tar.gz", Body=archive({"serve.py": ECHO}))
    submitted = {"SAGEMAKER_SUBMIT_DIRECTORY": f"s3://{hosting.bucket}/code.tar.gz"}
    endpoint = hosting.deploy("sourcedir", archive({"name.txt": "elsewhere"}), submitted)
    assert hosting.ask(endpoint)["body"]["model"] == "elsewhere"


@pytest.mark.fidelity(
    "Endpoints",
    "InvokeEndpoint's ContentType is what the container says, application/json included.",
    "InvokeEndpoint, API reference; aws/sagemaker-python-sdk#1136",
)
def test_an_answer_has_the_content_type_that_the_model_says(hosting: Hosting) -> None:
    endpoint = hosting.deploy("types", echo_archive("m", ANSWERS_AS_ASKED))
    kinds = ("application/json", "application/json; charset=utf-8", "text/csv", "application/xml", "image/png")
    for kind in kinds:
        answer = hosting.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"[1]", Accept=kind)
        assert (answer["ContentType"], answer["Body"].read()) == (kind, b"[1]")
    whole = hosting.runtime.invoke_endpoint(EndpointName=endpoint, Body=b"2", Accept="flask")
    assert (whole["ContentType"], whole["CustomAttributes"], whole["Body"].read()) == ("text/x", "told", b"2")


# --- errors of models


@pytest.mark.fidelity(
    "Endpoints",
    "ModelError: Received server error (500) from primary …, with OriginalStatusCode, OriginalMessage "
    "and LogStreamArn.",
    "aws/amazon-sagemaker-examples #4324; SageMaker Runtime API, ModelError",
)
@pytest.mark.parametrize(
    ("change", "logged"),
    [
        (("return body", "return 1 / 0"), "ZeroDivisionError: division by zero"),
        (('{"model": model, "data": data}', "set()"), "TypeError: Object of type set is not JSON serializable"),
    ],
    ids=["raises", "cannot encode"],
)
def test_an_error_in_serve_is_a_model_error_and_its_traceback_is_in_the_log(
    hosting: Hosting, request: pytest.FixtureRequest, change: tuple[str, str], logged: str
) -> None:
    part = re.sub("[^a-z]", "", request.node.callspec.id)
    endpoint = hosting.deploy(part, echo_archive("m", ECHO.replace(*change)))
    with pytest.raises(hosting.runtime.exceptions.ModelError) as caught:
        hosting.ask(endpoint)
    error = caught.value.response
    assert error["OriginalStatusCode"] == 500
    assert "<title>500 Internal Server Error</title>" in error["OriginalMessage"]
    assert "Received server error (500) from primary" in str(caught.value)
    assert f":log-group:/aws/sagemaker/Endpoints/{endpoint}:log-stream:AllTraffic/i-" in error["LogStreamArn"]
    until(lambda: logged in hosting.log_lines(endpoint), f"the log says {logged}")
    assert 'serve.py", line' in hosting.log_lines(endpoint)


@pytest.mark.fidelity(
    "Endpoints",
    "A container that ends is started again; the endpoint stays InService.",
    "SageMaker DG, Use Your Own Inference Code with Hosting Services",
)
def test_a_worker_that_crashes_comes_back(hosting: Hosting) -> None:
    serve = ECHO.replace("return body", "__import__('os')._exit(9) if body == 'die' else None; return 'up'")
    endpoint = hosting.deploy("crash", echo_archive("m", serve))
    with pytest.raises(hosting.runtime.exceptions.ModelError, match="closed the connection"):
        hosting.ask(endpoint, "die")

    def answers() -> bool:
        try:
            return bool(hosting.ask(endpoint)["body"]["data"] == "up")
        except (hosting.runtime.exceptions.ModelError, hosting.runtime.exceptions.ServiceUnavailable):
            return False

    until(answers, "the instance answers again")
    assert hosting.describe(endpoint)["EndpointStatus"] == "InService"


# --- updates


@pytest.mark.fidelity(
    "Endpoints",
    "UpdateEndpoint keeps the old fleet until the new one is healthy: no request fails.",
    "SageMaker API, UpdateEndpoint; DG, Blue/Green Deployments",
)
def test_no_request_fails_while_an_endpoint_is_updated(hosting: Hosting) -> None:
    """Requests without a pause, from several threads, before, during and after each of several updates."""
    endpoint = hosting.deploy("busy", echo_archive("v0"))
    versions = [
        hosting.config(f"v{n}", {"ModelName": hosting.model(f"v{n}", echo_archive(f"v{n}"))}) for n in (1, 2, 3)
    ]
    seen: Counter[str] = Counter()
    failures: list[Exception] = []
    updated = threading.Event()
    lock = threading.Lock()

    invoke = invocations(hosting.aws, endpoint)

    def send() -> None:
        while sum(seen.values()) < 4 * BETWEEN_UPDATES or not updated.is_set():
            try:
                model = json.loads(invoke())["model"]
            except Exception as error:  # noqa: BLE001 - any failure at all is what this test is about
                failures.append(error)
                return
            with lock:
                seen[model] += 1

    with ThreadPoolExecutor(4) as senders:
        for _ in range(4):
            senders.submit(send)
        try:
            for number, config in enumerate(versions, start=1):
                sent = BETWEEN_UPDATES * number
                until(lambda sent=sent: failures or sum(seen.values()) > sent, "requests before this update")
                hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
                assert hosting.settled(endpoint)["EndpointConfigName"] == config
                assert hosting.ask(endpoint)["body"]["model"] == f"v{number}", (
                    "once it is InService, only the new one answers"
                )
        finally:
            updated.set()
    assert failures == []
    assert sum(seen.values()) >= 4 * BETWEEN_UPDATES
    assert set(seen) == {"v0", "v1", "v2", "v3"}


def test_a_request_in_flight_is_answered_by_the_old_model_after_the_update(hosting: Hosting) -> None:
    endpoint = hosting.deploy("inflight", echo_archive("old", ANSWERS_SLOWLY))
    config = hosting.config("inflight2", {"ModelName": hosting.model("inflight2", echo_archive("new"))})
    with ThreadPoolExecutor(1) as sender:
        slow = sender.submit(hosting.ask, endpoint)
        until(lambda: "begun" in hosting.log_lines(endpoint), "the old model works on the request")
        hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
        hosting.settled(endpoint)
        assert hosting.ask(endpoint)["body"]["model"] == "new"
        assert slow.result()["body"]["model"] == "old"


@pytest.mark.fidelity(
    "Endpoints",
    "While Updating, DescribeEndpoint shows the old configuration and PendingDeploymentSummary.",
    "SageMaker API, DescribeEndpoint: PendingDeploymentSummary",
)
@pytest.mark.fidelity(
    "Endpoints",
    'An endpoint in progress refuses changes: Cannot update in-progress endpoint "<arn>".',
    "aws/amazon-sagemaker-operator-for-k8s, sagemaker_client_wrapper.go",
)
def test_an_update_shows_what_is_coming_and_the_old_one_serves_meanwhile(hosting: Hosting) -> None:
    endpoint = hosting.deploy("pending", echo_archive("old"))
    config = hosting.config(
        "pending2", {"ModelName": hosting.model("pending2", echo_archive("new", hosting.loads_when_told("load")))}
    )
    hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    during = hosting.describe(endpoint)
    assert during["EndpointStatus"] == "Updating"
    assert during["EndpointConfigName"] == hosting.name("pending")
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == config
    assert hosting.ask(endpoint)["body"]["model"] == "old"
    in_progress = f'Cannot update in-progress endpoint "{during["EndpointArn"]}".'
    for call, more in (
        (hosting.sagemaker.update_endpoint, {"EndpointConfigName": config}),
        (hosting.sagemaker.delete_endpoint, {}),
    ):
        assert refusal(call, EndpointName=endpoint, **more) == ("ValidationException", in_progress)
    hosting.tell_to_load("load")
    after = hosting.settled(endpoint)
    assert (after["EndpointConfigName"], "PendingDeploymentSummary" in after) == (config, False)


UNHEALTHY = {
    "model_fn raises": (
        ECHO.replace("return pathlib", "raise RuntimeError('no weights'); return pathlib"),
        "no weights",
    ),
    "crash on import": ("import nothing_like_this\n" + ECHO, "No module named 'nothing_like_this'"),
    "no model_fn": (ECHO.replace("def model_fn", "def other"), "defines no model_fn(model_dir)"),
    "both ways": (ECHO + "\ntransform_fn = predict_fn\n", "defines both transform_fn and"),
    "syntax": ("def model_fn(:", "SyntaxError"),
    "exits": ("raise SystemExit(0)", ""),
}


@pytest.mark.fidelity(
    "Endpoints",
    "The primary container for production variant … did not pass the ping health check. Please check "
    "CloudWatch logs for this endpoint.",
    "awslabs/llm-hosting-container #18",
)
@pytest.mark.parametrize("case", UNHEALTHY)
def test_a_container_that_doesnt_become_healthy_fails_a_new_endpoint(hosting: Hosting, case: str) -> None:
    serve, logged = UNHEALTHY[case]
    part = f"unhealthy-{case.replace('_', '').replace(' ', '')}"
    config = hosting.config(part, {"ModelName": hosting.model(part, echo_archive("m", serve))})
    hosting.sagemaker.create_endpoint(EndpointName=hosting.name(part), EndpointConfigName=config)
    failed = hosting.settled(hosting.name(part))
    assert (failed["EndpointStatus"], failed["FailureReason"]) == ("Failed", PING_REASON)
    until(lambda: logged in hosting.log_lines(hosting.name(part)), f"the log says {logged}")
    code, _ = refusal(hosting.sagemaker.update_endpoint, EndpointName=hosting.name(part), EndpointConfigName=config)
    assert code == "ValidationException"
    hosting.sagemaker.delete_endpoint(EndpointName=hosting.name(part))


@pytest.mark.fidelity(
    "Endpoints",
    "A failed update goes back to InService with the old configuration and a FailureReason.",
    "SageMaker API, UpdateEndpoint; hashicorp/terraform-provider-aws #48997",
)
def test_a_container_that_doesnt_become_healthy_leaves_the_old_one_serving(hosting: Hosting) -> None:
    endpoint = hosting.deploy("keeps", echo_archive("good"))
    bad = hosting.model("keeps-bad", echo_archive("bad", UNHEALTHY["model_fn raises"][0]))
    hosting.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=hosting.config("keeps-bad", {"ModelName": bad})
    )
    after = hosting.settled(endpoint)
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", hosting.name("keeps"))
    assert after["FailureReason"] == PING_REASON
    assert hosting.ask(endpoint)["body"]["model"] == "good"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (archive({"../../outside": "x", "code/serve.py": ECHO}), r"'\.\./\.\./outside'"),
        (archive({"/etc/outside": "x", "code/serve.py": ECHO}), "'/etc/outside'"),
        (b"this is no archive", "valid tar.gz archive: it isn't compressed with gzip"),
    ],
    ids=["traversal", "absolute", "broken"],
)
def test_an_archive_that_cant_be_unpacked_safely_fails_the_endpoint(
    hosting: Hosting, request: pytest.FixtureRequest, data: bytes, reason: str
) -> None:
    part = request.node.callspec.id
    config = hosting.config(part, {"ModelName": hosting.model(part, data)})
    hosting.sagemaker.create_endpoint(EndpointName=hosting.name(part), EndpointConfigName=config)
    failed = hosting.settled(hosting.name(part))
    assert failed["EndpointStatus"] == "Failed"
    assert re.search(reason, failed["FailureReason"])
    assert f"s3://{hosting.bucket}/{part}/model.tar.gz" in failed["FailureReason"]


def test_a_role_that_lost_its_permission_is_named_with_the_action(hosting: Hosting) -> None:
    role = hosting.make_role("losing", ["s3:GetObject"])
    config = hosting.config("losing", {"ModelName": hosting.model("losing", echo_archive("m"), ExecutionRoleArn=role)})
    hosting.aws.client("iam").delete_role_policy(RoleName=hosting.name("losing"), PolicyName="all")
    hosting.sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config)
    failed = hosting.settled(config)
    assert failed["EndpointStatus"] == "Failed"
    assert f'the role "{role}"' in failed["FailureReason"]
    assert '"s3:GetObject"' in failed["FailureReason"]


# --- variants


@pytest.mark.fidelity(
    "Endpoints",
    "Traffic is split by InitialVariantWeight; TargetVariant aims; UpdateEndpointWeightsAndCapacities "
    "and RetainAllVariantProperties change and keep it.",
    "SageMaker DG, Test models with production variants",
)
@pytest.mark.fidelity(
    "Endpoints",
    "UpdateEndpoint refuses the config that is in use, by its name: Cannot update endpoint with the currently in use "
    "endpoint configuration.",
    "strands-decider, deploy/: measured, the sentence quoted; an endpoint in a mix of two configs isn't told there",
)
def test_traffic_is_split_by_weight_and_can_be_aimed(hosting: Hosting) -> None:
    one, two = hosting.model("one", echo_archive("one")), hosting.model("two", echo_archive("two"))
    both = [
        {"VariantName": "One", "ModelName": one, "InitialVariantWeight": 3.0},
        {"VariantName": "Two", "ModelName": two, "InitialVariantWeight": 1.0},
    ]
    config, other = hosting.config("split", *both), hosting.config("split-again", *both)
    endpoint = hosting.name("split")
    hosting.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    hosting.settled(endpoint)
    answered = Counter(hosting.ask(endpoint)["variant"] for _ in range(400))
    assert 240 < answered["One"] < 360, "three quarters of 400, seven standard deviations wide"
    assert {hosting.ask(endpoint, TargetVariant="Two")["variant"] for _ in range(20)} == {"Two"}
    assert refusal(
        hosting.runtime.invoke_endpoint, EndpointName=endpoint, Body=b"1", TargetVariant="Three"
    ) == ("ValidationError", f"Endpoint {endpoint} has no variant Three.")  # fmt: skip
    wanted = [{"VariantName": "One", "DesiredWeight": 0.0}, {"VariantName": "Two", "DesiredInstanceCount": 2}]
    hosting.sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=wanted)
    variants = {variant["VariantName"]: variant for variant in hosting.settled(endpoint)["ProductionVariants"]}
    assert variants["One"]["CurrentWeight"] == 0.0
    assert variants["Two"]["CurrentInstanceCount"] == 2
    assert {hosting.ask(endpoint)["variant"] for _ in range(50)} == {"Two"}
    assert refusal(hosting.sagemaker.update_endpoint, EndpointName=endpoint, EndpointConfigName=config) == (
        "ValidationException",
        f'Cannot update endpoint with the currently in use endpoint configuration "{config}"',
    )
    hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=other, RetainAllVariantProperties=True)
    kept = {variant["VariantName"]: variant for variant in hosting.settled(endpoint)["ProductionVariants"]}
    assert (kept["One"]["CurrentWeight"], kept["Two"]["CurrentInstanceCount"]) == (0.0, 2)


# --- what is seen from outside


@pytest.mark.fidelity(
    "EventBridge",
    "SageMaker Endpoint State Change has statuses in capitals (IN_SERVICE) and times in milliseconds.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge",
)
@pytest.mark.fidelity(
    "Endpoints",
    "Invocations, Invocation4XXErrors, Invocation5XXErrors, ModelLatency and OverheadLatency (µs) are in "
    "AWS/SageMaker by EndpointName and VariantName.",
    "SageMaker DG, Amazon SageMaker AI metrics in Amazon CloudWatch",
)
def test_every_change_is_an_event_and_metrics_are_cloudwatchs(hosting: Hosting) -> None:
    events, sqs = hosting.aws.client("events"), hosting.aws.client("sqs")
    url = sqs.create_queue(QueueName=hosting.name("events"))["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    endpoint = hosting.name("observed")
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"],
               "detail": {"EndpointName": [endpoint]}}  # fmt: skip
    events.put_rule(Name=endpoint, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=endpoint, Targets=[{"Id": "queue", "Arn": queue}])
    hosting.deploy("observed", echo_archive("m", ECHO.replace("return body", "assert body != 'bad'; return body")))
    for _ in range(3):
        hosting.ask(endpoint)
    with pytest.raises(hosting.runtime.exceptions.ModelError):
        hosting.ask(endpoint, "bad")
    hosting.sagemaker.delete_endpoint(EndpointName=endpoint)
    received: list[dict[str, Any]] = []

    def statuses() -> list[str]:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            received.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return sorted(event["detail"]["EndpointStatus"] for event in received)

    until(lambda: statuses() == ["CREATING", "DELETING", "IN_SERVICE"], "three events")
    detail = next(event for event in received if event["detail"]["EndpointStatus"] == "IN_SERVICE")["detail"]
    assert detail["EndpointConfigName"] == endpoint
    assert detail["CreationTime"] > 1e12, "milliseconds"
    assert detail["ProductionVariants"][0]["DesiredInstanceCount"] == 1
    until(lambda: metric(hosting, endpoint, "Invocations") == 4, "the metrics are written")
    assert metric(hosting, endpoint, "Invocation5XXErrors") == 1
    assert metric(hosting, endpoint, "Invocation4XXErrors") == 0
    assert 0 < metric(hosting, endpoint, "ModelLatency") < 4e6, "microseconds"
    assert metric(hosting, endpoint, "OverheadLatency") > 0


def metric(hosting: Hosting, endpoint: str, name: str) -> float:
    now = datetime.now(UTC)
    points = hosting.aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=name,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


@pytest.mark.fidelity(
    "Endpoints",
    'Could not find endpoint "<arn>"., and the runtime: Endpoint <name> of account <account> not found.',
    "aws/amazon-sagemaker-operator-for-k8s, sagemaker_client_wrapper.go; SageMaker Runtime API, "
    "InvokeEndpoint: ValidationError",
)
def test_a_deleted_endpoint_is_gone_and_its_name_free(hosting: Hosting) -> None:
    endpoint = hosting.deploy("deleted", echo_archive("m"))
    arn = hosting.describe(endpoint)["EndpointArn"]
    hosting.sagemaker.delete_endpoint(EndpointName=endpoint)

    def gone() -> bool:
        try:
            return not hosting.describe(endpoint)
        except ClientError as error:
            return error.response["Error"]["Message"] == f'Could not find endpoint "{arn}".'

    until(gone, "the endpoint is gone")
    assert refusal(hosting.runtime.invoke_endpoint, EndpointName=endpoint, Body=b"1") == (
        "ValidationError", f"Endpoint {endpoint} of account {hosting.aws.server.account} not found.",
    )  # fmt: skip
    hosting.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=endpoint)
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
