"""Training in rounds: what is kept of them, and what the function that judges a round answers the state machine.

A run's `rounds`, in the machine and in the record:

    {"metric", "better", "tolerance", "size": as the spec says,
     "rows": [{"round", "job", "status", "model_data", "metrics": {name: value}, "seconds", "stopped_by_rule",
               "spot"?: the job's figures}, ...],
     "ended": BY_RULE, BY_TOLERANCE or LAST, "reason": a sentence, "chosen": the round that goes to the gate}

The answer: {"next": AGAIN, EVALUATE or FAILED, "round", "rounds", "training", "failure"}.
"""

from __future__ import annotations

AGAIN, EVALUATE, FAILED = "again", "evaluate", "failed"
# Why rounds ended.
BY_RULE, BY_TOLERANCE, LAST = "rule", "tolerance", "last"
# The failure of a round whose job printed no figure by which it could be judged.
NOT_MEASURED_ERROR = "RoundNotMeasured"
