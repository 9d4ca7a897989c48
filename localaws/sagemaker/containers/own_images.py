"""Images of one's own: pulled from the account's registry, unpacked once and kept, and given to containers.

An image that the table of frameworks hasn't got (`image_table`) is looked up there, and runs in its own file system.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localaws.confinement.image_view import resolved
from localaws.sagemaker.containers import container, image_config, image_root, image_table
from localaws.sagemaker.containers.beneath import read_file
from localaws.sagemaker.containers.image_config import Account, ImageConfig, ImageConfigError
from localaws.sagemaker.containers.image_files import Kept
from localaws.sagemaker.containers.image_layers import ImageLayerError
from localaws.sagemaker.containers.image_root import ImageRoot
from localaws.sagemaker.containers.images import Images, Progress
from localaws.sagemaker.core import errors
from localaws.sagemaker.core.aws_platform import Platform
from localaws.sagemaker.core.registry_images import (
    ImageAccessDeniedError,
    ImageNotInRegistryError,
    RegistryImage,
    UnusableImageError,
)

_MOST_OF_PASSWD = 4 * 1024 * 1024
_NO_REPOSITORY = "The repository"  # how the registry's sentence on a repository begins that isn't there
_NEEDED = "ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer"
_NOT_PULLED = "Cannot pull algorithm container. Either the image does not exist or its permissions are incorrect."
_NO_MOUNTS = "this machine's kernel allows no mount namespaces, and an image of one's own can't run without them"
_NO_OVERLAY = (
    "This machine's kernel can't lay one directory over another: the container has a copy of its image's files."
)
_ONE_USER = (
    "This AWS isn't run by root: a user of the image's can only be this machine's one user, whose all of its files are."
)


class CannotRunImageError(Exception):
    """An image can't be pulled or run. The message is AWS's, where there is one; details: lines for a log."""

    def __init__(self, message: str, *details: str) -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True)
class OwnImage:
    """An image of one's own on this machine: its files, kept and never written to, and what runs in them."""

    files: Path
    config: ImageConfig
    account: Account

    @property
    def notes(self) -> list[str]:
        """Lines for a job's log on what isn't as in AWS."""
        one_user = _ONE_USER if self.config.user and os.geteuid() != 0 else None
        return [note for note in (self.config.remark, one_user) if note]


def refuse_missing(platform: Platform, uri: str, role_arn: str) -> None:
    """Refuse a request for an image that its role can't pull, in AWS's words."""
    if not image_table.is_own(uri):
        return
    try:
        platform.registry_image(uri, role_arn)
    except ImageNotInRegistryError as error:
        raise errors.validation(_not_found(uri, role_arn, str(error))) from error
    except ImageAccessDeniedError as error:
        account, repository = _place(uri)
        raise errors.validation(
            f"Access denied for repository: {repository} in registry ID: {account}. Please check if your ECR "
            f"repository and image exist and role {role_arn} has proper pull permissions for SageMaker: {_NEEDED}"
        ) from error
    except UnusableImageError as error:
        raise errors.validation(str(error)) from error


def resolve(  # noqa: PLR0913 - the last by keyword
    images: Images,
    platform: Platform,
    uri: str,
    role_arn: str,
    progress: Progress,
    *,
    keep_going: Callable[[], None] = lambda: None,
) -> OwnImage:
    """The image that a URI names in the account's registry, pulled as a role, with its files on this machine.

    See `unpacked`. Raises CannotRunImageError.
    """
    image = _pulled(platform, uri, role_arn)
    return unpacked(images, platform, image, uri, progress, keep_going=keep_going)


def unpacked(  # noqa: PLR0913 - the last by keyword
    images: Images,
    platform: Platform,
    image: RegistryImage,
    uri: str,
    progress: Progress,
    *,
    keep_going: Callable[[], None] = lambda: None,
) -> OwnImage:
    """An image that has been pulled, with its files on this machine.

    They are unpacked now if need be, with lines about that to `progress`; what `keep_going` raises ends that. Raises
    CannotRunImageError.
    """
    if container.isolation() == "none":
        raise CannotRunImageError(f"CannotStartContainerError: {_NO_MOUNTS}")
    try:
        config = image_config.read(image.config)
        kept = Kept(images, _folder(images, platform), progress, keep_going)
        files = kept.files(image, config.layer_contents, uri)
        account = image_config.account(config.user, _of_etc(files, "passwd"), _of_etc(files, "group"))
    except (ImageConfigError, ImageLayerError, OSError) as error:
        raise CannotRunImageError(f"CannotStartContainerError: image {uri}: {error}") from error
    return OwnImage(files, config, account)


def prepare(
    image: OwnImage, directory: Path, hostname: str, hosts: Mapping[str, str], *, has_network: bool
) -> tuple[ImageRoot, Sequence[str]]:
    """The image as the root of a new container, which keeps its own in `directory`; and lines for its log.

    hosts: addresses by names, besides its own name's. Raises OSError.
    """
    files = image_root.write_files(directory / "etc", hostname, hosts, has_network=has_network)
    if container.can_lay_over(directory):
        upper = directory / "root"
        for name in ("upper", "work"):
            (upper / name).mkdir(parents=True)
        _as_in(image.files, upper / "upper")
        return ImageRoot(image.files, upper, image.account.user, files), image.notes
    copy = directory / "root"
    _copy(image.files, copy)
    return ImageRoot(copy, None, image.account.user, files), [*image.notes, _NO_OVERLAY]


def _pulled(platform: Platform, uri: str, role_arn: str) -> RegistryImage:
    try:
        return platform.registry_image(uri, role_arn)
    except (ImageNotInRegistryError, ImageAccessDeniedError) as error:
        raise CannotRunImageError(_NOT_PULLED, f"Image {uri} can't be pulled: {error}") from error
    except UnusableImageError as error:
        raise CannotRunImageError(str(error)) from error


def _not_found(uri: str, role_arn: str, told: str) -> str:
    if not told.startswith(_NO_REPOSITORY):
        return f"Requested image {uri} not found."
    account, repository = _place(uri)
    return (
        f"Cannot find repository: {repository} in registry ID: {account} Please check if your ECR repository exists "
        f"and role {role_arn} has proper pull permissions for SageMaker: {_NEEDED}"
    )


def _place(uri: str) -> tuple[str, str]:
    """The account and the repository of a URI that names an image of ECR's."""
    host, _, path = uri.partition("/")
    return host.partition(".")[0], path.partition("@")[0].partition(":")[0]


def _folder(images: Images, platform: Platform) -> Path:
    """Where images are kept: with all others, unless that folder is somebody else's."""
    has_own = not images.root.exists() or os.access(images.root, os.W_OK)
    return images.root if has_own else platform.state_dir / "images"


def _of_etc(files: Path, name: str) -> str:
    """A file of the image's /etc; nothing where there is none, or none that can be read."""
    try:
        found = read_file(files, resolved(str(files), f"/etc/{name}").lstrip("/"), _MOST_OF_PASSWD)
    except OSError:
        found = None
    return (found or b"").decode("utf-8", "replace")


def _as_in(files: Path, upper: Path) -> None:
    """Give the root of what a container writes the owner and the mode of the image's."""
    there = files.stat()
    upper.chmod(there.st_mode & 0o7777)
    if os.geteuid() == 0:
        os.chown(upper, there.st_uid, there.st_gid)


def _copy(files: Path, copy: Path) -> None:
    tool = container.run_tool(["cp", "-a", "--reflink=auto", str(files), str(copy)], {"PATH": os.defpath}, copy.parent)
    said = tool.output.read().decode("utf-8", "replace").strip()
    if tool.wait() != 0:
        raise OSError(f"the image's files can't be copied: {said}")
