"""What is wrong, or strange, with a pipeline's own image in an environment's region, before anything is deployed."""

from __future__ import annotations

from collections.abc import Iterator

from infra.images import framework_accounts, processor
from ratchet.spec import PipelineSpec
from ratchet.spec.dockerfile import Dockerfile
from ratchet.spec.dockerfile_checks import is_never_run
from ratchet.spec.errors import SpecError
from ratchet.spec.image import ECR
from ratchet.spec.own_container import CHECKPOINTS
from ratchet.spec.yaml_lines import Problem

_ROOT = ("root", "0")


def check_own_image(spec: PipelineSpec, region: str) -> None:
    """Raises SpecError where AWS has no such image.

    Source: ContainerDefinition, API reference: model artifacts and image "must be in the same region as the model".
    """
    found = ECR.match(spec.image) if spec.image and spec.is_own_container else None
    if found and found["region"] != region:
        message = f"is in {found['region']}, and SageMaker takes it in {region} alone; push it there, too"
        raise spec.error("image", message)
    if built := spec.dockerfile_read:
        _check_machines(spec)
        problems = list(_of_bases(built))
        if problems:
            raise SpecError(spec.folder / str(spec.dockerfile), problems)


def _check_machines(spec: PipelineSpec) -> None:
    """CodeBuild's machine is an x86 one, as are the images that it builds."""
    types = {"train.instance": spec.train.instance, "deploy.instance": spec.deploy.instance}
    for field, instances in types.items():
        for one in instances.in_order:
            if processor(one) == "arm64":
                raise spec.error(field, f"{one} is a machine for arm64 images, and a dockerfile's is built on x86")


def _of_bases(dockerfile: Dockerfile) -> Iterator[Problem]:
    """The images of SageMaker's frameworks that are in no such registry."""
    for each, image in dockerfile.images_taken:
        if wrong := _not_there(image):
            yield Problem(each.line, "", f"{each.name} takes {image}, {wrong}")


def _not_there(image: str) -> str | None:
    found = ECR.match(image)
    accounts = framework_accounts(found["repository"]) if found else {}
    if not found or not accounts:
        return None
    if (right := accounts.get(found["region"])) is None:
        return f"and AWS has no {found['repository']} in {found['region']}; only in {', '.join(sorted(accounts))}"
    aws_own = {account for each in accounts.values() for account in each}
    if found["account"] in aws_own and found["account"] not in right:
        return f"and in {found['region']} AWS's account for {found['repository']} is {' or '.join(sorted(right))}"
    return None


def warnings(spec: PipelineSpec) -> Iterator[str]:
    """Warnings at synth, each with file and line."""
    if not spec.is_own_container:
        return
    if built := spec.dockerfile_read:
        path = spec.folder / str(spec.dockerfile)
        yield from (f"{path}:{line}: {what}" for line, what in _strange(built))
    if spec.image and spec.train.spot:
        message = f"nobody has looked whether the image goes on from {CHECKPOINTS} after an interruption (docs/spot.md)"
        yield str(spec.error("train.spot", message))


def _strange(built: Dockerfile) -> Iterator[tuple[int, str]]:
    """Lines that AWS advises against, or doesn't heed.

    Source: developer guide, Custom Inference Code with Hosting Services.
    """
    if command := is_never_run(built):
        yield (
            command.line,
            "CMD isn't run: SageMaker calls the image with `train` and `serve` in its place, which must be programs on "
            "its PATH; or name one as ENTRYPOINT",
        )
    if (user := built.said("USER")) and user.words[0].partition(":")[0] not in _ROOT:
        yield (
            user.line,
            f"USER is {user.words[0]}, and SageMaker expects all containers to run as root: another may not write "
            "below /opt/ml",
        )
