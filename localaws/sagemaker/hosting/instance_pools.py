"""Instance pools: the instance types of a variant that are tried in the order of their priorities.

"Deploy to multiple instance types with instance pools", developer guide. Which types have no capacity is known when a
deployment begins (`core.scarcity`), so a variant's instances are all of one type here.
"""

from __future__ import annotations

from localaws.sagemaker.core import errors
from localaws.sagemaker.core.request import Document
from localaws.sagemaker.core.scarcity import Types

POOLS = "InstancePools"
# Of a variant. How long a pool is waited for changes nothing here: what isn't to be had is known at once.
MEMBERS = (POOLS, "VariantInstanceProvisionTimeoutInSeconds")


def with_first_type(variant: Document, what: str) -> Document:
    """The variant as one of a single type. ValidationException for pools that can't be; a model of its own is refused
    by name."""
    pools = variant.get(POOLS)
    if pools is None:
        return variant
    if "InstanceType" in variant:
        raise errors.validation(f"InstanceType and {POOLS} can't both be specified in {what}.")
    if any("ModelNameOverride" in pool for pool in pools):
        raise errors.not_supported(f"ModelNameOverride of an instance pool of {what}")
    for member in ("InstanceType", "Priority"):
        if len({pool[member] for pool in pools}) < len(pools):
            raise errors.validation(f"Each of the {POOLS} of {what} must differ from the others' in its {member}.")
    return variant | {"InstanceType": _types(variant)[0]}


def provisioned(variant: Document, without_capacity: Types) -> Document:
    """The variant with the type that its instances get: the first that is to be had, else the first."""
    if POOLS not in variant:
        return variant
    types = _types(variant)
    return variant | {"InstanceType": next((one for one in types if one not in without_capacity), types[0])}


def kept(variant: Document) -> Document:
    """What a snapshot keeps of a variant's pools."""
    return {POOLS: _types(variant)} if POOLS in variant else {}


def summary(variant: Document, up: int) -> Document:
    """InstancePools of a variant that DescribeEndpoint shows; `variant` is a snapshot's."""
    counts = {one: up if one == variant["InstanceType"] else 0 for one in variant.get(POOLS, ())}
    pools = [{"InstanceType": one, "CurrentInstanceCount": count} for one, count in counts.items()]
    return {POOLS: pools} if pools else {}


def _types(variant: Document) -> list[str]:
    return [pool["InstanceType"] for pool in sorted(variant[POOLS], key=lambda pool: int(pool["Priority"]))]


def types_of(variant: Document) -> list[str]:
    """The instance types that a variant of a configuration may be on; none of a serverless one."""
    return _types(variant) if POOLS in variant else [one for one in (variant.get("InstanceType"),) if one]
