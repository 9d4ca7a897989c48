"""One training of bench/detector.py, run where PyTorch and the model's requirements are: a line of JSON.

map50, map   mean average precision of what serve.py answers to the held-out pictures, at 0.5 and from 0.5 to 0.95
classes      each class's at 0.5
seconds      of the training
left_out     boxes and pictures that train.py couldn't use
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "training_code" / "detector"
sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]

import detection_metrics  # noqa: E402
import pictures  # noqa: E402
import serve  # noqa: E402
import torch  # noqa: E402

SMALL = {"size": "64", "epochs": "1"}


def main():
    args = parse_arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(args.data) as archive:
            archive.extractall(folder, filter="data")
        left_out = len(pictures.load(Path(folder, "train")).left_out)
        began = time.monotonic()
        done = subprocess.run(command(args, Path(folder)), env=environment(folder), stdout=sys.stderr, check=False)
        if done.returncode:
            raise SystemExit(f"train.py ended with exit code {done.returncode}")
        seconds = time.monotonic() - began
        found = judged(Path(folder))
    print(json.dumps({"seconds": round(seconds), "left_out": left_out, **found}))


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="train/ and test/ in a tar file")
    parser.add_argument("--knobs", type=json.loads, default={}, help="train.py's hyperparameters, as JSON")
    parser.add_argument("--pretrained", type=Path, help="the folder of a pretrained backbone")
    parser.add_argument("--small", action="store_true", help="one epoch of small pictures")
    return parser.parse_args()


def command(args, folder):
    """train.py with its hyperparameters."""
    knobs = {**args.knobs, **(SMALL if args.small else {})}
    told = [part for name, value in knobs.items() for part in (f"--{name}", value)]
    begins = ["--pretrained", str(args.pretrained)] if args.pretrained else []
    folders = ["--train", str(folder / "train"), "--model-dir", str(folder / "model")]
    return [sys.executable, str(FOLDER / "train.py"), *folders, *begins, *told]


def environment(folder):
    """Without what a caller's own job would have said of a probe."""
    return {**os.environ, "PYTHONPATH": str(FOLDER.parent), "RATCHET_TENSORS": str(Path(folder, "tensors"))}


def judged(folder):
    """What serve.py's functions answer to the held-out pictures."""
    model = serve.model_fn(folder / "model")
    truths, answers = [], []
    for body, content_type, truth in serve.heldout_fn(folder / "test"):
        text, _ = serve.output_fn(serve.predict_fn(serve.input_fn(body, content_type), model), serve.CSV)
        truths.append(truth)
        answers.append(json.loads(text))
    return {
        "map50": detection_metrics.map50(truths, answers),
        "map": detection_metrics.map50_95(truths, answers),
        "classes": detection_metrics.class_precisions(truths, answers),
        "pictures": len(truths),
    }


if __name__ == "__main__":
    main()
