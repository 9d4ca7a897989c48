"""A ResNet-18 for 32 x 32 pictures, and what it is made of as JSON.

He et al., "Deep Residual Learning for Image Recognition" (2015), with a 3 x 3 stem that keeps all 32 x 32 places: what
tells one speed limit from another is a few pixels wide. Every layer is a module that is called once, and no ReLU works
in place: saliency.py takes outputs and their gradients.
"""

from dataclasses import dataclass

from torch import nn

from toolkit import network_files
from toolkit.network_files import ModelError

SIZE = 32  # pixels, of width and height
STRIDES = {"stage1": 1, "stage2": 2, "stage3": 2, "stage4": 2}
UNITS = {"stage1": 64, "stage2": 128, "stage3": 256, "stage4": 512}
BLOCKS = ("block1", "block2")
LAST = "stage4.block2.relu2"  # the maps that Grad-CAM weighs, of 4 x 4 places


@dataclass(frozen=True)
class Architecture:
    """A network's size. `classes`: their names, in the order of the outputs. `width`: of the paper's layers."""

    classes: tuple
    width: float

    def __post_init__(self):
        if len(self.classes) < 2:
            raise ModelError(f"classes are {list(self.classes)}; a network tells at least two apart")
        if not 0 < self.width <= 1:
            raise ModelError(f"width is {self.width:g}; it is above 0, and 1 makes the paper's layers")

    def units(self, stage):
        """How many units a layer of the stage has; at least one."""
        return max(1, round(UNITS[stage] * self.width))


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
        if stride != 1 or before != units:
            self.shortcut = nn.Conv2d(before, units, 1, stride=stride, bias=False)
            self.shortcut_bn = nn.BatchNorm2d(units)

    def forward(self, x):
        through = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        around = self.shortcut_bn(self.shortcut(x)) if hasattr(self, "shortcut") else x
        return self.relu2(through + around)


class ResNet18(nn.Module):
    """Four stages of two blocks; scores (n, classes) of pictures (n, 3, 32, 32)."""

    def __init__(self, arch):
        super().__init__()
        before = arch.units("stage1")
        self.stem = nn.Conv2d(3, before, 3, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(before)
        self.stem_relu = nn.ReLU()
        for stage, stride in STRIDES.items():
            blocks = nn.Module()
            for block in BLOCKS:
                blocks.add_module(block, Block(before, arch.units(stage), stride if block == BLOCKS[0] else 1))
                before = arch.units(stage)
            self.add_module(stage, blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(before, len(arch.classes))

    def forward(self, pictures):
        x = self.stem_relu(self.stem_bn(self.stem(pictures)))
        for stage in STRIDES:
            for block in getattr(self, stage).children():
                x = block(x)
        return self.fc(self.flatten(self.pool(x)))


def build(arch):
    """A network of this architecture with fresh weights (He initialisation)."""
    model = ResNet18(arch)
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def parameters(model):
    """The number of parameters that are learned."""
    return sum(parameter.numel() for parameter in model.parameters())


def load(folder):
    """The network in the folder, ready to predict; its architecture. Raises ModelError."""
    return network_files.load(folder, Architecture, build)
