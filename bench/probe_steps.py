"""Trains ResNet-18 on drawn numbers, with and without a hook; run by probe.py in an environment with torch.

    python probe_steps.py probe|smdebug ROUNDS STEPS FOLDER

What a hook does in a step doesn't depend on how many pictures there are, nor how large: it saves weights, gradients and
the loss. So its seconds are measured on few small pictures, where they can be told from noise, and the step's on a
usual batch. Two models of the same kind take turns, one of them watched. A round is STEPS + 1 steps of that: at the
first everything is saved, and its time includes waiting until all of it is written; at the others only the loss.

Seconds are the processor's, of all threads, since others use the machine too. The usual step's are divided by its
threads, as if these never waited for each other; the hook's are not.

Prints {"usual": [seconds], "rounds": [{"saving": seconds, "ordinary": [seconds], "unwatched": [seconds]}]}.
"""

from __future__ import annotations

import sys
from pathlib import Path

# platform.py beside this file must not stand for Python's own module of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1] / "training_code")

import json
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

USUAL, SMALL, CLASSES = (32, 3, 32, 32), (2, 3, 8, 8), 10
USUAL_STEPS, WARM_UP = 5, 3


class Block(nn.Module):
    """Two convolutions and what goes around them (He et al., arXiv:1512.03385, figure 2)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.around = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(out + self.around(x))


def resnet18() -> nn.Sequential:
    """For pictures of 32 × 32: 11.2 million parameters."""
    widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    blocks = [block for i, o, stride in widths for block in (Block(i, o, stride), Block(o, o, 1))]
    head = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    return nn.Sequential(*head, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, CLASSES))


class Training:
    """A model, its loss and optimizer, and the step that is measured."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        self.model, self.loss = resnet18(), nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.pictures, self.labels = torch.randn(shape), torch.randint(0, CLASSES, shape[:1])

    def step(self) -> float:
        """One; its seconds of processor."""
        started = time.process_time()
        self.optimizer.zero_grad()
        self.loss(self.model(self.pictures), self.labels).backward()
        self.optimizer.step()
        return time.process_time() - started


def with_probe(training: Training, interval: int, folder: Path) -> Callable[[], object]:
    """Watches; returns what waits until all is written."""
    from toolkit.probe import Probe
    from toolkit.probe.settings import Settings

    collections = {name: {"interval": interval} for name in ("weights", "biases", "gradients")}
    probe = Probe(Settings.of({"collections": collections}), folder)
    probe.watch(training.model, training.loss, training.optimizer)
    return probe.flush


def with_smdebug(training: Training, interval: int, folder: Path) -> Callable[[], object]:
    """The same collections, as its documentation says it is used without SageMaker. It writes within the step."""
    import smdebug.pytorch as smd

    hook = smd.Hook(
        out_dir=str(folder / "smdebug"),
        save_config=smd.SaveConfig(save_interval=interval),
        include_collections=["weights", "biases", "gradients", "losses"],
    )
    hook.get_collection("losses").save_config = smd.SaveConfig(save_interval=1)
    hook.register_module(training.model)
    hook.register_loss(training.loss)
    hook.set_mode(smd.modes.TRAIN)
    return lambda: None


HOOKS = {"probe": with_probe, "smdebug": with_smdebug}


def main(hook: str, rounds: int, steps: int, folder: Path) -> None:
    """The measurement."""
    usual = Training(USUAL)
    times = [usual.step() for _ in range(1 + min(USUAL_STEPS, steps))][1:]
    times = [seconds / torch.get_num_threads() for seconds in times]
    torch.set_num_threads(1)  # threads that look for work use the processor too
    unwatched, watched = Training(SMALL), Training(SMALL)
    for _ in range(WARM_UP):
        unwatched.step()
        watched.step()
    written = HOOKS[hook](watched, steps + 1, folder)
    found = []
    for _ in range(rounds):
        started = time.process_time()
        watched.step()
        written()
        saving, ordinary, plain = time.process_time() - started, [], []
        for _ in range(steps):
            ordinary.append(watched.step())
            plain.append(unwatched.step())
        found.append({"saving": saving, "ordinary": ordinary, "unwatched": plain})
    print(json.dumps({"usual": times, "rounds": found[1:]}))  # at the first, files and memory are new


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
