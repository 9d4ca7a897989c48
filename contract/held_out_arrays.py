"""Held-out npz: which array holds the features, which the labels, and what shapes go together."""

from __future__ import annotations

from collections.abc import Mapping

from contract.held_out import HeldOutError, Reading

_FEATURES = ("X", "x", "features", "X_test", "x_test")
_LABELS = ("y", "Y", "labels", "label", "y_test")


def which(name: str, shapes: Mapping[str, tuple[int, ...]], how: Reading) -> tuple[str, str]:
    """The names of the features' array and the labels' in a file.

    Raises:
        HeldOutError: it isn't clear which array is which.
    """
    there = ", ".join(f"{key} {shape}" for key, shape in shapes.items()) or "nothing"
    label = how.label if isinstance(how.label, str) else next((key for key in _LABELS if key in shapes), None)
    if label not in shapes:
        asked = f"no array {label!r}" if label else f"no array of labels ({', '.join(_LABELS)})"
        raise HeldOutError(f"{name} has {asked}, only {there}; write evaluate.label: <array>")
    rest = [key for key in shapes if key != label]
    features = rest[0] if len(rest) == 1 else next((key for key in _FEATURES if key in rest), None)
    if features is None or not shapes[features]:
        raise HeldOutError(f"{name} has no array of features ({', '.join(_FEATURES)}), only {there}")
    return features, str(label)


def check_shapes(name: str, keys: tuple[str, str], shapes: Mapping[str, tuple[int, ...]], how: Reading) -> None:
    """Raises HeldOutError unless there is one label an example: (n, …) and (n,), or (n, 1); more if it may be a list.

    Args:
        keys: of the features and of the labels.
    """
    features, labels = (shapes[key] for key in keys)
    flat = labels[:1] if labels[1:] == (1,) or how.any_label else labels
    if len(flat) != 1 or flat[0] != features[0]:
        told = f"{keys[0]} has the shape {features}, {keys[1]} {labels}"
        raise HeldOutError(f"{name}: {told}; one label an example is needed: (n, …) and (n,)")
