"""A training that takes no time: what is left of a run is the platform's."""

import os
from pathlib import Path

from toolkit.serving import save_serving_code

folder = Path(os.environ["SM_MODEL_DIR"])
rows = [line for path in Path(os.environ["SM_CHANNEL_TRAIN"]).iterdir() for line in path.read_text().splitlines()]
(folder / "model.txt").write_text(str(len(rows)))
save_serving_code(folder)
