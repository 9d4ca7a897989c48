"""`with_threshold`: below `serving.threshold` of pipeline.yaml the model answers that it isn't sure.

    from toolkit.threshold import with_threshold

    predict_fn, output_fn = with_threshold(predict_fn, output_fn)

Below the two functions. Where no threshold is said they stay as they are. Where one is, an answer is what is predicted,
how sure that is, and what the threshold makes of it: `7,0.41,unsure` a line (text/csv), or an object of `prediction`,
`confidence` and `answer` an example (application/json a list of them, application/jsonlines one a line).

What is predicted is the most probable class of a model with `classes_` and `predict_proba`, as scikit-learn's have
them. For any other a function says it: `with_threshold(predict_fn, output_fn, sure_fn)`, where `sure_fn(data, model)`
gives the predictions and how sure each is, from 0 to 1. It takes predict_fn's place then.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from contract.thresholds import THRESHOLD


def with_threshold(
    predict_fn: Callable[..., Any],
    output_fn: Callable[..., Any],
    sure_fn: Callable[[Any, Any], Any] | None = None,
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The two functions, which answer with a confidence where the container has a threshold."""
    text = os.environ.get(THRESHOLD)
    if not text:
        return predict_fn, output_fn
    # Without a threshold a container needn't wait for this.
    from toolkit import confidences

    return confidences.functions(predict_fn, output_fn, text, sure_fn)
