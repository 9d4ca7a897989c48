"""Syne Tune, in an environment that has it: its searchers one trial at a time, or its local backend on a script.

    python -P tune_syne.py search       a line of JSON {"searcher", "seed", "ranges"} begins; then {"ask": true} is
                                        answered by {"number", "values"}, and {"tell": number, "f1": …} by nothing
    python -P tune_syne.py run          a line of JSON {"script", "trials", "workers", "sleep"}: the local backend runs
                                        random trials of a script that reports its f1; answered by {"seconds", "trials"}

Ranges are a request's ParameterRanges, and values SageMaker's strings, as those of the others.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time

from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import choice, randint, uniform
from syne_tune.optimizer.baselines import BORE, RandomSearch
from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler


def main() -> None:
    logging.disable(logging.INFO)
    lines, answers = sys.stdin, sys.stdout
    # What Syne Tune prints isn't an answer.
    with contextlib.redirect_stdout(sys.stderr):
        {"search": search, "run": run}[sys.argv[1]](lines, answers)


def search(lines, answers):
    begun, trials = json.loads(next(lines)), {}
    asking = AskTellScheduler(scheduler(begun["searcher"], space(begun["ranges"]), begun["seed"]))
    for line in lines:
        asked = json.loads(line)
        if "tell" in asked:
            asking.tell(trials[asked["tell"]], {"f1": asked["f1"]})
            continue
        trial = asking.ask()
        trials[trial.trial_id] = trial
        values = {name: str(value) for name, value in trial.config.items()}
        print(json.dumps({"number": trial.trial_id, "values": values}), file=answers, flush=True)


def run(lines, answers):
    asked = json.loads(next(lines))
    started = time.perf_counter()
    tuner = Tuner(
        trial_backend=LocalBackend(asked["script"]),
        scheduler=scheduler("RandomSearch", {"x": uniform(0, 1)}, 0),
        # It stops to start trials once more have been started than this.
        stop_criterion=StoppingCriterion(max_num_trials_started=asked["trials"] - 1),
        n_workers=asked["workers"],
        sleep_time=asked["sleep"],
        wait_trial_completion_when_stopping=True,
    )
    tuner.run()
    found = {"seconds": time.perf_counter() - started, "trials": tuner.tuning_status.num_trials_started}
    print(json.dumps(found), file=answers, flush=True)


def scheduler(searcher, config_space, seed):
    if searcher == "BORE":
        return BORE(config_space, metric="f1", do_minimize=False, random_seed=seed)
    return RandomSearch(config_space, metrics=["f1"], do_minimize=False, random_seed=seed)


def space(ranges):
    """Syne Tune's space of a request's ranges, all of which are linear."""
    return {
        **{each["Name"]: randint(*whole(each)) for each in ranges.get("IntegerParameterRanges", ())},
        **{each["Name"]: uniform(*ends(each)) for each in ranges.get("ContinuousParameterRanges", ())},
        **{each["Name"]: choice(each["Values"]) for each in ranges.get("CategoricalParameterRanges", ())},
    }


def ends(each):
    return float(each["MinValue"]), float(each["MaxValue"])


def whole(each):
    return int(each["MinValue"]), int(each["MaxValue"])


if __name__ == "__main__":
    main()
