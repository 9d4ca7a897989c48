"""Training that PyTorch distributes: how its container starts a script on every host, and what it tells it. Pure.

sagemaker-pytorch-training (training.py) and sagemaker-training (torch_distributed.py, runner.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ENABLED = "sagemaker_torch_distributed_enabled"
MASTER_PORT = "7777"
_MODULE = "sagemaker_pytorch_container"
_PROCESSES = "sagemaker_mpi_num_of_processes_per_host"
# What the toolkit says of entry points that aren't Python scripts.
REFUSED = {
    "package": "Python packages are not supported for torch_distributed. Please use a python script as the entry-point",
    "command": "Unsupported entry point type for torch_distributed",
}


def is_pytorch(framework_module: str | None) -> bool:
    """Whether an image's container is PyTorch's, by its SAGEMAKER_TRAINING_MODULE."""
    return (framework_module or "").startswith(_MODULE)


def is_enabled(framework_parameters: Mapping[str, Any], framework_module: str | None) -> bool:
    """Whether torchrun starts the script."""
    return is_pytorch(framework_module) and bool(framework_parameters.get(ENABLED))


def torchrun(
    framework_parameters: Mapping[str, Any], hosts: Sequence[str], current: str, accelerators: int
) -> list[str]:
    """The words before the script: a process for each accelerator, one where there is none."""
    processes = framework_parameters.get(_PROCESSES) or accelerators or 1
    words = ["torchrun", "--nnodes", str(len(hosts)), "--nproc_per_node", str(processes)]
    if len(hosts) == 1:
        return words
    master = ["--master_addr", hosts[0], "--master_port", MASTER_PORT]
    return [*words, *master, "--node_rank", str(hosts.index(current))]


def variables(hosts: Sequence[str], interface: str, *, by_torchrun: bool) -> dict[str, str]:
    """What PyTorch's container sets besides for the processes of several hosts."""
    return {
        "MASTER_ADDR": hosts[0],
        "MASTER_PORT": MASTER_PORT,
        "NCCL_SOCKET_IFNAME": interface,
        "NCCL_IB_DISABLE": "1",
        "NCCL_DEBUG": "WARN",
        **({"NCCL_PROTO": "simple"} if by_torchrun else {}),
    }
