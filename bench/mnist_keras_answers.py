"""What a trained mnist_keras says of held-out digits; run by mnist_keras.py in the environment of each framework.

python mnist_keras_answers.py tensorflow MODEL TEST FILE.npy    writes the probabilities, by Keras on TensorFlow
python mnist_keras_answers.py torch MODEL TEST FILE.npy         compares serve.py's with those, and prints figures
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np


def main(backend: str, model: Path, test: Path, file: Path) -> None:
    if backend == "tensorflow":
        np.save(file, of_tensorflow(model, test))
    else:
        print(json.dumps(compared(model, test, np.load(file))))


def of_tensorflow(model: Path, test: Path) -> np.ndarray:
    """The probabilities, as the framework that has trained the model has them."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import digits  # noqa: PLC0415 - Keras is told its backend before it is imported
    import keras  # noqa: PLC0415

    pictures, _labels = digits.load(test)
    found: np.ndarray = keras.saving.load_model(model / "model.keras").predict(pictures, verbose=0)
    return found


def compared(model: Path, test: Path, others: np.ndarray) -> dict[str, float]:
    """How often both are right, and how far they are apart: serve.py is asked as the endpoint is."""
    import serve  # noqa: PLC0415 - the other framework has no torch

    lines = [line.partition(",") for path in sorted(test.glob("*.csv")) for line in path.read_text().splitlines()]
    labels = np.array([int(label) for label, _, _ in lines])
    loaded = serve.model_fn(str(model))
    probabilities = serve.predict_fn(serve.input_fn("\n".join(row for _, _, row in lines), "text/csv"), loaded)
    answered = np.array([int(line) for line in serve.output_fn(probabilities, "text/csv")[0].split()])
    theirs = others.argmax(1)
    return {
        "accuracy": float((answered == labels).mean()),
        "tensorflow_accuracy": float((theirs == labels).mean()),
        "backend_difference": float(np.abs(probabilities - others).max()),
        "disagreements": int((answered != theirs).sum()),
        "held_out": len(labels),
    }


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
