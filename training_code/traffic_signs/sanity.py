"""Whether a map says something about the network, and about the picture.

Two checks, for a map may look right and be wrong: edges of the picture, drawn by any network, look right too.

- Adebayo et al., "Sanity Checks for Saliency Maps" (2018): the network's layers get fresh weights, from the last to the
  first; the maps must become others.
- Petsiuk et al., "RISE" (2018), deletion: the pixels are taken away in the map's order, the most important first. The
  better the map, the sooner the network is unsure.
"""

import copy

import numpy as np
import pictures
import torch
from network import build
from saliency import full_gradient, gradients_of, upsampled
from scipy.stats import rankdata

# A random map's places: as coarse as the maps of stage 2, so that it takes away patches as a map does. Single pixels
# taken here and there are noise, which confuses a network for another reason.
PLACES = 8
# Taken away from a picture in so many steps.
STEPS = 16


def maps_of(model, images, classes=None):
    """The full gradients' maps (n, h, w) of pictures as bytes."""
    return full_gradient(gradients_of(model, pictures.tensor(images), classes))


def correlations(ones, others):
    """The rank correlation (Spearman's) of each map with its counterpart, (n,)."""
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (ones, others)]
    centred = [of - of.mean(1, keepdims=True) for of in ranks]
    products = (centred[0] * centred[1]).sum(1)
    sizes = np.sqrt((centred[0] ** 2).sum(1) * (centred[1] ** 2).sum(1))
    # A map that is the same everywhere has no order.
    return np.divide(products, sizes, out=np.zeros_like(products), where=sizes > 0)


def cascade(model, arch, images, seed):
    """Yields (layer, the maps' mean rank correlation with the trained network's) as one layer more gets fresh weights.

    From the last layer to the first, as in the paper; the maps are of the classes that the trained network answers.
    """
    torch.manual_seed(seed)
    fresh, changed = build(arch).eval(), copy.deepcopy(model).eval()
    classes = _answers(changed, images)
    before = maps_of(model, images, classes)
    modules, sources = dict(changed.named_modules()), dict(fresh.named_modules())
    layers = [path for path, module in modules.items() if next(module.children(), None) is None and module.state_dict()]
    for path in reversed(layers):
        modules[path].load_state_dict(sources[path].state_dict())
        yield path, float(correlations(before, maps_of(changed, images, classes)).mean())


@torch.no_grad()
def _answers(model, images):
    return model(pictures.tensor(images)).argmax(1)


def random_maps(count, seed, places=PLACES):
    """Maps (count, 32, 32) of chance alone, of so many places in a row."""
    noise = np.random.default_rng(seed).random((count, places, places))
    return noise if places == pictures.SIZE else upsampled(noise, (pictures.SIZE, pictures.SIZE))


@torch.no_grad()
def deletion(model, images, maps):
    """How likely the class that the network sees in the whole picture remains as its pixels go: (n, STEPS + 1).

    The first is of the whole picture, the last of one from which all pixels are gone. What is taken away gets the
    picture's mean colour.
    """
    model.eval()
    whole = pictures.tensor(images)
    gone = whole.mean((2, 3), keepdim=True).expand_as(whole)
    classes = model(whole).argmax(1)
    order = rankdata(-maps.reshape(len(maps), -1), axis=1, method="ordinal") - 1
    place = torch.from_numpy(order.reshape(len(maps), 1, *maps.shape[1:]))
    left = []
    for taken in np.linspace(0, maps[0].size, STEPS + 1):
        answers = model(torch.where(place < taken, gone, whole)).softmax(1)
        left.append(answers.gather(1, classes[:, None])[:, 0].numpy())
    return np.stack(left, axis=1)


def area(curves):
    """The area under each curve, over the share of pixels that are gone (0 to 1), by the trapezoidal rule: (n,)."""
    return (curves[:, 1:] + curves[:, :-1]).mean(1) / 2


def deletion_gain(model, images, maps, others):
    """By how much smaller the area under the maps' deletion curves is than under the others', on average."""
    return float((area(deletion(model, images, others)) - area(deletion(model, images, maps))).mean())
