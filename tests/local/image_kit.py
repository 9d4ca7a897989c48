"""Base images for tests, since no registry is reached: layers of this machine's own programs and their libraries."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import registry_kit
from job_kit import Document, Jobs
from running_aws import IMAGES

# What a container of Python needs none of.
_NOT_OF_PYTHON = {"test", "idlelib", "site-packages", "ensurepip", "lib2to3", "tkinter", "turtledemo", "__pycache__"}
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")
SHELL = ("sh", "cat", "echo", "env", "head", "id", "ls", "mkdir", "readlink", "sleep", "stat", "touch", "tr", "uname")
USERS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\napp:x:1234:2345::/home/app:/bin/sh\n",
    "etc/group": "root:x:0:\nstaff:x:50:app,other\napp:x:2345:\n",
}
PULL = ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


def libraries(*programs: str) -> dict[str, bytes]:
    """What the loader needs for programs or libraries of this machine's, by its path in an image."""
    said = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    return {path.lstrip("/"): Path(path).read_bytes() for path in set(_LIBRARY.findall(said))}


@functools.cache
def shell_layer() -> bytes:
    """A shell, and a few programs beside it, in /bin."""
    found = {name: shutil.which(name) for name in SHELL}
    programs = {f"bin/{name}": Path(path).read_bytes() for name, path in found.items() if path}
    return registry_kit.layer({**USERS, **libraries(*filter(None, found.values())), **programs})


@functools.cache
def python_layer() -> bytes:
    """This machine's Python without its packages, in /usr/local; the shell's layer lies below it."""
    files = {f"usr/local/{path}": content for path, content in _python()}
    return registry_kit.layer({**files, **libraries(sys.executable, *_extensions())})


PYTHON_ENV = ["PYTHONHOME=/usr/local", "LD_LIBRARY_PATH=/usr/local/lib", "PYTHONDONTWRITEBYTECODE=1"]


def _python() -> Iterator[tuple[str, bytes]]:
    yield "bin/python3", Path(sys.executable).resolve().read_bytes()
    prefix = Path(sys.base_prefix)
    for path in prefix.glob("lib/libpython*.so*"):
        yield f"lib/{path.name}", path.read_bytes()
    for path in (prefix / "lib" / f"python3.{sys.version_info.minor}").rglob("*"):
        name = path.relative_to(prefix)
        if path.is_file() and not _NOT_OF_PYTHON & set(name.parts) and not name.parts[2].startswith("config-"):
            yield str(name), path.read_bytes()


def _extensions() -> list[str]:
    folder = Path(sys.base_prefix) / "lib" / f"python3.{sys.version_info.minor}" / "lib-dynload"
    return [str(path) for path in folder.glob("*.so")]


@dataclass(frozen=True)
class OwnImages:
    """Images in the registry of an embedded AWS, and jobs in them."""

    jobs: Jobs
    pushed: list[str] = field(default_factory=list)
    kept_before: set[Path] = field(default_factory=lambda: set(IMAGES.glob("layers-*")))

    def forget(self) -> None:
        """Remove the images' files: nobody needs them again. What images share is a copy that none depends on."""
        for shared in set(IMAGES.glob("layers-*")) - self.kept_before:
            shutil.rmtree(shared, ignore_errors=True)
        for digest in self.pushed:
            name = f"own-{digest.removeprefix('sha256:')[:16]}"
            for kept in IMAGES.glob(f"{name}*"):
                shutil.rmtree(kept)
            for lock in IMAGES.glob(f".{name}*.lock"):
                lock.unlink()

    def push(self, name: str, files: Mapping[str, str | bytes], *, python: bool = False, **config: Any) -> str:
        """Push an image of the shell's layer, Python's if asked, and files of its own; its URI."""
        ecr, repository = self.jobs.aws.client("ecr"), f"{self.jobs.prefix}/{name}"
        ecr.create_repository(repositoryName=repository)
        # Of this test alone, so that nobody else is using it when it is forgotten.
        config["Labels"] = {"of": self.jobs.prefix, **config.get("Labels", {})}
        layers = [shell_layer(), *([python_layer()] if python else []), registry_kit.layer(files)]
        env = [*(PYTHON_ENV if python else []), *config.pop("Env", [])]
        digest = registry_kit.push(ecr, repository, {**config, "Env": env}, *layers)
        self.pushed.append(digest)
        return f"{self.uri(repository)}@{digest}"

    def uri(self, repository: str) -> str:
        """A repository's URI, without a tag."""
        return f"000000000000.dkr.ecr.{self.jobs.aws.server.region}.amazonaws.com/{repository}"

    def training_request(self, image: str, *, role: str | None = None, **changes: Any) -> Document:
        """A training job in an image, without anything of script mode's."""
        algorithm = {"TrainingImage": image, "TrainingInputMode": "File", **changes.pop("AlgorithmSpecification", {})}
        more = {"HyperParameters": {}, "RoleArn": role or self.role, **changes}
        return self.jobs.training_request("", source="", AlgorithmSpecification=algorithm, **more)

    @functools.cached_property
    def role(self) -> str:
        """A role that may pull images, besides what jobs need."""
        return self.jobs.make_role(["s3:ListBucket", "s3:GetObject", "s3:PutObject", "logs:*", *PULL])

    def train(self, image: str, **changes: Any) -> tuple[Document, list[str]]:
        """Run a training job to its end; its description and its log."""
        request = self.training_request(image, **changes)
        self.jobs.sagemaker.create_training_job(**request)
        job = self.jobs.ended(request["TrainingJobName"])
        return job, self.jobs.log_lines(request["TrainingJobName"])


def said(lines: list[str], marker: str) -> Any:
    """What a program has printed as JSON behind a marker."""
    return json.loads(next(line for line in lines if line.startswith(marker)).removeprefix(marker))
