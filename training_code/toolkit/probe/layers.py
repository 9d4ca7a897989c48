"""Layers by what they are: the expressions that find a kind of layer, and the names in which they are searched.

A model's author names its layers, or nobody does (`1/output` in a plain Sequential), so an expression is searched in
two names of an activation: its own, and one with the layer's type in place of its path, as in `ReLU/output`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Not LeakyReLU, PReLU, RReLU, whose outputs below zero are alive.
_RELU = r"(?i)(?<!leaky)(?<!leaky_)(?<![pr])relu"
_END = r"(:\d+)?$"
RELU_OUTPUT, RELU_INPUT = rf"{_RELU}[^/]*/output{_END}", rf"{_RELU}[^/]*/input{_END}"
TANH_INPUT, SIGMOID_INPUT = rf"(?i)tanh[^/]*/input{_END}", rf"(?i)sigmoid[^/]*/input{_END}"
EMBEDDING_INPUT = rf"(?i)embed[^/]*/input{_END}"

_WORD = re.compile(r"(.*/(?:input|output))(?![^:.\[])")


def layer_of(name: str, layers: Mapping[str, str]) -> str | None:
    """The type of the layer whose input or output a tensor is. layers: `<path>/input`, `<path>/output` → the type."""
    found = _WORD.match(name)
    return layers.get(found[1]) if found else None


def names_of(name: str, layer: str | None) -> tuple[str, ...]:
    """The names in which expressions are searched."""
    return (name, f"{layer}/{name.rpartition('/')[2]}") if layer else (name,)
