"""Variables that are read when a Python starts or a library is imported: they decide what a warm interpreter may run.

Pure, and known to both sides: the server, which starts an interpreter with a job's, and the process that is to become
the job's program.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# By libraries of mathematics, from C as well, when they are loaded.
_OF_LIBRARIES = (
    "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "BLIS_", "VECLIB_", "NUMEXPR_", "NPY_", "NUMPY_", "SCIPY_",
    "SKLEARN_", "PANDAS_", "JOBLIB_", "LOKY_", "TORCH", "PYTORCH_", "CUDA_", "NVIDIA_", "XGB", "ARROW_",
)  # fmt: skip
_LOCALE = ("LANG", "LC_")
# A program takes these on whenever it begins.
TAKEN_ON = frozenset({"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONIOENCODING"})
_OF_THE_START = frozenset({"PYTHONDONTWRITEBYTECODE"})
_ENV = ("env", "/usr/bin/env", "/bin/env")
# Whatever else is read when a process or its Python starts.
_ONLY_COLD = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "OPENSSL_", "SSL_", "TZ", "GCONV_", "JE_", "LOCPATH", "NLSPATH")


def of_start(variables: Mapping[str, str]) -> dict[str, str]:
    """Those that an interpreter must have been started with."""
    return {name: value for name, value in variables.items() if name.startswith((*_OF_LIBRARIES, *_LOCALE)) or
            name in _OF_THE_START}  # fmt: skip


def only_cold(variables: Mapping[str, str]) -> list[str]:
    """Those that a program can only be given by starting a Python of its own."""
    known = TAKEN_ON | _OF_THE_START
    return [name for name in variables if name.startswith(_ONLY_COLD) and name not in known]


def differing(variables: Mapping[str, str], read: Mapping[str, str | None]) -> list[str]:
    """Of the variables that were read while importing, those that have another value."""
    return [name for name, value in read.items() if variables.get(name) != value]


def without_env(words: list[str], variables: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """A command without env(1) before it, and the variables that this leaves."""
    if not words or words[0] not in _ENV:
        return words, variables
    rest, left = words[1:], dict(variables)
    while len(rest) > 1 and rest[0] == "-u":
        left.pop(rest[1], None)
        del rest[:2]
    while rest and "=" in rest[0]:
        name, _, value = rest.pop(0).partition("=")
        left[name] = value
    return rest, left


def families() -> tuple[str, ...]:
    """How the names of libraries' variables begin."""
    return _OF_LIBRARIES
