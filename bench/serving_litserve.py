"""A model behind LitServe, by its predict function: python -P serving_litserve.py FOLDER PORT."""

from __future__ import annotations

import sys

import litserve
import numpy as np

FOLDER = sys.argv[1]


class Served(litserve.LitAPI):
    def setup(self, device):
        sys.path.insert(0, f"{FOLDER}/code")
        import serve

        self.code, self.model = serve, serve.model_fn(FOLDER)

    def decode_request(self, request):
        return np.array(request["inputs"], dtype=float)

    def predict(self, x):
        return self.code.predict_fn(x, self.model)

    def encode_response(self, output):
        return {"output": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Served(api_path="/invocations"), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
