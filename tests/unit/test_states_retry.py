"""Which errors are retried and caught, and how long until the next try."""

from __future__ import annotations

import pytest

from localaws.states.errors import error_matches
from localaws.states.retry import Retries, find_catcher


@pytest.mark.fidelity(
    "Step Functions",
    "States.ALL matches all but States.DataLimitExceeded and States.Runtime; States.TaskFailed all but States.Timeout.",
    "Step Functions DG, Handling errors in Step Functions workflows",
)
@pytest.mark.parametrize(
    ("error_equals", "error", "expected"),
    [
        (["States.ALL"], "Any", True),
        (["States.ALL"], "States.Timeout", True),
        (["States.ALL"], "States.Runtime", False),
        (["States.ALL"], "States.DataLimitExceeded", False),
        (["States.DataLimitExceeded"], "States.DataLimitExceeded", True),
        (["States.Runtime"], "States.Runtime", False),
        (["States.TaskFailed"], "SageMaker.AmazonSageMakerException", True),
        (["States.TaskFailed"], "States.Timeout", False),
        (["States.TaskFailed"], "States.HeartbeatTimeout", False),
        (["States.Timeout"], "States.HeartbeatTimeout", True),
        (["States.HeartbeatTimeout"], "States.Timeout", False),
        (["One", "Two"], "Two", True),
        (["One"], "Two", False),
    ],
)
def test_matching(error_equals: list[str], error: str, expected: bool) -> None:
    assert error_matches(error_equals, error) is expected


@pytest.mark.fidelity(
    "Step Functions",
    "Delays grow by BackoffRate, up to MaxDelaySeconds.",
    "Step Functions DG, Retrying after an error",
)
def test_delays_grow_to_their_maximum_and_end() -> None:
    retries = Retries([{"ErrorEquals": ["E"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxDelaySeconds": 10}])
    assert [retries.delay("E") for _ in range(4)] == [2, 6, 10, None]
    assert retries.count == 3


@pytest.mark.fidelity(
    "Step Functions",
    "IntervalSeconds 1, BackoffRate 2.0, MaxAttempts 3 unless given.",
    "Step Functions DG, Retrying after an error",
)
def test_the_defaults_are_one_second_doubled_three_times() -> None:
    retries = Retries([{"ErrorEquals": ["States.ALL"]}])
    assert [retries.delay("E") for _ in range(4)] == [1, 2, 4, None]


@pytest.mark.fidelity(
    "Step Functions",
    "Each retrier counts for itself; the first that matches decides.",
    "States Language, Errors: Retrying",
)
def test_each_retrier_counts_for_itself_and_the_first_match_decides() -> None:
    rules = [{"ErrorEquals": ["A"], "MaxAttempts": 1}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}]
    retries = Retries(rules)
    assert [retries.delay(error) for error in ("A", "B", "A", "B")] == [1, 1, None, None]
    assert Retries([{"ErrorEquals": ["A"], "MaxAttempts": 0}]).delay("A") is None


@pytest.mark.fidelity(
    "Step Functions",
    "JitterStrategy FULL draws between 0 and the delay.",
    "Step Functions DG, Retrying after an error",
)
def test_full_jitter_draws_between_nothing_and_the_interval() -> None:
    drawn = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return high / 2

    rule = {"ErrorEquals": ["A"], "IntervalSeconds": 4, "JitterStrategy": "FULL"}
    assert Retries([rule], uniform).delay("A") == 2
    assert drawn == [(0, 4)]


def test_the_first_catcher_that_matches_catches() -> None:
    catchers = [{"ErrorEquals": ["A"], "Next": "a"}, {"ErrorEquals": ["States.ALL"], "Next": "rest"}]
    assert [(find_catcher(catchers, error) or {}).get("Next") for error in ("A", "B", "States.Runtime")] == [
        "a",
        "rest",
        None,
    ]
