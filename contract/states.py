"""The states of a run that people know, in the order of the story, and the errors by which a run ends.

A run's record, its live view and its diagram name them. The machine's other states are repairs and choices.
"""

from __future__ import annotations

MILESTONES = (
    SETTLE,
    PLAN,
    TUNE,
    TRAIN,
    COMPILE,
    EVALUATE,
    GATE,
    REGISTER,
    APPROVE,
    DEPLOY,
    SHADOW,
    COMPARE,
    VERIFY,
    ANSWER,
    RECORD,
) = (
    "Settle",
    "Plan",
    "Tune",
    "Train",
    "Compile",
    "Evaluate",
    "Gate",
    "Register",
    "Approve",
    "Deploy",
    "Shadow",
    "Compare",
    "Verify",
    "Answer",
    "Record",
)

# The training job of one of several candidates, within TRAIN.
TRAIN_CANDIDATE = "TrainCandidate"
# The transform jobs in which the models of an image of one's own answer, before EVALUATE.
ASK_CHALLENGER, ASK_CHAMPION = "AskChallenger", "AskChampion"
UNDO, REPAIR = "Undo", "Repair"
# Where a run ends that leaves a champion serving, and an endpoint that is scaled.
AUTOSCALE = "Autoscale"
NOT_RECORDED = "NotRecorded"
# A run goes there when something went wrong. From anywhere else it goes on: the error was an answer, such as
# "there is no such endpoint yet".
REPAIRS = (RECORD, UNDO, AUTOSCALE, NOT_RECORDED)

# The variables of a run's machine; each step fills its own, and the recorder gets them all.
VARIABLES = (
    "run",
    "plan",
    "training",
    "evaluation",
    "decision",
    "package",
    "candidate",
    "deployment",
    "verification",
    "repaired",
    "failure",
    "outcome",
)

# An error of our functions that another try may mend; the machine tries again.
BUSY_ERROR = "BusyError"
