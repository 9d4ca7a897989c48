"""What only the checkout knows of `champion_of`: whether there is such a pipeline, and whether it goes in a circle."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ratchet.spec.champion_channels import CHAMPION_OF
from ratchet.spec.errors import nearest
from ratchet.spec.pipeline import PipelineSpec


def check_among(specs: Collection[PipelineSpec], declared: Mapping[str, Mapping[str, str]]) -> None:
    """Raises unless every pipeline that is named is there, and none begins with what is made from its own model.

    Args:
        declared: every pipeline of the checkout, and of which others it takes the champions, by channel.

    Raises:
        SpecError: on the line that names it.
    """
    for spec in specs:
        for channel, pipeline in spec.data.champions.items():
            field = f"data.{channel}.{CHAMPION_OF}"
            if pipeline not in declared:
                known = nearest(pipeline, sorted({*declared} - {spec.name}))
                raise spec.error(field, f"is {pipeline!r}, but there is no such pipeline{known}")
            if way := next(_ways(pipeline, spec.name, declared, ()), None):
                circle = " -> ".join((spec.name, *way))
                raise spec.error(field, f"goes round in a circle ({circle}): none of them could be the first to train")


def _ways(
    start: str, end: str, declared: Mapping[str, Mapping[str, str]], before: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    """The ways from a pipeline to another, along what each begins with."""
    here = (*before, start)
    if start == end:
        yield here
        return
    for other in declared.get(start, {}).values():
        if other not in before:
            yield from _ways(other, end, declared, here)


def declared_champions(data: object) -> dict[str, str]:
    """Channel → pipeline, of the `data` of a pipeline.yaml that may be wrong elsewhere."""
    entries = data.items() if isinstance(data, Mapping) else ()
    named = {str(channel): value[CHAMPION_OF] for channel, value in entries if _names_one(value)}
    return {channel: name for channel, name in named.items() if isinstance(name, str)}


def _names_one(value: object) -> bool:
    return isinstance(value, Mapping) and CHAMPION_OF in value
