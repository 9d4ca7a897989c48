"""Settings of the probe: collections by kind or regular expression, with interval, range, modes and reductions.

The pipeline's spec says it (`probe:`); a job finds it as JSON in RATCHET_PROBE. Pure; the standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from contract.environment import PROBE
from toolkit.probe import layers, layout
from toolkit.probe.errors import ProbeError
from toolkit.probe.layout import MODES

# Amazon SageMaker developer guide, "Configure tensor collections using the CollectionConfig API": every 500 steps.
INTERVAL = 500
# Numbers of a tensor; `histogram` is {"edges", "counts"}. Formulas: reductions.py.
REDUCTIONS = (
    "mean", "std", "variance", "min", "max", "sum", "norm", "l1", "zeros", "nonfinite",
    "abs_mean", "abs_std", "abs_variance", "abs_min", "abs_max", "histogram",
)  # fmt: skip

# The collections that need no regular expression: what belongs to each.
BUILT_IN: Mapping[str, frozenset[str]] = {
    "losses": frozenset({layout.LOSS}),
    "weights": frozenset({layout.WEIGHT}),
    "biases": frozenset({layout.BIAS}),
    "gradients": frozenset({layout.GRADIENT}),
    "buffers": frozenset({layout.BUFFER}),
    "inputs": frozenset({layout.INPUT}),
    "outputs": frozenset({layout.OUTPUT}),
    "output_gradients": frozenset({layout.OUTPUT_GRADIENT}),
    "optimizer_state": frozenset({layout.OPTIMIZER}),
    "labels": frozenset({layout.LABEL}),
    "predictions": frozenset({layout.PREDICTION}),
    "scalars": frozenset({layout.SCALAR}),
    "tensors": frozenset({layout.TENSOR}),
    "images": frozenset({layout.IMAGE}),
    "metrics": frozenset({layout.METRIC}),
    "importances": frozenset({layout.IMPORTANCE}),
    "trees": frozenset({layout.TREE}),
}
# A further collection of the same tensors, with steps and numbers of its own: `gradients:norms`.
FURTHER = ":"
# Kept at every step unless configured otherwise: numbers cost nothing, and what a script saves by hand is meant.
_EVERY_STEP = ("losses", "scalars", "tensors", "images", "metrics", "importances", "trees")
# Of those, what costs something at each step; a watcher saves it less often unless it is asked for.
_SPARSE = ("importances", "trees")
# Beside those unless others are configured; as Debugger's.
_DEFAULT = ("weights", "biases", "gradients")


def kinds_of(collection: str) -> frozenset[str] | None:
    """The kinds of tensors that a built-in collection has, or a further one of the same; None for one by names."""
    return BUILT_IN.get(collection.partition(FURTHER)[0])


@dataclass(frozen=True)
class Collection:
    """A collection: which tensors are saved, when, and whether whole or as numbers.

    include: regular expressions, searched in a tensor's names (layers.py); none means all of the built-in kinds.
    interval: by mode, in steps; a step is due when it is a multiple. start, end: first step, and the first that is too
    late. steps: only these instead. reductions: numbers to save. values: the whole tensors too. sparse: nobody asked
    for it, so who watches many small steps may leave some out.
    """

    name: str
    include: tuple[str, ...] = ()
    interval: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(MODES, INTERVAL))
    start: int = 0
    end: int | None = None
    steps: tuple[int, ...] = ()
    modes: tuple[str, ...] = MODES
    reductions: tuple[str, ...] = ()
    values: bool = True
    sparse: bool = False

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        return [re.compile(pattern) for pattern in self.include]

    def holds(self, name: str, kind: str, layer: str | None = None) -> bool:
        """Whether a tensor belongs to it. layer: the type of the layer whose input or output it is."""
        kinds = kinds_of(self.name)
        if kinds is not None and kind not in kinds:
            return False
        names = layers.names_of(name, layer)
        return not self.include or any(pattern.search(found) for pattern in self._patterns for found in names)

    @property
    def is_always_due(self) -> bool:
        """Whether it is saved at every step of every mode."""
        usual = not self.steps and self.start == 0 and self.end is None
        return usual and set(self.modes) == set(MODES) and set(self.interval.values()) == {1}

    def due(self, mode: str, step: int) -> bool:
        """Whether it is saved at a step. Asked at every step: most are over before a sentence is made."""
        if not self.steps and step % self.interval[mode]:
            return False
        return self.not_due(mode, step) is None

    def not_due(self, mode: str, step: int) -> str | None:
        """Why it isn't saved at a step, as the end of a sentence; None when it is."""
        if mode not in self.modes:
            return f"is saved in mode {' and '.join(self.modes)} only"
        if self.steps:
            return None if step in self.steps else f"is saved at the steps {', '.join(map(str, self.steps))} only"
        if step < self.start:
            return f"starts at step {self.start}"
        if self.end is not None and step >= self.end:
            return f"ends before step {self.end}"
        every = self.interval[mode]
        return None if step % every == 0 else f"is saved every {every} steps"


@dataclass(frozen=True)
class Settings:
    """A probe's settings.

    output: s3:// prefix to which the folder is copied as the job goes, or None. sync_seconds: how often.
    max_pending_bytes: copies that wait to be written; more than that, and training waits for the writer.
    """

    collections: tuple[Collection, ...]
    output: str | None = None
    sync_seconds: float = 10.0
    max_pending_bytes: int = 512 * 2**20

    @staticmethod
    def parse(text: str | None) -> Settings:
        """The settings of RATCHET_PROBE's text; None or empty means the defaults.

        Raises:
            ProbeError: it isn't JSON, or something in it is unknown or wrong; the message names it.
        """
        if not text:
            return Settings(_collections({}))
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ProbeError(f"{PROBE} is not JSON: {error}") from None
        return Settings.of(document)

    @staticmethod
    def of(document: Any) -> Settings:
        """The settings of {"collections": {name: {…} | false}, "output", "sync_seconds", "max_pending_bytes"}."""
        known = ("collections", "output", "sync_seconds", "max_pending_bytes")
        fields = _fields(document, "probe", known)
        output = fields.get("output")
        if output is not None and not str(output).startswith("s3://"):
            raise ProbeError(f"probe: output: {output!r} is no s3:// prefix")
        numbers = {name: _positive(fields[name], f"probe: {name}") for name in known[2:] if name in fields}
        collections = fields.get("collections") or {}
        if not isinstance(collections, Mapping):
            raise ProbeError(f"probe: collections: expected names with their settings, found {collections!r}")
        return Settings(_collections(collections), output=output, **numbers)

    def collections_of(self, name: str, kind: str, layer: str | None = None) -> tuple[Collection, ...]:
        """The collections that a tensor belongs to."""
        return tuple(collection for collection in self.collections if collection.holds(name, kind, layer))

    def document(self) -> dict[str, Any]:
        """The collections as `of` takes them."""
        return {"collections": {found.name: _document(found) for found in self.collections}}


def _collections(documents: Mapping[str, Any]) -> tuple[Collection, ...]:
    every = {name: {"interval": 1} for name in _EVERY_STEP}
    chosen = [name for name, found in documents.items() if found is not False and name not in _EVERY_STEP]
    usual: dict[str, Any] = {} if chosen else {name: {} for name in _DEFAULT}
    merged = {
        **every,
        **usual,
        **{name: {**every.get(name, {}), **_said(name, found)} for name, found in documents.items()},
    }
    switched_off = {name for name, found in documents.items() if found is False}
    made = {name: _collection(name, found) for name, found in merged.items() if name not in switched_off}
    return tuple(
        replace(found, sparse=True) if name in _SPARSE and name not in documents else found
        for name, found in made.items()
    )


def _said(name: str, document: Any) -> Mapping[str, Any]:
    if document is None or document is False or document is True:
        return {}
    if not isinstance(document, Mapping):
        raise ProbeError(f"probe: collections: {name}: expected its settings or false, found {document!r}")
    return document


def _collection(name: str, document: Mapping[str, Any]) -> Collection:
    where = f"probe: collections: {name}"
    known = ("include", "interval", "start", "end", "steps", "modes", "reductions", "values")
    fields = _fields(document, where, known)
    include = tuple(map(str, _listed(fields.get("include"))))
    if not include and kinds_of(name) is None:
        raise ProbeError(f"{where}: include is missing; only these need none: {', '.join(BUILT_IN)}")
    for pattern in include:
        _check_pattern(where, pattern)
    reductions = tuple(_listed(fields.get("reductions")))
    _check_known(f"{where}: reductions", reductions, REDUCTIONS)
    start, end = _steps(fields.get("start", 0), where, "start"), fields.get("end")
    if end is not None and _steps(end, where, "end") <= start:
        raise ProbeError(f"{where}: end {end} isn't after start {start}")
    return Collection(
        name=name,
        include=include,
        interval=_interval(fields.get("interval", INTERVAL), where),
        start=start,
        end=end,
        steps=tuple(_steps(step, where, "steps") for step in _listed(fields.get("steps"))),
        modes=_modes(_listed(fields.get("modes", MODES)), where),
        reductions=reductions,
        values=bool(fields.get("values", not reductions)),
    )


def _interval(value: Any, where: str) -> dict[str, int]:
    """One interval for both modes, or one each: {train: 100, eval: 1}."""
    if isinstance(value, Mapping):
        found = dict(zip(_modes(value, where), value.values()))
        return {mode: _interval(found.get(mode, INTERVAL), f"{where}")[mode] for mode in MODES}
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ProbeError(f"{where}: interval: {value!r} is no number of steps (1 or more)")
    return dict.fromkeys(MODES, value)


def _modes(values: Iterable[Any], where: str) -> tuple[str, ...]:
    try:
        return tuple(layout.mode_of(str(value)) for value in values)
    except ValueError as error:
        raise ProbeError(f"{where}: {error}") from None


def _steps(value: Any, where: str, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ProbeError(f"{where}: {name}: {value!r} is no step (0 or more)")
    return value


def _positive(value: Any, where: str) -> Any:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
        raise ProbeError(f"{where}: {value!r} is no positive number")
    return value


def _check_pattern(where: str, pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ProbeError(f"{where}: include: {pattern!r} is no regular expression: {error}") from None


def _check_known(where: str, values: Iterable[Any], known: Iterable[str]) -> None:
    for value in values:
        if value not in known:
            raise ProbeError(f"{where}: {value!r} is unknown; there are {', '.join(known)}")


def _fields(document: Any, where: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise ProbeError(f"{where}: expected fields, found {document!r}")
    _check_known(where, document, known)
    return document


def _listed(value: Any) -> list[Any]:
    """A list, where one alone counts as a list of one."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _document(collection: Collection) -> dict[str, Any]:
    fields = asdict(collection)
    del fields["name"], fields["sparse"]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}
