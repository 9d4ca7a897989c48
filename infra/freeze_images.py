"""Writes framework_images.json, the table of AWS's framework images, from the SageMaker SDK.

    pip install '.[images]' && python -m infra.freeze_images

A development tool: run it when AWS has published images that pipelines should name, look at the difference, commit it.
The SDK's own answers are recorded, image by image and region by region; `infra.images` reads only the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "framework_images.json"

# Frameworks whose containers train with train.py and serve through serve.py's four functions, and the oldest version to
# freeze. TensorFlow's hosting image is TensorFlow Serving, with another contract: of it those that train, with Keras 3.
OLDEST = {"sklearn": (1, 0), "xgboost": (1, 3), "pytorch": (2, 0), "tensorflow": (2, 16)}
BOTH, TRAINS = ("training", "inference"), ("training",)
SCOPES = {"sklearn": BOTH, "xgboost": BOTH, "pytorch": BOTH, "tensorflow": TRAINS}
INSTANCES = {"cpu": "ml.m5.large", "gpu": "ml.g5.xlarge"}
_URI = re.compile(r"(?P<account>\d{12})\.dkr\.(?P<host>ecr[^/]+)/(?P<image>.+)")


@dataclass(frozen=True)
class Image:
    """The SDK's answer for one framework, version, scope, processor and region."""

    framework: str
    version: str
    scope: str
    processor: str
    region: str
    account: str
    host: str
    image: str


Retrieve = Callable[..., str]


def images(framework: str, configuration: dict[str, Any], retrieve: Retrieve) -> Iterator[Image]:
    """Every image of a framework that the SDK knows, by asking it."""
    for scope in SCOPES[framework]:
        section = configuration[scope]
        for number, details in section["versions"].items():
            if _numbers(number) < OLDEST[framework]:
                continue
            for processor in details.get("processors") or section.get("processors") or ["cpu"]:
                for region in details["registries"]:
                    uri = retrieve(
                        framework, region, version=number, image_scope=scope, instance_type=INSTANCES[processor]
                    )
                    account, host, image = _parts(uri)
                    yield Image(framework, number, scope, processor, region, account, host, image)


def table(found: Iterable[Image], source: str) -> dict[str, Any]:
    """The table's document: images by framework, version, scope, processor; registries by images that share them."""
    found = list(found)
    frameworks: dict[str, Any] = {}
    for image in found:
        scopes = frameworks.setdefault(image.framework, {}).setdefault(image.version, {})
        scopes.setdefault(image.scope, {})[image.processor] = image.image
    return {
        "source": source,
        "hosts": {image.region: image.host for image in sorted(found, key=lambda image: image.region)},
        "registries": _registries(found),
        "frameworks": frameworks,
    }


def debugger(configuration: dict[str, Any], retrieve: Retrieve) -> dict[str, Any]:
    """The image of SageMaker Debugger's own rules, and whose registry holds it in each region."""
    found = {
        region: _parts(retrieve("debugger", region)) for region in configuration["versions"]["latest"]["registries"]
    }
    (image,) = {name for _account, _host, name in found.values()}
    return {"image": image, "accounts": {region: account for region, (account, _host, _image) in found.items()}}


def _registries(found: list[Image]) -> list[dict[str, Any]]:
    accounts: dict[str, dict[str, str]] = {}
    for image in found:
        accounts.setdefault(image.image, {})[image.region] = image.account
    shared: dict[str, list[str]] = {}
    for name, by_region in accounts.items():
        shared.setdefault(json.dumps(by_region, sort_keys=True), []).append(name)
    return [{"images": names, "accounts": json.loads(by_region)} for by_region, names in shared.items()]


def _parts(uri: str) -> tuple[str, str, str]:
    match = _URI.fullmatch(uri)
    if match is None:
        raise SystemExit(f"the SDK answered {uri!r}, which isn't an ECR image")
    return match["account"], match["host"], match["image"]


def _numbers(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", number))


def main() -> None:
    """Writes the table."""
    from sagemaker.core import image_uris  # noqa: PLC0415 -- an extra that only this command needs

    found = [
        image
        for framework in OLDEST
        for image in images(framework, image_uris.config_for_framework(framework), image_uris.retrieve)
    ]
    document = table(found, f"sagemaker-core {version('sagemaker-core')}")
    document["debugger"] = debugger(image_uris.config_for_framework("debugger"), image_uris.retrieve)
    TABLE.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
