"""pip's settings in a container: those of this machine and its user, as far as they say where packages come from.

A container in AWS reaches PyPI as it is. Here a mirror, a proxy or a certificate may stand between, of which the user's
own pip knows. They are written to the environment's pip.conf, so that a job's own ``PIP_*`` variables go before them.
"""

from __future__ import annotations

import configparser
import html
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

# Where packages go is the container's affair, and what pip asks a person has nobody to answer it.
_NOT_FOR_CONTAINERS = frozenset({"target", "prefix", "root", "user", "src", "log", "cache-dir", "config-file", "python",
                                 "require-virtualenv", "no-input"})  # fmt: skip
# Options that name files and folders of this machine, which a container then has to see.
_NAMES_PLACES = ("cert", "client-cert", "constraint", "find-links", "index-url", "extra-index-url")
_NAMES_PAGES = ("find-links", "index-url", "extra-index-url")
# Of a local index, whose pages may be thousands: they are laid out alike ("Simple repository API").
_PAGES_READ, _PAGE_BYTES = 8, 64 * 1024
_LINK = re.compile(rb"<a\s[^>]*?href\s*=\s*[\"']?([^\"'#>\s]+)", re.IGNORECASE)
_PREFIX = "PIP_"


def write(path: Path) -> None:
    """Write the pip.conf of a container's environment."""
    with path.open("w", encoding="utf-8") as file:
        settings(os.environ, Path.home()).write(file)


def places() -> list[Path]:
    """The files and folders of this machine that the settings name: certificates, folders of packages."""
    return list(named_places(settings(os.environ, Path.home())))


def named_places(found: configparser.RawConfigParser) -> Iterator[Path]:
    """The files and folders that settings name, if they are there; of an index those that its pages link to, too."""
    for section in found.sections():
        for option in set(found.options(section)) & set(_NAMES_PLACES):
            for word in found.get(section, option).split():
                path = Path(unquote(urlsplit(word).path) if word.startswith("file:") else word)
                if path.is_absolute() and path.exists():
                    yield path
                    if option in _NAMES_PAGES:
                        yield from _linked_places(path, path.stat().st_mtime_ns)


@cache
def _linked_places(index: Path, _changed: int) -> frozenset[Path]:
    """Where the files lie that the pages of an index of this machine link to, and that aren't below it."""
    links = {link for page in itertools.islice(_pages(index), _PAGES_READ) for link in _links(page)}
    folders = {folder for folder in map(_folder_of, links) if not folder.is_relative_to(index) and folder.is_dir()}
    return frozenset(_beside(index, folder) for folder in folders)


def _pages(index: Path) -> Iterator[Path]:
    if index.is_file():
        yield index
        return
    with os.scandir(index) as projects:
        for project in projects:
            if (page := index / project.name / "index.html").is_file():
                yield page


def _links(page: Path) -> Iterator[str]:
    """The files of this machine that a page links to, as URLs."""
    with page.open("rb") as file:
        for found in _LINK.findall(file.read(_PAGE_BYTES)):
            link = urljoin(page.as_uri(), html.unescape(found.decode("utf-8", "replace")))
            if link.startswith("file:"):
                yield link


def _folder_of(link: str) -> Path:
    return Path(unquote(urlsplit(link).path)).parent


def _beside(index: Path, folder: Path) -> Path:
    """All of the folder beside an index that one of its files lies in; elsewhere only the file's own. Pure."""
    around = index.parent
    beside = folder.is_relative_to(around) and around not in (folder, around.parent)
    return around / folder.relative_to(around).parts[0] if beside else folder


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
