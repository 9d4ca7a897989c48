"""How much a network's units matter, by several criteria.

While the network trains, hooks see each group's activations a and the loss's gradients g at them, and reduce both to
two numbers a unit and step, which the probe saves:

    signed    mean over examples and positions of a * g
    taylor    mean over examples of | mean over positions of a * g |

The first-order Taylor expansion of the loss says that removing a unit changes it by about a * g (Molchanov et al.,
"Pruning Convolutional Neural Networks for Resource Efficient Inference", 2017, equations 7 and 8). From these, and
from the weights:

    original   | sum over steps of signed |: the rank of SageMaker Debugger's pruning example. Contributions of
               opposite sign cancel before the absolute value is taken.
    taylor     sum over steps of taylor: nothing cancels (equation 8)
    weight-l1, weight-l2     norm of the unit's incoming weights (Li et al., "Pruning Filters for Efficient ConvNets")
    bn-gamma   | scale of the unit's BatchNorm | (Liu et al., "Learning Efficient Convolutional Networks through
               Network Slimming"); only where the network has BatchNorms

Each is divided by its group's L2 norm, so that layers can be compared (Molchanov et al., section 2.2). A width that
several layers share is scored by the sum over them.
"""

from __future__ import annotations

import torch
from network import groups

CRITERIA = ("taylor", "original", "weight-l1", "weight-l2", "bn-gamma")
KINDS = ("signed", "taylor")


class RankError(Exception):
    """A criterion that this network can't be ranked by."""


class Watcher:
    """Hooks that hand `save(name, vector)` what the watched modules did in a backward pass, on steps that are chosen.

    Names are `<module path>/signed` and `<module path>/taylor`; a vector has one number a unit. The hooks are gone
    after `close()`; the model isn't changed.
    """

    def __init__(self, model, arch, save):
        self.watching = False
        self._save = save
        modules = dict(model.named_modules())
        watched = [name for group in groups(arch) for name in group.watched]
        self._hooks = [modules[name].register_forward_hook(self._forward(name)) for name in watched]

    def _forward(self, name):
        def hook(_module, _inputs, output):
            if self.watching and output.requires_grad:
                activation = output.detach()
                output.register_hook(lambda gradient: self._seen(name, activation, gradient))

        return hook

    def _seen(self, name, activation, gradient):
        for kind, vector in contributions(activation, gradient).items():
            self._save(f"{name}/{kind}", vector)

    def close(self):
        for hook in self._hooks:
            hook.remove()


def contributions(activation, gradient):
    """Kind -> one number a unit, of activations and gradients of shape (examples, units) or (examples, units, h, w)."""
    product = activation.float() * gradient.float()
    by_example = product.flatten(2).mean(2) if product.dim() > 2 else product
    return {"signed": by_example.mean(0), "taylor": by_example.abs().mean(0)}


def scores(criterion, arch, state, seen):
    """Group -> a score a unit; the higher, the more it matters.

    Args:
        state: the network's state.
        seen: name (`<module path>/<kind>`) -> one vector a step, for the criteria that rank by what was seen.

    Raises:
        RankError: an unknown criterion, or one that needs what isn't there.
    """
    if criterion not in CRITERIA:
        raise RankError(f"criterion is {criterion!r}; there are {', '.join(CRITERIA)}")
    of_group = {
        "original": lambda group: sum(_over_steps(seen, f"{name}/signed").abs() for name in group.watched),
        "taylor": lambda group: sum(_over_steps(seen, f"{name}/taylor") for name in group.watched),
        "weight-l1": lambda group: _weights(state, group, 1),
        "weight-l2": lambda group: _weights(state, group, 2),
        "bn-gamma": lambda group: _gammas(state, group, arch),
    }[criterion]
    return {group.name: _normed(of_group(group)) for group in groups(arch)}


def seen_by(trial, peers):
    """The hooks' vectors as the probe saved them: name -> one vector a step (`seen` of `scores`).

    Of peers, who each saw their share of the batches, the means: all rank the units alike.
    """
    return {
        name: [peers.mean(torch.from_numpy(trial.value(name, step, worker=peers.number))) for step in trial.steps(name)]
        for kind in KINDS
        for name in trial.names(rf"/{kind}$")
    }


def _over_steps(seen, name):
    vectors = seen.get(name)
    if not vectors:
        raise RankError(f"{name} was never seen: no step was watched while the network trained")
    return torch.stack([torch.as_tensor(vector) for vector in vectors]).sum(0)


def _weights(state, group, order):
    return sum(state[f"{name}.weight"].flatten(1).norm(p=order, dim=1) for name in group.producers)


def _gammas(state, group, arch):
    if not group.norms:
        raise RankError(f"bn-gamma needs a BatchNorm after every layer; {arch.network} has none after {group.name}")
    return sum(state[f"{name}.weight"].abs() for name in group.norms)


def _normed(score):
    return score / score.norm().clamp_min(1e-12)
