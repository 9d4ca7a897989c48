"""pip's settings in a container: those of this machine and its user, as far as they say where packages come from.

A container in AWS reaches PyPI as it is. Here a mirror, a proxy or a certificate may stand between, of which the user's
own pip knows. They are written to the environment's pip.conf, so that a job's own ``PIP_*`` variables go before them.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Where packages go is the container's affair, and what pip asks a person has nobody to answer it.
_NOT_FOR_CONTAINERS = frozenset({"target", "prefix", "root", "user", "src", "log", "cache-dir", "config-file", "python",
                                 "require-virtualenv", "no-input"})  # fmt: skip
# Options that name files and folders of this machine, which a container then has to see.
_NAMES_PLACES = ("cert", "client-cert", "constraint", "find-links", "index-url", "extra-index-url")
_PREFIX = "PIP_"


def write(path: Path) -> None:
    """Write the pip.conf of a container's environment."""
    with path.open("w", encoding="utf-8") as file:
        settings(os.environ, Path.home()).write(file)


def places() -> list[Path]:
    """The files and folders of this machine that the settings name: certificates, folders of packages."""
    return list(named_places(settings(os.environ, Path.home())))


def named_places(found: configparser.RawConfigParser) -> Iterator[Path]:
    """The files and folders that settings name, if they are there."""
    for section in found.sections():
        for option in set(found.options(section)) & set(_NAMES_PLACES):
            for word in found.get(section, option).split():
                path = Path(unquote(urlsplit(word).path) if word.startswith("file:") else word)
                if path.is_absolute() and path.exists():
                    yield path


def settings(variables: Mapping[str, str], home: Path) -> configparser.RawConfigParser:
    """This machine's settings as a container's pip.conf: the user's file, then the variables, which go before it."""
    found = configparser.RawConfigParser()
    found.read([path for path in _files(variables, home) if path.is_file()], encoding="utf-8")
    given = {_option(name): value for name, value in variables.items() if name.startswith(_PREFIX) and value}
    for section in found.sections():
        for option in found.options(section):
            if option in _NOT_FOR_CONTAINERS or option in given:
                found.remove_option(section, option)
    if not found.has_section("global"):
        found.add_section("global")
    for option, value in {**_defaults(variables, found), **given}.items():
        if option not in _NOT_FOR_CONTAINERS:
            found.set("global", option, value)
    return found


def _defaults(variables: Mapping[str, str], found: configparser.RawConfigParser) -> dict[str, str]:
    # pip of AWS's images (25.3 and later) builds every package in an environment of its own (PEP 517).
    chosen = {"use-pep517": "true", "disable-pip-version-check": "true", "root-user-action": "ignore"}
    proxy = variables.get("HTTPS_PROXY") or variables.get("https_proxy")
    if proxy:
        chosen["proxy"] = proxy
    return {option: value for option, value in chosen.items() if not found.has_option("global", option)}


def _option(variable: str) -> str:
    return variable.removeprefix(_PREFIX).lower().replace("_", "-")


def _files(variables: Mapping[str, str], home: Path) -> list[Path]:
    """The files that are the user's, the strongest last (pip's documentation, "Configuration")."""
    config = Path(variables.get("XDG_CONFIG_HOME") or home / ".config")
    own = variables.get("PIP_CONFIG_FILE")
    return [home / ".pip" / "pip.conf", config / "pip" / "pip.conf", *([Path(own)] if own else [])]
