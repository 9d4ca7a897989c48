"""A training job's channels, as CreateTrainingJob's request has them: checks and readings. Pure."""

from __future__ import annotations

import re
from pathlib import Path

from localaws.sagemaker.containers import channels, streams
from localaws.sagemaker.containers.channels import Source
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document

PIPE, FILE, FAST_FILE = "Pipe", "File", "FastFile"  # TrainingInputMode


def check(request: Document) -> None:
    """Raise what is wrong with the channels of a request that fits its shape."""
    names = [channel["ChannelName"] for channel in _channels(request)]
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate:
        raise errors.validation(f"Channel names must be unique within a training job: {duplicate}")
    for channel in _channels(request):
        if channel["ChannelName"] in (".", ".."):
            raise errors.validation(f"Invalid channel name: {channel['ChannelName']}")
        if "S3DataSource" not in channel["DataSource"]:
            raise errors.validation(f"Channel {channel['ChannelName']} has no data source.")
        wrong = _wrong_in_mode(channel, _mode(request, channel)) or _hidden(channel["ChannelName"], request)
        if wrong:
            raise errors.validation(f"Channel {channel['ChannelName']}: {wrong}")


def sources(request: Document, data_dir: Path) -> list[Source]:
    """The channels, each in its directory below `data_dir`."""
    return [_source(request, channel, data_dir / channel["ChannelName"]) for channel in _channels(request)]


def input_data_config(request: Document) -> Document:
    """input/config/inputdataconfig.json (developer guide, "How SageMaker AI provides training information"), where
    FastFile is called File."""
    config: Document = {}
    for channel in _channels(request):
        mode = _mode(request, channel)
        s3 = channel["DataSource"]["S3DataSource"]
        config[channel["ChannelName"]] = {
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
            "TrainingInputMode": FILE if mode == FAST_FILE else mode,
            "S3DistributionType": s3.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
    return config


def modes(request: Document) -> set[str]:
    """The input modes of the channels."""
    return {_mode(request, channel) for channel in _channels(request)}


def _wrong_in_mode(channel: Document, mode: str) -> str | None:
    """What doesn't go with a channel's input mode; words of ours. API reference, Channel and S3DataSource; developer
    guide, "How SageMaker AI provides training information"."""
    s3 = channel["DataSource"]["S3DataSource"]
    is_augmented, has_names = s3["S3DataType"] == streams.AUGMENTED, bool(s3.get("AttributeNames"))
    if is_augmented and mode != PIPE:
        return f"S3DataType {streams.AUGMENTED} can only be used if the channel's input mode is {PIPE}, not {mode}."
    if mode == FAST_FILE and s3["S3DataType"] != "S3Prefix":
        return f"a channel in {FAST_FILE} mode must use a S3DataType of S3Prefix, not {s3['S3DataType']}."
    if is_augmented != has_names:
        return f"AttributeNames must be specified for S3DataType {streams.AUGMENTED}, and for no other."
    if channel.get("RecordWrapperType", "None") != "None" and mode != PIPE:
        return f"RecordWrapperType is used only in {PIPE} input mode; in {mode} mode leave it unset or set it to None."
    return None


def _hidden(name: str, request: Document) -> str | None:
    """What is wrong with a channel's name beside the pipes of others, name_0, name_1, …"""
    for other in _channels(request):
        pipe = rf"{re.escape(other['ChannelName'])}_\d+"
        if _mode(request, other) == PIPE and re.fullmatch(pipe, name):
            return f"it has the name of a pipe of channel {other['ChannelName']}."
    return None


def _source(request: Document, channel: Document, directory: Path) -> Source:
    s3 = channel["DataSource"]["S3DataSource"]
    return Source(
        channel["ChannelName"],
        s3["S3DataType"],
        s3["S3Uri"],
        directory,
        is_sharded=s3.get("S3DataDistributionType") == channels.SHARDED,
        seed=channel.get("ShuffleConfig", {}).get("Seed"),
        is_piped=_mode(request, channel) == PIPE,
        is_wrapped=channel.get("RecordWrapperType") == "RecordIO",
        attributes=s3.get("AttributeNames", ()),
    )


def _channels(request: Document) -> list[Document]:
    found: list[Document] = request.get("InputDataConfig", [])
    return found


def _mode(request: Document, channel: Document) -> str:
    """A channel's input mode, its own or the job's."""
    return str(channel.get("InputMode", request["AlgorithmSpecification"]["TrainingInputMode"]))
