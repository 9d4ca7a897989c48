"""The records of a channel with an augmented manifest, whatever its input mode: pipe, file or fastfile.

    from toolkit import manifests

    for epoch in range(EPOCHS):
        for record in manifests.records("train"):
            picture, label = record["source-ref"], record["class"]  # bytes, and what the manifest says

Each call is the next epoch. In Pipe mode SageMaker makes a named pipe an epoch, `/opt/ml/input/data/train_0` and so on,
and streams the attributes of each line one after another, each a RecordIO record ("How Amazon SageMaker AI Provides
Training Information"; "Augmented Manifest File Format for Pipe Mode Training"); a loop that is left early closes the
pipe, and the next one reads the next epoch. In the other modes the manifest lies in the channel `train-manifest` and
the objects in `train`.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakValueDictionary

from contract import manifests
from contract.manifests import ManifestError
from toolkit import recordio
from toolkit.container import base_folder
from toolkit.errors import ToolkitError
from toolkit.recordio import RecordIOError

PIPE, RECORDIO = "Pipe", "RecordIO"
_BUFFER = 1 << 20  # bytes; a pipe holds 64 KiB
_PAUSE = 0.01  # seconds between looks for an epoch's pipe

# By channel, in this process: how many epochs have begun; and the last one, while somebody has it.
_begun: dict[str, int] = {}
_last: WeakValueDictionary[str, Records] = WeakValueDictionary()


class Records:
    """One epoch of a channel, once. `count` is how many of its records have come so far, all of them in the end."""

    def __init__(self, channel: str, epoch: int, found: Iterator[dict[str, Any]]) -> None:
        self.channel, self.epoch, self.count = channel, epoch, 0
        self._found = found

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for record in self._found:
            self.count += 1
            yield record

    def close(self) -> None:
        """Leaves the rest of the epoch unread."""
        self._found.close()  # type: ignore[attr-defined]  # it is a generator


def records(channel: str, attributes: Sequence[str] | None = None) -> Records:
    """The channel's next epoch: a dictionary a record, with an object's bytes for each attribute that ends in `-ref`.

    Args:
        attributes: the names of AttributeNames, in order, for a job that Ratchet hasn't started.

    Raises:
        ToolkitError: the channel has no manifest. Meanwhile: what is streamed is no RecordIO, or ends within a record;
            a line of the manifest isn't JSON, or has no such attribute; an object isn't among the files.
    """
    settings = _settings(channel, attributes)
    epoch = _begun.get(channel, 0)
    mode = _input_mode(channel)
    found = _streamed(channel, epoch, settings) if mode == PIPE else _from_files(channel, epoch, settings)
    if channel in _last:
        _last[channel].close()
    _begun[channel] = epoch + 1
    _last[channel] = begun = Records(channel, epoch, found)
    return begun


def _settings(channel: str, attributes: Sequence[str] | None) -> dict[str, Any]:
    """What the pipeline says of the channel's manifest."""
    try:
        told = manifests.channels_of(os.environ)
    except ManifestError as error:
        raise ToolkitError(str(error)) from error
    if channel in told:
        return {**told[channel], **({} if attributes is None else {"attributes": list(attributes)})}
    if attributes is None:
        known = f"those with one are {', '.join(told)}" if told else "no channel has one"
        raise ToolkitError(
            f"channel {channel!r} has no manifest: {known}. Write data: {{{channel}: {{manifest: …, attributes: …}}}} "
            "in pipeline.yaml, or name the attributes: records(channel, attributes=[…])"
        )
    return manifests.settings(attributes, "", None)


def _input_mode(channel: str) -> str:
    """As SageMaker has written it down; a manifest that is piped must be wrapped, or nothing says where records end."""
    path = base_folder() / "input" / "config" / "inputdataconfig.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    # Where the manifest points to no objects, and isn't piped, it is all that there is.
    found = config.get(channel) or config.get(manifests.manifest_channel(channel))
    if found is None:
        raise ToolkitError(f"this job has no channel {channel!r}; it has {', '.join(config) or 'none'}")
    mode, wrapper = found.get("TrainingInputMode"), found.get("RecordWrapperType")
    if mode == PIPE and wrapper != RECORDIO:
        raise ToolkitError(
            f"channel {channel!r} is piped without RecordWrapperType {RECORDIO}: its records have no ends"
        )
    return str(mode)


# ------------------------------------------------------------------------------------------------------------ Pipe mode


def _streamed(channel: str, epoch: int, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """An epoch's records, from its pipe."""
    attributes, number = settings["attributes"], 0
    with _pipe(channel, epoch) as pipe:
        values = recordio.read(pipe)
        while True:
            where = f"channel {channel!r}, epoch {epoch}, record {number}"
            try:
                record = _next(values, attributes, where)
            except RecordIOError as error:
                raise ToolkitError(f"{where}: what is streamed {error}") from error
            if record is None:
                return
            yield record
            number += 1


def _next(values: Iterator[bytes], attributes: Sequence[str], where: str) -> dict[str, Any] | None:
    """The next record, an attribute after another; None at the end of the epoch."""
    record: dict[str, Any] = {}
    for attribute in attributes:
        value = next(values, None)
        if value is None:
            if not record:
                return None
            raise ToolkitError(f"{where} is truncated: the epoch ends before its {attribute!r}")
        record[attribute] = value if manifests.is_reference(attribute) else _said(value)
    return record


def _said(text: bytes) -> Any:
    """A value by its JSON. A text as it stands, too: AWS's guide doesn't say whether it streams the quotes."""
    try:
        return json.loads(text)
    except ValueError:
        return text.decode("utf-8", "replace")


def _pipe(channel: str, epoch: int) -> BinaryIO:
    """An epoch's pipe, which SageMaker may make a moment after the epoch before has been read."""
    path = base_folder() / "input" / "data" / f"{channel}_{epoch}"
    while not path.exists():
        time.sleep(_PAUSE)
    return path.open("rb", buffering=_BUFFER)


# -------------------------------------------------------------------------------------------------- File, FastFile mode


def _from_files(channel: str, epoch: int, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """An epoch's records, from the files of two channels."""
    path = _manifest(channel)
    try:
        found = list(manifests.lines(path.read_bytes(), path.name))
        if settings.get("seed") is not None:
            # As in Pipe mode, where SageMaker shuffles the lines anew at the start of every epoch (ShuffleConfig).
            random.Random(f"{settings['seed']} {epoch}").shuffle(found)  # noqa: S311 - an order that can be had again
        for number, record in found:
            where = f"{path.name}, line {number}"
            manifests.check(record, settings["attributes"], where)
            yield {name: _value(channel, name, record, where, settings) for name in settings["attributes"]}
    except ManifestError as error:
        raise ToolkitError(f"channel {channel!r}, epoch {epoch}: {error}") from error


def _value(channel: str, attribute: str, record: Mapping[str, Any], where: str, settings: dict[str, Any]) -> Any:
    if not manifests.is_reference(attribute):
        return record[attribute]
    _, key = manifests.located(record[attribute], where)
    objects = settings["objects"]
    name = key[len(objects) :] if key.startswith(objects) else key
    try:
        return (base_folder() / "input" / "data" / channel / name).read_bytes()
    except OSError as error:
        raise ManifestError(f"{where}: {attribute!r} is {record[attribute]}, but there is no file {name}") from error


def _manifest(channel: str) -> Path:
    name = manifests.manifest_channel(channel)
    folder = base_folder() / "input" / "data" / name
    files = sorted(path for path in folder.glob("*") if path.is_file()) if folder.is_dir() else []
    if len(files) != 1:
        raise ToolkitError(
            f"channel {name!r} must hold the manifest of {channel!r} and nothing else; it has {len(files)} files"
        )
    return files[0]
