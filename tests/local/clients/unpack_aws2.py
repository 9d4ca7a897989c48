"""Unpacks version 2 of the aws command from AWS's package for Lambda layers, without Docker, root or its installer.

python unpack_aws2.py WHEEL FOLDER: the program is FOLDER/aws afterwards. A wheel of aws-cdk-asset-awscli-v2 holds a
package of jsii's, that a layer.zip, and that the build for Linux on x86_64; elsewhere nothing is unpacked.
"""

from __future__ import annotations

import io
import platform
import re
import sys
import tarfile
import zipfile
from pathlib import Path

_PROGRAM = re.compile(r"awscli/v2/[\d.]+/dist/(?P<path>.+)")
_EXECUTABLE = 0o111


def main(wheel: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        print("aws2: this package holds the build for Linux on x86_64 alone; its tests are skipped here")
        return
    with zipfile.ZipFile(io.BytesIO(layer(wheel))) as archive:
        for member in archive.infolist():
            found = _PROGRAM.fullmatch(member.filename)
            if found and not member.is_dir():
                write(folder / found["path"], archive.read(member), member.external_attr >> 16)


def layer(wheel: Path) -> bytes:
    """layer.zip's bytes."""
    with zipfile.ZipFile(wheel) as outer:
        [package] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(package)), mode="r:gz") as inner:
            file = inner.extractfile("package/lib/layer.zip")
            assert file is not None
            return file.read()


def write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if mode & _EXECUTABLE:
        path.chmod(0o755)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
