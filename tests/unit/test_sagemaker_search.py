"""Search's expressions: filters, nested filters and expressions within expressions."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.search_expression import check, matches
from localaws.sagemaker.core.validation import service_model

MEMBERS = frozenset(service_model().shape_for("TrainingJob").members)
JOB: dict[str, Any] = {
    "TrainingJobName": "digits-1",
    "TrainingJobStatus": "Completed",
    "CreationTime": 1_780_000_000.0,
    "EnableManagedSpotTraining": False,
    "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/model.tar.gz"},
    "HyperParameters": {"lr.top": "0.5", "name": "forest"},
    "FinalMetricDataList": [{"MetricName": "f1", "Value": 0.9}],
    "InputDataConfig": [
        {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://bucket/a/"}}},
        {"ChannelName": "test", "DataSource": {"S3DataSource": {"S3Uri": "s3://bucket/b/"}}},
    ],
    "Tags": [{"Key": "team", "Value": "red"}],
}


def one(name: str, operator: str | None = None, value: str | None = None) -> dict[str, Any]:
    return {"Name": name} | ({"Operator": operator} if operator else {}) | ({"Value": value} if value else {})


def holds(*filters: dict[str, Any], **more: Any) -> bool:
    expression = {"Filters": list(filters), **more}
    check(expression, MEMBERS)
    return matches(expression, JOB)


@pytest.mark.fidelity(
    "Training jobs",
    "Search's operators: a value without an operator is equal; In takes words between commas; metrics, hyperparameters "
    "and tags are named Metrics.x, HyperParameters.x and Tags.x; times are ISO 8601.",
    "API reference: Filter",
)
@pytest.mark.parametrize(
    ("true", "false"),
    [
        (one("TrainingJobName", None, "digits-1"), one("TrainingJobName", None, "digits")),
        (one("TrainingJobName", "NotEquals", "digits"), one("TrainingJobName", "NotEquals", "digits-1")),
        (one("TrainingJobName", "Contains", "git"), one("TrainingJobName", "Contains", "iris")),
        (one("TrainingJobStatus", "In", "Failed, Completed"), one("TrainingJobStatus", "In", "Failed,Stopped")),
        (one("FailureReason", "NotExists"), one("FailureReason", "Exists")),
        (
            one("ModelArtifacts.S3ModelArtifacts", "Equals", "s3://bucket/model.tar.gz"),
            one("ModelArtifacts.S3ModelArtifacts", "Equals", "s3://bucket/other.tar.gz"),
        ),
        (one("Metrics.f1", "GreaterThan", "0.85"), one("Metrics.f1", "GreaterThan", "0.9")),
        (one("Metrics.f1", "LessThanOrEqualTo", "0.90"), one("Metrics.accuracy", "Exists")),
        (one("HyperParameters.lr.top", "LessThan", "0.6"), one("HyperParameters.lr.top", "LessThan", "0.5")),
        (one("Tags.team", "Equals", "red"), one("Tags.team", "Equals", "blue")),
        (one("EnableManagedSpotTraining", "Equals", "false"), one("EnableManagedSpotTraining", "Equals", "true")),
        (one("InputDataConfig.ChannelName", "Equals", "test"), one("InputDataConfig.ChannelName", "Equals", "other")),
        (one("CreationTime", "LessThan", "2027-01-01T00:00"), one("CreationTime", "LessThan", "2020-01-01T00:00")),
    ],
)  # fmt: skip
def test_a_filter(true: dict[str, Any], false: dict[str, Any]) -> None:
    assert holds(true)
    assert not holds(false)


def test_filters_are_joined_by_and_unless_it_says_or() -> None:
    right, wrong = one("TrainingJobName", None, "digits-1"), one("TrainingJobStatus", None, "Failed")
    assert not holds(right, wrong)
    assert holds(right, wrong, Operator="Or")
    assert holds(right, SubExpressions=[{"Filters": [wrong, right], "Operator": "Or"}])
    assert not holds(right, SubExpressions=[{"Filters": [wrong]}])


@pytest.mark.fidelity(
    "Training jobs",
    "A nested filter holds where a single entry of the list satisfies all of its filters.",
    "API reference: NestedFilters, SearchExpression",
)
@pytest.mark.parametrize(("channel", "expected"), [("train", True), ("test", False)])
def test_a_nested_filter_is_of_one_entry(channel: str, expected: bool) -> None:
    filters = [
        one("InputDataConfig.ChannelName", "Equals", channel),
        one("InputDataConfig.DataSource.S3DataSource.S3Uri", "Contains", "/a/"),
    ]
    assert holds(NestedFilters=[{"NestedPropertyName": "InputDataConfig", "Filters": filters}]) is expected


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ({}, "You must specify at least one subexpression, filter, or nested filter."),
        ({"Filters": [one("Nonsense", None, "x")]}, "Unknown property name: Nonsense"),
        ({"Filters": [one("RoleArn", "Contains")]}, "The filter on RoleArn needs a Value for its operator Contains."),
        (
            {"Filters": [one("RoleArn", "Contains", "a"), one("TrainingJobName", "Contains", "b")]},
            "'CONTAINS' operator usage limit of 1 exceeded.",
        ),
    ],
)  # fmt: skip
def test_an_expression_that_makes_no_sense_is_refused(expression: dict[str, Any], said: str) -> None:
    with pytest.raises(SageMakerError) as caught:
        check(expression, MEMBERS)
    assert (caught.value.code, caught.value.message) == ("ValidationException", said)


def test_text_has_no_order() -> None:
    with pytest.raises(SageMakerError) as caught:
        holds(one("TrainingJobName", "GreaterThan", "a"))
    assert "GreaterThan is not supported for the text property TrainingJobName" in caught.value.message
