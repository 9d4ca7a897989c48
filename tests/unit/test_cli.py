"""The command line without an AWS: help, usage, errors, `new`, `env`, what is stale."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from contract.files import SPEC_FILE
from ratchet import account, cli, deploying, errors, project, spec, tools
from ratchet.account import Server
from ratchet.spec.docker_context import docker_context
from ratchet.spec.loading import check_context

ROOT = Path(__file__).parents[2]

CAREFUL = {"removal": "retain", "log_retention_days": 30}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small checkout of the test's own: cdk.json, one model, nothing running."""
    root = tmp_path / "checkout"
    (root / "training_code" / "toolkit").mkdir(parents=True)
    environments = {
        "local": {"account": "000000000000", "region": "us-east-1", **CAREFUL},
        "prod": {"account": "111122223333", "region": "eu-west-1", **CAREFUL},
    }
    (root / "cdk.json").write_text(json.dumps({"context": {"environments": environments}}))
    shutil.copytree(ROOT / "training_code" / "iris_tree", root / "training_code" / "iris_tree")
    for name in ("RATCHET_HOME", "RATCHET_IMAGES", "RATCHET_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def listening(checkout: Path) -> Iterator[Server]:
    """Something that listens, and a server.json that says it is the embedded AWS."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = Server(
            f"http://127.0.0.1:{port}",
            port,
            "us-east-1",
            "000000000000",
            "KEY",
            "it's secret",
            "/sdk.yaml",
            os.getpid(),
        )
        state = checkout / ".ratchet" / "aws"
        state.mkdir(parents=True)
        document = {name: getattr(server, name) for name in Server.__dataclass_fields__}
        (state / "server.json").write_text(json.dumps({**document, "started_at": "now", "log": "x"}))
        yield server


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments))


def test_help_imports_nothing_that_takes_time() -> None:
    heavy = ("boto3", "pydantic", "rich", "yaml", "localaws")
    code = f"import sys; from ratchet import cli; print([name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.strip() == "[]"


def test_help_names_every_command_and_the_exit_codes() -> None:
    told = call("--help").output
    for command in cli._COMMANDS:
        assert f"  {command} " in told
    assert "3 the run ended" in told


@pytest.mark.parametrize("command", sorted(cli._COMMANDS))
def test_every_command_has_help_and_the_common_options(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    for option in ("--environment", "--json", "--debug"):
        assert option in result.output


def test_only_up_and_down_import_localaws_and_nothing_imports_aws_cdk() -> None:
    importing = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "ratchet").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith(("import localaws", "from localaws", "import aws_cdk", "from aws_cdk"))
    }
    assert importing == {"ratchet/commands/embedded_aws.py"}


def test_a_wrong_command_is_told_the_nearest() -> None:
    result = call("rnu")
    assert result.exit_code == errors.USAGE
    assert "there is no command 'rnu'; did you mean run?" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["runs"], ["status"], ["env"], ["run", "iris-tree"], ["logs", "x"], ["report", "x"], ["invoke", "iris-tree", "-"]],
)
def test_without_the_embedded_aws_a_command_says_how_to_start_it(checkout: Path, arguments: list[str]) -> None:
    result = CliRunner().invoke(cli.main, arguments, input="1,2,3\n")
    assert result.exit_code == errors.FAILURE
    assert result.stderr == "ratchet: the embedded AWS isn't running; start it with `ratchet up`\n"
    assert "Traceback" not in result.output


def test_a_stale_server_file_is_no_running_server(checkout: Path, listening: Server) -> None:
    path = checkout / ".ratchet" / "aws" / "server.json"
    document = json.loads(path.read_text())
    with socket.create_server(("127.0.0.1", 0)) as unused:
        document["port"] = unused.getsockname()[1]
    path.write_text(json.dumps(document))
    assert "isn't running" in call("runs").stderr


@pytest.fixture
def asleep(checkout: Path, listening: Server) -> Iterator[int]:
    """A process that is stopped, which server.json names; the system still takes connections to its port."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    os.kill(process.pid, signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    path = checkout / ".ratchet" / "aws" / "server.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid": process.pid}))
    yield process.pid
    process.kill()
    process.communicate()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the state of a process is read from /proc")
@pytest.mark.parametrize("arguments", [["status"], ["runs"], ["logs", "x"], ["up"], ["run", "iris-tree"], ["doctor"]])
def test_a_stopped_server_is_told_at_once(asleep: int, arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.exit_code == errors.FAILURE
    told = f"the embedded AWS is stopped (process {asleep}, by SIGSTOP or Ctrl-Z): `kill -CONT {asleep}` lets it go on"
    assert told in " ".join(result.output.split())


def test_a_server_that_says_nothing_is_told(listening: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "AWAKE_SECONDS", 0.1)
    told = call("status").stderr
    assert f"(process {os.getpid()}, port {listening.port}) has said nothing for 0.1 s" in told
    assert "`ratchet down` ends it" in told


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "",
        lambda _: "{",
        lambda _: "[" * 100_000,
        lambda _: "[]",
        lambda _: "null",
        lambda whole: json.dumps({**whole, "port": "4566"}),
        lambda whole: json.dumps({**whole, "port": 0}),
        lambda whole: json.dumps({**whole, "port": 10**9}),
        lambda whole: json.dumps({**whole, "pid": None}),
        lambda whole: json.dumps({**whole, "pid": True}),
        lambda whole: json.dumps({**whole, "access_key_id": ["KEY"]}),
        lambda whole: json.dumps({name: value for name, value in whole.items() if name != "secret_access_key"}),
    ],
)
@pytest.mark.parametrize("command", ["status", "env", "up", "doctor"])
def test_a_damaged_server_file_is_told(
    checkout: Path, listening: Server, command: str, change: Callable[[dict[str, Any]], str]
) -> None:
    path = checkout / ".ratchet" / "aws" / "server.json"
    path.write_text(change(json.loads(path.read_text())))
    result = call(command)
    assert result.exit_code == errors.FAILURE
    assert "server.json is damaged: it isn't what the embedded AWS has written; `ratchet down`" in result.output


def test_json_is_one_document_on_standard_output_also_for_errors(checkout: Path) -> None:
    result = call("runs", "--json")
    assert json.loads(result.stdout) == {"error": "the embedded AWS isn't running; start it with `ratchet up`"}
    assert result.exit_code == errors.FAILURE


def test_debug_shows_the_traceback(checkout: Path) -> None:
    result = call("runs", "--debug")
    assert isinstance(result.exception, errors.UserError)


def test_the_embedded_aws_as_a_profile_of_the_aws_config_file(listening: Server) -> None:
    assert call("env", "--profile", "rehearsal").stdout.splitlines() == [
        "[profile rehearsal]",
        f"endpoint_url = {listening.endpoint_url}",
        "region = us-east-1",
        "aws_access_key_id = KEY",
        "aws_secret_access_key = it's secret",
    ]
    assert json.loads(call("env", "--profile", "x", "--json").stdout)["profile"][0] == "[profile x]"


def test_an_unknown_environment_names_those_there_are(checkout: Path) -> None:
    assert "cdk.json: there is no environment 'staging'; there are local, prod" in call("runs", "-e", "staging").stderr


@pytest.mark.parametrize("command", ["up", "down", "env"])
def test_commands_of_the_embedded_aws_refuse_an_account(checkout: Path, command: str) -> None:
    result = call(command, "-e", "prod")
    assert result.exit_code == errors.FAILURE
    assert "cdk deploy -c environment=prod" in result.stderr


def test_outside_of_a_checkout_the_installed_one_is_meant(tmp_path: Path) -> None:
    assert project.find(tmp_path).root == ROOT


def test_a_pipeline_is_named_by_name_folder_or_path(checkout: Path) -> None:
    found = project.find()
    for given in ("iris-tree", "iris_tree", "training_code/iris_tree", str(checkout / "training_code" / "iris_tree")):
        assert found.pipeline(given) == "iris-tree"
    with pytest.raises(errors.UserError, match=r"there is no pipeline 'iris-tre'; did you mean iris-tree\?"):
        found.pipeline("iris-tre")


def test_new_makes_a_folder_whose_pipeline_is_valid(checkout: Path) -> None:
    result = call("new", "wine_quality", "--json")
    assert result.exit_code == 0
    folder = checkout / "training_code" / "wine_quality"
    assert sorted(json.loads(result.stdout)["files"]) == sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    loaded = spec.load(folder / SPEC_FILE)
    assert loaded.name == "wine-quality"
    for channel, prefix in loaded.data.items():
        assert prefix.startswith("wine-quality/")
        assert any((folder / "sample" / channel).iterdir())
    assert not [path for path in folder.rglob("*.*") if "my-model" in path.read_text(encoding="utf-8")]


def test_new_makes_a_folder_with_a_container_of_its_own(checkout: Path, tmp_path: Path) -> None:
    """Its programs train on the sample and answer, started as SageMaker starts them but for the folder and the port."""
    assert call("new", "wine", "--own-container").exit_code == 0
    folder = checkout / "training_code" / "wine"
    loaded = spec.load(folder / SPEC_FILE)
    check_context(loaded)
    assert loaded.is_own_container
    assert docker_context(folder, "Dockerfile").names == ("Dockerfile", "serve", "train")
    shutil.copytree(folder / "sample" / "train", tmp_path / "ml" / "input" / "data" / "train")
    (tmp_path / "ml" / "input" / "config").mkdir()
    (tmp_path / "ml" / "input" / "config" / "hyperparameters.json").write_text('{"power": "2"}')
    trained = subprocess.run([folder / "train", tmp_path / "ml"], capture_output=True, text=True, check=True)
    (metric,) = loaded.train.metrics.values()
    assert float(re.search(metric, trained.stdout)[1]) > 0.8  # type: ignore[index] - none fails the test, too
    labels, rows = zip(*(line.split(",", 1) for line in _lines(folder / "sample" / "test")), strict=True)
    answers = _answers(folder / "serve", tmp_path / "ml", "\n".join(rows))
    right = sum(answer == label for answer, label in zip(answers, labels, strict=True))
    assert right / len(labels) > loaded.gate.minimum


def _lines(folder: Path) -> list[str]:
    return [line for path in folder.glob("*.csv") for line in path.read_text().splitlines()]


def _answers(serve: Path, ml: Path, body: str) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([serve, ml, str(port)])
    try:
        for attempt in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                break
            except OSError:
                assert attempt < 199, "it doesn't answer"
                time.sleep(0.05)
        assert _whole_answer(port, b"\xff\n").startswith("HTTP/1.1 400 "), "what is no text is refused in words"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/invocations", body.encode(), timeout=5) as answer:
            found: list[str] = answer.read().decode().splitlines()
            return found
    finally:
        server.terminate()
        assert server.wait(10) == 0, "it ends when SageMaker says so"


def _whole_answer(port: int, body: bytes) -> str:
    """What a server answers on a connection that stays open; head and body have to come together."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        answer = connection.recv(65536).decode()
    head, _, rest = answer.partition("\r\n\r\n")
    assert f"Content-Length: {len(rest)}" in head, "of two packets the second waits for the first one's acknowledgement"
    return answer


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("iris_tree", "training_code/iris_tree is there already"),
        ("shared", "the name is 'shared', the name of the stack that all pipelines share"),
        (
            "Wine",
            "the name is 'Wine'; use lower-case letters, digits and single hyphens, starting with a letter, as wine",
        ),
        ("../wine", "use lower-case letters"),
        ("w" * 33, "the name has 33 characters; at most 32"),
    ],
)
def test_new_refuses_a_name_that_cannot_be(checkout: Path, name: str, message: str) -> None:
    before = sorted(checkout.rglob("*"))
    result = call("new", name)
    assert result.exit_code == errors.FAILURE
    assert message in result.stderr
    assert sorted(checkout.rglob("*")) == before


def test_new_refuses_a_pipeline_of_that_name_in_another_folder(checkout: Path) -> None:
    (checkout / "training_code" / "iris_tree").rename(checkout / "training_code" / "flowers")
    assert "there is a pipeline iris-tree already, in training_code/flowers" in call("new", "iris-tree").stderr


def test_env_is_what_a_shell_can_eval(checkout: Path, listening: Server) -> None:
    told = call("env").stdout
    script = f"export AWS_PROFILE=other AWS_SESSION_TOKEN=old AWS_ENDPOINT_URL_S3=http://elsewhere\n{told}\nenv"
    ran = subprocess.run(
        ["sh", "-c", script], check=True, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}
    )
    after = dict(line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line)
    assert after["AWS_ENDPOINT_URL"] == listening.endpoint_url
    assert after["AWS_SECRET_ACCESS_KEY"] == "it's secret"
    assert after["AWS_REGION"] == after["AWS_DEFAULT_REGION"] == "us-east-1"
    assert "AWS_PROFILE" not in after
    assert "AWS_SESSION_TOKEN" not in after
    assert str(checkout / "node_modules" / ".bin") in after["PATH"].split(":")
    assert "127.0.0.1" in after["NO_PROXY"].split(",")


def test_env_names_the_settings_that_keep_the_sagemaker_sdk_here_and_none_of_the_machine_s(
    checkout: Path, listening: Server
) -> None:
    exports = json.loads(call("env", "--json").stdout)["export"]
    assert exports["SAGEMAKER_USER_CONFIG_OVERRIDE"] == listening.sagemaker_sdk_settings
    assert exports["SAGEMAKER_ADMIN_CONFIG_OVERRIDE"] == os.devnull


def test_env_forgets_endpoints_of_single_services() -> None:
    assert "AWS_ENDPOINT_URL_S3" in tools.unset({"AWS_ENDPOINT_URL_S3": "http://elsewhere", "HOME": "/"})


def test_a_file_of_an_unknown_type_needs_its_content_type(checkout: Path, listening: Server) -> None:
    (checkout / "rows.txt").write_text("1,2\n")
    assert "say it with --content-type" in call("invoke", "iris-tree", "rows.txt").stderr


def test_a_request_that_is_empty_or_absent_is_refused_before_it_is_sent(checkout: Path, listening: Server) -> None:
    (checkout / "empty.csv").write_text("")
    assert "empty.csv: is empty; send at least one row" in call("invoke", "iris-tree", "empty.csv").stderr
    assert "none.csv: can't be read: No such file" in call("invoke", "iris-tree", "none.csv").stderr


def test_a_stack_s_hash_follows_its_sources_and_nothing_else(checkout: Path) -> None:
    found = project.find()
    before = {name: deploying.source_hash(found, name) for name in ("shared", "iris-tree")}
    model = checkout / "training_code" / "iris_tree"
    (model / "sample" / "train").mkdir(parents=True)
    (model / "sample" / "train" / "a.csv").write_text("1\n")
    (model / "__pycache__").mkdir(exist_ok=True)
    (model / "__pycache__" / "train.pyc").write_bytes(b"x")
    assert {name: deploying.source_hash(found, name) for name in before} == before
    (model / "train.py").write_text("# other\n")
    after = {name: deploying.source_hash(found, name) for name in before}
    assert after["shared"] == before["shared"]
    assert after["iris-tree"] != before["iris-tree"]


def test_a_line_of_the_cdk_command_is_a_step() -> None:
    line = "ratchet-local-shared |  3/12 | 5:03:01 PM | CREATE_COMPLETE      | AWS::S3::Bucket | Data (DataE1)"
    assert deploying.step(line) == deploying.Step(
        "ratchet-local-shared", "CREATE_COMPLETE", "AWS::S3::Bucket Data (DataE1)", 3, 12
    )
    assert deploying.step("ratchet-local-shared: deploying... [1/3]") is None
    assert not deploying.is_worth_telling(line)
    assert deploying.is_worth_telling(line.replace("COMPLETE", "FAILED"))
    assert deploying.is_worth_telling("❌  ratchet-local-shared failed")


def test_a_doctor_without_an_aws_says_what_to_do(checkout: Path) -> None:
    result = call("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert result.exit_code == errors.FAILURE
    assert checks["Python"]["state"] == "ok"
    assert checks["cdk command"] == {
        "name": "cdk command",
        "state": "missing",
        "found": "none",
        "todo": "the cdk command isn't installed in this checkout; run `make install`",
    }
    assert checks["AWS"]["todo"] == "the embedded AWS isn't running; start it with `ratchet up`"


class _AwsError(Exception):
    operation_name = "DescribeStacks"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.response = {"Error": {"Code": code, "Message": message}}


def test_errors_of_aws_are_sentences() -> None:
    denied = _AwsError("AccessDenied", "not authorized to perform cloudformation:DescribeStacks")
    assert errors.sentence(denied) == f"DescribeStacks: AccessDenied: {denied.response['Error']['Message']}"
    assert errors.sentence(_AwsError("ExpiredToken", "x")).startswith("the AWS credentials have expired")
