"""Which of this machine's files every container sees: its programs and libraries, as an image would hold them.

Nothing that is a person's, and nothing that runs: no home, no /var, no /run, no /tmp, no /mnt; of /etc only what
libraries look up, without keys and passwords; of /sys what tells of the hardware.
"""

from __future__ import annotations

import os
import sys

_PROGRAMS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store", "/opt/nvidia")
_SETTINGS = (
    "alternatives", "crypto-policies", "fonts", "group", "host.conf", "hosts", "ld.so.cache", "localtime", "mime.types",
    "nsswitch.conf", "OpenCL", "os-release", "passwd", "pip.conf", "pki/ca-trust", "pki/tls/cert.pem", "pki/tls/certs",
    "pki/tls/openssl.cnf", "protocols", "resolv.conf", "services", "ssl/cert.pem", "ssl/certs", "ssl/openssl.cnf",
    "timezone",
)  # fmt: skip
_HARDWARE = ("block", "bus", "class", "dev", "devices", "fs/cgroup", "kernel/mm", "module")
_DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
_ACCELERATORS = ("dri", "dxg", "infiniband", "kfd", "neuron", "nvidia")


def places() -> list[str]:
    """Files and directories that appear, read-only, as what they are."""
    named = [*_PROGRAMS, *(f"/etc/{name}" for name in _SETTINGS)]
    return [*(path for path in named if os.path.lexists(path)), *hardware()]


def hardware() -> list[str]:
    """Of /sys, what tells of the hardware; read-only."""
    return [path for path in (f"/sys/{name}" for name in _HARDWARE) if os.path.lexists(path)]


def devices() -> list[str]:
    """Devices: those of every Docker container, and accelerators."""
    return [f"/dev/{name}" for name in os.listdir("/dev") if name in _DEVICES or name.startswith(_ACCELERATORS)]


def python() -> list[str]:
    """Where the Python is on which containers and functions run; Homebrew's has its libraries beside it."""
    prefix, is_homebrew, _ = sys.base_prefix.partition("/Cellar/")
    return [f"{prefix}/{name}" for name in ("Cellar", "lib", "opt")] if is_homebrew else [sys.base_prefix]
