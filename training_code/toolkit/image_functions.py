"""The functions that an image's serving container has of its own, for what serve.py leaves out.

An evaluation runs in the image that the endpoint will have, or its training twin, and answers as the endpoint will:

- scikit-learn (aws/sagemaker-scikit-learn-container, `serving.py`), and images that aren't AWS's: CSV, JSON and NPY
  become a NumPy array
- XGBoost (aws/sagemaker-xgboost-container, `encoder.py`): CSV and LIBSVM become a DMatrix
- PyTorch (aws/sagemaker-pytorch-inference-toolkit, `default_pytorch_inference_handler.py`): CSV, JSON and NPY become a
  tensor, and a model is TorchScript
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import ServingError

CSV, JSON, NPY = "text/csv", "application/json", "application/x-npy"
# What Flask says of a text without a type.
HTML = "text/html"
LIBSVM = ("text/libsvm", "text/x-libsvm")
# AWS's images say in these whose container they are.
_MODULES = ("SAGEMAKER_SERVING_MODULE", "SAGEMAKER_TRAINING_MODULE")


@dataclass(frozen=True)
class ImageFunctions:
    """A container's own functions; `model_fn` where it can load a model without the user's.

    flask: whether its server is a Flask application, which says of an answer's type what Werkzeug makes of it.
    """

    input_fn: Callable[[Any, str], Any]
    predict_fn: Callable[[Any, Any], Any]
    output_fn: Callable[[Any, str], Any]
    model_fn: Callable[[str], Any] | None = None
    flask: bool = True

    def sent_type(self, said: str | None, accept: str, *, own: bool) -> str:
        """The content type under which the container sends an answer.

        Sources: aws/sagemaker-containers, `_transformer.py` and `_worker.py`, with Werkzeug's `get_content_type`, which
        adds the charset (aws/amazon-sagemaker-examples #3235); aws/sagemaker-inference-toolkit, `transformer.py`.

        Args:
            said: by output_fn, beside the answer.
            own: whether that is the image's own output_fn, which answers as it is asked.
        """
        if not self.flask:
            return said or accept
        kind = said or (accept if own else HTML)
        return f"{kind}; charset=utf-8" if kind.startswith("text/") and "charset" not in kind else kind


def of_framework(name: str | None) -> ImageFunctions:
    """The functions of a framework's image, by the framework's name; without one, of the image of this process."""
    if name is None:
        return of_image()
    if name not in _FRAMEWORKS:
        raise ServingError(f"there is no framework {name!r}; known: {', '.join(_FRAMEWORKS)}")
    return _FRAMEWORKS[name]


def of_image(environment: Mapping[str, str] | None = None) -> ImageFunctions:
    """The functions of the image that this process runs in."""
    variables = os.environ if environment is None else environment
    module = next((variables[name] for name in _MODULES if variables.get(name)), "")
    for prefix, functions in _IMAGES.items():
        if module.startswith(prefix):
            return functions
    return _SKLEARN


def array(body: str | bytes, content_type: str) -> Any:
    """CSV, JSON or NPY -> a NumPy array (float32 from text). One CSV line gives one dimension, as in the containers."""
    import numpy as np

    if content_type == CSV:
        return np.genfromtxt(io.StringIO(_text(body)), delimiter=",", dtype=np.float32)
    if content_type == JSON:
        return np.array(json.loads(body), dtype=np.float32)
    if content_type == NPY:
        # Unlike the containers, no pickles: a request must not be able to run code.
        return np.load(io.BytesIO(body if isinstance(body, bytes) else body.encode("latin-1")), allow_pickle=False)
    raise _unknown_request(content_type, CSV, JSON, NPY)


def predict(data: Any, model: Any) -> Any:
    """`model.predict(data)`."""
    if not hasattr(model, "predict"):
        raise ServingError(
            f"model_fn returned a {type(model).__name__}, which has no method predict; write a predict_fn"
        )
    return model.predict(data)


def encoded(prediction: Any, accept: str) -> str | bytes:
    """A NumPy array -> CSV (one example a line), JSON or NPY."""
    import numpy as np

    if accept == CSV:
        text = io.StringIO()
        np.savetxt(text, prediction, delimiter=",", fmt="%s")
        return text.getvalue()
    if accept == JSON:
        return json.dumps(np.asarray(prediction).tolist())
    if accept == NPY:
        binary = io.BytesIO()
        np.save(binary, prediction, allow_pickle=False)
        return binary.getvalue()
    raise ServingError(f"answers as {accept!r} need an output_fn; without one there are {CSV}, {JSON} and {NPY}")


def dmatrix(body: str | bytes, content_type: str) -> Any:
    """CSV or LIBSVM -> a DMatrix without labels; an empty field of CSV is a missing value."""
    import numpy as np
    import xgboost

    kind = content_type.partition(";")[0].strip()
    if kind == CSV:
        lines = _text(body).split("\n")
        delimiter = csv.Sniffer().sniff(lines[0][:512]).delimiter
        delimiter = "," if delimiter.isalnum() else delimiter
        rows = [[field or "nan" for field in line.split(delimiter)] for line in lines]
        return xgboost.DMatrix(np.array(rows).astype(float))
    if kind in LIBSVM:
        return xgboost.DMatrix(_of_libsvm([_entries(line) for line in _text(body).strip().split("\n")]))
    raise _unknown_request(content_type, CSV, *LIBSVM)


def _entries(line: str) -> dict[int, float]:
    pairs = [token.split(":", 1) for token in line.split() if ":" in token]
    return {int(index): float(value) for index, value in pairs}


def _of_libsvm(rows: list[dict[int, float]]) -> Any:
    """Rows of index and value as an array; the indices begin at 0, or else at 1."""
    import numpy as np

    indices = [index for row in rows for index in row]
    first = 1 if min(indices, default=0) >= 1 else 0
    data = np.zeros((len(rows), max(indices, default=-1) - first + 1))
    for number, row in enumerate(rows):
        for index, value in row.items():
            data[number, index - first] = value
    return data


def predict_booster(data: Any, model: Any) -> Any:
    """The booster's prediction; columns have no names."""
    return model.predict(data, validate_features=False)


def load_torchscript(model_dir: str) -> Any:
    """`model.pt`, or else the one file with .pt or .pth."""
    import torch

    files = [path for path in sorted(Path(model_dir).iterdir()) if path.suffix in (".pt", ".pth")]
    files = [path for path in files if path.name == "model.pt"] or files
    if len(files) != 1:
        names = ", ".join(path.name for path in files) or "none"
        raise ServingError(f"without a model_fn exactly one .pt or .pth file is loaded, as TorchScript; here: {names}")
    try:
        return torch.jit.load(str(files[0]), map_location="cpu")
    except RuntimeError as error:
        raise ServingError(f"{files[0].name} is no TorchScript; write a model_fn: {error}") from error


def tensor(body: str | bytes, content_type: str) -> Any:
    """CSV or JSON -> a FloatTensor; NPY -> the tensor that it is."""
    import numpy as np
    import torch

    if content_type != CSV:
        return torch.from_numpy(array(body, content_type))
    columns = np.genfromtxt(io.StringIO(_text(body)), delimiter=",", dtype=None)
    if columns.dtype.names or columns.dtype.kind not in "biuf":
        raise ServingError(
            "PyTorch's container makes no tensor of CSV whose columns are of different types, as 1,2.5, or are texts; "
            "write an input_fn"
        )
    return torch.FloatTensor(columns)


def predict_module(data: Any, model: Any) -> Any:
    """The module's answer, in evaluation mode and without gradients."""
    import torch

    with torch.no_grad():
        model.eval()
        return model(data)


def encoded_tensor(prediction: Any, accept: str) -> str | bytes:
    """A tensor -> CSV, JSON or NPY, of Python's own numbers, as the container writes them."""
    return encoded(prediction.detach().cpu().tolist() if hasattr(prediction, "detach") else prediction, accept)


def _text(body: str | bytes) -> str:
    return body if isinstance(body, str) else body.decode()


def _unknown_request(content_type: str, *known: str) -> ServingError:
    return ServingError(f"requests as {content_type!r} need an input_fn; without one there are {', '.join(known)}")


_SKLEARN = ImageFunctions(array, predict, encoded)
_XGBOOST = ImageFunctions(dmatrix, predict_booster, encoded)
_PYTORCH = ImageFunctions(tensor, predict_module, encoded_tensor, load_torchscript, flask=False)
_FRAMEWORKS = {"sklearn": _SKLEARN, "xgboost": _XGBOOST, "pytorch": _PYTORCH}
_IMAGES = {"sagemaker_xgboost_container": _XGBOOST, "sagemaker_pytorch": _PYTORCH}
