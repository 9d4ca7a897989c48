"""Tuning: what the planner and the judge of trials tell the state machine, and what is kept of a run that tuned.

plan["tuning"], where the run tunes:

    {"job": the tuning job, "because": why the run tunes, "ranges": ParameterRanges,
     "warm_start"?: WarmStartConfig, "parents"?: the parents' names, "left_out"?: {tuning job: why it is no parent},
     "refined"?: the hyperparameters whose ranges are narrower than the spec's, "folder": the run in whose folder its
     trials write, "made_from", "manifests": what makes it identical to another, ADOPTED?: true, where it is there
     already, of a run that was cut off}

plan["tuned"], where it doesn't: the values of the tuned hyperparameters that it trains with, and plan["untuned"]: why.

A run's `tuning`, in the machine and in the record; trials.json has it with "trials", all of them, and so has the record
as far as its item holds them:

    {"job", "because", "parents"?, "refined"?, "metric", "better": GREATER or LESS, "status", "counters", "seconds"?,
     "best"?: a trial}
    a trial: {"number", "job", "status", "objective"?, "values": {hyperparameter: text}, "seconds"?, "reason"?,
              "stopped_by"?: the rule that stopped it}

The judge's answer: {"next": EVALUATE or FAILED, "training", "tuning", "tuned", "failure"}.
"""

from __future__ import annotations

EVALUATE, FAILED = "evaluate", "failed"
GREATER, LESS = "greater", "less"

# Parts of a plan, and of the machine's variables.
TUNING, TUNED, UNTUNED = "tuning", "tuned", "untuned"
ADOPTED = "adopted"

# The failures of tuning jobs that have left no model to judge.
NO_TRIAL_ERROR = "NoTrialSucceeded"
