"""The images that Dockerfiles of this checkout begin with, made from this machine's own files: tests reach no registry.

Each has the very name that the Dockerfile's FROM says, one layer, and no more than the Dockerfiles need. They are kept
beside the tests' other images, made anew when a file of them has changed, and pulled from a registry that mirrors
public.ecr.aws.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from deployed import AsShipped
from running_aws import IMAGES

from localaws.builds import machine

# Where in the image a file lies, and which of this machine's it is.
Files = dict[str, Path]

SHELL = ("sh", "env", "cat", "chmod", "cp", "echo", "false", "head", "ls", "mkdir", "rm", "sleep", "true")
COMPILER = ("gcc", "as", "ld")
ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
    "etc/group": "root:x:0:\n",
}
# As Debian has them, whose loader looks into these folders without a cache.
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin"}
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
# Of the standard library: what no program that serves asks for.
_LEFT_OUT = re.compile(
    r"/(?:test|tests|idlelib|tkinter|turtledemo|lib2to3|ensurepip|pydoc_data|distutils|site-packages|dist-packages"
    r"|config-[^/]*)/|/lib-dynload/_(?:test|tkinter|curses|codecs_|sqlite3)|\.opt-\d\.pyc$|\.a$"
)


# Why no image can be built here, in a sentence; empty where one can be.
NO_BUILDS = machine.missing(privileged=True) or ""
NO_COMPILER = "" if shutil.which("gcc") else "no gcc here, whose files the base image of a C program is made of"


@dataclass(frozen=True)
class OwnContainer(AsShipped):
    """A folder with a Dockerfile, as it is but for its triggers: tests start its runs."""

    def write(self, models: Path, name: str) -> None:
        super().write(models, name)
        path = models / name / "pipeline.yaml"
        spec = yaml.safe_load(path.read_text()) | {"triggers": {"data": False, "code": False}}
        path.write_text(yaml.safe_dump(spec))

    @property
    def base(self) -> Path:
        """The folder of the image that its Dockerfile begins with."""
        name = first_stage(self.folder / "Dockerfile")
        return image(name, compiler_base(self.folder) if "/gcc:" in name else python_base())


@contextmanager
def mirror(models: Iterable[object]) -> Iterator[Path]:
    """A registry that has what these models' Dockerfiles begin with, in the place of public.ecr.aws; the file that says
    so to buildah, as a machine with a mirror has one."""
    bases = {model.base for model in models if isinstance(model, OwnContainer)}
    with TemporaryDirectory() as folder, _Registry(bases) as registry:
        threading.Thread(target=registry.serve_forever, daemon=True).start()
        location = f"127.0.0.1:{registry.server_address[1]}"
        path = Path(folder) / "registries.conf"
        path.write_text(
            '[[registry]]\nlocation = "public.ecr.aws"\n'
            f'[[registry.mirror]]\nlocation = "{location}"\ninsecure = true\n'
        )
        yield path
        registry.shutdown()


class _Registry(ThreadingHTTPServer):
    """The part of the registry protocol by which images are pulled, over folders that `image` has made."""

    def __init__(self, images: set[Path]) -> None:
        super().__init__(("127.0.0.1", 0), _Pull)
        self.images = images

    def find(self, path: str) -> Path | None:
        """What a URL is of: a manifest by any name, since each repository has one image, or a blob."""
        name = path.rpartition("/")[2].removeprefix("sha256:")
        for image in self.images:
            repository = (image / "name").read_text().partition("/")[2].partition(":")[0]
            if path.startswith(f"/v2/{repository}/manifests/"):
                return image / "manifest"
            if path.startswith(f"/v2/{repository}/blobs/") and (image / name).exists():
                return image / name
        return None


class _Pull(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Registry

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        found = self.server.find(self.path)
        kind = MANIFEST if found and found.name == "manifest" else "application/octet-stream"
        self.send_response(200 if found or self.path == "/v2/" else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(found.stat().st_size if found else 0))
        self.end_headers()
        if found and self.command == "GET":
            with found.open("rb") as content:
                shutil.copyfileobj(content, self.wfile)

    def log_message(self, *_: object) -> None:
        """Nothing is to be read of it."""


def first_stage(dockerfile: Path) -> str:
    """The image that a Dockerfile's first stage begins with."""
    found = re.search(r"^FROM\s+(\S+)", dockerfile.read_text(), re.MULTILINE)
    assert found, dockerfile
    return found[1]


@cache
def python_base() -> Files:
    """This Python with its standard library as the image's, and a shell."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(sysconfig.get_paths()["stdlib"])
    interpreter = Path(sys.base_prefix) / "bin" / version
    files = {f"usr/local/lib/{version}/{path.relative_to(library)}": path for path in _kept(library)}
    programs = {f"usr/local/bin/{name}": interpreter for name in (version, "python3", "python")}
    extensions = [path for path in files.values() if path.suffix == ".so"]
    return {**files, **programs, **_shell(), **_libraries([interpreter, *extensions])}


def compiler_base(sources: Path) -> Files:
    """gcc with what it reads to compile the C files of a folder into one static program, and a shell."""
    inputs = [str(path) for path in sorted(sources.glob("*.c"))]
    headers = _said("gcc", "-O2", "-M", *inputs).replace("\\\n", " ").split()
    linked = _said("gcc", "-O2", "-static", "-Wl,-t", "-o", os.devnull, *inputs, "-lm", "-x", "none").split()
    parts = [_said("gcc", f"-print-prog-name={name}").strip() for name in ("cc1", "collect2")]
    plugin = _said("gcc", "-print-file-name=liblto_plugin.so").strip()
    read = [Path(os.path.normpath(name)) for name in (*headers, *linked, *parts, plugin) if name.startswith("/")]
    system = [path for path in read if path.is_file() and path.parts[1] in ("usr", "lib", "lib64")]
    programs = {f"usr/bin/{name}": Path(found) for name in COMPILER if (found := shutil.which(name))}
    return {
        **{_in_image(path): path for path in system},
        **programs,
        **_shell(),
        **_libraries([*programs.values(), *map(Path, parts), Path(plugin)]),
    }


def image(name: str, files: Files) -> Path:
    """A folder with the manifest and the blobs of an image with these files, made at most once by all processes."""
    sizes = [(place, path.stat().st_size, path.stat().st_mtime_ns) for place, path in sorted(files.items())]
    digest = hashlib.sha256(json.dumps([name, sizes, ACCOUNTS]).encode()).hexdigest()[:16]
    made = IMAGES / "test-bases" / digest
    made.parent.mkdir(parents=True, exist_ok=True)
    with (made.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            new = made.with_suffix(".new")
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            _write(new, name, files)
            new.rename(made)
    return made


def _kept(library: Path) -> Iterator[Path]:
    """The files of the standard library, compiled ones with them: a container that compiled them would start slowly."""
    for path in library.rglob("*"):
        if path.is_file() and not _LEFT_OUT.search(str(path).removeprefix(str(library))):
            yield path


def _shell() -> Files:
    programs = {f"usr/bin/{name}": Path(found) for name in SHELL if (found := shutil.which(name))}
    return {**programs, **_libraries(programs.values())}


def _libraries(programs: Iterable[Path]) -> Files:
    """The shared libraries that programs ask for; those outside of the system's folders, as in /usr/lib."""
    # A static program has none: ldd says so by its exit code.
    told = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    found = {Path(match[1]) for match in re.finditer(r"(?:=> |^\t)(/\S+) \(0x", told, re.MULTILINE)}
    return {_in_image(path): path for path in found}


def _in_image(path: Path) -> str:
    first = path.parts[1]
    if first in LINKS:
        return f"{LINKS[first]}/{Path(*path.parts[2:])}"
    return str(path.relative_to("/")) if first == "usr" else f"usr/lib/{path.name}"


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _write(folder: Path, name: str, files: Files) -> None:
    """As a registry has an image: "Image Manifest Version 2, Schema 2"."""
    with tarfile.open(folder / "layer", "w", format=tarfile.GNU_FORMAT) as tar:
        _add_layer(tar, files)
    layer = _named_by_content(folder / "layer")
    (folder / "config").write_text(
        json.dumps(
            {
                "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
                "os": "linux",
                "config": {"Env": [PATH], "Cmd": ["sh"]},
                "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
                "history": [{"created_by": "files of this machine"}],
            }
        )
    )
    config = _named_by_content(folder / "config")
    kinds = "application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar"
    blobs = {"config": {"mediaType": kinds[0], **config}, "layers": [{"mediaType": kinds[1], **layer}]}
    (folder / "manifest").write_text(json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, **blobs}))
    (folder / "name").write_text(name)


def _named_by_content(path: Path) -> dict[str, Any]:
    """Renames a blob to its digest; what a manifest says of it."""
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    named = path.rename(path.with_name(digest))
    return {"digest": f"sha256:{digest}", "size": named.stat().st_size}


def _add_layer(tar: tarfile.TarFile, files: Files) -> None:
    for place, content in ACCOUNTS.items():
        _add(tar, place, content.encode())
    for folder in ("etc", "opt", "root", "tmp", "usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "var"):
        _add(tar, folder, None, 0o1777 if folder == "tmp" else 0o755)
    for link, target in LINKS.items():
        member = tarfile.TarInfo(link)
        member.type, member.linkname = tarfile.SYMTYPE, target
        tar.addfile(member)
    for place, path in sorted(files.items()):
        # What is a link on this machine (sh to dash) is the file itself in the image.
        _add(tar, place, path.read_bytes(), 0o755 if os.access(path, os.X_OK) else 0o644)


def _add(tar: tarfile.TarFile, place: str, content: bytes | None, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(place)
    member.mode = mode
    if content is None:
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
    else:
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
