"""The containers that serve a candidate: one, or a chain of them (`deploy.chain`), each with an entry point of its own.

All of a chain load the same archive, that one training job has written: what turns rows into numbers was fitted with
what learned from those numbers, and is replaced, judged and rolled back with it. `$candidate.chain` goes with a
candidate into its run's record, so that a rollback brings an earlier champion's chain back, whatever the spec says now.
"""

from __future__ import annotations

from collections.abc import Mapping

from contract.chains import CHAIN
from infra.workflow.conditions import exists
from infra.workflow.expressions import expression, jsonata
from infra.workflow.requests import Document
from infra.workflow.surroundings import HOSTING_IMAGE_URI, Surroundings, chain_image

# The framework containers' variable for the file whose functions they run.
PROGRAM = "SAGEMAKER_PROGRAM"

_CHAIN = f"$candidate.{CHAIN}"
_IS_CHAIN = exists(_CHAIN)


def chain(at: Surroundings, common: Mapping[str, str]) -> list[Document]:
    """The containers of the spec's chain as CreateModel takes them, without the archive; none where there is no chain.

    common: the variables that every container has, of which its own entry point takes the place.
    """
    return [
        {
            "ContainerHostname": container.hostname,
            "Image": str(chain_image(number) if own else HOSTING_IMAGE_URI),
            "Environment": {**common, **container.environment, PROGRAM: container.entry},
        }
        for number, (container, own) in enumerate(zip(at.spec.deploy.chain, at.chain_images, strict=True))
    ]


def with_archive(containers: list[Document], model_data: str) -> list[Document]:
    """Containers that load an archive."""
    return [{**container, "ModelDataUrl": model_data} for container in containers]


def containers_of(alone: Document, told: Document) -> str:
    """CreateModel's part about containers, as JSONata text: the candidate's chain, or the one that serves alone.

    told: the variables that a chain's containers get besides their own.
    """
    variables = f"$merge([$c.Environment, {jsonata(told)}])"
    each = f"$merge([$c, {{'ModelDataUrl': $candidate.model_data, 'Environment': {variables}}}])"
    several = f"{{'Containers': [$map({_CHAIN}, function($c) {{ {each} }})]}}"
    return f"({_IS_CHAIN} ? {several} : {jsonata({'PrimaryContainer': alone})})"


def held() -> str:
    """What a model's name is made of besides, as JSONata text of a list: the candidate's chain, where it has one.

    Variables in their names' order: what comes back from a run's record has them in any.
    """
    variables = "$map($sort($keys($c.Environment)), function($k) { $k & '=' & $lookup($c.Environment, $k) })"
    each = f"$join([$c.ContainerHostname, $c.Image, {variables}], ' ')"
    return f"({_IS_CHAIN} ? $map({_CHAIN}, function($c) {{ {each} }}) : [])"


def candidates(containers: list[Document]) -> Document:
    """The candidate's own part about its chain."""
    return {CHAIN: containers} if containers else {}


def merged(request: Document, containers: str) -> str:
    """A request of which the part about containers is JSONata text."""
    return expression(f"$merge([{jsonata(request)}, {containers}])")
