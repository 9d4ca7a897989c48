"""The backbone of bench/detector.py: training_code/cifar_subset's network on a file of pictures, kept in a folder.

It learns from the training pictures, a tenth of which judge the epochs; prints what it comes to on those, a line of
JSON. The pictures that the file holds out aren't touched.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / "training_code" / "cifar_subset"
KNOBS = {"method": "full", "fraction": "1", "width": "16", "stride": "2", "epochs": "20"}
SMALL = {"width": "4", "epochs": "1"}
FEW = 400  # pictures of the small size
ACCURACY = re.compile(r"validation:accuracy=([0-9.]+)")


def main():
    args = parse_arguments()
    began = time.monotonic()
    args.to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.to.parent) as folder:
        write(args, Path(folder, "train"))
        variables = {**os.environ, "PYTHONPATH": str(FOLDER.parent), "RATCHET_TENSORS": str(Path(folder, "tensors"))}
        done = subprocess.run(
            command(args, Path(folder)), env=variables, stdout=subprocess.PIPE, text=True, check=False
        )
        sys.stderr.write(done.stdout)
        if done.returncode:
            raise SystemExit(f"cifar_subset's train.py ended with exit code {done.returncode}")
        # At once: what lies there is taken for whole.
        Path(folder, "model").rename(args.to)
    accuracy = float(ACCURACY.findall(done.stdout)[-1])
    print(json.dumps({"seconds": round(time.monotonic() - began), "accuracy": accuracy}))


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="x_train, y_train and classes in an npz file")
    parser.add_argument("--to", type=Path, required=True, help="the folder in which the weights are kept")
    parser.add_argument("--small", action="store_true", help="few pictures, one epoch, a narrow network")
    return parser.parse_args()


def write(args, folder):
    """The channel `train`, in the format of cifar_subset's pictures.py."""
    folder.mkdir()
    most = FEW if args.small else None
    with np.load(args.data) as file:
        names = file["classes"].astype(str)
        np.savez(folder / "pictures.npz", X=file["x_train"][:most], y=names[file["y_train"][:most]])


def command(args, folder):
    """train.py with its hyperparameters."""
    knobs = {**KNOBS, **(SMALL if args.small else {})}
    told = [part for name, value in knobs.items() for part in (f"--{name}", value)]
    return [sys.executable, str(FOLDER / "train.py"), "--train", str(folder / "train"), "--model-dir",
            str(folder / "model"), *told]  # fmt: skip


if __name__ == "__main__":
    main()
