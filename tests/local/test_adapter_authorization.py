"""IAM is asked wherever AWS asks it, and says which action, role and resource are missing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from resources import allow, assumed, make_function, make_role
from waiting import until

ACCOUNT = "000000000000"
MACHINE = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


@pytest.fixture(scope="module")
def deployer(aws: Any) -> Any:
    """Credentials of a role that may do everything but pass a role."""
    statements = [allow("*"), {"Effect": "Deny", "Action": "iam:PassRole", "Resource": "*"}]
    return assumed(aws, make_role(aws, ACCOUNT, *statements, name="deployer"))


def create_function(aws: Any, key: Any, role: str) -> None:
    aws.client("lambda", key).create_function(
        FunctionName="f", Runtime="python3.13", Handler="a.b", Role=role, Code={"ZipFile": b"PK\x05\x06" + b"\0" * 18}
    )


def create_machine(aws: Any, key: Any, role: str) -> None:
    aws.client("stepfunctions", key).create_state_machine(name="m", definition=MACHINE, roleArn=role)


def put_targets(aws: Any, key: Any, role: str) -> None:
    aws.client("events").put_rule(Name="passes", ScheduleExpression="rate(1 day)")
    target = {"Id": "1", "Arn": f"arn:aws:states:us-east-1:{ACCOUNT}:stateMachine:m", "RoleArn": role}
    aws.client("events", key).put_targets(Rule="passes", Targets=[target])


def create_model(aws: Any, key: Any, role: str) -> None:
    container = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}
    aws.client("sagemaker", key).create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=container)


@pytest.mark.fidelity(
    "IAM",
    "iam:PassRole is needed by CreateFunction, CreateStateMachine, PutTargets and CreateModel.",
    "IAM User Guide, Grant a user permissions to pass a role to an AWS service",
)
@pytest.mark.parametrize(
    ("call", "service"),
    [
        (create_function, "lambda.amazonaws.com"),
        (create_machine, "states.amazonaws.com"),
        (put_targets, "events.amazonaws.com"),
        (create_model, "sagemaker.amazonaws.com"),
    ],
)
def test_passing_a_role_needs_the_permission(aws: Any, deployer: Any, call: Any, service: str) -> None:
    role = make_role(aws, service, name=f"passed-{call.__name__}")
    with pytest.raises(ClientError) as caught:
        call(aws, deployer, role)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert f"not authorized to perform: iam:PassRole on resource: {role}" in str(caught.value)
    assert "assumed-role/deployer/test" in str(caught.value)


@pytest.mark.fidelity(
    "IAM",
    "iam:PassedToService is the service that the role is passed to.",
    "IAM User Guide, AWS global and IAM condition context keys",
)
def test_the_service_that_a_role_is_passed_to_is_a_condition(aws: Any) -> None:
    condition = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
    statements = [allow("states:*"), {**allow("iam:PassRole"), "Condition": condition}]
    key = assumed(aws, make_role(aws, ACCOUNT, *statements, name="lambda-passer"))
    role = make_role(aws, "states.amazonaws.com", name="for-states")
    with pytest.raises(ClientError, match="iam:PassRole"):
        create_machine(aws, key, role)


def test_a_role_is_passed_where_it_may_be(aws: Any) -> None:
    role = make_role(aws, "states.amazonaws.com", name="for-machines")
    key = assumed(aws, make_role(aws, ACCOUNT, allow("states:*"), allow("iam:PassRole", resource=role), name="passer"))
    created = aws.client("stepfunctions", key).create_state_machine(name="passed", definition=MACHINE, roleArn=role)
    assert created["stateMachineArn"].endswith(":stateMachine:passed")


@pytest.mark.fidelity(
    "IAM",
    "A service assumes a role only as the trust policy's conditions say: aws:SourceAccount is the account,"
    " aws:SourceArn the resource for which it acts (a function, a state machine, a training job, a model).",
    "SageMaker developer guide, 'Cross-service confused deputy prevention'; Step Functions, 'Creating an IAM role for"
    " your state machine'; Lambda, 'Working with AWS managed policies in the execution role'",
)
@pytest.mark.parametrize(
    ("call", "service", "source"),
    [
        (create_function, "lambda", "function:f"),
        (create_machine, "states", "stateMachine:m"),
        (create_model, "sagemaker", "model/m"),
    ],
)
def test_a_trust_policys_conditions_are_asked(aws: Any, call: Any, service: str, source: str) -> None:
    arn = f"arn:aws:{service}:us-east-1:{ACCOUNT}:{source}"
    own = {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": arn}}
    wrong = [
        {"StringEquals": {"aws:SourceAccount": "111122223333"}},
        {"ArnLike": {"aws:SourceArn": f"{arn}-of-another-name"}},
        {"StringEquals": {"aws:SourceOrgID": "o-1"}},
    ]
    role = make_role(aws, f"{service}.amazonaws.com", name=f"trusting-{service}")
    for condition in (*wrong, own):
        principal = {"Service": f"{service}.amazonaws.com"}
        trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Condition": condition}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        aws.client("iam").update_assume_role_policy(RoleName=f"trusting-{service}", PolicyDocument=document)
        told = refusal(call, aws, role)
        assert bool(re.search("cannot be assumed|assume role|authorized to assume", told)) is (condition is not own), (
            told
        )


@pytest.mark.fidelity(
    "Step Functions",
    "A state machine's role may trust the regional service principal, states.<region>.amazonaws.com.",
    "CreateStateMachine's error 'Neither the global service principal states.amazonaws.com, nor the regional one is"
    " authorized to assume the provided role'",
)
def test_a_machines_role_may_trust_the_regional_principal(aws: Any) -> None:
    role = make_role(aws, "states.us-east-1.amazonaws.com", name="regional")
    states = aws.client("stepfunctions")
    arn = states.create_state_machine(name="regional", definition=MACHINE, roleArn=role)["stateMachineArn"]
    assert states.start_execution(stateMachineArn=arn)["executionArn"]
    elsewhere = make_role(aws, "states.eu-west-1.amazonaws.com", name="of-another-region")
    assert "nor the regional one" in refusal(create_machine, aws, elsewhere)


def refusal(call: Any, aws: Any, role: str) -> str:
    """What the service says against the role, or against something that it looks at later."""
    try:
        call(aws, None, role)
    except ClientError as error:
        return str(error)
    return ""


@pytest.mark.fidelity(
    "IAM",
    "User: <arn> is not authorized to perform: <action> on resource: <arn>.",
    "IAM User Guide, Troubleshoot access denied error messages",
)
def test_a_denial_names_principal_action_and_resource(aws: Any) -> None:
    key = assumed(aws, make_role(aws, ACCOUNT, allow("dynamodb:GetItem"), name="reader"))
    with pytest.raises(ClientError) as caught:
        aws.client("dynamodb", key).put_item(TableName="secret", Item={"p": {"S": "x"}})
    message = caught.value.response["Error"]["Message"]
    assert f"User: arn:aws:sts::{ACCOUNT}:assumed-role/reader/test" in message
    assert "not authorized to perform: dynamodb:PutItem" in message
    assert f"on resource: arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/secret" in message


@pytest.mark.fidelity(
    "IAM",
    "SageMaker's actions are asked about their resources' ARNs.",
    "Service Authorization Reference, Amazon SageMaker",
)
@pytest.mark.parametrize(
    ("call", "action", "resource"),
    [
        (lambda c: c.describe_training_job(TrainingJobName="j"), "DescribeTrainingJob", "training-job/j"),
        (lambda c: c.delete_endpoint(EndpointName="e"), "DeleteEndpoint", "endpoint/e"),
        (
            lambda c: c.create_model_package_group(ModelPackageGroupName="g"),
            "CreateModelPackageGroup",
            "model-package-group/g",
        ),
    ],
)
def test_sagemakers_actions_and_resources(aws: Any, call: Any, action: str, resource: str) -> None:
    key = assumed(aws, make_role(aws, ACCOUNT, allow("sagemaker:List*"), name=f"no-{action}"))
    with pytest.raises(ClientError) as caught:
        call(aws.client("sagemaker", key))
    expected = f"perform: sagemaker:{action} on resource: arn:aws:sagemaker:us-east-1:{ACCOUNT}:{resource}"
    assert expected in str(caught.value)


@pytest.mark.fidelity(
    "IAM",
    "sagemaker:InvokeEndpoint is asked about the endpoint.",
    "Service Authorization Reference, Amazon SageMaker",
)
def test_invoking_an_endpoint_needs_the_permission_on_it(aws: Any) -> None:
    statements = [allow("sagemaker:InvokeEndpoint", resource=f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/mine")]
    runtime = aws.client("sagemaker-runtime", assumed(aws, make_role(aws, ACCOUNT, *statements, name="caller")))
    with pytest.raises(ClientError, match=r"sagemaker:InvokeEndpoint on resource: .*endpoint/other"):
        runtime.invoke_endpoint(EndpointName="other", Body=b"1")
    with pytest.raises(ClientError, match="mine"):  # allowed, and not there
        runtime.invoke_endpoint(EndpointName="mine", Body=b"1")


def queue(aws: Any, name: str, policy: list[dict[str, Any]] | None = None) -> tuple[str, str]:
    attributes = {"Policy": json.dumps({"Version": "2012-10-17", "Statement": policy})} if policy else {}
    url = aws.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"


def for_rules(name: str) -> dict[str, Any]:
    """A statement that lets one rule of EventBridge's send."""
    condition = {"ArnEquals": {"aws:SourceArn": f"arn:aws:events:us-east-1:{ACCOUNT}:rule/{name}"}}
    return {**allow("sqs:SendMessage"), "Principal": {"Service": "events.amazonaws.com"}, "Condition": condition}


def received(aws: Any, url: str) -> list[Any]:
    return list(aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []))


def rule_to(aws: Any, name: str, target: dict[str, Any]) -> None:
    events = aws.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "1", **target}])


def put(aws: Any, source: str) -> None:
    aws.client("events").put_events(Entries=[{"Source": source, "DetailType": "t", "Detail": "{}"}])


@pytest.mark.fidelity(
    "EventBridge",
    "A rule sends to a queue only if the queue's policy lets events.amazonaws.com; else to its dead-letter queue.",
    "EventBridge User Guide, Using resource-based policies; Dead-letter queues",
)
def test_a_rule_reaches_a_queue_only_with_the_queues_policy(aws: Any) -> None:
    closed_url, closed = queue(aws, "closed")
    dead_url, dead = queue(aws, "dead", [for_rules("to-closed")])
    rule_to(aws, "to-closed", {"Arn": closed, "DeadLetterConfig": {"Arn": dead}})
    put(aws, "to-closed")
    dead_letter = until(lambda: received(aws, dead_url))[0]
    assert "sqs:SendMessage" in dead_letter["Body"]
    assert received(aws, closed_url) == []


def test_a_rule_reaches_a_queue_that_lets_it_in(aws: Any) -> None:
    url, arn = queue(aws, "open", [for_rules("to-open")])
    rule_to(aws, "to-open", {"Arn": arn})
    put(aws, "to-open")
    assert len(until(lambda: received(aws, url))) == 1


@pytest.mark.fidelity(
    "EventBridge",
    "A rule starts a state machine as its target's role.",
    "EventBridge User Guide, Targets: permissions",
)
def test_a_rule_starts_a_machine_only_as_a_role_that_may(aws: Any) -> None:
    dead_url, dead = queue(aws, "machine-dead", [for_rules("to-machine")])
    machine_role = make_role(aws, "states.amazonaws.com", name="idle-machine")
    states = aws.client("stepfunctions")
    arn = states.create_state_machine(name="by-rule", definition=MACHINE, roleArn=machine_role)["stateMachineArn"]
    weak = make_role(aws, "events.amazonaws.com", name="weak-rule")
    rule_to(aws, "to-machine", {"Arn": arn, "RoleArn": weak, "DeadLetterConfig": {"Arn": dead}})
    put(aws, "to-machine")
    assert "states:StartExecution" in until(lambda: received(aws, dead_url))[0]["Body"]
    assert states.list_executions(stateMachineArn=arn)["executions"] == []
    strong = make_role(aws, "events.amazonaws.com", allow("states:StartExecution", resource=arn), name="strong-rule")
    rule_to(aws, "to-machine", {"Arn": arn, "RoleArn": strong})
    put(aws, "to-machine")
    assert len(until(lambda: states.list_executions(stateMachineArn=arn)["executions"])) == 1


@pytest.mark.fidelity(
    "Lambda",
    "An event source mapping reads its queue as the function's role.",
    "Lambda DG, Using Lambda with Amazon SQS: execution role permissions",
)
def test_a_mapping_reads_its_queue_as_the_functions_role(aws: Any) -> None:
    url, arn = queue(aws, "mapped")
    role = make_role(aws, "lambda.amazonaws.com", name="cannot-read")
    make_function(aws, "mapped", "def handler(event, context): return None", role)
    client = aws.client("lambda")
    mapping = client.create_event_source_mapping(EventSourceArn=arn, FunctionName="mapped")["UUID"]
    aws.client("sqs").send_message(QueueUrl=url, MessageBody="hello")

    def problem() -> str:
        result = str(client.get_event_source_mapping(UUID=mapping)["LastProcessingResult"])
        return result if result.startswith("PROBLEM") else ""

    assert "assumed-role/cannot-read/mapped is not authorized to perform: sqs:ReceiveMessage" in until(problem)
    policy = {"Version": "2012-10-17", "Statement": [allow("sqs:*", resource=arn)]}
    aws.client("iam").put_role_policy(RoleName="cannot-read", PolicyName="p", PolicyDocument=json.dumps(policy))
    until(lambda: _empty(aws, url))


def _empty(aws: Any, url: str) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return set(counts.values()) == {"0"}
