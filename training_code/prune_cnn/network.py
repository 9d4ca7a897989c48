"""AlexNet and ResNet-18 sized for 32 x 32 pictures (64 x 64 too), built from an architecture that JSON can hold.

An architecture says how wide every layer is; nothing else changes when units are pruned. A `Group` says which layers
share a width: those that produce its units, those that normalise them, those that consume them.

    AlexNet     Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks" (2012), in the one-
                column form of "One weird trick" (2014). At width 1 and 43 classes: 57,161,579 parameters.
    ResNet-18   He et al., "Deep Residual Learning for Image Recognition" (2015), with a 3 x 3 stem of stride 2 and no
                max pooling. At width 1 and 43 classes: 11,190,891 parameters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import ClassVar

from torch import nn

SIZES = (32, 64)
STAGES, BLOCKS = 4, 2


class ArchitectureError(Exception):
    """An architecture that no network can be built from."""


@dataclass(frozen=True)
class Architecture:
    """A network's kind and size. `widths`: units of each group; `first_widths`: theirs before anything was pruned."""

    network: str
    classes: int
    size: int
    widths: Mapping[str, int]
    first_widths: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self):
        if self.network not in NETWORKS:
            raise ArchitectureError(f"network is {self.network!r}; there are {', '.join(sorted(NETWORKS))}")
        if self.size not in SIZES:
            raise ArchitectureError(f"size is {self.size}; pictures are 32 or 64 pixels wide and high")
        expected = {group.name for group in NETWORKS[self.network].groups()}
        if set(self.widths) != expected:
            raise ArchitectureError(f"widths are of {sorted(self.widths)}; {self.network} has {sorted(expected)}")
        empty = [name for name, width in self.widths.items() if width < 1]
        if empty:
            raise ArchitectureError(f"{', '.join(empty)} has no unit left; a layer needs at least one")
        if not self.first_widths:
            object.__setattr__(self, "first_widths", dict(self.widths))

    def pruned_to(self, widths):
        """The same network with other widths."""
        return replace(self, widths=dict(widths))

    def to_json(self):
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text):
        """The architecture in a JSON text. Raises ArchitectureError for any other text."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise ArchitectureError(f"not an architecture: {error}") from error


@dataclass(frozen=True)
class Group:
    """Units that stay or go together.

    producers: layers with one output row a unit. norms: BatchNorms over them. consumers: layers with `columns` input
    columns a unit. watched: modules whose output holds the units as they are used, after the activation.
    """

    name: str
    producers: tuple[str, ...]
    consumers: tuple[tuple[str, int], ...]
    watched: tuple[str, ...]
    norms: tuple[str, ...] = ()


def architecture(network, classes, *, size=32, width=1.0):
    """The unpruned architecture; `width` scales every layer (1.0 is the paper's)."""
    if network not in NETWORKS:
        raise ArchitectureError(f"network is {network!r}; there are {', '.join(sorted(NETWORKS))}")
    full = NETWORKS[network].FULL
    return Architecture(network, classes, size, {name: max(1, round(units * width)) for name, units in full.items()})


def build(arch):
    """A network of this architecture with fresh weights (He initialisation)."""
    model = NETWORKS[arch.network](arch)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def groups(arch):
    """The groups of units that can be pruned, from the input to the output."""
    return NETWORKS[arch.network].groups()


def parameters(model):
    """The number of parameters that are learned."""
    return sum(parameter.numel() for parameter in model.parameters())


class AlexNet(nn.Module):
    """Five convolutions and three dense layers; each activation is a module of its own, so that it can be watched."""

    FULL: ClassVar = {"conv1": 64, "conv2": 192, "conv3": 384, "conv4": 256, "conv5": 256, "fc1": 4096, "fc2": 4096}
    POSITIONS = 36  # 6 x 6 after the last pooling: columns of fc1 a filter of conv5

    def __init__(self, arch):
        super().__init__()
        conv1, conv2, conv3, conv4, conv5, fc1, fc2 = (arch.widths[name] for name in self.FULL)
        self.conv1 = nn.Conv2d(3, conv1, 5, stride=arch.size // 32, padding=2)
        self.conv2 = nn.Conv2d(conv1, conv2, 5, padding=2)
        self.conv3 = nn.Conv2d(conv2, conv3, 3, padding=1)
        self.conv4 = nn.Conv2d(conv3, conv4, 3, padding=1)
        self.conv5 = nn.Conv2d(conv4, conv5, 3, padding=1)
        self.fc1 = nn.Linear(conv5 * self.POSITIONS, fc1)
        self.fc2 = nn.Linear(fc1, fc2)
        self.fc3 = nn.Linear(fc2, arch.classes)
        for name in self.FULL:
            self.add_module(f"relu_{name}", nn.ReLU())
        self.halve = nn.MaxPool2d(2)
        self.shrink = nn.MaxPool2d(3, stride=1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, pictures):
        x = self.halve(self.relu_conv1(self.conv1(pictures)))
        x = self.halve(self.relu_conv2(self.conv2(x)))
        x = self.relu_conv3(self.conv3(x))
        x = self.relu_conv4(self.conv4(x))
        x = self.shrink(self.relu_conv5(self.conv5(x))).flatten(1)
        x = self.relu_fc1(self.fc1(self.dropout(x)))
        x = self.relu_fc2(self.fc2(self.dropout(x)))
        return self.fc3(x)

    @classmethod
    def groups(cls):
        names = [*cls.FULL, "fc3"]
        return [
            Group(name, (name,), ((after, cls.POSITIONS if name == "conv5" else 1),), (f"relu_{name}",))
            for name, after in zip(cls.FULL, names[1:], strict=True)
        ]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut. Each ReLU is its own module: one that is called twice would pair the
    activations of one call with the gradients of the other."""

    def __init__(self, before, inner, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, inner, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(inner, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.relu2 = nn.ReLU()
        if stride != 1:
            self.shortcut = nn.Conv2d(before, after, 1, stride=stride, bias=False)
            self.shortcut_bn = nn.BatchNorm2d(after)

    def forward(self, x):
        through = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        around = self.shortcut_bn(self.shortcut(x)) if hasattr(self, "shortcut") else x
        return self.relu2(through + around)


class ResNet18(nn.Module):
    """Four stages of two blocks. A stage's width is one group, shared by all that its shortcuts add; so is the width
    inside each block."""

    FULL: ClassVar = {
        f"stage{stage}{part}": 64 * 2 ** (stage - 1)
        for stage in range(1, STAGES + 1)
        for part in ("", *(f".block{block}" for block in range(1, BLOCKS + 1)))
    }

    def __init__(self, arch):
        super().__init__()
        before = arch.widths["stage1"]
        self.stem = nn.Conv2d(3, before, 3, stride=arch.size // 16, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(before)
        self.stem_relu = nn.ReLU()
        for stage in range(1, STAGES + 1):
            blocks, after = nn.Module(), arch.widths[f"stage{stage}"]
            for block in range(1, BLOCKS + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                inner = arch.widths[f"stage{stage}.block{block}"]
                blocks.add_module(f"block{block}", BasicBlock(before, inner, after, stride))
                before = after
            self.add_module(f"stage{stage}", blocks)
        self.fc = nn.Linear(before, arch.classes)

    def forward(self, pictures):
        x = self.stem_relu(self.stem_bn(self.stem(pictures)))
        for stage in range(1, STAGES + 1):
            for block in getattr(self, f"stage{stage}").children():
                x = block(x)
        return self.fc(x.mean((2, 3)))

    @classmethod
    def groups(cls):
        found = []
        for stage in range(1, STAGES + 1):
            blocks = [f"stage{stage}.block{block}" for block in range(1, BLOCKS + 1)]
            found.append(cls._stage(stage, blocks))
            found += [
                Group(block, (f"{block}.conv1",), ((f"{block}.conv2", 1),), (f"{block}.relu1",), (f"{block}.bn1",))
                for block in blocks
            ]
        return found

    @staticmethod
    def _stage(stage, blocks):
        """The group of a stage's width: the stem or the shortcut, and every block's second half, are added together."""
        first, *others = blocks
        start, norm = ("stem", "stem_bn") if stage == 1 else (f"{first}.shortcut", f"{first}.shortcut_bn")
        inside = blocks if stage == 1 else others
        following = f"stage{stage + 1}.block1"
        after = ["fc"] if stage == STAGES else [f"{following}.conv1", f"{following}.shortcut"]
        return Group(
            f"stage{stage}",
            producers=(start, *(f"{block}.conv2" for block in blocks)),
            consumers=tuple((name, 1) for name in [*(f"{block}.conv1" for block in inside), *after]),
            watched=tuple(f"{block}.relu2" for block in blocks),
            norms=(norm, *(f"{block}.bn2" for block in blocks)),
        )


NETWORKS = {"alexnet": AlexNet, "resnet18": ResNet18}
