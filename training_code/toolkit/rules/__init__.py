"""Rules over the tensors of a training job: they judge it while it runs, and say when something is wrong.

`python -m toolkit.rules` is the process that judges, beside the training; the probe starts it. See rule.py for a rule
of your own, docs/rules.md for those that are built in.
"""

from toolkit.probe.layout import EVAL, TRAIN
from toolkit.rules.parameters import Parameter, RuleError
from toolkit.rules.rule import Rule, Selection, Verdict

__all__ = ["EVAL", "TRAIN", "Parameter", "Rule", "RuleError", "Selection", "Verdict"]
