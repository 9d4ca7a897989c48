"""AWS's `sagemaker_containers`, with Flask, beside our model server: the scikit-learn and XGBoost images.

`python flask_side.py FRAMEWORK BASE` reads cases from standard input and prints each one's two answers. The containers'
own default functions aren't on PyPI. They call what is: `encoders.decode` (as float32 where it was text) and
`encoders.encode`, in a response of the type that was asked for (aws/sagemaker-scikit-learn-container, `serving.py`).
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import ours


def worker(base: Path, framework: str) -> Any:
    """The Flask application of AWS's toolkit around the program."""
    os.environ["SAGEMAKER_BASE_DIR"] = str(base)
    # They read the variable when they are imported.
    transformer, toolkit_worker, content_types, encoders = (
        importlib.import_module(f"sagemaker_containers.{name}")
        for name in ("_transformer", "_worker", "_content_types", "_encoders")
    )

    def read(body: Any, content_type: str) -> Any:
        array = encoders.decode(body, content_type)
        return array.astype("float32") if content_type in content_types.UTF8_TYPES else array

    def write(prediction: Any, accept: str) -> Any:
        return toolkit_worker.Response(encoders.encode(prediction, accept), mimetype=accept)

    program = importlib.import_module("serve")
    defaults = {"input_fn": read, "predict_fn": lambda data, model: model.predict(data), "output_fn": write}
    functions = {name: getattr(program, name, function) for name, function in defaults.items()}
    if hasattr(program, "transform_fn"):
        functions = {"transform_fn": program.transform_fn}
    made = transformer.Transformer(model_fn=program.model_fn, **functions)
    made.initialize()
    return toolkit_worker.Worker(transform_fn=made.transform, module_name=framework)


def main() -> None:
    framework, base = sys.argv[1], Path(sys.argv[2])
    model = ours.load(base, framework)
    client = worker(base, framework).test_client()
    told = []
    for body, headers in json.load(sys.stdin):
        content = base64.b64decode(body)
        theirs = client.post("/invocations", data=content, headers=headers)
        attributes = theirs.headers.get(ours.ATTRIBUTES)
        pair = (theirs.status_code, theirs.mimetype, theirs.data, attributes), ours.ask(model, content, headers)
        told.append([[status, kind, base64.b64encode(answer).decode(), said] for status, kind, answer, said in pair])
    print(json.dumps(told))


if __name__ == "__main__":
    main()
