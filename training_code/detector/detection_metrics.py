"""Mean average precision, as COCO defines it: 101 points of recall, the mean of the classes, at most 100 boxes each.

`map50` is the gate's metric (`gate.metric: detection_metrics.map50`): it is called with a list of what is held out, a
picture each ({"boxes", "labels"}), and with serve.py's answers ({"normalized_boxes", "scores", "labels"}), both with
boxes as shares of the picture's width and height. Classes are compared by their labels.

Source: Lin et al., "Microsoft COCO" (2014), and pycocotools' cocoeval.py, without its sizes of area and its crowds.
"""

import json
from functools import lru_cache

import numpy as np

STRICT = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())
RECALLS = np.linspace(0, 1, 101)
MOST = 100


def map50(truths, answers):
    """Average precision where a box counts that overlaps the right one by half, the mean of the held-out classes."""
    return mean_average_precision(truths, answers, (0.5,))


def map50_95(truths, answers):
    """The mean of ten, with overlaps from 0.5 to 0.95: how well the boxes fit, too."""
    return mean_average_precision(truths, answers, STRICT)


def mean_average_precision(truths, answers, least_overlaps):
    """The mean over classes and overlaps; NaN where nothing is held out."""
    found = class_precisions(truths, answers, least_overlaps)
    return float(np.mean(list(found.values()))) if found else float("nan")


def class_precisions(truths, answers, least_overlaps=(0.5,)):
    """Class -> its average precision, the mean of the overlaps; of those that are held out."""
    pairs = [
        _matched(_frozen(truth), _frozen(answer), least_overlaps) for truth, answer in zip(truths, answers, strict=True)
    ]
    classes = sorted({name for pair in pairs for name in pair if pair[name][0]})
    return {name: _of_class([pair[name] for pair in pairs if name in pair]) for name in classes}


def _frozen(document):
    # The gate's bootstrap asks of each picture two thousand times.
    return document if isinstance(document, str) else json.dumps(document)


@lru_cache(maxsize=100_000)
def _matched(truth, answer, least_overlaps):
    """Class -> (how many are held out, the scores of its answers, whether each is right at each overlap)."""
    truth, answer = json.loads(truth), json.loads(answer)
    right, given = _arrays(truth, "boxes"), _arrays(answer, "normalized_boxes")
    scores = np.array(answer["scores"], float)[: len(given[0])]
    matched = {}
    for name in {*truth["labels"], *answer["labels"]}:
        mine = right[0][right[1] == name]
        order = np.flatnonzero(given[1] == name)
        order = order[np.argsort(-scores[order], kind="stable")][:MOST]
        hits = np.stack([_hits(overlaps(given[0][order], mine), least) for least in least_overlaps], 1)
        matched[name] = (len(mine), scores[order], hits)
    return matched


def _arrays(document, field):
    boxes = np.array(document[field], float).reshape(-1, 4)
    return boxes, np.array(document["labels"])


def overlaps(one, other):
    """Intersection over union of each of n boxes with each of m, (n, m)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(2)
    area_of = lambda boxes: np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1)  # noqa: E731
    union = area_of(one)[:, None] + area_of(other)[None] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def _hits(table, least):
    """Whether each answer, surest first, finds a right box that no surer one has found: that which it overlaps most."""
    taken = np.zeros(table.shape[1], bool)
    hits = np.zeros(len(table), bool)
    for place, row in enumerate(table):
        free = np.where(taken, -1.0, row)
        if len(free) and free.max() >= least - 1e-10:
            taken[free.argmax()] = hits[place] = True
    return hits


def _of_class(pairs):
    """Average precision of a class, from its pictures' (held out, scores, hits), the mean of the overlaps."""
    count = sum(held_out for held_out, _, _ in pairs)
    scores = np.concatenate([of for _, of, _ in pairs])
    hits = np.concatenate([of for _, _, of in pairs])[np.argsort(-scores, kind="stable")]
    right = np.cumsum(hits, 0)
    recall = right / count
    precision = right / np.arange(1, len(hits) + 1)[:, None]
    # What is gained by going on to a lower score counts for all recalls before.
    precision = np.maximum.accumulate(precision[::-1], 0)[::-1]
    return float(np.mean([_interpolated(recall[:, one], precision[:, one]) for one in range(hits.shape[1])]))


def _interpolated(recall, precision):
    places = np.searchsorted(recall, RECALLS, side="left")
    return np.append(precision, 0.0)[places].mean()
