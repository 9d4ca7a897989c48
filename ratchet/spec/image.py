"""`framework`, `image` and `dockerfile` of pipeline.yaml: exactly one of them says what the jobs run in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_serializer, model_validator

from ratchet.spec.errors import checked, refusal
from ratchet.spec.model import Example, Model

# AlgorithmSpecification, API reference of CreateTrainingJob.
IMAGE_LENGTH = 255

# Those whose training and serving containers both run a model's own scripts.
SCRIPTED = Literal["sklearn", "xgboost", "pytorch"]

# And those whose training containers alone do: TensorFlow's for serving runs no serve.py.
TRAINED = Literal["sklearn", "xgboost", "pytorch", "tensorflow"]

# Those whose models are files of a format that another version reads, or another framework.
HOSTED_BY_ANOTHER = frozenset({"pytorch", "xgboost", "tensorflow"})

# The repositories of their images: an image of such a name runs scripts.
REPOSITORIES = frozenset(
    {
        "sagemaker-scikit-learn",
        "sagemaker-xgboost",
        "pytorch-training",
        "pytorch-inference",
        "tensorflow-training",
    }
)

# An image of Amazon ECR's, by the parts of its name; a tag or a digest may follow.
ECR = re.compile(
    r"(?P<registry>(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+)/(?P<repository>[^:@\s]+)"
)

_IMAGE = re.compile(r"[\w.\-]+(?::\d+)?(?:/[\w.\-]+)+(?::[\w][\w.\-]{0,127})?(?:@sha256:[0-9a-f]{64})?")


def _version(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'is the number {value}; quote it, as "{value}" (YAML would read 1.10 as 1.1)')
    if not re.fullmatch(r"\d+(\.\d+)*(-[A-Za-z0-9.]+)*", value):
        raise ValueError(f'is {value!r}; write the framework image\'s version, as "1.9-0" or "2.10"')
    return value


def _hosting_name(value: object) -> object:
    if value == "tensorflow":
        known = ", ".join(get_args(SCRIPTED))
        raise ValueError(f"is {value!r}, whose serving container runs no serve.py; frameworks that serve are {known}")
    return value


def _serving_name(value: object) -> object:
    try:
        return _hosting_name(value)
    except ValueError as error:
        raise ValueError(f"{error}, or name an image of your own with image:") from error


def _image(value: str) -> str:
    if not _IMAGE.fullmatch(value) or len(value) > IMAGE_LENGTH:
        raise ValueError(
            f"is {value!r}; write a registry path of at most {IMAGE_LENGTH} characters, "
            "as 123456789012.dkr.ecr.us-east-1.amazonaws.com/team/image:1.0"
        )
    return value


def _dockerfile(value: str) -> str:
    if Path(value).is_absolute() or ".." in Path(value).parts:
        raise ValueError(f"is {value!r}; write a path inside the model's folder, as docker/Dockerfile")
    return value


def _hosting(value: object) -> object:
    """Another version of the same framework, by itself; or another framework, by name and version."""
    if value is None or isinstance(value, Model):
        return value
    if not isinstance(value, Mapping):
        return {"version": _version(value)}
    if "name" not in value:
        raise ValueError(f"names no framework; write {_HOSTING}, or the version alone")
    return value


_HOSTING = 'hosting: {name: pytorch, version: "2.6.0"}'
Version = Annotated[str, BeforeValidator(checked(_version)), Field(examples=["1.9-0"])]
Image = Annotated[str, AfterValidator(checked(_image))]
Dockerfile = Annotated[str, AfterValidator(checked(_dockerfile))]
HostingName = Annotated[SCRIPTED, BeforeValidator(checked(_hosting_name))]
ServingName = Annotated[SCRIPTED, BeforeValidator(checked(_serving_name))]


class ServingFramework(Model):
    """A framework's image for serving, by name and version."""

    name: Annotated[ServingName, Example("name: sklearn")]
    version: Annotated[Version, Example('version: "1.9-0"')]


class Hosting(Model):
    """The image that hosts the model, where it is another: a version; and a name, where it is another framework's."""

    name: HostingName | None = None
    version: Annotated[Version, Example('version: "2.6.0"')]

    @model_serializer(mode="plain")
    def _said(self) -> str | dict[str, str]:
        """As pipeline.yaml has it."""
        return self.version if self.name is None else {"name": self.name, "version": self.version}


_VERSION: dict[str, Any] = {"type": "string", "examples": ["2.6.0"]}
_FIELDS = {"name": {"enum": list(get_args(SCRIPTED))}, "version": _VERSION}
_ANOTHER = {"type": "object", "properties": _FIELDS, "required": list(_FIELDS), "additionalProperties": False}
Hosted = Annotated[
    Hosting | None,
    BeforeValidator(checked(_hosting)),
    WithJsonSchema({"anyOf": [_VERSION, _ANOTHER, {"type": "null"}]}),
]


class Framework(Model):
    """A framework image of SageMaker's, by name and version."""

    name: Annotated[TRAINED, Example("name: sklearn")]
    version: Annotated[Version, Example('version: "1.9-0"')]
    hosting: Annotated[
        Hosted, Field(description="The version whose image hosts the model, where it is another; or another framework")
    ] = None

    @property
    def hosted_by(self) -> tuple[str, str]:
        """The framework and the version whose image hosts the model."""
        if self.hosting is None:
            return self.name, self.version
        return self.hosting.name or self.name, self.hosting.version

    @property
    def is_hosted_by_another(self) -> bool:
        """Whether another framework hosts the model, in whose image it is judged, too."""
        return self.hosted_by[0] != self.name

    @model_validator(mode="after")
    def _hosting_reads_the_model(self) -> Framework:
        if self.hosting is not None and self.name not in HOSTED_BY_ANOTHER:
            said = f"{self.hosting.name} {self.hosting.version}" if self.hosting.name else repr(self.hosting.version)
            raise refusal(
                f"is {said}, but a model of {self.name} is a pickle, which another version may not read; leave it out",
                "hosting",
            )
        if self.hosted_by[0] == "tensorflow":
            said = "is required" if self.hosting is None else f"is {self.hosting.version!r}"
            raise refusal(
                f"{said}, and TensorFlow's serving container runs no serve.py: name a framework whose container reads "
                f"what train.py saves, as {_HOSTING} for Keras 3",
                "hosting",
            )
        return self


def is_of_a_framework(image: str) -> bool:
    """Whether an image is one of SageMaker's frameworks', by its repository's name, in whosever registry."""
    return repository(image) in REPOSITORIES


def repository(image: str) -> str:
    """The repository of an image, in whosever registry."""
    return re.split("[:@]", image.partition("/")[2])[0]


def check_one_image(framework: Framework | None, image: str | None, dockerfile: str | None) -> None:
    """Raises a refusal unless exactly one of the three is given."""
    fields = {"framework": framework, "image": image, "dockerfile": dockerfile}
    given = [name for name, value in fields.items() if value is not None]
    if len(given) > 1:
        raise refusal(f"is given, and {given[0]} too; exactly one of them says what the jobs run in", given[-1])
    if not given:
        example = 'framework: {name: sklearn, version: "1.9-0"}'
        raise refusal(
            f"is required (or image, or dockerfile), to say what the jobs run in; write {example}", "framework"
        )
