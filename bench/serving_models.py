"""The models that bench/serving.py serves: trained by their own train.py, each a folder as SageMaker unpacks it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from image_uris import PYTORCH, SKLEARN

from bench import harness
from bench.answering import ONE_THREAD
from bench.serving_servers import Served
from demo import data
from localaws.sagemaker.containers.images import Images

QUESTIONS = 16
PIXELS = 32 * 32 * 3
NET, INFERENCE = "prune_cnn", PYTORCH.replace("training", "inference")
_NET = """
import sys
import network, torch, weights
from toolkit.serving import save_serving_code
torch.manual_seed(0)
arch = network.architecture("resnet18", 43, size=32, width=0.25)
weights.save(sys.argv[1], arch, network.build(arch).state_dict())
save_serving_code(sys.argv[1], sys.argv[2])
"""
_ANSWERS = """
import json, sys
folder, bodies = sys.argv[1], json.load(sys.stdin)
sys.path.insert(0, folder + "/code")
import serve
model = serve.model_fn(folder)
KIND = "application/json"
answer = lambda body: serve.output_fn(serve.predict_fn(serve.input_fn(body, KIND), model), KIND)[0]
print(json.dumps({body: json.dumps(json.loads(answer(body))[0]) for body in bodies}))
"""


def forest(folder: Path) -> Served:
    """The demo's forest."""
    digits = data.digit_batches()
    return _trained(folder, "digits_forest", {"few": digits["few"], "many": digits["many"]}, digits["held_out"])


def tree(folder: Path) -> Served:
    """The iris tree, which takes no time itself."""
    irises = data.iris_batches()
    return _trained(folder, "iris_tree", {"flowers": irises["flowers"]}, irises["held_out"])


def net(folder: Path) -> Served:
    """The PyTorch network of prune_cnn, as it begins to train, which takes as long as one that has learned."""
    image = Images(harness.IMAGES).environment(INFERENCE, lambda _line: None)
    code, model = harness.ROOT / "training_code", folder / "prune_cnn"
    model.mkdir()
    variables = {"PYTHONPATH": f"{code / NET}:{code}", **ONE_THREAD}
    subprocess.run([str(image.python), "-c", _NET, str(model), str(code / NET)], check=True, env=variables)
    pictures = [[str(hash((picture, pixel)) % 256) for pixel in range(PIXELS)] for picture in range(QUESTIONS)]
    return _asked(Served(model, image.python, {}, INFERENCE, image.variables), pictures)


def _trained(folder: Path, name: str, files: Mapping[str, Sequence[data.Row]], questions: Sequence[data.Row]) -> Served:
    image = Images(harness.IMAGES).environment(SKLEARN, lambda _line: None)
    code, train, model = harness.ROOT / "training_code", folder / f"{name}-train", folder / name
    train.mkdir()
    for file, rows in files.items():
        (train / f"{file}.csv").write_text(data.csv_text(rows))
    command = [str(image.python), str(code / name / "train.py"), "--train", str(train), "--model-dir", str(model)]
    variables = {"PYTHONPATH": str(code), **ONE_THREAD}
    subprocess.run(command, check=True, capture_output=True, env=variables)
    return _asked(Served(model, image.python, {}, SKLEARN, image.variables), [row[1:] for row in questions])


def _asked(served: Served, rows: Sequence[Sequence[str]]) -> Served:
    """The model with its answers to some rows of numbers, asked in a process of its own."""
    bodies = [f"[[{', '.join(row)}]]" for row in rows[:QUESTIONS]]
    told = subprocess.run(
        [str(served.python), "-c", _ANSWERS, str(served.folder)],
        check=True,
        input=json.dumps(bodies),
        stdout=subprocess.PIPE,
        text=True,
        env=ONE_THREAD,
    )
    return replace(served, answers=json.loads(told.stdout))
