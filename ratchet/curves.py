"""A training's losses and metrics, step by step, as the probe saved them: small charts for the report.

Source: the index beside the tensors, one JSON object a line (training_code/toolkit/probe/layout.py, Record).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from botocore.exceptions import ClientError

from contract import files
from ratchet.account import Account
from ratchet.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Tick

# So much of a worker's index is read, of so many workers: hours of training, in a moment.
INDEX_BYTES, WORKERS = 16 * 2**20, 4
# Points of a line (more would be within a pixel), and charts of a page.
POINTS, CHARTS = 300, 8

# Values that differ by more than this factor are drawn on a logarithmic axis: a loss that explodes would else be a flat
# line and a corner. Beyond the largest a line has left every picture, and sums overflow.
LOGARITHMIC, LARGEST = 1e4, 1e150

_KINDS = ("loss", "metric")

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """One number of a training: at which step of `train` or `eval`, of what name."""

    name: str
    mode: str
    step: int
    value: float


@dataclass(frozen=True)
class Line:
    mode: str
    path: str


@dataclass(frozen=True)
class Stop:
    """The step at which a rule found issues."""

    at: float
    rule: str
    step: int


@dataclass(frozen=True)
class Chart:
    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    stops: tuple[Stop, ...]
    logarithmic: bool


def read(account: Account, bucket: str, folder: str) -> tuple[Point, ...]:
    """The losses and metrics in a folder of tensors; none where nothing was saved, or it can't be read."""
    s3 = account.client("s3")
    try:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{folder}/{files.TENSOR_INDEX}/").get("Contents", ())
        bodies = [_beginning(s3, bucket, entry["Key"]) for entry in listed[:WORKERS] if entry["Size"]]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("AccessDenied", "NoSuchKey"):
            return ()
        raise
    return tuple(point for body in bodies for point in points(body.splitlines()))


def _beginning(s3: Any, bucket: str, key: str) -> bytes:
    body: bytes = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{INDEX_BYTES - 1}")["Body"].read()
    return body


def points(lines: Iterable[bytes]) -> Iterator[Point]:
    """The numbers that lines of an index tell; of a tensor that isn't one, and of a line cut off, none."""
    for line in lines:
        if not any(b'"%s"' % kind.encode() in line for kind in _KINDS):
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        value = record.get("value")
        if record.get("kind") in _KINDS and not record.get("reduction") and isinstance(value, (int, float)):
            # Steps of an evaluation are counted for themselves; they stand where training was.
            step = record["step"] if record.get("train_step") is None else record["train_step"]
            yield Point(str(record["name"]), str(record["mode"]).lower(), int(step), float(value))


def charts(found: Sequence[Point], verdicts: Sequence[Document]) -> tuple[Chart, ...]:
    """A chart a name, losses first, with the steps at which rules found issues."""
    names = sorted({point.name for point in found}, key=lambda name: (not name.startswith("loss"), name))
    of_each = [(name, [point for point in found if point.name == name]) for name in names]
    return tuple(_chart(name, points_, verdicts) for name, points_ in of_each if len(points_) > 1)[:CHARTS]


def _chart(name: str, found: Sequence[Point], verdicts: Sequence[Document]) -> Chart:
    lines = {mode: _thinned([point for point in found if point.mode == mode]) for mode in ("train", "eval")}
    drawn = [place for line in lines.values() for place in line] or [(0.0, 0.0)]
    stopped = [verdict for verdict in verdicts if isinstance(verdict.get("step"), int)]
    across = Axis([step for step, _ in drawn] + [float(verdict["step"]) for verdict in stopped], LEFT, WIDTH - RIGHT)
    values = [value for _, value in drawn]
    wide = min(values) > 0 and max(values) > LOGARITHMIC * min(values)
    up = Axis(values, HEIGHT - BOTTOM, TOP, logarithmic=wide)
    return Chart(
        title=name,
        lines=tuple(
            Line(mode, "M" + " L".join(f"{across.at(step)} {up.at(value)}" for step, value in line))
            for mode, line in lines.items()
            if line
        ),
        x_ticks=across.ticks(),
        y_ticks=up.ticks(),
        stops=tuple(
            Stop(across.at(float(each["step"])), str(each.get("name", "a rule")), each["step"]) for each in stopped
        ),
        logarithmic=wide,
    )


def _thinned(found: Sequence[Point]) -> list[tuple[float, float]]:
    """(step, value) in the order of the steps, drawable ones; of a step's several, and of many neighbours, the mean."""
    of_step: dict[int, list[float]] = {}
    for point in found:
        if abs(point.value) <= LARGEST:
            of_step.setdefault(point.step, []).append(point.value)
    steps = sorted(of_step)
    size = -(-len(steps) // POINTS) or 1
    groups = [steps[start : start + size] for start in range(0, len(steps), size)]
    return [(float(group[-1]), fmean(value for step in group for value in of_step[step])) for group in groups]
