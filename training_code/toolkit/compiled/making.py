"""Makes the compiled forms of a model in a process of their own, in which the model's code and the converters run."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from contract import compiled, files
from toolkit import model_process
from toolkit.confinement import Confinement

# The forms, by the precision of their weights.
FLOAT32, INT8 = "float32", "int8"
# Another than the models' that answer afterwards (toolkit.predictions).
NUMBER = 9
# What a compiled model answers without, unless its own requirements name it: packages by the modules that they have.
_LEFT_BEHIND = {
    "scikit-learn": ("sklearn",),
    "xgboost": ("xgboost",),
    "torch": ("torch",),
    "tensorflow": ("tensorflow",),
    "keras": ("keras",),
    "joblib": ("joblib",),
    "scipy": ("scipy",),
    "pandas": ("pandas",),
}


@dataclass(frozen=True)
class Made:
    """The model in ONNX, by its precision, and the files of the original that stay beside it."""

    models: dict[str, bytes]
    kept: list[str]


def in_a_process(confined: Confinement, folder: Path, tools: Path, *, int8: bool) -> Made:
    """The compiled forms of the model in a folder.

    Args:
        tools: the folder with onnx, onnxruntime and the converters.
        int8: whether that form is wanted, too, if the model has one.

    Raises:
        ToolkitError: there are none; the message says why, and what would be right.
    """
    scratch = _scratch(folder)
    confined.give(NUMBER, folder, scratch)
    enter = partial(confined.enter, NUMBER, folder, scratch)
    process, connection = model_process.start_confined("model", _make, enter, folder, tools, int8)
    try:
        told = model_process.heard("model", process, connection, compiled.SCRIPT, doing="be compiled")
    finally:
        process.kill()
        process.join()
        connection.close()
    paths = {precision: scratch / f"{precision}.onnx" for precision in (FLOAT32, INT8)}
    return Made(
        {precision: path.read_bytes() for precision, path in paths.items() if path.is_file() and not path.is_symlink()},
        json.loads(told),
    )


def _scratch(folder: Path) -> Path:
    """Where the process may write, beside the model."""
    return folder.with_name("compiling")


def _make(enter: Callable[[], None], folder: Path, tools: Path, int8: bool, job: Connection) -> None:
    """In the process: writes the forms into its folder, and says which files of the model stay."""
    from toolkit.compiled import conversion

    say, scratch = partial(model_process.say, job), _scratch(folder)
    with model_process.reporting(say, folder / "code"):
        model_process.keep_only(job)
        enter()
        sys.path.insert(0, str(tools))
        model = conversion.onnx_model(folder)
        kept = conversion.kept(folder)
        (scratch / f"{FLOAT32}.onnx").write_bytes(conversion.optimised(model))
        smaller = conversion.in_int8(model) if int8 else None
        if smaller is not None:
            (scratch / f"{INT8}.onnx").write_bytes(smaller)
        say("answer", json.dumps(kept))


def not_at_hand(code: Path) -> Sequence[str]:
    """The modules that a compiled model must do without: those of packages that its own requirements don't name."""
    own = code / files.REQUIREMENTS
    named = {_plain(line) for line in own.read_text().splitlines()} if own.is_file() else set()
    return [module for package, modules in _LEFT_BEHIND.items() if package not in named for module in modules]


def _plain(line: str) -> str:
    """The package that a line of requirements names."""
    found = re.match(r"\s*([A-Za-z0-9][\w.\-]*)", line)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""
