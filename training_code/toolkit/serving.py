"""How a model is served: its code travels in model.tar.gz, and four functions of `serve.py` answer requests.

    model_fn(model_dir)              -> the model, loaded once
    input_fn(body, content_type)     -> what the model predicts from
    predict_fn(data, model)          -> its prediction
    output_fn(prediction, accept)    -> (the answer's text or bytes, its content type); without the type, scikit-learn's
                                        and XGBoost's containers answer a text as text/html
    transform_fn(model, body, content_type, accept), instead of the last three
    heldout_fn(folder)               -> yields (body, content type, truth): the held-out examples, where evaluation
                                        can't read their files itself; the endpoint never calls it

Evaluation asks for text/csv: a line an example, which is a label, a number, the probability of each class, or for a
metric of the user's own whatever that takes, a JSON document for instance.

Only `model_fn` has to be there (and not even that for TorchScript in PyTorch's image); for the others those of the
framework's container hold: `image_functions`.
"""

from __future__ import annotations

import importlib
import inspect
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import contract
import toolkit
from contract import chains
from contract.files import SERVING_SCRIPT as SCRIPT
from contract.files import SPEC_FILE
from contract.held_out import READER
from toolkit import image_functions
from toolkit.errors import ServingError

CSV, JSON = image_functions.CSV, image_functions.JSON
# What lies beside a model's code, but isn't part of it.
_LEFT_OUT = ("__pycache__", "*.pyc", ".*", "sample")


def save_serving_code(model_dir: str | Path, code_dir: str | Path | None = None) -> Path:
    """Copies the model's code into `<model_dir>/code/`, so that model.tar.gz alone can be evaluated and served.

    Args:
        model_dir: what becomes model.tar.gz (SM_MODEL_DIR).
        code_dir: the folder with serve.py; by default the one of the script that runs.

    Raises:
        ServingError: the folder has no serve.py.
    """
    source = Path(code_dir) if code_dir else Path(sys.argv[0]).resolve().parent
    # Whose files serve, a chain says; in a checkout its pipeline.yaml, which is checked there.
    if not any((source / name).is_file() for name in (SCRIPT, chains.CHAIN_FILE, SPEC_FILE)):
        raise ServingError(
            f"{source} has no {SCRIPT}, which answers requests with the model; write one with at least model_fn"
        )
    target = Path(model_dir) / "code"
    ignore = _ignoring(Path(model_dir))
    shutil.copytree(source, target, ignore=ignore, dirs_exist_ok=True)
    # In a training job both lie beside the script and are copied already; in a checkout they lie elsewhere.
    for package in (toolkit, contract):
        folder = Path(str(package.__file__)).resolve().parent
        shutil.copytree(folder, target / package.__name__, ignore=ignore, dirs_exist_ok=True)
    return target


def _ignoring(model_dir: Path) -> Callable[[str, list[str]], set[str]]:
    """Leaves out whatever is no code; the model's folder itself too, should it lie inside of the code's."""
    patterns = shutil.ignore_patterns(*_LEFT_OUT)

    def ignore(folder: str, names: list[str]) -> set[str]:
        return {
            *patterns(folder, names),
            *(name for name in names if Path(folder, name).resolve() == model_dir.resolve()),
        }

    return ignore


@dataclass(frozen=True)
class Functions:
    """A model folder's functions, with the defaults where it has none."""

    model_fn: Callable[..., Any]
    input_fn: Callable[..., Any]
    predict_fn: Callable[..., Any]
    output_fn: Callable[..., Any]
    transform_fn: Callable[..., Any] | None = None
    heldout_fn: Callable[..., Any] | None = None
    own: image_functions.ImageFunctions = field(default_factory=image_functions.of_image)

    def load(self, model_dir: str) -> Any:
        """The model in the folder."""
        return _call(self.model_fn, model_dir)

    def answer(self, model: Any, body: str | bytes, content_type: str = CSV, accept: str = CSV) -> str:
        """The model's answer to a request, as text."""
        answer, _ = self.respond(model, body, content_type, accept)
        return answer if isinstance(answer, str) else answer.decode()

    def respond(self, model: Any, body: str | bytes, content_type: str, accept: str) -> tuple[str | bytes, str]:
        """The model's answer to a request, with the content type under which its container sends it."""
        answer = self._transform(model, as_received(body, content_type), content_type, accept)
        answer, said = answer[:2] if isinstance(answer, tuple) else (answer, None)  # (body, content type)
        if isinstance(answer, (bytes, bytearray)):
            answer = bytes(answer)
        if not isinstance(answer, (str, bytes)):
            raise ServingError(f"output_fn returned {type(answer).__name__}; for {accept} it must return text or bytes")
        own = self.transform_fn is None and self.output_fn is self.own.output_fn
        return answer, self.own.sent_type(said, accept, own=own)

    def _transform(self, model: Any, body: str | bytes, content_type: str, accept: str) -> Any:
        if self.transform_fn:
            return _call(self.transform_fn, model, body, content_type, accept)
        prediction = _call(self.predict_fn, _call(self.input_fn, body, content_type), model)
        return _call(self.output_fn, prediction, accept)


def load_functions(code_dir: Path, script: str = SCRIPT, framework: str | None = None) -> Functions:
    """The functions of `<code_dir>/serve.py`, imported under the name `serve` as the containers do.

    The folder goes first on the import path of this process, for good: load one model's code in a process.

    Args:
        script: another file than serve.py, of a chain.
        framework: in whose image they are, if it isn't the one of this process.

    Raises:
        ServingError: no serve.py, one without model_fn, or with transform_fn beside what that replaces. What serve.py
            itself raises passes through.
    """
    if not (code_dir / script).is_file():
        raise ServingError(
            f"model.tar.gz has no code/{script}; end train.py with toolkit.serving.save_serving_code(model_dir)"
        )
    if sys.path[0] != str(code_dir):
        sys.path.insert(0, str(code_dir))
    importlib.invalidate_caches()
    return _functions(importlib.import_module(script[: -len(".py")]), script, image_functions.of_framework(framework))


def _functions(module: Any, script: str, own: image_functions.ImageFunctions) -> Functions:
    model_fn = getattr(module, "model_fn", own.model_fn)
    if not callable(model_fn):
        raise ServingError(f"{script} has no function model_fn(model_dir), which loads the model")
    replaced = [name for name in ("input_fn", "predict_fn", "output_fn") if hasattr(module, name)]
    if hasattr(module, "transform_fn") and replaced:
        raise ServingError(f"{script} has both transform_fn and {', '.join(replaced)}, which it replaces; keep one way")
    return Functions(
        model_fn=model_fn,
        input_fn=getattr(module, "input_fn", own.input_fn),
        predict_fn=getattr(module, "predict_fn", own.predict_fn),
        output_fn=getattr(module, "output_fn", own.output_fn),
        transform_fn=getattr(module, "transform_fn", None),
        heldout_fn=getattr(module, READER, None),
        own=own,
    )


def as_received(body: str | bytes, content_type: str) -> str | bytes:
    """The body as the framework containers hand it to `input_fn`: CSV and JSON as text, anything else as bytes.

    Source: `transformer.py` of the SageMaker Inference Toolkit, which decodes `content_types.UTF8_TYPES`.
    """
    if content_type in (CSV, JSON):
        return body if isinstance(body, str) else body.decode()
    return body.encode() if isinstance(body, str) else body


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function, with None for the `context` that newer containers hand to those that take it."""
    if len(inspect.signature(function).parameters) == len(arguments) + 1:
        return function(*arguments, None)
    return function(*arguments)
