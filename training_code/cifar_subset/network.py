"""A ResNet-18 for small pictures, and what it is made of as JSON.

He et al., "Deep Residual Learning for Image Recognition" (2015), in the form for CIFAR: a 3 x 3 stem that keeps the
size, no max pooling. `width` is the units of the first stage: the paper's is 64, and 16 makes 0.7 million parameters.
Its parts are `stem` (convolution, normalisation, ReLU), `layers` (four stages of two blocks: `layers.2.0` is the first
block of the third), and `head`; all but the head takes pictures of any size, so that other networks can build on it.
"""

from dataclasses import dataclass

from torch import nn

from toolkit import network_files
from toolkit.network_files import ModelError

SIZE = 32  # pixels, of width and height
STAGES, BLOCKS = 4, 2


@dataclass(frozen=True)
class Architecture:
    """A network's size. `classes`: their names, in the order of the outputs. `stride`: of the stem."""

    classes: tuple
    width: int = 16
    stride: int = 1

    def __post_init__(self):
        if len(self.classes) < 2:
            raise ModelError(f"classes are {list(self.classes)}; a network tells at least two apart")
        if not isinstance(self.width, int) or self.width < 1:
            raise ModelError(f"width is {self.width!r}; it is a whole number of units, at least 1")
        if self.stride not in (1, 2):
            raise ModelError(f"stride is {self.stride!r}; it is 1, or 2 to make a picture half as wide at once")

    def units(self, stage):
        """How many units the layers of a stage have, the first being 0."""
        return self.width * 2**stage


class Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut. Every layer is called once, so that it can be watched."""

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


class ResNet18(nn.Module):
    """Scores (n, classes) of pictures (n, 3, height, width)."""

    def __init__(self, arch):
        super().__init__()
        first = nn.Conv2d(3, arch.width, 3, stride=arch.stride, padding=1, bias=False)
        self.stem = nn.Sequential(first, nn.BatchNorm2d(arch.width), nn.ReLU())
        stages, before = [], arch.width
        for stage in range(STAGES):
            units, stride = arch.units(stage), 1 if stage == 0 else 2
            blocks = [Block(units if block else before, units, 1 if block else stride) for block in range(BLOCKS)]
            stages.append(nn.Sequential(*blocks))
            before = units
        self.layers = nn.Sequential(*stages)
        self.head = nn.Linear(before, len(arch.classes))

    def forward(self, pictures):
        return self.head(self.layers(self.stem(pictures)).mean((2, 3)))


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
