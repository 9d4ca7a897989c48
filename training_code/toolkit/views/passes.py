"""The passes of evaluation during a training: which steps of evaluation belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.probe.trial import Trial


def evaluation_steps(trial: Trial, step: int) -> list[int]:
    """The steps, in mode EVAL, of the evaluation pass at training step `step`, else of the last one before it.

    A pass stands at the number of training steps that came before it. Empty where there was none.
    """
    passes = trial.passes()
    last = max((train_step for train_step in passes if train_step <= step), default=None)
    return [] if last is None else passes[last]
