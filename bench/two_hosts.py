"""prune_cnn's ResNet-18 trained by two processes beside one: the same gradient, the same accuracy, in what time.

    gradient_difference   of the first batch's gradient: the largest difference between two processes and one, in any
                          number of any parameter, by the parameter's largest; float64, in which rounding doesn't hide
                          what differs (gradient_difference_float32: the same in the precision that trains)
    accuracy_one, accuracy_two   of signs that weren't learned, the medians of the seeds
    seconds_one, seconds_two     of training, the medians

Two processes are started as SageMaker's container starts them on two hosts: a torchrun each, with `--nnodes 2`, that
meet at a port, and gloo between them. Both run on this machine: of two cores each has one, as the one process has when
it is alone. It is about the model being the same, not about time: a network this small has little to compute for what
its processes have to tell each other (twenty BatchNorms and the gradients, every step), and two take longer than one.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import json
import os
import socket
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

from bench import harness
from localaws.sagemaker.containers.images import Images

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
SCRIPT = Path(__file__).with_name("two_hosts_training.py")
SEEDS, SMALL_SEEDS = 3, 1
SETTINGS = {"width": 0.25, "learning-rate": 2e-3, "batch": 64, "epochs": 8, "pictures": 1200}
SMALL = {**SETTINGS, "width": 0.0625, "batch": 16, "epochs": 1, "pictures": 96}
ONE, TWO = 1, 2

Trained = dict[str, Any]


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """Each seed by one process and by two, in turn."""
    python = Images(harness.IMAGES).environment(IMAGE, partial(print, file=sys.stderr)).python
    found: dict[int, list[Trained]] = {ONE: [], TWO: []}
    for seed in range(SMALL_SEEDS if small else SEEDS):
        with tempfile.TemporaryDirectory() as folder:
            settings = {**(SMALL if small else SETTINGS), "seed": seed, "gradients": f"{folder}/alone.npz"}
            for hosts in (ONE, TWO):
                trained = train(str(python), hosts, settings)
                found[hosts].append(trained)
                say(f"seed {seed}, {hosts} of them: accuracy {trained['accuracy']:.4f} in {trained['seconds']:.1f} s")
    return document(found, SMALL if small else SETTINGS)


def document(found: dict[int, list[Trained]], settings: dict[str, Any]) -> harness.Document:
    """The figures, and each seed's accuracies."""
    pairs = list(zip(found[ONE], found[TWO], strict=True))
    differences = {name: max(two["difference"][name] for _, two in pairs) for name in ("float64", "float32")}
    samples = {
        f"{figure}_{word}": [each[figure] for each in found[hosts]]
        for figure in ("accuracy", "seconds")
        for word, hosts in (("one", ONE), ("two", TWO))
    }
    return {
        "figures": {
            "gradient_difference": differences["float64"],
            "gradient_difference_float32": differences["float32"],
            **{name: round(statistics.median(each), 4) for name, each in samples.items()},
        },
        "samples": samples,
        "accuracies": [[one["accuracy"], two["accuracy"]] for one, two in pairs],
        "settings": settings,
    }


def train(python: str, hosts: int, settings: dict[str, Any]) -> Trained:
    """A training by so many torchruns, a process each."""
    options = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    started = [
        subprocess.Popen(
            [*torchrun(python, hosts, number), str(SCRIPT), *options],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for number in range(hosts)
    ]
    printed = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit("a training failed; what it said stands above")
    trained: Trained = json.loads(next(line for line in printed[0].splitlines() if line.startswith("{")))
    assert trained["count"] == hosts
    return trained


def torchrun(python: str, hosts: int, number: int) -> list[str]:
    """As SageMaker Training Toolkit starts it on a host without a GPU (torch_distributed.py)."""
    meeting = ["--master_addr", "127.0.0.1", "--master_port", str(PORT), "--node_rank", str(number)]
    command = [python, "-m", "torch.distributed.run", "--nnodes", str(hosts), "--nproc_per_node", "1"]
    return [*command, *(meeting if hosts > 1 else [])]


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


PORT = free_port()


if __name__ == "__main__":
    sys.exit(harness.run("two_hosts", __doc__.partition("\n")[0], measure))
