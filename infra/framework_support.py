"""How long AWS patches a framework's images, and which Python is in them: `framework_support.json`, kept by hand.

The SageMaker SDK, from which `framework_images.json` is made, knows neither; the file names its sources. A version
that isn't in it has no date that is known here (scikit-learn's and XGBoost's images seldom have one).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from ratchet.spec import PipelineSpec

# What training jobs get of ours (toolkit and contract) runs on this and newer.
OLDEST_PYTHON = (3, 8)
_SOON = timedelta(days=90)
_FILE = Path(__file__).parent / "framework_support.json"


def check_python(spec: PipelineSpec, name: str, version: str, field: str = "framework.version") -> None:
    """Raise SpecError, on the field, for a version whose image has a Python that is too old for the toolkit."""
    found = pythons().get(name, {}).get(version)
    if found is not None and _numbers(found) < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        fit = [newer for newer, python in pythons()[name].items() if _numbers(python) >= OLDEST_PYTHON]
        raise spec.error(
            field,
            f"{name} {version} has Python {found}, and what Ratchet brings into a job needs "
            f"{oldest} or newer; take {fit[0]} or newer",
        )


def pythons() -> Mapping[str, Mapping[str, str]]:
    """The Python of each image, by framework and version; PyTorch's and TensorFlow's say it in their names."""
    found: dict[str, dict[str, str]] = _support()["pythons"]
    return found


def warnings(spec: PipelineSpec, today: date) -> Iterator[str]:
    """Warnings at synth, of images that AWS patches no more, or soon no more; each with file and line."""
    for scope, field, name, version in _used(spec):
        end = end_of_patch(scope, name, version)
        if end is not None and end <= today + _SOON:
            ended = "has not patched" if end <= today else "will not patch"
            since = "since" if end <= today else "after"
            image = f"the {scope} image of {name} {version}"
            yield str(spec.error(field, f"AWS {ended} {image} {since} {end}, its end of patch"))


def _used(spec: PipelineSpec) -> Iterator[tuple[str, str, str, str]]:
    """The framework images of a spec: what for, in which field, of what, which version."""
    framework = spec.framework
    if framework is not None:
        yield "training", "framework.version", framework.name, framework.version
        hosting = "framework.hosting" if framework.hosting else "framework.version"
        yield "inference", hosting, *framework.hosted_by
        if framework.is_hosted_by_another:  # it judges in that one's training image
            yield "training", hosting, *framework.hosted_by
    for number, container in enumerate(spec.deploy.chain):
        if container.framework is not None:
            field = f"deploy.chain.{number}.framework.version"
            yield "inference", field, container.framework.name, container.framework.version


def end_of_patch(scope: str, name: str, version: str) -> date | None:
    """The day after which AWS patches an image no more. PyTorch's are those of 2.6, whatever comes behind."""
    dates: dict[str, str] = _support()["end_of_patch"][scope].get(name, {})
    known = [key for key in dates if version == key or version.startswith(f"{key}.")]
    return date.fromisoformat(dates[max(known, key=len)]) if known else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@cache
def _support() -> dict[str, Any]:
    support: dict[str, Any] = json.loads(_FILE.read_text())
    return support
