"""Weights to begin with, from the channel `pretrained`: a ResNet-18's, or a whole detector's.

The channel holds a model.tar.gz (another pipeline's champion) or a file .safetensors, .pt or .pth. What the backbone
takes is what is called `stem.*` and `layers.<stage>.<block>.*`, whatever else the file holds.
"""

import tarfile
from io import BytesIO
from pathlib import Path

import network
import torch
from network import ModelError
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors

ENDINGS = (".safetensors", ".pt", ".pth")
ARCHIVE = "model.tar.gz"
BACKBONE = "backbone."
FIRST = "stem.0.weight"


def load(folder):
    """Tensors by their names, and where they were found.

    Raises:
        ModelError: the channel holds no such file, several, or one that can't be read.
    """
    found = sorted(path for path in Path(folder).rglob("*") if path.is_file() and _is_weights(path.name))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "nothing of the kind"
        raise ModelError(f"{folder} must hold one {ARCHIVE} or one file {', '.join(ENDINGS)}; it holds {names}")
    (path,) = found
    name, content = _from_archive(path) if path.name.endswith(".gz") else (path.name, path.read_bytes())
    return _tensors(name, content), name


def _is_weights(name):
    return name.endswith((*ENDINGS, ".tar.gz"))


def _from_archive(path):
    """The one file of weights in an archive; read where it lies, so that no name in it can lead elsewhere."""
    try:
        with tarfile.open(path) as archive:
            members = [one for one in archive if one.isfile() and one.name.endswith(ENDINGS)]
            if len(members) != 1:
                names = ", ".join(one.name for one in members) or "none"
                raise ModelError(f"{path.name} must hold one file {', '.join(ENDINGS)}; it holds {names}")
            return f"{path.name}/{members[0].name}", archive.extractfile(members[0]).read()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ModelError(f"{path.name} can't be unpacked: {error}") from error


def _tensors(name, content):
    try:
        if name.endswith(".safetensors"):
            return read_tensors(content)
        found = torch.load(BytesIO(content), map_location="cpu", weights_only=True)  # a pickle would run code
    except (SafetensorError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise ModelError(f"{name} holds no tensors: {error}") from error
    except Exception as error:  # weights_only refuses by pickle.UnpicklingError, and damaged files by many others
        raise ModelError(f"{name} is no state_dict that can be loaded safely: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(one, torch.Tensor) for one in found.values()):
        raise ModelError(f"{name} holds {type(found).__name__}; save model.state_dict()")
    return found


def width(tensors):
    """The backbone's width that these weights are of; None where they are of none."""
    first = tensors.get(FIRST, tensors.get(BACKBONE + FIRST))
    return None if first is None else len(first)


def begin(model, tensors, name, *, anew):
    """Puts the weights into a network; says what it took.

    Args:
        anew: whether the head begins afresh though the weights are a whole detector's: "True", "False" or "Auto", only
            where they don't fit (other classes).

    Raises:
        ModelError: they lack a layer of the backbone, or are of another size.
    """
    own = model.state_dict()
    is_detector = BACKBONE + FIRST in tensors
    fits = is_detector and all(key in tensors and tensors[key].shape == value.shape for key, value in own.items())
    if anew == "False" and not fits:
        raise ModelError(f"reinitialize_top_layer is False, but {name} is no detector of as many classes; write Auto")
    if fits and anew != "True":
        model.load_state_dict({key: tensors[key] for key in own})
        return f"begins with the detector of {name}"
    before = BACKBONE if is_detector else ""
    backbone = model.backbone.state_dict()
    for key, value in backbone.items():
        there = tensors.get(before + key)
        if there is None or there.shape != value.shape:
            what = "lacks" if there is None else f"has the shape {tuple(there.shape)}, not {tuple(value.shape)}, for"
            raise ModelError(f"{name} {what} {key}; it must be a ResNet-18's state_dict, as cifar_subset saves one")
    model.backbone.load_state_dict({key: tensors[before + key] for key in backbone})
    return f"begins with the backbone of {name}, {network.parameters(model.backbone)} parameters"
