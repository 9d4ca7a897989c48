"""`serving` of pipeline.yaml: below which confidence the model answers "unsure"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from contract import files, thresholds
from contract.evaluations import OF_PROBABILITIES
from contract.threshold_answers import one_name
from ratchet.spec.errors import checked, refusal
from ratchet.spec.metric_names import labels_needed_are_numbers
from ratchet.spec.model import Model
from ratchet.spec.own_code import check_import

HELPER = f"{files.TOOLKIT}.threshold"
_RIGHT = "write one number, as 0.8, or one for each class that needs one, as {'7': 0.9, '1': 0.7}"
_SHARE: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
_SCHEMA: dict[str, Any] = {
    "anyOf": [_SHARE, {"type": "object", "additionalProperties": _SHARE, "minProperties": 1}],
    "examples": [0.8],
}


def _threshold(value: object) -> float | dict[str, float]:
    if not isinstance(value, Mapping):
        return _share(value, "is")
    if not value:
        raise ValueError(f"names no class; {_RIGHT}")
    found: dict[str, float] = {}
    for name, share in value.items():
        # YAML reads a bare yes and a bare date as something else, of which the class has no letter.
        if isinstance(name, bool) or not isinstance(name, str | int | float):
            raise ValueError(f"names the class {name!r}, which YAML doesn't read as a text; put it in quotation marks")
        if one_name(str(name)) in map(one_name, found):
            raise ValueError(f"names the class {str(name)!r} twice, once as another number of the same value")
        found[str(name)] = _share(share, f"of class {name} is")
    if len(thresholds.text_of(found)) > thresholds.VALUE_LENGTH:
        raise ValueError(
            f"names {len(found)} classes, which are {len(thresholds.text_of(found))} characters; the variable of a "
            f"processing job that it travels in takes {thresholds.VALUE_LENGTH}: name those that matter, or {_RIGHT}"
        )
    return found


def _share(value: object, told: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{told} {value!r}; {_RIGHT}")
    if not 0 < value <= 1:
        percent = f": write {value / 100:g} for {value:g} %" if 1 < value <= 100 else f"; {_RIGHT}"
        raise ValueError(f"{told} {value:g}, but a confidence is above 0 and at most 1{percent}")
    return float(value)


class Serving(Model):
    """How the model answers."""

    threshold: Annotated[
        float | Mapping[str, float] | None,
        BeforeValidator(checked(_threshold)),
        Field(description="Below this confidence the answer is unsure: one for all classes, or class → its own"),
        WithJsonSchema(_SCHEMA),
    ] = None

    @property
    def told(self) -> str | None:
        """The threshold as containers are told it; None without one."""
        return None if self.threshold is None else thresholds.text_of(self.threshold)


def check_threshold(threshold: object, metric: str, *, floors: bool) -> None:
    """Raises a refusal where the gate's metric can't be of such answers, or there are floors without a threshold."""
    at = ("serving", "threshold")
    if threshold is None:
        if floors:
            raise refusal(
                "is said, but there is no threshold; write serving: {threshold: 0.8}", "gate", thresholds.FLOORS
            )
        return
    if labels_needed_are_numbers(metric):
        raise refusal(f"is said, but {metric} judges numbers, which are of no class; leave it out", *at)
    if metric in OF_PROBABILITIES:
        message = (
            f"is said, but {metric} judges the probability of each class, and with a threshold the model answers "
            "prediction,confidence,answer; judge by accuracy, f1_macro, balanced_accuracy or another of labels"
        )
        raise refusal(message, *at)


def check_scripts(folder: Path, scripts: Sequence[str]) -> str | None:
    """The end of a sentence about scripts of which none asks for the threshold; None where one does. Read, not run.

    scripts: serve.py, or those of a chain. One that reads the container's variable itself may answer by itself.
    """
    texts = [
        (folder / name).read_text(encoding="utf-8", errors="replace") for name in scripts if (folder / name).is_file()
    ]
    if not texts or any(thresholds.THRESHOLD in text for text in texts):
        return None
    otherwise = (
        f"is said, but {' or '.join(scripts)} doesn't import {HELPER}, so no answer says how sure it is; write below "
        "its functions: predict_fn, output_fn = with_threshold(predict_fn, output_fn)"
    )
    return check_import(folder, scripts, HELPER, need="answers that say a confidence", otherwise=otherwise)
