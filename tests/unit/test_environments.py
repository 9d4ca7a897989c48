"""cdk.json's environments: what is read, and what is refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ratchet.spec import ConfigurationError
from ratchet.spec.environments import (
    Environment,
    chosen_environment,
    chosen_pipelines,
    context_of_command,
    environment,
    read_environment,
)

ACCOUNT = "111122223333"
GOOD: dict[str, Any] = {"account": ACCOUNT, "region": "eu-west-1", "removal": "retain", "log_retention_days": 30}


def test_local_is_chosen_unless_told() -> None:
    context = {"environments": {"local": GOOD, "prod": GOOD}}
    assert chosen_environment(context).name == "local"
    assert chosen_environment({**context, "environment": None}).name == "local"
    assert chosen_environment({**context, "environment": "prod"}).name == "prod"


def test_the_cdk_command_tells_what_is_too_large_for_a_variable_in_a_file(tmp_path: Path) -> None:
    assert context_of_command({}) == {}
    told = {"CDK_CONTEXT_JSON": '{"environment": "prod", "pipelines": "a"}'}
    assert context_of_command(told) == {"environment": "prod", "pipelines": "a"}
    (tmp_path / "more.json").write_text('{"environments": {"prod": {}}}')
    overflowing = {**told, "CONTEXT_OVERFLOW_LOCATION_ENV": str(tmp_path / "more.json")}
    assert context_of_command(overflowing) == {"environment": "prod", "pipelines": "a", "environments": {"prod": {}}}


def test_what_is_not_said_is_the_careful_choice() -> None:
    found = environment("prod", GOOD)
    told = {"account": ACCOUNT, "region": "eu-west-1", "removal": "retain", "log_retention_days": 30}
    assert found == Environment(name="prod", **told)
    assert (found.vpc, found.permissions_boundary, found.access_logs, found.image_builds) == (
        None,
        None,
        "none",
        "none",
    )


def test_a_vpc_has_subnets_and_groups() -> None:
    found = environment("prod", {**GOOD, "vpc": {"subnets": ["subnet-0a"], "security_groups": ["sg-0b"]}})
    assert found.vpc is not None
    assert (found.vpc.subnets, found.vpc.security_groups) == (("subnet-0a",), ("sg-0b",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"account": "1234"}, r"environments.prod.account: .*'1234'"),
        ({"account": 123456789012}, r"environments.prod.account: .*string"),
        ({"region": "Ireland"}, r"environments.prod.region: .*'Ireland'"),
        ({"removal": "snapshot"}, r"environments.prod.removal: .*'destroy' or 'retain'.*'snapshot'"),
        ({"log_retention_days": 8}, r"environments.prod.log_retention_days: .*7, 14.*not 8"),
        ({"regoin": "eu-west-1"}, r"environments.prod.regoin: is unknown; settings are .*region"),
        ({"vpc": {"subnets": []}}, r"environments.prod.vpc.security_groups: is missing"),
        ({"vpc": {"subnets": ["vpc-1"], "security_groups": ["sg-0b"]}}, r"environments.prod.vpc.subnets.0: .*'vpc-1'"),
        ({"quiet_at_most": 2}, r"environments.prod.quiet_at_most: .*has no unit: write 2s"),
        ({"image_builds": "docker"}, r"environments.prod.image_builds: .*'none' or 'codebuild'"),
        ({"image_findings": "HIGH"}, r"environments.prod.image_findings: .*'none', 'critical', 'high'.*, not 'HIGH'"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        environment("prod", {**GOOD, **changes})


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as error:
        environment("prod", {"account": None})
    assert str(error.value).splitlines() == [
        "cdk.json: environments.prod.region: is missing",
        "cdk.json: environments.prod.removal: is missing",
        "cdk.json: environments.prod.log_retention_days: is missing",
    ]


@pytest.mark.parametrize("settings", [{**GOOD, "account": None}, {k: v for k, v in GOOD.items() if k != "account"}])
def test_what_is_retained_is_pinned_to_an_account(settings: dict[str, Any]) -> None:
    context = {"environments": {"prod": settings, "dev": {**settings, "removal": "destroy"}}}
    with pytest.raises(ConfigurationError, match=r"environments.prod.account: must be the account's number, since"):
        chosen_environment({**context, "environment": "prod"})
    assert chosen_environment({**context, "environment": "dev"}).account is None


@pytest.mark.parametrize("name", ["Prod", "1st", "very-long-environment", ""])
def test_a_name_that_stacks_and_endpoints_could_not_bear(name: str) -> None:
    with pytest.raises(ConfigurationError, match="name"):
        environment(name, GOOD)


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({}, "the cdk command reads it"),
        ({"environments": {"local": GOOD}, "environment": "prod"}, "no environment 'prod'; there are local"),
        ({"environments": {"local": []}}, "environments.local: must be an object"),
    ],
)
def test_a_wrong_context(context: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        chosen_environment(context)


def test_null_is_as_good_as_left_out() -> None:
    """The cdk command drops nulls on the way from cdk.json to the app."""
    nulls = {"account": None, "vpc": None, "permissions_boundary": None}
    assert environment("prod", {**GOOD, **nulls}) == environment(
        "prod", {k: v for k, v in GOOD.items() if k != "account"}
    )


def test_a_cdk_json_is_read_as_the_app_reads_its_context(tmp_path: Path) -> None:
    path = tmp_path / "cdk.json"
    path.write_text(json.dumps({"context": {"environment": "local", "environments": {"local": GOOD, "prod": GOOD}}}))
    assert read_environment(path, "prod") == environment("prod", GOOD)
    with pytest.raises(ConfigurationError, match="no environment 'dev'; there are local, prod"):
        read_environment(path, "dev")


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"context": 1}'])
def test_a_cdk_json_without_a_context_is_named(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "cdk.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"cdk.json: describes no environments"):
        read_environment(path, "local")


def test_pipelines_are_chosen_by_their_names() -> None:
    assert chosen_pipelines(None) is None
    assert chosen_pipelines("churn") == ["churn"]
    assert chosen_pipelines("churn, tickets,shared") == ["churn", "tickets"]
    assert chosen_pipelines("shared") == []
