"""Boxes as arrays (n, 4) of [xmin, ymin, xmax, ymax]: overlaps, and which of many that overlap is kept."""

import torch


def areas(boxes):
    """The areas, (n,); 0 of a box whose sides are turned round."""
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(min=0)


def overlaps(one, other):
    """Intersection over union of each of n boxes with each of m, (n, m)."""
    low = torch.maximum(one[:, None, :2], other[None, :, :2])
    high = torch.minimum(one[:, None, 2:], other[None, :, 2:])
    common = areas(torch.cat([low, high], 2))
    return common / (areas(one)[:, None] + areas(other)[None] - common).clamp(min=1e-9)


def generalized(one, other):
    """Generalised IoU of boxes pair by pair, (n,): from -1 to 1 (Rezatofighi et al. 2019).

    Where two don't overlap it still says how far apart they are, so that a loss has a slope there.
    """
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    common = areas(torch.cat([low, high], 1))
    union = (areas(one) + areas(other) - common).clamp(min=1e-9)
    around = areas(torch.cat([torch.minimum(one[:, :2], other[:, :2]), torch.maximum(one[:, 2:], other[:, 2:])], 1))
    return common / union - (around - union) / around.clamp(min=1e-9)


def kept(boxes, scores, classes, most_overlap):
    """Non-maximum suppression: the indices of the boxes that no surer one of their class covers; surest first."""
    order = scores.argsort(descending=True, stable=True)
    same = classes[order][:, None] == classes[order][None]
    covers = (overlaps(boxes[order], boxes[order]) > most_overlap) & same
    alive = torch.ones(len(order), dtype=torch.bool)
    for place in range(len(order)):
        if alive[place]:
            alive[place + 1 :] &= ~covers[place, place + 1 :]
    return order[alive]
