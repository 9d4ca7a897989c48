"""How much memory instance types have, against EC2's own table."""

from __future__ import annotations

import pytest

from localaws.sagemaker.containers.instance_sizes import GIB, available, memory


@pytest.mark.parametrize(
    ("instance_type", "gib"),
    [
        ("ml.m5.large", 8), ("ml.m5.24xlarge", 384), ("ml.m4.16xlarge", 256), ("ml.m7i-flex.xlarge", 16),
        ("ml.c5.9xlarge", 72), ("ml.c5n.xlarge", 10.5), ("ml.c4.2xlarge", 15), ("ml.c8g.medium", 2),
        ("ml.r5.2xlarge", 64), ("ml.t3.medium", 4), ("ml.g4dn.12xlarge", 192), ("ml.g5.48xlarge", 768),
        ("ml.g6e.xlarge", 32), ("ml.p3.2xlarge", 61), ("ml.p4d.24xlarge", 1152), ("ml.inf1.6xlarge", 48),
        ("ml.trn1.32xlarge", 512), ("ml.m8i.96xlarge", 1536),
    ],
)  # fmt: skip
def test_an_instance_type_s_memory(instance_type: str, gib: float) -> None:
    assert memory(instance_type) == gib * GIB


@pytest.mark.parametrize("instance_type", ["ml.g7e.12xlarge", "ml.p6-b200.48xlarge", "local", "ml.x1.large"])
def test_one_that_is_not_known_has_none(instance_type: str) -> None:
    assert memory(instance_type) is None


def test_something_is_left_for_the_machine_itself() -> None:
    assert 0 < available() < 1 << 60
