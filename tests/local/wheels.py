"""Wheels of one module, so that a test installs a package without asking an index; and what is kept of that."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from running_aws import IMAGES


def wheel_name(name: str, version: str) -> str:
    """The file's name, which pip reads."""
    return f"{name}-{version}-py3-none-any.whl"


@contextmanager
def forgotten_afterwards(name: str) -> Iterator[None]:
    """What is kept meanwhile of an installation of the package, nobody needs again."""
    before = set(IMAGES.glob("*+installed-*"))
    yield
    for layer in set(IMAGES.glob("*+installed-*")) - before:
        if list(layer.glob(f"lib/*/site-packages/*{name}*")):
            shutil.rmtree(layer)


def wheel_of(name: str, version: str, content: str) -> bytes:
    """A wheel whose module of the same name holds `content`."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": content,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return buffer.getvalue()
