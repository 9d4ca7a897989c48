"""A model behind BentoML, by its predict function, of numbers that BentoML reads from {"inputs": [[numbers]]}:
MODEL=FOLDER bentoml serve serving_bentoml:Served --port PORT."""

from __future__ import annotations

import os
import sys

import bentoml
import numpy as np

FOLDER = os.environ["MODEL"]
sys.path.insert(0, f"{FOLDER}/code")


@bentoml.service(workers=1)
class Served:
    def __init__(self) -> None:
        import serve

        self.code, self.model = serve, serve.model_fn(FOLDER)

    @bentoml.api
    def invocations(self, inputs: np.ndarray) -> np.ndarray:
        return self.code.predict_fn(inputs, self.model)
