"""One series of pruning rounds a rank, all from the same trained network. Runs where torch is; prune.py starts it.

A line of JSON a round: {"network", "width", "rank", "seed", "round", "parameters", "validation", "test", "latency_ms",
"seconds", "stopped_by": a sentence of the rule that has stopped the round, or null}. Rounds are judged by a part of the
training pictures; the test pictures are only looked at.

A series ends when the toolkit's AccuracyDrop finds issues in a round, by what the probe saves of it: from the second
half of its epochs on, validation accuracy may not be more than `--leave` below the unpruned network's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "training_code" / "prune_cnn"
# In the place of this folder, which has a platform.py that must not stand for Python's own.
sys.path[0:1] = [str(FOLDER), str(FOLDER.parent), str(FOLDER.parents[1])]

import learning  # noqa: E402
import network  # noqa: E402
import numpy as np  # noqa: E402
import pictures  # noqa: E402
import prune  # noqa: E402
import ranks  # noqa: E402
import torch  # noqa: E402

from contract.verdicts import ISSUES_FOUND  # noqa: E402
from toolkit.probe import Probe  # noqa: E402
from toolkit.rules.feed import Feed  # noqa: E402
from toolkit.rules.judging import Configuration, Judge  # noqa: E402

SIZE = 32


def main() -> None:
    options = parsed()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    data = Data(options)
    base = network.build(network.architecture(options.network, data.classes, width=options.width)).to(options.device)
    arch = network.architecture(options.network, data.classes, width=options.width)
    seen = trained(base, arch, data, options)
    first = measured(base, data)
    told(options, "unpruned", 1, base, {**first, "stopped_by": None})
    state = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    start = Start(state, arch, seen, first["validation"])
    for rank in options.ranks.split(","):
        series(rank, start, data, options)


@dataclass(frozen=True)
class Start:
    """What every series begins with: the trained network, what its units did, how good it is."""

    state: dict[str, Any]
    arch: Any
    seen: dict[str, list[Any]]
    validation: float


class Data:
    """Pictures in three parts: to learn from, to judge rounds by, and the test set."""

    def __init__(self, options: argparse.Namespace) -> None:
        with np.load(options.data, allow_pickle=False) as file:
            images, labels = file["x_train"], file["y_train"].astype(np.int64)
            self.test = file["x_test"], file["y_test"].astype(np.int64)
        learned, judged = pictures.split(labels, validation=options.validation, seed=options.seed)
        self.learned = images[learned], labels[learned]
        self.judged = images[judged], labels[judged]
        self.classes = int(labels.max()) + 1


class StoppedByRuleError(Exception):
    """The rule has found issues in a round, for this reason."""


class Judged:
    """A round whose validation accuracy is judged epoch by epoch; its `after_epoch` raises StoppedByRuleError."""

    def __init__(self, folder: Path, model: Any, data: Data, baseline: float, options: argparse.Namespace) -> None:
        self._model, self._data = model, data
        self._probe = Probe(directory=folder)
        parameters = {"baseline": baseline, "threshold": options.leave, "grace_epochs": options.epochs // 2}
        self._feed = Feed(folder)
        self._judge = Judge(Configuration("AccuracyDrop", "AccuracyDrop", parameters), self._feed, time.time)

    def after_epoch(self, epoch: int) -> None:
        with self._probe.mode("eval"):
            self._probe.scalar("validation/accuracy", learning.accuracy(self._model, *self._data.judged))
        # A step of training ends the pass.
        self._probe.scalar("epoch", epoch)
        self._probe.step()
        self._probe.flush()
        for moment in self._feed.moments():
            self._judge.judge(moment)
        status = self._judge.status
        if status.status == ISSUES_FOUND:
            raise StoppedByRuleError(f"{status.name}: {status.reason}")
        if status.ended:
            raise SystemExit(f"{status.name} couldn't judge: {status.reason}")

    def close(self) -> None:
        self._probe.close()


def series(rank: str, start: Start, data: Data, options: argparse.Namespace) -> None:
    """Rounds by one rank, until the rule stops one."""
    state, arch, seen = start.state, start.arch, start.seen
    for number in range(2, options.rounds + 2):
        scores = ranks.scores(rank, arch, state, seen)
        kept = prune.select(scores, arch, fraction=options.fraction, floor=options.floor)
        state, arch = prune.prune({name: tensor.cpu() for name, tensor in state.items()}, arch, kept)
        model = network.build(arch)
        model.load_state_dict(state)
        model.to(options.device)
        stopped_by = None
        with tempfile.TemporaryDirectory() as folder:
            judged = Judged(Path(folder), model, data, start.validation, options)
            try:
                seen = trained(model, arch, data, options, judged)
            except StoppedByRuleError as error:
                stopped_by = str(error)
            finally:
                judged.close()
        state = model.state_dict()
        told(options, rank, number, model, {**measured(model, data), "stopped_by": stopped_by})
        if stopped_by:
            return


def trained(
    model: Any, arch: Any, data: Data, options: argparse.Namespace, judged: Judged | None = None
) -> dict[str, list[Any]]:
    """Trains an unpruned network, or a round that is judged; returns what the hooks saw."""
    seen: dict[str, list[Any]] = {}

    def keep(name: str, vector: Any) -> None:
        seen.setdefault(name, []).append(vector.cpu().clone())

    watcher = ranks.Watcher(model, arch, keep)
    recipe = learning.Recipe(
        options.epochs if judged else options.first_epochs,
        options.learning_rate,
        batch=options.batch,
        seed=options.seed,
        precision=options.precision,
    )
    try:
        for epoch in learning.Training(model, recipe).epochs(data.learned, watcher):
            if judged:
                judged.after_epoch(epoch)
    finally:
        watcher.close()
    return seen


def measured(model: Any, data: Data) -> dict[str, Any]:
    """Accuracies, 0 to 1."""
    pictures_of = {"validation": data.judged, "test": data.test}
    return {name: round(learning.accuracy(model, *part), 4) for name, part in pictures_of.items()}


def told(options: argparse.Namespace, rank: str, number: int, model: Any, found: dict[str, Any]) -> None:
    row = {
        "network": options.network,
        "width": options.width,
        "rank": rank,
        "seed": options.seed,
        "round": number,
        "parameters": network.parameters(model),
        **found,
        "latency_ms": round(learning.latency(model, SIZE), 3),
        "seconds": round(time.monotonic() - STARTED, 1),
    }
    print(json.dumps(row), flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--network", required=True)
    parser.add_argument("--ranks", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=learning.PRECISIONS)
    for name in ("width", "fraction", "floor", "leave", "learning-rate", "validation"):
        parser.add_argument(f"--{name}", type=float, required=True)
    for name in ("seed", "rounds", "first-epochs", "epochs", "batch", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    STARTED = time.monotonic()
    main()
