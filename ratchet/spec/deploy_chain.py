"""`deploy.chain`: the containers that serve a model one after the other, SageMaker's inference pipeline."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from contract import chains, files
from ratchet.spec.errors import checked, refusal
from ratchet.spec.image import Image, ServingFramework
from ratchet.spec.model import Example, Model

# ContainerDefinition, API reference: ContainerHostname, and the limits of Environment.
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,1023}")
VARIABLES, VALUE_LENGTH = 100, 1024
# Of those 100 the machine sets its own.
_OWN_VARIABLES = 10

_ENTRY = re.compile(r"[A-Za-z_]\w*\.py", re.ASCII)
# Modules that the containers themselves import: a file of that name would take their place.
_IMPORTED = frozenset({*sys.stdlib_module_names, "flask", "joblib", "numpy", "pandas", "scipy", "sklearn", "torch"})
_TAKEN = _IMPORTED | {"xgboost", "sagemaker_containers", "sagemaker_inference", files.TOOLKIT, files.CONTRACT}
# What the machine tells a container.
_RESERVED = re.compile(r"SAGEMAKER_(PROGRAM|SUBMIT_DIRECTORY)|RATCHET_.*")
# AWS's own repositories, named by a URI.
_REPOSITORIES = {"sagemaker-scikit-learn": "sklearn", "sagemaker-xgboost": "xgboost", "pytorch-inference": "pytorch"}
# Repositories whose images only train.
_TRAINS = re.compile(r"(?:[/-])training(?=[:@]|$)")


def _entry(value: str) -> str:
    if value == files.TRAINING_SCRIPT:
        raise ValueError(f"is {value!r}, the training script; name the file with the container's model_fn")
    if not _ENTRY.fullmatch(value):
        raise ValueError(f"is {value!r}; write a file of the model's folder that Python can import, as features.py")
    if value.removesuffix(".py") in _TAKEN:
        raise ValueError(f"is {value!r}, but a container imports a module of that name itself; call the file otherwise")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"is {value!r}; a container's name has letters, digits and hyphens within, at most 63")
    return value


def _serving_image(value: str) -> str:
    if _TRAINS.search(value):
        raise ValueError(f"is {value!r}, an image that trains and doesn't serve; name its twin for inference")
    return value


def _environment(value: Mapping[str, str]) -> Mapping[str, str]:
    most = VARIABLES - _OWN_VARIABLES
    if len(value) > most:
        raise refusal(f"has {len(value)} entries; a container takes at most {most} beside Ratchet's own")
    for name, text in value.items():
        if not _VARIABLE.fullmatch(name):
            raise refusal(f"is no variable's name: {name[:40]!r}; write letters, digits and underscores", name)
        if _RESERVED.fullmatch(name):
            raise refusal("is set by Ratchet; leave it out", name)
        if len(text) > VALUE_LENGTH:
            raise refusal(f"has {len(text)} characters; a container's variable takes at most {VALUE_LENGTH}", name)
    return value


class Container(Model):
    """One container: the file with its functions, and the image it runs in where that isn't the pipeline's."""

    entry: Annotated[
        str,
        AfterValidator(checked(_entry)),
        Field(description="The file of the model's folder with the container's functions"),
        Example("entry: features.py"),
    ]
    name: Annotated[
        str | None, AfterValidator(lambda value: value and checked(_name)(value)), Field(description="Of its logs")
    ] = None
    framework: Annotated[ServingFramework | None, Field(description="Another framework image than the pipeline's")] = (
        None
    )
    image: Annotated[
        Image | None,
        AfterValidator(lambda value: value and checked(_serving_image)(value)),
        Field(description="Or the URI of an image of your own"),
    ] = None
    environment: Annotated[
        Mapping[str, str], AfterValidator(_environment), Field(description="Variables of this container")
    ] = {}

    @property
    def hostname(self) -> str:
        """Its name, which its entry point gives where none is said."""
        return self.name or self.entry.removesuffix(".py").strip("_").replace("_", "-")

    @property
    def said(self) -> dict[str, Any]:
        """What the model's archive says of it (contract.chains)."""
        variables = {"environment": dict(self.environment)}
        return {"name": self.hostname, "entry": self.entry, "framework": self._framework(), **variables}

    def framework_of(self, hosting: str | None) -> str | None:
        """The framework whose container it is, where the pipeline's hosts by this one; None for an image of the user's
        own.
        """
        return self._framework() or (None if self.image else hosting)

    def _framework(self) -> str | None:
        """The framework whose container's own functions hold for what the script leaves out; None: the pipeline's."""
        if self.framework is not None:
            return self.framework.name
        return _REPOSITORIES.get(re.split("[:@]", (self.image or "").rpartition("/")[2])[0])

    @model_validator(mode="after")
    def _possible(self) -> Container:
        if self.framework is not None and self.image is not None:
            raise refusal("is given, and framework too; one of them says what the container runs in", "image")
        if not _NAME.fullmatch(self.hostname):
            raise refusal("gives the container no name that SageMaker takes: write a name beside it", "entry")
        return self


def check_chain(chain: Sequence[Container]) -> None:
    """Raises a refusal for a chain that SageMaker has not; call it where one is said."""
    if not chains.LEAST <= len(chain) <= chains.MOST:
        count = f"{len(chain)} container{'s' if len(chain) != 1 else ''}"
        alone = "; one container is serve.py's, without a chain" if len(chain) < chains.LEAST else ""
        raise refusal(f"has {count}; SageMaker chains {chains.LEAST} to {chains.MOST}{alone}", "chain")
    first: dict[str, int] = {}
    for number, container in enumerate(chain):
        if container.hostname in first:
            where = "name" if container.name else "entry"
            other = f"container {first[container.hostname] + 1}"
            message = f"gives the name {container.hostname!r}, which {other} has already; write another name beside it"
            raise refusal(message, "chain", number, where)
        first[container.hostname] = number
