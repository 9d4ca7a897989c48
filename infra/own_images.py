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
# Frameworks' images that do one thing alone, of which a pipeline's own is to do both.
_ALONE = {
    "pytorch-training": ("trains", "serve"),
    "pytorch-inference": ("serves", "train"),
    "tensorflow-training": ("trains", "serve"),
}
_PYTORCH = '{name: pytorch, version: "2.6.0"}'
_TENSORFLOW = f'{{name: tensorflow, version: "2.21.0", hosting: {_PYTORCH}}}'


def check_own_image(spec: PipelineSpec, region: str) -> None:
    """Raises SpecError where AWS has no such image.

    Source: ContainerDefinition, API reference: model artifacts and image "must be in the same region as the model".
    """
    if spec.image is not None:
        _check_image(spec, spec.image, region)
    if built := spec.dockerfile_read:
        _check_machines(spec)
        problems = list(_of_bases(built))
        if problems:
            raise SpecError(spec.folder / str(spec.dockerfile), problems)


def _check_image(spec: PipelineSpec, image: str, region: str) -> None:
    if (found := ECR.match(image)) is None:
        return
    if found["region"] != region:
        message = f"is in {found['region']}, and SageMaker takes it in {region} alone; push it there, too"
        raise spec.error("image", message)
    repository, accounts = found["repository"], framework_accounts(found["repository"])
    if repository in _ALONE and any(found["account"] in each for each in accounts.values()):
        does, lacks = _ALONE[repository]
        framework = _TENSORFLOW if repository.startswith("tensorflow") else _PYTORCH
        message = (
            f"is AWS's {repository}, which {does} and can't {lacks}, and a pipeline's image is to do both; write "
            f"framework: {framework}, which has an image for each"
        )
        raise spec.error("image", message)


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
    if built := spec.dockerfile_read:
        strange = _strange(built) if spec.is_own_container else _lacking(built)
        path = spec.folder / str(spec.dockerfile)
        yield from (f"{path}:{line}: {what}" for line, what in strange)
    if spec.image and spec.is_own_container and spec.train.spot:
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


def _lacking(built: Dockerfile) -> Iterator[tuple[int, str]]:
    """Of an image that starts as a framework's that does one thing alone: what the Dockerfile has to add."""
    found = ECR.match(built.started_like or "")
    if found and found["repository"] in _ALONE:
        (*_, first) = built.lineage
        does, lacks = _ALONE[found["repository"]]
        yield (
            first.origin.line,
            f"FROM {found['repository']}, which {does} and can't {lacks}, and the pipeline's image is to do both: "
            f"unless the lines below add that, the run ends where it is to {lacks}",
        )
