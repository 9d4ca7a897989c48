"""What buildah and podman are told, and what they tell of an image."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from localaws.builds import docker_images, image_tool
from localaws.builds.docker_command import UnsupportedCommandError
from localaws.builds.image_tool import BUILDAH, PODMAN, ImageTool

each_tool = pytest.mark.parametrize("tool", image_tool.TOOLS, ids=lambda tool: tool.program)
CONFIG = {"Env": ["A=b", "C=d"], "Labels": {"x": "y"}}
# As the tools say it, of what matters here.
SAID: dict[str, Any] = {
    "buildah": {
        "FromImageID": "abc",
        "Docker": {
            "created": "2026",
            "architecture": "amd64",
            "os": "linux",
            "config": {**CONFIG, "Cmd": None},
            "rootfs": {"diff_ids": ["sha256:1"]},
        },
    },
    "podman": [
        {
            "Id": "abc",
            "Digest": "sha256:9",
            "RepoTags": ["localhost/a:v1"],
            "Created": "2026",
            "Config": CONFIG,
            "Author": "",
            "Architecture": "amd64",
            "Os": "linux",
            "RootFS": {"Type": "layers", "Layers": ["sha256:1"]},
        }
    ],
}
LISTED: dict[str, Any] = {
    "buildah": [{"id": "abc", "names": ["localhost/a:v1", "host/b:v2"]}, {"id": "other", "names": ["c:v1"]}],
    "podman": [
        {"Id": "abc", "RepoTags": None, "Names": ["localhost/a:v1", "host/b:v2"]},
        {"Id": "other", "Names": ["c:v1"]},
    ],
}


@pytest.mark.parametrize(
    ("user", "options"), [(0, []), (1000, ["--storage-opt", "vfs.ignore_chown_errors=true"])], ids=["root", "user"]
)
def test_a_tool_has_its_images_in_the_folder_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch, user: int, options: list[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    store = ["--storage-driver", "vfs", "--root", "/i/storage", "--runroot", "/d/run", *options]
    own = ["--tmpdir", "/d/podman", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
    assert BUILDAH.command(Path("/i"), Path("/d"), ["tag", "a", "b"]) == ["buildah", *store, "tag", "a", "b"]
    assert PODMAN.command(Path("/i"), Path("/d"), ["tag", "a", "b"]) == ["podman", *store, *own, "tag", "a", "b"]


@each_tool
def test_an_image_is_described_in_docker_s_terms_by_what_either_says(tool: ImageTool) -> None:
    image = tool.described(json.dumps(SAID[tool.program]))
    assert (image["Id"], image["Created"], image["Author"]) == ("sha256:abc", "2026", "")
    assert image["RootFS"] == {"Type": "layers", "Layers": ["sha256:1"]}
    assert image["Config"]["Cmd"] is None and image["Config"]["Env"] == CONFIG["Env"]
    assert tool.names(json.dumps(LISTED[tool.program]), "abc") == ["a:v1", "host/b:v2"]
    assert tool.names("", "abc") == []


def test_a_health_check_is_one_of_docker_s_settings() -> None:
    check = {"Test": ["CMD", "true"]}
    image = PODMAN.described(json.dumps([{**SAID["podman"][0], "Healthcheck": check}]))
    assert image["Config"]["Healthcheck"] == check


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Id}}", "sha256:abc"),
        ("{{ .Architecture }}/{{.Os}}", "amd64/linux"),
        ("{{index .RepoDigests 0}}", "a@sha256:2"),
        ('{{index .Config.Labels "x"}}', "y"),
        ("{{json .Config.Env}}", '["A=b", "C=d"]'),
        ("{{.Config.Env}}", "[A=b C=d]"),
        ("{{.Config.Labels}}{{.Config.Cmd}}", "map[x:y]<nil>"),
    ],
)
@each_tool
def test_formats_of_docker_image_inspect(tool: ImageTool, template: str, text: str) -> None:
    image = {**tool.described(json.dumps(SAID[tool.program])), "RepoDigests": ["a@sha256:2"]}
    assert docker_images.formatted(image, template) == text
    assert json.loads(docker_images.formatted(image, None)) == [image]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{range .Config.Env}}{{.}}{{end}}", "isn't done here; what is: {{.Field.Field}}"),
        ("{{.Config.None}}", "the image has no .Config.None"),
        ("{{index .RepoDigests 3}}", "error calling index: .RepoDigests has no 3"),
    ],
)
@each_tool
def test_formats_that_are_not_done(tool: ImageTool, template: str, said: str) -> None:
    image = {**tool.described(json.dumps(SAID[tool.program])), "RepoDigests": ["a@sha256:2"]}
    with pytest.raises(UnsupportedCommandError, match=r".") as caught:
        docker_images.formatted(image, template)
    assert said in str(caught.value)


# ---------------------------------------------------------------------------------------------------------- the machine


@pytest.mark.parametrize(
    ("programs", "tool"), [({"buildah", "podman"}, BUILDAH), ({"podman", "docker"}, PODMAN), ({"docker"}, None)]
)
def test_the_tool_of_a_machine(monkeypatch: pytest.MonkeyPatch, programs: set[str], tool: ImageTool | None) -> None:
    monkeypatch.setattr(image_tool.shutil, "which", lambda name: name if name in programs else None)
    assert image_tool.here() is tool
    assert (image_tool.missing() is None) == (tool is not None)


@pytest.mark.parametrize(
    ("programs", "told"),
    [
        (set(), "no container tool is on this machine: install buildah or podman (apt-get install buildah"),
        ({"docker"}, "docker is on this machine, but its daemon keeps images of its own and builds outside"),
    ],
)
def test_a_machine_without_such_a_tool_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, programs: set[str], told: str
) -> None:
    monkeypatch.setattr(image_tool.shutil, "which", lambda name: name if name in programs else None)
    said = image_tool.missing() or ""
    assert told in said
    assert "install buildah or podman (apt-get install buildah, dnf install buildah)" in said
