"""The embedded AWS's model server as a module, in an image's Python, where `localaws` isn't."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[3] / "localaws" / "sagemaker" / "hosting" / "model_server"

# What a model may say to its caller beside its answer.
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


def part(name: str) -> Any:
    """A module of the model server's."""
    if "model_server" not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            "model_server", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
        )
        package = importlib.util.module_from_spec(spec)
        sys.modules["model_server"] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"model_server.{name}")


def load(base: Path, serving: str) -> Any:
    """The model below `base`, as the container of a framework loads it."""
    return part("containers").load(
        {
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_PROGRAM": "serve.py",
            "SAGEMAKER_SERVING_MODULE": f"{serving}.serving:main",
            "PIP_NO_BUILD_ISOLATION": os.environ.get("PIP_NO_BUILD_ISOLATION", "0"),
        }
    )


def ask(model: Any, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes, str | None]:
    """Status, content type without parameters, body, and custom attributes."""
    lower = {name.lower(): value for name, value in headers.items()}
    answered = model.respond(part("http_messages").Request("POST", "/invocations", lower, body))
    said = {name.lower(): value for name, value in answered.headers.items()}.get(ATTRIBUTES.lower())
    return answered.status, answered.content_type.partition(";")[0], answered.body, said
