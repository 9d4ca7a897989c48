"""Becomes a program with other files than its own; for an ordinary user, one that may seem to set groups.

`launcher.py IN OUT ERRORS root|user PROGRAM ARGUMENT…`. Standard library only; run from its text.

An ordinary user's namespace has one group and denies setgroups(2), which buildah, and podman by its code, call before
each RUN all the same (containers/buildah issue 6947, mended in 1.45.0). With a filter of the kernel's (seccomp(2)) the
call does nothing and succeeds: there is no other group that could be kept or given up.
"""

import ctypes
import os
import sys

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUALS, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO_0 = 0x7FFF0000, 0x00050000
_NUMBER_AT, _MACHINE_AT = 0, 4
# By os.uname().machine: the kernel's number of it (AUDIT_ARCH_*), and that of setgroups there.
_MACHINES = {"x86_64": (0xC000003E, 116), "aarch64": (0xC00000B7, 159)}


class _Step(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("value", ctypes.c_uint32))


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("steps", ctypes.POINTER(_Step)))


def ignore_groups() -> None:
    """Have setgroups do nothing, in this process and all that it starts. Nothing on another machine."""
    machine, call = _MACHINES.get(os.uname().machine, (0, 0))
    if not machine:
        return
    steps = (_Step * 6)(
        _Step(_LOAD, 0, 0, _MACHINE_AT),
        _Step(_EQUALS, 0, 3, machine),
        _Step(_LOAD, 0, 0, _NUMBER_AT),
        _Step(_EQUALS, 0, 1, call),
        _Step(_RETURN, 0, 0, _ERRNO_0),
        _Step(_RETURN, 0, 0, _ALLOW),
    )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(_Filter(len(steps), steps)), 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "seccomp")


def main(arguments: list[str]) -> None:
    """Become the program."""
    for place in range(3):
        os.dup2(int(arguments[place]), place)
    if arguments[3] == "user":
        ignore_groups()
    os.execvp(arguments[4], arguments[4:])  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
