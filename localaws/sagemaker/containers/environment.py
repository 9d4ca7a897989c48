"""The environment variables that every container gets, of jobs and of models: nothing of the server's own."""

from __future__ import annotations

from pathlib import Path

from localaws.sagemaker.containers.image_config import DEFAULT_PATH
from localaws.sagemaker.containers.images import ImageEnvironment
from localaws.sagemaker.core.aws_platform import Credentials, Platform


def variables(
    platform: Platform, credentials: Credentials, image: ImageEnvironment, *, base: Path, tmp: Path
) -> dict[str, str]:
    """A container's variables before its own; `base` and `tmp` are where it sees /opt/ml and its temporary files."""
    return of_the_image(image, base=base, tmp=tmp) | of_the_role(platform, credentials)


def of_the_image(image: ImageEnvironment, *, base: Path, tmp: Path) -> dict[str, str]:
    """Those of the image alone."""
    return {
        "PATH": ":".join([*map(str, image.program_dirs), DEFAULT_PATH]),
        "HOME": str(tmp),
        "TMPDIR": str(tmp),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **image.variables,
        "SAGEMAKER_BASE_DIR": str(base),
    }


def of_the_region(platform: Platform) -> dict[str, str]:
    """What says where a container is."""
    return {"AWS_REGION": platform.region, "AWS_DEFAULT_REGION": platform.region}


def of_the_role(platform: Platform, credentials: Credentials) -> dict[str, str]:
    """By which AWS's clients in a container find this AWS, as its role."""
    return of_the_region(platform) | {
        "AWS_ENDPOINT_URL": platform.endpoint_url,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_SESSION_TOKEN": credentials.session_token,
    }
