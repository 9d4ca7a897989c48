"""Other tuners, to be asked for trials beside the embedded AWS's: each in an environment of its own, made once."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from image_uris import PYTORCH

from bench import harness, tune_overhead
from bench.environments import with_more
from bench.tune_play import Suggest
from bench.tune_searchers import optuna, syne_tune
from localaws.sagemaker.containers.images import Images

Searcher = Callable[[int, Mapping[str, Any]], AbstractContextManager[Suggest]]
_REQUIREMENTS = harness.ROOT / "requirements"


@dataclass(frozen=True)
class Rivals:
    """Who is there.

    searchers: by name, from a seed and a request's ranges.
    skipped: who isn't, and why.
    syne_tune: the Python that has Syne Tune.
    """

    searchers: Mapping[str, Searcher]
    skipped: Mapping[str, str]
    syne_tune: Path | None


def rivals() -> Rivals:
    """Those whose environment can be made here."""
    skipped: dict[str, str] = {}
    theirs = _python("Syne Tune", "syne_tune.txt", tune_overhead.python, skipped)
    optunas = _python("Optuna", "optuna.txt", _torch, skipped)
    searchers: dict[str, Searcher] = {}
    if optunas:
        searchers["Optuna's Gaussian process"] = partial(optuna, optunas, "GPSampler")
        searchers["Optuna's TPE"] = partial(optuna, optunas, "TPESampler")
    if theirs:
        searchers["Syne Tune's BORE"] = partial(syne_tune, theirs, "BORE")
    return Rivals(searchers, skipped, theirs)


def _python(name: str, requirements: str, image: Callable[[], Path], skipped: dict[str, str]) -> Path | None:
    try:
        return with_more(image(), _REQUIREMENTS / requirements, "--no-deps")
    except subprocess.CalledProcessError as error:
        skipped[name] = f"it can't be installed here: {error}"
        return None


def _torch() -> Path:
    """Optuna's Gaussian process is on torch: the PyTorch image has one without CUDA."""
    return Images(harness.IMAGES).environment(PYTORCH, lambda _line: None).python
