"""A model of two numbers that is fitted step by step, with a probe by hand: for tests of views in whole runs.

The training data are orders, as the scripted model's: how many `steps`, at which one it `explodes`, and which
`pictures` it waits for then, or at its end (`view/step`): whoever draws them beside it makes it wait for nothing.
"""

import json
import os
import time
from pathlib import Path

import numpy as np

from toolkit.probe import Probe
from toolkit.probe.layout import directory
from toolkit.serving import save_serving_code

WAIT_SECONDS = 60

orders = json.loads((Path(os.environ["SM_CHANNEL_TRAIN"]) / "orders.json").read_text())
steps = orders.get("steps", 120)
random = np.random.default_rng(0)
weights = np.zeros(2)
held_out = random.normal(size=(60, 2))
truth = (held_out @ [1.0, -2.0] > 0).astype(int)


def is_told(view, step):
    """Whether a view's document has the picture of a step, as what is copied to S3 last."""
    document = directory() / "views" / f"{view}.json"
    pictures = json.loads(document.read_text())["pictures"] if document.is_file() else []
    return any(picture["step"] == int(step) for picture in pictures)


def wait_for_pictures():
    """Until all that are ordered are there; for a minute at most."""
    wanted = [picture.split("/") for picture in orders.get("pictures", ())]
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until and not all(is_told(view, step) for view, step in wanted):
        time.sleep(0.05)


probe = Probe.from_environment()
for step in range(steps):
    inputs = random.normal(size=(32, 2))
    error = inputs @ weights - inputs @ [1.0, -2.0]
    weights -= 0.05 * error @ inputs / len(inputs)
    explodes = orders.get("explodes") == step
    if explodes:
        wait_for_pictures()
    probe.loss("squared", float("inf") if explodes else float(np.mean(error**2)))
    probe.tensor("weights", weights.copy())
    probe.step()
    if explodes:
        time.sleep(600)  # the rule ends it
    if step % 20 == 19:
        with probe.mode("eval"):
            probe.labels(truth)
            probe.predictions(np.stack([-held_out @ weights, held_out @ weights], axis=1))
            probe.step()
    time.sleep(0.01)
wait_for_pictures()
probe.close()
model = Path(os.environ["SM_MODEL_DIR"])
(model / "model.json").write_text(json.dumps(orders))
save_serving_code(model)
