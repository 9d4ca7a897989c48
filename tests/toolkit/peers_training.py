"""What two processes do that train together, for check_toolkit_peers, which starts them.

They train undisturbed, then interrupted (the second process alone is told to end): a line of JSON each, {"end",
"trained": steps, "model", "noise"}. At last they train while a probe watches each, and a rule the first.
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

from contract.environment import RULES
from toolkit.checkpoint import CheckpointError, Checkpoints, peers
from toolkit.probe import Probe
from toolkit.probe.settings import Settings

STEPS, TOLD_AT = 40, 13
WATCHED_STEPS, BROKEN_AT = 8, 5


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


def watched(folder):
    """Each host has a folder of its own; the second one's share of a batch is broken."""
    rank = distributed.get_rank()
    os.environ[RULES] = json.dumps([{"rule": "ExplodingTensor", "name": "exploding", "action": "record"}])
    saved = {"collections": {"losses": {}, "gradients": {"interval": 1}}}
    probe = Probe(Settings.parse(json.dumps(saved)), folder / f"tensors-{rank}", rank)
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    together, loss = DistributedDataParallel(model), torch.nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    probe.watch(model, loss=loss, optimizer=optimizer)
    for step in range(WATCHED_STEPS):
        share = torch.full((4, 4), float(1 + rank))
        if rank == 1 and step == BROKEN_AT:
            share[0] = float("nan")
        optimizer.zero_grad()
        loss(together(share), torch.zeros(4, 1)).backward()
        optimizer.step()
    probe.close()


def main(folder):
    distributed.init_process_group("gloo")
    peers.SECONDS = 0.01  # a few steps
    train(folder / "whole")
    train(folder / "cut", told_at=TOLD_AT)
    train(folder / "cut")
    watched(folder)
    if distributed.get_rank() == 1:
        folder = folder / "elsewhere"
    try:
        train(folder / "whole")
    except CheckpointError as error:
        print(json.dumps({"refused": str(error)}), flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
