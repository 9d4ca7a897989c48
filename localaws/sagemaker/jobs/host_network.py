"""The network of a job's hosts, in which each has an address and knows the others by their names.

It is a private one, so that two jobs may listen on the same port: their hosts reach each other and this AWS, and
nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.jobs import hosts
from localaws.sagemaker.jobs.job import Host, Job
from localaws.sagemaker.jobs.outcomes import JobFailedError

_PRIVATE = "The hosts are in a network of their own: they reach each other and this AWS, but not the internet."
_ALONE = "The hosts are in a network of their own: they reach each other, and nothing else (EnableNetworkIsolation)."
_SHARED = (
    "This machine allows no private networks: the hosts are in its own, where another job's may listen on their ports."
)
_INSTALLING = (
    "The hosts are in this machine's network, since pip runs in their containers: another job's may listen on their "
    "ports."
)


def joined(host: Host, spec: ContainerSpec, *, installs: bool = False) -> ContainerSpec:
    """The container of a host in the network of all; as it is where the job has no others. Raises JobFailedError.

    installs: whether pip runs in it, which asks an index that may be anywhere.
    """
    job = host.job
    if len(job.hosts) == 1:
        return spec
    if container.isolation() == "none":
        raise JobFailedError(
            f"ClientError: {len(job.hosts)} instances: this machine's kernel allows no mount namespaces, in which each "
            "of them would have a name; ask for one instance."
        )
    if host.is_first:
        is_isolated = spec.network == "none"
        job.log.say(_INSTALLING if installs and not is_isolated else _open(job, is_isolated=is_isolated))
    network = spec.network if job.network is None else job.network.descriptors
    return replace(spec, network=network, hostname=host.name, etc_hosts=_etc_hosts(job), shared=job.shared)


def addresses(job: Job) -> Mapping[str, str]:
    """The hosts' addresses by their names: in this machine's own network such as no other job's hosts have."""
    own = (0, 0) if job.network is not None else _bytes_of(job.directory.name)
    return {host.name: hosts.address(host.number, own) for host in job.hosts}


def _open(job: Job, *, is_isolated: bool) -> str:
    """Open the network; what the log says of it."""
    try:
        job.network = job.context.networks.open() if is_isolated else job.context.open_network()
    except OSError as error:
        if is_isolated:
            raise JobFailedError(f"ClientError: EnableNetworkIsolation of several instances: {error}") from error
        return _SHARED
    return _ALONE if is_isolated else _PRIVATE


def _etc_hosts(job: Job) -> Path:
    file = job.directory / "hosts"
    file.write_text(hosts.etc_hosts(addresses(job)), encoding="ascii")
    return file


def _bytes_of(directory: str) -> Sequence[int]:
    """Two bytes of a loopback address, by the random digits at the end of the name of a job's directory."""
    return [1 + byte % 254 for byte in bytes.fromhex(directory[-4:])]
