"""How many threads a container may have beside others: trials that run at once share the cores, as do hosts. Pure.

An instance of AWS's is one container's alone, and its libraries start a thread a core. Here that would make containers
that run at once fight over the same cores, so that each is told to have its share.
"""

from __future__ import annotations

# OpenMP's, of the linear algebra beneath NumPy, of joblib's pools and of TensorFlow.
_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "LOKY_MAX_CPU_COUNT", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS",
)  # fmt: skip


def variables(at_once: int, cores: int) -> dict[str, str]:
    """The variables of a container beside which others run, `at_once` in all; none for one that runs alone."""
    return {} if at_once < 2 else dict.fromkeys(_VARIABLES, str(_share(at_once, cores)))


def remarks(at_once: int, cores: int, own: dict[str, str], what: str) -> list[str]:
    """What its log says of it: `what` runs at once; `own` are the variables of the request, which come first."""
    if at_once < 2:
        return []
    kept = [name for name in _VARIABLES if name in own]
    but = f" (of the request: {', '.join(f'{name}={own[name]}' for name in kept)})" if kept else ""
    threads = "1 thread" if _share(at_once, cores) == 1 else f"{_share(at_once, cores)} threads"
    return [
        f"{at_once} {what} run at once on {cores} cores: this one is told to use {threads} by OMP_NUM_THREADS and its "
        f"kin{but}."
    ]


def _share(at_once: int, cores: int) -> int:
    return max(1, cores // at_once)
