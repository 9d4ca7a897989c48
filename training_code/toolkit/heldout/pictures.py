"""Held-out images in folders of their classes, and augmented manifests: a file or a text is a request of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from contract import held_out, held_out_lines
from contract.held_out import Reading
from contract.held_out_lines import Entry
from toolkit.heldout.example import DataError, Example
from toolkit.heldout.tables import opened

TEXT, BYTES = "text/plain", "application/octet-stream"
_CONTENT_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}


def read_images(folder: Path, files: Sequence[str], _how: Reading) -> tuple[list[Example], str]:
    """Images as they are, each labelled by the folder that it lies in."""
    examples = [_file(folder / name, name, held_out.image_class(name)) for name in files]
    return examples, "the label is the name of an image's folder"


def read_manifests(folder: Path, files: Sequence[str], how: Reading) -> tuple[list[Example], str]:
    """What augmented manifests name (source-ref) or hold (source)."""
    examples = [example for name in files for example in read_manifest(folder / name, name, folder, how)]
    attribute = "the one there is" if how.label == 0 else " and ".join(map(repr, how.labels))
    return examples, f"the label's attribute is {attribute}"


def read_manifest(path: Path, name: str, objects: Path, how: Reading) -> list[Example]:
    """One manifest's examples. objects: the folder of what it names; name: what it is called in errors."""
    with opened(path, name) as lines:
        return [_named(objects, entry) for entry in held_out_lines.read_manifest(lines, name, how)]


def _named(folder: Path, entry: Entry) -> Example:
    if entry.kind == held_out_lines.SOURCE:
        return Example(entry.place, entry.value, TEXT, entry.label, alone=True, segment=entry.segment)
    # An object's key ends in its path below the channel's prefix.
    parts = PurePosixPath(entry.value.partition("://")[2]).parts
    below = (folder.joinpath(*parts[start:]) for start in range(1, len(parts)) if ".." not in parts)
    path = next((path for path in below if path.is_file()), None)
    if path is None:
        raise DataError(f"{entry.place} names {entry.value}, which isn't among the held-out channel's files")
    return _file(path, entry.place, entry.label, entry.segment)


def _file(path: Path, place: str, label: str, segment: str | None = None) -> Example:
    if not path.stat().st_size:
        raise DataError(f"{path.name} is empty ({place})")
    return Example(place, path, _CONTENT_TYPES.get(path.suffix.lower(), BYTES), label, alone=True, segment=segment)
