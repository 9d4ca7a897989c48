"""A Dockerfile's context: the files of the model's folder that the build of its image gets, and no others.

What .dockerignore names stays out, as Docker has it ("Build context", .dockerignore files); without one, prose, data
and tests do, which aren't code in any model's folder. So does in any case what no image should depend on: hidden files,
Python's caches, and pipeline.yaml, of which a run has its own fingerprint.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from contract import files
from ratchet.spec.errors import ConfigurationError

IGNORE_FILE = ".dockerignore"
# Each change is copied into cdk.out, uploaded and unpacked anew, as a whole. Data belongs into the data bucket.
MAXIMUM_BYTES = 500 * 2**20
_SHOWN = 3
# What stays out where no .dockerignore says otherwise.
USUAL = ("*.md", "data", "notebooks", "sample", "tests")


@dataclass(frozen=True)
class DockerContext:
    """A folder's files by their names in it (POSIX, sorted), and the Dockerfile among them."""

    folder: Path
    names: tuple[str, ...]

    @property
    def content_hash(self) -> str:
        """Of names, contents and whether a file can be run (hex, SHA-256): the same on every machine."""
        digest = hashlib.sha256()
        for name in self.names:
            path = self.folder / name
            runs = "x" if path.stat().st_mode & 0o100 else "-"
            digest.update(f"{name}\0{runs}{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def taken(self, name: str) -> list[str]:
        """The files that a COPY of a file, a folder or a name with wildcards takes."""
        fits = _pattern(wanted) if (wanted := _plain(name)) else re.compile("")
        return [each for each in self.names if fits.match(each)]


def docker_context(folder: Path, dockerfile: str) -> DockerContext:
    """The context of a model's folder.

    Raises:
        ConfigurationError: a file is a link, .dockerignore can't be read, or it is all too large.
    """
    rules = _rules(folder, dockerfile)
    names = sorted({*_found(folder, PurePosixPath(), rules), PurePosixPath(dockerfile).as_posix()})
    context = DockerContext(folder, tuple(names))
    _check_size(context)
    return context


def _check_size(context: DockerContext) -> None:
    sizes = {name: (context.folder / name).stat().st_size for name in context.names}
    size = sum(sizes.values())
    if size > MAXIMUM_BYTES:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:_SHOWN]
        told = ", ".join(f"{name} ({sizes[name] / 2**20:.0f} MiB)" for name in largest)
        raise ConfigurationError(
            f"{context.folder}: the image is built from {size / 2**20:.0f} MiB, the largest {told}; at most "
            f"{MAXIMUM_BYTES // 2**20} MiB, since each change is uploaded anew. Name what the image doesn't need in "
            f"{IGNORE_FILE}; data belongs into the data bucket"
        )


@dataclass(frozen=True)
class _Rule:
    """A line of .dockerignore: what it names stays out, or comes back (`!`)."""

    pattern: re.Pattern[str]
    is_back: bool = False


def _rules(folder: Path, dockerfile: str) -> list[_Rule]:
    """A file `<Dockerfile>.dockerignore` goes before the folder's own."""
    named = [folder / f"{dockerfile}{IGNORE_FILE}", folder / IGNORE_FILE]
    path = next((path for path in named if path.is_file()), None)
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path else USUAL
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: isn't UTF-8 text; save it as UTF-8") from error
    told = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    found = ((_plain(line.removeprefix("!").strip()), line.startswith("!")) for line in told)
    return [_Rule(_pattern(name), is_back) for name, is_back in found if name]


def _found(folder: Path, below: PurePosixPath, rules: Sequence[_Rule]) -> Iterator[str]:
    for path in sorted((folder / below).iterdir()):
        name = below / path.name
        if _never(name):
            continue
        is_out = _is_ignored(name.as_posix(), rules)
        if path.is_symlink():
            if not is_out:
                raise ConfigurationError(f"{path}: is a link; put the file itself here, or name it in {IGNORE_FILE}")
        elif path.is_dir():
            yield from _found(folder, name, rules)
        elif not is_out:
            yield name.as_posix()


def _never(name: PurePosixPath) -> bool:
    return name.name.startswith(".") or name.name == "__pycache__" or name.as_posix() == files.SPEC_FILE


def _is_ignored(name: str, rules: Sequence[_Rule]) -> bool:
    """The last rule that fits the name, or a folder that it is in, says."""
    is_out = False
    for rule in rules:
        if rule.is_back == is_out and rule.pattern.match(name):
            is_out = not rule.is_back
    return is_out


def _plain(name: str) -> str:
    """`./a//b/` and `/a/b` as a/b: names are relative to the context, whatever they begin with."""
    parts: list[str] = []
    for part in name.split("/"):
        is_again = part == "**" and parts[-1:] == ["**"]  # which would say the same, and take the longer to be matched
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", ".") and not is_again:
            parts.append(part)
    return "/".join(parts)


def _pattern(name: str) -> re.Pattern[str]:
    """Go's filepath.Match, and `**` for any folders: of a name, and of whatever is below it."""
    text, at = "", 0
    while at < len(name):
        if name.startswith("**/", at):
            text, at = f"{text}(?:.*/)?", at + 3
        elif name.startswith("**", at):
            text, at = f"{text}.*", at + 2
        else:
            piece, at = _piece(name, at)
            text += piece
    return re.compile(f"{text}(?:/.*)?\\Z", re.DOTALL)


def _piece(name: str, at: int) -> tuple[str, int]:
    letter = name[at]
    if letter == "*":
        return "[^/]*", at + 1
    if letter == "?":
        return "[^/]", at + 1
    if letter == "[" and (end := name.find("]", at + 2)) > 0 and _is_class(name[at : end + 1]):
        return name[at : end + 1], end + 1
    if letter == "\\" and at + 1 < len(name):
        return re.escape(name[at + 1]), at + 2
    return re.escape(letter), at + 1


def _is_class(text: str) -> bool:
    """Whether it is a class of letters, as [a-z]; else its bracket stands for itself."""
    try:
        re.compile(text)
    except re.error:
        return False
    return True
