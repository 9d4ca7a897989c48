"""When an endpoint's answer is the evaluation's."""

from __future__ import annotations

import pytest
from verifier.answers import same
from verifier.handler import wrong_endpoint


@pytest.mark.parametrize(
    ("answer", "expected", "equal"),
    [
        ("7\n", "7", True),
        ("7.0", "7", True),
        ('"setosa"\n', "setosa", True),
        ("0.33333334", "0.3333333333333333", True),
        ("8", "7", False),
        ("0.34", "0.3333", False),
        ("virginica", "setosa", False),
        ("", "7", False),
        ("7\n7", "7", False),
        ("nan", "nan", True),
        ("nan", "7", False),
    ],
)
def test_answers_are_equal_as_text_or_as_numbers(answer: str, expected: str, equal: bool) -> None:
    assert same(answer, expected) is equal


def test_an_endpoint_must_be_in_service_on_the_new_config() -> None:
    endpoint = {"EndpointStatus": "InService", "EndpointConfigName": "new"}
    assert wrong_endpoint(endpoint, "new") is None
    assert wrong_endpoint({**endpoint, "EndpointConfigName": "old"}, "new") == "the endpoint is on old, not on new"
    assert wrong_endpoint({**endpoint, "EndpointStatus": "Failed"}, "new") == "the endpoint is Failed"
