"""The hosts of a job, by its document: how many there are, what they are called and what each is told. Pure.

AWS's words: "How Amazon SageMaker AI Provides Training Information", Distributed Training Configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from localaws.sagemaker.core import errors, quotas
from localaws.sagemaker.core.request import Document

MOST = 20  # instances of one job, an account's default quota
GROUP = "homogeneousCluster"
# AWS's containers have an interface of their own. Hosts that share this machine's loopback have none but that.
ALONE, TOGETHER = "eth0", "lo"


def resources(document: Document) -> Document:
    """What a training or processing job asks for: instance type, count and volume."""
    config: Document = document.get("ResourceConfig") or document["ProcessingResources"]["ClusterConfig"]
    return config


def count(document: Document) -> int:
    """How many hosts a job has; one, where it doesn't say."""
    has_them = "ResourceConfig" in document or "ProcessingResources" in document
    return int(resources(document)["InstanceCount"]) if has_them else 1


def check_count(wanted: int, path: str, kind: str) -> None:
    """Refuse a request for no instances, or for more than a job may have. `kind`: of job, as in "training job"."""
    if wanted < 1:
        constraint = "Member must have value greater than or equal to 1"
        raise errors.validation(
            f"1 validation error detected: Value '{wanted}' at '{path}' failed to satisfy constraint: {constraint}"
        )
    if wanted > MOST:
        raise quotas.exceeded(f"Number of instances for a {kind}", MOST, 0, wanted)


def name(number: int) -> str:
    """A host's name; they count from 1."""
    return f"algo-{number}"


def names(hosts: int) -> list[str]:
    """The names of all hosts of a job, as AWS tells them: sorted lexicographically."""
    return sorted(map(name, range(1, hosts + 1)))


def interface(hosts: int) -> str:
    """The network interface by which a job's hosts reach each other."""
    return ALONE if hosts == 1 else TOGETHER


def resource_config(instance_type: str, hosts: int = 1, number: int = 1) -> Document:
    """input/config/resourceconfig.json of a training job's host."""
    all_names = names(hosts)
    return {
        "current_host": name(number),
        "current_instance_type": instance_type,
        "current_group_name": GROUP,
        "hosts": all_names,
        "instance_groups": [{"instance_group_name": GROUP, "instance_type": instance_type, "hosts": all_names}],
        "network_interface_name": interface(hosts),
    }


def address(number: int, network: Sequence[int]) -> str:
    """The loopback address of a host. `network`: the two bytes that tell a job's hosts from those of other jobs."""
    return f"127.{network[0]}.{network[1]}.{number + 1}"


def etc_hosts(addresses: Mapping[str, str]) -> str:
    """/etc/hosts of each of them; `addresses` by their names."""
    own = [f"{address}\t{name}" for name, address in addresses.items()]
    return "\n".join(["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback", *own, ""])
