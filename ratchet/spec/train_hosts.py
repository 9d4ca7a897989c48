"""`train.instance_count` and `train.distribution` of pipeline.yaml: training on several hosts, by scripts that know.

SageMaker starts the script on every host, or torchrun that does, and tells each who the others are; what the hosts make
of it is the script's. One that knows nothing of them trains the same model on each.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from contract.files import TRAINING_SCRIPT
from ratchet.spec.data import SHARDED, Channel
from ratchet.spec.errors import refusal
from ratchet.spec.image import repository
from ratchet.spec.own_code import imports, texts, used

# "Maximum number of instances per training job", a service quota of SageMaker AI, as accounts have it.
HOSTS = 20

Distribution = Literal["torchrun"]
# Whose container starts it (aws/sagemaker-training-toolkit is in that image).
_TORCHRUN_IN = "pytorch-training"

# What trains on several hosts, or is told of them, by the names of its modules.
_MODULES = (
    "torch.distributed",
    "lightning",
    "pytorch_lightning",
    "accelerate",
    "transformers",
    "deepspeed",
    "horovod",
    "ray",
    "dask",
    "mpi4py",
    "xgboost.collective",
    "xgboost.dask",
    "sagemaker_training",
    "sagemaker_xgboost_container.distributed",
)
# What says who the hosts are: variables and a file of the container (SageMaker Training Toolkit, "Environment
# variables"; developer guide, "How Amazon SageMaker AI Provides Training Information").
_TEXTS = ("SM_HOSTS", "SM_CURRENT_HOST", "SM_RESOURCE_CONFIG", "resourceconfig", "WORLD_SIZE", "MASTER_ADDR")
_ADVICE = {
    "pytorch": "let torch.distributed average the gradients (docs/hosts.md), or write 1",
    "xgboost": "let xgboost.collective join the hosts of SM_HOSTS, or write 1",
    "tensorflow": "make TF_CONFIG of SM_HOSTS, which MultiWorkerMirroredStrategy reads, or write 1",
}
_ADVICE_TO_AN_IMAGE = "let it join the hosts of SM_HOSTS (docs/hosts.md), or write 1"


def check_count(count: int) -> None:
    """Raises a refusal of a number of hosts that SageMaker wouldn't start."""
    if not 1 <= count <= HOSTS:
        message = (
            f"is {count}; a training job has 1 to {HOSTS} hosts (SageMaker's quota \"Maximum number of instances per "
            'training job")'
        )
        raise refusal(message, "instance_count")


def check_alike(train: object) -> None:
    """Raises a refusal of a heterogeneous cluster, however it is written."""
    if not isinstance(train, Mapping):
        return
    instances = train.get("instance")
    groups = isinstance(instances, Mapping) or (
        isinstance(instances, list) and any(isinstance(one, Mapping) for one in instances)
    )
    field = "instance" if groups else next((name for name in ("instance_groups", "instances") if name in train), None)
    if field and not isinstance(train[field], str):  # which is a misspelt key
        message = (
            "is a heterogeneous cluster, which Ratchet doesn't train on: all hosts of a job are of one instance type; "
            "write instance: ml.m5.large and instance_count: 2 (a list under instance is of types that are tried in "
            "turn)"
        )
        raise refusal(message, field)


def check_hosts(framework: str | None, count: int, distribution: Distribution | None, data: Mapping[str, Any]) -> None:
    """Raises a refusal where hosts don't go with the framework, or with the channels."""
    if distribution is not None and framework not in (None, "pytorch"):
        raise refusal(_starts_none(distribution, f"framework is {framework}"), "train", "distribution")
    for name, channel in data.items():
        if distribution is not None and isinstance(channel, Channel) and channel.manifest and channel.manifest.is_piped:
            message = (
                f"is pipe, but train.distribution is {distribution}, which starts a process on each GPU, and two can't "
                "read one pipe; write mode: file"
            )
            raise refusal(message, "data", name, "mode")
        if isinstance(channel, Channel) and channel.distribution == SHARDED and count == 1:
            message = (
                f"is {SHARDED}, but train.instance_count is 1, and one host sees all; write 2 or more, or leave it out"
            )
            raise refusal(message, "data", name, "distribution")


def check_image(image: str | None, distribution: Distribution | None) -> str | None:
    """The end of a sentence about an image, by its own name or from a Dockerfile, that isn't started by `distribution`;
    None where it is: SageMaker's PyTorch image for training, and what starts like it.

    Args:
        image: of a framework, as which it starts; None for one that starts by itself.
    """
    if distribution is None:
        return None
    if image is None:
        return _starts_none(distribution, "an image of your own starts what it likes by itself")
    if repository(image) != _TORCHRUN_IN:
        return _starts_none(distribution, f"the image starts as {repository(image)} does")
    return None


def check_script(
    folder: Path,
    framework: str | None,
    count: int,
    distribution: Distribution | None,
    script: str = TRAINING_SCRIPT,
) -> tuple[str, str] | None:
    """The field, and the end of a sentence, about a script that knows nothing of other hosts; None where it does.

    Read, not run: the script, and the modules of the folder that it imports.

    Args:
        framework: whose container starts it; None for an image by its own name that starts scripts, too.
    """
    if count == 1 and distribution is None:
        return None
    field, said = ("instance_count", str(count)) if count > 1 else ("distribution", str(distribution))
    if not (folder / script).is_file():
        return field, f"is {said}, but there is no {script} in {folder}"
    try:
        if _knows_hosts(folder, script):
            return None
    except (SyntaxError, ValueError) as error:
        return field, f"is {said}, but {script} can't be read: {error}"
    advice = _ADVICE.get(framework, f"{framework} trains on one host: write 1") if framework else _ADVICE_TO_AN_IMAGE
    each = "each would train the same model by itself"
    return (
        field,
        f"is {said}, but {script} asks for no other host (SM_HOSTS, torch.distributed): {each}; {advice}",
    )


def launched_by(distribution: Distribution | None, instance_type: str) -> dict[str, str]:
    """The hyperparameters by which the container starts torchrun, which starts the script on each host or GPU.

    They are those of the SageMaker Python SDK's `distribution={"torch_distributed": {"enabled": True}}`.
    """
    if distribution is None:
        return {}
    return {"sagemaker_torch_distributed_enabled": "true", "sagemaker_instance_type": instance_type}


def _starts_none(distribution: Distribution, but: str) -> str:
    return f"is {distribution}, which SageMaker's PyTorch containers start, but {but}; leave it out"


def _knows_hosts(folder: Path, script: str) -> bool:
    named = chain(imports(folder, script), used(folder, script))
    if any(name == module or name.startswith(f"{module}.") for name in named for module in _MODULES):
        return True
    return any(known in text for text in texts(folder, script) for known in _TEXTS)
