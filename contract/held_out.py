"""The held-out channel's files: which kinds there are, how their names tell them apart, and how they are to be read.

Plan looks into the text files before anything is trained, evaluation reads all of them afterwards; both by this and by
its neighbours, so that what Plan lets pass is what evaluation reads.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import PurePosixPath
from typing import Any

CSV, TSV, JSON_LINES, PARQUET, NPZ = "csv", "tsv", "jsonlines", "parquet", "npz"
IMAGES, MANIFEST = "images", "manifest"
FORMATS = (CSV, TSV, JSON_LINES, PARQUET, NPZ, IMAGES, MANIFEST)
# Those that may have a header, and those that Plan can look into.
TABLES = (CSV, TSV)
TEXTS = (CSV, TSV, JSON_LINES, MANIFEST)
# Those in which gate.segments finds no column.
WITHOUT_COLUMNS = (NPZ, IMAGES)
# The run's record and the gate's reason keep every segment.
MOST_SEGMENTS, SEGMENT_LENGTH = 100, 60
EMPTY_SEGMENT = "(empty)"

# The function of serve.py that reads what is none of these.
READER = "heldout_fn"

_ENDINGS = {
    CSV: (".csv",),
    TSV: (".tsv",),
    JSON_LINES: (".jsonl", ".jsonlines", ".ndjson"),
    PARQUET: (".parquet", ".pq"),
    NPZ: (".npz",),
    IMAGES: (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
    MANIFEST: (".manifest",),
}
_GZIP = ".gz"
# Of endings that are met and not read: what to do instead.
_INSTEAD = {
    ".json": "JSON is read as JSON lines, one document a line, in a file that ends in .jsonl",
    ".xlsx": "save a workbook as CSV",
    ".xls": "save a workbook as CSV",
    ".npy": "write numpy.savez(file, X=…, y=…)",
    ".zip": "upload the files that are in the archive",
    ".tar": "upload the files that are in the archive",
    ".tar.gz": "upload the files that are in the archive",
    ".tgz": "upload the files that are in the archive",
    ".bz2": "of compressed text .gz is read",
    ".xz": "of compressed text .gz is read",
    ".zst": "of compressed text .gz is read",
    ".parquet.gz": "Parquet is compressed within: don't gzip it",
    ".npz.gz": "npz is compressed within (numpy.savez_compressed): don't gzip it",
    ".feather": "write Parquet",
    ".arrow": "write Parquet",
    ".pkl": "reading data must not run code: write CSV, Parquet or npz",
    ".pickle": "reading data must not run code: write CSV, Parquet or npz",
}
# Files that tools leave beside data: Hadoop's and Spark's marks, Windows' thumbnails. Hidden ones are left out, too.
_BESIDE = ("_SUCCESS", "_metadata", "_common_metadata", "__MACOSX", "Thumbs.db")


class HeldOutError(ValueError):
    """Held-out data can't be read as pipeline.yaml says; the message names the file and what would be right."""


@dataclass(frozen=True)
class Reading:
    """`evaluate` of pipeline.yaml, as far as it tells how to read. None: to be found out.

    label: the label's column, key or array by its name, or the column by its position (from 0); several of them where
        a model answers several numbers an example.
    segment: the column or key of gate.segments, likewise.
    any_label: whether a label may be a list or an object: a metric of the user's own can judge it, one of regression a
        list of numbers.
    """

    label: int | str | tuple[int | str, ...] = 0
    header: bool | None = None
    format: str | None = None
    segment: int | str | None = None
    any_label: bool = False

    @property
    def labels(self) -> tuple[int | str, ...]:
        """The label's columns, of which there is mostly one."""
        return self.label if isinstance(self.label, tuple) else (self.label,)

    @property
    def has_header(self) -> bool:
        """Whether CSV and TSV have one: as it is said, else where a column is named."""
        return (
            any(isinstance(column, str) for column in (*self.labels, self.segment))
            if self.header is None
            else self.header
        )


def data_files(names: Iterable[str]) -> list[str]:
    """The files that hold data, in their order: without hidden ones and those that tools leave beside."""
    return [name for name in sorted(names) if not any(_is_beside(part) for part in PurePosixPath(name).parts)]


def is_zipped(name: str) -> bool:
    return name.lower().endswith(_GZIP)


def kind(name: str) -> str | None:
    """The format that a file's ending tells, whatever its case, of gzipped text too; None where it tells none."""
    plain = name.lower()[: -len(_GZIP)] if is_zipped(name) else name.lower()
    told = next((kind for kind, endings in _ENDINGS.items() if plain.endswith(endings)), None)
    return told if told in TEXTS or not is_zipped(name) else None


def format_of(names: Sequence[str], said: str | None) -> str:
    """The format of a channel's files: the one that is said, or the one that all their endings tell.

    Raises:
        HeldOutError: an ending that isn't known, two formats, or files that can't be of the one that is said.
    """
    kinds = {name: kind(name) for name in names}
    if said:
        _check_said(said, kinds)
        return said
    if MANIFEST in kinds.values():
        return MANIFEST
    unknown = [name for name, told in kinds.items() if told is None]
    if unknown:
        raise HeldOutError(_unknown(unknown))
    found = sorted({str(told) for told in kinds.values()})
    if len(found) > 1:
        first = [next(name for name, told in kinds.items() if told == one) for one in found]
        beside = "; images are labelled by their folders, or by a manifest" if IMAGES in found else ""
        raise HeldOutError(f"held-out files of {len(found)} kinds ({', '.join(first)}); keep to one kind{beside}")
    return found[0]


def check_asked(how: Reading, format_: str) -> None:
    """Raises HeldOutError where pipeline.yaml says of the files what files of this format don't have."""
    if how.header is not None and format_ not in TABLES:
        raise HeldOutError(
            f"evaluate.header is said, but the held-out files are {format_}, which have none; leave it out"
        )
    if len(how.labels) > 1 and format_ == NPZ:
        raise HeldOutError("evaluate.label is a list, but one array of npz holds all outputs; write its name")
    if isinstance(how.label, int) and how.label and format_ in (NPZ, MANIFEST):
        raise HeldOutError(f"evaluate.label is {how.label}, a position, but the files are {format_}; write a name")
    if how.segment is not None and format_ in WITHOUT_COLUMNS:
        raise HeldOutError(f"gate.segments needs a column, and held-out files of {format_} have none; leave it out")
    if how.label != 0 and format_ == IMAGES:
        raise HeldOutError(f"evaluate.label is {how.label!r}, but an image's label is its folder's name; leave it out")


def files_of(names: Sequence[str], format_: str) -> list[str]:
    """The files to read: all of them, but for a manifest's, which names the others itself."""
    return [name for name in names if kind(name) in (MANIFEST, JSON_LINES)] if format_ == MANIFEST else list(names)


def image_class(name: str) -> str:
    """An image's label: the folder that it lies in.

    Raises:
        HeldOutError: it lies in none.
    """
    folder = PurePosixPath(name).parent.name
    if not folder:
        raise HeldOutError(f"{name} lies in no folder; an image's label is its folder's name, as cat/{name}")
    return folder


def defines_reader(source: str) -> bool:
    """Whether serve.py, by its source, has a function `heldout_fn` that yields the held-out examples."""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return False  # its import will tell better
    return any(READER in _names(node) for node in body)


def arguments(reading: Reading) -> list[str]:
    """The options by which the evaluation job is told; see `from_arguments`."""
    header = [] if reading.header is None else ["--header", "true" if reading.header else "false"]
    format_ = ["--format", reading.format] if reading.format else []
    any_label = ["--any-label"] if reading.any_label else []
    return [*_label_arguments(reading.label), *header, *format_, *_segment_arguments(reading.segment), *any_label]


def _label_arguments(label: int | str | tuple[int | str, ...]) -> list[str]:
    if isinstance(label, tuple):
        return [f"--labels={json.dumps(label, ensure_ascii=False)}"]
    return [f"--label-name={label}"] if isinstance(label, str) else ["--label", str(label)]


def _segment_arguments(segment: int | str | None) -> list[str]:
    if segment is None:
        return []
    return [f"--segment-name={segment}"] if isinstance(segment, str) else ["--segment", str(segment)]


def from_arguments(given: Any) -> Reading:
    """The reading that the options of `arguments` tell, as argparse gives them."""
    one = given.label if given.label_name is None else given.label_name
    return Reading(
        label=one if given.labels is None else tuple(json.loads(given.labels)),
        header=None if given.header is None else given.header == "true",
        format=given.format,
        segment=given.segment if given.segment_name is None else given.segment_name,
        any_label=given.any_label,
    )


def from_document(document: Mapping[str, Any]) -> Reading:
    """The reading that Plan is told."""
    told = {field.name: document[field.name] for field in fields(Reading)}
    return Reading(**{**told, "label": tuple(told["label"]) if isinstance(told["label"], list) else told["label"]})


def joined(labels: Sequence[Any]) -> str:
    """An example's label as text: the one that it has, or several as a JSON list, of numbers where they are."""
    return str(labels[0]) if len(labels) == 1 else json.dumps([_value(label) for label in labels], ensure_ascii=False)


def _value(label: Any) -> Any:
    for kind in (int, float) if isinstance(label, str) else ():
        try:
            return kind(label)
        except ValueError:
            continue
    return label


def check_segments(names: Iterable[str]) -> None:
    """Raises HeldOutError where a column has so many values that it divides the examples into no segments."""
    found = sorted(set(names))
    if len(found) > MOST_SEGMENTS:
        raise HeldOutError(
            f"the column of gate.segments has {len(found)} different values ({some(found)}); at most {MOST_SEGMENTS} "
            "are segments: choose a column of few values"
        )


def segment_name(value: object) -> str:
    """A segment as it is called: its column's value."""
    return " ".join(str("" if value is None else value).split())[:SEGMENT_LENGTH] or EMPTY_SEGMENT


def some(names: Sequence[str], most: int = 3) -> str:
    """A few names, and that there are more."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _is_beside(part: str) -> bool:
    return part.startswith(".") or part in _BESIDE


def _unknown(names: Sequence[str]) -> str:
    known = " ".join(ending for endings in _ENDINGS.values() for ending in endings)
    hints = {hint for name in names for ending, hint in _INSTEAD.items() if name.lower().endswith(ending)}
    instead = f" ({'; '.join(sorted(hints))})" if hints else ""
    return (
        f"{some(names)}: held-out files of an unknown kind{instead}; known are {known} (text also as .gz). Say "
        f"evaluate.format ({', '.join(FORMATS)}) if they are one of these, or write {READER}(folder) in serve.py"
    )


def _check_said(said: str, kinds: Mapping[str, str | None]) -> None:
    """Text may have any text's ending, or none that is known; a manifest may have anything beside it."""
    if said == MANIFEST:
        if not files_of(list(kinds), MANIFEST):
            raise HeldOutError(f"evaluate.format is {MANIFEST}, but no held-out file ends in .manifest or .jsonl")
        return
    fitting = {None, *(TEXTS if said in TEXTS else (said,))}
    wrong = [name for name, told in kinds.items() if told not in fitting]
    if wrong:
        raise HeldOutError(f"{some(wrong)}: can't be {said}, which evaluate.format says of the held-out files")


def _names(node: ast.stmt) -> list[str]:
    """The names that a statement of a module defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.name]
    if isinstance(node, ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []
