"""Which of AWS's containers this one stands for, and a model loaded as that one loads it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from . import pytorch_functions, sklearn_functions, xgboost_functions
from .code_install import REQUIREMENTS, in_the_model, install_as_package, install_requirements
from .errors import StartError
from .flask_model import FlaskModel
from .functions import Functions, functions_of
from .model import Model, Settings, settings_of, timed
from .toolkit_model import ToolkitModel

# The image's own variable, whose value begins with the name of the framework's container.
SERVING_MODULE = "SAGEMAKER_SERVING_MODULE"
# aws/sagemaker-pytorch-inference-toolkit, `ts_parameters.py`.
_TORCHSERVE_BATCH = "SAGEMAKER_TS_BATCH_SIZE"
_NO_BATCHES = (
    f"{_TORCHSERVE_BATCH} is more than 1: AWS's image is handed several requests then, predicts one after the other, "
    "and fails all if one fails; here each is answered by itself."
)
_NO_PROGRAM = "AWS's image doesn't serve without SAGEMAKER_PROGRAM; here inference.py is taken."


class _Container(NamedTuple):
    """A framework's container.

    install: what it does with the code before it imports it; the second argument is PIP_NO_BUILD_ISOLATION.
    needs_program: whether it doesn't work without a program of the user's.
    variables: what it sets in its environment unless the user has.
    """

    functions: Functions
    model: type[Model]
    install: Callable[[Settings, str | None], Settings]
    needs_program: bool
    variables: Mapping[str, str] = {}


_SKLEARN = _Container(sklearn_functions.FUNCTIONS, FlaskModel, install_as_package, needs_program=True)
_CONTAINERS = {
    "sagemaker_sklearn_container": _SKLEARN,
    "sagemaker_xgboost_container": _SKLEARN._replace(
        functions=xgboost_functions.FUNCTIONS, variables={"OMP_NUM_THREADS": "1"}
    ),
    "sagemaker_pytorch_container": _Container(
        pytorch_functions.FUNCTIONS, ToolkitModel, install_requirements, needs_program=False
    ),
}


def requirements(environment: Mapping[str, str]) -> Path | None:
    """The requirements.txt that this container installs as it is; None where there is none."""
    if _container(environment).install is not install_requirements:
        return None
    file = settings_of(environment).model_dir / "code" / REQUIREMENTS
    return file if file.is_file() else None


def install(environment: Mapping[str, str], *, are_there: bool = False) -> Settings:
    """Install the code as the environment says; where it is then. StartError.

    are_there: its `requirements` are installed already.
    """
    container = _container(environment)
    for name, value in container.variables.items():
        os.environ.setdefault(name, value)
    if container.needs_program and not environment.get("SAGEMAKER_PROGRAM"):
        print(_NO_PROGRAM, flush=True)  # noqa: T201 - a container's log
    if container.model is ToolkitModel and batch_size(environment) > 1:
        print(_NO_BATCHES, flush=True)  # noqa: T201 - a container's log
    settings = settings_of(environment)
    if are_there:
        return in_the_model(settings)
    return container.install(settings, environment.get("PIP_NO_BUILD_ISOLATION"))


def load(environment: Mapping[str, str], installed: Settings | None = None) -> Model:
    """Install the code, unless it is `installed`, import the program and load the model. StartError."""
    container, settings = _container(environment), installed or install(environment)
    started = time.perf_counter()
    model = container.model(_functions(container, settings), settings)
    timed(settings.program, started)
    return model


def _container(environment: Mapping[str, str]) -> _Container:
    return _CONTAINERS.get(environment.get(SERVING_MODULE, "").partition(".")[0], _SKLEARN)


def batch_size(environment: Mapping[str, str]) -> int:
    """TorchServe's batchSize. StartError where AWS's image wouldn't start, either."""
    said = environment.get(_TORCHSERVE_BATCH, "1")
    try:
        return int(said)
    except ValueError:
        raise StartError(f"{_TORCHSERVE_BATCH} is {said!r}; it must be a whole number") from None


def _functions(container: _Container, settings: Settings) -> Functions:
    program = import_program(settings.code_dir, settings.program)
    if program is not None:
        return functions_of(program, container.functions)
    if container.needs_program:
        raise StartError(
            f"SAGEMAKER_PROGRAM is {settings.program!r}, but there is no such module in {settings.code_dir}, where it "
            "is imported by its name"
        )
    return container.functions


def import_program(directory: Path, program: str) -> ModuleType | None:
    """The program, imported by its name from the code directory or from what was installed; None when there is none."""
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    name = program.removesuffix(".py")
    return None if importlib.util.find_spec(name) is None else importlib.import_module(name)
