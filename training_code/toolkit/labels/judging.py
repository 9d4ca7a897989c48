"""An audit: every example is judged by a model that hasn't seen it, and the labels by what these models say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract import held_out, label_audits
from toolkit.errors import ToolkitError
from toolkit.heldout.example import Example
from toolkit.labels import confident, shown
from toolkit.labels.columns import number
from toolkit.labels.learners import Learner, learner

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# Of a label in a sentence, and of pairs in the document.
_LETTERS, _PAIRS = 40, 30
_COLUMN = "(or is the label another column? --attribute names it)"


@dataclass(frozen=True)
class Asked:
    """How an audit is made: parts that the examples are divided into, what divides them, suspects that are told.

    picture: (height, width) where a row's numbers are a picture's.
    """

    folds: int = label_audits.FOLDS
    seed: int = label_audits.SEED
    suspects: int = label_audits.SUSPECTS
    picture: tuple[int, int] | None = None


def audit(examples: Sequence[Example], asked: Asked, source: Path) -> dict[str, Any]:
    """The audit's document, as far as the examples tell it (contract.label_audits).

    Raises:
        ToolkitError: there are too few examples of a class, or they can't be judged; the message says which.
    """
    import numpy as np

    classes = checked_classes(examples, asked.folds)
    places = {name: index for index, name in enumerate(classes)}
    labels = np.array([places[example.label] for example in examples])
    judge = learner(examples, classes, source)
    probabilities = out_of_fold(judge, labels, len(classes), asked)
    suspects = _suspects(examples, labels, probabilities, classes, asked)
    counts = Counter(example.label for example in examples)
    return {
        "examples": len(examples),
        "classes": classes,
        "counts": {name: counts[name] for name in classes},
        "learner": judge.told,
        "folds": asked.folds,
        "seed": asked.seed,
        "agreement": float((probabilities.argmax(axis=1) == labels).mean()),
        "estimated_errors": round(confident.estimated_errors(labels, probabilities), 1),
        "pairs": _pairs(suspects),
        "suspects": suspects[: asked.suspects],
    }


def checked_classes(examples: Sequence[Example], folds: int) -> list[str]:
    """The classes in their order: of numbers by size, of texts by letters.

    Raises:
        ToolkitError: there is one class alone, one with too few examples, or too many examples.
    """
    if len(examples) > label_audits.MOST_EXAMPLES:
        most = f"{label_audits.MOST_EXAMPLES:,}"
        raise ToolkitError(f"there are {len(examples):,} examples; an audit takes at most {most}: audit a part of them")
    counts = Counter(example.label for example in examples)
    if len(counts) < 2:
        told = f"all {len(examples)} examples are labelled {_short(examples[0].label)!r}"
        raise ToolkitError(f"{told}: an audit needs two classes {_COLUMN}")
    few = sorted((name for name in counts if counts[name] < folds), key=lambda name: counts[name])
    if few:
        raise ToolkitError(_too_few(examples, counts, few, folds))
    return sorted(counts, key=_order)


def _order(name: str) -> tuple[int, float, str]:
    value = number(name)
    return (1, 0.0, name) if value is None else (0, value, name)


def _too_few(examples: Sequence[Example], counts: Mapping[str, int], few: Sequence[str], folds: int) -> str:
    name = few[0]
    where = held_out.some([example.place for example in examples if example.label == name])
    more = f", and so are {len(few) - 1} more of {len(counts)} classes" if len(few) > 1 else ""
    has = f"{counts[name]} example{'s' * (counts[name] > 1)} ({where})"
    told = f"the class {_short(name)!r} has {has}, fewer than {folds} folds{more}"
    if counts[name] >= label_audits.LEAST_FOLDS:
        return f"{told}: ask for --folds {counts[name]}, or add examples"
    return f"{told}: each needs {label_audits.LEAST_FOLDS} at least; add examples, or leave it out {_COLUMN}"


def folds(labels: Array, count: int, seed: int) -> Array:
    """(n,): the part that each example belongs to, each class in equal shares."""
    import numpy as np

    order, found = np.random.default_rng(seed), np.empty(len(labels), dtype=int)
    begin = 0
    for label in np.unique(labels):
        members = order.permutation(np.flatnonzero(labels == label))
        # Where the last class's parts ended: so that small classes don't all fill the first ones.
        found[members] = (begin + np.arange(len(members))) % count
        begin += len(members)
    return found


def out_of_fold(judge: Learner, labels: Array, count: int, asked: Asked) -> Array:
    """(n, K): each class's probability, by models that haven't seen the example."""
    import numpy as np

    parts = folds(labels, asked.folds, asked.seed)
    probabilities = np.empty((len(labels), count))
    for part in range(asked.folds):
        known, others = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
        probabilities[others] = judge.predict(known, labels[known], others)
        print(f"labels: part {part + 1} of {asked.folds} is judged", flush=True)
    return probabilities


def _suspects(
    examples: Sequence[Example], labels: Array, probabilities: Array, classes: Sequence[str], asked: Asked
) -> list[dict[str, Any]]:
    """Every example of which another class is likelier than the given one, the most suspect first; as many as are
    asked for are shown."""
    margins, others = confident.margins(labels, probabilities)
    sure = confident.confident_classes(labels, probabilities)
    found: list[dict[str, Any]] = []
    room = label_audits.PICTURES_BYTES
    for index in confident.ranked(labels, probabilities):
        if margins[index] >= 0:
            continue
        label, other, example = labels[index], others[index], examples[index]
        look = shown.shown(example, asked.picture, room) if len(found) < asked.suspects else {}
        room -= len(look.get("picture", {}).get("base64", ""))
        found.append(
            {
                "place": example.place,
                "given": classes[label],
                "suggested": classes[other],
                "given_probability": round(float(probabilities[index, label]), 4),
                "suggested_probability": round(float(probabilities[index, other]), 4),
                "margin": round(float(margins[index]), 4),
                "confident": bool(sure[index] == other),
                **look,
            }
        )
    return found


def _pairs(suspects: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    counts = Counter((suspect["given"], suspect["suggested"]) for suspect in suspects)
    return [
        {"given": given, "suggested": other, "count": count} for (given, other), count in counts.most_common(_PAIRS)
    ]


def _short(label: str) -> str:
    return label if len(label) <= _LETTERS else f"{label[:_LETTERS]}…"
