"""Instance pools of a variant, and instance types that are not to be had."""

from __future__ import annotations

from typing import Any

import pytest

from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.hosting import instance_pools
from localaws.sagemaker.hosting.serverless_configs import check_serverless
from localaws.sagemaker.hosting.shadow_variants import check_shadows

POOLS = [{"InstanceType": "ml.m5.xlarge", "Priority": 2}, {"InstanceType": "ml.m5.large", "Priority": 1}]
VARIANT: dict[str, Any] = {"VariantName": "v", "InstancePools": POOLS}


@pytest.mark.fidelity(
    "Endpoints",
    "Instances are of the pool with the lowest priority number that has capacity.",
    "SageMaker DG, Deploy to multiple instance types with instance pools; SageMaker API, InstancePool",
)
@pytest.mark.parametrize(
    ("without", "type_"),
    [
        ([], "ml.m5.large"),
        (["ml.m5.large"], "ml.m5.xlarge"),
        (["ml.m5.xlarge"], "ml.m5.large"),
        (["ml.m5.large", "ml.m5.xlarge"], "ml.m5.large"),
    ],
)
def test_the_first_pool_with_capacity_by_priority(without: list[str], type_: str) -> None:
    assert instance_pools.provisioned(VARIANT, without)["InstanceType"] == type_


def test_a_variant_of_one_type_is_left_as_it_is() -> None:
    one = {"VariantName": "v", "InstanceType": "ml.m5.large"}
    assert instance_pools.provisioned(one, ["ml.m5.large"]) == instance_pools.with_first_type(one, "v") == one
    assert instance_pools.kept(one) == instance_pools.summary(one, 1) == {}


def test_each_pool_shows_its_instances() -> None:
    found = instance_pools.provisioned(VARIANT, ["ml.m5.large"])
    kept = {"InstanceType": found["InstanceType"], **instance_pools.kept(found)}
    assert instance_pools.summary(kept, 3) == {
        "InstancePools": [
            {"InstanceType": "ml.m5.large", "CurrentInstanceCount": 0},
            {"InstanceType": "ml.m5.xlarge", "CurrentInstanceCount": 3},
        ]
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"InstanceType": "ml.m5.large"}, "InstanceType and InstancePools can't both"),
        ({"InstancePools": [POOLS[0], {**POOLS[1], "Priority": 2}]}, "in its Priority"),
        ({"InstancePools": [POOLS[0], {**POOLS[0], "Priority": 1}]}, "in its InstanceType"),
        ({"InstancePools": [{**POOLS[0], "ModelNameOverride": "m"}]}, "ModelNameOverride of an instance pool"),
    ],
)
def test_pools_that_cannot_be(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SageMakerError, match=told):
        instance_pools.with_first_type({**VARIANT, **changes}, "production variant v")


@pytest.mark.parametrize("member", [{"InstancePools": POOLS}, {"VariantInstanceProvisionTimeoutInSeconds": 600}])
def test_a_serverless_variant_has_no_pools(member: dict[str, Any]) -> None:
    variant = {"VariantName": "v", "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}, **member}
    with pytest.raises(SageMakerError, match=f"{next(iter(member))} can't be given together with ServerlessConfig"):
        check_serverless({"ProductionVariants": [variant]})


def test_no_pool_of_a_variant_beside_a_shadow_is_of_inf1_instances() -> None:
    pools = [POOLS[0], {"InstanceType": "ml.inf1.xlarge", "Priority": 3}]
    shadow = {"VariantName": "s", "InstanceType": "ml.m5.large"}
    with pytest.raises(SageMakerError, match="can't be used with Inf1 instances, as v has"):
        check_shadows(
            {"ProductionVariants": [{**VARIANT, "InstancePools": pools}], "ShadowProductionVariants": [shadow]}
        )
    check_shadows({"ProductionVariants": [VARIANT], "ShadowProductionVariants": [shadow]})
