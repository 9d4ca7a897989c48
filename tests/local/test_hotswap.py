"""`cdk deploy --hotswap` as it is: a state machine through Cloud Control, a function through UpdateFunctionCode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deployed import cdk
from resources import allow, assumed, make_role, unique
from running_aws import Aws
from stacks import attribute, ref, resource, stack

Document = dict[str, Any]
MACHINE = "AWS::StepFunctions::StateMachine"


def machine_of(result: int) -> str:
    return json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": result, "End": True}}})


def trust(service: str) -> Document:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def resources(number: int) -> Document:
    """A state machine and a function that answer with the number."""
    code = f"def handler(event, context): return {number}"
    return {
        "Role": resource("AWS::IAM::Role", AssumeRolePolicyDocument=trust("states.amazonaws.com")),
        "Machine": resource(MACHINE, RoleArn=attribute("Role", "Arn"), DefinitionString=machine_of(number)),
        "Runner": resource("AWS::IAM::Role", AssumeRolePolicyDocument=trust("lambda.amazonaws.com")),
        "Function": resource(
            "AWS::Lambda::Function",
            Runtime="python3.13", Handler="index.handler", Role=attribute("Runner", "Arn"), Code={"ZipFile": code},
        ),
    }  # fmt: skip


def assembly(folder: Path, name: str, resources: Document) -> None:
    """A cloud assembly of one stack, as an app leaves it in cdk.out."""
    (folder / "cdk.out").mkdir(exist_ok=True)
    artifact = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://000000000000/us-east-1",
        "properties": {"templateFile": "template.json", "stackName": name},
    }
    manifest = {"version": "36.0.0", "artifacts": {name: artifact}}
    (folder / "cdk.out" / "manifest.json").write_text(json.dumps(manifest))
    (folder / "cdk.out" / "template.json").write_text(json.dumps({"Resources": resources}))


def execution(aws: Any, arn: str) -> Any:
    client = aws.client("stepfunctions")
    started = client.start_execution(stateMachineArn=arn)["executionArn"]
    while (found := client.describe_execution(executionArn=started))["status"] == "RUNNING":
        pass
    return json.loads(found["output"])


@pytest.mark.fidelity(
    "Clients",
    "`cdk deploy --hotswap` updates a state machine and a function without a deployment; the next one sets them again.",
    "aws/aws-cdk-cli, cloud-control-resource.ts and lambda-functions.ts; aws/aws-cdk #16489",
)
def test_the_cdk_command_swaps_a_machine_and_a_function(aws: Aws, tmp_path: Path) -> None:
    name, cloudformation = unique("hot"), aws.client("cloudformation")
    deploy = ("deploy", "--app", "cdk.out", "--require-approval", "never")

    def physical_id(logical_id: str) -> str:
        detail = cloudformation.describe_stack_resource(StackName=name, LogicalResourceId=logical_id)
        return str(detail["StackResourceDetail"]["PhysicalResourceId"])

    def answers() -> tuple[Any, Any]:
        invoked = aws.client("lambda").invoke(FunctionName=physical_id("Function"))["Payload"].read()
        return execution(aws, physical_id("Machine")), json.loads(invoked)

    assembly(tmp_path, name, resources(1))
    cdk(tmp_path, aws, *deploy)
    assert answers() == (1, 1)
    events = len(cloudformation.describe_stack_events(StackName=name)["StackEvents"])
    assembly(tmp_path, name, resources(2))
    cdk(tmp_path, aws, *deploy, "--hotswap")
    assert answers() == (2, 2)
    assert len(cloudformation.describe_stack_events(StackName=name)["StackEvents"]) == events, "no deployment"
    cdk(tmp_path, aws, *deploy)
    assert answers() == (2, 2)
    assert len(cloudformation.describe_stack_events(StackName=name)["StackEvents"]) > events, "deployed"


@pytest.fixture(scope="module")
def made(aws: Any) -> Any:
    role = make_role(aws, "states.amazonaws.com", name=unique("swapped"))
    tagged = resource(MACHINE, RoleArn=role, DefinitionString=machine_of(1), Tags=[{"Key": "team", "Value": "a"}])
    return stack(
        aws, {"Machine": tagged, "Queue": resource("AWS::SQS::Queue", VisibilityTimeout=30)}, {"M": ref("Machine")}
    )


def update(client: Any, arn: str, *operations: Document, kind: str = MACHINE) -> Any:
    return client.update_resource(TypeName=kind, Identifier=arn, PatchDocument=json.dumps(operations))["ProgressEvent"]


def test_cloud_control_sets_what_it_is_told_and_tells_what_is_set(aws: Any, made: Any) -> None:
    client, arn = aws.client("cloudcontrol"), made.outputs()["M"]
    event = update(client, arn, {"op": "replace", "path": "/DefinitionString", "value": machine_of(7)},
                   {"op": "replace", "path": "/Tags/0/Value", "value": "b"})  # fmt: skip
    assert (event["Operation"], event["OperationStatus"], event["Identifier"]) == ("UPDATE", "SUCCESS", arn)
    status = client.get_resource_request_status(RequestToken=event["RequestToken"])["ProgressEvent"]
    assert status["OperationStatus"] == "SUCCESS"
    assert execution(aws, arn) == 7
    tags = aws.client("stepfunctions").list_tags_for_resource(resourceArn=arn)["tags"]
    assert {"key": "team", "value": "b"} in tags
    assert any(tag["key"] == "aws:cloudformation:stack-name" for tag in tags), "CloudFormation's own stay"
    described = client.get_resource(TypeName=MACHINE, Identifier=arn)["ResourceDescription"]
    assert json.loads(described["Properties"])["DefinitionString"] == machine_of(7)
    found = client.list_resources(TypeName=MACHINE)["ResourceDescriptions"]
    assert arn in [each["Identifier"] for each in found]
    url = made.physical_id("Queue")
    update(client, url, {"op": "replace", "path": "/VisibilityTimeout", "value": 77}, kind="AWS::SQS::Queue")
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    assert attributes["Attributes"]["VisibilityTimeout"] == "77"


@pytest.mark.parametrize(
    ("kind", "operation", "code", "said"),
    [
        (
            MACHINE,
            {"op": "replace", "path": "/DefinitionString", "value": "{}"},
            "InvalidRequestException",
            "SCHEMA_VALIDATION_FAILED",
        ),
        (MACHINE, {"op": "replace", "path": "/Nope", "value": 1}, "InvalidRequestException", "/Nope names nothing"),
        (
            MACHINE,
            {"op": "add", "path": "/StateMachineName", "value": "x"},
            "NotUpdatableException",
            "StateMachineName",
        ),
        ("AWS::SNS::Topic", {}, "ResourceNotFoundException", "of type 'AWS::SNS::Topic' with identifier"),
    ],
)
def test_what_cloud_control_cannot_set_is_refused_at_once(
    aws: Any, made: Any, kind: str, operation: Document, code: str, said: str
) -> None:
    client, arn = aws.client("cloudcontrol"), made.outputs()["M"]
    before = aws.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["definition"]
    with pytest.raises(ClientError) as caught:
        update(client, arn, operation, kind=kind)
    assert caught.value.response["Error"]["Code"] == code
    assert said in caught.value.response["Error"]["Message"]
    assert aws.client("stepfunctions").describe_state_machine(stateMachineArn=arn)["definition"] == before


def test_what_cloud_control_does_not_do_here_is_refused_by_name(aws: Any) -> None:
    client = aws.client("cloudcontrol")
    with pytest.raises(ClientError, match="not implemented here: CreateResource of Cloud Control"):
        client.create_resource(TypeName=MACHINE, DesiredState="{}")
    with pytest.raises(ClientError, match="not implemented here: DeleteResource of Cloud Control"):
        client.delete_resource(TypeName=MACHINE, Identifier="x")


@pytest.mark.fidelity(
    "IAM",
    "Cloud Control does what its caller may do: UpdateResource of a state machine needs states:UpdateStateMachine too.",
    "Cloud Control API User Guide, Specifying credentials for Cloud Control API",
)
def test_cloud_control_has_no_rights_of_its_own(aws: Any, made: Any) -> None:
    role = make_role(aws, aws.server.account, allow("cloudformation:*"), name=unique("hotswapper"))
    client = aws.client("cloudcontrol", assumed(aws, role))
    with pytest.raises(ClientError, match="not authorized to perform: states:UpdateStateMachine on resource: arn:aws"):
        update(client, made.outputs()["M"], {"op": "replace", "path": "/DefinitionString", "value": machine_of(9)})
