"""The embedded AWS's settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from localaws.sagemaker.jobs.spot_market import SpotMarket
from localaws.settings import IdleFunctions, Settings


def test_without_a_file_a_stopped_job_fails_its_task(tmp_path: Path) -> None:
    assert Settings.read(tmp_path / "settings.json") == Settings("fails")


def test_the_file_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"stopped_job": "succeeds"}')
    assert Settings.read(path) == Settings("succeeds")
    path.write_text('{"spot": {"interrupt_every": 30, "interruptions": 3}}')
    assert Settings.read(path).spot == SpotMarket(interrupt_every=30, interruptions=3)


def test_interpreters_are_kept_warm_unless_it_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    assert Settings.read(path).warm
    path.write_text('{"warm": false}')
    assert not Settings.read(path).warm


def test_waits_take_as_long_as_they_say_unless_it_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    assert Settings.read(path).clock_scale == 1.0
    path.write_text('{"clock_scale": 60}')
    assert Settings.read(path).clock_scale == 60.0


def test_idle_functions_stay_for_a_while_unless_it_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    assert Settings.read(path).idle_functions == IdleFunctions(120.0, 40)
    path.write_text('{"idle_functions": {"most": 5}}')
    assert Settings.read(path).idle_functions == IdleFunctions(120.0, 5)


def test_every_instance_type_is_to_be_had_unless_it_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    assert not Settings.read(path).without_capacity
    path.write_text('{"without_capacity": ["ml.m5.large"]}')
    assert Settings.read(path).without_capacity == {"ml.m5.large"}


def test_spot_is_billed_by_its_discount_and_never_for_nothing() -> None:
    assert [SpotMarket(discount=0.7).billable(seconds) for seconds in (1, 10, 100)] == [1, 4, 31]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ('{"stopped": 1}', "unknown settings stopped; there is stopped_job, spot, quotas"),
        ('{"stopped_job": "maybe"}', "stopped_job: 'maybe'; it must be fails or succeeds"),
        ("[]", "unknown settings"),
        ('{"spot": 1}', "spot: unknown settings 1; there is interrupt_every"),
        ('{"spot": {"often": 1}}', "spot: unknown settings often; there is interrupt_every"),
        ('{"spot": {"interrupt_every": 0}}', "spot: interrupt_every: 0; it must be a number of at least 0.1"),
        ('{"spot": {"interruptions": 1.5}}', "spot: interruptions: 1.5; it must be a whole number"),
        ('{"spot": {"notice": "2m"}}', "spot: notice: '2m'; it must be a number of at least 0"),
        ('{"without_capacity": "ml.m5.large"}', "without_capacity: 'ml.m5.large'; it must be a list of instance types"),
        ('{"without_capacity": ["m5.large"]}', "without_capacity: 'm5.large'; it must be an instance type"),
        ('{"quotas": []}', "quotas: []; it must be an object"),
        ('{"quotas": {"ml.m5.large": 1}}', "quotas: 'ml.m5.large'; it must be as 'ml.m5.large for training job usage'"),
        (
            '{"quotas": {"ml.m5.large for endpoint usage": -1}}',
            "endpoint usage: -1; it must be a whole number from 0 on",
        ),
        ('{"spot": {"discount": 1}}', "spot: discount: 1; it must be below 1"),
        ('{"authorization_log": "yes"}', "authorization_log: 'yes'; it must be true or false"),
        ('{"warm": 1}', "warm: 1; it must be true or false"),
        ('{"idle_functions": {"after": 1}}', "idle_functions: unknown settings after; there is seconds, most"),
        ('{"idle_functions": {"seconds": "2m"}}', "idle_functions: seconds: '2m'; it must be a number from 0 on"),
        ('{"idle_functions": {"most": 1.5}}', "idle_functions: most: 1.5; it must be a whole number from 0 on"),
        ('{"clock_scale": 0.5}', "clock_scale: 0.5; it must be a number from 1 to 3600"),
        ('{"clock_scale": "60"}', "clock_scale: '60'; it must be a number from 1 to 3600"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"settings\.json") as caught:
        Settings.read(path)
    assert says in str(caught.value)
