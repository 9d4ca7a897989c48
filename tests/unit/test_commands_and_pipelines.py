"""Commands and the pipelines that they are about: one that is broken, one without a folder, one that nobody knows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from commands_world import BUCKET, ROOT, SHARED_OUTPUTS, Session, World, world_in

from contract import outcomes, run_table
from contract.files import SPEC_FILE
from ratchet import account, channels, checks, deploying, errors, following
from ratchet.commands import embedded_aws, start_run
from ratchet.project import find

BROKEN = "name: broken\nframework: {name: sklearn, version: 1.9-0}\ntrain: {instance: m5.large}\n"


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return world_in(tmp_path / "checkout", monkeypatch)


@pytest.fixture
def broken(world: World) -> Path:
    """A second pipeline, in whose pipeline.yaml much is wrong."""
    path = world.root / "training_code" / "broken" / SPEC_FILE
    path.parent.mkdir()
    path.write_text(BROKEN)
    return path


@pytest.fixture
def deployments(world: World, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The cdk command's arguments, call by call; it deploys nothing."""
    calls: list[list[str]] = []
    monkeypatch.setattr("ratchet.tools.run_cdk", lambda _project, arguments, *_rest: calls.append(list(arguments)))
    return calls


def sampled(world: World) -> None:
    """iris-tree's folder with sample data."""
    for channel in ("train", "test"):
        folder = world.root / "training_code" / "iris_tree" / "sample" / channel
        folder.mkdir(parents=True)
        (folder / "iris.csv").write_text("0,1,2\n")


def refuse(*_arguments: object) -> None:
    raise errors.UserError("`cdk deploy` failed with code 1:\ntraining_code/x/pipeline.yaml:3: what is wrong")


def test_a_deployment_is_of_its_own_pipelines_alone(
    world: World,
    broken: Path,
    deployments: list[list[str]],
) -> None:
    found = find()
    stack = "ratchet-local-iris-tree"
    here, server = account.connect(found, "local"), account.read_server(found.aws_state)
    assert server
    (world.root / ".ratchet").mkdir()
    deploying.deploy(found, here, server, [stack], lambda _line: None)
    [arguments] = deployments
    assert arguments[:2] == ["deploy", stack]
    assert "pipelines=iris-tree" in arguments


@pytest.fixture
def up(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """An embedded AWS that runs and is bootstrapped, with nothing deployed to it."""
    monkeypatch.setattr(embedded_aws, "_start", lambda *_: (account.read_server(world.root), True))
    world.cloudformation.stacks.clear()
    world.cloudformation.add(deploying.BOOTSTRAP_STACK, {})
    (world.root / ".ratchet").mkdir()
    return world


def test_up_deploys_all_but_the_broken_and_says_what_is_wrong(
    up: World, broken: Path, deployments: list[list[str]]
) -> None:
    told = up.call("up", "--json")
    assert told.exit_code == errors.FAILURE
    assert "broken is left out:" in told.stderr
    assert f"{broken}:3: train.instance: " in told.stderr
    assert deployments[0][:3] == ["deploy", "ratchet-local-shared", "ratchet-local-iris-tree"]
    assert list(json.loads(told.stdout)["left_out"]) == ["broken"]


def test_up_leaves_an_image_that_was_never_built_to_whoever_asks_for_it(
    up: World, deployments: list[list[str]]
) -> None:
    """Its base may be a download of gigabytes, and needs a tool that many machines haven't."""
    folder = up.root / "training_code" / "own_container"
    shutil.copytree(ROOT / "training_code" / "own_container", folder)
    spec = (ROOT / "training_code" / "iris_tree" / SPEC_FILE).read_text().replace("iris-tree", "own-container")
    (folder / SPEC_FILE).write_text(re.sub(r"framework: .*", "dockerfile: Dockerfile", spec))
    told = up.call("up")
    assert told.exit_code == 0
    assert deployments[0][:3] == ["deploy", "ratchet-local-shared", "ratchet-local-iris-tree"]
    assert "images        own-container: `ratchet run` builds one and deploys" in told.stdout

    up.deploy("own-container")
    told = up.call("up", "--json")
    assert "ratchet-local-own-container" in json.loads(told.stdout)["deployed"], "its code may have changed since"
    assert json.loads(told.stdout)["unbuilt"] == []


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "CREATE_FAILED", "REVIEW_IN_PROGRESS"])
def test_a_bootstrap_that_failed_is_done_anew(up: World, deployments: list[list[str]], status: str) -> None:
    up.cloudformation.add(deploying.BOOTSTRAP_STACK, {}, StackStatus=status)
    assert up.call("up").exit_code == 0
    assert [called[0] for called in deployments] == ["bootstrap", "deploy"]
    assert deployments[0][2:4] == ["--app", ""], "no app is synthesized for it"


def test_up_tells_of_a_pipeline_whose_folder_was_removed(up: World, deployments: list[list[str]]) -> None:
    """Its stack isn't the app's any more, so `cdk destroy --all` would leave it, and fail at what it imports."""
    up.deploy("tickets")
    told = up.call("up", "--json")
    assert json.loads(told.stdout)["without_folder"] == ["tickets"]
    assert "ratchet: tickets is deployed and goes on, but no folder in training_code/ is its" in told.stderr
    assert (
        "`ratchet delete tickets`; its stack, ratchet-local-tickets, also holds up `cdk destroy --all`" in told.stderr
    )
    assert len(deployments) == 1


def test_up_of_a_folder_that_only_the_app_refuses_leaves_the_shared_stack_for_the_others(
    up: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def run(_project: object, arguments: list[str], *_rest: object) -> None:
        asked.append([stack for stack in arguments if stack.startswith("ratchet-")])
        if len(asked) == 1:
            refuse()

    monkeypatch.setattr("ratchet.tools.run_cdk", run)
    told = up.call("up")
    assert told.exit_code == errors.FAILURE
    assert "what is wrong" in told.stderr
    assert asked == [["ratchet-local-shared", "ratchet-local-iris-tree"], ["ratchet-local-shared"]]


def test_a_run_of_a_broken_pipeline_uploads_nothing(world: World, broken: Path) -> None:
    result = world.call("run", "broken")
    assert result.exit_code == errors.FAILURE
    assert f"{SPEC_FILE}:3: train.instance: " in result.stderr
    assert not world.keys()


def test_a_failed_deployment_takes_its_sample_data_back(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sampled(world)
    world.s3.put_object(Bucket=BUCKET, Key="iris/test/mine.csv", Body=b"1\n")
    uploads: list[list[str]] = []

    def fail(*_arguments: object) -> None:
        uploads.append(world.keys())
        refuse()

    monkeypatch.setattr("ratchet.tools.run_cdk", fail)
    result = world.call("run", "iris-tree")
    assert result.exit_code == errors.FAILURE
    assert "what is wrong" in result.stderr
    assert uploads == [["iris/test/mine.csv", "iris/train/iris.csv"]]
    assert world.keys() == ["iris/test/mine.csv"]


def test_up_says_which_channels_have_no_data_yet_and_how_to_bring_some(up: World, deployments: list[list[str]]) -> None:
    up.cloudformation.add("ratchet-local-shared", SHARED_OUTPUTS)
    up.s3.put_object(Bucket=BUCKET, Key="iris/train/a.csv", Body=b"1\n")
    told = up.call("up")
    assert "no data yet   iris-tree: test" in told.stdout
    assert "ratchet data PIPELINE put FILE… CHANNEL" in told.stdout
    assert json.loads(up.call("up", "--json").stdout)["waiting_for_data"] == {"iris-tree": ["test"]}
    up.s3.put_object(Bucket=BUCKET, Key="iris/test/a.csv", Body=b"1\n")
    assert "no data yet" not in up.call("up").stdout


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (
            (),
            "iris-tree waits for data: train and test are empty; put data there with "
            "`ratchet data iris-tree put FILE… train`, `ratchet data iris-tree put FILE… test`",
        ),
        (("iris/train/",), "train and test are empty"),
        (("iris/test/a.csv",), "iris-tree waits for data: train is empty; put data there with"),
    ],
)
def test_a_run_is_not_launched_while_a_channel_is_empty(
    world: World, deployments: list[list[str]], there: tuple[str, ...], message: str
) -> None:
    (world.root / ".ratchet").mkdir()
    world.deploy("iris-tree")
    for key in there:
        world.s3.put_object(Bucket=BUCKET, Key=key, Body=b"" if key.endswith("/") else b"1\n")
    told = world.call("run", "iris-tree")
    assert told.exit_code == errors.FAILURE
    assert message in told.stderr
    assert not world.called("invoke")


def test_channels_that_a_caller_may_not_see_are_left_to_plan(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectsV2")

    monkeypatch.setattr(channels, "objects", refused)
    assert channels.empty(account.connect(find(), "local"), {"train": "iris/train/"}) == []


def test_a_pipeline_without_a_folder_is_told_by_status_and_runs(world: World) -> None:
    world.deploy("tickets")
    world.dynamodb.add_run("tickets", "20261120-101112-abcd", outcomes.PROMOTED)
    for command in (["status"], ["runs"], ["runs", "tickets"], ["status", "tickets"]):
        told = world.call(*command)
        assert told.exit_code == 0, told.output
        assert "tickets is deployed and goes on, but no folder in training_code/ is its" in told.stdout
        assert "take the pipeline down with `ratchet delete tickets`; its stack, ratchet-local-tickets" in told.stdout
    assert json.loads(world.call("runs", "--json").stdout)["without_folder"] == ["tickets"]
    assert json.loads(world.call("status", "--json").stdout)["pipelines"][0]["folder"] is None


@pytest.mark.parametrize("held", [True, False])
def test_status_says_that_triggers_are_held(world: World, held: bool) -> None:
    world.deploy("tickets")
    pending = {"count": {"N": "2"}, "kinds": {"L": [{"S": "data"}]}, **({"held": {"BOOL": True}} if held else {})}
    world.dynamodb.put_item(Item={**run_table.key("tickets", "state"), "pending": {"M": pending}})
    told = world.call("status", "tickets").stdout
    assert "2 triggers (data)" in told
    assert ("held: their run was cut off too often; the next trigger takes them up" in told) == held


def test_a_pipeline_with_its_folder_is_not_reminded_of(world: World) -> None:
    world.deploy("iris-tree")
    assert "training_code" not in world.call("status").stdout + world.call("runs").stdout


def test_the_runs_of_a_deleted_pipeline_can_still_be_listed_but_not_brought_back(world: World) -> None:
    world.dynamodb.add_run("tickets", "20261120-101112-abcd", outcomes.PROMOTED, of="20261120-101112-abcd")
    told = world.call("runs", "tickets").stdout
    assert "20261120-101112-abcd" in told
    assert "rollback" not in told
    world.deploy("tickets")
    assert "`ratchet rollback tickets RUN`, RUN being 20261120-101112-abcd" in world.call("runs", "tickets").stdout


@pytest.mark.parametrize("command", [["runs"], ["status"], ["run"], ["rollback"], ["repair"]])
def test_a_pipeline_that_nobody_knows_is_refused_with_those_there_are(
    world: World,
    command: list[str],
) -> None:
    world.deploy("tickets")
    unknown = world.call(*command, "nope")
    assert unknown.exit_code == errors.FAILURE
    assert "there is no pipeline 'nope', neither here nor deployed; known: iris-tree, tickets" in unknown.stderr
    assert "did you mean tickets?" in world.call(*command, "ticket").stderr
    assert "did you mean iris-tree?" in world.call(*command, "iris-tre").stderr


@pytest.mark.parametrize(
    ("status", "said"),
    [("started", "run r1 started"), ("pending", "run r1 is on its way; the repair follows it")],
)
def test_a_repair_is_asked_for_and_followed(
    world: World, monkeypatch: pytest.MonkeyPatch, status: str, said: str
) -> None:
    asked: list[Any] = []

    def launch(_account: object, pipeline: str, trigger: dict[str, Any]) -> following.Launched:
        asked.append((pipeline, trigger))
        return following.Launched(status, "r1", "arn")

    monkeypatch.setattr(following, "launch", launch)
    monkeypatch.setattr(start_run, "_who", lambda: "ann")
    world.deploy("tickets")
    told = world.call("repair", "tickets")
    assert told.exit_code == 0 and said in told.stdout
    assert asked == [("tickets", {"kind": "repair", "detail": {"by": "ann"}})]


def test_a_pipeline_without_runs_says_how_to_start_one(world: World) -> None:
    told = world.call("runs", "iris-tree")
    assert told.exit_code == 0
    assert "no runs yet; start one with `ratchet run iris-tree`" in told.stdout
    assert "no runs yet; start one with `ratchet run PIPELINE`" in world.call("runs").stdout


def test_an_installation_of_npm_s_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / "package-lock.json").write_text("{}")
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho 'npm error code E403: the registry says no' >&2\nexit 1\n")
    npm.chmod(0o755)
    command = [
        "make",
        "-f",
        str(ROOT / "Makefile"),
        "-o",
        ".venv/main.stamp",
        f"BIN={npm.parent}",
        "node_modules/.stamp",
    ]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode != 0
    assert "npm error code E403: the registry says no" in made.stdout
    assert "npm ci failed" in made.stdout


@pytest.fixture
def prod(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The same as the environment `prod`, in which nothing but the shared stack is deployed."""
    there = account.Account(find().environment("prod"), Session(world))  # type: ignore[arg-type]
    for module in (account, checks):
        monkeypatch.setattr(module, "connect", lambda *_: there)
    world.cloudformation.add("ratchet-prod-shared", SHARED_OUTPUTS)
    return world


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("runs iris-tree", "`ratchet run iris-tree -e prod`"),
        ("logs iris-tree", "`ratchet run iris-tree -e prod`"),
        ("logs 20261120-101112-abcd", "`ratchet runs -e prod`"),
        ("data iris-tree", "ratchet data iris-tree put FILE… CHANNEL -e prod"),
        ("data iris-tree put", "ratchet data iris-tree put FILE… CHANNEL -e prod"),
        ("data iris-tree rm", "ratchet data iris-tree rm CHANNEL/NAME… -e prod"),
        ("run iris-tree", "`ratchet data iris-tree put FILE… train -e prod`"),
        ("status", "`cdk deploy -c environment=prod --all`"),
        ("status iris-tree", "`cdk deploy -c environment=prod ratchet-prod-iris-tree`"),
    ],
)
def test_the_commands_that_are_named_are_those_of_the_environment(prod: World, words: str, named: str) -> None:
    told = prod.call(*words.split(), "-e", "prod")
    assert named in told.stdout + told.stderr


def test_a_doctor_takes_a_pipeline_that_is_left_out_for_no_fault(prod: World) -> None:
    found = json.loads(prod.call("doctor", "--json", "-e", "prod").stdout)["checks"]
    stacks = [check for check in found if check["name"] == "stack"]
    assert [(check["state"], check["found"]) for check in stacks] == [
        ("ok", "ratchet-prod-shared"),
        ("warning", "ratchet-prod-iris-tree isn't deployed"),
    ]
    assert stacks[1]["todo"] == "`cdk deploy -c environment=prod ratchet-prod-iris-tree`"


def test_a_doctor_tells_of_a_stack_without_a_folder(prod: World) -> None:
    prod.cloudformation.add("ratchet-prod-tickets", {})
    found = json.loads(prod.call("doctor", "--json", "-e", "prod").stdout)["checks"]
    (check,) = [check for check in found if check["found"] == "ratchet-prod-tickets has no folder"]
    assert (check["name"], check["state"]) == ("stack", "warning")
    assert "take the pipeline down with `ratchet delete tickets -e prod`" in check["todo"]


def test_a_pipeline_for_batches_says_where_rows_go_instead_of_asking_an_endpoint(world: World) -> None:
    world.deploy("iris-tree")
    world.cloudformation.stacks["ratchet-local-iris-tree"]["Outputs"].append(
        {"OutputKey": "BatchInput", "OutputValue": "iris/batch/"}
    )
    refused = world.call("invoke", "iris-tree", "-", given="1,2,3,4\n")
    assert refused.exit_code == errors.FAILURE
    assert f"iris-tree answers batches and has no endpoint: put rows under s3://{BUCKET}/iris/batch/" in refused.stderr
