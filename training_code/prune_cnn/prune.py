"""Removes units from a network: pure functions over its state and its architecture."""

from __future__ import annotations

import math

import torch
from network import groups

ROWS = ("weight", "bias")
NORM = ("weight", "bias", "running_mean", "running_var")


def floors(arch, floor):
    """Group -> the fewest units that it keeps: `floor` (0 to 1) of what it had before pruning, at least one."""
    if not 0 < floor <= 1:
        raise ValueError(f"floor is {floor}; it is the fraction of a layer that stays, above 0 and at most 1")
    return {name: max(1, math.ceil(floor * width)) for name, width in arch.first_widths.items()}


def select(scores, arch, *, fraction, floor):
    """Group -> the units that stay, ascending.

    Removed are the `fraction` (0 to 1) of all units that score lowest over all groups together, but never so many of
    a group that fewer than its floor stay; what one group's floor keeps, others give instead.

    Args:
        scores: group -> one score a unit; comparable between groups.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction is {fraction}; it is the part of all units that goes, between 0 and 1")
    spare = {name: arch.widths[name] - least for name, least in floors(arch, floor).items()}
    ordered = sorted((float(score), name, unit) for name, values in scores.items() for unit, score in enumerate(values))
    wanted = round(fraction * sum(arch.widths.values()))
    gone = {name: set() for name in scores}
    for _, name, unit in ordered:
        if wanted and spare[name] > 0:
            gone[name].add(unit)
            spare[name] -= 1
            wanted -= 1
    return {name: [unit for unit in range(arch.widths[name]) if unit not in gone[name]] for name in scores}


def prune(state, arch, kept):
    """(state, architecture) of the network with only the `kept` units (group -> ascending indices).

    What remains computes what it did: a kept unit's weights, biases and statistics are the same, and its consumers
    read the same columns of it.
    """
    pruned = dict(state)
    for group in groups(arch):
        units = torch.as_tensor(kept[group.name], dtype=torch.long)
        for producer in group.producers:
            _take(pruned, producer, ROWS, units)
        for norm in group.norms:
            _take(pruned, norm, NORM, units)
        for consumer, columns in group.consumers:
            spread = (units[:, None] * columns + torch.arange(columns)).flatten()
            weight = f"{consumer}.weight"
            pruned[weight] = pruned[weight].index_select(1, spread).clone()
    return pruned, arch.pruned_to({name: len(units) for name, units in kept.items()})


def _take(state, layer, names, units):
    for name in names:
        key = f"{layer}.{name}"
        if key in state:
            state[key] = state[key].index_select(0, units).clone()
