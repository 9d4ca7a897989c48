"""A small single-stage detector: a ResNet-18, a feature pyramid, and one head that says at each place what is there.

The backbone is He et al. 2015 in its form for small pictures: `stem` and `layers.<stage>.<block>` are named as in
cifar_subset, whose weights it begins with. The pyramid (Lin et al. 2017a) has three levels. The head, the same for all
of them, gives for each place a score a class and the distances to the four sides of a box, without anchors (FCOS, Tian
et al. 2019). What is learned from scratch is made of convolutions and GroupNorm, which small batches don't trouble.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import boxes
import torch
from torch import nn

from toolkit import network_files
from toolkit.network_files import ModelError

STAGES, BLOCKS, LEVELS = 4, 2, 3
CHANNELS = 64  # of the pyramid and the head, which have as many whatever the backbone's width
# What is reported: scores of at least LEAST; of two boxes of a class that overlap by more the surer; of a picture's
# LOOKED_AT surest the MOST surest.
LEAST, MOST_OVERLAP, LOOKED_AT, MOST = 0.05, 0.5, 300, 100
RARE = 0.01  # how likely a fresh head takes anything for an object (Lin et al. 2017b): most places show none

INDEX = "class_label_to_prediction_index.json"


@dataclass(frozen=True)
class Architecture:
    """A network's size.

    classes: their labels, in the order of the outputs. size: pixels, of a picture's width and height. width: units of
    the backbone's first stage; the paper's is 64. stride: of the stem.
    """

    classes: tuple
    size: int = 256
    width: int = 16
    stride: int = 2

    def __post_init__(self):
        if not self.classes:
            raise ModelError("there are no classes; a detector finds at least one kind of thing")
        if self.size % self.strides[-1] or self.size < self.strides[-1]:
            raise ModelError(f"size is {self.size}; it must be a multiple of {self.strides[-1]}, the coarsest level's")
        if self.width < 1 or self.stride not in (1, 2):
            raise ModelError(f"width is {self.width} and stride {self.stride}; at least 1, and 1 or 2")

    @property
    def strides(self):
        """Pixels from one place to the next, of each level: of the two last stages, and of one above them."""
        return tuple(self.stride * 2 ** (2 + level) for level in range(LEVELS))


class Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut."""

    def __init__(self, before, units, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, units, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(units)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(units, units, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(units)
        self.relu2 = nn.ReLU()
        self.shortcut = nn.Identity()
        if stride != 1 or before != units:
            convolution = nn.Conv2d(before, units, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(units))

    def forward(self, x):
        through = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(through + self.shortcut(x))


class Backbone(nn.Module):
    """ResNet-18 without its head: the maps of its two last stages."""

    def __init__(self, arch):
        super().__init__()
        first = nn.Conv2d(3, arch.width, 3, stride=arch.stride, padding=1, bias=False)
        self.stem = nn.Sequential(first, nn.BatchNorm2d(arch.width), nn.ReLU())
        stages, before = [], arch.width
        for stage in range(STAGES):
            units, stride = arch.width * 2**stage, 1 if stage == 0 else 2
            blocks = [Block(units if block else before, units, 1 if block else stride) for block in range(BLOCKS)]
            stages.append(nn.Sequential(*blocks))
            before = units
        self.layers = nn.Sequential(*stages)

    def forward(self, x):
        fine = self.layers[2](self.layers[1](self.layers[0](self.stem(x))))
        return fine, self.layers[3](fine)


class Pyramid(nn.Module):
    """Maps of three levels with as many channels each; what the coarse ones know is added to the finer."""

    def __init__(self, width):
        super().__init__()
        self.fine = nn.Conv2d(width * 4, CHANNELS, 1)
        self.coarse = nn.Conv2d(width * 8, CHANNELS, 1)
        self.smooth = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(2))
        self.above = nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1)

    def forward(self, fine, coarse):
        coarse = self.coarse(coarse)
        fine = self.fine(fine) + nn.functional.interpolate(coarse, scale_factor=2.0, mode="nearest")
        fine, coarse = self.smooth[0](fine), self.smooth[1](coarse)
        return fine, coarse, self.above(coarse)


class Head(nn.Module):
    """For each place of a map: a score (a logit) a class, and four distances, in strides."""

    def __init__(self, classes):
        super().__init__()
        self.towers = nn.ModuleList(self._tower() for _ in range(2))
        self.score = nn.Conv2d(CHANNELS, classes, 3, padding=1)
        self.sides = nn.Conv2d(CHANNELS, 4, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(LEVELS))

    @staticmethod
    def _tower():
        layers = []
        for _ in range(2):
            layers += [nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.GroupNorm(8, CHANNELS), nn.ReLU()]
        return nn.Sequential(*layers)

    def forward(self, x, level):
        named, placed = (tower(x) for tower in self.towers)
        # exp(4) strides are more than a picture has.
        return self.score(named), (self.scales[level] * self.sides(placed)).clamp(max=4.0).exp()


class Detector(nn.Module):
    """Of pictures (n, 3, size, size): scores (n, places, classes), as logits, and boxes (n, places, 4), in pixels."""

    def __init__(self, arch):
        super().__init__()
        self.backbone = Backbone(arch)
        self.pyramid = Pyramid(arch.width)
        self.head = Head(len(arch.classes))
        self.strides = arch.strides
        places, steps = centres(arch)
        self.register_buffer("places", places, persistent=False)
        self.register_buffer("steps", steps, persistent=False)

    def forward(self, pictures):
        scores, sides = [], []
        for level, maps in enumerate(self.pyramid(*self.backbone(pictures))):
            named, placed = self.head(maps, level)
            scores.append(named.flatten(2).transpose(1, 2))
            sides.append(placed.flatten(2).transpose(1, 2))
        far = torch.cat(sides, 1) * self.steps[:, None]
        return torch.cat(scores, 1), torch.cat([self.places - far[..., :2], self.places + far[..., 2:]], 2)


def centres(arch):
    """The middle of each place, (places, 2) as x and y in pixels, and its stride (places,); fine levels first."""
    places, steps = [], []
    for stride in arch.strides:
        at = (torch.arange(arch.size // stride) + 0.5) * stride
        y, x = torch.meshgrid(at, at, indexing="ij")
        places.append(torch.stack([x.flatten(), y.flatten()], 1))
        steps.append(torch.full((len(at) ** 2,), float(stride)))
    return torch.cat(places), torch.cat(steps)


def build(arch):
    """A network of this architecture with fresh weights (He initialisation)."""
    model = Detector(arch)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for last in (model.head.score, model.head.sides):
        nn.init.normal_(last.weight, std=0.01)
    nn.init.constant_(model.head.score.bias, -math.log((1 - RARE) / RARE))
    return model


def parameters(model):
    """The number of parameters that are learned."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@torch.no_grad()
def found(model, pictures):
    """What a network sees in pictures (n, 3, size, size): of each (boxes, scores, classes), surest first."""
    model.eval()
    return chosen(*model(pictures), pictures.shape[-1])


def chosen(scores, places, size):
    """What is reported of a network's answer: of each picture (boxes, scores, classes), surest first."""
    return [_of_picture(*of, size) for of in zip(scores.sigmoid(), places, strict=True)]


def _of_picture(scores, places, size):
    sure, index = scores.flatten().topk(min(LOOKED_AT, scores.numel()))
    sure, index = sure[sure >= LEAST], index[sure >= LEAST]
    classes = index % scores.shape[1]
    inside = places[index // scores.shape[1]].clamp(0, size)
    stays = boxes.kept(inside, sure, classes, MOST_OVERLAP)[:MOST]
    return inside[stays], sure[stays], classes[stays]


def save(folder, arch, model):
    """Writes the network into the folder, which must exist, and beside it which output is which class."""
    network_files.save(folder, arch, model)
    index = {label: number for number, label in enumerate(arch.classes)}
    (Path(folder) / INDEX).write_text(json.dumps(index, indent=2, ensure_ascii=False) + "\n")


def load(folder):
    """The network in the folder, ready to predict; its architecture. Raises ModelError."""
    return network_files.load(folder, Architecture, build)
