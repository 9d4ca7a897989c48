"""A model behind MLflow's server: python -P serving_mlflow.py FOLDER SAVED writes it as a pyfunc model, whose input
MLflow's server reads by itself: {"inputs": [[numbers]]}."""

from __future__ import annotations

import sys

import mlflow


class Served(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        sys.path.insert(0, f"{context.artifacts['model']}/code")
        import serve

        self.code, self.model = serve, serve.model_fn(context.artifacts["model"])

    def predict(self, context, model_input, params=None):
        return self.code.predict_fn(model_input, self.model)


if __name__ == "__main__":
    mlflow.pyfunc.save_model(sys.argv[2], python_model=Served(), artifacts={"model": sys.argv[1]}, pip_requirements=[])
