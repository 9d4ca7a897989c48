"""Checkpoints of boosting (aws/sagemaker-xgboost-container, checkpointing.py): a model a round, the last five kept."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import xgboost as xgb

CHECKPOINT_FILENAME = "xgboost-checkpoint"
_CHECKPOINT = re.compile(rf"{CHECKPOINT_FILENAME}\.([0-9]+)")


def train(train_args: dict[str, Any], checkpoint_dir: str) -> xgb.Booster:
    """`xgboost.train` that goes on from the last checkpoint and saves one every round."""
    arguments = dict(train_args)
    model, start = load_checkpoint(checkpoint_dir)
    arguments["num_boost_round"] = arguments.get("num_boost_round", 10) - start
    if model is not None:
        logging.info("Checkpoint loaded from %s", model)
        logging.info("Resuming from iteration %s", start)
    callbacks = [*arguments.get("callbacks", []), save_checkpoint(checkpoint_dir, start_iteration=start)]
    return xgb.train(**{**arguments, "verbose_eval": False, "xgb_model": model, "callbacks": callbacks})


def load_checkpoint(checkpoint_dir: str | None, max_try: int = 5) -> tuple[str | None, int]:
    """The last checkpoint's path and the rounds that are done; (None, 0) where there is none."""
    del max_try  # AWS's never tries a second time
    found = _checkpoints(checkpoint_dir)
    if not found:
        return None, 0
    done = max(found)
    return str(found[done]), done + 1


def save_checkpoint(
    checkpoint_dir: str, start_iteration: int = 0, max_to_keep: int = 5, **_unused: Any
) -> SaveCheckpointCallBack:
    """A callback that saves a checkpoint every round."""
    return SaveCheckpointCallBack(checkpoint_dir, start_iteration, max_to_keep)


class SaveCheckpointCallBack(xgb.callback.TrainingCallback):  # type: ignore[misc]
    """Saves the model of every round as ``xgboost-checkpoint.<round>``, and removes the old ones."""

    def __init__(self, checkpoint_dir: str, start_iteration: int = 0, max_to_keep: int = 5) -> None:
        self.checkpoint_dir = checkpoint_dir
        self.start_iteration = start_iteration
        self.max_to_keep = max_to_keep
        Path(checkpoint_dir).mkdir(parents=True, exist_ok=True)

    def format_path(self, iteration: int) -> str:
        """The file of a round."""
        return str(Path(self.checkpoint_dir) / f"{CHECKPOINT_FILENAME}.{iteration}")

    def after_iteration(self, model: xgb.Booster, epoch: int = 0, evals_log: Any = None) -> bool:
        """Save the round's model; False, since training goes on."""
        del evals_log
        iteration = self.start_iteration + epoch
        partial = Path(self.checkpoint_dir) / f"partial-{iteration}.ubj"
        model.save_model(partial)
        partial.replace(self.format_path(iteration))
        found = _checkpoints(self.checkpoint_dir)
        for old in sorted(found)[: -self.max_to_keep]:
            found[old].unlink()
        return False


def _checkpoints(directory: str | None) -> dict[int, Path]:
    if directory is None or not Path(directory).is_dir():
        return {}
    matches = {path: _CHECKPOINT.fullmatch(path.name) for path in Path(directory).iterdir()}
    return {int(match[1]): path for path, match in matches.items() if match}
