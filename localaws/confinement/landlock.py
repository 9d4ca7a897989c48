"""Landlock: what a process may open from now on, it and all that it starts (kernel documentation, Landlock).

It needs no privilege and can't be undone. Behind a file system of its own it is a second fence; where the kernel allows
no namespaces it is the only one.
"""

from __future__ import annotations

import ctypes
import os

from localaws.confinement import linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = 1, 1 << 1, 1 << 2, 1 << 3, 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
# How many rights there are, by Landlock's version.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
# No abstract Unix socket, and no signal, outside (version 6).
_SCOPES = 1 | 2
HAS_SCOPES = 6


class _Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Landlock's version on this kernel; 0 without it."""
    return max(0, linux.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION))


def restrict(readable: Sequence[str], writable: Sequence[str]) -> None:
    """Nothing but these can be opened from now on; they are files or directories. No new privileges must be set."""
    found = version()
    if found == 0:
        return
    rights = (1 << _RIGHTS.get(found, _RIGHTS[5])) - 1
    ruleset = _ruleset(rights, found)
    for paths, wanted in ((readable, _READ), (writable, rights)):
        for path in paths:
            _allow(ruleset, path, wanted & rights)
    linux.check(linux.syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _ruleset(rights: int, found: int) -> int:
    attributes = (ctypes.c_uint64 * 3)(rights, 0, _SCOPES)
    size = 24 if found >= HAS_SCOPES else 8
    made = linux.syscall(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0)
    return linux.check(made, "landlock_create_ruleset")


def _allow(ruleset: int, path: str, wanted: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # what isn't there needs no right
    rule = _Rule(wanted if os.path.isdir(path) else wanted & _OF_FILES, place)
    result = linux.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    os.close(place)
    linux.check(result, f"landlock_add_rule {path}")
