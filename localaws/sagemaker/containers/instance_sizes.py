"""How much memory an instance type has (EC2's documentation, "Instance types"; SageMaker's `ml.` types are EC2's)."""

from __future__ import annotations

import os
import re

GIB = 1024**3

_TYPE = re.compile(r"ml\.([a-z0-9]+)(?:-flex)?\.(?:(\d*)xlarge|(medium|large))")
# GiB for each vCPU, by the family's letters and generation, or by its letter alone; a large has two vCPUs.
_BY_FAMILY = {
    "c4": 1.875, "c5n": 2.625, "g4dn": 4.0, "g5": 4.0, "g6": 4.0, "g6e": 8.0,
    "inf1": 2.0, "inf2": 4.0, "trn1": 4.0, "trn1n": 4.0,
}  # fmt: skip
_BY_LETTER = {"c": 2.0, "m": 4.0, "r": 8.0}
_OTHERS = {
    "t2.medium": 4, "t2.large": 8, "t2.xlarge": 16, "t2.2xlarge": 32,
    "t3.medium": 4, "t3.large": 8, "t3.xlarge": 16, "t3.2xlarge": 32,
    "p2.xlarge": 61, "p2.8xlarge": 488, "p2.16xlarge": 732,
    "p3.2xlarge": 61, "p3.8xlarge": 244, "p3.16xlarge": 488, "p3dn.24xlarge": 768,
    "p4d.24xlarge": 1152, "p4de.24xlarge": 1152, "p5.4xlarge": 256,
    "p5.48xlarge": 2048, "p5e.48xlarge": 2048, "p5en.48xlarge": 2048, "dl1.24xlarge": 768, "trn2.48xlarge": 2048,
}  # fmt: skip
# What stays for the server and the machine's other programs.
_RESERVED_SHARE, _RESERVED_AT_MOST = 0.1, 2 * GIB


def memory(instance_type: str) -> int | None:
    """Bytes of an instance type's memory; None for one that isn't known."""
    known = _OTHERS.get(instance_type.removeprefix("ml."))
    if known is not None:
        return known * GIB
    parts = _TYPE.fullmatch(instance_type)
    if parts is None:
        return None
    family, times, small = parts.groups()
    cpus = {"medium": 1, "large": 2}[small] if small else 4 * int(times or 1)
    each = _BY_FAMILY.get(family) or _BY_LETTER.get(family[0] if family[1].isdecimal() else "")
    return None if each is None else int(each * cpus * GIB)


def usable(instance_type: str, at_once: int = 1) -> int:
    """Bytes of memory that each of so many containers of such instances gets on this machine."""
    share = available() // at_once
    return min(memory(instance_type) or share, share)


def available() -> int:
    """Bytes that this machine has for a container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total - min(int(total * _RESERVED_SHARE), _RESERVED_AT_MOST)
