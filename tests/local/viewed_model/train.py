"""A model of two numbers that is fitted step by step, with a probe by hand: for tests of views in whole runs.

The training data are orders, as the scripted model's: how many `steps`, whether it `explodes`, and which pictures it
waits for before it ends (`view/step`), since whoever draws them beside it makes it wait for nothing.
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

probe = Probe.from_environment()
for step in range(steps):
    inputs = random.normal(size=(32, 2))
    error = inputs @ weights - inputs @ [1.0, -2.0]
    weights -= 0.05 * error @ inputs / len(inputs)
    loss = float("inf") if orders.get("explodes") and step > steps / 2 else float(np.mean(error**2))
    probe.loss("squared", loss)
    probe.tensor("weights", weights.copy())
    probe.scalar("rate", 0.05)
    probe.step()
    if step % 20 == 19:
        with probe.mode("eval"):
            probe.labels(truth)
            probe.predictions(np.stack([-held_out @ weights, held_out @ weights], axis=1))
            probe.step()
    time.sleep(0.01)


def drawn(picture):
    """Whether a picture that is waited for is there, whatever its format."""
    view, _, step = picture.partition("/")
    return list((directory() / "views" / view).glob(f"{int(step):012d}.*"))


until = time.monotonic() + WAIT_SECONDS
while not all(drawn(picture) for picture in orders.get("pictures", ())) and time.monotonic() < until:
    time.sleep(0.05)
if orders.get("explodes"):
    time.sleep(600)  # the rule ends it
probe.close()
print(f"error={loss:.6f}", flush=True)
model = Path(os.environ["SM_MODEL_DIR"])
(model / "model.json").write_text(json.dumps(orders))
save_serving_code(model)
