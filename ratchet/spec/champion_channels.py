"""Channels that hold a model: `data: {pretrained: {champion_of: other-pipeline}}`, what AWS calls incremental training.

What a file says of itself is refused here; what only the checkout knows in champions_among.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.files import TEST_CHANNEL
from ratchet.spec.errors import refusal
from ratchet.spec.name import check_name

CHAMPION_OF = "champion_of"
# The content type of a channel that holds a model ("Use Incremental Training", developer guide).
MODEL_TYPE = "application/x-sagemaker-model"
TRAIN_CHANNEL = "train"
SCHEMA = {
    "type": "object",
    "properties": {CHAMPION_OF: {"type": "string", "examples": ["cifar-subset"]}},
    "required": [CHAMPION_OF],
    "additionalProperties": False,
}


class ChampionOf(str):
    """The pipeline whose champion's model.tar.gz is the channel's content."""

    @property
    def said(self) -> dict[str, str]:
        """As pipeline.yaml has it."""
        return {CHAMPION_OF: str(self)}


def champion_channel(value: Mapping[Any, Any]) -> ChampionOf:
    """The channel that such a mapping says; ValueError says what is wrong with it."""
    if others := [str(key) for key in value if key != CHAMPION_OF]:
        raise ValueError(f"has {others[0]} beside {CHAMPION_OF}; a model is one file, so that nothing else can be said")
    name = value[CHAMPION_OF]
    if not isinstance(name, str):
        raise ValueError(f"has the {CHAMPION_OF} {name!r}; write a pipeline's name, as {{{CHAMPION_OF}: cifar-subset}}")
    try:
        return ChampionOf(check_name(name))
    except ValueError as error:
        raise ValueError(f"has a {CHAMPION_OF} that {error}") from error


def check_champions(name: str, champions: Mapping[str, ChampionOf]) -> None:
    """Raises a refusal for a model in the place of examples, and for a pipeline that would begin with its own."""
    for channel, pipeline in champions.items():
        if channel in (TRAIN_CHANNEL, TEST_CHANNEL):
            message = "is a model, where examples must be; write a prefix, and give the model a channel of its own"
            raise refusal(f"{message}, as pretrained", "data", channel)
        if pipeline == name:
            message = (
                f"is {name}, this pipeline itself, which has no champion when it begins; name another one. Rounds "
                "(`rounds`) are what trains from its own last model"
            )
            raise refusal(message, "data", channel, CHAMPION_OF)
