"""A shell whose variables lead to another AWS than the environment that its user names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratchet import cdk, cli, tools
from ratchet.project import Project
from ratchet.spec import ConfigurationError
from ratchet.spec.environments import Environment
from ratchet.spec.whereabouts import CALLER, check_whereabouts

ROOT = Path(__file__).parents[2]


def environment(name: str, account: str | None = None) -> Environment:
    return Environment(name=name, account=account, region="us-east-1", removal="destroy", log_retention_days=30)


LOCAL = environment("local", "000000000000")


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"])
def test_an_account_is_not_reached_through_an_endpoint_variable(name: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        check_whereabouts(environment("dev"), {name: "http://127.0.0.1:4566", "HOME": "/"})
    assert f"({name}=http://127.0.0.1:4566; `ratchet env` does that)" in str(refused.value)
    assert f"`unset {name}`" in str(refused.value)
    assert "profile of ~/.aws/config, as endpoint_url" in str(refused.value)


def test_the_embedded_aws_is_reached_so_and_an_empty_variable_leads_nowhere() -> None:
    check_whereabouts(LOCAL, {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", CALLER: "000000000000"})
    check_whereabouts(environment("dev"), {"AWS_ENDPOINT_URL": "", CALLER: "111122223333"})


def test_bootstrap_without_an_environment_says_which_to_choose() -> None:
    """The cdk command runs the app for the accounts to bootstrap, and hands on the credentials' own."""
    with pytest.raises(ConfigurationError) as refused:
        check_whereabouts(LOCAL, {CALLER: "111122223333"})
    assert "these credentials are account 111122223333's" in str(refused.value)
    assert "-c environment=dev" in str(refused.value)
    check_whereabouts(LOCAL, {CALLER: ""})


@pytest.mark.parametrize("command", [("status",), ("run", "iris-tree"), ("data", "iris-tree"), ("runs", "iris-tree")])
def test_a_command_for_an_account_refuses_before_it_asks_anyone(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    result = CliRunner().invoke(cli.main, [*command, "-e", "dev"])
    assert result.exit_code == 1
    assert "this shell points AWS's programs elsewhere (AWS_ENDPOINT_URL=http://127.0.0.1:1" in result.stderr


def test_cdk_stands_in_the_virtual_environment_and_finds_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make install` puts it there, so that activating .venv is enough."""
    became: list[tuple[str, list[str], str]] = []
    monkeypatch.setattr(os, "execve", lambda *call: became.append((call[0], call[1], call[2]["PATH"])))
    monkeypatch.setattr(sys, "argv", ["cdk", "bootstrap", "-c", "environment=dev"])
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PATH", "/usr/bin")
    cdk.main()
    program = str(tools.cdk_program(Project(ROOT, ROOT / ".ratchet")))
    [(executed, arguments, path)] = became
    assert executed == program
    assert arguments == [program, "bootstrap", "-c", "environment=dev"]
    assert path == f"{tools.node_folder()}{os.pathsep}/usr/bin"


def test_cdk_without_an_installation_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "training_code").mkdir()
    (tmp_path / "cdk.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cdk.main()
    assert "cdk: the cdk command isn't installed in this checkout; run `make install`" in capsys.readouterr().err
