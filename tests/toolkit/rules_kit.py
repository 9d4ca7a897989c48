"""A job's tensors in memory, for the rules' own tests: what a Feed gives, without files."""

import itertools
import time

import numpy as np

from toolkit.probe.errors import NotSavedError
from toolkit.rules.feed import Moment
from toolkit.rules.judging import Configuration, Judge
from toolkit.rules.rule import Saved

COLLECTIONS = {
    "weight": "weights",
    "gradient": "gradients",
    "loss": "losses",
    "label": "labels",
    "prediction": "predictions",
    "tree": "trees",
}


class Job:
    """Tensors by name at (step, mode), in the order in which they are saved."""

    def __init__(self):
        self.order, self.tensors, self.reduced = [], {}, {}

    def save(self, step, mode="TRAIN", **tensors):
        """A step's tensors: kind__name=value, with __ for each / of the name."""
        self.save_named(step, mode, {name.partition("__")[2].replace("__", "/"): v for name, v in tensors.items()},
                        kinds=[name.partition("__")[0] for name in tensors])  # fmt: skip
        return self

    def save_named(self, step, mode, tensors, kinds, layer=None):
        saved = []
        for (name, value), kind in zip(tensors.items(), kinds, strict=True):
            self.tensors[name, step, mode] = np.asarray(value)
            collection = COLLECTIONS.get(kind)
            saved.append(Saved(name, kind, (collection,) if collection else (), layer=layer))
        self.order.append(Moment(step, mode, tuple(saved), float(step)))

    def save_reduced(self, step, name, reduction, value, mode="TRAIN"):
        """A tensor of the last moment of which only a reduction was saved."""
        self.reduced[name, step, reduction] = value
        last = self.order.pop()
        self.order.append(Moment(step, mode, (*last.saved, Saved(name, "tensor", whole=False)), float(step)))

    def at(self, step, mode):
        return next((m.saved for m in reversed(self.order) if (m.step, m.mode) == (step, mode)), ())

    def value(self, name, step, mode="TRAIN"):
        try:
            return self.tensors[name, step, mode]
        except KeyError:
            raise NotSavedError(f"{name} isn't saved at {mode} step {step}") from None

    def reduction(self, name, step, reduction, mode="TRAIN"):
        if (name, step, reduction) in self.reduced:
            return self.reduced[name, step, reduction]
        formula = {"abs_mean": lambda x: np.abs(x).mean(), "variance": np.var, "mean": np.mean}[reduction]
        return float(formula(self.value(name, step, mode)))

    @property
    def seen(self):
        return list({s.name: s for s in itertools.chain(*(moment.saved for moment in self.order))}.values())

    def status(self, rule, **parameters):
        """The rule's last status over the whole job."""
        judge = Judge(Configuration(rule, rule, parameters), self, time.time)
        for moment in self.order:
            judge.judge(moment)
        judge.finish(self.seen)
        return judge.status


def series(values, name="loss__train", mode="TRAIN", start=0, every=1):
    """A job that saves one value a step."""
    job = Job()
    for number, value in enumerate(values):
        job.save(start + number * every, mode, **{name: value})
    return job
