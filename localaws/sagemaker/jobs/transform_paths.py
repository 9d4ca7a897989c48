"""The JSONPath of InputFilter and OutputFilter: the operators that the Developer Guide lists, and no others.

"Associate Prediction Results with Input Records", Supported JSONPath Operators: $, .<name>, *, ['<name>' (,'<name>')],
[<number> (,<number>)], [<start>:<end>]. The end of a slice isn't part of it, as in json-path/JsonPath, to which the
guide points, and as in AWS's own examples, whose $[:-1] leaves the last column out; a sentence of the guide calls it
inclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# For JSON, in the order of AWS's message; for CSV "only index based JSONPaths can be applied".
_OPERATORS = "$[]*. ,:-'"
_OPERATORS_OF_CSV = "$[]* ,:-"

_NAME, _QUOTED, _NUMBER = r"[A-Za-z0-9-]+(?: [A-Za-z0-9-]+)*", r"'[^',\[\]]+'", r"-?\d+"
_SEGMENT = re.compile(
    rf"\.(?P<name>{_NAME})|\.?\[ *(?P<quoted>{_QUOTED}(?: *, *{_QUOTED})*) *\]|(?P<all>\.\*|\[\*\])"
    rf"|\[ *(?P<slice>(?:{_NUMBER})? *: *(?:{_NUMBER})?) *\]|\[ *(?P<numbers>{_NUMBER}(?: *, *{_NUMBER})*) *\]"
)
_RANGES = re.compile(r"\[[^\]]*:[^\]]*,[^\]]*\]|\[[^\]]*,[^\]]*:[^\]]*\]")


class PathError(Exception):
    """An expression that isn't supported, or what it doesn't find in a record; the message says which."""


@dataclass(frozen=True)
class Segment:
    """One step of a path: names of an object's members, or indices, a slice or everything of an array or object."""

    names: tuple[str, ...] = ()
    indices: tuple[int, ...] = ()
    part: slice | None = None

    @property
    def is_definite(self) -> bool:
        """Whether it finds one value."""
        return bool(self.names) or len(self.indices) == 1

    def found(self, value: Any) -> Iterator[Any]:
        """What it finds in a value. PathError."""
        if len(self.names) > 1:
            yield {name: _member(value, name) for name in self.names}
        elif self.names:
            yield _member(value, self.names[0])
        elif self.indices:
            yield from (_element(value, index) for index in self.indices)
        else:
            members = list(value.values()) if isinstance(value, dict) and self.part is None else _array(value)
            yield from members[self.part or slice(None)]


@dataclass(frozen=True)
class Path:
    """A whole expression; without segments it is `$`, everything."""

    expression: str
    segments: tuple[Segment, ...] = ()

    @property
    def is_all(self) -> bool:
        """Whether it lets everything pass."""
        return not self.segments

    def select(self, value: Any) -> Any:
        """What it finds: a value, or the list of those that an operator for many finds. PathError."""
        found = [value]
        for segment in self.segments:
            found = [each for one in found for each in segment.found(one)]
        return found[0] if all(segment.is_definite for segment in self.segments) else found

    def columns(self, row: list[str]) -> list[str]:
        """The columns of a CSV row that it finds, which "is taken as a JSON array". PathError."""
        found = self.select(row)
        return found if isinstance(found, list) else [found]


ALL = Path("$")


def parsed(expression: str, content_type: str | None, member: str) -> Path:
    """A filter's path, for records of a content type. PathError, which names the request's member."""
    if expression == "$":
        return ALL
    operators = _OPERATORS_OF_CSV if content_type == "text/csv" else _OPERATORS
    for character in expression:
        if not (character.isascii() and character.isalnum()) and character not in operators:
            shown = ", ".join(f"'{operator}'" for operator in operators)
            raise PathError(
                f'Invalid {member}: "{expression}". Unexpected "{character}" in JsonPath. Supported operators for '
                f'"{content_type}" are [{shown}]'
            )
    if ranges := _RANGES.search(expression):
        raise PathError(
            f"Invalid JsonPath: {expression}: only single range filters of format (eg: [1:5]) are supported. Format "
            f"{ranges[0]} is not supported"
        )
    return Path(expression, tuple(_segments(expression, member)))


def _segments(expression: str, member: str) -> Iterator[Segment]:
    position = 1 if expression.startswith("$") else 0
    several = False
    while position < len(expression) or not position:
        found = _SEGMENT.match(expression, position) if position else None
        if found is None or several:
            raise PathError(
                f'Invalid {member}: "{expression}" is no JsonPath here from "{expression[position:]}" on. Supported '
                "are $, .name, *, ['name','name'] at the end, [1,3] and [1:5]."
            )
        segment = _segment(found)
        several = len(segment.names) > 1
        yield segment
        position = found.end()


def _segment(found: re.Match[str]) -> Segment:
    if found["name"]:
        return Segment(names=(found["name"],))
    if found["quoted"]:
        return Segment(names=tuple(name.strip().strip("'") for name in found["quoted"].split(",")))
    if found["numbers"]:
        return Segment(indices=tuple(int(number) for number in found["numbers"].split(",")))
    if found["slice"]:
        start, end = (int(bound) if bound.strip() else None for bound in found["slice"].split(":"))
        return Segment(part=slice(start, end))
    return Segment()


def _member(value: Any, name: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise PathError(f"there is no '{name}' in the record")
    return value[name]


def _element(value: Any, index: int) -> Any:
    array = _array(value)
    if not -len(array) <= index < len(array):
        raise PathError(f"index {index} isn't within the {len(array)} of the record")
    return array[index]


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise PathError("an index needs an array, and the record has none there")
    return value
