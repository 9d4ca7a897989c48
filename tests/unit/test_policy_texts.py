"""Policies' texts: wildcards and variables, and how long they may take."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.iam.policies import ALLOW, first_about, statements_of
from localaws.iam.requests import Request
from localaws.iam.texts import policy_text

KEYS = {"aws:principaltag/team": "red", "aws:username": "alice", "aws:tagkeys": ["a", "b"], "aws:principaltag/odd": "*"}
NEW, OLD = "2012-10-17", "2008-10-17"


def allows(resource: str, on: str, version: str = NEW, **more: Any) -> bool:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource, **more}
    document = {"Version": version, "Statement": [statement]}
    request = Request("s3:GetObject", on, {**KEYS, "s3:prefix": "red/x"}.get)
    return first_about(request, statements_of(document), ALLOW) is not None


@pytest.mark.fidelity(
    "IAM",
    "${key} in a Resource is the request's value of the key, ${key, 'default'} the default where there is none; a"
    " variable that has neither, and one of several values, matches no resource.",
    "IAM User Guide, IAM policy elements: Variables and tags",
)
@pytest.mark.parametrize(
    ("resource", "on", "expected"),
    [
        ("arn:b/${aws:PrincipalTag/team}/*", "arn:b/red/x", True),
        ("arn:b/${aws:PrincipalTag/TEAM}/*", "arn:b/red/x", True),
        ("arn:b/${aws:PrincipalTag/team}/*", "arn:b/blue/x", False),
        ("arn:b/${aws:PrincipalTag/team}/*", "arn:b/${aws:PrincipalTag/team}/x", False),
        ("arn:b/${aws:username}-${aws:PrincipalTag/team}", "arn:b/alice-red", True),
        ("arn:b/${aws:PrincipalTag/none, 'blue'}/*", "arn:b/blue/x", True),
        ("arn:b/${aws:PrincipalTag/team, 'blue'}/*", "arn:b/blue/x", False),
        ("arn:b/${aws:PrincipalTag/none}/*", "arn:b//x", False),
        ("arn:b/${aws:PrincipalTag/none}*", "arn:b/", False),
        ("arn:b/${aws:TagKeys}", "arn:b/a", False),
        ("arn:b/${aws:PrincipalTag/odd}", "arn:b/*", True),
        ("arn:b/${aws:PrincipalTag/odd}", "arn:b/red", False),
    ],
)
def test_variables_in_a_resource(resource: str, on: str, expected: bool) -> None:
    assert allows(resource, on) is expected


@pytest.mark.fidelity(
    "IAM",
    "${*}, ${?} and ${$} are the characters themselves, also where wildcards may stand.",
    "IAM User Guide, IAM policy elements: Variables and tags",
)
@pytest.mark.parametrize(
    ("resource", "on", "expected"),
    [
        ("arn:b/${*}x", "arn:b/*x", True),
        ("arn:b/${*}x", "arn:b/yx", False),
        ("arn:b/${?}", "arn:b/?", True),
        ("arn:b/${?}", "arn:b/y", False),
        ("arn:b/${$}{aws:username}", "arn:b/${aws:username}", True),
    ],
)
def test_escaped_characters(resource: str, on: str, expected: bool) -> None:
    assert allows(resource, on) is expected


@pytest.mark.fidelity(
    "IAM",
    "Documents of version 2008-10-17, and those without a version, have no variables.",
    "IAM User Guide, IAM policy elements: Variables and tags",
)
@pytest.mark.parametrize("version", [OLD, ""])
def test_older_versions_have_no_variables(version: str) -> None:
    assert not allows("arn:b/${aws:username}", "arn:b/alice", version)
    assert allows("arn:b/${aws:username}", "arn:b/${aws:username}", version)


@pytest.mark.fidelity(
    "IAM",
    "A variable without a value equals nothing: StringEquals doesn't hold, StringNotEquals does.",
    "IAM User Guide, IAM policy elements: Variables and tags, 'Policy variables with no value'",
)
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}/*"}}, True),
        ({"StringLike": {"s3:prefix": "${aws:PrincipalTag/none}/*"}}, False),
        ({"StringNotLike": {"s3:prefix": "${aws:PrincipalTag/none}/*"}}, True),
        ({"StringNotLike": {"s3:prefix": "${aws:PrincipalTag/team}/*"}}, False),
        ({"StringEquals": {"s3:prefix": ["${aws:PrincipalTag/none}", "red/x"]}}, True),
        ({"StringEquals": {"s3:prefix": "${aws:PrincipalTag/team, 'x'}/x"}}, True),
    ],
)
def test_variables_in_a_condition(condition: dict[str, Any], expected: bool) -> None:
    assert allows("*", "arn:b/x", Condition=condition) is expected


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("*", "", True),
        ("a*", "a\nb", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*a*b*", "xaxbx", True),
        ("*a*b*", "xbxax", False),
        ("a*b*a", "aba", True),
        ("a*ba", "abba", True),
        ("a**", "a", True),
        ("*ab", "aab", True),
        ("a.c", "abc", False),
    ],
)
def test_wildcards(text: str, value: str, expected: bool) -> None:
    assert policy_text(text, True).matches(value) is expected


def test_many_wildcards_take_no_time() -> None:
    """A policy with forty asterisks, and a long key that is almost like it, would else hold the server for years."""
    assert not policy_text("*a" * 40 + "b", True).matches("a" * 5000)
    assert not policy_text("*a?" * 40 + "*b?", True).matches("a" * 5000)
