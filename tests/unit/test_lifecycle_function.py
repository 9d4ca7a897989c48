"""The lifecycle function: it always answers, announces new code once, and takes down exactly what a pipeline made."""

from __future__ import annotations

import json
import urllib.request
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
from lifecycle import buckets, deadline, handler, pipelines
from lifecycle.answer import answer
from lifecycle.deadline import Deadline, TooLongError
from memory_aws import Aws, installed

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:machine"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:machine"
PIPELINE = {
    "Environment": "local",
    "Pipeline": "digits",
    "CodeHash": "new",
    "StartsRuns": "yes",
    "QueueUrl": "https://queue",
    "StateMachineArn": MACHINE,
    "RunTable": "runs",
    "Endpoint": "local-digits",
    "ContentPrefix": "local-digits-",
    "ModelPackageGroup": "local-digits",
    "ModelPackages": "destroy",
}
STATE = ("digits", "state")
OURS = [f"local-digits-{number:012x}" for number in range(3)]
OTHERS = ["local-digits-forest-0123456789ab", "local-digits-forest"]


@dataclass
class Answers:
    """The answers that CloudFormation was given."""

    requests: list[Any] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    def __call__(self, request: Any, timeout: float) -> Any:
        self.requests.append(request)
        self.timeouts.append(timeout)
        return nullcontext()

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(request.data) for request in self.requests]


@dataclass
class Time:
    """A clock that only sleeping, and what a test says, moves."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    for module in (deadline, pipelines):
        monkeypatch.setattr(module, "time", time)
    return time


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    answers = Answers()
    monkeypatch.setattr(urllib.request, "urlopen", answers)
    return answers


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, answers: Answers, time: Time) -> Aws:
    """A pipeline that serves, beside one whose name begins with the same words."""
    aws = installed(monkeypatch)
    aws.sagemaker.endpoints["local-digits"] = [{"EndpointStatus": "InService", "EndpointConfigName": OURS[0]}]
    aws.sagemaker.configs = {name: [name] for name in [*OURS, *OTHERS]}
    aws.sagemaker.models = [*OURS, *OTHERS]
    aws.sagemaker.packages = {"local-digits": ["p1", "p2", "p3"], "other": ["q1"]}
    aws.stepfunctions.executions = {
        f"{EXECUTION}:{number}": {"status": status}
        for number, status in enumerate(("RUNNING", "SUCCEEDED", "RUNNING", "RUNNING"))
    }
    aws.stepfunctions.executions["arn:aws:states:us-east-1:123456789012:execution:other:1"] = {"status": "RUNNING"}
    for item in ("state", "run#1"):
        aws.dynamodb.items["digits", item] = {"pipeline": {"S": "digits"}, "item": {"S": item}}
    return aws


def request(kind: str, of: str = "Custom::Pipeline", **more: Any) -> dict[str, Any]:
    """AWS CloudFormation User Guide, "Custom resource request objects"."""
    physical = {} if kind == "Create" else {"PhysicalResourceId": "physical"}
    return {
        "RequestType": kind,
        "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:f",
        "ResponseURL": "https://cloudformation/answer?signed",
        "StackId": "arn:stack",
        "RequestId": "request-1",
        "ResourceType": of,
        "LogicalResourceId": "Logical",
        **physical,
        "ResourceProperties": PIPELINE,
        **more,
    }


def call(event: dict[str, Any]) -> None:
    handler.handle(event, Context())


# --------------------------------------------------------------------------------------------------------- scaling

VARIANT = "endpoint/local-digits/variant/AllTraffic"
SCALED = {**PIPELINE, "Scaled": VARIANT}


def test_an_endpoint_that_is_scaled_no_more_is_left_alone(aws: Aws, answers: Answers) -> None:
    aws.application_autoscaling.targets = {VARIANT, "endpoint/other/variant/AllTraffic"}
    call(request("Update", ResourceProperties=SCALED, OldResourceProperties=PIPELINE))
    call(request("Update", ResourceProperties=SCALED, OldResourceProperties=SCALED))
    assert VARIANT in aws.application_autoscaling.targets
    call(request("Update", OldResourceProperties=SCALED))
    assert aws.application_autoscaling.targets == {"endpoint/other/variant/AllTraffic"}
    call(request("Update", OldResourceProperties=SCALED))
    assert [document["Status"] for document in answers.documents] == ["SUCCESS"] * 4, "done again, it is as well"


def test_a_pipeline_that_goes_leaves_no_scalable_target(aws: Aws, answers: Answers) -> None:
    aws.application_autoscaling.targets = {VARIANT}
    call(request("Delete", ResourceProperties=SCALED))
    assert aws.application_autoscaling.targets == set()
    assert answers.documents[0]["Status"] == "SUCCESS"


# ---------------------------------------------------------------------------------------------------- the answer


def test_every_request_is_answered_with_its_own_ids(aws: Aws, answers: Answers) -> None:
    call(request("Create"))
    assert answers.documents == [
        {
            "Status": "SUCCESS",
            "Reason": "",
            "PhysicalResourceId": "digits",
            "StackId": "arn:stack",
            "RequestId": "request-1",
            "LogicalResourceId": "Logical",
        }
    ]
    (put,) = answers.requests
    assert (put.full_url, put.get_method()) == ("https://cloudformation/answer?signed", "PUT")
    assert put.headers == {"Content-type": ""}, "the address is signed for none"
    assert answers.timeouts == [10]
    asked = [operation for operation, _ in aws.calls]
    assert asked == ["describe_model_package_group"], "a create only looks after the group"


def test_a_failure_is_answered_with_its_reason(aws: Aws, answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    aws.refuse("list_executions", "AccessDeniedException", "no one may")
    call(request("Delete"))
    (document,) = answers.documents
    assert document["Status"] == "FAILED"
    assert document["Reason"].startswith("ClientError: ") and "no one may" in document["Reason"]
    assert document["PhysicalResourceId"] == "physical", "a delete must not change it"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["level"], line["event"]) for line in lines] == [("INFO", "request"), ("ERROR", "failed")]
    assert (lines[0]["type"], lines[0]["resource"], lines[0]["id"]) == ("Delete", "Custom::Pipeline", "Logical")
    assert lines[0]["function"] == "lifecycle"


def test_an_unknown_resource_is_answered_too(aws: Aws, answers: Answers) -> None:
    call(request("Create", "Custom::Other"))
    assert (answers.documents[0]["Status"], answers.documents[0]["PhysicalResourceId"]) == ("FAILED", "Logical")


def test_a_long_reason_is_cut_to_what_an_answer_holds(answers: Answers) -> None:
    answer(request("Create"), "FAILED", reason="x" * 5000)
    assert answers.documents[0]["Reason"] == "x" * 1024


def test_work_ends_while_it_can_still_be_said_so(aws: Aws, answers: Answers, time: Time) -> None:
    """900 s less 20 to answer."""
    aws.sagemaker.endpoints["local-digits"] = [{"EndpointStatus": "Updating", "EndpointConfigName": OURS[0]}]
    call(request("Delete"))
    assert answers.documents[0]["Reason"] == (
        "TooLongError: deleting the endpoint local-digits (Updating) takes longer than the function may run; "
        "do it again, it goes on from here"
    )
    assert time.now - 1000 == 880
    assert set(time.slept) == {1.0}


# ------------------------------------------------------------------------------------------------------- new code


def update(**changes: Any) -> dict[str, Any]:
    return request("Update", OldResourceProperties={**PIPELINE, "CodeHash": "old", **changes})


def test_new_code_is_announced(aws: Aws, answers: Answers) -> None:
    call(update())
    (message,) = aws.called("send_message")
    assert message["QueueUrl"] == "https://queue"
    assert json.loads(message["MessageBody"]) == {"kind": "code", "detail": {"code_hash": "new", "previous": "old"}}
    assert (answers.documents[0]["Status"], answers.documents[0]["PhysicalResourceId"]) == ("SUCCESS", "digits")
    assert aws.called("get_item")[0]["ConsistentRead"] is True


def test_code_that_had_no_hash_is_new(aws: Aws) -> None:
    old = {name: value for name, value in PIPELINE.items() if name != "CodeHash"}
    call(request("Update", OldResourceProperties=old))
    (message,) = aws.called("send_message")
    assert json.loads(message["MessageBody"])["detail"] == {"code_hash": "new", "previous": ""}


@pytest.mark.parametrize("why", ["the same code", "the spec wants none", "no data yet"])
def test_nothing_else_is_announced(aws: Aws, why: str) -> None:
    event = update()
    if why == "the same code":
        event["OldResourceProperties"]["CodeHash"] = "new"
    elif why == "the spec wants none":
        event["ResourceProperties"] = {**PIPELINE, "StartsRuns": "no"}
    else:
        aws.dynamodb.items.pop(STATE)
    call(event)
    assert not aws.called("send_message")


def test_an_announcement_says_whether_it_was_made(aws: Aws) -> None:
    sqs, dynamodb = aws.client("sqs"), aws.client("dynamodb")
    assert pipelines.announce_new_code(sqs, dynamodb, PIPELINE, {}) is True
    assert pipelines.announce_new_code(sqs, dynamodb, PIPELINE, PIPELINE) is False


# ----------------------------------------------------------------------------------------------------- taking down


def test_a_pipeline_that_goes_takes_all_of_its_own_and_nothing_else(aws: Aws, answers: Answers) -> None:
    call(request("Delete"))
    assert answers.documents[0]["Status"] == "SUCCESS"
    assert not aws.sagemaker.endpoints
    assert list(aws.sagemaker.configs) == aws.sagemaker.models == OTHERS
    assert aws.sagemaker.packages == {"other": ["q1"]}, "the group goes with its versions"
    statuses = [execution["status"] for execution in aws.stepfunctions.executions.values()]
    assert statuses == ["ABORTED", "SUCCEEDED", "ABORTED", "ABORTED", "RUNNING"]
    stopped = aws.stepfunctions.executions[f"{EXECUTION}:0"]
    assert (stopped["error"], stopped["cause"]) == ("PipelineDestroyed", "The pipeline's stack is being deleted.")
    assert list(aws.dynamodb.items) == [("digits", "run#1")], "what runs were stays known"


@pytest.mark.parametrize("alarms", [{"Alarms": "yes"}, {}])
def test_alarms_that_a_cut_off_deployment_has_left_go_before_the_configs_that_name_them(
    aws: Aws, alarms: dict[str, str]
) -> None:
    aws.cloudwatch.alarms = {f"{name}-errors": {} for name in [*OURS, *OTHERS]}
    call(request("Delete", ResourceProperties={**PIPELINE, **alarms}))
    left = OTHERS if alarms else [*OURS, *OTHERS]
    assert list(aws.cloudwatch.alarms) == [f"{name}-errors" for name in left]


def test_taken_down_twice_is_as_once(aws: Aws, answers: Answers) -> None:
    call(request("Delete"))
    call(request("Delete"))
    assert [document["Status"] for document in answers.documents] == ["SUCCESS", "SUCCESS"]


def test_runs_are_stopped_first_and_the_champion_forgotten_last(aws: Aws) -> None:
    """A run that went on would deploy again."""
    call(request("Delete"))
    names = [name for name, _ in aws.calls]
    assert names[:2] == ["list_executions", "stop_execution"]
    assert names[-1] == "delete_item"
    assert names.index("delete_endpoint") < names.index("delete_endpoint_config") < names.index("delete_model")


def test_model_packages_stay_where_the_environment_keeps_them(aws: Aws) -> None:
    call(request("Delete", ResourceProperties={**PIPELINE, "ModelPackages": "retain"}))
    assert aws.sagemaker.packages["local-digits"] == ["p1", "p2", "p3"]
    assert not aws.sagemaker.endpoints


@pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating", "RollingBack"])
def test_an_endpoint_that_is_being_changed_is_waited_for(aws: Aws, time: Time, status: str) -> None:
    serving = {"EndpointStatus": "InService", "EndpointConfigName": OURS[0]}
    aws.sagemaker.endpoints["local-digits"] = [{**serving, "EndpointStatus": status}] * 2 + [serving]
    call(request("Delete"))
    assert not aws.sagemaker.endpoints
    assert time.slept == [1.0, 1.0, 0.1, 1.0], "a little for what SageMaker has just accepted"
    assert len(aws.called("delete_endpoint")) == 1


@pytest.mark.parametrize("status", ["Failed", "OutOfService"])
def test_an_endpoint_that_does_not_serve_goes_too(aws: Aws, status: str) -> None:
    aws.sagemaker.endpoints["local-digits"] = [{"EndpointStatus": status, "EndpointConfigName": OURS[0]}]
    call(request("Delete"))
    assert not aws.sagemaker.endpoints


@pytest.mark.parametrize(
    "operation", ["describe_endpoint", "describe_model_package_group", "list_model_packages", "delete_item"]
)
def test_what_is_refused_is_no_missing_thing(aws: Aws, answers: Answers, operation: str) -> None:
    aws.refuse(operation, "AccessDeniedException", "could not find a policy")
    call(request("Delete"))
    assert answers.documents[0]["Status"] == "FAILED"


def test_packages_beyond_the_time_are_left_to_the_next_try(aws: Aws, time: Time) -> None:
    def late(operation: str) -> None:
        if operation == "delete_model_package":
            time.now += 500

    aws.step = late
    with pytest.raises(TooLongError, match="deleting the model packages of local-digits takes longer"):
        pipelines.take_down(pipelines.Clients.of(aws.client), PIPELINE, Deadline(880))
    assert aws.sagemaker.packages["local-digits"] == ["p2", "p3"], "what was done stays done"


# ------------------------------------------------------------------------------------- the group, and the code's copy


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_deployment_makes_the_group_if_there_is_none(aws: Aws, answers: Answers, kind: str) -> None:
    del aws.sagemaker.packages["local-digits"]
    call(update() if kind == "Update" else request(kind))
    assert answers.documents[0]["Status"] == "SUCCESS"
    assert aws.sagemaker.packages["local-digits"] == []
    tags = [{"Key": "ratchet:environment", "Value": "local"}, {"Key": "ratchet:pipeline", "Value": "digits"}]
    assert aws.sagemaker.groups["local-digits"]["Tags"] == tags


def test_a_pipeline_deployed_anew_takes_up_the_group_that_was_kept(aws: Aws, answers: Answers) -> None:
    call(request("Delete", ResourceProperties={**PIPELINE, "ModelPackages": "retain"}))
    call(request("Create"))
    assert [document["Status"] for document in answers.documents] == ["SUCCESS", "SUCCESS"]
    assert aws.sagemaker.packages["local-digits"] == ["p1", "p2", "p3"]


COPIED = {"FromBucket": "assets", "FromKey": "c0de.gz", "ToBucket": "artifacts", "ToKey": "code/digits/c0de/s.tar.gz"}


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_code_is_copied_to_where_jobs_read_it(aws: Aws, answers: Answers, kind: str) -> None:
    aws.s3.objects["assets", "c0de.gz"] = b"an archive"
    call(request(kind, "Custom::CopiedSource", ResourceProperties=COPIED))
    assert aws.s3.objects["artifacts", "code/digits/c0de/s.tar.gz"] == b"an archive"
    assert (answers.documents[0]["Status"], answers.documents[0]["PhysicalResourceId"]) == ("SUCCESS", "Logical")


def test_copied_code_stays_when_the_pipeline_goes(aws: Aws, answers: Answers) -> None:
    aws.s3.objects["artifacts", "code/digits/c0de/s.tar.gz"] = b"an archive"
    call(request("Delete", "Custom::CopiedSource", ResourceProperties=COPIED))
    assert answers.documents[0]["Status"] == "SUCCESS"
    assert not aws.calls


# --------------------------------------------------------------------------------------------------------- buckets


def bucket_request(kind: str) -> dict[str, Any]:
    return request(kind, "Custom::EmptiedBucket", ResourceProperties={"Bucket": "bucket"})


def fill(aws: Aws) -> None:
    aws.s3.versions["bucket"] = [{"Key": f"k{number}", "VersionId": "v"} for number in range(3)]
    aws.s3.markers["bucket"] = [{"Key": "gone", "VersionId": "m"}]


def test_a_bucket_that_goes_is_emptied(aws: Aws, answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
    fill(aws)
    call(bucket_request("Delete"))
    assert (answers.documents[0]["Status"], answers.documents[0]["PhysicalResourceId"]) == ("SUCCESS", "bucket")
    assert aws.s3.versions["bucket"] == aws.s3.markers["bucket"] == []
    assert all(request["Delete"]["Quiet"] for request in aws.called("delete_objects"))
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["event"], line["bucket"], line["versions"]) == ("emptied", "bucket", 4)


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_bucket_that_stays_is_left_alone(aws: Aws, answers: Answers, kind: str) -> None:
    fill(aws)
    call(bucket_request(kind))
    assert not aws.calls
    assert answers.documents[0]["PhysicalResourceId"] == "bucket"


def test_a_bucket_that_is_empty_or_gone_is_empty(aws: Aws) -> None:
    assert buckets.empty(aws.client("s3"), "bucket", Deadline(60)) == 0
    aws.s3.versions["bucket"] = []
    assert buckets.empty(aws.client("s3"), "bucket", Deadline(60)) == 0
    assert not aws.called("delete_objects")


def test_a_bucket_that_goes_meanwhile_says_what_was_deleted(aws: Aws) -> None:
    fill(aws)
    aws.refuse("delete_objects", "NoSuchBucket")
    assert buckets.empty(aws.client("s3"), "bucket", Deadline(60)) == 0


def test_objects_that_cannot_be_deleted_are_counted_and_the_first_named(aws: Aws) -> None:
    fill(aws)
    aws.s3.undeletable = {"k0", "k1"}
    with pytest.raises(
        buckets.NotEmptiedError, match=r"k0 in bucket can't be deleted \(Access Denied\), nor can 1 more"
    ):
        buckets.empty(aws.client("s3"), "bucket", Deadline(60))


def test_a_code_stands_for_a_message_that_s3_does_not_give(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(aws)
    errors = {"Errors": [{"Key": "k0", "Code": "InternalError"}]}
    monkeypatch.setattr(aws.s3, "delete_objects", lambda **_: errors)
    with pytest.raises(buckets.NotEmptiedError, match=r"\(InternalError\), nor can 0 more"):
        buckets.empty(aws.client("s3"), "bucket", Deadline(60))


def test_a_bucket_too_large_for_the_time_goes_on_next_time(aws: Aws) -> None:
    fill(aws)
    with pytest.raises(TooLongError, match="emptying bucket takes longer"):
        buckets.empty(aws.client("s3"), "bucket", Deadline(0))
    assert len(aws.s3.versions["bucket"]) == 1, "a page is deleted before the time is looked at"


@pytest.mark.parametrize(("seconds", "over"), [(9.9, False), (10, True), (11, True)])
def test_a_deadline_is_over_when_its_time_is(time: Time, seconds: float, over: bool) -> None:
    deadline = Deadline(10)
    time.now += seconds
    late = pytest.raises(TooLongError, match="it takes longer than the function may run; do it again")
    with late if over else nullcontext():
        deadline.check("it")


# ---------------------------------------------------------------------------------------------------------- images

IMAGE = {"Tag": "t1", "Project": "project", "Bucket": "bucket", "Key": "key.zip"}


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_build_is_started_and_answers_by_itself(aws: Aws, answers: Answers, kind: str) -> None:
    aws.s3.objects["bucket", "key.zip"] = b""
    aws.s3.versions["bucket"] = [{"Key": "key.zip", "VersionId": "v1"}, {"Key": "other.zip", "VersionId": "v2"}]
    call(request(kind, "Custom::BuiltImage", ResourceProperties=IMAGE))
    (build,) = aws.called("start_build")
    assert build["sourceVersion"] == "v1", "what is put there meanwhile is another's"
    assert (build["projectName"], build["sourceLocationOverride"]) == ("project", "bucket/key.zip")
    assert build["idempotencyToken"] == "request-1", "a request that comes again is the same build"
    variables = {entry["name"]: entry["value"] for entry in build["environmentVariablesOverride"]}
    assert variables == {
        "TAG": "t1",
        "RESPONSE_URL": "https://cloudformation/answer?signed",
        "STACK_ID": "arn:stack",
        "REQUEST_ID": "request-1",
        "LOGICAL_ID": "Logical",
    }
    assert not answers.requests


@pytest.mark.parametrize("versions", [[], [{"Key": "key.zip", "VersionId": "null"}]])
def test_a_bucket_without_versions_names_none(aws: Aws, answers: Answers, versions: list[dict[str, str]]) -> None:
    aws.s3.objects["bucket", "key.zip"] = b""
    aws.s3.versions["bucket"] = versions
    call(request("Create", "Custom::BuiltImage", ResourceProperties=IMAGE))
    (build,) = aws.called("start_build")
    assert "sourceVersion" not in build
    assert not answers.requests


def test_a_source_that_is_gone_is_told(aws: Aws, answers: Answers) -> None:
    call(request("Create", "Custom::BuiltImage", ResourceProperties=IMAGE))
    assert answers.documents[0]["Status"] == "FAILED"
    assert "Not Found" in answers.documents[0]["Reason"]


def test_an_image_that_goes_needs_no_build(aws: Aws, answers: Answers) -> None:
    call(request("Delete", "Custom::BuiltImage", ResourceProperties=IMAGE))
    assert not aws.calls
    assert (answers.documents[0]["Status"], answers.documents[0]["PhysicalResourceId"]) == ("SUCCESS", "physical")


BUILD = {
    "buildStatus": "FAILED",
    "environment": {
        "environmentVariables": [
            {"name": "REPOSITORY", "value": "images", "type": "PLAINTEXT"},
            {"name": "RESPONSE_URL", "value": "https://cloudformation/answer?signed"},
            {"name": "STACK_ID", "value": "arn:stack"},
            {"name": "REQUEST_ID", "value": "request-1"},
            {"name": "LOGICAL_ID", "value": "Logical"},
        ]
    },
    "phases": [
        {"phaseType": "SUBMITTED", "phaseStatus": "SUCCEEDED"},
        {
            "phaseType": "DOWNLOAD_SOURCE",
            "phaseStatus": "FAILED",
            "contexts": [{"statusCode": "CLIENT_ERROR", "message": "AccessDenied: Access Denied"}],
        },
        {"phaseType": "COMPLETED"},
    ],
    "logs": {"deepLink": "https://console/log"},
}
ENDED = {
    "source": "aws.codebuild",
    "detail-type": "CodeBuild Build State Change",
    "detail": {"build-id": "arn:aws:codebuild:us-east-1:123456789012:build/project:1", "build-status": "FAILED"},
}


def test_a_build_that_could_not_answer_is_answered_for(aws: Aws, answers: Answers) -> None:
    aws.codebuild.builds["project:1"] = BUILD
    call(ENDED)
    (document,) = answers.documents
    assert document == {
        "Status": "FAILED",
        "Reason": "The image build: DOWNLOAD_SOURCE ended FAILED: AccessDenied: Access Denied; its log: "
        "https://console/log",
        "PhysicalResourceId": "images",
        "StackId": "arn:stack",
        "RequestId": "request-1",
        "LogicalResourceId": "Logical",
    }
    assert answers.requests[0].full_url == "https://cloudformation/answer?signed"


def test_a_build_that_is_stopped_or_has_no_log_is_told_too(aws: Aws, answers: Answers) -> None:
    stopped = {"phaseType": "BUILD", "phaseStatus": "STOPPED"}
    aws.codebuild.builds["project:1"] = {**BUILD, "phases": [stopped], "logs": {}}
    call(ENDED)
    logs = {"groupName": "group", "streamName": "stream"}
    aws.codebuild.builds["project:1"] = {**BUILD, "phases": [], "buildStatus": "FAULT", "logs": logs}
    call(ENDED)
    assert [document["Reason"] for document in answers.documents] == [
        "The image build: BUILD ended STOPPED; its log: there is none",
        "The image build: it ended FAULT; its log: group stream",
    ]


def test_a_build_that_somebody_has_started_by_hand_has_nobody_to_answer_to(aws: Aws, answers: Answers) -> None:
    own = [{"name": "REPOSITORY", "value": "images", "type": "PLAINTEXT"}]
    aws.codebuild.builds["project:1"] = {**BUILD, "environment": {"environmentVariables": own}}
    call(ENDED)
    assert not answers.requests


def test_a_build_that_has_answered_is_left_alone(aws: Aws, answers: Answers) -> None:
    """Its commands' own words say more than CodeBuild's."""
    phases = [{"phaseType": "BUILD", "phaseStatus": "FAILED"}, {"phaseType": "POST_BUILD", "phaseStatus": "SUCCEEDED"}]
    aws.codebuild.builds["project:1"] = {**BUILD, "phases": phases}
    call(ENDED)
    assert not answers.requests
