"""The end of every privilege: what a container's code could undo its container with is taken, for ever.

Mounts are locked by a nested user namespace (mount_namespaces(7): in a mount namespace that a less privileged user
namespace owns, what came with it can't be unmounted or changed), capabilities go from every set, and no program brings
them back (capabilities(7); no_new_privs). The user is still the namespace's root, as in AWS's containers.
"""

from __future__ import annotations

import ctypes
import errno
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Identity:
    """As whom a program runs: user, group and further groups, by their numbers."""

    def __init__(self, user: int, group: int, groups: Sequence[int]) -> None:
        self.user, self.group, self.groups = user, group, groups


def enter_user_namespace(more: int = 0) -> None:
    """A user namespace, and other kinds with it, in which this user is root; files outside are the user's as before."""
    user, group = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER | more)
    _map(0, user, 0, group)


def lock_mounts(settings: int | None, identity: Identity | None = None) -> None:
    """Make the mounts as they are now unchangeable, and further user namespaces impossible.

    settings: /proc/sys as it is still writable, opened with O_PATH. identity: who the program of an image is: every
    user is there then, if this process may say so, else this one alone, which is then all that the files' owner is.
    """
    user, group = os.geteuid(), os.getegid()
    mapper = _mapper(identity) if identity else None
    try:
        linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS)
    except OSError:
        if mapper is not None:
            mapper.end(write=False)
        return  # there may be no more: without capabilities nothing can be mounted here either
    if mapper is not None:
        mapper.end(write=True)
    else:
        _map(identity.user if identity else 0, user, identity.group if identity else 0, group)
    if settings is not None:
        try:
            linux.write("user/max_user_namespaces", "0", settings)
        except OSError:
            pass  # in Docker it may be read-only


def _map(inner_user: int, user: int, inner_group: int, group: int) -> None:
    linux.write("/proc/self/setgroups", "deny")
    linux.write("/proc/self/uid_map", f"{inner_user} {user} 1")
    linux.write("/proc/self/gid_map", f"{inner_group} {group} 1")


def _mapper(identity: Identity) -> _Mapper | None:
    """Who maps every user and group to itself in a user namespace of this process's; None where it may map one only."""
    users, groups = (linux.read(f"/proc/self/{kind}_map") for kind in ("uid", "gid"))
    may = _has(users, [identity.user]) and _has(groups, [identity.group, *identity.groups])
    return _Mapper(_same(users), _same(groups)) if may and users.split()[2:] != ["1"] else None


class _Mapper:
    """A child that stays outside of the namespace that this process makes: only from there may it be given users."""

    def __init__(self, users: str, groups: str) -> None:
        process = os.getpid()
        waits, self._tells = os.pipe()
        self._child = os.fork()
        if self._child == 0:
            os.close(self._tells)
            os._exit(_write_maps(process, users, groups) if os.read(waits, 1) else 0)
        os.close(waits)

    def end(self, *, write: bool) -> None:
        """Have it write the maps, or not. Raises OSError where it couldn't."""
        if write:
            os.write(self._tells, b"!")
        os.close(self._tells)
        if os.waitpid(self._child, 0)[1]:
            raise OSError(errno.EPERM, "the users of an image can't be mapped")


def _write_maps(process: int, users: str, groups: str) -> int:
    try:
        linux.write(f"/proc/{process}/uid_map", users)
        linux.write(f"/proc/{process}/gid_map", groups)
    except OSError:
        return 1
    return 0


def _same(mapping: str) -> str:
    """A mapping by which everybody of this namespace is the same in one below it."""
    lines = [line.split() for line in mapping.splitlines()]
    return "".join(f"{inside} {inside} {count}\n" for inside, _, count in lines)


def _has(mapping: str, numbers: Sequence[int]) -> bool:
    ranges = [(int(start), int(count)) for start, _, count in (line.split() for line in mapping.splitlines())]
    return all(any(start <= number < start + count for start, count in ranges) for number in numbers)


def drop(identity: Identity | None = None) -> None:
    """Take every capability, and every way to one; forget the server's keyring. Nothing on another kernel.

    identity: who this process is from then on, if not who it was.
    """
    if not linux.IS_HERE:
        return
    _leave_keyring()
    for capability in range(_MOST_CAPABILITIES):
        if linux.prctl(_PR_CAPBSET_DROP, capability) < 0:
            break
    linux.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    linux.prctl(_PR_SET_SECUREBITS, _SECUREBITS)
    if identity is not None:
        _become(identity)
    linux.check(linux.prctl(_PR_SET_NO_NEW_PRIVS, 1), "no_new_privs")
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    linux.check(linux.libc.capset(header, nothing), "capset")


def _become(identity: Identity) -> None:
    for output in (1, 2):
        try:
            os.fchown(output, identity.user, -1)  # so that it can open /dev/stdout, as Docker's runtime does it
        except OSError:
            pass  # nobody else's, or its own already
    # In a namespace of one user alone there are no further groups, and it is that user already.
    if linux.read("/proc/self/setgroups").strip() == "allow":
        os.setgroups([identity.group, *identity.groups])
    os.setresgid(identity.group, identity.group, identity.group)
    os.setresuid(identity.user, identity.user, identity.user)


def _leave_keyring() -> None:
    """A session keyring of its own: keys of the server's session are no container's (keyrings(7))."""
    number = _KEYCTL.get(os.uname().machine)
    if number is not None:
        linux.syscall(number, _JOIN_SESSION_KEYRING, None)
