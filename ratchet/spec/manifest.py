"""A channel of `data` with an augmented manifest: labelled examples, a line each, and the objects that they point to.

    train: {manifest: digits/train/labels.manifest, attributes: [source-ref, class], mode: pipe, shuffle: 7}

SageMaker takes augmented manifests in Pipe mode alone (API reference of S3DataSource). In the other modes the manifest
is a channel of its own, and the toolkit's reader puts both together (toolkit/manifests.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contract import manifests
from ratchet.spec.errors import nearest

PIPE, FILE, FAST_FILE = "pipe", "file", "fastfile"
# Channel.InputMode, by the words of pipeline.yaml.
MODES = {PIPE: "Pipe", FILE: "File", FAST_FILE: "FastFile"}
KEYS = ("manifest", "attributes", "objects", "mode", "shuffle")
# Python's and JSON's whole numbers are larger, and JSONata's, which pass a seed on, aren't exact beyond 2^53.
_MOST_SEED = 2**32 - 1
_EXAMPLE = "{manifest: digits/train/labels.manifest, attributes: [source-ref, class]}"


@dataclass(frozen=True)
class Manifest:
    """The manifest of a channel. key: where it lies in the data bucket. objects: the prefix of all that it points to;
    None where no attribute is an object. shuffle: the seed of its lines' order, which changes with each epoch."""

    key: str
    attributes: tuple[str, ...]
    objects: str | None
    mode: str = PIPE
    shuffle: int | None = None

    @property
    def said(self) -> dict[str, Any]:
        """As pipeline.yaml has it, with what it needn't say."""
        told = {"manifest": self.key, "attributes": list(self.attributes), "objects": self.objects, "mode": self.mode}
        return {name: value for name, value in {**told, "shuffle": self.shuffle}.items() if value is not None}

    @property
    def is_piped(self) -> bool:
        return self.mode == PIPE

    @property
    def input_mode(self) -> str:
        """Channel.InputMode of the objects, or of all."""
        return MODES[self.mode]

    @property
    def places(self) -> list[str]:
        """What of the data bucket a job of its own sees: a prefix and the manifest, where that lies outside of it."""
        inside = self.objects is not None and self.key.startswith(self.objects)
        return [*([self.objects] if self.objects else []), *([] if inside else [self.key])]

    @property
    def settings(self) -> dict[str, Any]:
        """What a training job is told of it."""
        return manifests.settings(self.attributes, self.objects or "", self.shuffle)


def parsed(value: Mapping[Any, Any], prefix: Callable[[str], str]) -> Manifest:
    """
    Args:
        prefix: checks a prefix of the data bucket.

    Raises:
        ValueError: the end of a sentence about the channel.
    """
    _check_keys(value)
    key, attributes = _key(value["manifest"], prefix), _attributes(value.get("attributes"))
    mode = value.get("mode", PIPE)
    if mode not in MODES:
        raise ValueError(f"has the mode {mode!r}; it must be {', '.join(MODES)}")
    return Manifest(key, attributes, _objects(value, key, attributes, prefix), mode, _seed(value.get("shuffle")))


def _check_keys(value: Mapping[Any, Any]) -> None:
    if "prefix" in value:
        raise ValueError("has a manifest and a prefix; what a manifest points to lies under objects: digits/train/")
    if "distribution" in value:
        raise ValueError(
            "has a manifest and a distribution; each host gets the whole manifest, and may take every n-th record of it"
        )
    unknown = [str(key) for key in value if key not in KEYS]
    if unknown:
        raise ValueError(f"has the unknown key {unknown[0]}{nearest(unknown[0], KEYS)}")


def _key(key: object, prefix: Callable[[str], str]) -> str:
    if not isinstance(key, str):
        raise ValueError(f"has the manifest {key!r}; write {_EXAMPLE}")
    if key.endswith("/"):
        raise ValueError(f"has the manifest {key!r}, which is a prefix; write the key of one object, as {_EXAMPLE}")
    try:
        prefix(f"{key}/")
    except ValueError as error:
        # The sentence is about a prefix, and says what its characters may be.
        raise ValueError(f"has the manifest {key!r}, which {_of_a_key(str(error), key)}") from error
    return key


def _of_a_key(said: str, key: str) -> str:
    if key.startswith("s3://"):
        return "is a URI; write only the key in the data bucket"
    return said.replace(f"is {key + '/'!r}", "can't be one").replace("a prefix", "a key")


def _attributes(names: object) -> tuple[str, ...]:
    if not isinstance(names, Sequence) or isinstance(names, str) or not names:
        raise ValueError(f"must say which attributes training gets, in their order, as {_EXAMPLE}")
    for name in names:
        if not isinstance(name, str) or not 1 <= len(name) <= manifests.ATTRIBUTE_LENGTH:
            raise ValueError(f"has the attribute {name!r}; a name has 1 to {manifests.ATTRIBUTE_LENGTH} characters")
        if list(names).count(name) > 1:
            raise ValueError(f"has the attribute {name} twice")
    if len(names) > manifests.MOST_ATTRIBUTES:
        raise ValueError(f"has {len(names)} attributes; SageMaker takes at most {manifests.MOST_ATTRIBUTES}")
    return tuple(names)


def _objects(value: Mapping[Any, Any], key: str, attributes: Sequence[str], prefix: Callable[[str], str]) -> str | None:
    """The prefix of what the manifest points to: as it is said, or the manifest's own folder."""
    if not any(map(manifests.is_reference, attributes)):
        if "objects" in value:
            raise ValueError(f"has objects, but no attribute is one: none ends in {manifests.REFERENCE}; leave it out")
        return None
    folder, _, _ = key.rpartition("/")
    objects = value.get("objects", f"{folder}/" if folder else None)
    if not isinstance(objects, str):
        raise ValueError("must say where its objects lie, since the manifest is in no folder: objects: digits/train/")
    try:
        return prefix(objects)
    except ValueError as error:
        raise ValueError(f"has objects, which {error}") from error


def _seed(seed: object) -> int | None:
    if seed is None:
        return None
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= _MOST_SEED:
        raise ValueError(f"has shuffle: {seed!r}; write the seed by which the lines are shuffled, 0 to {_MOST_SEED}")
    return seed
