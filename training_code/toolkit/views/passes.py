"""The passes of evaluation during a training: which steps of evaluation belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.probe.errors import NotSavedError

if TYPE_CHECKING:
    from toolkit.probe.trial import Trial


def evaluation_steps(trial: Trial, step: int) -> list[int]:
    """The steps, in mode EVAL, of the evaluation pass at training step `step`, else of the last one before it.

    A pass stands at the number of training steps that came before it.

    Raises:
        NotSavedError: there was none until then.
    """
    passes = trial.passes()
    last = max((train_step for train_step in passes if train_step <= step), default=None)
    if last is None:
        raise NotSavedError(
            f"there was no evaluation until step {step}: nothing was saved in mode eval ({trial.where})"
        )
    return passes[last]
