"""A model's four functions behind multi-model-server; lies beside the model in its archive."""

from __future__ import annotations

import sys

_LOADED = []


def handle(data, context):
    if not _LOADED:
        folder = context.system_properties["model_dir"]
        sys.path.insert(0, f"{folder}/code")
        import serve

        _LOADED.extend((serve, serve.model_fn(folder)))
    if data is None:  # it is only to be loaded
        return None
    return [answer(bytes(each["body"]).decode()) for each in data]


def answer(text):
    serve, model = _LOADED
    return serve.output_fn(serve.predict_fn(serve.input_fn(text, "application/json"), model), "application/json")[0]
