"""An image's configuration: what runs in its containers, and as whom, as Docker reads it. Pure.

The members are those of the OCI image specification ("Image Configuration"), which Docker's images have as well.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localaws.sagemaker.containers.image_root import User

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # Docker's
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_LAST_ID = 2**31 - 1  # Docker's
_THAT_CAN_BE_PASSED = "(Unicode without zero bytes)"


class ImageConfigError(Exception):
    """The configuration can't be used; the message says which member, and what is wrong with it."""


@dataclass(frozen=True)
class ImageConfig:
    """What of an image's configuration its containers are made by.

    layer_contents: the digests of the layers' tars, the lowest first.
    """

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    user: str = ""
    architecture: str = ""
    layer_contents: Sequence[str] = ()

    @property
    def remark(self) -> str | None:
        """One line for a log where the image is made for another machine, else None."""
        here = _ARCHITECTURES.get(platform.machine(), platform.machine())
        if self.architecture in ("", here):
            return None
        return f"The image is made for {self.architecture}; this machine is {here}, so its programs may not start."

    def run(self, entrypoint: Sequence[str], arguments: Sequence[str]) -> list[str]:
        """What `docker run` starts: with an entry point of one's own the image's command is not used."""
        if entrypoint:
            return [*entrypoint, *arguments]
        return [*self.entrypoint, *(arguments or self.command)]

    def environment(self, given: Mapping[str, str], home: str) -> dict[str, str]:
        """A program's variables: those of the request over the image's, with what Docker adds where neither has it."""
        return {"PATH": DEFAULT_PATH, "HOME": home, **self.variables, **given}


def read(document: Mapping[str, Any]) -> ImageConfig:
    """The configuration. Raises ImageConfigError."""
    config = document.get("config") or {}
    if not isinstance(config, Mapping):
        raise ImageConfigError("config must be an object")
    rootfs = document.get("rootfs") or {}
    contents = rootfs.get("diff_ids") if isinstance(rootfs, Mapping) else None
    cwd = _text(config, "WorkingDir") or "/"
    return ImageConfig(
        entrypoint=_texts(config, "Entrypoint"),
        command=_texts(config, "Cmd"),
        variables=dict(_variables(_texts(config, "Env"))),
        cwd=cwd if cwd.startswith("/") else f"/{cwd}",
        user=_text(config, "User"),
        architecture=_text(document, "architecture"),
        layer_contents=_texts({"diff_ids": contents}, "diff_ids"),
    )


@dataclass(frozen=True)
class Account:
    """Who a program is in an image, and that user's home."""

    user: User = field(default_factory=User)
    home: str = "/"


def account(wanted: str, passwd: str, group: str) -> Account:
    """Who USER names: a name or number, after a colon a group's. Raises ImageConfigError.

    wanted: as in the configuration, root if empty. passwd, group: the image's own files.
    """
    name, _, group_name = wanted.partition(":")
    name = name or "0"
    entry = _entry(name, _lines(passwd, 7))
    if entry is None and not name.isdecimal():
        raise ImageConfigError(f"unable to find user {name}: no matching entries in passwd file")
    user = _number(entry[2] if entry else name, f"user {name}")
    primary, further = _number(entry[3], f"group of user {name}") if entry else 0, []
    if group_name:
        primary = _group(group_name, group)
    elif entry:
        further = [
            _number(found[2], f"group {found[0]}") for found in _lines(group, 4) if entry[0] in found[3].split(",")
        ]
    return Account(User(user, primary, tuple(further)), (entry[5] if entry else "") or "/")


def _group(name: str, group: str) -> int:
    entry = _entry(name, _lines(group, 4))
    if entry is None and not name.isdecimal():
        raise ImageConfigError(f"unable to find group {name}: no matching entries in group file")
    return _number(entry[2] if entry else name, f"group {name}")


def _lines(text: str, columns: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        found = line.strip().split(":")
        if len(found) >= min(columns, 4) and not line.startswith("#"):
            yield [*found, *[""] * (columns - len(found))]


def _entry(name: str, lines: Iterator[list[str]]) -> list[str] | None:
    """The line of a user or group; a number is never taken for a name."""
    if not name.isdecimal():
        return next((found for found in lines if found[0] == name), None)
    return next((found for found in lines if found[2].isdecimal() and int(found[2]) == int(name)), None)


def _number(text: str, what: str) -> int:
    if not text.isdecimal() or int(text) > _LAST_ID:
        raise ImageConfigError(f"{what}: {text!r} is no number from 0 to {_LAST_ID}")
    return int(text)


def _variables(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, value = line.partition("=")
        if not name:
            raise ImageConfigError(f"config.Env: {line!r} is no NAME=VALUE")
        yield name, value


def _texts(config: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = config.get(name) or []
    if not isinstance(found, list) or not all(_is_text(word) for word in found):
        raise ImageConfigError(f"{name} must be a list of texts {_THAT_CAN_BE_PASSED}")
    return tuple(found)


def _text(config: Mapping[str, Any], name: str) -> str:
    found = config.get(name) or ""
    if not _is_text(found):
        raise ImageConfigError(f"{name} must be a text {_THAT_CAN_BE_PASSED}")
    return str(found)


def _is_text(found: Any) -> bool:
    """Whether it is a text that the kernel takes: without a zero byte, and without half of a character's two halves."""
    return isinstance(found, str) and "\0" not in found and not any("\ud800" <= each <= "\udfff" for each in found)
