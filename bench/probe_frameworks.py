"""Trains with XGBoost, scikit-learn or Keras, with and without the probe; run by probe.py where that framework is.

    python probe_frameworks.py xgboost|sklearn|keras REPETITIONS EXAMPLES FOLDER

Both trainings take turns, on one thread each, with the probe's own settings. A watched one's time holds all that is to
be written, until the probe is closed. In seconds of the processor, of all threads, since others use the machine too.

Prints {"plain": [seconds], "watched": [seconds]}.
"""

from __future__ import annotations

import sys
from pathlib import Path

# platform.py beside this file must not stand for Python's own module of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1] / "training_code")

import json
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

FEATURES = 30
ROUNDS, TREES, EPOCHS, BATCH = 100, 10, 1, 128


def table(examples: int) -> tuple[Any, Any]:
    """Examples of two classes, and their labels."""
    random = np.random.default_rng(0)
    x = random.normal(size=(examples, FEATURES)).astype("float32")
    return x, (x[:, 0] + x[:, 1] * x[:, 2] + random.normal(size=examples) > 0).astype(int)


def with_xgboost(examples: int) -> Callable[[Any], None]:
    """100 rounds of trees of depth 6, judged on two sets."""
    import xgboost

    x, y = table(examples)
    most = examples * 3 // 4
    train, validation = xgboost.DMatrix(x[:most], y[:most]), xgboost.DMatrix(x[most:], y[most:])
    settings = {"max_depth": 6, "objective": "binary:logistic", "eval_metric": "logloss", "nthread": 1}

    def run(probe: Any) -> None:
        watched = [probe.watch(xgboost)] if probe else []
        evals = [(train, "train"), (validation, "validation")]
        xgboost.train(settings, train, ROUNDS, evals=evals, verbose_eval=False, callbacks=watched)

    return run


def with_sklearn(examples: int) -> Callable[[Any], None]:
    """A forest of ten trees."""
    from sklearn.ensemble import RandomForestClassifier

    x, y = table(examples)

    def run(probe: Any) -> None:
        model = RandomForestClassifier(TREES, random_state=0).fit(x, y)
        if probe:
            probe.watch(model)

    return run


def with_keras(examples: int) -> Callable[[Any], None]:
    """A network of three layers, on PyTorch."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import torch

    torch.set_num_threads(1)
    x, y = table(examples)

    def run(probe: Any) -> None:
        layers = [keras.layers.Dense(256, activation="relu"), keras.layers.Dense(256, activation="relu")]
        model = keras.Sequential([keras.layers.Input((FEATURES,)), *layers, keras.layers.Dense(2)])
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, y, BATCH, EPOCHS, verbose=0, callbacks=[probe.watch(model)] if probe else [])

    return run


FRAMEWORKS = {"xgboost": with_xgboost, "sklearn": with_sklearn, "keras": with_keras}


def main(framework: str, repetitions: int, examples: int, folder: Path) -> None:
    """The measurement."""
    from toolkit.probe import Probe

    run = FRAMEWORKS[framework](examples)
    run(None)  # the first imports and compiles
    times: dict[str, list[float]] = {"plain": [], "watched": []}
    for number in range(repetitions):
        started = time.process_time()
        run(None)
        times["plain"].append(time.process_time() - started)
        started = time.process_time()
        probe = Probe(directory=folder / str(number))
        run(probe)
        probe.close()
        times["watched"].append(time.process_time() - started)
    print(json.dumps(times))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
