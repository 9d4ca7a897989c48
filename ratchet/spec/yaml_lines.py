"""YAML as plain data that remembers its lines, so that an error can say where."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Location = tuple[str | int, ...]


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
        YamlError: it isn't UTF-8, isn't YAML, or has a key twice (YAML forbids it; PyYAML alone takes the last).
    """
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise YamlError(Problem(line, "", f"isn't UTF-8 text (byte {error.start}); save it as UTF-8")) from error
    return parse(text)


def parse(text: str) -> Document:
    """The document in a text; errors as `read`'s."""
    try:
        loader = yaml.SafeLoader(text)
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
        _walk(node, (), lines)
        return Document(loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        raise YamlError(_syntax_problem(error)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError(Problem(1, "", f"isn't YAML: {error}")) from error
    finally:
        loader.dispose()


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    what = ", ".join(part for part in (error.context, error.problem) if part)
    return Problem(mark.line + 1 if mark else 1, "", f"isn't YAML: {what}")


def _walk(node: yaml.Node, location: Location, lines: dict[Location, int]) -> None:
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        _walk_mapping(node, location, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*location, index), lines)


def _walk_mapping(node: yaml.MappingNode, location: Location, lines: dict[Location, int]) -> None:
    seen: dict[str, int] = {}
    for key, value in node.value:
        name = str(key.value)
        line = key.start_mark.line + 1
        if name in seen and name != "<<":
            where = dotted((*location, name))
            raise YamlError(Problem(line, where, f"is given twice (first on line {seen[name]}); keep one"))
        seen[name] = line
        lines[(*location, name)] = line
        _walk(value, (*location, name), lines)
