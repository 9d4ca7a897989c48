"""Framework → image URI, from a frozen table: no network, no SDK, the same answer everywhere.

`framework_images.json` is written by `python -m infra.freeze_images` from the SageMaker SDK's own answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from infra import framework_support
from ratchet.spec import PipelineSpec, SpecError
from ratchet.spec.image import ECR, HOSTED_BY_ANOTHER
from ratchet.spec.instances import InstanceTypes

_TABLE = Path(__file__).parent / "framework_images.json"
_FAMILY = re.compile(r"ml\.([a-z]+)(\d*)([a-z-]*)\d*[a-z-]*\.")


@dataclass(frozen=True)
class Images:
    """The images of a pipeline: `training` also evaluates, unless it is the user's own; `hosting` is the endpoint's.

    evaluating: where another framework serves than trains, the training image of the one that serves.
    """

    training: str
    hosting: str
    evaluating: str | None = None


def images(spec: PipelineSpec, region: str) -> Images:
    """The images that a spec's `framework:` or `image:` means in a region.

    Raises:
        SpecError: the table has no such framework, version, region or processor; the message says what it has.
    """
    if spec.image is not None:
        return Images(spec.image, spec.image)
    if spec.framework is None:
        raise ValueError(f"{spec.name} builds its image from {spec.dockerfile}; there is none to look up")
    framework = spec.framework
    framework_support.check_python(spec, framework.name, framework.version)
    trains = _Wanted(framework.name, framework.version, "training", spec.train.instance, "train.instance")
    training = _uri(spec, trains, region)
    name, version = framework.hosted_by
    hosting = _uri(spec, _Wanted(name, version, "inference", spec.deploy.instance, "deploy.instance"), region)
    if not framework.is_hosted_by_another:
        return Images(training, hosting)
    framework_support.check_python(spec, name, version, "framework.hosting.version")
    evaluates = _Wanted(name, version, "training", spec.evaluate.instance, "evaluate.instance")
    return Images(training, hosting, _uri(spec, evaluates, region))


@dataclass(frozen=True)
class _Wanted:
    """A framework's image, by what it is for; the instance types that are to run it, and their field."""

    framework: str
    version: str
    scope: str
    types: InstanceTypes
    field: str

    @property
    def missing(self) -> str:
        return f"{self.framework} {self.version} has no {self.scope} image"


def chain_images(spec: PipelineSpec, region: str) -> tuple[str | None, ...]:
    """The image that each container of `deploy.chain` says, by `framework` or by `image`; None where it says none.

    Raises:
        SpecError: as of `images`, on the container's line.
    """
    return tuple(_chain_image(spec, number, region) for number in range(len(spec.deploy.chain)))


def _chain_image(spec: PipelineSpec, number: int, region: str) -> str | None:
    container, field = spec.deploy.chain[number], f"deploy.chain.{number}.framework"
    if container.framework is None:
        return container.image
    name, version = container.framework.name, container.framework.version
    framework_support.check_python(spec, name, version, f"{field}.version")
    scopes = _table()["frameworks"][name].get(version, {})
    if "inference" not in scopes:
        hosted = [known for known, found in _table()["frameworks"][name].items() if "inference" in found]
        message = f"{name} {version} has no image that serves; versions with one are {', '.join(hosted)}"
        raise spec.error(f"{field}.version", message)
    found = _of_types(scopes["inference"], spec.deploy.instance, name, lambda wrong: spec.error(field, wrong))
    return _located(found, region, lambda wrong: spec.error(field, f"{name} {version} has no image {wrong}"))


def framework_image(name: str, version: str, region: str, error: Callable[[str], SpecError]) -> str:
    """The image in which a framework trains on CPUs; raises the error of a sentence's end where the region has none."""
    image = str(_table()["frameworks"][name][version]["training"]["cpu"])
    return _located(
        image, region, lambda wrong: error(f"needs {name} {version} to judge it, which has no image {wrong}")
    )


def framework_accounts(repository: str) -> dict[str, set[str]]:
    """Region → the accounts in which AWS has a framework's repository of that name; empty for any other name."""
    found: dict[str, set[str]] = {}
    for image, accounts in _accounts().items():
        if image.partition(":")[0] == repository:
            for region, account in accounts.items():
                found.setdefault(region, set()).add(account)
    return found


def rules_image(spec: PipelineSpec, region: str) -> str | None:
    """The image of SageMaker Debugger's own rules in a region; None where the open rules judge.

    Raises:
        SpecError: SageMaker Debugger isn't in the region.
    """
    if spec.rules_service != "sagemaker":
        return None
    accounts: dict[str, str] = _table()["debugger"]["accounts"]
    if region not in accounts:
        message = f"is sagemaker, but SageMaker Debugger isn't in {region}, only in {', '.join(accounts)}"
        raise spec.error("rules_service", message)
    return f"{accounts[region]}.dkr.{_table()['hosts'][region]}/{_table()['debugger']['image']}"


def repository_arn(image_uri: str, partition: str) -> str | None:
    """The ARN of an image's ECR repository; None for an image of another registry."""
    match = ECR.match(image_uri)
    if match is None:
        return None
    return f"arn:{partition}:ecr:{match['region']}:{match['account']}:repository/{match['repository']}"


def _uri(spec: PipelineSpec, wanted: _Wanted, region: str) -> str:
    image = _image(spec, wanted)
    return _located(image, region, lambda wrong: spec.error("framework", f"{wanted.missing} {wrong}"))


def _located(image: str, region: str, error: Callable[[str], SpecError]) -> str:
    """An image's URI in a region; raises the error of a sentence's end where it isn't there."""
    accounts = _accounts()[image]
    if region not in accounts:
        raise error(f"in {region}; only in {', '.join(accounts)}")
    return f"{accounts[region]}.dkr.{_table()['hosts'][region]}/{image}"


def _image(spec: PipelineSpec, wanted: _Wanted) -> str:
    versions = _table()["frameworks"][wanted.framework]
    if wanted.version not in versions or wanted.scope not in versions[wanted.version]:
        raise _no_image(spec, wanted, versions)
    by_processor: dict[str, str] = versions[wanted.version][wanted.scope]
    return _of_types(by_processor, wanted.types, wanted.framework, lambda wrong: spec.error(wanted.field, wrong))


def _of_types(by_processor: dict[str, str], types: InstanceTypes, name: str, error: Callable[[str], SpecError]) -> str:
    """The one image that all instance types run; raises the error of a sentence where there is none."""
    found = {one: _of_processor(by_processor, one) for one in types.in_order}
    for one, image in found.items():
        if image is None:
            raise error(f"{one} is a machine for {processor(one)} images; {name}'s are for {', '.join(by_processor)}")
        if image != found[types.in_order[0]]:
            kinds = f"{types} is a machine for {processor(types)} images, {one} for {processor(one)} images"
            raise error(f"{kinds}, and a job or an endpoint has one image: list types of one kind")
    return str(found[types.in_order[0]])


def _of_processor(by_processor: dict[str, str], instance: str) -> str | None:
    """The image that an instance type runs; None where there is none for it."""
    wanted = processor(instance)
    # A framework that has only one kind of image (scikit-learn) runs it on every x86 instance, GPUs unused.
    return by_processor.get(wanted) or (by_processor.get("cpu") if wanted == "gpu" else None)


def _no_image(spec: PipelineSpec, wanted: _Wanted, versions: dict[str, Any]) -> SpecError:
    framework, has = spec.framework, [number for number, scopes in versions.items() if wanted.scope in scopes]
    with_one = f"{wanted.missing}; versions with one are {', '.join(has)}"
    if framework is not None and framework.is_hosted_by_another:
        named = "framework.version" if wanted.framework == framework.name else "framework.hosting.version"
        return spec.error(named, with_one)
    if framework is not None and framework.hosting is not None and wanted.scope == "inference":
        return spec.error("framework.hosting", with_one)
    both = ", ".join(number for number, scopes in versions.items() if {"training", "inference"} <= set(scopes))
    own = ""
    if wanted.scope == "inference" and wanted.version in versions and wanted.framework in HOSTED_BY_ANOTHER:
        own = f'; or name the version that hosts the model, as hosting: "{has[-1]}"'
    return spec.error("framework.version", f"{wanted.missing}; versions with both images are {both}{own}")


def processor(instance: str) -> str:
    """The kind of image that an instance type runs: cpu, gpu, arm64 (Graviton), or neuron (Inferentia and Trainium)."""
    match = _FAMILY.match(instance)
    letters, generation, options = match.groups() if match else ("", "", "")
    if letters in ("inf", "trn"):
        return "neuron"
    if generation and options.startswith("g") and letters in ("c", "m", "r", "t", "x", "g"):
        return "arm64"
    return "gpu" if letters in ("g", "gr", "p") else "cpu"


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(_TABLE.read_text())
    return table


@cache
def _accounts() -> dict[str, dict[str, str]]:
    return {image: registry["accounts"] for registry in _table()["registries"] for image in registry["images"]}
