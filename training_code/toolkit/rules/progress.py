"""Rules over the job's progress."""

from __future__ import annotations

from toolkit.probe.layout import EVAL, TRAIN
from toolkit.rules.parameters import Parameter
from toolkit.rules.rule import PAGE, Rule, Verdict


class StalledTraining(Rule):
    """Training makes no progress: no tensor has been saved for `threshold` seconds. It needs something that is saved
    more often than that; the losses are, at every step."""

    parameters = (Parameter("threshold", "number", 1800.0, "seconds without a saved tensor", minimum=0.05),)
    modes = (TRAIN, EVAL)
    source = f"{PAGE}#stalled-training"
    not_taken = {  # noqa: RUF012 - read only
        **Rule.not_taken,
        "stop_training_on_fire": "write action: stop instead",
        "training_job_name_prefix": "the rule knows its job; write action: stop instead",
    }
    threshold: float

    def evaluate(self, step: int, _mode: str) -> Verdict | None:
        self.judged(step, 0.0)
        return None

    def idle(self, step: int, seconds: float) -> Verdict | None:
        if seconds < self.threshold:
            return None
        return Verdict(step, seconds, f"nothing has been saved for {seconds:.4g} s, at least {self.threshold:g} s")
