"""The model server's start inside an image: `python __main__.py --control-fd DESCRIPTOR` or `--port PORT`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # The user's modules are looked for on the path, among which this server's own aren't.
    del sys.path[0]

import importlib
import importlib.util
from pathlib import Path

# A name that no user's module has; the directory itself stays off sys.path, where those are looked for.
_PACKAGE = "sagemaker_model_server"


def load_package() -> None:
    """Make the modules beside this file importable as a package, wherever the file lies."""
    directory = Path(__file__).parent
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, directory / "__init__.py", submodule_search_locations=[str(directory)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{directory} is no Python package")
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    load_package()
    importlib.import_module(f"{_PACKAGE}.server").main()
