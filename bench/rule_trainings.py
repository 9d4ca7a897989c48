"""Healthy trainings and sick ones under rules; run by rules.py in an environment with torch.

    python rule_trainings.py CONFIGURATION [NAME …]

CONFIGURATION is JSON, {"rules": [{"rule", "parameters", "action"}], "probe": the probe's settings, "seeds": [numbers],
"trainings": "fitted" or "unseen"}: which of trainings_fitted.py and trainings_unseen.py. Each training is watched by
the probe as a job's is, and judged by what that saved, in the order in which it was saved.

Prints a line a training: {"name", "sick", "seed", "stopped": whether a rule with the action stop found issues, and by
what, at which step and why; "fell": by what share of its start the loss had fallen at the end; "errors": rules that
couldn't judge}.
"""

from __future__ import annotations

import sys
from pathlib import Path

# platform.py beside this file must not stand for Python's own module of that name.
sys.path[0] = str(Path(__file__).resolve().parents[1] / "training_code")

import importlib
import json
import math
import tempfile
import time
from typing import TYPE_CHECKING, Any

import torch

import toolkit  # noqa: F401 - puts the checkout on the path, after what is installed

if TYPE_CHECKING:
    from bench.trainings_kit import Training

# Of how many losses the start and the end are means.
ENDS = 20


def trained(training: Training, probe: Any) -> float:
    """Trains, watched. By what share of its start the loss fell."""
    losses = []
    rates = [group["lr"] for group in training.optimizer.param_groups]
    for step in range(training.steps):
        x, y = training.batch(step)
        if training.forgets_gradients:
            training.optimizer.zero_grad()
        for group, rate in zip(training.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * training.schedule(step)
        loss = training.loss(training.model(x), y)
        losses.append(loss.item())
        (training.sign * loss).backward()
        training.optimizer.step()
    probe.close()
    start, end = (sum(part) / ENDS for part in (losses[:ENDS], losses[-ENDS:]))
    return (start - end) / abs(start)


def judged(folder: Path, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """What the rules found: the first that stops, and those that couldn't judge."""
    from toolkit.rules.feed import Feed
    from toolkit.rules.judging import Configuration, Judge

    feed = Feed(folder)
    judges = [Judge(Configuration.of(rule), feed, time.time) for rule in rules]
    for moment in feed.moments():
        for judge in judges:
            judge.judge(moment)
    for judge in judges:
        judge.finish(feed.seen)
    found = [judge.status for judge in judges]
    stops = [status for status in found if status.status == "IssuesFound" and status.action == "stop"]
    first = min(stops, key=lambda status: status.step or 0, default=None)
    said = first and {"by": first.name, "step": first.step, "reason": first.reason}
    return {"stopped": said, "errors": {s.name: s.reason for s in found if s.status == "Error"}}


def main(configuration: dict[str, Any], names: list[str]) -> None:
    """Prints each training's verdict."""
    torch.set_num_threads(1)
    kinds = importlib.import_module(f"bench.trainings_{configuration['trainings']}")
    for sick, trainings in ((False, kinds.HEALTHY), (True, kinds.SICK)):
        for name, make in trainings.items():
            for seed in configuration["seeds"] if not names or name in names else ():
                torch.manual_seed(seed)
                found = told(make(), configuration)
                print(json.dumps({"name": name, "sick": sick, "seed": seed, **found}), flush=True)


def told(training: Training, configuration: dict[str, Any]) -> dict[str, Any]:
    """What became of one."""
    from toolkit.probe import Probe
    from toolkit.probe.settings import Settings

    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        probe = Probe(Settings.of(configuration["probe"]), folder)
        probe.watch(training.model, training.loss, training.optimizer)
        fell = trained(training, probe)
        found = judged(Path(folder), configuration["rules"])
    # JSON has no word for what isn't a number.
    return {**found, "fell": round(fell, 3) if math.isfinite(fell) else None}


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), sys.argv[2:])
