"""Images are built by the embedded CodeBuild's docker, pushed to the embedded ECR, and begun from."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from builds_kit import (
    HOST,
    LOGGING,
    LOGIN,
    Builder,
    machine_files,
    make_builder,
    needs_tool,
)
from registry_kit import ask, password
from resources import unique
from running_aws import AwsFactory
from test_escapes import started

from localaws import supervisor
from localaws.builds import machine

pytestmark = pytest.mark.skipif(
    machine.missing(privileged=False) is not None, reason=machine.missing(privileged=False) or ""
)
BASE = {f"root/{path}": content for path, content in machine_files("sh", "cat", "id", "ls", "mount").items()}


@pytest.fixture(scope="module")
def builder(aws: Any) -> Builder:
    return make_builder(aws)


@pytest.fixture(scope="module")
def repository(aws: Any) -> str:
    name = unique("own")
    aws.client("ecr").create_repository(repositoryName=name)
    return name


# -------------------------------------------------------------------------------------------------------- images built


@needs_tool
@pytest.mark.fidelity(
    "Containers",
    "A build logs in to ECR, builds and pushes an image; the next build begins FROM it, by the registry's own name.",
    "CodeBuild User Guide: Publish a Docker image to an Amazon ECR image repository sample",
)
def test_an_image_is_built_pushed_and_begun_from(aws: Any, builder: Builder, repository: str) -> None:
    uri = f"{HOST}/{repository}"
    dockerfile = 'FROM scratch\nCOPY root /\nRUN ["/bin/sh", "-c", "id > /who"]\nENV A=b\nENTRYPOINT ["/bin/cat"]\n'
    inspected = (
        "docker image inspect --format '{{index .RepoDigests 0}} {{json .Config.Entrypoint}} {{index .RepoTags 0}}'"
    )
    files = {**BASE, "Dockerfile": dockerfile, "next/Dockerfile": "ARG BASE\nFROM $BASE\nRUN cat /who && ls /who\n"}
    ended = builder.ran(
        LOGIN,
        f"docker build --tag {uri}:v1 . && docker push {uri}:v1",
        f"{inspected} {uri}:v1",
        "docker rmi --force $(docker images --quiet --no-trunc) >/dev/null 2>&1 || true",
        f"docker build --build-arg BASE={uri}:v1 -t {uri}:v2 next",
        f"docker tag {uri}:v2 {uri}:v3 && docker push --quiet {uri}:v3",
        "docker build --quiet .",
        files=files,
    )
    assert ended.status == "SUCCEEDED", ended.text
    ecr = aws.client("ecr")
    details = {each["imageTags"][0]: each for each in ecr.describe_images(repositoryName=repository)["imageDetails"]}
    assert set(details) == {"v1", "v3"}
    assert f'{uri}@{details["v1"]["imageDigest"]} ["/bin/cat"] {uri}:v1' in ended.log
    assert "uid=0 gid=0 groups=0" in ended.log and "/who" in ended.log
    # The kind of manifest that SageMaker takes for models, too.
    assert details["v1"]["imageManifestMediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.loads(ask(aws, "GET", f"/v2/{repository}/manifests/v3", password(ecr))[2])
    config = json.loads(ask(aws, "GET", f"/v2/{repository}/blobs/{manifest['config']['digest']}", password(ecr))[2])
    assert config["config"]["Entrypoint"] == ["/bin/cat"] and "A=b" in config["config"]["Env"]
    # The names of its images are gone, and so is what could be begun FROM without being pulled.
    again = builder.ran("docker build --tag again .", f"! docker tag {uri}:v1 x", files=files)
    assert again.status == "SUCCEEDED", again.text
    assert again.text.count("Using cache") >= 3, "layers are kept between builds"


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman isn't on this machine")
@pytest.mark.skipif(shutil.which("buildah") is None, reason="without buildah all tests here are podman's")
def test_podman_does_where_buildah_is_missing(
    fresh_aws: AwsFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_without("buildah", tmp_path / "programs"))
    aws = fresh_aws.start()
    builder, name = make_builder(aws), unique("own")
    aws.client("ecr").create_repository(repositoryName=name)
    uri = f"{HOST}/{name}"
    inspected = "'{{index .RepoDigests 0}} {{index .RepoTags 0}} {{json .Config.Entrypoint}} {{json .Config.Cmd}}'"
    tries = f"id && ! ls {aws.state} /codebuild 2>/dev/null && ! mount -t tmpfs none /bin 2>/dev/null"
    dockerfile = f'FROM scratch\nCOPY root /\nRUN {tries}\nENTRYPOINT ["/bin/cat"]\n'
    files = {**BASE, "Dockerfile": dockerfile, "next/Dockerfile": "ARG BASE\nFROM $BASE\nRUN ls /bin/cat\n"}
    ended = builder.ran(
        "docker version",
        LOGIN,
        f"docker build --tag {uri}:v1 . && docker push {uri}:v1",
        f"docker image inspect --format {inspected} {uri}:v1",
        "docker rmi --force $(docker images --quiet --no-trunc) >/dev/null",
        f"docker build --build-arg BASE={uri}:v1 -t {uri}:v2 next && docker tag {uri}:v2 {uri}:v3",
        f"docker push --quiet {uri}:v3 && docker pull {uri}:v1 && docker build --quiet --squash . && docker build .",
        files=files,
    )
    assert ended.status == "SUCCEEDED", ended.text
    details = aws.client("ecr").describe_images(repositoryName=name)["imageDetails"]
    pushed = {each["imageTags"][0]: each for each in details}
    assert set(pushed) == {"v1", "v3"}
    assert pushed["v1"]["imageManifestMediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert f'{uri}@{pushed["v1"]["imageDigest"]} {uri}:v1 ["/bin/cat"] null' in ended.log
    assert "Podman" in ended.text and "uid=0 gid=0 groups=0" in ended.log and "/bin/cat" in ended.log
    again = builder.ran("docker build --tag again .", f"! docker tag {uri}:v1 x", files=files)
    assert again.status == "SUCCEEDED" and "Using cache" in again.text, again.text


def path_without(program: str, folder: Path) -> str:
    """A PATH by which all programs of this machine are found but one."""
    folder.mkdir()
    for place in os.get_exec_path():
        for found in Path(place).glob("*") if Path(place).is_dir() else ():
            if found.name != program and not os.path.lexists(folder / found.name):
                (folder / found.name).symlink_to(found)
    return str(folder)


@needs_tool
def test_what_a_dockerfile_runs_stays_inside(aws: Any, builder: Builder) -> None:
    tried = [str(aws.state), str(Path.home() / ".ssh"), "/codebuild", "/images", "/docker", "/proc/1/root/etc"]
    tries = " && ".join(f"! ls {path} 2>/dev/null" for path in tried)
    dockerfile = f"FROM scratch\nCOPY root /\nRUN {tries} && ! mount -t tmpfs none /bin 2>/dev/null\n"
    ended = builder.ran("docker build .", files={**BASE, "Dockerfile": dockerfile})
    assert ended.status == "SUCCEEDED", ended.text


@needs_tool
@pytest.mark.skipif(os.geteuid() != 0, reason="without root all tests here are an ordinary user's")
def test_an_ordinary_user_s_images_are_built_too() -> None:
    folder = Path(tempfile.mkdtemp(prefix="builds-"))
    folder.chmod(0o755)
    aws = started(folder, folder / "rule_evaluator.py", "an ordinary user")
    try:
        builder, name = make_builder(aws), unique("own")
        aws.client("ecr").create_repository(repositoryName=name)
        uri = f"{HOST}/{name}:v1"
        dockerfile = (
            f"FROM scratch\nCOPY root /\nRUN id && ! ls {folder} 2>/dev/null && ! ls /proc/1/root/etc 2>/dev/null\n"
        )
        files = {**BASE, "Dockerfile": dockerfile}
        ended = builder.ran(LOGIN, f"docker build -t {uri} . && docker push {uri}", f"! ls {aws.state}", files=files)
        assert ended.status == "SUCCEEDED", ended.text
        assert aws.client("ecr").describe_images(repositoryName=name)["imageDetails"][0]["imageTags"] == ["v1"]
    finally:
        supervisor.stop(aws.state)
        supervisor.wipe(folder)
    assert not folder.exists()


OTHERS = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1"
# A Dockerfile, more commands of docker's, and what the log says.
BAD_BUILDS = (
    ("FROM scratch\nBOGUS x\n", "docker build .", "BOGUS"),
    ("FROM scratch\nCOPY none /\n", "docker build .", "no such file or directory"),
    ("FROM scratch\nCOPY root /\nRUN ls /none\n", "docker build .", "cannot access '/none'"),
    ("", "docker build .", 'no contents in "./Dockerfile"'),
    ("FROM scratch\n", "docker build --file Other .", "failed to read dockerfile: Other: No such file or directory"),
    (
        f"FROM {OTHERS}\n",
        "docker build .",
        f"pull access denied for {OTHERS}: its registry is that of AWS account 7631",
    ),
    (f"ARG B={OTHERS}\nFROM $B AS x\n", "docker build .", "can't be reached without an AWS account"),
    (f"FROM {HOST}/none:v1\n", f"{LOGIN} && docker build .", "'none' does not exist in the registry with id"),
    (f"FROM {HOST}/none:v1\n", f"docker logout {HOST}; docker build .", "uthentication required"),
    ("FROM scratch\n", "docker run x", "docker run x isn't done here; what is: build, images"),
    ("FROM scratch\n", "docker build --ssh default .", "docker build --ssh isn't done here; its options are"),
    (
        "FROM scratch\n",
        f"echo wrong | docker login -u AWS --password-stdin {HOST}",
        "failed with status: 401 Unauthorized",
    ),
    (
        "FROM scratch\nCOPY root /\n",
        f"docker build -t {HOST}/none:v1 . && docker push {HOST}/none:v1",
        "uthentication required",
    ),
)


@needs_tool
def test_a_build_that_fails_says_why_in_the_tools_own_words(builder: Builder) -> None:
    """One build tries all, since each says why in the log and goes on."""
    files = {
        f"{number}/{path}": content
        for number in range(len(BAD_BUILDS))
        for path, content in BASE.items()
        if number == 2
    }
    commands = []
    for number, (dockerfile, command, _) in enumerate(BAD_BUILDS):
        files[f"{number}/Dockerfile"] = dockerfile
        commands.append(f"echo begin {number}; cd $CODEBUILD_SRC_DIR/{number}; ! ({command})")
    files["12/root/x"] = "x"
    ended = builder.ran(*commands, files=files)
    assert ended.status == "SUCCEEDED", ended.text
    for number, (_, command, told) in enumerate(BAD_BUILDS):
        said = ended.text.partition(f"\nbegin {number}\n")[2].partition("\nbegin ")[0]
        assert told in said, (command, said)


@needs_tool
def test_a_push_needs_the_role_s_permission(aws: Any, repository: str) -> None:
    builder = make_builder(aws, actions=("ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", *LOGGING))
    uri = f"{HOST}/{repository}:denied"
    ended = builder.ran(
        LOGIN, f"docker build -t {uri} .", f"docker push {uri}", files={"Dockerfile": "FROM scratch\nCOPY . /\n"}
    )
    assert ended.context("BUILD")[1] == f"Error while executing command: docker push {uri}. Reason: exit status 1"
    assert "is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:us-east-1" in ended.text
