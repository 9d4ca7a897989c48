"""Reading the held-out channel: the kind of its files by their endings or as it is said, then each kind its own way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contract import held_out
from contract.held_out import HeldOutError, Reading
from toolkit.heldout import arrays, pictures, tables
from toolkit.heldout.example import DataError, Example

_READERS = {
    held_out.CSV: tables.read_csv,
    held_out.TSV: tables.read_tsv,
    held_out.JSON_LINES: tables.read_json_lines,
    held_out.PARQUET: arrays.read_parquet,
    held_out.NPZ: arrays.read_npz,
    held_out.IMAGES: pictures.read_images,
    held_out.MANIFEST: pictures.read_manifests,
}
_CLASSES_TOLD = 10
# Of a label; one may be a picture.
_LETTERS = 40


@dataclass(frozen=True)
class HeldOut:
    """The examples, and what was found of their files, for the job's log."""

    examples: list[Example]
    found: str


def read(folder: Path, how: Reading) -> HeldOut:
    """Every example of the channel's files, in the order of their paths; files in sub-folders count.

    Args:
        folder: where the channel was downloaded.

    Raises:
        DataError: no such folder, no example, a file of an unknown kind, or one that can't be read as it is said.
    """
    if not folder.is_dir():
        raise DataError(f"no held-out data: the folder {folder} of the `test` channel is missing")
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    data = held_out.data_files(names)
    if not data:
        raise DataError(
            f"no held-out file in {folder}, {f'only {held_out.some(names)}' if names else 'which is empty'}"
        )
    try:
        format_ = held_out.format_of(data, how.format)
        held_out.check_asked(how, format_)
        files = held_out.files_of(data, format_)
        examples, found = _READERS[format_](folder, files, how)
        held_out.check_segments(example.segment for example in examples if example.segment is not None)
    except HeldOutError as error:
        raise DataError(str(error)) from error
    if not examples:
        raise DataError(f"no example in {folder}: {held_out.some(files, 5)} hold no line")
    told = "said" if how.format else "by their endings"
    left_out = sorted(set(names) - set(data))
    more = f"; left out: {held_out.some(left_out)}" if left_out else ""
    return HeldOut(examples, f"{len(files)} file{'s' if len(files) > 1 else ''} of {format_} ({told}), {found}{more}")


def summary(examples: Sequence[Example]) -> str:
    """How many there are, and of which labels: `180 examples of 3 classes (0: 60, 1: 60, 2: 60)`."""
    counts = Counter(example.label for example in examples)
    if len(counts) > 2 * _CLASSES_TOLD:
        some = ", ".join(label if len(label) <= _LETTERS else f"{label[:_LETTERS]}…" for label in list(counts)[:3])
        return f"{len(examples)} examples of {len(counts)} different labels ({some}, …)"
    told = ", ".join(f"{label}: {count}" for label, count in sorted(counts.items()))
    return f"{len(examples)} examples of {len(counts)} classes ({told})"
