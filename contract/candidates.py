"""Candidates: scripts or hyperparameters that one run trains side by side, of whose models the best goes to the gate.

The machine's variable CANDIDATES, a list in their order: {"candidate": its name, "job", "training": as of any training
job, or null, "wrong": {"error", "cause"} of a job that failed, was stopped or wasn't even begun, or null}.

evaluation.json then is that of the best of them, with {CANDIDATE: its name, CANDIDATES: [each, in their order]}; the
record has the list with what the jobs were:

    {"candidate", "job", "status", "seconds", "instance", "entry", "hyperparameters", "metrics", "spot"?, "stopped_by"?,
     "score", "interval", "difference", "difference_interval": what it was judged, against the champion where there is
     one, or "cannot_answer": why it wasn't, or "failure": why there is no model}
"""

from __future__ import annotations

CANDIDATES, CANDIDATE = "candidates", "candidate"
LEAST, MOST = 2, 5
# What the evaluation job's inputs are called before a candidate's name.
INPUT = "candidate-"


def confidence_of_each(confidence: float, count: int) -> float:
    """The confidence of each candidate's intervals, so that those of all `count` together hold with `confidence`.

    1 - (1 - confidence) / count: Bonferroni's correction for several comparisons of which the best is taken
    (O. J. Dunn, "Multiple Comparisons among Means", Journal of the American Statistical Association 56, 1961).
    """
    return 1 - (1 - confidence) / count
