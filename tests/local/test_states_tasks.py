"""Tasks: authorized by the state machine's role, their errors, callbacks and heartbeats."""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import Any

import pytest
from resources import allow, first_message, make_role, unique
from state_machines import StateMachine, machine, status_queue
from waiting import until

INVOKE = "arn:aws:states:::lambda:invoke"


@pytest.fixture(scope="module")
def function(aws: Any) -> str:
    """A function that returns what it is given, or fails where it is told to; its ARN."""
    source = (
        "def handler(event, context):\n"
        "    if event.get('fail'):\n        raise ValueError('as told')\n    return event\n"
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("index.py", source)
    created = aws.client("lambda").create_function(
        FunctionName=unique("function"),
        Runtime="python3.11",
        Role=make_role(aws, "lambda.amazonaws.com"),
        Handler="index.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    return str(created["FunctionArn"])


def invoke(function: str, payload: object, **fields: object) -> dict[str, object]:
    arguments = {"FunctionName": function, "Payload": payload}
    return {"Type": "Task", "Resource": INVOKE, "Arguments": arguments, "End": True, **fields}


def waiting_token(m: StateMachine, execution_arn: str) -> str:
    """The token of the callback task that the execution waits in."""
    until(lambda: any(event["type"] == "TaskSubmitted" for event in m.history(execution_arn)), "the task's submission")
    scheduled = next(event for event in m.history(execution_arn) if event["type"] == "TaskScheduled")
    return str(json.loads(scheduled["taskScheduledEventDetails"]["parameters"])["Payload"]["token"])


@pytest.mark.fidelity(
    "Step Functions",
    "lambda:invoke answers with Payload, StatusCode and the rest of Invoke's response.",
    "Step Functions DG, Invoke an AWS Lambda function with Step Functions",
)
def test_a_function_is_invoked_with_the_payload_and_answers_with_it(aws: Any, function: str) -> None:
    m = machine(aws, {"T": invoke(function, {"a": "{% $states.input.a %}"})}, allow("lambda:InvokeFunction"))
    output = m.run({"a": 1})["output"]
    assert (output["Payload"], output["StatusCode"]) == ({"a": 1}, 200)


@pytest.mark.fidelity(
    "Step Functions",
    "A function's error type is the task's error, its JSON the cause.",
    "Step Functions DG, Handling errors in Step Functions workflows",
)
def test_a_functions_error_is_the_tasks_error(aws: Any, function: str) -> None:
    m = machine(aws, {"T": invoke(function, {"fail": True})}, allow("lambda:InvokeFunction"))
    ended = m.run()
    assert ended["error"] == "ValueError"
    assert json.loads(ended["cause"])["errorMessage"] == "as told"


@pytest.mark.fidelity(
    "Step Functions",
    "A denied task fails with Lambda.AWSLambdaException, DynamoDB.AmazonDynamoDBException, "
    "SNS.AuthorizationErrorException ….",
    "Step Functions DG, Handling errors; service integrations' error names",
)
@pytest.mark.parametrize(
    ("resource", "arguments", "error", "action"),
    [
        (INVOKE, {"FunctionName": "f", "Payload": {}}, "Lambda.AWSLambdaException", "lambda:InvokeFunction"),
        (
            "arn:aws:states:::dynamodb:putItem",
            {"TableName": "t", "Item": {"k": {"S": "v"}}},
            "DynamoDB.AmazonDynamoDBException",
            "dynamodb:PutItem",
        ),
        (
            "arn:aws:states:::sns:publish",
            {"TopicArn": "arn:aws:sns:us-east-1:000000000000:t", "Message": {"a": 1}},
            "SNS.AuthorizationErrorException",
            "sns:Publish",
        ),
        (
            "arn:aws:states:::sqs:sendMessage",
            {"QueueUrl": "http://127.0.0.1/000000000000/q", "MessageBody": "m"},
            "SQS.AmazonSQSException",
            "sqs:SendMessage",
        ),
        (
            "arn:aws:states:::events:putEvents",
            {"Entries": [{"Source": "s", "DetailType": "d", "Detail": {}}]},
            "EventBridge.AmazonEventBridgeException",
            "events:PutEvents",
        ),
        (
            "arn:aws:states:::aws-sdk:ssm:getParameter",
            {"Name": "p"},
            "Ssm.SsmException",
            "ssm:GetParameter",
        ),
        (
            "arn:aws:states:::aws-sdk:sagemaker:describeEndpoint",
            {"EndpointName": "e"},
            "SageMaker.SageMakerException",
            "sagemaker:DescribeEndpoint",
        ),
        (
            "arn:aws:states:::sagemaker:createModel",
            {"ModelName": "m"},
            "SageMaker.AmazonSageMakerException",
            "sagemaker:CreateModel",
        ),
    ],
)
def test_a_task_that_the_role_may_not_do_fails_naming_action_and_role(
    aws: Any, resource: str, arguments: dict[str, Any], error: str, action: str
) -> None:
    m = machine(aws, {"T": {"Type": "Task", "Resource": resource, "Arguments": arguments, "End": True}})
    ended = m.run()
    assert ended["error"] == error
    assert f"is not authorized to perform: {action}" in ended["cause"]
    assert f"assumed-role/{m.role_arn.rpartition('/')[2]}/" in ended["cause"]


@pytest.mark.fidelity(
    "Step Functions",
    "aws-sdk:s3:putObject writes an object or an array in Body as JSON; Parameters {} are no input's.",
    "Step Functions DG, Learning to use AWS service SDK integrations: JSON in the place of bytes",
)
def test_an_object_in_the_place_of_bytes_is_json(aws: Any) -> None:
    s3, bucket = aws.client("s3"), unique("bodies")
    s3.create_bucket(Bucket=bucket)
    put = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:putObject", "ResultPath": "$.put"}
    to = {"Bucket": bucket, "Key": "k"}
    states = {
        "Put": {**put, "Parameters": {**to, "Body.$": "$.body"}, "Next": "None"},
        "None": {"Type": "Pass", "Parameters": {}, "End": True},
    }
    m = machine(aws, states, allow("s3:PutObject"), QueryLanguage="JSONPath")
    for body in ({"id": "a", "foo": [1, None]}, [1, 2]):
        assert m.run({"body": body})["output"] == {}
        assert json.loads(s3.get_object(Bucket=bucket, Key="k")["Body"].read()) == body


@pytest.mark.fidelity(
    "Step Functions",
    "dynamodb:putItem fails with DynamoDB.ConditionalCheckFailedException, aws-sdk with DynamoDb.….",
    "Step Functions DG, Perform DynamoDB CRUD operations; Learning to use AWS service SDK integrations",
)
def test_the_optimized_dynamodb_and_sdk_integrations_name_members_and_errors_as_aws_does(aws: Any) -> None:
    table = unique("table")
    aws.client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    key = {"k": {"S": "v"}}
    put = {"TableName": table, "Item": key, "ConditionExpression": "attribute_not_exists(k)"}
    m = machine(
        aws,
        {
            "Put": {"Type": "Task", "Resource": "arn:aws:states:::dynamodb:putItem", "Arguments": put, "Next": "Get"},
            "Get": {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:dynamodb:getItem",
                "Arguments": {"TableName": table, "Key": key},
                "Assign": {"item": "{% $states.result.Item %}"},
                "Next": "Again",
            },
            "Again": {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:putItem",
                "Arguments": put,
                "Catch": [
                    {
                        "ErrorEquals": ["DynamoDB.ConditionalCheckFailedException"],
                        "Output": "{% $item %}",
                        "Next": "Done",
                    }
                ],
                "End": True,
            },
            "Done": {"Type": "Succeed"},
        },
        allow("dynamodb:*"),
    )
    assert m.run()["output"] == key


@pytest.mark.fidelity(
    "Step Functions",
    "A token is used once: afterwards SendTaskSuccess is TaskTimedOut.",
    "Step Functions API, SendTaskSuccess: errors",
)
def test_a_callback_ends_with_what_the_token_is_given(aws: Any, function: str) -> None:
    payload = {"token": "{% $states.context.Task.Token %}"}
    state = invoke(function, payload, Resource=f"{INVOKE}.waitForTaskToken", TimeoutSeconds=600)
    m = machine(aws, {"T": state}, allow("lambda:InvokeFunction"))
    arn = m.start()
    token = waiting_token(m, arn)
    m.sfn.send_task_success(taskToken=token, output=json.dumps({"approved": True}))
    assert m.ended(arn)["output"] == {"approved": True}
    with pytest.raises(m.sfn.exceptions.TaskTimedOut):
        m.sfn.send_task_success(taskToken=token, output="{}")


def test_a_callback_whose_function_fails_fails_at_once(aws: Any, function: str) -> None:
    state = invoke(function, {"fail": True}, Resource=f"{INVOKE}.waitForTaskToken", TimeoutSeconds=600)
    m = machine(aws, {"T": state}, allow("lambda:InvokeFunction"))
    assert m.run()["error"] == "ValueError"


@pytest.mark.fidelity(
    "Step Functions",
    "A missed heartbeat is States.HeartbeatTimeout, which States.Timeout catches, and a TaskTimedOut event.",
    "Step Functions DG, Handling errors in Step Functions workflows",
)
def test_a_missed_heartbeat_is_a_timeout_and_a_heartbeat_keeps_the_task(aws: Any, function: str) -> None:
    payload = {"token": "{% $states.context.Task.Token %}"}
    state = invoke(
        function,
        payload,
        Resource=f"{INVOKE}.waitForTaskToken",
        HeartbeatSeconds=2,
        Catch=[{"ErrorEquals": ["States.Timeout"], "Output": "{% $states.errorOutput.Error %}", "Next": "Done"}],
    )
    m = machine(aws, {"T": state, "Done": {"Type": "Succeed"}}, allow("lambda:InvokeFunction"))
    arn = m.start()
    token = waiting_token(m, arn)
    kept_until = time.monotonic() + 3
    while time.monotonic() < kept_until:
        m.sfn.send_task_heartbeat(taskToken=token)
    assert m.sfn.describe_execution(executionArn=arn)["status"] == "RUNNING"
    assert m.ended(arn)["output"] == "States.HeartbeatTimeout"
    assert "TaskTimedOut" in [event["type"] for event in m.history(arn)]


@pytest.mark.fidelity(
    "Step Functions",
    "A role that can't be assumed is States.Permissions.",
    "Step Functions DG, Handling errors in Step Functions workflows",
)
def test_a_role_that_step_functions_may_not_assume_fails_the_task(aws: Any) -> None:
    m = machine(aws, {"T": invoke("f", {})}, allow("lambda:InvokeFunction"))
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    aws.client("iam").update_assume_role_policy(
        RoleName=m.role_arn.rpartition("/")[2],
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    ended = m.run()
    assert ended["error"] == "States.Permissions"
    assert m.role_arn in ended["cause"]


@pytest.mark.fidelity(
    "EventBridge",
    "Step Functions Execution Status Change: status, input, output, error, cause, dates in milliseconds.",
    "Step Functions DG, Automating Step Functions event delivery with EventBridge",
)
def test_status_changes_reach_the_event_bus_in_awss_shape(aws: Any) -> None:
    m = machine(aws, {"F": {"Type": "Fail", "Error": "E", "Cause": "c"}})
    url = status_queue(aws, m.arn, "FAILED", "SUCCEEDED")
    ended = m.run({"x": 1})
    event = first_message(aws, url)
    assert event["detail-type"] == "Step Functions Execution Status Change"
    assert event["resources"] == [ended["executionArn"]]
    detail = event["detail"]
    assert (detail["status"], detail["error"], detail["cause"], detail["output"]) == ("FAILED", "E", "c", None)
    assert json.loads(detail["input"]) == {"x": 1}
    assert detail["stopDate"] >= detail["startDate"] > 1_600_000_000_000


@pytest.mark.fidelity(
    "CloudWatch Logs",
    "An execution's log has its level's events, and data only with includeExecutionData.",
    "Step Functions DG, Logging state machine execution history to CloudWatch Logs",
)
def test_execution_logs_have_the_level_and_the_data_asked_for(aws: Any) -> None:
    logs = aws.client("logs")
    group = unique("/test/states")
    logs.create_log_group(logGroupName=group)
    destination = f"arn:aws:logs:us-east-1:000000000000:log-group:{group}:*"
    m = machine(
        aws,
        {"A": {"Type": "Pass", "Next": "F"}, "F": {"Type": "Fail", "Error": "E", "Cause": "c"}},
        allow("logs:*"),
        logging={
            "level": "ERROR",
            "includeExecutionData": False,
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": destination}}],
        },
    )
    arn = m.start({"secret": "s"})
    m.ended(arn)

    def logged() -> list[dict[str, Any]]:
        found = logs.filter_log_events(logGroupName=group)["events"]
        return [json.loads(event["message"]) for event in found]

    until(lambda: len(logged()) >= 2, "the log")
    lines = logged()
    assert [line["type"] for line in lines] == ["FailStateEntered", "ExecutionFailed"]
    assert all(line["execution_arn"] == arn for line in lines)
    assert "secret" not in json.dumps(lines)


@pytest.mark.fidelity(
    "Step Functions",
    "states:startExecution answers with ExecutionArn and StartDate.",
    "Step Functions DG, Start workflow executions from a task state",
)
def test_an_execution_started_by_another_is_named_in_its_output(aws: Any) -> None:
    inner = machine(aws, {"A": {"Type": "Pass", "End": True}})
    start = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution",
        "Arguments": {"StateMachineArn": inner.arn, "Input": {"from": "outer"}, "Name": unique("run")},
        "End": True,
    }
    outer = machine(aws, {"S": start}, allow("states:StartExecution", resource=inner.arn))
    output = outer.run()["output"]
    assert inner.ended(output["ExecutionArn"])["output"] == {"from": "outer"}
    assert output["StartDate"].endswith("Z")


@pytest.mark.fidelity(
    "Step Functions",
    "events:putEvents with a failed entry is EventBridge.FailedEntry; aws.… sources are NotAuthorizedForSource.",
    "Step Functions DG, Add EventBridge events with Step Functions",
)
def test_an_event_that_could_not_be_put_fails_the_task(aws: Any) -> None:
    entry = {"Source": "aws.states", "DetailType": "d", "Detail": {"a": 1}}
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::events:putEvents",
        "Arguments": {"Entries": [entry]},
        "End": True,
    }
    ended = machine(aws, {"P": put}, allow("events:PutEvents")).run()
    assert ended["error"] == "EventBridge.FailedEntry"
    assert "NotAuthorizedForSource" in ended["cause"]


def test_arguments_that_the_api_does_not_take_fail_with_their_name(aws: Any) -> None:
    put = {
        "Type": "Task",
        "Resource": "arn:aws:states:::dynamodb:putItem",
        "Arguments": {"TableName": "t", "Itemz": {}},
        "End": True,
    }
    ended = machine(aws, {"P": put}, allow("dynamodb:PutItem")).run()
    assert ended["error"] == "States.Runtime"
    assert "Itemz" in ended["cause"]
