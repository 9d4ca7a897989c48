"""Stacks that CloudFormation refuses: by their template, their parameters, or the exports that others import."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from resources import unique
from stacks import Stack, attribute, ref, resource, stack

Document = dict[str, Any]
QUEUE = resource("AWS::SQS::Queue")
UNRESOLVED = "Template format error: Unresolved resource dependencies [Nope] in the Resources block of the template"


@pytest.fixture(scope="module")
def cloudformation(aws: Any) -> Any:
    return aws.client("cloudformation")


def refused(call: Any, template: Document, **request: Any) -> str:
    name = unique("refused")
    with pytest.raises(ClientError) as caught:
        call(StackName=name, TemplateBody=json.dumps(template), **request)
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    return str(caught.value.response["Error"]["Message"])


@pytest.mark.fidelity(
    "CloudFormation",
    "A template that is refused leaves no stack: CreateStack, CreateChangeSet, UpdateStack and ValidateTemplate alike.",
    "CloudFormation API, ValidationError",
)
def test_a_template_that_is_refused_leaves_no_stack(cloudformation: Any, aws: Any) -> None:
    broken = {"Resources": {"Q": resource("AWS::SQS::Queue", QueueName=ref("Nope"))}}
    for template, said in (
        (broken, UNRESOLVED),
        ({"Resources": {"Q": resource("AWS::SQS::Queue", QueueName=attribute("Nope", "Arn"))}},
         "Template error: instance of Fn::GetAtt references undefined resource Nope"),
        ({"Resources": {"A": {**QUEUE, "DependsOn": "B"}, "B": {**QUEUE, "DependsOn": "A"}}},
         "Circular dependency between resources: [A, B]"),
        ({"Resources": {"Q": {**QUEUE, "Condition": "Nope"}}},
         "Template format error: Unresolved condition dependency Nope in the Resources block of the template"),
        ({"Parameters": {}}, "Template format error: At least one Resources member must be defined."),
    ):  # fmt: skip
        assert refused(cloudformation.create_stack, template) == said
    before = len(cloudformation.list_stacks()["StackSummaries"])
    change = {"ChangeSetName": "c", "ChangeSetType": "CREATE"}
    assert refused(cloudformation.create_change_set, broken, **change) == UNRESOLVED
    assert len(cloudformation.list_stacks()["StackSummaries"]) == before
    with pytest.raises(ClientError, match="Unresolved resource dependencies"):
        cloudformation.validate_template(TemplateBody=json.dumps(broken))
    made = stack(aws, {"Q": QUEUE})
    with pytest.raises(ClientError, match="Unresolved resource dependencies"):
        made.update(broken["Resources"])
    assert made.settled() == "CREATE_COMPLETE"


def test_parameters_that_do_not_fit_are_refused(cloudformation: Any) -> None:
    template = {"Parameters": {"Name": {"Type": "String"}}, "Resources": {"Q": QUEUE}}
    unknown = [{"ParameterKey": "Nope", "ParameterValue": "1"}]
    assert refused(cloudformation.create_stack, template, Parameters=unknown) == (
        "Parameters: [Nope] do not exist in the template"
    )
    assert refused(cloudformation.create_stack, template) == "Parameters: [Name] must have values"
    assert (
        cloudformation.validate_template(TemplateBody=json.dumps(template))["Parameters"][0]["ParameterKey"] == "Name"
    )


def exporting(name: str, value: Any) -> Document:
    return {"Resources": {"Q": QUEUE}, "Outputs": {"O": {"Value": value, "Export": {"Name": name}}}}


def importing(name: Any) -> Document:
    return {"Resources": {"Q": resource("AWS::SQS::Queue", Tags=[{"Key": "k", "Value": {"Fn::ImportValue": name}}])}}


class Pair:
    """A stack that exports a queue's address, and one that imports it."""

    def __init__(self, cloudformation: Any) -> None:
        self.cloudformation = cloudformation
        self.export = unique("export")
        self.producer = self.make(exporting(self.export, ref("Q")))
        self.consumer = self.make(importing({"Fn::Sub": f"{self.export}"}))

    def make(self, template: Document) -> Stack:
        made = Stack(self.cloudformation, unique("pair"))
        self.cloudformation.create_stack(StackName=made.name, TemplateBody=json.dumps(template))
        made.settled()
        return made

    def update(self, template: Document) -> str:
        self.cloudformation.update_stack(StackName=self.producer.name, TemplateBody=json.dumps(template))
        return self.producer.settled()

    def events(self, made: Stack) -> list[tuple[str, str]]:
        """The statuses of a stack itself with their reasons, newest first."""
        events = self.cloudformation.describe_stack_events(StackName=made.name)["StackEvents"]
        own = [event for event in events if event["ResourceType"] == "AWS::CloudFormation::Stack"]
        return [(event["ResourceStatus"], event.get("ResourceStatusReason", "")) for event in own]


@pytest.fixture
def pair(cloudformation: Any) -> Iterator[Pair]:
    yield Pair(cloudformation)


@pytest.mark.fidelity(
    "CloudFormation",
    "Export X cannot be deleted as it is in use by Y: the update rolls back with it as the reason.",
    "rlister/stax #40; aws/aws-cdk #17741",
)
@pytest.mark.fidelity(
    "CloudFormation",
    "Export X cannot be updated as it is in use by Y: the update rolls back with it as the reason.",
    "linz/geostore #630",
)
def test_an_export_in_use_neither_goes_nor_changes(pair: Pair) -> None:
    for template, what in (({"Resources": {"Q": QUEUE}}, "deleted"), (exporting(pair.export, "another"), "updated")):
        assert pair.update(template) == "UPDATE_ROLLBACK_COMPLETE"
        reason = f"Export {pair.export} cannot be {what} as it is in use by {pair.consumer.name}"
        assert ("UPDATE_ROLLBACK_IN_PROGRESS", reason) in pair.events(pair.producer)
    assert pair.producer.outputs()["O"] == pair.producer.physical_id("Q")
    assert pair.consumer.delete() == "DELETE_COMPLETE"
    assert pair.update({"Resources": {"Q": QUEUE}}) == "UPDATE_COMPLETE"
    names = [export["Name"] for export in pair.cloudformation.list_exports()["Exports"]]
    assert pair.export not in names, "it went with its output"


@pytest.mark.fidelity(
    "CloudFormation",
    "A stack whose export is imported isn't deleted: it keeps its status, and an event has the reason.",
    "rlister/stax #40; serverless/serverless #3589",
)
def test_a_stack_whose_export_is_imported_stays(pair: Pair) -> None:
    pair.cloudformation.delete_stack(StackName=pair.producer.name)
    assert pair.producer.settled() == "CREATE_COMPLETE"
    reason = f"Export {pair.export} cannot be deleted as it is in use by {pair.consumer.name}"
    assert pair.events(pair.producer)[0] == ("CREATE_COMPLETE", reason)
    assert pair.consumer.delete() == pair.producer.delete() == "DELETE_COMPLETE"


@pytest.mark.fidelity(
    "CloudFormation",
    "Export with name X is already exported by stack Y, and the stack rolls back.",
    "serverless/serverless #9498",
)
def test_a_name_is_exported_once(pair: Pair) -> None:
    second = pair.make(exporting(pair.export, "x"))
    assert second.settled() == "ROLLBACK_COMPLETE"
    reason = f"Export with name {pair.export} is already exported by stack {pair.producer.name}."
    assert ("ROLLBACK_IN_PROGRESS", reason) in pair.events(second)
    [found] = [each for each in pair.cloudformation.list_exports()["Exports"] if each["Name"] == pair.export]
    assert found["Value"] == pair.producer.physical_id("Q")


@pytest.mark.fidelity(
    "CloudFormation",
    "No export named X found: the stack rolls back.",
    "CloudFormation User Guide, Fn::ImportValue; stack events as users quote them",
)
def test_an_import_of_nothing(pair: Pair) -> None:
    made = pair.make(importing("nobody-exports-this"))
    assert made.settled() == "ROLLBACK_COMPLETE"
    assert made.reason("Q") == "No export named nobody-exports-this found."
