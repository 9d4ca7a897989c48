"""Confident learning: which labels are probably wrong, by the probabilities of models that haven't seen them.

After Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", Journal of Artificial
Intelligence Research 70 (2021), sections 3 and 4: a threshold a class, the confident joint, its calibration, and the
ranking by self-confidence. Written from the paper; its authors' package is under the AGPL and needs pandas.

labels are integers (n,) from 0 to K-1, probabilities (n, K) of models that were trained without the example.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def thresholds(labels: Array, probabilities: Array) -> Array:
    """(K,): the mean probability of a class, of the examples that are labelled so.

    A class that the models are unsure of has a low one, so that nothing is said of it that holds of all its examples.
    """
    import numpy as np

    count = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    totals, counts = np.bincount(labels, weights=own, minlength=count), np.bincount(labels, minlength=count)
    # A class without an example has none that could be confident.
    return np.divide(totals, counts, out=np.full(count, np.inf), where=counts > 0)


def confident_classes(labels: Array, probabilities: Array) -> Array:
    """(n,): the likeliest class of those whose threshold an example reaches; -1 where it reaches none."""
    import numpy as np

    reached = probabilities >= thresholds(labels, probabilities) - 1e-12
    likeliest = np.where(reached, probabilities, -1.0).argmax(axis=1)
    return np.where(reached.any(axis=1), likeliest, -1)


def confident_joint(labels: Array, probabilities: Array) -> Array:
    """(K, K): how many examples are labelled i and confidently of class j."""
    import numpy as np

    count = probabilities.shape[1]
    found = confident_classes(labels, probabilities)
    joint = np.zeros((count, count))
    np.add.at(joint, (labels[found >= 0], found[found >= 0]), 1)
    return joint


def calibrated(joint: Array, labels: Array) -> Array:
    """(K, K): the confident joint as counts of all examples: each row sums to its label's.

    A label of which no example is confident is taken to be right throughout.
    """
    import numpy as np

    counts = np.bincount(labels, minlength=len(joint)).astype(float)
    sums = joint.sum(axis=1)
    scaled = joint * np.divide(counts, sums, out=np.zeros_like(counts), where=sums > 0)[:, None]
    scaled[np.diag_indices_from(scaled)] += np.where(sums > 0, 0.0, counts)
    return scaled


def estimated_errors(labels: Array, probabilities: Array) -> float:
    """How many labels are wrong in all: what of the calibrated joint is beside its diagonal."""
    whole = calibrated(confident_joint(labels, probabilities), labels)
    return float(whole.sum() - whole.trace())


def margins(labels: Array, probabilities: Array) -> tuple[Array, Array]:
    """(n,) the probability of the given class less that of the likeliest other, and which one that is."""
    import numpy as np

    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    likeliest = others.argmax(axis=1)
    return probabilities[rows, labels] - others[rows, likeliest], likeliest


def ranked(labels: Array, probabilities: Array) -> Array:
    """(n,): the examples' indices, the most suspect first: by self-confidence, the probability of the given class; of
    equally improbable ones by the margin.

    Of classes that are hard to tell apart it finds more than the margin alone, which puts those first that are surely
    of a class near by: of the tickets of bench/labels.py rather more than half, where the margin finds less.
    """
    import numpy as np

    return np.lexsort((margins(labels, probabilities)[0], probabilities[np.arange(len(labels)), labels]))
