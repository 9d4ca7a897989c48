"""Several annotators' labels of the same items made one each: by majority, or by how right each annotator is.

The second is after Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm",
Journal of the Royal Statistical Society C 28 (1979): each annotator has a matrix of what they say of which class, found
together with the classes themselves. Both are deterministic, and take items that not everybody has seen.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

DAWID_SKENE, MAJORITY = "dawid-skene", "majority"

# Expectation-maximisation ends when no probability changes by more, or after so many rounds.
TOLERANCE, MOST_ROUNDS = 1e-5, 200
# What each cell of an annotator's matrix has before anything is seen: who has labelled little is believed less.
PRIOR = 0.1
# Probabilities that are as good as equal: a tie.
_EQUAL = 1e-9


@dataclass(frozen=True)
class Annotation:
    """What an annotator has said of an item."""

    item: str
    annotator: str
    label: str


@dataclass(frozen=True)
class Consolidated:
    """An item's label. confidence: of 1, how surely it is this one; tied: whether another is as likely."""

    item: str
    label: str
    confidence: float
    votes: int
    tied: bool = False


@dataclass(frozen=True)
class Annotator:
    """How often an annotator is right, of so many annotations, as far as the others' labels tell."""

    name: str
    accuracy: float
    annotations: int


@dataclass(frozen=True)
class Consolidation:
    """Items in the order in which they first stand, annotators by name, classes in their order."""

    items: tuple[Consolidated, ...]
    annotators: tuple[Annotator, ...]
    classes: tuple[str, ...]


# Of each item, in the classes' order: how likely each is.
_Beliefs = dict[str, list[float]]


def majority(annotations: Sequence[Annotation]) -> Consolidation:
    """The label that most have given; of several equally frequent ones the first in the classes' order."""
    classes = _classes(annotations)
    return _consolidation(annotations, classes, _shares(annotations, classes))


def dawid_skene(annotations: Sequence[Annotation]) -> Consolidation:
    """The likeliest label, where each annotator counts as much as they are right about each class."""
    classes = _classes(annotations)
    beliefs = _shares(annotations, classes)
    for _ in range(MOST_ROUNDS):
        prior, matrices = _maximised(annotations, classes, beliefs)
        last, beliefs = beliefs, _expected(annotations, prior, matrices)
        pairs = ((now, was) for item, row in beliefs.items() for now, was in zip(row, last[item], strict=True))
        if max(abs(now - was) for now, was in pairs) < TOLERANCE:
            break
    return _consolidation(annotations, classes, beliefs)


METHODS: Mapping[str, Callable[[Sequence[Annotation]], Consolidation]] = {
    DAWID_SKENE: dawid_skene,
    MAJORITY: majority,
}


def _classes(annotations: Iterable[Annotation]) -> tuple[str, ...]:
    return tuple(sorted({annotation.label for annotation in annotations}, key=order))


def order(label: str) -> tuple[int, float, str]:
    """Numbers by size, before texts by letters."""
    try:
        number = float(label)
    except ValueError:
        return 1, 0.0, label
    return (0, number, label) if math.isfinite(number) else (1, 0.0, label)


def _shares(annotations: Sequence[Annotation], classes: Sequence[str]) -> _Beliefs:
    """Each class's share of an item's annotations."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for annotation in annotations:
        counts[annotation.item][annotation.label] += 1
    return {item: [found[label] / found.total() for label in classes] for item, found in counts.items()}


_Matrices = dict[str, dict[str, list[float]]]


def _maximised(
    annotations: Sequence[Annotation], classes: Sequence[str], beliefs: _Beliefs
) -> tuple[list[float], _Matrices]:
    """How frequent each class is, and by annotator and label: how likely they give it to each class."""
    prior = [sum(row[index] for row in beliefs.values()) / len(beliefs) for index in range(len(classes))]
    names = {annotation.annotator for annotation in annotations}
    matrices = {name: {label: [PRIOR] * len(classes) for label in classes} for name in names}
    for annotation in annotations:
        given = matrices[annotation.annotator][annotation.label]
        for index, belief in enumerate(beliefs[annotation.item]):
            given[index] += belief
    for matrix in matrices.values():
        sums = [sum(column) for column in zip(*matrix.values(), strict=True)]
        for label, given in matrix.items():
            matrix[label] = [count / whole for count, whole in zip(given, sums, strict=True)]
    return prior, matrices


def _expected(annotations: Sequence[Annotation], prior: Sequence[float], matrices: _Matrices) -> _Beliefs:
    """How likely each class is of each item, if the annotators are as `matrices` has them."""
    logs = {
        name: {label: [math.log(chance) for chance in given] for label, given in matrix.items()}
        for name, matrix in matrices.items()
    }
    begin = [math.log(max(share, 1e-300)) for share in prior]
    sums: dict[str, list[float]] = {}
    for annotation in annotations:
        row = sums.setdefault(annotation.item, list(begin))
        for index, each in enumerate(logs[annotation.annotator][annotation.label]):
            row[index] += each
    return {item: _normalised(row) for item, row in sums.items()}


def _normalised(logs: Sequence[float]) -> list[float]:
    most = max(logs)
    found = [math.exp(each - most) for each in logs]
    whole = sum(found)
    return [each / whole for each in found]


def _consolidation(annotations: Sequence[Annotation], classes: Sequence[str], beliefs: _Beliefs) -> Consolidation:
    votes = Counter(annotation.item for annotation in annotations)
    items = tuple(_item(item, row, classes, votes[item]) for item, row in beliefs.items())
    return Consolidation(items, tuple(_annotators(annotations, classes, beliefs)), tuple(classes))


def _item(item: str, row: Sequence[float], classes: Sequence[str], votes: int) -> Consolidated:
    most = max(row)
    likeliest = [index for index, each in enumerate(row) if most - each <= _EQUAL]
    return Consolidated(item, classes[likeliest[0]], most, votes, tied=len(likeliest) > 1)


def _annotators(annotations: Sequence[Annotation], classes: Sequence[str], beliefs: _Beliefs) -> Iterable[Annotator]:
    """How right each is: the mean of how likely what they have said is."""
    places = {label: index for index, label in enumerate(classes)}
    said: dict[str, list[float]] = defaultdict(list)
    for annotation in annotations:
        said[annotation.annotator].append(beliefs[annotation.item][places[annotation.label]])
    for name in sorted(said):
        yield Annotator(name, sum(said[name]) / len(said[name]), len(said[name]))
