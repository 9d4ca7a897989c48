"""What a buildspec says, what docker's command lines mean, and a build's record: without a server."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from localaws.builds import (
    RUNNING,
    agent,
    buildspec,
    docker_client,
    docker_command,
    records,
    service,
    source,
)
from localaws.builds.buildspec import BuildspecError
from localaws.builds.docker_command import (
    Build,
    Inspect,
    Login,
    Logout,
    Plain,
    Push,
    Registry,
    Say,
    UnsupportedCommandError,
)
from localaws.builds.layer_store import LayerStore
from localaws.builds.service import Builds
from localaws.builds.source import Location, SourceError
from localaws.ministack_adapter.builds import _recover as recover
from ratchet import checks

HOST = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
REGISTRY = Registry(HOST, "127.0.0.1:4566")
OTHER = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1"

# ------------------------------------------------------------------------------------------------------------ buildspec

SPEC = """
version: 0.2
env:
  shell: bash
  variables: {ONE: 1, TWO: true}
  exported-variables: [TAG]
phases:
  install: {commands: [a]}
  build:
    on-failure: CONTINUE
    commands:
      - echo "$ONE"
      - |
        two
        lines
    finally: [last]
"""


def test_a_buildspec_in_yaml_and_json() -> None:
    read = buildspec.parse(SPEC)
    assert [phase.name for phase in read.phases] == ["install", "build"]
    assert read.phases[1].commands == ('echo "$ONE"', "two\nlines\n")
    assert (read.phases[1].at_last, read.phases[1].goes_on) == (("last",), True)
    assert (read.variables, read.exported, read.shell) == ({"ONE": "1", "TWO": "true"}, ("TAG",), "/bin/bash")
    as_json = buildspec.parse(json.dumps({"version": "0.2", "phases": {"build": {"commands": ["x"]}}}))
    assert as_json.document()["phases"] == [{"name": "BUILD", "commands": ["x"], "finally": [], "goes_on": False}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "while parsing a flow"),
        ("- a", "the buildspec has to be a mapping"),
        ("phases: {build: {commands: [a]}}", "version is missing; the version that is run here is 0.2"),
        ("version: 0.1\nphases: {build: {commands: [a]}}", "version is 0.1;"),
        ("version: 0.2", "phases has none of install, pre_build, build, post_build: there is nothing to run"),
        ("version: 0.2\nphases: {biuld: {commands: [a]}}", "phases has biuld; what is done here is install"),
        ("version: 0.2\nphases: {build: {}}", "phases/build has no commands"),
        (
            "version: 0.2\nphases: {build: {commands: [{echo a: b}]}}",
            "Expected phases/build/commands[0] to be of string",
        ),
        (
            "version: 0.2\nphases: {build: {commands: [a, ]}, install: {commands: {a: b}}}",
            "has to be a list of commands",
        ),
        ("version: 0.2\nphases: {build: {commands: [a], run-as: x}}", "phases/build has run-as; what is done here is"),
        (
            "version: 0.2\nphases: {build: {commands: [a], on-failure: RETRY}}",
            "on-failure is RETRY; here it can",
        ),
        ("version: 0.2\nphases: {install: {runtime-versions: {python: 3}}}", "phases/install has runtime-versions"),
        ("version: 0.2\nartifacts: {files: [a]}\nphases: {}", "the buildspec has artifacts; what is done here is"),
        ("version: 0.2\nenv: {parameter-store: {A: b}}\nphases: {}", "env has parameter-store; what is done here is"),
        ("version: 0.2\nenv: {shell: powershell.exe}\nphases: {build: {commands: [a]}}", "env/shell is powershell.exe"),
        (
            "version: 0.2\nenv: {variables: {A: [b]}}\nphases: {build: {commands: [a]}}",
            "env/variables/A has to be",
        ),
    ],
)
def test_a_buildspec_that_can_not_be_run_says_where(text: str, said: str) -> None:
    with pytest.raises(BuildspecError) as caught:
        buildspec.parse(text)
    assert said in str(caught.value)


# --------------------------------------------------------------------------------------------------------------- docker


_SUB_BUILD = ("--tag", "a:v1", "--build-arg", "A=b", "--build-arg", "C", "--target", "x", "--no-cache")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (f"login --username AWS --password-stdin {HOST}", Login(HOST, "AWS", None)),
        (f"login -u AWS -p x https://{HOST}/v2", Login(HOST, "AWS", "x")),
        ("login -u me --password=y", Login("docker.io", "me", "y")),
        (f"logout {HOST}", Logout(HOST)),
        (f"push {HOST}/a/b:v1", Push(f"{HOST}/a/b:v1", "127.0.0.1:4566/a/b:v1")),
        (f"image push {HOST}/a", Push(f"{HOST}/a:latest", "127.0.0.1:4566/a:latest")),
        ("push localhost:5000/a", Push("localhost:5000/a:latest", "localhost:5000/a:latest")),
        (f"pull -q {HOST}/a:v1", Plain(("pull", f"{HOST}/a:v1"))),
        ("tag a b:v1", Plain(("tag", "a", "b:v1"))),
        ("image ls -q", Plain(("images", "--quiet"))),
        ("rmi -f a b", Plain(("rmi", "--force", "a", "b"))),
        ("image inspect --format={{.Id}} a", Inspect(("a",), "{{.Id}}")),
        ("inspect a b", Inspect(("a", "b"), None)),
        ("version", Plain(("version",))),
        ("build .", Build(("--file", "./Dockerfile"), "./Dockerfile", ".")),
        (
            "build -t a:v1 -f sub/Dockerfile --build-arg A=b --build-arg C --target x --no-cache --progress plain sub/",
            Build(
                (*_SUB_BUILD, "--file", "sub/Dockerfile"),
                "sub/Dockerfile",
                "sub/",
                {"A": "b"},
            ),
        ),
        (
            "build --no-cache=false --pull=true --rm=false .",
            Build(("--no-cache=false", "--pull=true", "--file", "./Dockerfile"), "./Dockerfile", "."),
        ),
        (
            "buildx build --provenance=false --load -q --platform linux/amd64 .",
            Build(("--platform", "linux/amd64", "--file", "./Dockerfile"), "./Dockerfile", ".", {}, is_quiet=True),
        ),
    ],
)
def test_docker_s_command_lines(words: str, command: docker_command.Command) -> None:
    assert docker_command.read(words.split(), REGISTRY) == command


def test_a_build_argument_without_a_value_has_that_of_the_environment() -> None:
    words = ["build", "--build-arg", "A", "--build-arg=B", "--build-arg", "C", "--build-arg", "D=d", "A"]
    assert docker_client.filled(words, {"A": "1", "B": "2", "D": "3"}) == [
        *("build", "--build-arg", "A=1", "--build-arg=B=2", "--build-arg", "C", "--build-arg", "D=d", "A"),
    ]
    # The Dockerfile's own default is what an argument is that nobody has given a value.
    build = docker_command.read(["build", "--build-arg", "BASE", "."], REGISTRY)
    assert isinstance(build, Build)
    assert docker_command.bases("ARG BASE=scratch\nFROM $BASE", build.values) == ["scratch"]


def test_docker_info_says_what_it_is() -> None:
    assert isinstance(docker_command.read(["info"], REGISTRY), Say)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "docker without a command isn't done here; what is: build, images, info"),
        ("run -it x", "docker run -it isn't done here; what is: build"),
        ("image prune", "docker image prune isn't done here"),
        ("build", "docker build needs one folder as its context"),
        ("build a b", "docker build needs one folder as its context"),
        ("build -", "docker build takes a folder as its context, not -"),
        ("build https://github.com/a/b.git", "takes a folder as its context, not https://github.com/a/b.git"),
        ("build --ssh default .", "docker build --ssh isn't done here; its options are --add-host"),
        ("build --network none .", "docker build --network isn't done here"),
        ("build --push .", "docker build --push isn't done here"),
        ("build --tag", "docker build --tag isn't done here"),
        (f"login {HOST}", "docker login needs --username with --password-stdin or --password"),
        (f"login -u AWS {HOST}", "docker login needs --username with"),
        ("push", '"docker push" requires exactly 1 argument'),
        ("tag a", '"docker tag" requires exactly 2 arguments'),
        ("images --format x", "docker images --format isn't done here"),
        (f"pull {OTHER}", f"pull access denied for {OTHER}: its registry is that of AWS account 763104351884"),
    ],
)
def test_what_docker_can_not_do_here_is_said(words: str, said: str) -> None:
    with pytest.raises(UnsupportedCommandError) as caught:
        docker_command.read(words.split(), REGISTRY)
    assert said in str(caught.value)


DOCKERFILE = f"""
# FROM commented
ARG VERSION=2.1
ARG REGISTRY={OTHER.partition("/")[0]}
FROM $REGISTRY/pytorch-training:${{VERSION}} AS first
RUN echo 'it''s' \\
  FROM here
FROM --platform=linux/amd64 scratch AS second
COPY --from=first /a /b
COPY --from={HOST}/a:v1 /a /c
COPY --from=0 /a /d
FROM first
"""


def test_the_images_that_a_dockerfile_begins_with() -> None:
    assert docker_command.bases(DOCKERFILE, {}) == [OTHER, "scratch", f"{HOST}/a:v1"]
    assert docker_command.bases(DOCKERFILE, {"VERSION": "9"})[0].endswith(":9")
    with pytest.raises(UnsupportedCommandError, match=f"The embedded ECR is {HOST}: push an image to it"):
        docker_command.refuse_others(docker_command.bases(DOCKERFILE, {}), REGISTRY)


# --------------------------------------------------------------------------------------------------------------- record

PROJECT = {
    "name": "p",
    "serviceRole": "role",
    "source": {"type": "S3", "location": "b/k"},
    "environment": {"environmentVariables": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]},
    "logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": "/g", "streamName": "s"}},
}
ARN = "arn:aws:codebuild:us-east-1:000000000000:build/p:uuid"


def test_what_a_request_says_goes_before_what_its_project_says() -> None:
    request = {
        "sourceLocationOverride": "b/other",
        "timeoutInMinutesOverride": 7,
        "environmentVariablesOverride": [{"name": "B", "value": "2"}, {"name": "C", "value": "2"}],
    }
    found = records.overridden(PROJECT, request)
    assert (found["source"], found["timeoutInMinutes"]) == ({"type": "S3", "location": "b/other"}, 7)
    values = {each["name"]: each["value"] for each in found["environment"]["environmentVariables"]}
    assert values == {"A": "1", "B": "2", "C": "2"}
    assert PROJECT["source"] == {"type": "S3", "location": "b/k"}


def test_a_build_s_record_from_begin_to_end() -> None:
    build = records.begun(PROJECT, ARN, 3, 100.0, "me")
    assert (build["id"], build["logs"]["groupName"], build["logs"]["streamName"]) == ("p:uuid", "/g", "s/uuid")
    assert build["logs"]["deepLink"].endswith("#logsV2:log-groups/log-group/$252Fg/log-events/s$252Fuuid")
    records.enter(build, "BUILD", 101.0)
    records.leave(build, records.FAILED, 103.5, "COMMAND_EXECUTION_ERROR", "no")
    records.end(build, records.FAILED, 104.0)
    assert [(each["phaseType"], each.get("phaseStatus")) for each in build["phases"]] == [
        ("SUBMITTED", "SUCCEEDED"),
        ("BUILD", "FAILED"),
        ("COMPLETED", None),
    ]
    assert build["phases"][1]["durationInSeconds"] == 2
    detail = records.state_change(build)
    assert (detail["build-status"], detail["project-name"], detail["build-id"]) == ("FAILED", "p", ARN)
    assert detail["additional-information"]["phases"][1]["phase-type"] == "BUILD"


def test_a_phase_that_is_being_shown_is_left_as_it_is() -> None:
    build = records.begun(PROJECT, ARN, 1, 100.0, "me")
    shown = build["phases"][0]
    records.leave(build, records.SUCCEEDED, 101.0)
    assert shown == {"phaseType": "SUBMITTED", "startTime": 100.0}


@pytest.mark.parametrize(
    ("text", "version", "location"),
    [
        ("b/k.zip", None, Location("b", "k.zip")),
        ("arn:aws:s3:::b/a/k.zip", "v", Location("b", "a/k.zip", "v")),
        ("b/k.zip", "", Location("b", "k.zip")),
    ],
)
def test_where_a_source_is(text: str, version: str | None, location: Location) -> None:
    assert source.location_of(text, version) == location


@pytest.mark.parametrize("text", ["", "bucket", "bucket/", "bucket/folder/"])
def test_a_source_that_is_no_archive_in_s3(text: str) -> None:
    with pytest.raises(SourceError, match="here it has to be bucket/key of a ZIP archive in S3"):
        source.location_of(text, None)


@pytest.mark.fidelity(
    "Containers",
    "StartBuild's idempotencyToken is valid for 5 minutes, for the project that it was sent for.",
    "CodeBuild API reference: StartBuild, idempotencyToken",
)
def test_a_token_stands_for_a_build_of_its_project_for_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing(SimpleNamespace):
        def run(self) -> None: ...

    monkeypatch.setattr(service, "Run", lambda _aws, _project, build, _changed: Nothing(build=build))
    environment = {"type": "LINUX_CONTAINER", "image": "aws/codebuild/x", "computeType": "BUILD_GENERAL1_SMALL"}
    project = {**PROJECT, "environment": environment, "artifacts": {"type": "NO_ARTIFACTS"}}
    aws: Any = SimpleNamespace(region="us-east-1", account="000000000000")
    store: dict[str, Any] = {}
    builds = Builds(aws, store, lambda name: {**project, "name": name}, lambda: None)

    def started(name: str) -> str:
        return str(builds.start({"projectName": name, "idempotencyToken": "token"}, "me")["id"])

    first = started("one")
    assert started("one") == first
    assert started("two").startswith("two:")
    store[first]["startTime"] -= 301
    assert started("one") != first


# ------------------------------------------------------------------------------------------------------------- on disk


def test_a_restart_deletes_the_files_of_a_build_that_it_has_no_record_of(tmp_path: Path) -> None:
    """A server that is killed as a build begins may have written its files and not yet its record."""
    left = tmp_path / "builds" / RUNNING / "uuid" / "docker"
    left.mkdir(parents=True)
    aws: Any = SimpleNamespace(state_dir=tmp_path, kept_builds={})
    aws.builds = Builds(aws_of_builds(tmp_path / "builds"), aws.kept_builds, lambda _name: None, lambda: None)
    recover(aws)
    assert not left.exists()


def aws_of_builds(folder: Path) -> Any:
    return SimpleNamespace(folder=folder)


def test_layers_are_let_go_of_where_the_disk_is_full_and_nobody_else_builds(tmp_path: Path) -> None:
    said: list[str] = []
    first, second, other = (LayerStore(tmp_path, role) for role in ("role", "role", "other"))
    assert first.folder != other.folder
    first.open(said.append)
    layer = first.folder / "storage" / "layer"
    layer.write_text("kept")
    second.open(said.append, least_free=1 << 60)
    assert layer.exists(), "another build uses it"
    first.close()
    second.close()
    first.open(said.append, least_free=1 << 60)
    assert not layer.exists() and "the layers of earlier builds were deleted" in said[0]
    first.close()


def test_images_of_earlier_builds_have_no_names(tmp_path: Path) -> None:
    store = LayerStore(tmp_path, "role")
    listed = store.folder / "storage" / "vfs-images" / "images.json"
    listed.parent.mkdir(parents=True)
    listed.write_text(json.dumps([{"id": "1", "names": ["a:v1"], "layer": "l"}, {"id": "2", "layer": "m"}]))
    store.open(print)
    assert json.loads(listed.read_text()) == [{"id": "1", "layer": "l"}, {"id": "2", "layer": "m"}]
    store.close()


@pytest.mark.parametrize("listed", ["", "[", '{"id": "1"}', '["x"]'])
def test_a_store_whose_list_can_not_be_read_begins_anew(tmp_path: Path, listed: str) -> None:
    said: list[str] = []
    store = LayerStore(tmp_path, "role")
    images = store.folder / "storage" / "vfs-images" / "images.json"
    images.parent.mkdir(parents=True)
    images.write_text(listed)
    store.open(said.append)
    store.close()
    assert not images.exists()
    assert said[0].startswith("The layers of earlier builds were deleted, for their list can't be read: ")


@pytest.mark.parametrize("linked", ["storage", "storage/vfs-images", "storage/vfs-images/images.new"])
def test_a_store_is_written_through_no_link_that_a_build_has_made(tmp_path: Path, linked: str) -> None:
    outside, store = tmp_path / "outside", LayerStore(tmp_path / "images", "role")
    kept = outside / "vfs-images" / "images.json" if linked == "storage" else outside / "images.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('[{"id": "1", "names": ["a"]}]')
    link = store.folder / linked
    link.parent.mkdir(parents=True)
    if linked.endswith("new"):
        (link.parent / "images.json").write_text('[{"id": "2"}]')
        link.symlink_to(kept)
    else:
        link.symlink_to(outside)
    store.open(lambda _text: None)
    store.close()
    assert kept.read_text() == '[{"id": "1", "names": ["a"]}]'
    assert not (store.folder / "storage").is_symlink()


def test_a_buildspec_in_a_source(tmp_path: Path) -> None:
    packed = tmp_path / "source.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("ci/spec.yml", "version: 0.2")
        zipped.writestr("large.yml", b" " * (source.LARGEST_BUILDSPEC + 1))
    assert source.buildspec_of(packed, "ci/spec.yml") == "version: 0.2"
    for archive, name in ((packed, "buildspec.yml"), (None, "buildspec.yml")):
        with pytest.raises(SourceError, match=r"stat /codebuild/output/src/buildspec\.yml: no such file or directory"):
            source.buildspec_of(archive, name)
    with pytest.raises(SourceError, match=r"large\.yml is larger than 1048576 bytes"):
        source.buildspec_of(packed, "large.yml")


def test_a_source_is_unpacked_with_modes_and_times_and_nothing_outside(tmp_path: Path) -> None:
    packed, target = tmp_path / "source.zip", tmp_path / "in" / "target"
    with zipfile.ZipFile(packed, "w") as zipped:
        for name, mode, content in (("run", 0o100755, "x"), ("../out", 0o100644, "x"), ("link", 0o120777, "run")):
            entry = zipfile.ZipInfo(name, (1990, 1, 2, 0, 0, 0))
            entry.external_attr = mode << 16
            zipped.writestr(entry, content)
        zipped.writestr(zipfile.ZipInfo("away/x"), "x")
    agent.unpack(str(packed), target)
    assert (target / "run").stat().st_mode & 0o777 == 0o755
    assert time.localtime((target / "run").stat().st_mtime)[:3] == (1990, 1, 2)
    assert (target / "link").readlink() == Path("run")
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["target"]
    assert not packed.exists()


# --------------------------------------------------------------------------------------------------------------- doctor


@pytest.mark.parametrize(
    ("here", "found", "todo"),
    [
        ({"curl"}, "no buildah or podman", "install buildah (apt-get install buildah) to build images of `dockerfile`"),
        ({"buildah"}, "no curl", "install curl (apt-get install curl) to build images of `dockerfile` here"),
        (set(), "no buildah or podman and no curl", "install buildah and curl (apt-get install buildah curl) to build"),
        (
            {"docker", "curl"},
            "no buildah or podman, and docker's daemon isn't used",
            "install buildah (apt-get install",
        ),
    ],
)
def test_doctor_says_what_image_builds_lack(
    monkeypatch: pytest.MonkeyPatch, here: set[str], found: str, todo: str
) -> None:
    monkeypatch.setattr(checks.shutil, "which", lambda program: f"/bin/{program}" if program in here else None)
    check = checks.image_builds()
    assert (check.state, check.found) == ("warning", found)
    assert check.todo.startswith(todo)


@pytest.mark.parametrize(("here", "tool"), [(("podman", "buildah"), "buildah"), (("podman",), "podman")])
def test_doctor_says_by_what_images_are_built(
    monkeypatch: pytest.MonkeyPatch, here: tuple[str, ...], tool: str
) -> None:
    monkeypatch.setattr(checks.shutil, "which", lambda program: program if program in (*here, "curl") else None)
    monkeypatch.setattr(checks, "_version", lambda command, _folder: " ".join(command))
    assert checks.image_builds() == checks.Check("image builds", "ok", f"{tool} --version")


def test_doctor_asks_nobody_to_install_what_would_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.platform, "system", lambda: "Darwin")
    found = checks.image_builds()
    assert (found.state, found.found) == ("warning", "none on Darwin")
    assert found.todo.startswith("use a Linux machine for pipelines with a `dockerfile`")
