"""Which statements of a policy are about a request: actions, resources, conditions, principals."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.iam.policies import ALLOW, first_about, statements_of
from localaws.iam.principals import Caller, principals_of
from localaws.iam.requests import Request

ACCOUNT = "000000000000"


def about(action: str, resource: str, keys: dict[str, Any] | None = None, **statement: Any) -> bool:
    found = {"Effect": "Allow", "Action": "*", "Resource": "*", **statement}
    if "NotAction" in statement:
        del found["Action"]
    if "NotResource" in statement:
        del found["Resource"]
    document = {"Version": "2012-10-17", "Statement": found}
    request = Request(action, resource, (keys or {}).get)
    return first_about(request, statements_of(document), ALLOW) is not None


def holds(operator: str, value: Any, expected: Any) -> bool:
    keys = {} if value is None else {"aws:key": value}
    return about("s3:GetObject", "arn", keys, Condition={operator: {"aws:Key": expected}})


@pytest.mark.fidelity(
    "IAM",
    "An action's case doesn't matter, a resource's does; NotAction and NotResource are everything else.",
    "IAM User Guide, IAM JSON policy elements: Action, NotAction, Resource, NotResource",
)
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"Action": "S3:get*"}, True),
        ({"Action": ["sqs:*", "s3:GetObjec?"]}, True),
        ({"Action": "s3:Get"}, False),
        ({"NotAction": "s3:*"}, False),
        ({"NotAction": ["sqs:*", "s3:Put*"]}, True),
        ({"Resource": "arn:aws:s3:::b/*"}, True),
        ({"Resource": "arn:aws:s3:::B/*"}, False),
        ({"NotResource": "arn:aws:s3:::b/*"}, False),
        ({"NotResource": ["arn:aws:s3:::c/*", "arn:aws:s3:::b/${aws:username}"]}, True),
    ],
)
def test_actions_and_resources(statement: dict[str, Any], expected: bool) -> None:
    assert about("s3:GetObject", "arn:aws:s3:::b/k", **statement) is expected


@pytest.mark.fidelity(
    "IAM",
    "String, Numeric, Date, Bool, BinaryEquals, IpAddress and Arn operators with their opposites; an ARN is compared"
    " part by part, and no wildcard reaches over its colons.",
    "IAM User Guide, IAM JSON policy elements: Condition operators",
)
@pytest.mark.parametrize(
    ("operator", "value", "expected", "held"),
    [
        ("StringEquals", "a", ["b", "a"], True),
        ("StringEquals", "A", "a", False),
        ("StringEquals", "ab", "a*", False),
        ("StringNotEquals", "a", ["b", "a"], False),
        ("StringEqualsIgnoreCase", "A", "a", True),
        ("StringNotEqualsIgnoreCase", "A", "a", False),
        ("StringLike", "abc", "a?c", True),
        ("StringNotLike", "abc", ["x*", "a*"], False),
        ("NumericEquals", "5", "5.0", True),
        ("NumericNotEquals", 5, "6", True),
        ("NumericLessThan", "9", "10", True),
        ("NumericLessThanEquals", "3600", "3600", True),
        ("NumericGreaterThan", "x", "1", False),
        ("NumericGreaterThanEquals", "2", ["3", "2"], True),
        ("DateLessThan", "2026-01-01T00:00:00Z", "2026-06-30T23:59:59Z", True),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-06-30", False),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", "1735689600", True),
        ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", True),
        ("Bool", True, "true", True),
        ("Bool", "false", "true", False),
        ("BinaryEquals", "aGk=", "aGk=", True),
        ("BinaryEquals", "aGk=", "aGo=", False),
        ("IpAddress", "127.0.0.1", ["10.0.0.0/8", "127.0.0.0/8"], True),
        ("IpAddress", "127.0.0.1", "127.0.0.2", False),
        ("NotIpAddress", "127.0.0.1", "10.0.0.0/8", True),
        ("IpAddress", "::1", "::/64", True),
        ("ArnLike", "arn:aws:sns:us-east-1:1:t", "arn:aws:sns:*:*:t", True),
        ("ArnEquals", "arn:aws:sns:us-east-1:1:t", "arn:aws:sns:*:t", False),
        ("ArnLike", "arn:aws:states:us-east-1:1:execution:m:x", "arn:aws:states:*:1:execution:*", True),
        ("ArnNotLike", "arn:aws:sns:us-east-1:1:t", "arn:aws:sns:us-east-1:1:*", False),
        ("StringMatches", "a", "a", False),
    ],
)
def test_operators(operator: str, value: Any, expected: Any, held: bool) -> None:
    assert holds(operator, value, expected) is held


@pytest.mark.fidelity(
    "IAM",
    "Of an absent key Null and ...IfExists hold, negated operators and ForAllValues, too; ForAnyValue doesn't.",
    "IAM User Guide, IAM JSON policy elements: Condition operators; Set operators for multivalued context keys",
)
@pytest.mark.parametrize(
    ("operator", "expected", "held"),
    [
        ("Null", "true", True),
        ("Null", "false", False),
        ("StringEquals", "a", False),
        ("StringEqualsIfExists", "a", True),
        ("StringNotEquals", "a", True),
        ("NotIpAddress", "10.0.0.0/8", True),
        ("NumericLessThanIfExists", "1", True),
        ("ForAllValues:StringEquals", "a", True),
        ("ForAnyValue:StringEquals", "a", False),
        ("ForAnyValue:StringNotEquals", "a", False),
        ("ForAnyValue:StringEqualsIfExists", "a", True),
    ],
)
def test_an_absent_key(operator: str, expected: str, held: bool) -> None:
    assert holds(operator, None, expected) is held
    assert holds(operator, [], expected) is held


@pytest.mark.fidelity(
    "IAM",
    "ForAllValues: every value of the key compares; ForAnyValue: one does. Without them several values are like none.",
    "IAM User Guide, Set operators for multivalued context keys",
)
@pytest.mark.parametrize(
    ("operator", "values", "expected", "held"),
    [
        ("ForAllValues:StringEquals", ["a", "b"], ["a", "b", "c"], True),
        ("ForAllValues:StringEquals", ["a", "d"], ["a", "b", "c"], False),
        ("ForAnyValue:StringLike", ["a", "d"], "d*", True),
        ("ForAnyValue:StringLike", ["a", "b"], "d*", False),
        ("ForAllValues:StringNotEquals", ["a", "d"], ["d"], False),
        ("ForAnyValue:StringNotEquals", ["a", "d"], ["d"], True),
        ("StringEquals", ["a"], "a", True),
        ("StringEquals", ["a", "b"], ["a", "b"], False),
        ("Null", ["a"], "false", True),
    ],
)
def test_keys_with_several_values(operator: str, values: list[str], expected: Any, held: bool) -> None:
    assert holds(operator, values, expected) is held


SESSION = Caller(
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s", account=ACCOUNT, role_arn=f"arn:aws:iam::{ACCOUNT}:role/path/r"
)
SERVICE = Caller(service="sns.amazonaws.com")


@pytest.mark.fidelity(
    "IAM",
    "A principal is everybody, an account, a role by its ARN with its path, a session, a user or a service; a part of"
    " a name with an asterisk is nobody's.",
    "IAM User Guide, AWS JSON policy elements: Principal",
)
@pytest.mark.parametrize(
    ("element", "caller", "expected"),
    [
        ("*", SESSION, True),
        ({"AWS": "*"}, SESSION, True),
        ({"AWS": ACCOUNT}, SESSION, True),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, SESSION, True),
        ({"AWS": "arn:aws:iam::111122223333:root"}, SESSION, False),
        ({"AWS": ["x", SESSION.role_arn]}, SESSION, True),
        ({"AWS": SESSION.arn}, SESSION, True),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/r"}, SESSION, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}, SESSION, False),
        ({"Service": "sns.amazonaws.com"}, SESSION, False),
        ({"Service": ["s3.amazonaws.com", "sns.amazonaws.com"]}, SERVICE, True),
        ({"AWS": ACCOUNT}, SERVICE, False),
        ("*", SERVICE, True),
        ({"Service": "sns.amazonaws.com"}, Caller(arn=f"arn:aws:iam::{ACCOUNT}:root", account=ACCOUNT), False),
    ],
)
def test_principals(element: Any, caller: Caller, expected: bool) -> None:
    assert principals_of({"Principal": element}).include(caller) is expected


@pytest.mark.fidelity(
    "IAM",
    "A Deny with NotPrincipal spares a role's session only if the account, the role and the session are all listed.",
    "IAM User Guide, AWS JSON policy elements: NotPrincipal",
)
def test_not_principal_needs_account_role_and_session() -> None:
    listed = [ACCOUNT, SESSION.role_arn, SESSION.arn]
    assert not principals_of({"NotPrincipal": {"AWS": listed}}).include(SESSION)
    for left_out in listed:
        some = [name for name in listed if name != left_out]
        assert principals_of({"NotPrincipal": {"AWS": some}}).include(SESSION), left_out


@pytest.mark.parametrize(
    "document", [None, "", "no json", "[]", {"Statement": ["x"]}, {"Statement": [{"Effect": "?"}]}]
)
def test_what_is_no_policy_has_no_statements(document: Any) -> None:
    assert statements_of(document) == []
