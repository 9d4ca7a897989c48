"""Images as SageMaker pulls them from the embedded registry: with an execution role's permissions."""

from __future__ import annotations

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.registry.references import Reference, parse
from localaws.registry.refusals import RegistryError
from localaws.registry.service import Pulled, UnsupportedManifestError
from localaws.sagemaker.core.registry_images import (
    GZIP_LAYERS,
    PLAIN_LAYERS,
    ImageAccessDeniedError,
    ImageNotInRegistryError,
    RegistryImage,
    UnusableImageError,
    unsupported_manifest,
)

# "Using the SageMaker AI execution roles": what a job's, a model's role needs to pull its image.
_OF_REPOSITORY = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")


def registry_image(aws: EmbeddedAws, uri: str, role_arn: str) -> RegistryImage:
    """The image that a URI names, pulled as a role. Raises the errors of `core.registry_images`."""
    reference = parse(uri)
    if reference is None or not aws.registry.is_here(reference):
        raise ImageNotInRegistryError(f"{uri} is no image of the registry {aws.registry.host}")
    _authorize(aws, reference, role_arn)
    try:
        return _usable(aws.registry.pull(reference), uri)
    except RegistryError as refused:
        raise ImageNotInRegistryError(refused.message) from refused
    except UnsupportedManifestError as error:
        # What CreateModel answers to an image that docker buildx pushed with its attestations.
        raise UnusableImageError(unsupported_manifest(str(error), uri)) from error


def _authorize(aws: EmbeddedAws, reference: Reference, role_arn: str) -> None:
    arn = f"arn:aws:ecr:{aws.region}:{aws.account}:repository/{reference.repository}"
    asked = [("ecr:GetAuthorizationToken", "*"), *((action, arn) for action in _OF_REPOSITORY)]
    for action, resource in asked:
        try:
            authorization.authorize_role_call(role_arn, action, resource, session_name="SageMaker")
        except authorization.AccessDeniedError as denied:
            raise ImageAccessDeniedError(denied.message) from denied


def _usable(pulled: Pulled, uri: str) -> RegistryImage:
    for path, kind in pulled.layers:
        if kind not in (*GZIP_LAYERS, *PLAIN_LAYERS):
            known = ", ".join((*GZIP_LAYERS, *PLAIN_LAYERS))
            raise UnusableImageError(f"Layer sha256:{path.name} of image {uri} is {kind}; here it has to be {known}.")
    return RegistryImage(pulled.digest, pulled.config, [path for path, _ in pulled.layers], pulled.media_type)
