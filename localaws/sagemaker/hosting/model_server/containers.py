"""Which of AWS's containers this one stands for, and a model loaded as that one loads it."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from . import pytorch_functions, sklearn_functions, xgboost_functions
from .code_install import install_as_package, install_requirements
from .errors import StartError
from .flask_model import FlaskModel
from .functions import Functions, functions_of
from .model import Model, Settings, settings_of, timed
from .toolkit_model import ToolkitModel

# The image's own variable, whose value begins with the name of the framework's container.
SERVING_MODULE = "SAGEMAKER_SERVING_MODULE"


class _Container(NamedTuple):
    """A framework's container.

    install: what it does with the code before it imports it; the second argument is PIP_NO_BUILD_ISOLATION.
    needs_program: whether it doesn't work without a program of the user's.
    """

    functions: Functions
    model: type[Model]
    install: Callable[[Settings, str | None], Settings]
    needs_program: bool


_SKLEARN = _Container(sklearn_functions.FUNCTIONS, FlaskModel, install_as_package, needs_program=True)
_CONTAINERS = {
    "sagemaker_sklearn_container": _SKLEARN,
    "sagemaker_xgboost_container": _SKLEARN._replace(functions=xgboost_functions.FUNCTIONS),
    "sagemaker_pytorch_container": _Container(
        pytorch_functions.FUNCTIONS, ToolkitModel, install_requirements, needs_program=False
    ),
}


def load(environment: Mapping[str, str]) -> Model:
    """Install the code, import the program and load the model, as the environment says. StartError."""
    container = _CONTAINERS.get(environment.get(SERVING_MODULE, "").partition(".")[0], _SKLEARN)
    settings = container.install(settings_of(environment), environment.get("PIP_NO_BUILD_ISOLATION"))
    started = time.perf_counter()
    model = container.model(_functions(container, settings), settings)
    timed(settings.program, started)
    return model


def _functions(container: _Container, settings: Settings) -> Functions:
    if not container.needs_program and not (settings.code_dir / settings.program).is_file():
        return container.functions
    return functions_of(import_program(settings.code_dir, settings.program), container.functions)


def import_program(directory: Path, program: str) -> ModuleType:
    """The program of the code directory as a module of its name, which may import what lies beside it."""
    if "/" in program:
        raise StartError(f"SAGEMAKER_PROGRAM is {program!r}, but it is imported by its name: move it up to {directory}")
    if not (directory / program).is_file():
        raise StartError(f"SAGEMAKER_PROGRAM is {program!r}, but there is no such file in {directory}")
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    return importlib.import_module(program.removesuffix(".py"))
