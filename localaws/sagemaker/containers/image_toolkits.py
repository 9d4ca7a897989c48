"""The SageMaker toolkits that AWS's images hold and that scripts import, in the environment of an image.

PyPI has them as sources alone, with an extension in C that only jobs on several instances need. So their Python is
taken from the source distribution as it is, and no compiler is asked for. What PyPI hasn't got is a package of ours
with the documented names (the folder `image_packages`).
"""

from __future__ import annotations

import hashlib
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

_OF_OURS = Path(__file__).parent / "image_packages"
# AWS's Dockerfile for the scikit-learn image writes the same line anew: sagemaker-containers is older than Python 3.10.
_MENDED = {"sagemaker_containers/_mapping.py": (b"collections.Mapping", b"collections.abc.Mapping")}
_HOST_NAME = '"""Stands for the extension that gives the hosts of a job on several instances their names."""\n'


def install_source(archive: Path, site_packages: Path) -> None:
    """Install the Python packages of a source distribution."""
    content = dict(_installed_files(archive))
    for name, data in content.items():
        path = site_packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    info = next(PurePosixPath(name).parent for name in content if name.endswith(".dist-info/METADATA"))
    (site_packages / info / "INSTALLER").write_text("pip\n", encoding="utf-8")
    names = [*content, f"{info}/INSTALLER", f"{info}/RECORD"]
    (site_packages / info / "RECORD").write_text("".join(f"{name},,\n" for name in sorted(names)), encoding="utf-8")
    (site_packages / "gethostname.py").write_text(_HOST_NAME, encoding="utf-8")


def install_of_ours(names: Iterable[str], site_packages: Path) -> None:
    """Install packages of the folder `image_packages`."""
    for name in names:
        shutil.copytree(_OF_OURS / name, site_packages / name, ignore=shutil.ignore_patterns("__pycache__"))


def content_of_ours(names: Iterable[str]) -> list[str]:
    """Tells one state of these packages from another."""
    files = [path for name in names for path in sorted((_OF_OURS / name).rglob("*.py"))]
    return [f"{path.relative_to(_OF_OURS)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]


def _installed_files(archive: Path) -> Iterator[tuple[str, bytes]]:
    """What of a source distribution belongs into site-packages, by its name there."""
    with tarfile.open(archive) as tar:
        members = {member.name: member for member in tar if member.isfile()}
        root = next(iter(members)).partition("/")[0]
        package = root.rpartition("-")[0].replace("-", "_")
        for name, place in _places(members, root, package).items():
            content = tar.extractfile(members[name])
            if content is not None:
                yield place, _mended(place, content.read())


def _places(members: Mapping[str, object], root: str, package: str) -> dict[str, str]:
    places = {f"{root}/PKG-INFO": f"{package}-{root.rpartition('-')[2]}.dist-info/METADATA"}
    for name in members:
        below = name.removeprefix(f"{root}/src/")
        if below != name and below.startswith(f"{package}/") and not below.startswith(f"{package}/c/"):
            places[name] = below
        elif name.startswith(f"{root}/etc/"):
            places[name] = f"{package}/{name.removeprefix(f'{root}/')}"
    return places


def _mended(name: str, content: bytes) -> bytes:
    old, new = _MENDED.get(name, (b"", b""))
    return content.replace(old, new) if old else content
