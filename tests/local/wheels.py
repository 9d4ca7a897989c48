"""Wheels of one module, so that a test installs a package without asking an index."""

from __future__ import annotations

import io
import zipfile


def wheel_name(name: str, version: str) -> str:
    """The file's name, which pip reads."""
    return f"{name}-{version}-py3-none-any.whl"


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
