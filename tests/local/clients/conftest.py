"""An embedded AWS for clients of users' own, each in its environment, pointed at it by `ratchet env` alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from client_kit import Client, Outside
from hosting_kit import TRUST
from job_kit import TELEMETRY, Jobs
from running_aws import Aws, AwsFactory


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory, images: Path) -> Iterator[Aws]:
    """One embedded AWS for a whole test process, where the ratchet command looks for it: in `aws` of its home."""
    factory = AwsFactory(tmp_path_factory.mktemp("clients") / "aws")
    yield factory.start()
    factory.stop()


@pytest.fixture
def outside() -> Iterator[Outside]:
    """Where everything goes that isn't for this machine: it writes the hosts down and lets nothing through."""
    with Outside() as proxy:
        yield proxy


@pytest.fixture
def client(aws: Aws, outside: Outside) -> Client:
    """Programs in the environment that `ratchet env` prints, and nothing else of AWS in it."""
    return Client(aws, outside)


@pytest.fixture(scope="module")
def jobs(aws: Aws) -> Jobs:
    return Jobs(aws)


@pytest.fixture(scope="module")
def role(jobs: Jobs) -> str:
    """A role that version 3 of the SageMaker SDK takes: it simulates what the role may before it uses it."""
    network = ["CreateNetworkInterface", "CreateNetworkInterfacePermission", "DeleteNetworkInterface"]
    network += ["DeleteNetworkInterfacePermission", "DescribeNetworkInterfaces", "DescribeVpcs", "DescribeDhcpOptions"]
    network += ["DescribeSubnets", "DescribeSecurityGroups"]
    work = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "ecr:GetAuthorizationToken"]
    return jobs.make_role([*work, *TELEMETRY, *(f"ec2:{action}" for action in network)], TRUST)
