"""A training by two processes, undisturbed and then interrupted; check_checkpoint_peers starts it.

Prints a line of JSON for each: {"end", "trained": steps, "model", "noise"}. The second process alone is told to end.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from toolkit.checkpoint import CheckpointError, Checkpoints, peers

STEPS, TOLD_AT = 40, 13


def train(folder, told_at=None):
    torch.manual_seed(distributed.get_rank())  # dropout is each process's own
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
    together = DistributedDataParallel(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    noise = np.random.default_rng(distributed.get_rank())
    trained, end = [], "done"
    try:
        parts = {"model": model, "optimizer": optimizer, "noise": noise}
        for step in Checkpoints(every=7, folder=folder, **parts).steps(STEPS):
            examples = torch.from_numpy(noise.normal(size=(8, 4)).astype("f4"))
            loss = together(examples).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            trained.append(step)
            if step == told_at and distributed.get_rank() == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.002)
    except SystemExit as error:
        end = error.code
    weights = {name: value.tolist() for name, value in model.state_dict().items()}
    print(json.dumps({"end": end, "trained": trained, "model": weights, "noise": noise.random()}), flush=True)


def main(folder):
    distributed.init_process_group("gloo")
    peers.SECONDS = 0.01  # a few steps
    train(folder / "whole")
    train(folder / "cut", told_at=TOLD_AT)
    train(folder / "cut")
    if distributed.get_rank() == 1:
        folder = folder / "elsewhere"
    try:
        train(folder / "whole")
    except CheckpointError as error:
        print(json.dumps({"refused": str(error)}), flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
