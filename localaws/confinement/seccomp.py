"""Calls that no container may make, as under Docker's profile: they look after the machine, or open the kernel wide.

All of them need privileges that a container hasn't got, or are ways by which others were got before (moby,
profiles/seccomp/default.json). Refused with EPERM, for ever and for all that the process starts (seccomp(2)).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from localaws.confinement import linux

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD_WORD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_OFFSET_OF_CALL, _OFFSET_OF_ARCHITECTURE = 0, 4
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
# Calls of 64-bit x86's 32-bit pointers, by other numbers.
_OF_X32 = 0x40000000

_X86_64 = {
    "acct": 163, "add_key": 248, "bpf": 321, "chroot": 161, "clock_settime": 227, "delete_module": 176,
    "finit_module": 313, "init_module": 175, "ioperm": 173, "iopl": 172, "kexec_file_load": 320, "kexec_load": 246,
    "keyctl": 250, "lookup_dcookie": 212, "mount": 165, "name_to_handle_at": 303, "open_by_handle_at": 304,
    "perf_event_open": 298, "pivot_root": 155, "quotactl": 179, "reboot": 169, "request_key": 249, "setns": 308,
    "settimeofday": 164, "swapoff": 168, "swapon": 167, "syslog": 103, "umount2": 166, "unshare": 272,
    "userfaultfd": 323, "vhangup": 153,
}  # fmt: skip
_ARM_64 = {
    "acct": 89, "add_key": 217, "bpf": 280, "chroot": 51, "clock_settime": 112, "delete_module": 106,
    "finit_module": 273, "init_module": 105, "kexec_file_load": 294, "kexec_load": 104, "keyctl": 219,
    "lookup_dcookie": 18, "mount": 40, "name_to_handle_at": 264, "open_by_handle_at": 265, "perf_event_open": 241,
    "pivot_root": 41, "quotactl": 60, "reboot": 142, "request_key": 218, "setns": 268, "settimeofday": 170,
    "swapoff": 225, "swapon": 224, "syslog": 116, "umount2": 39, "unshare": 97, "userfaultfd": 282, "vhangup": 58,
}  # fmt: skip
# The same on every architecture: io_uring, and the newer calls that mount.
_EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442, 443)
# By uname(2)'s machine: the kernel's name for the architecture (audit.h), and its calls.
_ARCHITECTURES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _ARM_64)}


def restrict() -> None:
    """Refuse these calls from now on; no new privileges must be set. Nothing on an architecture that isn't known."""
    known = _ARCHITECTURES.get(os.uname().machine)
    if known is None or not linux.IS_HERE:
        return
    architecture, calls = known
    lines_of_it = _program(architecture, [*calls.values(), *_EVERYWHERE])
    program = b"".join(struct.pack("=HBBI", *line) for line in lines_of_it)
    lines = ctypes.create_string_buffer(program)
    filtering = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(lines)))
    linux.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(filtering))


def _program(architecture: int, refused: list[int]) -> list[tuple[int, int, int, int]]:
    """The filter, as (code, lines to skip if so, lines to skip if not, value). Other architectures have no calls."""
    return [
        (_LOAD_WORD, 0, 0, _OFFSET_OF_ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _REFUSE | errno.ENOSYS),
        (_LOAD_WORD, 0, 0, _OFFSET_OF_CALL),
        (_JUMP_AT_LEAST, len(refused) + 1, 0, _OF_X32),
        *((_JUMP_EQUAL, len(refused) - index, 0, number) for index, number in enumerate(refused)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE | errno.EPERM),
    ]
