"""The PyTorch image's functions (aws/sagemaker-pytorch-inference-toolkit, `default_pytorch_inference_handler.py`)."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from .bodies import CSV, TEXT_TYPES, UnsupportedFormatError, decoded
from .errors import StartError
from .functions import Functions
from .toolkit_bodies import DECODERS, ENCODERS

_MODEL = "model.pt"


def _torch() -> Any:
    return importlib.import_module("torch")


def _device() -> Any:
    torch = _torch()
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load(model_dir: str) -> Any:
    """`model.pt`, or else the one file with .pt or .pth, as TorchScript."""
    path = Path(model_dir) / _MODEL
    if not path.exists():
        found = [
            file for file in sorted(Path(model_dir).iterdir()) if file.is_file() and file.suffix in (".pt", ".pth")
        ]
        if len(found) != 1:
            names = ", ".join(file.name for file in found) or "none"
            raise StartError(
                f"without a model_fn exactly one .pth or .pt file is loaded, as TorchScript; here: {names}"
            )
        path = found[0]
    try:
        return _torch().jit.load(str(path), map_location=_device()).to(_device())
    except RuntimeError as error:
        raise StartError(f"{path.name} is no TorchScript, which alone is loaded without a model_fn: {error}") from error


def read(body: Any, content_type: str) -> Any:
    """CSV and JSON as a FloatTensor, NPY as the tensor that it is."""
    array, torch = decoded(DECODERS, body, content_type), _torch()
    tensor = torch.FloatTensor(array) if content_type in TEXT_TYPES else torch.from_numpy(array)
    return tensor.to(_device())


def predict(data: Any, model: Any) -> Any:
    """The module's answer, in evaluation mode and without gradients."""
    with _torch().no_grad():
        model = model.to(_device())
        given = data.to(_device())
        model.eval()
        return model(given)


def write(prediction: Any, accept: str) -> str | bytes:
    """The first type of `accept` that is JSON, CSV or NPY."""
    if type(prediction) is _torch().Tensor:
        prediction = prediction.detach().cpu().numpy().tolist()
    for content_type in accept.replace(" ", "").split(","):
        if content_type in ENCODERS:
            answer = ENCODERS[content_type](prediction)
            return answer.encode() if content_type == CSV and isinstance(answer, str) else answer
    raise UnsupportedFormatError(accept, ENCODERS)


FUNCTIONS = Functions(model_fn=load, input_fn=read, predict_fn=predict, output_fn=write)
