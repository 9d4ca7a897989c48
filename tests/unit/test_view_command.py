"""`ratchet view`: a job that draws a view of what a training has saved, as the stacks and the runs have left it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import run_world
from commands_world import ARTIFACTS, S3, World, world_in
from memory_services import Logs, Processing, StepFunctions
from run_world import check_request, definition, make_spec

from contract import drawings, files, views
from ratchet import errors, view_job
from ratchet.spec.environments import Vpc
from ratchet.spec.source_package import source_package

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:iris-tree"
ROLE = "arn:aws:iam::000000000000:role/Viewing"
RUN, TRY = "20261120-101112-abcd", "20261121-101112-beef"
TENSORS = f"{files.run_folder('iris-tree', RUN)}{files.TENSORS}"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
DRAWING = view_job.Drawing(
    job="local-iris-tree-20261120-101112-abcd-view",
    run_id=RUN,
    role=ROLE,
    code="s3://artifacts/code/iris-tree/c0de/sourcedir.tar.gz",
    tensors=f"s3://artifacts/{TENSORS}/",
    output="s3://artifacts/tries/iris-tree/views/20261120-101112-abcd",
    arguments=["{}"],
    size=100 << 30,
)


# ------------------------------------------------------------------------------------------------------- the request


@pytest.mark.parametrize(
    ("changes", "around"),
    [
        ({}, {}),
        ({"evaluate": {"instance": ["ml.c5.xlarge", "ml.m5.xlarge"]}}, {}),
        ({}, {"vpc": Vpc(subnets=("subnet-0a1b",), security_groups=("sg-0e3f",))}),
    ],
    ids=["plain", "several types", "in a VPC"],
)
def test_sagemaker_takes_the_request(tmp_path: Path, changes: dict[str, Any], around: dict[str, Any]) -> None:
    machine = definition(make_spec(tmp_path, **changes), **around)
    asked = view_job.request(json.dumps(machine), DRAWING)
    check_request("arn:aws:states:::sagemaker:createProcessingJob", asked)
    evaluation = machine["States"]["Evaluate"]["Arguments"]
    assert asked.get("NetworkConfig") == evaluation.get("NetworkConfig")
    assert "{%" not in json.dumps(asked), "nothing is left that only a run knows"
    cluster = asked["ProcessingResources"]["ClusterConfig"]
    assert cluster["InstanceType"] == ("ml.c5.xlarge" if changes else "ml.t3.medium")
    assert cluster["VolumeSizeInGB"] == 210, "twice the tensors, and a little"
    assert {tag["Key"]: tag["Value"] for tag in asked["Tags"]}["ratchet:run"] == RUN
    assert asked["AppSpecification"]["ImageUri"] == run_world.IMAGE.uri


def test_it_runs_without_its_roles_credentials_as_an_evaluation_does(tmp_path: Path) -> None:
    machine = definition(make_spec(tmp_path))
    asked = view_job.request(json.dumps(machine), DRAWING)["AppSpecification"]["ContainerEntrypoint"]
    *evaluations, script = machine["States"]["Evaluate"]["Arguments"]["AppSpecification"]["ContainerEntrypoint"]
    assert asked[:-1] == evaluations and "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in evaluations
    assert asked[-1] == script.replace("toolkit/evaluate.py", "toolkit/view_job.py") != script


def test_what_is_asked_comes_whole_through_the_jobs_arguments() -> None:
    asked = [{"view": "maps", "name": "maps", "every": 10, "parameters": {"text": "a\"'\\ é " * 200}}]
    pieces = drawings.arguments(asked, [0, 100])
    assert max(map(len, pieces)) <= drawings.ARGUMENT_LENGTH
    assert drawings.asked(pieces) == (asked, [0, 100])
    assert drawings.asked(drawings.arguments(asked, None)) == (asked, None)
    with pytest.raises(ValueError, match="characters; a job has 25600"):
        drawings.arguments(asked, range(10_000))


# ------------------------------------------------------------------------------------------------------- the command


class Drawing(Processing):
    """A job that has drawn what `draws` says, where it ends well."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.draws: dict[str, Any] = {"pictures": [40], "problems": []}

    def write(self, uri: str) -> None:
        if self.ends["ProcessingJobStatus"] != "Completed":
            return
        ((view,), _) = drawings.asked(self.asked["AppSpecification"]["ContainerArguments"])
        folder = uri.removeprefix(f"s3://{ARTIFACTS}/")
        drawn = {step: views.picture(view["name"], step, views.SVG) for step in self.draws["pictures"]}
        pictures = [{"step": step, "file": file, "bytes": len(SVG)} for step, file in drawn.items()]
        problems = self.draws["problems"]
        told = {**view, "status": views.ENDED, "pictures": pictures, "failed": len(problems), "problems": problems}
        for file in drawn.values():
            self.world.s3.objects[ARTIFACTS, f"{folder}/{file}"] = SVG
        self.world.s3.objects[ARTIFACTS, f"{folder}/{views.document(view['name'])}"] = json.dumps(told).encode()


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A run that has trained, with its tensors, plan and code, and the pipeline's folder, which has a view."""
    world = world_in(tmp_path / "checkout", monkeypatch)
    models = world.root / "training_code"
    (models / "toolkit" / "view_job.py").write_text("")
    (models / "iris_tree" / "views.py").write_text("def maps(trial, step, rows=1): ...\n")
    services = {"s3": S3(), "sagemaker": Drawing(world), "logs": Logs(), "stepfunctions": StepFunctions()}
    for name, service in services.items():
        world.serve(name, service)
    (tmp_path / "spec").mkdir()
    world.stepfunctions.definitions[MACHINE] = json.dumps(definition(make_spec(tmp_path / "spec", name="iris-tree")))
    outputs = {"StateMachineArn": MACHINE, "EndpointName": "local-iris-tree", views.ROLE_OUTPUT: ROLE}
    world.cloudformation.add("ratchet-local-iris-tree", outputs)
    world.dynamodb.add_run("iris-tree", RUN, "Promoted")
    archive = source_package(models / "iris_tree", models / "toolkit").archive()
    put(world, files.code_key("iris-tree", "c0de"), archive)
    put(world, files.run_folder("iris-tree", RUN) + files.PLAN, json.dumps({"code_hash": "c0de"}).encode())
    put(world, f"{TENSORS}/index/0-1-1.jsonl", b"{}\n")
    monkeypatch.setattr("ratchet.followed_jobs.POLL_SECONDS", 0)
    return world


def put(world: World, key: str, content: bytes) -> None:
    world.s3.objects[ARTIFACTS, key] = content


def asked(world: World) -> tuple[dict[str, Any], list[int] | None]:
    ((view,), steps) = drawings.asked(world.sagemaker.asked["AppSpecification"]["ContainerArguments"])
    return view, steps


def uri(world: World, name: str) -> str:
    inputs = {each["InputName"]: each["S3Input"]["S3Uri"] for each in world.sagemaker.asked["ProcessingInputs"]}
    return str(inputs[name].removeprefix(f"s3://{ARTIFACTS}/"))


def test_a_view_is_drawn_with_the_runs_own_code_and_fetched(world: World) -> None:
    told = world.call("view", RUN, "maps", "--step", "40", "--step", "80")
    assert told.exit_code == 0, told.output
    assert asked(world) == ({"view": "maps", "name": "maps", "every": 100, "parameters": {}}, [40, 80])
    assert (uri(world, "code"), uri(world, "tensors")) == (files.code_key("iris-tree", "c0de"), f"{TENSORS}/")
    assert world.sagemaker.asked["RoleArn"] == ROLE
    assert world.sagemaker.asked["ProcessingJobName"].startswith("local-iris-tree-20")
    path = world.root / ".ratchet" / "views" / RUN / "maps" / "000000000040.svg"
    assert told.stdout.splitlines()[-1] == str(path)
    assert path.read_bytes() == SVG


def test_the_runs_own_document_says_how_a_view_of_its_was_drawn(world: World) -> None:
    said = {"name": "wide", "view": "maps", "every": 7, "parameters": {"rows": 3}, "status": "ended", "pictures": []}
    put(world, f"{TENSORS}/{views.document('wide')}", json.dumps(said).encode())
    answer = json.loads(world.call("view", "iris-tree", "wide", "--json").stdout)
    assert (answer["run_id"], answer["view"], answer["status"]) == (RUN, "wide", "Completed")
    assert asked(world) == ({"view": "maps", "name": "wide", "every": 7, "parameters": {"rows": 3}}, None)
    assert world.call("view", RUN, "wide", "--every", "evaluation").exit_code == 0
    assert asked(world)[0]["every"] == "evaluation"


def test_a_built_in_view_is_drawn_of_any_run_into_a_folder_of_ones_own(world: World, tmp_path: Path) -> None:
    told = world.call("view", RUN, "losses", "--output", str(tmp_path / "out"))
    assert told.exit_code == 0, told.output
    assert (tmp_path / "out" / "000000000040.svg").read_bytes() == SVG


def test_the_folders_own_code_is_uploaded_beside_the_tries(world: World) -> None:
    own = world.root / "training_code" / "iris_tree" / "views.py"
    own.write_text("def fresh(trial, step): ...\n")
    assert world.call("view", RUN, "fresh", "--current-code").exit_code == 0
    key = uri(world, "code")
    assert key.startswith("tries/iris-tree/views/20") and key.endswith("/sourcedir.tar.gz")
    models = world.root / "training_code"
    assert world.s3.objects[ARTIFACTS, key] == source_package(models / "iris_tree", models / "toolkit").archive()


def test_a_round_is_chosen(world: World) -> None:
    put(world, f"{TENSORS}/round-2/index/0-1-1.jsonl", b"{}\n")
    told = world.call("view", RUN, "losses", "--round", "2", "--json")
    assert told.exit_code == 0
    assert uri(world, "tensors") == f"{TENSORS}/round-2/"
    path = Path(json.loads(told.stdout)["pictures"][0]["path"])
    assert path.parent == world.root / ".ratchet" / "views" / RUN / "round-2" / "losses", "another round's stay"


@pytest.mark.parametrize("named", [TRY, f"local-iris-tree-{TRY}-train"])
def test_a_training_that_was_tried_out_is_drawn_too(world: World, named: str) -> None:
    folder = f"tries/iris-tree/{TRY}"
    put(world, f"{folder}/{files.TENSORS}/index/0-1-1.jsonl", b"{}\n")
    put(world, f"{folder}/sourcedir.tar.gz", world.s3.objects[ARTIFACTS, files.code_key("iris-tree", "c0de")])
    assert world.call("view", named, "maps").exit_code == 0
    assert uri(world, "code") == f"{folder}/sourcedir.tar.gz"
    assert (world.root / ".ratchet" / "views" / TRY / "maps" / "000000000040.svg").is_file()


def test_what_could_not_be_drawn_is_said_with_exit_code_1(world: World) -> None:
    problem = {"step": 40, "reason": "IndexError: [7] (views.py:3)"}
    world.sagemaker.draws = {"pictures": [], "problems": [problem]}
    told = world.call("view", RUN, "maps")
    assert (told.exit_code, "step 40: IndexError: [7] (views.py:3)" in told.stdout) == (errors.FAILURE, True)
    document = json.loads(world.call("view", RUN, "maps", "--json").stdout)
    assert (document["pictures"], document["problems"], document["failed"]) == ([], [problem], 1)


def test_a_job_that_fails_says_why(world: World) -> None:
    world.sagemaker.ends = {"ProcessingJobStatus": "Failed", "ExitMessage": "views: maps: nothing is [due]"}
    told = world.call("view", RUN, "maps")
    assert (told.exit_code, "Failed: views: maps: nothing is [due]" in told.stdout) == (errors.FAILURE, True)
    document = json.loads(world.call("view", RUN, "maps", "--json").stdout)
    assert (document["status"], document["failure"]) == ("Failed", "views: maps: nothing is [due]")


def test_pictures_that_may_not_be_read_are_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.sagemaker, "write", lambda _uri: None)
    told = world.call("view", RUN, "maps")
    assert told.exit_code == errors.FAILURE
    assert "you may not read it, or it is gone: s3://the-artifacts/tries/iris-tree/views/" in told.stderr


def test_ctrl_c_stops_the_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.sagemaker.ends = {"ProcessingJobStatus": "InProgress"}

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ratchet.followed_jobs.time", SimpleNamespace(sleep=interrupt))
    assert world.call("view", RUN, "maps").exit_code == 130
    assert world.sagemaker.stopped == [world.sagemaker.asked["ProcessingJobName"]]


def no_views(world: World) -> None:
    outputs = {"StateMachineArn": MACHINE, "EndpointName": "local-iris-tree"}
    world.cloudformation.add("ratchet-local-iris-tree", outputs)


def no_tensors(world: World) -> None:
    del world.s3.objects[ARTIFACTS, f"{TENSORS}/index/0-1-1.jsonl"]


def no_code(world: World) -> None:
    del world.s3.objects[ARTIFACTS, files.code_key("iris-tree", "c0de")]


def old_code(world: World) -> None:
    models = world.root / "training_code"
    (models / "toolkit" / "view_job.py").unlink()
    (models / "toolkit" / "other.py").write_text("")
    archive = source_package(models / "iris_tree", models / "toolkit").archive()
    put(world, files.code_key("iris-tree", "c0de"), archive)


def no_plan(world: World) -> None:
    del world.s3.objects[ARTIFACTS, files.run_folder("iris-tree", RUN) + files.PLAN]


def nothing(_world: World) -> None:
    pass


REFUSED: dict[str, tuple[Any, tuple[str, ...], str]] = {
    "no such run": (nothing, ("20260101-000000-0000", "maps"), "there is no run '20260101-000000-0000'"),
    "no such view": (
        nothing,
        (RUN, "map"),
        "is 'map', which is no function of views.py and no built-in view; did you mean",
    ),
    "no such module": (nothing, (RUN, "other.maps"), "is 'other.maps', but there is no other.py in its code"),
    "every of another kind": (nothing, (RUN, "maps", "--every", "0"), "every is 0; write a number of training steps"),
    "too many steps": (
        nothing,
        (RUN, "maps", *(word for step in range(9000) for word in ("--step", str(step)))),
        "a job has 25600; ask for fewer steps at once",
    ),
    "deployed without views": (
        no_views,
        (RUN, "maps"),
        "iris-tree is deployed without views, so there is no role that",
    ),
    "its tensors are gone": (no_tensors, (RUN, "maps"), f"/{TENSORS}/: the tensors of {RUN} have been deleted, or its"),
    "a round that there wasn't": (nothing, (RUN, "maps", "--round", "7"), "/round-7/: the tensors of"),
    "its code is gone": (
        no_code,
        (RUN, "maps"),
        "/code/iris-tree/c0de/sourcedir.tar.gz, has been deleted; --current-code",
    ),
    "its code is older than views": (old_code, (RUN, "maps"), "is of a Ratchet that had no views yet; --current-code"),
    "it has no plan": (no_plan, (RUN, "maps"), f"run {RUN} has no plan, and so no code that drew its views"),
}


@pytest.mark.parametrize(("change", "words", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_asked_is_refused_before_a_job_starts(
    world: World, change: Any, words: tuple[str, ...], message: str
) -> None:
    change(world)
    told = world.call("view", *words)
    assert (told.exit_code, message in told.stderr) == (errors.FAILURE, True), told.stderr
    assert not world.sagemaker.asked
