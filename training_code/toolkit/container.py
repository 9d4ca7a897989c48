"""The container of a job: where SageMaker puts what a job needs, and takes what it leaves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def base_folder(environment: Mapping[str, str] | None = None) -> Path:
    """`/opt/ml`; the variable that moves it is SageMaker's own toolkits' (sagemaker-training, environment.py)."""
    variables = os.environ if environment is None else environment
    return Path(variables.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
