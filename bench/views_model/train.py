"""Trains ResNet-18 on drawn numbers, with the probe alone or with views beside it; run by probe.py where torch is.

    python train.py none|five|slow STEPS FOLDER

The training has one core, and the views another. They are five every 50 steps: losses, histograms and norms, which come
with the toolkit, and two that compute (views.py); `slow` is one that sleeps for ten seconds. The probe saves the same
in all three.

Prints {"processor": seconds of the training's process, "wall": seconds of the same steps, "steps": [seconds each],
"close": seconds until the probe was closed, "beside": the processor's seconds of the views, "pictures": how many}.
"""

from __future__ import annotations

import importlib.util
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

BENCH = Path(__file__).resolve().parents[1]
EVERY, PICTURES = 50, (8, 3, 16, 16)
VIEWS: dict[str, list[dict[str, Any]]] = {
    "none": [],
    "five": [{"view": view, "every": EVERY} for view in ("losses", "histograms", "norms", "components", "channels")],
    "slow": [{"view": "sleeps", "every": EVERY}],
}
COLLECTIONS = {
    "weights": {"interval": EVERY, "reductions": ["norm", "histogram"]},
    "gradients": {"interval": EVERY, "reductions": ["norm"]},
    "stem": {"include": ["^2/output$"], "interval": EVERY},
}


def training() -> Any:
    """The network of the probe's benchmark, and its step."""
    spec = importlib.util.spec_from_file_location("probe_steps", BENCH / "probe_steps.py")
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.path.insert(0, "")  # the place where it puts the toolkit's
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    module.torch.set_num_threads(1)
    return module.Training(PICTURES)


def on_one_core() -> None:
    """Leaves the other cores to the views, which have started with all."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:1])


def main(views: str, steps: int, folder: Path) -> None:
    """One training."""
    trained = training()
    os.environ["RATCHET_VIEWS"] = json.dumps(VIEWS[views])
    from toolkit.probe import Probe
    from toolkit.probe.settings import Settings

    probe = Probe(Settings.of({"collections": COLLECTIONS}), folder / "tensors")
    probe.watch(trained.model, trained.loss, trained.optimizer)
    on_one_core()
    times, wall, processor = [], time.perf_counter(), time.process_time()
    for _ in range(steps):
        started = time.perf_counter()
        trained.step()
        times.append(time.perf_counter() - started)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    closing = time.perf_counter()
    probe.close()
    closing = time.perf_counter() - closing
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    pictures = [path for path in (folder / "tensors").glob("views/*/*") if not path.name.startswith(".")]
    found = {"processor": processor, "wall": wall, "steps": times, "close": closing, "pictures": len(pictures)}
    print(json.dumps({**found, "beside": used.ru_utime + used.ru_stime}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
