"""A container's own layer over its image's environment: what pip does in a container changes that, never the image.

Where the kernel can lay one directory over another (overlayfs), the environment itself is writable in the container.
Elsewhere the container gets an environment of its own in front of the image's.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from localaws.sagemaker.containers import container, pip_settings
from localaws.sagemaker.containers.container import ContainerSpec, Layer
from localaws.sagemaker.containers.images import PACKAGES, ImageEnvironment

_PYTHONS = ("python", "python3", f"python{sys.version_info.major}.{sys.version_info.minor}")
_PIPS = ("pip", "pip3")
_PIP = """\
#!{python}
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Writable:
    """An image's environment as one container may change it, and what its ContainerSpec needs for that.

    layer: what it changes. needs: what it is made of on this machine.
    """

    image: ImageEnvironment
    layer: Layer | None
    needs: tuple[Path, ...] = ()

    def given_to(self, spec: ContainerSpec) -> ContainerSpec:
        """The container with this environment."""
        return replace(spec, layer=self.layer, needs=[*spec.needs, *self.needs])

    def over(self, kept: Path) -> Writable:
        """The same, on a layer that was made before."""
        return self if self.layer is None else replace(self, layer=replace(self.layer, below=(kept,)))


def writable(image: ImageEnvironment, directory: Path, tmp: Path) -> Writable:
    """The image's environment for a new container, which keeps its changes in `directory` and has `tmp` as its /tmp."""
    shutil.rmtree(directory, ignore_errors=True)
    needs = (image.root, *pip_settings.places())
    if not container.can_lay_over(directory.parent):
        return Writable(_in_front_of(image, tmp / "environment", container.tmp_view(tmp) / "environment"), None, needs)
    for name in ("upper", "work"):
        (directory / name).mkdir(parents=True)
    pip_settings.write(directory / "upper" / "pip.conf")
    return Writable(image, Layer(image.root, directory), needs)


def describe(environment: Writable) -> str | None:
    """One line for the log where the contract can't be met to the letter, else None."""
    if environment.layer is None:
        return "This machine's kernel can't lay one directory over another: what pip removes of the image stays."
    return None


def _in_front_of(image: ImageEnvironment, root: Path, seen: Path) -> ImageEnvironment:
    """A virtual environment at `root`, which the container sees as `seen`, in front of the image's."""
    shutil.rmtree(root, ignore_errors=True)
    (root / PACKAGES).mkdir(parents=True)
    (root / "bin").mkdir()
    real = image.python.resolve()
    for name in _PYTHONS:
        (root / "bin" / name).symlink_to(real)
    for name in _PIPS:
        (root / "bin" / name).write_text(_PIP.format(python=seen / "bin" / "python"), encoding="utf-8")
        (root / "bin" / name).chmod(0o755)
    (root / "pyvenv.cfg").write_text(f"home = {real.parent}\ninclude-system-site-packages = false\n", encoding="utf-8")
    (root / PACKAGES / "image.pth").write_text(f"{image.root / PACKAGES}\n", encoding="utf-8")
    pip_settings.write(root / "pip.conf")
    return replace(image, python=seen / "bin" / "python", more_programs=(image.root / "bin",))
