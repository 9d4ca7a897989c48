"""A framework image is an environment: image URI -> a cached virtual environment with the image's pins.

An environment is a folder under the cache's root named by the content
that it was made of; a marker file, written last, tells a finished one from one whose making was cut off.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pip

from localaws.sagemaker.containers import container, image_toolkits
from localaws.sagemaker.containers.image_table import Image, Start, find

Progress = Callable[[str], None]

PACKAGES = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
_COMPLETE = ".complete"
# On all cores. Packages' own tests are half of what there is to compile, and nobody runs them; files in other languages
# than this Python's are no error.
_COMPILE = """\
import compileall, re, sys
tests = re.compile(re.escape(sys.argv[1]) + ".*/tests/")
compileall.compile_dir(sys.argv[1], quiet=2, workers=0, rx=tests)
"""
# The one that makes an environment is its own, too: jobs install what their requirements.txt names with it.
_PIP = f"pip=={pip.__version__}"
# pip's own settings (mirrors, proxies, certificates) are the user's; what would send packages elsewhere is not wanted.
_NOT_FOR_PIP = (
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_USER",
    "__PYVENV_LAUNCHER__",
)


class ImageBuildError(Exception):
    """The environment of an image couldn't be made; the message says what pip said."""


@dataclass(frozen=True)
class ImageEnvironment:
    """The environment of an image on this machine, as a container gets it.

    python: the interpreter with the image's packages; root: its environment's folder.
    start: how its toolkit starts a script, see `Image`.
    variables: the environment variables that the image itself sets.
    notes: where the versions here differ from the image's, one sentence each.
    more_programs: where there are more of its programs than beside the interpreter.
    imports: modules of its framework that a warm interpreter imports.
    """

    python: Path
    start: Start = "direct"
    variables: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    more_programs: tuple[Path, ...] = ()
    imports: tuple[str, ...] = ()

    @property
    def program_dirs(self) -> tuple[Path, ...]:
        """Where its programs are, for PATH."""
        return (self.python.parent, *self.more_programs)

    @property
    def root(self) -> Path:
        """The environment's folder."""
        return self.python.parent.parent


class Images:
    """Environments under `root`, made at first use. Thread-safe, and safe with other processes on the same root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._making = threading.Lock()  # flock() is between processes; threads of this one queue here

    def environment(self, image_uri: str, progress: Progress) -> ImageEnvironment:
        """The image's environment, made now if need be, with lines about that to `progress`.

        Raises ImageNotFoundError or ImageBuildError.
        """
        image = find(image_uri)
        content = [*image.packages, *image.from_source, *image_toolkits.content_of_ours(image.of_ours)]
        root = self.root / f"{image.environment}-{_key(*content)}"
        what = f"the environment of image {image.environment}"
        self.make_once(root, what, progress, lambda: _install_image(root, image, progress))
        python = root / "bin" / "python"
        return ImageEnvironment(python, image.start, image.variables, image.notes, imports=image.imports)

    def tool(self, name: str, packages: Sequence[str], progress: Progress) -> Path:
        """The interpreter of an environment for a tool of the server's own, kept like an image's: a name and pins.

        Raises ImageBuildError.
        """
        root = self.root / f"{name}-{_key(*packages)}"
        what = f"the environment of the {name}"
        self.make_once(root, what, progress, lambda: _install_tool(root, packages, progress))
        return root / "bin" / "python"

    def is_made(self, root: Path) -> bool:
        """Whether a kept folder is whole."""
        return (root / _COMPLETE).exists()

    def make_once(self, root: Path, what: str, progress: Progress, make: Callable[[], None]) -> None:
        """Have `make` make the folder `root` unless it is whole already; lines about that to `progress`."""
        if self.is_made(root):
            return
        root.parent.mkdir(parents=True, exist_ok=True)
        with self._making, _locked(root.with_name(f".{root.name}.lock"), what, progress):
            if self.is_made(root):
                return
            shutil.rmtree(root, ignore_errors=True)  # an earlier making was cut off
            started = time.monotonic()
            progress(f"Making {what}, once; it is kept for the next time.")
            try:
                make()
            except BaseException:
                shutil.rmtree(root, ignore_errors=True)
                raise
            (root / _COMPLETE).touch()
            progress(f"Made {what} in {time.monotonic() - started:.0f} s.")


def _install_image(root: Path, image: Image, progress: Progress) -> None:
    site_packages = root / PACKAGES
    pip_for_it = _install_wheels(root, image.packages, progress)
    with tempfile.TemporaryDirectory(dir=root) as sources:
        # By the setuptools of the environment: nothing is fetched to look at them.
        options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", sources]
        _run([*pip_for_it, "download", *options, *image.from_source], progress, root)
        for archive in sorted(Path(sources).iterdir()):
            image_toolkits.install_source(archive, site_packages)
    image_toolkits.install_of_ours(image.of_ours, site_packages)
    _compile(root, progress)


def _install_tool(root: Path, packages: Sequence[str], progress: Progress) -> None:
    _install_wheels(root, packages, progress)
    _compile(root, progress)


def _install_wheels(root: Path, packages: Sequence[str], progress: Progress) -> list[str]:
    """Make an environment of wheels; how pip is called for it."""
    _run([sys.executable, "-m", "venv", "--without-pip", str(root)], progress, root.parent)
    python = str(root / "bin" / "python")
    pip_for_it = [sys.executable, "-m", "pip", "--python", python, "--no-input", "--disable-pip-version-check"]
    _run([*pip_for_it, "install", "--only-binary", ":all:", "--no-compile", _PIP, *packages], progress, root)
    return pip_for_it


def _compile(root: Path, progress: Progress) -> None:
    _run([str(root / "bin" / "python"), "-c", _COMPILE, str(root / PACKAGES)], progress, root)


def _run(command: list[str], progress: Progress, cwd: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_PIP and _is_known(name)}
    tool = container.run_tool(command, environment, cwd)
    last: list[str] = []
    for raw in tool.output:
        line = raw.decode("utf-8", "replace").rstrip()
        if line.startswith(("Collecting", "Installing", "Successfully", "ERROR", "error")):
            progress(line)
        last = [*last[-19:], line]
    if (status := tool.wait()) != 0:
        said = [line for line in last if line.startswith("ERROR")] or last[-5:]
        raise ImageBuildError(f"{' '.join(command[1:5])} ended with exit code {status}: {' '.join(said)}")


def _is_known(variable: str) -> bool:
    """Whether pip may see it: none of the root user's keys, which are in the server's environment."""
    return not variable.startswith("AWS_")


@contextmanager
def _locked(path: Path, what: str, progress: Progress) -> Iterator[None]:
    with path.open("w") as file:
        if not _try_lock(file):
            progress(f"Waiting for another process that is making {what}.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _key(*content: str) -> str:
    """A hash of an environment's content; the interpreter, to which it points, and its pip belong to that."""
    interpreter = (platform.python_version(), platform.machine(), sys.base_prefix, _PIP)
    return hashlib.sha256("\n".join([*interpreter, *content]).encode()).hexdigest()[:12]
