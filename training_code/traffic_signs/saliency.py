"""Which parts of a picture speak for a class: full gradients, and Grad-CAM beside them.

Full gradients (Srinivas & Fleuret, "Full-Gradient Representation for Neural Network Visualization", 2019). A network of
linear layers, ReLUs and poolings is, at every input, exactly the sum of its input times its gradient and of each bias
times the gradient with regard to it:

    score = sum(input * gradient) + sum over layers, units and places of (bias * gradient of the layer's output)

so these products say who contributed what, and nothing is left over (`Gradients.remainder`). A BatchNorm that predicts
is linear, and has a bias besides its own: beta - gamma * mean / sqrt(variance + eps).

A part is matched with its layer by the layer's path in the network, never by its place in a list: a layer more, or one
that isn't saved, moves nothing.

Grad-CAM (Selvaraju et al. 2017): a layer's maps, each weighed by its mean gradient; what is negative is dropped.

The middle is NumPy, for maps are drawn from saved tensors too (views.py); PyTorch is needed where gradients are taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# What has no bias, or passes on what others made.
UNBIASED = (
    "ReLU", "LeakyReLU", "MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d",
    "Flatten", "Identity", "Dropout", "Dropout2d",
)  # fmt: skip
BIASED = ("Conv2d", "Linear", "BatchNorm2d")


class SaliencyError(Exception):
    """A network of which full gradients would be wrong, or gradients that don't belong together."""


@dataclass(frozen=True)
class Part:
    """A layer's biases (units,) and the score's gradients with regard to its output, (n, units) or (n, units, h, w)."""

    bias: np.ndarray
    gradient: np.ndarray

    def product(self):
        """What each unit's bias gave at each place; of the gradient's shape."""
        return self.gradient * self.bias.reshape(1, -1, *[1] * (self.gradient.ndim - 2))


@dataclass(frozen=True)
class Gradients:
    """Everything that adds up to a score, for n pictures.

    scores (n,); pictures and their gradients (n, 3, h, w); the parts by their layers' paths; the maps that Grad-CAM
    weighs (n, units, h, w) and their gradients.
    """

    scores: np.ndarray
    pictures: np.ndarray
    picture_gradients: np.ndarray
    parts: Mapping[str, Part]
    maps: np.ndarray
    map_gradients: np.ndarray

    def remainder(self):
        """What of each score the parts don't add up to, (n,): rounding, or a layer that isn't linear."""
        own = (self.pictures * self.picture_gradients).reshape(len(self.scores), -1).sum(1, dtype=np.float64)
        for part in self.parts.values():
            own = own + part.product().reshape(len(own), -1).sum(1, dtype=np.float64)
        return self.scores - own


def full_gradient(gradients):
    """The maps (n, h, w) of the full gradients: the sizes of all products, each layer's scaled to 0 to 1, summed.

    As in the paper, section 4: the psi of a layer is the absolute value, rescaled and brought to the picture's size.
    Biases without places, the last layer's, are in no map.
    """
    size = gradients.pictures.shape[2:]
    products = [part.product() for part in gradients.parts.values() if part.gradient.ndim == 4]
    return sum(_sized(product, size) for product in [gradients.pictures * gradients.picture_gradients, *products])


def grad_cam(gradients):
    """The maps (n, h, w) of Grad-CAM, at the picture's size."""
    weights = gradients.map_gradients.mean((2, 3), keepdims=True)
    weighed = np.maximum((weights * gradients.maps).sum(1), 0)
    return upsampled(weighed, gradients.pictures.shape[2:])


def _sized(product, size):
    amounts = np.abs(product)
    low, high = (edge(amounts, axis=(1, 2, 3), keepdims=True) for edge in (np.min, np.max))
    scaled = (amounts - low) / np.maximum(high - low, 1e-12)
    return upsampled(scaled.sum(1), size)


def upsampled(maps, size):
    """Maps (n, h, w) -> (n, *size), with straight lines between the places' middles."""
    rows, columns = (_between(there, wanted) for there, wanted in zip(maps.shape[1:], size, strict=True))
    return np.einsum("yh,nhw,xw->nyx", rows, maps, columns, optimize=True)


def _between(there, wanted):
    at = np.clip((np.arange(wanted) + 0.5) * there / wanted - 0.5, 0, there - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(there)))


def normed(maps):
    """Each map from 0 to 1; one that is the same everywhere is 0."""
    low, high = (edge(maps, axis=(1, 2), keepdims=True) for edge in (np.min, np.max))
    return (maps - low) / np.maximum(high - low, 1e-12)


def batchnorm_bias(gamma, beta, mean, variance, eps):
    """All that a BatchNorm adds when it predicts: its own bias, and the one that its mean makes."""
    return beta - gamma * mean / np.sqrt(variance + eps)


def gradients_of(model, pictures, classes=None, last=None):
    """Everything that adds up to the scores of classes, as the network predicts (so in evaluation mode).

    Args:
        pictures: a tensor (n, 3, h, w), as the network takes them.
        classes: of each picture (n,); unless given, its most likely one.
        last: the path of the module whose maps Grad-CAM weighs.

    Raises:
        SaliencyError: the network trains, works in place, or has a layer of which it isn't known what it adds.
    """
    import torch
    from network import LAST

    biases = biases_of(model)
    watched = {*biases, last or LAST}
    outputs, handles = {}, []
    for path, module in model.named_modules():
        if path in watched:
            handles.append(module.register_forward_hook(_keeping(outputs, path)))
    given = pictures.detach().clone().requires_grad_()
    try:
        with torch.enable_grad():
            answers = model(given)
    finally:
        for handle in handles:
            handle.remove()
    chosen = answers.argmax(1) if classes is None else torch.as_tensor(classes)
    scores = answers.gather(1, chosen[:, None])[:, 0]
    paths = list(outputs)
    found = torch.autograd.grad(scores.sum(), [given, *(outputs[path] for path in paths)])
    taken = {path: gradient.numpy() for path, gradient in zip(paths, found[1:], strict=True)}
    return Gradients(
        scores.detach().numpy(), pictures.numpy(), found[0].numpy(),
        {path: Part(bias, taken[path]) for path, bias in biases.items()},
        outputs[last or LAST].detach().numpy(), taken[last or LAST],
    )  # fmt: skip


def biases_of(model):
    """What each layer adds, by its path; of layers that add nothing, nothing. Raises SaliencyError."""
    found = {}
    for path, module in model.named_modules():
        kind = type(module).__name__
        if next(module.children(), None) is not None:
            continue
        if getattr(module, "inplace", False):
            raise SaliencyError(f"{path} ({kind}) works in place, and overwrites what its gradient belongs to")
        if kind not in UNBIASED + BIASED:
            raise SaliencyError(f"{path} is a {kind}; full gradients are known of {', '.join(BIASED + UNBIASED)}")
        if kind == "BatchNorm2d":
            found[path] = _of_batchnorm(path, module)
        elif kind in BIASED and module.bias is not None:
            found[path] = module.bias.detach().numpy()
    return found


def _of_batchnorm(path, module):
    if module.training or module.running_mean is None:
        raise SaliencyError(f"{path} takes its batch's mean: call model.eval(), full gradients are of one picture")
    tensors = (module.weight, module.bias, module.running_mean, module.running_var)
    return batchnorm_bias(*(tensor.detach().numpy() for tensor in tensors), module.eps)


def _keeping(outputs, path):
    def keep(_module, _inputs, output):
        if path in outputs:
            raise SaliencyError(f"{path} is called twice; give each call a module of its own")
        outputs[path] = output

    return keep
