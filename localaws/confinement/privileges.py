"""The end of every privilege: what a container's code could undo its container with is taken, for ever.

Mounts are locked by a nested user namespace (mount_namespaces(7): in a mount namespace that a less privileged user
namespace owns, what came with it can't be unmounted or changed), capabilities go from every set, and no program brings
them back (capabilities(7); no_new_privs). The user is still the namespace's root, as in AWS's containers.
"""

from __future__ import annotations

import ctypes
import os

from localaws.confinement import linux

_PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 24, 28, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
# NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, each with its lock, and KEEP_CAPS locked as it is: unset.
_SECUREBITS = 0b11101111
_MOST_CAPABILITIES = 64
_CAPABILITY_VERSION_3 = 0x20080522
_KEYCTL = {"x86_64": 250, "aarch64": 219}
_JOIN_SESSION_KEYRING = 1


def enter_user_namespace(more: int = 0) -> None:
    """A user namespace, and other kinds with it, in which this user is root; files outside are the user's as before."""
    user, group = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER | more)
    _map_root_to(user, group)


def lock_mounts(settings: int | None) -> None:
    """Make the mounts as they are now unchangeable, and further user namespaces impossible.

    settings: /proc/sys as it is still writable, opened with O_PATH.
    """
    user, group = os.geteuid(), os.getegid()
    try:
        linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
    except OSError:
        return  # there may be no more: without capabilities nothing can be mounted here either
    _map_root_to(user, group)
    if settings is not None:
        try:
            linux.write("user/max_user_namespaces", "0", settings)
        except OSError:
            pass  # in Docker it may be read-only


def _map_root_to(user: int, group: int) -> None:
    linux.write("/proc/self/setgroups", "deny")
    linux.write("/proc/self/uid_map", f"0 {user} 1")
    linux.write("/proc/self/gid_map", f"0 {group} 1")


def drop() -> None:
    """Take every capability, and every way to one; forget the server's keyring. Nothing on another kernel."""
    if not linux.IS_HERE:
        return
    _leave_keyring()
    for capability in range(_MOST_CAPABILITIES):
        if linux.prctl(_PR_CAPBSET_DROP, capability) < 0:
            break
    linux.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    linux.prctl(_PR_SET_SECUREBITS, _SECUREBITS)
    linux.check(linux.prctl(_PR_SET_NO_NEW_PRIVS, 1), "no_new_privs")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    linux.check(linux.libc.capset(header, nothing), "capset")


def _leave_keyring() -> None:
    """A session keyring of its own: keys of the server's session are no container's (keyrings(7))."""
    number = _KEYCTL.get(os.uname().machine)
    if number is not None:
        linux.syscall(number, _JOIN_SESSION_KEYRING, None)
