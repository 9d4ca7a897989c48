"""Columns of CSV rows without quotes, found without taking a row apart: rows are long, and filters look at ends."""

from __future__ import annotations

from collections.abc import Callable

from localaws.sagemaker.jobs.transform_paths import Path

Cut = Callable[[bytes], bytes]
_COMMA = b","


def cut(path: Path) -> Cut:
    """What a path lets pass of a row, which has no quotes. The function may raise PathError."""
    if path.is_all:
        return lambda row: row
    (segment, *more) = path.segments
    if segment.indices and not more:
        return _at(segment.indices, path)
    part = segment.part
    if part is not None and not more and part.stop is None and (part.start or 0) > 0:
        return _after(part.start)
    if part is not None and not more and part.start is None and (part.stop or 0) < 0:
        return _before(-part.stop)
    return lambda row: _taken_apart(path, row)


def _taken_apart(path: Path, row: bytes) -> bytes:
    return ",".join(path.columns(row.decode().split(","))).encode()


def _after(count: int) -> Cut:
    def after(row: bytes) -> bytes:
        cells = row.split(_COMMA, count)
        return cells[count] if len(cells) > count else b""

    return after


def _before(count: int) -> Cut:
    def before(row: bytes) -> bytes:
        cells = row.rsplit(_COMMA, count)
        return cells[0] if len(cells) > count else b""

    return before


def _at(indices: tuple[int, ...], path: Path) -> Cut:
    left, right = max(-1, *indices) + 1, max(0, *(-index for index in indices))

    def at(row: bytes) -> bytes:
        from_left, from_right = row.split(_COMMA, left) if left else [], row.rsplit(_COMMA, right) if right else []
        try:
            return _COMMA.join([from_left[index] if index >= 0 else from_right[index] for index in indices])
        except IndexError:
            return _taken_apart(path, row)  # which says what isn't there

    return at
