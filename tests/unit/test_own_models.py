"""Models with images of one's own: which image a deployment has, and what a request for a model is refused with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from quiet_platform import QuietPlatform

from localaws.sagemaker.context import Context
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.registry_images import (
    ImageAccessDeniedError,
    ImageNotInRegistryError,
    RegistryImage,
    UnusableImageError,
)
from localaws.sagemaker.hosting import own_models
from localaws.sagemaker.hosting.own_models import ACCEPTS_PORT

HOST = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0"
DIGEST = f"sha256:{'a' * 64}"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


class Registry(QuietPlatform):
    """A registry that answers every pull alike."""

    def __init__(self, root: Path, answer: Exception | dict[str, Any], media_type: str) -> None:
        super().__init__(root)
        self._answer, self._media_type = answer, media_type
        self.state_dir.mkdir(parents=True)

    def registry_image(self, uri: str, role_arn: str) -> RegistryImage:  # noqa: ARG002
        if isinstance(self._answer, Exception):
            raise self._answer
        return RegistryImage(DIGEST, {"config": self._answer}, [], self._media_type)


def context(tmp_path: Path, answer: Exception | dict[str, Any], media_type: str = DOCKER) -> Context:
    return Context.open(Registry(tmp_path, answer, media_type))


@pytest.mark.fidelity(
    "Endpoints",
    "A tag is resolved to a digest when an endpoint is created or updated (DeployedImages); its instances have that "
    "image, whatever the tag names later.",
    "SageMaker API reference, DeployedImage",
)
@pytest.mark.parametrize(
    ("uri", "resolved"),
    [
        (f"{HOST}/team/model:v1", f"{HOST}/team/model@{DIGEST}"),
        (f"{HOST}/team/model", f"{HOST}/team/model@{DIGEST}"),
        (f"{HOST}/team/model@{DIGEST}", f"{HOST}/team/model@{DIGEST}"),
        (SKLEARN, SKLEARN),
    ],
)
def test_an_image_is_resolved_to_its_digest(tmp_path: Path, uri: str, resolved: str) -> None:
    assert own_models.resolved(context(tmp_path, {}), uri, "role") == resolved


@pytest.mark.parametrize("error", [ImageAccessDeniedError, ImageNotInRegistryError, UnusableImageError])
def test_one_that_cant_be_pulled_is_left_to_who_starts_it(tmp_path: Path, error: type[Exception]) -> None:
    uri = f"{HOST}/team/model:v1"
    assert own_models.resolved(context(tmp_path, error("no")), uri, "role") == uri


@pytest.mark.parametrize(
    ("answer", "several", "refusal"),
    [
        ({}, False, None),
        ({"Labels": None}, False, None),
        ({"Labels": {ACCEPTS_PORT: "true"}}, True, None),
        ({"Labels": {ACCEPTS_PORT: "false"}}, True, f"does not contain required {ACCEPTS_PORT}=true Docker label"),
        ({}, True, f"does not contain required {ACCEPTS_PORT}=true Docker label"),
        (ImageNotInRegistryError("no"), False, f"Requested image {HOST}/m:1 not found."),
        (UnusableImageError("Unsupported manifest media type x."), False, "Unsupported manifest media type x."),
        (ImageAccessDeniedError("no"), True, None),
    ],
)
def test_what_a_model_is_refused_with(tmp_path: Path, answer: Any, several: bool, refusal: str | None) -> None:
    asked = context(tmp_path, answer)
    if refusal is None:
        own_models.check_image(asked, f"{HOST}/m:1", "role", is_one_of_several=several)
        return
    with pytest.raises(SageMakerError) as refused:
        own_models.check_image(asked, f"{HOST}/m:1", "role", is_one_of_several=several)
    assert (refused.value.code, refusal in refused.value.message) == ("ValidationException", True)


@pytest.mark.fidelity(
    "Models",
    "CreateModel refuses an image whose manifest is of the OCI's kind: Unsupported manifest media type "
    "application/vnd.oci.image.manifest.v1+json for image …. Ensure that valid manifest media type is used for "
    "specified image.",
    "aws/amazon-sagemaker-feedback issue 180; mlflow/mlflow pull request 14699",
)
def test_an_image_with_a_manifest_of_the_ocis_is_no_models(tmp_path: Path) -> None:
    asked = context(tmp_path, {}, media_type="application/vnd.oci.image.manifest.v1+json")
    with pytest.raises(SageMakerError) as refused:
        own_models.check_image(asked, f"{HOST}/m:1", "role", is_one_of_several=False)
    assert (refused.value.code, refused.value.message) == (
        "ValidationException",
        f"Unsupported manifest media type application/vnd.oci.image.manifest.v1+json for image {HOST}/m:1. Ensure that "
        "valid manifest media type is used for specified image.",
    )


def test_isolation_is_for_images_of_ones_own() -> None:
    own_models.check_isolation({"EnableNetworkIsolation": True}, [{"Image": f"{HOST}/m:1"}])
    own_models.check_isolation({}, [{"Image": SKLEARN}])
    with pytest.raises(SageMakerError, match="EnableNetworkIsolation=true of a model with a framework's image"):
        own_models.check_isolation({"EnableNetworkIsolation": True}, [{"Image": f"{HOST}/m:1"}, {"Image": SKLEARN}])
