"""YAML as plain data that remembers its lines, so that an error can say where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Location = tuple[str | int, ...]

# What no pipeline.yaml comes near, and what a few lines can grow to otherwise: an alias stands for all that its anchor
# holds, a number of a million digits takes minutes to read.
LARGEST_BYTES, MOST_VALUES, DEEPEST, LONGEST_TEXT, LONGEST_NUMBER = 256 << 10, 10_000, 50, 32 << 10, 100
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where (1-based line), in which field (dotted; empty for the whole file), and what."""

    line: int
    field: str
    message: str


class YamlError(ValueError):
    """The file isn't YAML that can be read: a syntax error, a duplicate key, not UTF-8."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True)
class Document:
    """Plain data (`dict`, `list`, scalars) and the 1-based line of every key and item in it."""

    data: Any
    lines: dict[Location, int] = field(default_factory=dict)

    def line(self, location: Location) -> int:
        """The line of a field, or of the nearest field around it when it isn't in the file (a missing one)."""
        while location and location not in self.lines:
            location = location[:-1]
        return self.lines.get(location, 1)


def dotted(location: Location) -> str:
    """`('data', 'train')` as `data.train`, `('rules', 0)` as `rules[0]`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def read(path: Path) -> Document:
    """The document in a file.

    Raises:
        OSError: it can't be opened.
        YamlError: it isn't UTF-8, isn't YAML, has a key twice (YAML forbids it; PyYAML alone takes the last), or is
            larger than any pipeline, written down or with its aliases followed.
    """
    with path.open("rb") as file:
        raw = file.read(LARGEST_BYTES + 1)
    if len(raw) > LARGEST_BYTES:
        raise YamlError(Problem(1, "", f"is larger than {LARGEST_BYTES >> 10} KiB; a pipeline is described in a few"))
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise YamlError(Problem(line, "", f"isn't UTF-8 text (byte {error.start}); save it as UTF-8")) from error
    return parse(text)


def parse(text: str) -> Document:
    """The document in a text; errors as `read`'s."""
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise YamlError(
            Problem(line, "", f"isn't YAML: the character {chr(error.character)!r} isn't allowed")
        ) from error
    try:
        node = loader.get_single_node()
        if node is None:
            return Document(None)
        lines: dict[Location, int] = {}
        for number, (where, found) in enumerate(_walk(node, ())):
            _check_size(found, where, number)
            lines.setdefault(where, found.start_mark.line + 1)
        return Document(loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        raise YamlError(_syntax_problem(error)) from error
    except RecursionError:
        raise YamlError(Problem(loader.line + 1, "", _TOO_DEEP)) from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError(Problem(1, "", f"isn't YAML: {error}")) from error
    finally:
        loader.dispose()


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    what = ", ".join(part for part in (error.context, error.problem) if part)
    return Problem(mark.line + 1 if mark else 1, "", f"isn't YAML: {what}")


_TOO_DEEP = f"nests more than {DEEPEST} levels deep"


class _Loader(yaml.SafeLoader):
    """PyYAML's, which looks at all open brackets with each that opens: it stops at those that nothing may stand in."""

    def fetch_flow_collection_start(self, token: type[yaml.Token]) -> None:
        if self.flow_level > DEEPEST:
            raise YamlError(Problem(self.line + 1, "", _TOO_DEEP))
        super().fetch_flow_collection_start(token)


def _check_size(node: yaml.Node, location: Location, before: int) -> None:
    """Raises YamlError for a value that no pipeline has; `before`: how many there are already, aliases followed."""
    line, where = node.start_mark.line + 1, dotted(location)
    if len(location) > DEEPEST:
        raise YamlError(Problem(line, "", f"{_TOO_DEEP}; an alias in what it stands for would never end"))
    if before >= MOST_VALUES:
        told = f"holds more than {MOST_VALUES:,} values, aliases (*name) followed; write down what is meant"
        raise YamlError(Problem(line, "", told))
    if not isinstance(node, yaml.ScalarNode):
        return
    number = node.tag in _NUMBERS and len(node.value) > LONGEST_NUMBER
    if number or len(node.value) > LONGEST_TEXT:
        kind, most = ("number", LONGEST_NUMBER) if number else ("text", LONGEST_TEXT)
        raise YamlError(Problem(line, where, f"is a {kind} of {len(node.value):,} characters; at most {most:,}"))


def _walk(node: yaml.Node, location: Location) -> Iterator[tuple[Location, yaml.Node]]:
    """Every value with its place, one after another, so that whoever walks may stop; keys of mappings before theirs."""
    yield location, node
    if isinstance(node, yaml.MappingNode):
        yield from _walk_mapping(node, location)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*location, index))


def _walk_mapping(node: yaml.MappingNode, location: Location) -> Iterator[tuple[Location, yaml.Node]]:
    seen: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value) if isinstance(key, yaml.ScalarNode) else _no_name(key, location)
        line = key.start_mark.line + 1
        if name in seen and name != "<<":
            where = dotted((*location, name))
            raise YamlError(Problem(line, where, f"is given twice (first on line {seen[name]}); keep one"))
        seen[name] = line
        yield (*location, name), key
        yield from _walk(value, (*location, name))


def _no_name(key: yaml.Node, location: Location) -> str:
    """Raises YamlError for a key that is a list or a mapping; what is in it could be anything."""
    message = "has a key that is no name, but a list or mapping"
    raise YamlError(Problem(key.start_mark.line + 1, dotted(location), message))
