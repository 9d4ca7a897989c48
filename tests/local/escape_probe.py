"""What code tries that wants out of its container: run as it is inside, it tells what it got hold of (ATTEMPTS).

`facts(targets)` runs each attempt in a process of its own. An attempt returns what it got, or nothing. Standard library
only, and no import of the tests'.
"""

import ctypes
import json
import os
import socket
import stat
import sys

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER, MS_REMOUNT, MS_BIND, MNT_DETACH = 0x20000, 0x10000000, 32, 4096, 2
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
SYS_OPEN_BY_HANDLE_AT = {"x86_64": 304, "aarch64": 265}


def read(path):
    with open(path, "rb") as file:
        return file.read(200).decode("utf-8", "replace")


def first(paths, look):
    """What `look` first finds of any path."""
    for path in paths:
        try:
            found = look(path)
        except OSError:
            continue
        if found:
            return f"{path}: {found!r}"[:300]
    return None


def write(path):
    with open(path, "a"):
        return "opened for writing"


def processes():
    return [name for name in os.listdir("/proc") if name.isdigit()]


def mount_points():
    with open("/proc/self/mountinfo") as file:
        return [line.split()[4] for line in file]


def lists_the_state(t):
    return first([t["state"], t["state"] + "/sagemaker", t["state"] + "/lambda"], os.listdir)


def reads_the_root_key(t):
    return first([t["state"] + "/root_key.json", t["state"] + "/server.json"], read)


def finds_secrets_anywhere(t):
    """By their names and content, wherever they may appear."""
    own = ("/proc", "/sys", "/usr", os.path.realpath(sys.prefix), os.path.realpath(sys.base_prefix))
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in own and name != "site-packages"]
        for name in files:
            path = os.path.join(folder, name)
            if name in ("root_key.json", "server.json") or (name == t["canary"] and read(path) == t["secret"]):
                return path
    return None


def reads_the_home(t):
    places = [t["home"], t["home"] + "/.aws/credentials", t["home"] + "/.ssh", "/home"]
    return first(places, lambda path: read(path) if os.path.isfile(path) else os.listdir(path))


def reads_another_jobs_folder(t):
    return first(t["jobs"], lambda path: read(path) if os.path.isfile(path) else os.listdir(path))


def reads_the_hosts_tmp(t):
    return first([t["shared"], t["shared"] + "/" + t["canary"]], os.stat)


def reads_keys_and_passwords(t):
    return first(["/etc/shadow", "/etc/gshadow", "/etc/ssl/private", "/etc/ssh", "/etc/sudoers", "/var/run/docker.sock",
                  "/run/docker.sock", "/var/lib", "/run/secrets"], os.stat)  # fmt: skip


def writes_the_state(t):
    return first([t["state"] + "/written", t["state"] + "/root_key.json", t["shared"] + "/written"], write)


def writes_anothers_code(t):
    return first([*(path + "/index.py" for path in t["code"]), "/var/task/index.py", *t["system"]], write)


def sees_the_server(t):
    def words(pid):
        found = read(f"/proc/{pid}/cmdline")
        return found if "localaws.server" in found or t["state"] in found else None

    return first(processes(), words)


def reads_the_servers_memory(t):
    places = ("environ", "maps", "mem", "root/", "cwd/", "fd/")

    def look(path):
        return os.listdir(path) if path.endswith("/") else os.close(os.open(path, os.O_RDONLY)) or "opened"

    return first([f"/proc/{pid}/{place}" for pid in t["servers"] for place in places], look)


def goes_through_others_roots(t):
    return first([f"/proc/{pid}/{way}{t['state']}" for pid in processes() for way in ("root", "cwd/../../../../..")],
                 os.stat)  # fmt: skip


def signals_the_server(t):
    def alive(pid):
        os.kill(pid, 0)
        return "can be signalled"

    return first(t["servers"], alive)


def traces_the_server(t):
    for pid in t["servers"]:
        if libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0:
            libc.ptrace(PTRACE_DETACH, pid, None, None)
            return f"traced {pid}"
    return None


def unmounts(t):
    return next((place for place in mount_points() if libc.umount2(place.encode(), MNT_DETACH) == 0), None)


def mounts(t):
    for place in ("/tmp", "/usr", "/"):
        if libc.mount(b"tmpfs", place.encode(), b"tmpfs", 0, None) == 0:
            return f"mounted over {place}"
        if libc.mount(b"none", place.encode(), None, MS_REMOUNT | MS_BIND, None) == 0:
            return f"made {place} writable"
        if libc.mount(b"/proc", place.encode(), None, MS_BIND, None) == 0:
            return f"bound over {place}"
    return None


def makes_devices(t):
    def make(path):
        os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(254, 0))
        return "made"

    return first(["/tmp/disk", "/dev/disk", "/dev/shm/disk"], make)


def unshares_then_mounts(t):
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0:
        return "a user namespace of its own"
    return "a mount namespace of its own" if libc.unshare(CLONE_NEWNS) == 0 else None


def joins_namespaces(t):
    for pid in [*processes(), *t["servers"]]:
        for kind in ("mnt", "user", "pid"):
            try:
                descriptor = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY)
            except OSError:
                continue
            if libc.setns(descriptor, 0) == 0:
                return f"the {kind} namespace of {pid}"
    return None


def changes_the_root(t):
    if libc.chroot(b"/tmp") == 0:
        return "chroot"
    os.chdir("/")
    return "pivot_root" if libc.syscall(155 if os.uname().machine == "x86_64" else 41, b".", b".") == 0 else None


def opens_by_handle(t):
    """The way of "shocker": the root directory of the machine's disk is inode 2 of it."""
    handle = (ctypes.c_uint32 * 4)(8, 1, 2, 0)
    disk = os.open("/etc/hosts", os.O_RDONLY)
    number = SYS_OPEN_BY_HANDLE_AT[os.uname().machine]
    found = libc.syscall(number, disk, ctypes.byref(handle), os.O_RDONLY)
    return str(os.listdir(found)) if found >= 0 else None


def has_descriptors_of_others(t):
    """Of directories, or of files that don't lie where it says."""
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        try:
            mode = os.fstat(descriptor).st_mode
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the one by which the names were listed
        if stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and not os.path.exists(target) and "memfd" not in target):
            return target
    return None


def has_capabilities(t):
    with open("/proc/self/status") as file:
        found = [line.strip() for line in file if line.startswith("Cap") and int(line.split()[1], 16)]
    return "; ".join(found) or None


def may_gain_privileges(t):
    with open("/proc/self/status") as file:
        return None if "NoNewPrivs:\t1" in file.read() else "no_new_privs isn't set"


def becomes_another_user(t):
    return next((f"user {user}" for user in (1, 1000, 65534) if user != os.getuid() and libc.setuid(user) == 0), None)


def changes_the_machine(t):
    return first(["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sysrq-trigger",
                  "/proc/sys/vm/swappiness", "/proc/sys/user/max_user_namespaces", "/sys/kernel/uevent_helper",
                  "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/fs/cgroup/release_agent",
                  "/sys/fs/cgroup/memory/release_agent", "/sys/fs/cgroup/cgroup.procs"], write)  # fmt: skip


def reads_the_kernels_memory(t):
    return first(["/dev/mem", "/dev/kmem", "/dev/vda", "/dev/sda", "/proc/kcore", "/dev/kmsg"], read)


def knows_the_servers_key(t):
    return next((name for name, value in os.environ.items() if value in t["keys"]), None)


def reaches_abstract_sockets(t):
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect("\0" + t["abstract"])
        except OSError:
            return None
    return "connected"


def finds_the_servers_keyring(t):
    """Keys of the session in which the server was started (keyctl, KEYCTL_READ of the session's keyring)."""
    number = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
    buffer = ctypes.create_string_buffer(4096)
    size = libc.syscall(number, 11, -3, buffer, 4096)
    return f"{size // 4} keys" if size > 0 else None


def makes_calls_that_docker_refuses(t):
    """Wide ways into the kernel: a ring of io_uring's, a key, a counter of perf's."""
    x86 = os.uname().machine == "x86_64"
    room = ctypes.create_string_buffer(256)
    counter = ctypes.create_string_buffer(b"\0\0\0\0\x70\0\0\0", 128)
    calls = {
        "io_uring_setup": (425, 1, room),
        "add_key": (248 if x86 else 217, b"user", b"escape", b"x", 1, -4),
        "perf_event_open": (298 if x86 else 241, counter, 0, -1, -1, 0),
    }
    return next((name for name, call in calls.items() if libc.syscall(*call) >= 0), None)


ATTEMPTS = (
    lists_the_state, reads_the_root_key, finds_secrets_anywhere, reads_the_home, reads_another_jobs_folder,
    reads_the_hosts_tmp, reads_keys_and_passwords, writes_the_state, writes_anothers_code, sees_the_server,
    reads_the_servers_memory, goes_through_others_roots, signals_the_server, traces_the_server, unmounts, mounts,
    makes_devices, unshares_then_mounts, joins_namespaces, changes_the_root, opens_by_handle, has_descriptors_of_others,
    has_capabilities, may_gain_privileges, becomes_another_user, changes_the_machine, reads_the_kernels_memory,
    knows_the_servers_key, reaches_abstract_sockets, finds_the_servers_keyring,
    makes_calls_that_docker_refuses,
)  # fmt: skip


def facts(targets):
    """What each attempt got, and what a container may do all the same."""
    return {**{attempt.__name__: tried(attempt, targets) for attempt in ATTEMPTS}, "may": allowed(targets)}


def allowed(targets):
    host, port = targets["endpoint"].split("//")[1].split(":")
    with socket.create_connection((host, int(port)), 10):
        pass
    write("/tmp/own")
    return {"user": os.getuid(), "processes": len(processes())}


def tried(attempt, targets):
    """What an attempt got, made in a process of its own."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            got = attempt(targets)
        except OSError:
            got = None
        except BaseException as error:  # noqa: BLE001 - it is told
            got = f"could not be tried: {error!r}"
        os.write(writes, json.dumps(got).encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as file:
        told = file.read()
    os.waitpid(child, 0)
    return json.loads(told) if told else "could not be tried: it ended"
