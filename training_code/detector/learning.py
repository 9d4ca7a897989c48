"""What a detector is told at each place of a picture, and how wrong it is; pictures that never look the same twice."""

import boxes
import torch
from torch import nn

# A level looks for things of up to so many strides (the square root of their area); the coarsest for all larger ones.
REACH = 8.0
# A place answers for a thing if it lies in it, and no further from its middle than so many strides (FCOS).
NEAR = 1.5
# Of the focal loss (Lin et al. 2017b): how much what is there weighs, and how fast what is sure stops counting.
ALPHA, GAMMA = 0.25, 2.0


def assigned(places, steps, strides, right):
    """Which thing each place answers for: its index (places,), -1 for none. Of several the smallest.

    Args:
        places, steps: of network.centres. right: the boxes (n, 4), in pixels.
    """
    if not len(right):
        return torch.full((len(places),), -1)
    size = boxes.areas(right).sqrt()
    level = torch.bucketize(size, torch.tensor([REACH * stride for stride in strides[:-1]]))
    of_level = steps[:, None] == torch.tensor(strides, dtype=torch.float)[level][None]
    middle = (right[:, :2] + right[:, 2:]) / 2
    near = ((places[:, None] - middle[None]).abs() <= NEAR * steps[:, None, None]).all(2)
    inside = ((places[:, None] > right[None, :, :2]) & (places[:, None] < right[None, :, 2:])).all(2)
    # A thing so small that no place lies in it is the nearest one's.
    closest = (places[:, None] - middle[None]).abs().amax(2) <= steps[:, None] / 2
    taken = of_level & ((near & inside) | closest)
    least, index = torch.where(taken, boxes.areas(right)[None], torch.inf).min(1)
    return torch.where(least.isfinite(), index, -1)


class DetectionLoss(nn.Module):
    """Focal loss of the classes at all places, and 1 - generalised IoU of the boxes where there is something."""

    def __init__(self, arch, places, steps):
        super().__init__()
        self.classes, self.strides, self.places, self.steps = len(arch.classes), arch.strides, places, steps

    def forward(self, answer, truths):
        """The loss of a batch, a number.

        Args:
            answer: the network's scores and boxes. truths: of each picture boxes (n, 4), in pixels, and classes (n,).
        """
        scores, found = answer
        wanted, right, mine = torch.zeros_like(scores), [], []
        for number, (true_boxes, classes) in enumerate(truths):
            index = assigned(self.places, self.steps, self.strides, true_boxes)
            there = index >= 0
            wanted[number, there, classes[index[there]]] = 1.0
            right.append(true_boxes[index[there]])
            mine.append(found[number, there])
        right, mine = torch.cat(right), torch.cat(mine)
        count = max(1, len(right))
        return focal(scores, wanted).sum() / count + (1 - boxes.generalized(mine, right)).sum() / count


def focal(scores, wanted):
    """The focal loss of logits, where 1 is wanted or 0, of each."""
    cross = nn.functional.binary_cross_entropy_with_logits(scores, wanted, reduction="none")
    chance = scores.sigmoid()
    wrong = wanted * (1 - chance) + (1 - wanted) * chance
    return (wanted * ALPHA + (1 - wanted) * (1 - ALPHA)) * wrong**GAMMA * cross


def varied(batch, truths, generator, strength, *, mirrored=True):
    """Pictures and their boxes, moved, sized, mirrored and lit a little differently.

    Args:
        strength: 0 leaves them as they are but for mirroring; at 1 moved by up to a tenth, sized by up to a quarter.
    """
    count, size = len(batch), batch.shape[-1]
    uniform = lambda *shape: (2 * torch.rand(count, *shape, generator=generator) - 1) * strength  # noqa: E731
    sized = torch.exp(uniform(2) * 0.06 + uniform(1) * 0.2)
    turned = (
        torch.where(torch.rand(count, 2, generator=generator) < 0.5, -1.0, 1.0) if mirrored else torch.ones(count, 2)
    )
    moved = uniform(2) * 0.2
    shape = torch.zeros(count, 2, 3)
    shape[:, 0, 0], shape[:, 1, 1] = (turned / sized).unbind(1)
    shape[:, :, 2] = moved
    grid = nn.functional.affine_grid(shape, list(batch.shape), align_corners=False)
    pictures = nn.functional.grid_sample(batch, grid, padding_mode="zeros", align_corners=False)
    light, contrast = torch.exp2(uniform(1, 1, 1) * 0.4), torch.exp2(uniform(1, 1, 1) * 0.3)
    tint = 1 + uniform(3, 1, 1) * 0.1
    mean = pictures.mean((1, 2, 3), keepdim=True)
    pictures = (((pictures - mean) * contrast + mean + 2) * light * tint - 2).clamp_(-2, 2)
    scales = turned * sized
    return pictures, [_moved(*truth, size, scales[number], moved[number]) for number, truth in enumerate(truths)]


def _moved(right, classes, size, scale, offset):
    """A picture's boxes after it was sized and moved; those of which less than a third is left are gone."""
    corners = ((2 * right.reshape(-1, 2, 2) / size - 1) - offset) * scale
    corners = (corners + 1) * size / 2
    whole = torch.cat([corners.amin(1), corners.amax(1)], 1)
    seen = whole.clamp(0, size)
    stays = boxes.areas(seen) > 0.35 * boxes.areas(whole)
    return seen[stays], classes[stays]
