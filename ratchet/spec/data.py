"""`data` of pipeline.yaml: channels, each a prefix of the data bucket; `test` is the held-out one.

A channel is its prefix, or `{prefix: …, distribution: sharded}`: each of several hosts gets a part of its objects. One
of labelled examples is `{manifest: …, attributes: […]}` (manifest.py), a model `{champion_of: other-pipeline}`
(champion_channels.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetPydanticSchema, PlainSerializer, PlainValidator, WithJsonSchema

from contract.files import TEST_CHANNEL
from contract.manifests import manifest_channel
from ratchet.spec import champion_channels
from ratchet.spec import manifest as manifests
from ratchet.spec.champion_channels import CHAMPION_OF, ChampionOf
from ratchet.spec.errors import checked, nearest, refusal
from ratchet.spec.manifest import Manifest

# InputDataConfig, API reference of CreateTrainingJob.
TRAINING_CHANNELS = 20
CHANNEL_LENGTH = 64

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
    """A channel's prefix, and what each of several hosts sees of it: all (replicated), or a part (sharded).

    manifest: which of the prefix's objects it has, with their labels; the prefix is that of the objects then, or, where
    the manifest points to none, its own key.
    """

    distribution: str
    manifest: Manifest | None

    def __new__(cls, prefix: str, distribution: str = REPLICATED, manifest: Manifest | None = None) -> Channel:
        made = super().__new__(cls, prefix)
        made.distribution, made.manifest = distribution, manifest
        return made

    @property
    def places(self) -> list[str]:
        """Where in the data bucket it lies: prefixes, or a manifest's key."""
        return self.manifest.places if self.manifest else [str(self)]

    @property
    def said(self) -> str | dict[str, Any]:
        """As pipeline.yaml has it."""
        if self.manifest:
            return self.manifest.said
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
    """A prefix, or a mapping of it and of how it is distributed; or a manifest's, or of whose champion it is."""
    if isinstance(value, Channel | ChampionOf):
        return value
    if isinstance(value, str):
        return Channel(_prefix(value))
    if not isinstance(value, Mapping):
        raise ValueError(f"is {value!r}; write a prefix, as digits/train/, or {_EXAMPLE}")
    if "manifest" in value:
        manifest = manifests.parsed(value, _prefix)
        return Channel(manifest.objects or manifest.key, manifest=manifest)
    if CHAMPION_OF in value:
        return champion_channels.champion_channel(value)
    unknown = [str(key) for key in value if key not in ("prefix", "distribution")]
    if unknown:
        raise ValueError(f"has the unknown key {unknown[0]}{nearest(unknown[0], _KEYS)}")
    if not isinstance(value.get("prefix"), str):
        raise ValueError(f"has no prefix; write {_EXAMPLE}")
    distribution = value.get("distribution", REPLICATED)
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"has the distribution {distribution!r}; it must be {' or '.join(DISTRIBUTIONS)}")
    return Channel(_prefix(value["prefix"]), distribution)


_KEYS = ("prefix", "distribution", "manifest", CHAMPION_OF)
_EXAMPLE = f"{{prefix: digits/train/, distribution: {SHARDED}}}"
_PLACE: dict[str, Any] = {"type": "string", "examples": ["digits/train/"]}
_FIELDS = {"prefix": _PLACE, "distribution": {"enum": list(DISTRIBUTIONS), "default": REPLICATED}}
_MAPPING = {"type": "object", "properties": _FIELDS, "required": ["prefix"], "additionalProperties": False}
_WITH_MANIFEST = {
    "type": "object",
    "properties": {
        "manifest": {"type": "string", "examples": ["digits/train/labels.manifest"]},
        "attributes": {"type": "array", "items": {"type": "string"}, "examples": [["source-ref", "class"]]},
        "objects": _PLACE,
        "mode": {"enum": list(manifests.MODES), "default": manifests.PIPE},
        "shuffle": {"type": "integer", "minimum": 0},
    },
    "required": ["manifest", "attributes"],
    "additionalProperties": False,
}

_ANY = Annotated[
    Channel | ChampionOf,
    PlainValidator(checked(_channel)),
    WithJsonSchema({"anyOf": [_PLACE, _MAPPING, _WITH_MANIFEST, champion_channels.SCHEMA]}),
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
    if _manifest(data[TEST_CHANNEL]):
        message = (
            "has a manifest, which SageMaker streams to training jobs alone; put the manifest under a prefix, beside "
            "what it points to: test: digits/test/, with evaluate: {format: manifest}"
        )
        raise refusal(message, "data", TEST_CHANNEL)
    of_manifests = _check_manifests(data)
    seen = len(data) - 1 + len(of_manifests) + len(data.champions)
    if seen > TRAINING_CHANNELS:
        raise refusal(f"gives training {seen} channels; SageMaker takes at most {TRAINING_CHANNELS}", "data")
    _no_overlap(data)


def _check_manifests(data: Channels) -> list[str]:
    """The channels that training gets besides, for manifests. Raises a refusal where another has their names."""
    found, others = [], [*data, *data.champions]
    for name, channel in data.items():
        manifest = _manifest(channel)
        if manifest is None:
            continue
        if manifest.is_piped:
            taken = next((other for other in others if re.fullmatch(rf"{re.escape(name)}_\d+", other)), None)
            why = f"is how one of the pipes of data.{name} is called"
        else:
            own = manifest_channel(name)
            found.append(own)
            taken, why = own if own in others else None, f"is the channel in which data.{name} has its manifest"
            if len(own) > CHANNEL_LENGTH:
                most = CHANNEL_LENGTH - len(manifest_channel(""))
                raise refusal(f"has a manifest and more than {most} characters; shorten its name", "data", name)
        if taken:
            raise refusal(f"{why}; choose another name", "data", taken)
    return found


def _manifest(channel: str) -> Manifest | None:
    return channel.manifest if isinstance(channel, Channel) else None


def _places(channel: str) -> list[str]:
    return channel.places if isinstance(channel, Channel) else [channel]


def check_apart(data: Mapping[str, str], others: Mapping[str, str]) -> None:
    """Raises a refusal where another prefix, by its field, lies in a channel or in another, or the other way round.

    What the model is asked would be trained on, or its answers asked.
    """
    places = [(f"data.{name}", place) for name, channel in data.items() for place in _places(channel)]
    for field, prefix in others.items():
        for other, taken in places:
            if prefix.startswith(taken) or taken.startswith(prefix):
                message = f"is {prefix!r}, which overlaps {other} ({taken!r}); give it a prefix of its own"
                raise refusal(message, *field.split("."))
        places.append((field, prefix))


def _no_overlap(data: Mapping[str, str]) -> None:
    """Held-out examples inside a training channel would be trained on, and the gate would judge memory.

    Manifests of several training channels may point to the objects of one prefix.
    """
    for one, other in ((one, other) for one in data for other in data if one != other):
        if _manifest(data[one]) and _manifest(data[other]):
            continue
        for place in _places(data[one]):
            for around in _places(data[other]):
                if place.startswith(around):
                    message = f"is {place!r}, inside data.{other} ({around!r}); give each channel a prefix of its own"
                    raise refusal(message, "data", one)
