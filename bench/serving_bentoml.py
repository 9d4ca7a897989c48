"""A model's four functions behind BentoML: MODEL=FOLDER bentoml serve serving_bentoml:Served --port PORT."""

from __future__ import annotations

import os
import sys

import bentoml

FOLDER = os.environ["MODEL"]
sys.path.insert(0, f"{FOLDER}/code")


@bentoml.service(workers=1)
class Served:
    def __init__(self) -> None:
        import serve

        self.code, self.model = serve, serve.model_fn(FOLDER)

    @bentoml.api
    def invocations(self, text: str) -> str:
        data = self.code.input_fn(text, "text/csv")
        return self.code.output_fn(self.code.predict_fn(data, self.model), "text/csv")[0]
