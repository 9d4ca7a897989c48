"""Templates and parameters that CloudFormation refuses before there is a stack, each in its words; and exports."""

from __future__ import annotations

from typing import Any

import pytest
from ministack.services.cloudformation import engine

from localaws.ministack_adapter.cloudformation import exports, parameter_checks, template_checks, validation
from localaws.ministack_adapter.cloudformation.template_references import TemplateError

Document = dict[str, Any]
QUEUE: Document = {"Type": "AWS::SQS::Queue"}


def queue(value: Any = None, **more: Any) -> Document:
    """A queue in which a value stands somewhere among the properties."""
    return {**QUEUE, "Properties": {"Tags": [{"Key": "k", "Value": "v" if value is None else value}]}, **more}


def refusal(template: Document, **conditions: bool) -> str:
    try:
        template_checks.check(template, conditions)
    except TemplateError as refused:
        return str(refused)
    return ""


def of_queue(value: Any = None, **more: Any) -> str:
    return refusal({"Resources": {"Q": queue(value, **more)}})


IN_RESOURCES = "Template format error: Unresolved resource dependencies [{}] in the Resources block of the template"


@pytest.mark.fidelity(
    "CloudFormation",
    "Template format error: Unresolved resource dependencies [X] in the Resources block of the template, for Ref, "
    "Fn::Sub and DependsOn of nothing.",
    "serverless/serverless #4745, #7662; awslabs/aws-iam-generator #18",
)
@pytest.mark.parametrize(
    ("resource", "names"),
    [
        (queue({"Ref": "Nope"}), "Nope"),
        (queue({"Fn::Sub": "q-${Nope}-${AWS::Region}"}), "Nope"),
        (queue({"Fn::Sub": ["${a}-${Nope}", {"a": {"Ref": "Other"}}]}), "Nope, Other"),
        (queue({"Fn::Join": ["-", ["a", {"Ref": "Nope"}, {"Ref": "Nope"}]]}), "Nope"),
        (queue({"Fn::If": ["C", "a", {"Ref": "Nope"}]}), "Nope"),
        (queue(DependsOn="Nope"), "Nope"),
        (queue({"Ref": "AWS::Regio"}, DependsOn=["Q2"]), "AWS::Regio"),
        ({**queue({"Ref": "Nope"}), "Condition": "C"}, "Nope"),
    ],
    ids=["ref", "sub", "sub with variables", "join", "branch not taken", "depends on", "pseudo parameter", "not made"],
)
def test_a_reference_to_nothing_is_named(resource: Document, names: str) -> None:
    template = {"Conditions": {"C": {"Fn::Equals": ["a", "b"]}}, "Resources": {"Q": resource, "Q2": QUEUE}}
    assert refusal(template, C=True) == refusal(template, C=False) == IN_RESOURCES.format(names)


def test_what_is_there_may_be_referred_to() -> None:
    values: list[Any] = [
        {"Ref": "P"},
        {"Ref": "Other"},
        {"Fn::GetAtt": ["Other", "Arn"]},
        {"Fn::GetAtt": "Other.Arn"},
        {"Fn::Sub": "${P}-${Other}-${Other.Arn}-${AWS::StackName}-${!Literal}-$x"},
        {"Fn::Sub": ["${own}", {"own": "x"}]},
        {"Ref": "AWS::NoValue"},
        {"Fn::If": ["C", {"Ref": "Other"}, {"Ref": "AWS::NoValue"}]},
        {"Fn::ImportValue": {"Fn::Sub": "${P}-x"}},
    ]
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": {"P": {"Type": "String"}},
        "Conditions": {"C": {"Fn::And": [{"Condition": "D"}, {"Fn::Not": [{"Condition": "D"}]}]},
                       "D": {"Fn::Equals": [{"Ref": "P"}, {"Ref": "AWS::Region"}]}},
        "Resources": {"Other": QUEUE, **{f"Q{n}": queue(value, DependsOn=["Other"]) for n, value in enumerate(values)}},
        "Outputs": {"O": {"Condition": "C", "Value": {"Fn::GetAtt": ["Other", "Arn"]}, "Export": {"Name": "e"}}},
    }  # fmt: skip
    assert refusal(template, C=True, D=False) == refusal(template) == ""


@pytest.mark.fidelity(
    "CloudFormation",
    "Template error: instance of Fn::GetAtt references undefined resource X.",
    "guardian/elk-stack #23; getmoto/moto #6019",
)
def test_an_attribute_of_nothing() -> None:
    undefined = "Template error: instance of Fn::GetAtt references undefined resource Nope"
    assert of_queue({"Fn::GetAtt": ["Nope", "Arn"]}) == of_queue({"Fn::GetAtt": "Nope.Arn"}) == undefined
    output = {"Resources": {"Q": QUEUE}, "Outputs": {"O": {"Value": {"Fn::GetAtt": ["Nope", "Arn"]}}}}
    assert refusal(output) == undefined
    assert of_queue({"Fn::Sub": "${Nope.Arn}"}) == (
        "Template error: instance of Fn::Sub references invalid resource attribute Nope.Arn"
    )
    assert of_queue({"Fn::GetAtt": ["Nope"]}).startswith("Template error: every Fn::GetAtt object requires two")
    assert of_queue({"Fn::Sub": "${a b}"}).startswith("Template error: variable names in Fn::Sub syntax must")


@pytest.mark.fidelity(
    "CloudFormation",
    "Unresolved resource dependencies [X] in the Outputs block of the template.",
    "getmoto/moto, tests/test_cloudformation (verified against AWS); hashicorp/terraform-provider-aws, "
    "provisioned_product_test.go",
)
def test_outputs_of_nothing_and_of_what_is_not_made() -> None:
    unresolved = "Unresolved resource dependencies [{}] in the Outputs block of the template"
    outputs: Document = {"Resources": {"Q": QUEUE}, "Outputs": {"O": {"Value": {"Ref": "Nope"}}}}
    assert refusal(outputs) == unresolved.format("Nope")
    conditional = {
        "Conditions": {"C": {"Fn::Equals": ["a", "b"]}},
        "Resources": {"Q": {**QUEUE, "Condition": "C"}, "Always": QUEUE},
        "Outputs": {"O": {"Value": {"Fn::GetAtt": ["Q", "Arn"]}}},
    }
    assert refusal(conditional, C=False) == unresolved.format("Q")
    assert refusal(conditional, C=True) == ""
    conditional["Outputs"]["O"]["Condition"] = "C"
    assert refusal(conditional, C=False) == ""


@pytest.mark.fidelity(
    "CloudFormation",
    "A reference to a resource that isn't made by its condition is an unresolved dependency.",
    "serverless/serverless #4535",
)
def test_a_reference_to_what_is_not_made() -> None:
    def template(value: Any) -> Document:
        conditions = {"C": {"Fn::Equals": ["a", "b"]}}
        return {"Conditions": conditions, "Resources": {"Q": queue(value), "R": {**QUEUE, "Condition": "C"}}}

    assert refusal(template({"Ref": "R"}), C=False) == IN_RESOURCES.format("R")
    assert refusal(template({"Ref": "R"}), C=True) == ""
    assert refusal(template({"Fn::If": ["C", {"Ref": "R"}, "none"]}), C=False) == ""


@pytest.mark.fidelity(
    "CloudFormation",
    "Circular dependency between resources: [A, B].",
    "aws/serverless-application-model #1044",
)
def test_circles() -> None:
    def template(**needs: Any) -> Document:
        return {"Resources": {name: queue(value) for name, value in needs.items()}}

    circular = "Circular dependency between resources: [{}]"
    assert refusal(template(A={"Ref": "B"}, B={"Fn::Sub": "${A.Arn}"}, C={"Ref": "A"})) == circular.format("A, B")
    assert refusal(template(A={"Ref": "A"})) == circular.format("A")
    by_order = {"Resources": {"A": {**QUEUE, "DependsOn": ["B"]}, "B": queue({"Ref": "C"}), "C": queue({"Ref": "A"})}}
    assert refusal(by_order) == circular.format("A, B, C")
    assert refusal(template(A={"Ref": "B"}, B={"Ref": "C"}, C="x", D={"Ref": "A"})) == ""


@pytest.mark.fidelity(
    "CloudFormation",
    "Template format error: At least one Resources member must be defined.",
    "JulieElkinsAWS/CFtemplates #1; mludvig/aws-ethereum-miner #7",
)
@pytest.mark.parametrize("template", [{}, {"Resources": {}}, {"Resources": None}, {"Outputs": {}}])
def test_a_template_without_resources(template: Document) -> None:
    assert refusal(template) == "Template format error: At least one Resources member must be defined."


@pytest.mark.fidelity(
    "CloudFormation",
    "Sections, resources' and outputs' members, and names are those that CloudFormation has; null is no value.",
    "localstack/localstack, validations.py (against AWS); aws-samples/aws-iot-chat-example #1",
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Resource": {}, "Foo": 1}, "Invalid template property or properties [Foo, Resource]"),
        ({"Resources": {"Q": {"Properties": {}}}},
         "Template format error: [/Resources/Q] Every Resources object must contain a Type member."),
        ({"Resources": {"Q": "AWS::SQS::Queue"}},
         "Template format error: [/Resources/Q] resource definition is malformed"),
        ({"Resources": {"my-queue": QUEUE}}, "Template format error: Resource name my-queue is non alphanumeric."),
        ({"Resources": {"Q": {**QUEUE, "QueueName": "q"}}}, "Invalid template resource property 'QueueName'"),
        ({"Resources": {"Q": {**QUEUE, "Properties": {"Tags": [{"Key": "k", "Value": None}]}}}},
         "[/Resources/Q/Properties/Tags/0/Value] 'null' values are not allowed in templates"),
        ({"Outputs": {"O": {"Description": "x"}}},
         "Template format error: Every Outputs member must contain a Value object"),
        ({"Outputs": {"O": {"Value": None}}}, "[/Outputs/O/Value] 'null' values are not allowed in templates"),
    ],
)  # fmt: skip
def test_members_that_a_template_has_not(change: Document, said: str) -> None:
    assert refusal({"Resources": {"Q": QUEUE}, **change}) == said


@pytest.mark.fidelity(
    "CloudFormation",
    "Conditions refer to parameters, not to resources, and only to conditions that are there.",
    "aws-cloudformation/cfn-lint E1026; CloudFormation User Guide, Conditions",
)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Conditions": {"C": {"Fn::Equals": [{"Ref": "Q"}, "x"]}}},
         "Template format error: Unresolved dependencies [Q]. Cannot reference resources in the Conditions block of "
         "the template"),
        ({"Conditions": {"C": {"Fn::Not": [{"Condition": "Nope"}]}}},
         "Template format error: Unresolved condition dependency Nope in the Conditions block of the template"),
        ({"Conditions": {"C": {"Fn::Not": [{"Condition": "D"}]}, "D": {"Fn::Not": [{"Condition": "C"}]}}},
         "Template error: Found circular condition dependency between C and D"),
        ({"Resources": {"Q": {**QUEUE, "Condition": "Nope"}}},
         "Template format error: Unresolved condition dependency Nope in the Resources block of the template"),
        ({"Outputs": {"O": {"Value": "x", "Condition": "Nope"}}},
         "Template format error: Unresolved condition dependency Nope in the Outputs block of the template"),
        ({"Resources": {"Q": queue({"Fn::If": ["Nope", "a", "b"]})}},
         "Template error: unresolved condition dependency Nope in Fn::If"),
    ],
)  # fmt: skip
def test_conditions_that_are_not_there(change: Document, said: str) -> None:
    assert refusal({"Resources": {"Q": QUEUE}, **change}) == said


def test_what_a_transform_makes_of_a_template_is_not_known() -> None:
    assert refusal({"Transform": "AWS::Serverless-2016-10-31", "Resources": {"F": {"Type": "X", "Foo": None}}}) == ""


def parameters(given: list[Document], previous: Document | None = None, **defined: Document) -> str:
    try:
        parameter_checks.check({"Parameters": defined} if defined else {}, given, previous)
    except TemplateError as refused:
        return str(refused)
    return ""


@pytest.mark.fidelity(
    "CloudFormation",
    "Parameters: [X] do not exist in the template.",
    "aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws, CHANGELOG",
)
def test_parameters_that_the_template_has_not() -> None:
    given = [{"Key": "A", "Value": "1"}, {"Key": "B", "Value": "2"}, {"Key": "P", "Value": "3"}]
    assert parameters(given, P={"Type": "String"}) == "Parameters: [A, B] do not exist in the template"
    assert parameters(given[:1]) == "Parameters: [A] do not exist in the template"


@pytest.mark.fidelity(
    "CloudFormation",
    "Parameters: [X] must have values, unless they have defaults or the stack's previous value is asked for.",
    "CloudFormation API, CreateStack and UpdateStack: Parameters",
)
def test_parameters_without_values() -> None:
    text = {"Type": "String"}
    assert parameters([], A=text, B={**text, "Default": ""}, C=text) == "Parameters: [A, C] must have values"
    previous = [{"Key": "A", "Value": "", "UsePreviousValue": True}]
    assert parameters(previous, {"A": {"Value": "x"}}, A=text) == ""
    assert parameters(previous, {}, A=text) == "Parameters: [A] must have values"
    assert parameters([], {"A": {"Value": "x"}}, A=text) == "Parameters: [A] must have values"


@pytest.mark.fidelity(
    "CloudFormation",
    "Parameter 'X' must be one of AllowedValues.",
    "CloudFormation User Guide, Parameters: AllowedValues",
)
def test_a_value_that_is_not_allowed() -> None:
    size = {"Type": "Number", "AllowedValues": [1, 2]}
    assert parameters([{"Key": "S", "Value": "3"}], S=size) == "Parameter 'S' must be one of AllowedValues"
    assert parameters([{"Key": "S", "Value": "2"}], S=size) == ""


def stack_id(name: str) -> str:
    return f"arn:aws:cloudformation:us-east-1:000000000000:stack/{name}/1"


def export(owner: str, value: str) -> Document:
    return {"StackId": stack_id(owner), "Value": value}


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ({"a": export("mine", "1"), "b": export("mine", "2")}, ""),
        ({"a": export("mine", "1"), "c": export("mine", "2")}, ""),
        ({"b": export("mine", "2")}, "Export a cannot be deleted as it is in use by one, two"),
        ({"a": export("mine", "9")}, "Export a cannot be updated as it is in use by one, two"),
        ({"a": export("mine", "1"), "taken": export("mine", "1")},
         "Export with name taken is already exported by stack other."),
    ],
    ids=["the same", "an unused one replaced", "removed", "changed", "taken"],
)  # fmt: skip
def test_exports_that_are_in_use_stay_as_they_are(new: dict[str, Document], said: str) -> None:
    old = {"a": export("mine", "1"), "b": export("mine", "2"), "taken": export("other", "3")}
    users = {"a": ["one", "two"], "taken": ["one"]}
    try:
        exports.check(old, new, stack_id("mine"), lambda name: users.get(name, []))
    except exports.ExportError as refused:
        assert str(refused) == said
    else:
        assert said == ""


def test_brackets_in_brackets_are_refused_at_once() -> None:
    validation.bound_templates(engine)
    with pytest.raises(ValueError, match="nested more than 256 levels deep"):
        engine._parse_template("[" * 50_000)
    assert engine._parse_template("a: " + "[" * 20 + "]" * 20)
