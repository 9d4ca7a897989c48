"""`data` of pipeline.yaml: channels, each a prefix of the data bucket; `test` is the held-out one.

A channel is its prefix, or `{prefix: …, distribution: sharded}`: each of several hosts gets a part of its objects; or
`{champion_of: other-pipeline}`, a model (champion_channels.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetPydanticSchema, PlainSerializer, PlainValidator, WithJsonSchema

from contract.files import TEST_CHANNEL
from ratchet.spec import champion_channels
from ratchet.spec.champion_channels import CHAMPION_OF, ChampionOf
from ratchet.spec.errors import checked, nearest, refusal

# InputDataConfig, API reference of CreateTrainingJob.
TRAINING_CHANNELS = 20

# S3DataSource.S3DataDistributionType, by the words of pipeline.yaml.
REPLICATED, SHARDED = "replicated", "sharded"
DISTRIBUTIONS = {REPLICATED: "FullyReplicated", SHARDED: "ShardedByS3Key"}


def _prefix(value: str) -> str:
    if value.startswith("s3://"):
        raise ValueError(f"is {value!r}; write only the prefix in the data bucket, as digits/train/")
    if value.startswith("/") or "//" in value or ".." in value.split("/"):
        raise ValueError(f"is {value!r}; write a prefix without a leading /, // or .., as digits/train/")
    if not value.endswith("/"):
        raise ValueError(f"is {value!r}; end it with /, as {value}/, so that it is a folder and not {value}-old too")
    if found := sorted({"*", "?", "${"} & {*value, *re.findall(r"\$\{", value)}):
        raise ValueError(
            f"is {value!r}, with {' and '.join(found)}: IAM reads that as a pattern, which would open other folders to "
            "the pipeline; write the one folder, as digits/train/"
        )
    if not re.fullmatch(r"[A-Za-z0-9!_.'()/=-]+", value) or len(value) > 512:
        raise ValueError(f"is {value!r}; use at most 512 letters, digits and !_.'()/=- (S3's safe characters but *)")
    return value


class Channel(str):
    """A channel's prefix, and what each of several hosts sees of it: all (replicated), or a part (sharded)."""

    distribution: str

    def __new__(cls, prefix: str, distribution: str = REPLICATED) -> Channel:
        made = super().__new__(cls, prefix)
        made.distribution = distribution
        return made

    @property
    def said(self) -> str | dict[str, str]:
        """As pipeline.yaml has it."""
        whole = self.distribution == REPLICATED
        return str(self) if whole else {"prefix": str(self), "distribution": self.distribution}


class Channels(dict[str, Channel]):
    """The channels of the data bucket, by name; `champions` are those that hold another pipeline's champion."""

    champions: Mapping[str, ChampionOf]

    @classmethod
    def of(cls, found: Mapping[str, Channel | ChampionOf]) -> Channels:
        """The channels of both kinds, each among its own."""
        made = cls({name: channel for name, channel in found.items() if isinstance(channel, Channel)})
        made.champions = {name: channel for name, channel in found.items() if isinstance(channel, ChampionOf)}
        return made

    @property
    def said(self) -> dict[str, Any]:
        """As pipeline.yaml has them."""
        prefixes = {name: channel.said for name, channel in self.items()}
        return {**prefixes, **{name: channel.said for name, channel in self.champions.items()}}


def _channel(value: object) -> Channel | ChampionOf:
    """A prefix, or a mapping of it and of how it is distributed; or of whose champion it is."""
    if isinstance(value, ChampionOf):
        return value
    if isinstance(value, str):
        return Channel(_prefix(value), getattr(value, "distribution", REPLICATED))
    if not isinstance(value, Mapping):
        raise ValueError(f"is {value!r}; write a prefix, as digits/train/, or {_EXAMPLE}")
    if CHAMPION_OF in value:
        return champion_channels.champion_channel(value)
    known = ["prefix", "distribution", CHAMPION_OF]
    unknown = [str(key) for key in value if key not in known]
    if unknown:
        raise ValueError(f"has the unknown key {unknown[0]}{nearest(unknown[0], known)}")
    if not isinstance(value.get("prefix"), str):
        raise ValueError(f"has no prefix; write {_EXAMPLE}")
    distribution = value.get("distribution", REPLICATED)
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"has the distribution {distribution!r}; it must be {' or '.join(DISTRIBUTIONS)}")
    return Channel(_prefix(value["prefix"]), distribution)


_EXAMPLE = f"{{prefix: digits/train/, distribution: {SHARDED}}}"
_PLACE: dict[str, Any] = {"type": "string", "examples": ["digits/train/"]}
_FIELDS = {"prefix": _PLACE, "distribution": {"enum": list(DISTRIBUTIONS), "default": REPLICATED}}
_MAPPING = {"type": "object", "properties": _FIELDS, "required": ["prefix"], "additionalProperties": False}

_ANY = Annotated[
    Channel | ChampionOf,
    PlainValidator(checked(_channel)),
    WithJsonSchema({"anyOf": [_PLACE, _MAPPING, champion_channels.SCHEMA]}),
]
# To pydantic a mapping of channels of both kinds; what is made of it keeps them apart.
_BOTH = Annotated[Mapping[str, _ANY], AfterValidator(Channels.of), PlainSerializer(lambda channels: channels.said)]
DataChannels = Annotated[Channels, GetPydanticSchema(lambda _, handler: handler.generate_schema(_BOTH))]
Prefix = Annotated[str, AfterValidator(checked(_prefix)), Field(examples=["digits/train/"])]


def check_channels(data: Channels) -> None:
    """Raises a refusal unless there are a training channel and the held-out one, well named and apart."""
    for channel in (*data, *data.champions):
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", channel):
            raise refusal(f"is the channel {channel!r}; use at most 64 letters, digits, . _ and -", "data", channel)
    if "train" not in data:
        raise refusal("is required; write train: <prefix>/", "data", "train")
    if TEST_CHANNEL not in data:
        raise refusal("is required, the held-out set that only evaluation sees; write test: <prefix>/", "data", "test")
    if getattr(data[TEST_CHANNEL], "distribution", REPLICATED) == SHARDED:
        message = f"is {SHARDED}, but one job judges by the whole held-out set; leave it out"
        raise refusal(message, "data", TEST_CHANNEL, "distribution")
    seen = len(data) + len(data.champions) - 1
    if seen > TRAINING_CHANNELS:
        raise refusal(f"gives training {seen} channels; SageMaker takes at most {TRAINING_CHANNELS}", "data")
    _no_overlap(data)


def check_apart(data: Mapping[str, str], others: Mapping[str, str]) -> None:
    """Raises a refusal where another prefix, by its field, lies in a channel or in another, or the other way round.

    What the model is asked would be trained on, or its answers asked.
    """
    places = {f"data.{channel}": prefix for channel, prefix in data.items()}
    for field, prefix in others.items():
        for other, taken in places.items():
            if prefix.startswith(taken) or taken.startswith(prefix):
                message = f"is {prefix!r}, which overlaps {other} ({taken!r}); give it a prefix of its own"
                raise refusal(message, *field.split("."))
        places[field] = prefix


def _no_overlap(data: Mapping[str, str]) -> None:
    """Held-out examples inside a training channel would be trained on, and the gate would judge memory."""
    for one, other in ((one, other) for one in data for other in data if one != other):
        if data[one].startswith(data[other]):
            message = f"is {data[one]!r}, inside data.{other} ({data[other]!r}); give each channel a prefix of its own"
            raise refusal(message, "data", one)
