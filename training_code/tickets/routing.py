"""Which tickets a model routes by itself: those of which it is sure enough, by what cross-validation has shown.

A model's own probability says little of how often it is right. So each training ticket is answered by a model that
hasn't seen it; the tickets answered at least as surely as a new one, and how many of them were right, are that new
ticket's `confidence`. With a threshold of 0.95 exactly those tickets are routed of which 95 % were right there.
"""

import numpy as np
from sklearn.model_selection import StratifiedKFold

PRECISION = 0.95  # of the tickets that are routed without a person
FEWEST = 20  # tickets by which a confidence is known; the share of right ones among fewer is mostly chance


def out_of_fold(make, texts, labels, folds, seed):
    """Each ticket's probabilities (n, classes) by a model that hasn't seen it. make: a new model, not fitted yet."""
    found, texts = np.zeros((len(labels), len(np.unique(labels)))), np.array(texts, dtype=object)
    for learned, judged in StratifiedKFold(folds, shuffle=True, random_state=seed).split(texts, labels):
        found[judged] = make().fit(list(texts[learned]), labels[learned]).predict_proba(list(texts[judged]))
    return found


def learned(probabilities, labels):
    """How sure a model must be for which confidence: {"floors": rising, "confidences": as many, rising}."""
    sure, right = probabilities.max(1), np.unique(labels)[probabilities.argmax(1)] == labels
    order = np.argsort(-sure, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    ends = np.append(np.diff(sure[order]) < 0, True)  # equally sure ones are routed together or not at all
    kept = ends & (np.arange(1, len(order) + 1) >= min(FEWEST, len(order)))
    floors, confidences = sure[order][kept][::-1], precision[kept][::-1]
    # Whoever is surer is no less often right: what says otherwise is chance.
    return {"floors": floors, "confidences": np.maximum.accumulate(confidences)}


def confidence(routing, sure):
    """The confidence of answers of which a model is so sure."""
    place = np.searchsorted(routing["floors"], sure, side="right") - 1
    return routing["confidences"][np.maximum(place, 0)]


def report(routing, probabilities, labels):
    """Prints what pipeline.yaml's train.metrics read: how often cross-validation is right, and what would be routed."""
    right = np.unique(labels)[probabilities.argmax(1)] == labels
    routed = confidence(routing, probabilities.max(1)) >= PRECISION
    print(f"cv:accuracy={right.mean():.4f}")
    print(f"cv:coverage={routed.mean():.4f}")
    if routed.any():
        print(f"cv:precision={right[routed].mean():.4f}")
