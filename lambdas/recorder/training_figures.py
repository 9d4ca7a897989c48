"""A training's hyperparameters and the figures that its log told: pure functions over its job's description."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from contract.causes import document_in

Document = dict[str, Any]

# How the framework container is told what to run; nobody chose them (SageMaker Training Toolkit, params).
_CONTAINERS_OWN = "sagemaker_"


def figures(
    training: Mapping[str, Any] | None,
    failure: Mapping[str, str] | None,
    rounds: Mapping[str, Any] | None = None,
) -> Document:
    """{"hyperparameters", "metrics"}, as far as the job has them; of one that failed, from the cause.

    metrics: the last value of each of the spec's `train.metrics`; where training went on in rounds each round has its
    own, and the run none. Numbers that JSON and DynamoDB don't have are text.
    """
    hyperparameters, metrics = _told(training, failure)
    chosen = {name: value for name, value in hyperparameters.items() if not name.startswith(_CONTAINERS_OWN)}
    last = {} if rounds else {name: _storable(value) for name, value in metrics.items()}
    return {name: found for name, found in (("hyperparameters", chosen), ("metrics", last)) if found}


def _told(training: Mapping[str, Any] | None, failure: Mapping[str, str] | None) -> tuple[Document, Document]:
    if training:
        return training.get("hyperparameters") or {}, training.get("metrics") or {}
    failed = document_in(failure["cause"]) if failure else {}
    last = failed.get("FinalMetricDataList") or ()
    return failed.get("HyperParameters") or {}, {metric["MetricName"]: metric["Value"] for metric in last}


def _storable(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
