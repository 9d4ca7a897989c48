"""Limits and forms of a definition's fields, each just inside and just outside (States Language; Step Functions service
quotas; API reference, CreateStateMachine and ValidateStateMachineDefinition)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from states_kit import branch

from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.definition import Checks, problems

DONE = {"Type": "Succeed"}
SCHEMA, EXPRESSION = "SCHEMA_VALIDATION_FAILED", "INVALID_JSONATA_EXPRESSION"
CHECKS = Checks(parse=jsonata.parse, resource=lambda arn: None if arn == "r" else "no such task")


def told(states: dict[str, Any], **top: Any) -> list[str]:
    definition = {"QueryLanguage": "JSONata", "StartAt": next(iter(states), "A"), "States": states, **top}
    return [str(problem) for problem in problems(json.dumps(definition), CHECKS)]


def task(**fields: Any) -> dict[str, Any]:
    return {"A": {"Type": "Task", "Resource": "r", "End": True, **fields}}


def retry(**fields: Any) -> list[str]:
    return told(task(Retry=[{"ErrorEquals": ["E"], **fields}]))


def ranged(name: str, low: int, high: int, where: str) -> list[str]:
    return [f"{SCHEMA}: {name} must be an integer from {low} to {high} at {where}/{name}"]


# --- the text as a whole ---


@pytest.mark.fidelity(
    "Step Functions",
    "A definition has at most 1 MB.",
    "Step Functions DG, Service quotas: maximum request size",
)
def test_a_definition_has_at_most_a_mebibyte() -> None:
    """Service quotas: "Maximum request size", 1 MB."""
    whole = json.dumps({"StartAt": "A", "States": {"A": DONE}})
    assert problems(whole.ljust(1_048_576), CHECKS) == []
    larger = [str(problem) for problem in problems(whole.ljust(1_048_577), CHECKS)]
    assert larger == [f"{SCHEMA}: The definition is larger than 1048576 bytes at /"]


@pytest.mark.parametrize("text", ["{", "[]", "1"])
def test_what_is_no_json_object_is_told_as_that(text: str) -> None:
    (problem,) = problems(text, CHECKS)
    assert (problem.code, problem.path) == ("INVALID_JSON_DESCRIPTION", "")


def test_a_machine_has_states() -> None:
    missing = [f"{SCHEMA}: The field 'States' is required and must be an object with states at /"]
    assert told({}) == told({"A": DONE}, States=[]) == missing
    assert told({"A": 1, "B": DONE}) == [
        f"{SCHEMA}: A state must be an object at /States/A",
        'MISSING_TRANSITION_TARGET: State "B" is not reachable. at /States/B',
    ]


@pytest.mark.fidelity("Step Functions", "A state's name has at most 80 characters.", "States Language, States")
def test_a_state_has_a_name_of_1_to_80_characters() -> None:
    """States Language, "States": "less than or equal to 80"."""
    assert told({"A" * 80: DONE}) == []
    for name in ("A" * 81, ""):
        assert told({name: DONE}) == [f"{SCHEMA}: A state's name must have 1 to 80 characters at /States/{name}"]


def test_languages() -> None:
    assert told({"A": DONE}, QueryLanguage="SQL") == [
        f"{SCHEMA}: QueryLanguage must be one of JSONPath, JSONata at /QueryLanguage"
    ]
    for language in ("SQL", "JSONPath"):
        assert told({"A": {**DONE, "QueryLanguage": language}}) == [
            f"{SCHEMA}: QueryLanguage can't be '{language}' in a JSONata machine at /States/A/QueryLanguage"
        ]
    assert told({"A": {**DONE, "QueryLanguage": "JSONata"}}, QueryLanguage="JSONPath") == []


# --- numbers ---


@pytest.mark.fidelity(
    "Step Functions",
    "Seconds are whole, from 1 to 99,999,999.",
    "States Language, Timeouts and Heartbeats",
)
def test_seconds_of_a_machine_a_task_and_a_wait() -> None:
    """States Language, "Timeouts and Heartbeats": "a positive integer"; a value from 1 to 99,999,999."""
    most = 99_999_999
    assert told({"A": DONE}, TimeoutSeconds=most) == told({"A": DONE}, TimeoutSeconds=1) == []
    for wrong in (0, most + 1, 1.5, True, "1"):
        assert told({"A": DONE}, TimeoutSeconds=wrong) == ranged("TimeoutSeconds", 1, most, "")
        assert told(task(TimeoutSeconds=wrong)) == ranged("TimeoutSeconds", 1, most, "/States/A")
        assert told(task(HeartbeatSeconds=wrong)) == ranged("HeartbeatSeconds", 1, most, "/States/A")
    assert told(task(TimeoutSeconds=most, HeartbeatSeconds=most - 1)) == []
    assert told(task(TimeoutSeconds="{% 1 %}", HeartbeatSeconds=2)) == []
    for seconds in (0, most, "{% 1 %}"):
        assert told({"A": {"Type": "Wait", "Seconds": seconds, "End": True}}) == []
    for seconds in (-1, most + 1):
        wait = {"A": {"Type": "Wait", "Seconds": seconds, "End": True}}
        assert told(wait) == ranged("Seconds", 0, most, "/States/A")


@pytest.mark.fidelity(
    "Step Functions",
    "HeartbeatSeconds is smaller than TimeoutSeconds.",
    "States Language, Timeouts and Heartbeats",
)
def test_a_heartbeat_is_shorter_than_the_timeout() -> None:
    """Same page: HeartbeatSeconds "must be smaller than the TimeoutSeconds value"."""
    problem = f"{SCHEMA}: HeartbeatSeconds must be smaller than TimeoutSeconds at /States/A/HeartbeatSeconds"
    assert told(task(TimeoutSeconds=5, HeartbeatSeconds=5)) == [problem]
    assert told(task(TimeoutSeconds=5, HeartbeatSeconds=6)) == [problem]
    assert told(task(TimeoutSeconds=5, HeartbeatSeconds=4)) == []


@pytest.mark.fidelity(
    "Step Functions",
    "IntervalSeconds, MaxAttempts, BackoffRate and MaxDelaySeconds have their bounds.",
    "Step Functions DG, Handling errors in Step Functions workflows",
)
def test_numbers_of_a_retrier() -> None:
    """Developer Guide, "Handling errors in Step Functions workflows": IntervalSeconds and MaxDelaySeconds below
    31,622,400, MaxAttempts up to 99,999,999 (0: never retried), BackoffRate at least 1.0."""
    where = "/States/A/Retry[0]"
    assert retry(IntervalSeconds=1, MaxDelaySeconds=31_622_400, MaxAttempts=99_999_999) == []
    assert retry(IntervalSeconds=0) == ranged("IntervalSeconds", 1, 31_622_400, where)
    assert retry(IntervalSeconds=31_622_400, MaxAttempts=0, BackoffRate=1) == []
    assert retry(IntervalSeconds=31_622_401) == ranged("IntervalSeconds", 1, 31_622_400, where)
    assert retry(MaxDelaySeconds=31_622_401) == ranged("MaxDelaySeconds", 1, 31_622_400, where)
    assert retry(MaxDelaySeconds=1) == []
    assert retry(MaxDelaySeconds=0) == ranged("MaxDelaySeconds", 1, 31_622_400, where)
    assert retry(MaxAttempts=-1) == ranged("MaxAttempts", 0, 99_999_999, where)
    assert retry(MaxAttempts=100_000_000) == ranged("MaxAttempts", 0, 99_999_999, where)
    for rate in (0.99, True, "2"):
        assert retry(BackoffRate=rate) == [
            f"{SCHEMA}: BackoffRate must be a number of at least 1.0 at {where}/BackoffRate"
        ]


@pytest.mark.fidelity(
    "Step Functions",
    "MaxDelaySeconds is greater than IntervalSeconds.",
    "Step Functions DG, Handling errors in Step Functions workflows",
)
def test_the_longest_delay_is_longer_than_the_interval() -> None:
    where = "/States/A/Retry[0]"
    problem = [f"{SCHEMA}: MaxDelaySeconds must be greater than IntervalSeconds at {where}/MaxDelaySeconds"]
    assert retry(IntervalSeconds=5, MaxDelaySeconds=5) == problem
    assert retry(IntervalSeconds=5, MaxDelaySeconds=6) == []
    assert retry(IntervalSeconds=5, MaxDelaySeconds="6") == ranged("MaxDelaySeconds", 1, 31_622_400, where)


def test_jitter() -> None:
    assert retry(JitterStrategy="FULL") == retry(JitterStrategy="NONE") == []
    assert retry(JitterStrategy="HALF") == [
        f"{SCHEMA}: JitterStrategy must be FULL or NONE at /States/A/Retry[0]/JitterStrategy"
    ]


def test_concurrency() -> None:
    state = {"Type": "Map", "ItemProcessor": branch(It=DONE), "End": True}
    assert told({"A": {**state, "MaxConcurrency": 0}}) == told({"A": {**state, "MaxConcurrency": "{% 2 %}"}}) == []
    assert told({"A": {**state, "MaxConcurrency": -1}}) == ranged("MaxConcurrency", 0, 99_999_999, "/States/A")


# --- errors ---


@pytest.mark.parametrize("field", ["Retry", "Catch"])
def test_rules_of_errors_are_an_array_of_objects(field: str) -> None:
    assert (
        told(task(**{field: {}}))
        == told(task(**{field: 1}))
        == [f"{SCHEMA}: {field} must be an array at /States/A/{field}"]
    )
    assert told(task(**{field: [1]})) == [
        f"{SCHEMA}: ErrorEquals must be a non-empty array of error names at /States/A/{field}[0]/ErrorEquals"
    ]


@pytest.mark.parametrize("field", ["Retry", "Catch"])
@pytest.mark.parametrize("names", [None, [], "States.ALL", [1], ["E", 1]])
def test_error_equals_is_an_array_of_names(field: str, names: Any) -> None:
    problem = f"{SCHEMA}: ErrorEquals must be a non-empty array of error names at /States/A/{field}[0]/ErrorEquals"
    assert problem in told({**task(**{field: [{"ErrorEquals": names, "Next": "A"}]})})


@pytest.mark.fidelity(
    "Step Functions",
    "States.ALL stands alone, in the last retrier or catcher.",
    "States Language, Errors",
)
@pytest.mark.parametrize("field", ["Retry", "Catch"])
def test_states_all_stands_alone_in_the_last_rule(field: str) -> None:
    """States Language, "Errors": States.ALL "must appear alone … and … in the last"."""
    follow = {"Next": "B"} if field == "Catch" else {}
    one, every = {"ErrorEquals": ["E"], **follow}, {"ErrorEquals": ["States.ALL"], **follow}
    states = {"B": DONE} if field == "Catch" else {}

    def of(*rules: Any) -> list[str]:
        return told({**task(**{field: list(rules)}), **states})

    problem = f"{SCHEMA}: States.ALL must stand alone, in the last rule at /States/A/{field}[0]/ErrorEquals"
    assert of(one, every) == of(every) == []
    assert of(every, one) == of({**every, "ErrorEquals": ["States.ALL", "E"]}) == [problem]


def test_fields_of_a_catcher() -> None:
    def of(catcher: dict[str, Any], language: str = "JSONata") -> list[str]:
        return told({**task(Catch=[{"ErrorEquals": ["E"], **catcher}]), "B": DONE}, QueryLanguage=language)

    where = "/States/A/Catch[0]"
    assert of({"Next": "B", "Output": 1, "Assign": {"v": 1}}) == []
    assert of({"Next": "B", "ResultPath": "$.e"}, "JSONPath") == []
    for field, language in (("ResultPath", "JSONata"), ("Output", "JSONPath")):
        problem = f"{SCHEMA}: Field '{field}' is not supported at {where}/{field}"
        assert of({"Next": "B", field: "$.e"}, language) == [problem]
    assert of({"Next": "B", "Assign": {}}, "JSONPath") == [
        f"{SCHEMA}: not supported here: Assign in a JSONPath state; use JSONata at {where}/Assign"
    ]


# --- choices, branches, transitions ---


def test_choices() -> None:
    def of(choices: Any) -> list[str]:
        return told({"A": {"Type": "Choice", "Choices": choices, "Default": "B"}, "B": DONE})

    where = "/States/A/Choices"
    assert of([]) == of({}) == of(1) == [f"{SCHEMA}: Choices must be a non-empty array at {where}"]
    for rule in (1, {"Condition": True}, {"Condition": True, "Next": 1}):
        assert of([rule]) == [f"{SCHEMA}: A choice rule must be an object with Next at {where}[0]"]
    for condition in ("yes", 1, None):
        assert of([{"Condition": condition, "Next": "B"}]) == [
            f"{SCHEMA}: Condition must be a boolean or an expression '{{% … %}}' at {where}[0]/Condition"
        ]
    assert of([{"Condition": "{% true %}", "Next": "B"}]) == []
    assert of([{"Condition": True, "Next": "B", "Variable": "$.a"}]) == [
        f"{SCHEMA}: Field 'Variable' is not supported at {where}[0]/Variable"
    ]


def test_a_wait_has_one_of_four() -> None:
    problem = [f"{SCHEMA}: A Wait state needs exactly one of Seconds, Timestamp and their paths at /States/A"]
    for fields in ({}, {"Seconds": 1, "Timestamp": "2026-01-01T00:00:00Z"}):
        assert told({"A": {"Type": "Wait", "End": True, **fields}}) == problem
    both = {"Type": "Wait", "SecondsPath": "$.s", "TimestampPath": "$.t", "End": True}
    assert told({"A": both}, QueryLanguage="JSONPath") == problem


def test_branches_and_processors() -> None:
    where = "/States/A/Branches"
    for branches in ([], {}, None):
        assert told({"A": {"Type": "Parallel", "Branches": branches, "End": True}}) == [
            f"{SCHEMA}: Branches must be a non-empty array at {where}"
        ]
    object_wanted = f"{SCHEMA}: A branch or item processor must be an object with StartAt and States at"
    assert told({"A": {"Type": "Parallel", "Branches": [1], "End": True}}) == [f"{object_wanted} {where}[0]"]
    assert told({"A": {"Type": "Map", "ItemProcessor": 1, "End": True}}) == [f"{object_wanted} /States/A/ItemProcessor"]
    assert told({"A": {"Type": "Map", "End": True}}) == [f"{SCHEMA}: A Map state needs an ItemProcessor at /States/A"]
    inner = {**branch(In={"Type": "Pass", "Next": "Out"}), "TimeoutSeconds": 1}
    assert told({"A": {"Type": "Parallel", "Branches": [inner], "End": True}}) == [
        f"{SCHEMA}: Field 'TimeoutSeconds' is not supported at {where}[0]/TimeoutSeconds",
        f"MISSING_TRANSITION_TARGET: Missing 'Next' target: Out at {where}[0]/States/In/Next",
    ]


@pytest.mark.fidelity("Step Functions", "States' names are unique in the whole machine.", "States Language, States")
def test_names_are_unique_across_branches() -> None:
    """States Language, "States": unique "within the scope of the whole state machine"."""
    state = {"Type": "Parallel", "Branches": [branch(A=DONE)], "End": True}
    assert told({"A": state}) == ["DUPLICATE_STATE_NAME: Duplicate state name: A at /States/A/Branches[0]/States/A"]


@pytest.mark.fidelity(
    "Step Functions",
    "Every target exists and every state is reached.",
    "States Language, Transitions",
)
def test_every_target_is_there_and_every_state_is_reached() -> None:
    """States Language, "Transitions"."""
    choice = {"Type": "Choice", "Choices": [{"Condition": True, "Next": "X"}], "Default": "Y"}
    missing = "MISSING_TRANSITION_TARGET: Missing 'Next' target:"
    assert told({"A": choice}) == [f"{missing} Y at /States/A/Default", f"{missing} X at /States/A/Choices[0]/Next"]
    caught = task(Catch=[{"ErrorEquals": ["E"], "Next": "X"}])
    assert told(caught) == [f"{missing} X at /States/A/Catch[0]/Next"]
    assert told({**caught, "X": {"Type": "Pass", "Next": "Y"}, "Y": DONE}) == []
    assert told({"A": DONE}, StartAt="B") == ["MISSING_TRANSITION_TARGET: Missing 'StartAt' target: B at /StartAt"]
    loop = {"B": {"Type": "Pass", "Next": "C"}, "C": {"Type": "Pass", "Next": "B"}}
    assert told({"A": DONE, **loop}) == [
        f'MISSING_TRANSITION_TARGET: State "{name}" is not reachable. at /States/{name}' for name in "BC"
    ]


@pytest.mark.parametrize("kind", ["Pass", "Task", "Wait", "Parallel", "Map"])
def test_a_state_goes_on_or_ends(kind: str) -> None:
    neither = f"{SCHEMA}: A state needs Next, or End with the value true at /States/A"
    for fields in ({}, {"End": False}, {"Next": 1}):
        assert neither in told({"A": {"Type": kind, **fields}})
    both = f"{SCHEMA}: A state can't have both Next and End at /States/A"
    assert both in told({"A": {"Type": kind, "Next": "A", "End": True}})
    for fields in ({"End": True}, {"Next": "A"}, {"End": False, "Next": "A"}):
        assert not any("End" in problem for problem in told({"A": {"Type": kind, **fields}}))


# --- JSONata ---


@pytest.mark.parametrize("text", ["{% 1", "1 %}", "{%", "%}", "{% 1 %} "])
def test_half_an_expression_is_refused(text: str) -> None:
    where = "/States/A/Output/list[1]"
    problem = f"{EXPRESSION}: An expression starts with '{{%' and ends with '%}}' at {where}"
    assert told({"A": {"Type": "Pass", "Output": {"list": [1, text]}, "End": True}}) == [problem]


def test_comments_are_no_expressions_and_inner_states_are_told_once() -> None:
    assert told({"A": {"Type": "Pass", "Comment": "{% 1", "Output": {"Comment": "{% 1"}, "End": True}}) == []
    broken = branch(In={"Type": "Pass", "Output": "{% 1 + %}", "End": True})
    for state, where in (
        ({"Type": "Map", "ItemProcessor": broken}, "ItemProcessor"),
        ({"Type": "Parallel", "Branches": [broken]}, "Branches[0]"),
    ):
        (problem,) = told({"A": {**state, "End": True}})
        assert problem.endswith(f"in '1 +' at /States/A/{where}/States/In/Output")


@pytest.mark.fidelity(
    "Step Functions",
    "Which members of $states a field may use is checked at creation.",
    "Step Functions DG, Transforming data with JSONata",
)
@pytest.mark.parametrize(
    ("kind", "field", "members"),
    [
        ("Task", "Arguments", {"input", "context"}),
        ("Task", "Output", {"input", "context", "result"}),
        ("Task", "Assign", {"input", "context", "result"}),
        ("Parallel", "Output", {"input", "context", "result"}),
        ("Map", "Output", {"input", "context", "result"}),
        ("Map", "Items", {"input", "context"}),
        ("Pass", "Output", {"input", "context"}),
        ("Pass", "Assign", {"input", "context"}),
        ("Task", "Catch", {"input", "context", "errorOutput"}),
    ],
)
def test_members_of_states_by_field(kind: str, field: str, members: set[str]) -> None:
    """Developer Guide, "Transforming data with JSONata in Step Functions", reserved variable $states."""
    inner = branch(In=DONE)
    own = {"Task": {"Resource": "r"}, "Parallel": {"Branches": [inner]}, "Map": {"ItemProcessor": inner}}

    def is_there(member: str) -> bool:
        text: Any = f"{{% $states.{member} %}}"
        value = {"Assign": {"v": text}, "Catch": [{"ErrorEquals": ["E"], "Next": "B", "Output": text}]}.get(field, text)
        found = told({"A": {"Type": kind, "Next": "B", **own.get(kind, {}), field: value}, "B": DONE})
        assert all(f"$states.{member} is not available in this field" in problem for problem in found)
        return not found

    assert {member for member in ("input", "context", "result", "errorOutput") if is_there(member)} == members


@pytest.mark.fidelity(
    "Step Functions",
    "A variable's name is a Unicode identifier of at most 80 characters.",
    "Step Functions DG, Passing data between states with variables",
)
def test_names_of_variables() -> None:
    """Developer Guide, "Passing data between states with variables": Unicode identifiers of up to 80 characters here
    letters, digits and underscores; `states` is reserved."""
    for name in ("v", "_", "a1", "a" * 80):
        assert told({"A": {"Type": "Pass", "Assign": {name: 1}, "End": True}}) == []
    for name in ("1a", "a-b", "a" * 81, "states", ""):
        assert told({"A": {"Type": "Pass", "Assign": {name: 1}, "End": True}}) == [
            f"{SCHEMA}: '{name}' can't be a variable's name at /States/A/Assign/{name}"
        ]
    rule = {"Condition": True, "Next": "B", "Assign": {"a-b": 1}}
    assert told({"A": {"Type": "Choice", "Choices": [rule]}, "B": DONE}) == [
        f"{SCHEMA}: 'a-b' can't be a variable's name at /States/A/Choices[0]/Assign/a-b"
    ]
    catcher = {"ErrorEquals": ["E"], "Next": "B", "Assign": {"a-b": 1}}
    assert told({**task(Catch=[catcher]), "B": DONE}) == [
        f"{SCHEMA}: 'a-b' can't be a variable's name at /States/A/Catch[0]/Assign/a-b"
    ]


def test_a_tasks_resource_is_a_text_that_is_known() -> None:
    assert told(task(Resource="x")) == [f"{SCHEMA}: no such task (x) at /States/A/Resource"]
    assert told(task(Resource=1)) == [f"{SCHEMA}: Resource must be a string (1) at /States/A/Resource"]
