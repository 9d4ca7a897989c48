"""The functions of a compiled model's serve.py, of which model_fn is ours and the others are the folder's.

Each is compile.py's, or where that hasn't it, serve.py's, which is imported only then: one that imports the framework
at its top may be replaced as a whole.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contract import compiled
from toolkit.compiled.model import OnnxModel
from toolkit.errors import ServingError

FUNCTIONS = ("input_fn", "predict_fn", "output_fn")
# The file that takes serve.py's place.
SCRIPT = '''"""Answers requests with the compiled model, without the framework that trained it (docs/compiled.md)."""

from pathlib import Path

from toolkit.compiled import serving

globals().update(serving.functions(Path(__file__).parent))
'''


def functions(code: Path) -> dict[str, Callable[..., Any]]:
    """model_fn, and as many of the other three as the folder has; the image's own stand for what is missing.

    Args:
        code: the folder of serve.py, which is on the import path.

    Raises:
        ServingError: serve.py has transform_fn, which can't be taken apart.
    """
    script = importlib.import_module(_module(compiled.SCRIPT)) if (code / compiled.SCRIPT).is_file() else None
    found = {name: getattr(script, name) for name in FUNCTIONS if hasattr(script, name)}
    missing = [name for name in FUNCTIONS if name not in found]
    if missing:
        own = importlib.import_module(_module(compiled.OWN_SERVING_SCRIPT))
        if hasattr(own, "transform_fn"):
            raise ServingError(
                "serve.py has transform_fn, of which the request's reading is a part; compile.py must have "
                f"{', '.join(missing)}"
            )
        found.update({name: getattr(own, name) for name in missing if hasattr(own, name)})
    return {"model_fn": model_fn, **found}


def model_fn(model_dir: str) -> OnnxModel:
    """The compiled model."""
    return OnnxModel(model_dir)


def _module(script: str) -> str:
    return script[: -len(".py")]
