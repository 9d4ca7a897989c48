"""TensorFlow's training container: what it makes of a job's hyperparameters, and sets for its script. Pure.

sagemaker-tensorflow-training (training.py and s3_utils.py). Distributed training is refused before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MODULE = "sagemaker_tensorflow_container"
_TUNED, _MODEL_DIR = "_tuning_objective_metric", "model_dir"


def is_tensorflow(framework_module: str | None) -> bool:
    """Whether an image's container is TensorFlow's, by its SAGEMAKER_TRAINING_MODULE."""
    return (framework_module or "").startswith(_MODULE)


def model_dir(hyperparameters: Mapping[str, Any], job_name: str) -> dict[str, Any]:
    """The model_dir of a tuning job's trial, which is the trial's own; of any other job none in its place.

    One that isn't said becomes "None/<job>/model", as there.
    """
    if _TUNED not in hyperparameters:
        return {}
    said = hyperparameters.get(_MODEL_DIR)
    own = said and str(said).startswith("/opt/ml")
    return {_MODEL_DIR: said if own else f"{said}/{job_name}/model"}


def variables(region: str) -> dict[str, str]:
    """What it sets besides for the script."""
    return {"S3_REGION": region, "S3_USE_HTTPS": "1", "TF_CPP_MIN_LOG_LEVEL": "1"}
