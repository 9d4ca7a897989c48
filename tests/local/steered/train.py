"""A model that does as the training data say: how often it is right, and what goes wrong. For tests of whole runs."""

import json
import os
import sys
import time
from pathlib import Path

from toolkit.serving import save_serving_code

orders = json.loads((Path(os.environ["SM_CHANNEL_TRAIN"]) / "orders.json").read_text())
print(f"orders: {orders}", flush=True)
if orders.get("train") == "raise":
    raise ValueError("the training data are upside down")
if orders.get("train") == "linger":
    time.sleep(orders["seconds"])
model = Path(os.environ["SM_MODEL_DIR"])
(model / "model.json").write_text(json.dumps(orders))
save_serving_code(model)
sys.exit(0)
