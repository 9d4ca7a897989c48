"""The models that bench/serving.py serves: trained by their own train.py, each a folder as SageMaker unpacks it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from image_uris import SKLEARN

from bench import harness
from bench.answering import ONE_THREAD
from bench.serving_servers import Served
from demo import data
from localaws.sagemaker.containers.images import Images

QUESTIONS = 16
_ANSWERS = """
import json, sys
folder, bodies = sys.argv[1], json.load(sys.stdin)
sys.path.insert(0, folder + "/code")
import serve
model = serve.model_fn(folder)
answer = lambda body: serve.output_fn(serve.predict_fn(serve.input_fn(body, "text/csv"), model), "text/csv")[0]
print(json.dumps({body: answer(body) for body in bodies}))
"""


def forest(folder: Path) -> Served:
    """The demo's forest."""
    digits = data.digit_batches()
    return _trained(folder, "digits_forest", {"few": digits["few"], "many": digits["many"]}, digits["held_out"])


def tree(folder: Path) -> Served:
    """The iris tree, which takes no time itself."""
    irises = data.iris_batches()
    return _trained(folder, "iris_tree", {"flowers": irises["flowers"]}, irises["held_out"])


def _trained(folder: Path, name: str, files: Mapping[str, Sequence[data.Row]], questions: Sequence[data.Row]) -> Served:
    python = Images(harness.IMAGES).environment(SKLEARN, lambda _line: None).python
    code, train, model = harness.ROOT / "training_code", folder / f"{name}-train", folder / name
    train.mkdir()
    for file, rows in files.items():
        (train / f"{file}.csv").write_text(data.csv_text(rows))
    command = [str(python), str(code / name / "train.py"), "--train", str(train), "--model-dir", str(model)]
    variables = {"PYTHONPATH": str(code), **ONE_THREAD}
    subprocess.run(command, check=True, capture_output=True, env=variables)
    bodies = json.dumps([",".join(row[1:]) for row in questions[:QUESTIONS]])
    asked = [str(python), "-c", _ANSWERS, str(model)]
    told = subprocess.run(asked, check=True, input=bodies, stdout=subprocess.PIPE, text=True, env=variables)
    return Served(model, python, json.loads(told.stdout))
