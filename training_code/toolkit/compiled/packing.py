"""A compiled model's folder, and its archive."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

from contract import compiled, files
from toolkit.compiled import serving
from toolkit.errors import ToolkitError

# Of onnxruntime what no session needs: tools, and the library beside the one that Python loads.
_UNUSED = ("tools", "quantization", "transformers", "datasets", "backend", "libonnxruntime.so*", "__pycache__")


def pack(original: Path, model: bytes, kept: Sequence[str], runtime: Path, into: Path) -> Path:
    """A folder that serves a compiled model: the original's code, with another serve.py.

    Args:
        kept: the original's files that stay.
        runtime: the installed package onnxruntime.
    """
    into.mkdir()
    (into / compiled.MODEL_FILE).write_bytes(model)
    for name in kept:
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original / name, into / name)
    code = into / "code"
    shutil.copytree(original / "code", code)
    own = code / files.SERVING_SCRIPT
    if own.is_file():
        own.rename(code / compiled.OWN_SERVING_SCRIPT)
    own.write_text(serving.SCRIPT, encoding="utf-8")
    _requirements(code)
    shutil.copytree(
        runtime, into / compiled.RUNTIME / runtime.name, ignore=shutil.ignore_patterns(*_UNUSED), symlinks=False
    )
    return into


def _requirements(code: Path) -> None:
    """The container installs what the compiled model needs, not what the framework's did."""
    (code / files.REQUIREMENTS).unlink(missing_ok=True)
    if (code / compiled.REQUIREMENTS).is_file():
        (code / compiled.REQUIREMENTS).rename(code / files.REQUIREMENTS)


def archive(folder: Path, target: Path) -> None:
    """The folder as a model.tar.gz. Raises ToolkitError where there is no room for it."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # onnxruntime is most of it, and hardly smaller by a higher level, which takes five times as long.
        with tarfile.open(target, "w:gz", compresslevel=1) as tar:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    tar.add(path, str(path.relative_to(folder)), filter=_anonymous)
    except OSError as error:
        raise ToolkitError(f"{target.name} can't be written: {error.strerror}") from error


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
