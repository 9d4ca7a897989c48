"""A convolutional autoencoder: 28 x 28 pixels into 20 numbers, a fortieth, and back.

    encoder   convolution 5 x 5, halving, convolution 5 x 5, halving, dense
    decoder   dense, doubling, transposed convolution 5 x 5, doubling, transposed convolution 5 x 5, sigmoid

With 32 filters it has 73,909 parameters. On disk it is `model.safetensors` and `architecture.json`: data only, nothing
that is loaded runs.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from toolkit.probe import ProbeError, tensor_files

SIZE = 28  # pixels, wide and high
LATENTS = 20  # numbers that a digit becomes; a PCA that is compared has as many
FILTERS = 32
SMALL = 4  # pixels, wide and high, of what lies between the convolutions and the dense layer
DARK = -2.0  # before the sigmoid: 0.12 of white

STATE, ARCHITECTURE = "model.safetensors", "architecture.json"


class ModelError(Exception):
    """A folder that holds no autoencoder, or one that doesn't fit its own architecture."""


class Autoencoder(nn.Module):
    """Pixels (n, 1, 28, 28), from 0 to 1, to themselves by way of `latents` numbers."""

    def __init__(self, filters=FILTERS, latents=LATENTS):
        super().__init__()
        self.filters, self.latents = filters, latents
        self.encoder = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(1, filters, 5),
                relu1=nn.ReLU(),
                halve1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(filters, filters, 5),
                relu2=nn.ReLU(),
                halve2=nn.MaxPool2d(2),
                flatten=nn.Flatten(),
                bottleneck=nn.Linear(filters * SMALL * SMALL, latents),
            )
        )
        self.decoder = nn.Sequential(
            OrderedDict(
                dense=nn.Linear(latents, filters * SMALL * SMALL),
                relu1=nn.ReLU(),
                unflatten=nn.Unflatten(1, (filters, SMALL, SMALL)),
                double1=nn.Upsample(scale_factor=2),
                conv1=nn.ConvTranspose2d(filters, filters, 5),
                relu2=nn.ReLU(),
                double2=nn.Upsample(scale_factor=2),
                conv2=nn.ConvTranspose2d(filters, 1, 5),
                sigmoid=nn.Sigmoid(),
            )
        )
        self._begin()

    def _begin(self):
        """Weights by He et al. 2015, and dark pixels, as most are.

        With PyTorch's own, which are smaller, a narrow network learns to answer black, and hardly gets away from that.
        """
        for layer in self.modules():
            if isinstance(layer, nn.ConvTranspose2d):  # whose inputs PyTorch counts by the filters that leave it
                nn.init.normal_(layer.weight, std=math.sqrt(2 / (layer.in_channels * layer.weight[0, 0].numel())))
            elif isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                continue
            nn.init.zeros_(layer.bias)
        nn.init.constant_(self.decoder.conv2.bias, DARK)

    def forward(self, pixels):
        return self.decoder(self.encoder(pixels))


def tensor(digits):
    """Digits as bytes, (n, 28, 28) -> what the network takes."""
    return torch.from_numpy(np.ascontiguousarray(digits, np.float32)).div_(255).unsqueeze(1)


@torch.no_grad()
def encode(model, digits, batch=500):
    """Digits as bytes, (n, 28, 28) -> their latents, float32 (n, 20)."""
    model.eval()
    parts = [digits[start : start + batch] for start in range(0, len(digits), batch)]
    return np.concatenate([model.encoder(tensor(part)).numpy() for part in parts])


@torch.no_grad()
def decode(model, latents, batch=500):
    """Latents (n, 20) -> digits, float32 (n, 28, 28) from 0 to 255."""
    model.eval()
    whole = torch.from_numpy(np.ascontiguousarray(latents, np.float32))
    return np.concatenate([model.decoder(part).squeeze(1).mul(255).numpy() for part in whole.split(batch)])


def error(digits, reconstructions):
    """The mean squared error a pixel, where black is 0 and white is 1."""
    return float(np.mean(((digits.astype(np.float32) - reconstructions) / 255) ** 2))


def save(folder, model):
    """Writes the network into the folder, which must exist."""
    state = {name: tensor_files.Stored.of(value.numpy()) for name, value in model.state_dict().items()}
    tensor_files.write(Path(folder) / STATE, state)
    architecture = {"filters": model.filters, "latents": model.latents}
    (Path(folder) / ARCHITECTURE).write_text(json.dumps(architecture) + "\n")


def load(folder):
    """The network in the folder, ready to encode and decode.

    Raises:
        ModelError: the files are missing, broken, or don't fit each other.
    """
    try:
        model = Autoencoder(**json.loads((Path(folder) / ARCHITECTURE).read_text()))
        content = (Path(folder) / STATE).read_bytes()
        state = {name: _read(content, name) for name in model.state_dict()}
        model.load_state_dict(state)
    except OSError as error:
        raise ModelError(f"{error.filename} can't be read: {error.strerror}") from error
    except (ProbeError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"{folder} holds no autoencoder: {error}") from error
    return model.eval()


def _read(content, name):
    found = tensor_files.read(lambda start, length: content[start : start + length], name, STATE)
    return torch.from_numpy(found.copy())
