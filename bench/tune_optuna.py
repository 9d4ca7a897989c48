"""Optuna's samplers, one trial at a time, in an environment that has it: the Gaussian process needs torch.

A line of JSON {"sampler", "seed", "ranges"} begins; then {"ask": true} is answered by {"number", "values"}, and
{"tell": number, "f1": …} by nothing. Ranges are a request's ParameterRanges, and values SageMaker's strings.
"""

from __future__ import annotations

import json
import sys
import warnings

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution


def main() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    asked = json.loads(next(sys.stdin))
    sampler = getattr(optuna.samplers, asked["sampler"])(seed=asked["seed"])
    study, ranges = optuna.create_study(direction="maximize", sampler=sampler), distributions(asked["ranges"])
    for line in sys.stdin:
        asked = json.loads(line)
        if "tell" in asked:
            study.tell(asked["tell"], asked["f1"])
            continue
        trial = study.ask(ranges)
        values = {name: str(value) for name, value in trial.params.items()}
        print(json.dumps({"number": trial.number, "values": values}), flush=True)


def distributions(ranges):
    """Optuna's of a request's ranges, all of which are linear."""
    return {
        **{each["Name"]: IntDistribution(*map(int, ends(each))) for each in ranges["IntegerParameterRanges"]},
        **{each["Name"]: FloatDistribution(*map(float, ends(each))) for each in ranges["ContinuousParameterRanges"]},
        **{each["Name"]: CategoricalDistribution(each["Values"]) for each in ranges["CategoricalParameterRanges"]},
    }


def ends(each):
    return each["MinValue"], each["MaxValue"]


if __name__ == "__main__":
    main()
