"""A Dockerfile as far as its text tells: its instructions, its stages, the images that it names, how its image starts.

It is read, not built: what a variable without a default or a base image holds is known only when it is.
Source: "Dockerfile reference" (Docker's documentation).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SCRATCH = "scratch"

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")
_DIRECTIVE = re.compile(r"#\s*(\w+)\s*=\s*(\S+)\s*")
_FLAG = re.compile(r"--([a-z-]+)(?:=(.*))?")
_HEREDOC = re.compile(r"\d*<<-?([\"']?)([A-Za-z_]\w*)\1")
_TAKES_HEREDOCS = ("ADD", "COPY", "RUN")


@dataclass(frozen=True)
class Instruction:
    """One of them, with its continued lines: on which line it begins, its name in capitals, and what stands behind.

    is_open: the file ends where another line was to follow.
    """

    line: int
    name: str
    text: str = ""
    is_open: bool = False

    @property
    def flags(self) -> Mapping[str, str]:
        """`--from=build` as from → build."""
        return {found[1]: found[2] or "" for found in self._split[0]}

    @property
    def words(self) -> Sequence[str]:
        """What stands behind the flags: a JSON list's texts, or words."""
        listed = self.listed
        return self._split[1] if listed is None else listed

    @property
    def listed(self) -> list[str] | None:
        """The texts of a JSON list (the exec form); None where it is none, as a list in single quotes is none."""
        try:
            found = json.loads(" ".join(self._split[1]))
        except ValueError:
            return None
        return found if isinstance(found, list) and all(isinstance(word, str) for word in found) else None

    @property
    def _split(self) -> tuple[list[re.Match[str]], list[str]]:
        words, flags = self.text.split(), []
        while words and (flag := _FLAG.fullmatch(words[0])):
            flags.append(flag)
            words.pop(0)
        return flags, words


@dataclass
class Stage:
    """What begins with a FROM: the image or the earlier stage that it names, with defaults of ARGs filled in."""

    number: int
    origin: Instruction
    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, name: str) -> Instruction | None:
        """Its last instruction of a name."""
        return next((each for each in reversed(self.instructions) if each.name == name), None)


@dataclass(frozen=True)
class Dockerfile:
    """All instructions, those before the first FROM among them, and the stages in order."""

    instructions: tuple[Instruction, ...]
    stages: tuple[Stage, ...]

    def stage(self, name: str, before: int) -> Stage | None:
        """The stage above stage number `before` that a FROM or a `COPY --from` means by a name or a number."""
        above = self.stages[:before]
        named = next((stage for stage in reversed(above) if stage.name and stage.name == name.lower()), None)
        return named or (above[int(name)] if name.isdecimal() and int(name) < before else None)

    @property
    def lineage(self) -> Iterator[Stage]:
        """The stages that make the image, from the last back to the one that begins with somebody's image."""
        stage = self.stages[-1] if self.stages else None
        while stage is not None:
            yield stage
            stage = self.stage(stage.base, stage.number)

    @property
    def started_like(self) -> str | None:
        """The image as which the built one's containers start; None where an ENTRYPOINT or CMD says how they do."""
        image = None
        for stage in self.lineage:
            if stage.last("ENTRYPOINT") or stage.last("CMD"):
                return None
            image = stage.base
        return image

    def said(self, name: str) -> Instruction | None:
        """The instruction of a name that holds for the image, of those of which the last does."""
        found = (stage.last(name) for stage in self.lineage)
        return next((each for each in found if each), None)

    @property
    def images(self) -> list[str]:
        """The images of others that it is built from: in FROM, COPY --from and RUN --mount."""
        return list(dict.fromkeys(image for _, image in self.images_taken))

    @property
    def images_taken(self) -> Iterator[tuple[Instruction, str]]:
        """The same, each with the instruction that takes it."""
        for stage in self.stages:
            named = [(each, name) for each in stage.instructions for name in sources(each) if "$" not in name]
            for each, name in [(stage.origin, stage.base), *named]:
                if name not in ("", SCRATCH) and self.stage(name, stage.number) is None:
                    yield each, name


def read(path: Path) -> Dockerfile:
    """The Dockerfile in a file; letters that are none are shown as such."""
    return parse(path.read_text(encoding="utf-8", errors="replace"))


def parse(text: str) -> Dockerfile:
    """The Dockerfile in a text."""
    instructions = tuple(_instructions(text.splitlines()))
    stages: list[Stage] = []
    defaults: dict[str, str] = {}
    for each in instructions:
        if each.name == "FROM":
            stages.append(_stage(len(stages), each, defaults))
        elif stages:
            stages[-1].instructions.append(each)
        elif each.name == "ARG":
            defaults |= _defaults(each.words)
    return Dockerfile(instructions, tuple(stages))


def _stage(number: int, origin: Instruction, defaults: Mapping[str, str]) -> Stage:
    base, *alias = origin.words or [""]
    named = alias[-1].lower() if alias and alias[0].upper() == "AS" else ""
    return Stage(number, origin, _filled(base, defaults), named)


def sources(instruction: Instruction) -> Iterator[str]:
    """The stages and images that an instruction takes files from."""
    if instruction.name in ("ADD", "COPY") and "from" in instruction.flags:
        yield instruction.flags["from"]
    elif instruction.name == "RUN" and "mount" in instruction.flags:
        options = instruction.flags["mount"].split(",")
        yield from (option.removeprefix("from=") for option in options if option.startswith("from="))


def _instructions(lines: Sequence[str]) -> Iterator[Instruction]:
    escape, number = _escape(lines), 0
    while number < len(lines):
        first = number
        if not lines[number].strip() or lines[number].lstrip().startswith("#"):
            number += 1
            continue
        text, number, is_open = _joined(lines, number, escape)
        name, _, rest = text.strip().partition(" ")
        name = name.upper()
        if name in _TAKES_HEREDOCS:
            number = _behind_heredocs(lines, number, rest)
        yield Instruction(first + 1, name, rest.strip(), is_open)


def _escape(lines: Sequence[str]) -> str:
    """The letter that continues a line: a backslash, unless a directive at the file's head says another."""
    for line in lines:
        found = _DIRECTIVE.fullmatch(line.strip())
        if found is None:
            break
        if found[1].lower() == "escape":
            return found[2]
    return "\\"


def _joined(lines: Sequence[str], number: int, escape: str) -> tuple[str, int, bool]:
    """An instruction's text, the line behind it, and whether the file ends before it does."""
    parts: list[str] = []
    for at in range(number, len(lines)):
        line = lines[at].rstrip().replace("\t", " ")
        if parts and (not line or line.lstrip().startswith("#")):
            continue  # within an instruction neither counts
        if not line.endswith(escape):
            return " ".join([*parts, line]), at + 1, False
        parts.append(line.removesuffix(escape))
    return " ".join(parts), len(lines), True


def _behind_heredocs(lines: Sequence[str], number: int, text: str) -> int:
    """The line behind the texts that an instruction brings below itself (`RUN <<EOF`)."""
    for word in text.split():
        if found := _HEREDOC.fullmatch(word):
            ends = [at for at in range(number, len(lines)) if lines[at].strip() == found[2]]
            number = ends[0] + 1 if ends else len(lines)
    return number


def _defaults(words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    return {name: value.strip("\"'") for name, _, value in pairs if value}


def _filled(word: str, defaults: Mapping[str, str]) -> str:
    """A word with the defaults of the ARGs that it names; without one a variable stays as it is written."""

    def value(found: re.Match[str]) -> str:
        default = defaults.get(found[1] or found[2], found[3])
        return found[0] if default is None else default

    return _VARIABLE.sub(value, word)
