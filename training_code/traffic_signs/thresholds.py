"""From which probability a picture is taken for a class that must not be overlooked, even where another is likelier.

The most likely class makes the fewest errors if all are equally bad. To overlook a class with a floor (sign_metrics.py)
is worse than to see one too many, so how many too many is what is chosen: a share of the pictures of other classes.
The threshold is the lowest that keeps to it, so that as few as possible are overlooked (Neyman-Pearson classification:
Scott & Nowak 2005; Tong, Feng & Li 2018).

It is taken from pictures that judge, not learn, each varied as learned ones are: as they are, they are too easy for a
network to be wrong of any.
"""

import json
from pathlib import Path

import numpy as np
from sign_metrics import FLOORS

from toolkit.network_files import ModelError

FILE = "thresholds.json"


def with_floors(names):
    """The numbers of the classes that sign_metrics.py has a floor for."""
    return tuple(names.index(name) for name in FLOORS if name in names)


def chosen(probabilities, classes, names, false_alarms):
    """Class -> its threshold, for each class that has a floor.

    Args:
        probabilities: how likely each class is of each picture, (n, classes).
        classes: what the pictures show, (n,), as numbers of `names`.
        false_alarms: the share of other classes' pictures that may be taken for the class.
    """
    return {names[of]: least(probabilities[classes != of, of], false_alarms) for of in with_floors(names)}


def least(probabilities, share):
    """The least of the probabilities of which at most this share, below 1, is above it."""
    return float(np.sort(probabilities)[::-1][int(share * len(probabilities) + 1e-9)])


def decided(probabilities, names, thresholds):
    """The numbers of the classes that are answered, (n,): the most likely ones, but where a threshold is passed.

    Where several are, the one that is passed by most, in proportion.
    """
    answers = probabilities.argmax(1)
    passed = np.ones(len(answers))
    for name, threshold in thresholds.items():
        number = names.index(name)
        by = probabilities[:, number] / max(threshold, np.finfo(np.float32).tiny)
        answers = np.where(by > passed, number, answers)
        passed = np.maximum(by, passed)
    return answers


def save(folder, thresholds):
    """Writes them beside the network."""
    (Path(folder) / FILE).write_text(json.dumps(thresholds, indent=2) + "\n")


def load(folder, names):
    """What `save` wrote, of these classes. Raises ModelError."""
    try:
        found = json.loads((Path(folder) / FILE).read_text())
    except OSError as error:
        told = f"{error.filename} can't be read: {error.strerror}; an earlier train.py wrote none: train the model anew"
        raise ModelError(told) from error
    except ValueError as error:
        raise ModelError(f"{folder}/{FILE} is no JSON: {error}") from error
    if not isinstance(found, dict) or not all(name in names and _is_share(of) for name, of in found.items()):
        told = f"{folder}/{FILE} must have a probability for classes among {', '.join(names)}"
        raise ModelError(f"{told}; it holds {json.dumps(found)}")
    return found


def _is_share(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
