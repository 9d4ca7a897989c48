"""A PyTorch network on disk: `model.safetensors` (its state) and `architecture.json` (a frozen dataclass). Data only:
nothing in them runs.

The folder's requirements.txt brings `safetensors`, which no image of PyTorch has.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from toolkit.errors import ToolkitError

STATE, ARCHITECTURE = "model.safetensors", "architecture.json"


class ModelError(ToolkitError):
    """A network that can't be, or files that hold none."""


def save(folder: str | Path, arch: Any, model: Any) -> None:
    """Writes the network into the folder, which must exist.

    Args:
        arch: its architecture, a dataclass.
    """
    from safetensors.torch import save as tensor_bytes

    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    (Path(folder) / STATE).write_bytes(tensor_bytes(tensors))
    (Path(folder) / ARCHITECTURE).write_text(json.dumps(asdict(arch), indent=2, ensure_ascii=False) + "\n")


def load(folder: str | Path, architecture: Callable[..., Any], build: Callable[[Any], Any]) -> tuple[Any, Any]:
    """The network in the folder, ready to predict; its architecture.

    Args:
        architecture: the dataclass; what JSON has as lists it gets as tuples.
        build: the network of an architecture.

    Raises:
        ModelError: the files are missing, broken, or don't fit each other.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        known = json.loads((Path(folder) / ARCHITECTURE).read_text())
        arch = architecture(**{name: tuple(it) if isinstance(it, list) else it for name, it in known.items()})
        model = build(arch)
        model.load_state_dict(load_file(Path(folder) / STATE))
    except OSError as error:
        raise ModelError(f"{error.filename or folder} can't be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{folder}/{ARCHITECTURE} is no architecture: {error!r}") from error
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{folder}/{STATE} doesn't hold this network: {error}") from error
    return model.eval(), arch
