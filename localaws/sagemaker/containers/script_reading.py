"""What a Python script is read for before it is run: whether it imports a framework, and bears to begin warm.

It bears that unless it may change what it imports, before it does: installs packages, or sets variables that libraries
read when they are imported. What it is made of is found by its `import` lines, as far as its own folders go.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from localaws.confinement import startup

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(?P<source>[\w.]+)[ \t]+import[ \t]*(?:\((?P<many>[^)]*)\)|(?P<few>[^#\n]*))"
    rb"|import[ \t]+(?P<modules>[^#\n]+))",
    re.MULTILINE,
)
_WORD = re.compile(rb"([\w.]+)(?:\s+as\s+\w+)?")
# A name in front of an underscore may be any; what a library reads has no more than capital letters behind it.
_CHANGES = re.compile(
    rb"\b(pip|pip3|conda|ensurepip|easy_install)\b|\b(" + "|".join(startup.families()).encode() + rb")[A-Z0-9_]+\b"
)
_MOST_BYTES = 1 << 20
_MOST_FILES = 200


@dataclass(frozen=True)
class Reading:
    """What a script is: whether it imports one of the framework's modules, and bears to begin warm."""

    imports: bool
    bears: bool


@dataclass(frozen=True)
class _Source:
    """Of one module: whether it may change what it imports, and each import's first part with all that it names."""

    changes: bool
    imported: tuple[tuple[str, list[str]], ...]


_SOURCES: dict[bytes, _Source] = {}
_MOST_KNOWN = 2_000
NOTHING_KNOWN = Reading(imports=False, bears=True)


def of_text(text: str, framework: Collection[str]) -> Reading:
    """Of a program that stands on the command line."""
    source = text.encode("utf-8", "surrogateescape")
    return Reading(any(top in framework for top, _ in _imported(source)), not _CHANGES.search(source))


def of_file(script: Path, folders: Sequence[Path], framework: Collection[str]) -> Reading:
    """Of a script and all of its own modules, which lie in folders of the import path. Raises OSError."""
    found, pending, imports = {script}, [script], False
    # Modules name the same ones again and again, most of them elsewhere: a folder is listed once, not asked for each.
    tops = functools.cache(_tops)
    files = functools.cache(lambda name, beside: tuple(_files(name, beside, folders, tops)))
    while pending:
        path = pending.pop()
        if path.stat().st_size > _MOST_BYTES or len(found) > _MOST_FILES:
            return Reading(imports, bears=False)
        source = _read(path.read_bytes())
        if source.changes:
            return Reading(imports, bears=False)
        for top, names in source.imported:
            imports = imports or top in framework
            new = {file for name in names for file in files(name, path.parent)} - found
            found |= new
            pending += new
    return Reading(imports, bears=True)


def _read(source: bytes) -> _Source:
    """What a module says, read once however many jobs bring it: most bring what the last one brought."""
    key = hashlib.blake2b(source, digest_size=16).digest()
    if (known := _SOURCES.get(key)) is None:
        if len(_SOURCES) >= _MOST_KNOWN:
            _SOURCES.clear()
        known = _SOURCES[key] = _Source(bool(_CHANGES.search(source)), tuple(_imported(source)))
    return known


def _imported(source: bytes) -> Iterator[tuple[str, list[str]]]:
    """What each import line names: its first part, and all dotted names that may be modules."""
    for line in _IMPORT.finditer(source):
        if line["modules"] is not None:
            for name in _names(line["modules"]):
                yield name.partition(".")[0], [name]
        else:
            origin = line["source"].decode()
            dot = "" if origin.endswith(".") else "."
            names = _names(line["many"] or line["few"])
            yield origin.partition(".")[0], [origin, *(f"{origin}{dot}{name}" for name in names)]


def _names(words: bytes) -> list[str]:
    return [found[1].decode() for part in words.split(b",") if (found := _WORD.match(part.strip()))]


def _tops(place: Path) -> frozenset[str]:
    """The names that modules and packages in a folder may have."""
    try:
        return frozenset(path.name.partition(".")[0] for path in place.iterdir())
    except OSError:
        return frozenset()


def _files(name: str, beside: Path, folders: Sequence[Path], tops: Callable[[Path], Collection[str]]) -> Iterator[Path]:
    """The files of a dotted name, packages above it included; one that begins with dots is found from `beside`."""
    dots = len(name) - len(name.lstrip("."))
    places = [beside, *folders]
    if dots:
        places = [beside if dots == 1 else beside.parents[min(dots - 2, len(beside.parents) - 1)]]
    parts = [part for part in name.split(".") if part]
    for place in places:
        for count in range(1, len(parts) + 1) if parts and parts[0] in tops(place) else ():
            at = place.joinpath(*parts[:count])
            for path in (at.with_name(f"{at.name}.py"), at / "__init__.py"):
                if path.is_file():
                    yield path
