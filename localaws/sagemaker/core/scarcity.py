"""Instance types that are not to be had: `without_capacity` of settings.json, whatever the quotas say.

A job that asks for one fails, an endpoint's instance isn't launched, both in SageMaker's own words. An account learns
of it after minutes; here it is told at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_TYPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")

# FailureReason of a job, and of an endpoint.
OF_A_JOB = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)
OF_AN_ENDPOINT = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a "
    "different ML instance type or after some time."
)

Types = Collection[str]


def check_types(types: object) -> frozenset[str]:
    """The setting's value; raises ValueError for what isn't a list of instance types, and says what would be right."""
    if not isinstance(types, list):
        raise ValueError(f"without_capacity: {types!r}; it must be a list of instance types, as ['ml.m5.large']")
    for one in types:
        if not isinstance(one, str) or not _TYPE.fullmatch(one):
            raise ValueError(f"without_capacity: {one!r}; it must be an instance type, as 'ml.m5.large'")
    return frozenset(types)
