"""What docker's command lines mean to buildah and podman. Pure.

The names of images are docker's; a name in the embedded registry is reached where that answers, for pushes by its
address, for pulls and FROM by a line of registries.conf (containers-registries.conf(5)).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_ECR = re.compile(r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")
# Options of `docker build` that say how its progress looks, or ask for what comes of it here anyway.
_IGNORED = frozenset({"--progress", "--provenance", "--sbom", "--load", "--rm", "--force-rm", "--quiet"})
_IGNORED_FLAGS = frozenset({"--load", "--rm", "--force-rm", "--quiet"})
_SHORT = {"-t": "--tag", "-f": "--file", "-q": "--quiet", "-u": "--username", "-p": "--password"}
# Options of `docker build` that buildah and podman have under the same name: with a value, and without one.
_OF_BUILD = frozenset({"--tag", "--file", "--build-arg", "--target", "--platform", "--label", "--add-host", "--secret"})
_FLAGS_OF_BUILD = frozenset({"--no-cache", "--pull", "--squash"})
_DOCKER_HUB = "docker.io"
PUBLIC = "public.ecr.aws"


class UnsupportedCommandError(Exception):
    """What was asked of docker isn't done here; the text says what is, as docker's own errors are told."""


@dataclass(frozen=True)
class Registry:
    """The embedded registry: its name in AWS, and where it answers, `127.0.0.1:PORT`."""

    host: str
    address: str

    def reached(self, image: str) -> str:
        """An image's name where it can be pushed to."""
        host, _, rest = image.partition("/")
        return f"{self.address}/{rest}" if host == self.host else image


@dataclass(frozen=True)
class Login:
    """`docker login`: the password comes from the standard input where it is None."""

    server: str
    user: str
    password: str | None


@dataclass(frozen=True)
class Logout:
    """`docker logout`."""

    server: str


@dataclass(frozen=True)
class Build:
    """`docker build`: the tool's arguments, and what its Dockerfile is to be looked at for."""

    arguments: tuple[str, ...]
    dockerfile: str
    context: str
    values: Mapping[str, str] = field(default_factory=dict)
    is_quiet: bool = False


@dataclass(frozen=True)
class Push:
    """`docker push`: an image, and where it goes."""

    image: str
    target: str


@dataclass(frozen=True)
class Inspect:
    """`docker image inspect`: images, and the format, a template of Go's, where there is one."""

    images: tuple[str, ...]
    format: str | None


@dataclass(frozen=True)
class Plain:
    """What the tool does by the same words: its arguments."""

    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Say:
    """What is only answered."""

    text: str


Command = Login | Logout | Build | Push | Inspect | Plain | Say


def read(arguments: Sequence[str], registry: Registry) -> Command:
    """What a command line of docker's asks for. Raises UnsupportedCommandError."""
    words = list(arguments)
    if words[:1] in (["image"], ["buildx"], ["builder"]):
        words = _WITHOUT_NOUN.get((words[0], words[1]), words) if words[1:] else words
        words = [*words, *arguments[2:]] if len(words) == 1 else words
    reader = _READERS.get(words[0]) if words else None
    if reader is None:
        told = " ".join(words[:2]) or "without a command"
        raise UnsupportedCommandError(f"docker {told} isn't done here; what is: {', '.join(sorted(_READERS))}")
    return reader(words[1:], registry)


_WITHOUT_NOUN = {
    ("image", "build"): ["build"],
    ("image", "push"): ["push"],
    ("image", "pull"): ["pull"],
    ("image", "tag"): ["tag"],
    ("image", "ls"): ["images"],
    ("image", "rm"): ["rmi"],
    ("image", "inspect"): ["inspect"],
    ("buildx", "build"): ["build"],
    ("builder", "build"): ["build"],
}


def _login(words: list[str], _registry: Registry) -> Command:
    options, rest = _options(words, "login", {"--username", "--password"}, {"--password-stdin"})
    user, password = options.get("--username", [""])[-1], options.get("--password", [None])[-1]
    if not user or (password is None) == ("--password-stdin" not in options):
        raise UnsupportedCommandError("docker login needs --username with --password-stdin or --password")
    server = (rest or [_DOCKER_HUB])[0].removeprefix("https://").partition("/")[0]
    return Login(server, user, password)


def _logout(words: list[str], _registry: Registry) -> Command:
    return Logout((words or [_DOCKER_HUB])[0].removeprefix("https://").partition("/")[0])


def _build(words: list[str], _registry: Registry) -> Command:
    options, rest = _options(words, "build", _OF_BUILD | (_IGNORED - _IGNORED_FLAGS), _FLAGS_OF_BUILD | _IGNORED_FLAGS)
    if len(rest) != 1 or rest[0] == "-" or "://" in rest[0]:
        told = "needs one folder as its context" if len(rest) != 1 else f"takes a folder as its context, not {rest[0]}"
        raise UnsupportedCommandError(f"docker build {told}")
    context = rest[0]
    file = options.get("--file", [None])[-1] or f"{context.rstrip('/')}/Dockerfile"
    kept = {name: values for name, values in options.items() if name in _OF_BUILD and name != "--file"}
    named = [word for name, values in kept.items() for value in values for word in (name, str(value))]
    flags = [f"{name}={said[-1]}" if said[-1] else name for name, said in options.items() if name in _FLAGS_OF_BUILD]
    values = dict(str(each).partition("=")[::2] for each in options.get("--build-arg", []) if "=" in str(each))
    return Build((*named, *flags, "--file", file), file, context, values, "--quiet" in options)


def _push(words: list[str], registry: Registry) -> Command:
    _, rest = _options(words, "push", set(), {"--quiet"})
    image = with_tag(_one(rest, "push"))
    return Push(image, registry.reached(image))


def _pull(words: list[str], registry: Registry) -> Command:
    options, rest = _options(words, "pull", {"--platform"}, {"--quiet"})
    image = _one(rest, "pull")
    refuse_others([image], registry)
    platform = [word for value in options.get("--platform", []) for word in ("--platform", str(value))]
    return Plain(("pull", *platform, image))


def _tag(words: list[str], _registry: Registry) -> Command:
    if len(words) != 2 or any(word.startswith("-") for word in words):
        raise UnsupportedCommandError('"docker tag" requires exactly 2 arguments: the image, and its new name')
    return Plain(("tag", *words))


def _images(words: list[str], _registry: Registry) -> Command:
    options, rest = _options(words, "images", {"--format"}, {"--quiet", "--all", "--digests", "--no-trunc"})
    if "--format" in options:
        raise UnsupportedCommandError("docker images --format isn't done here; docker image inspect --format is")
    return Plain(("images", *(name for name in options if name != "--format"), *rest))


def _remove(words: list[str], _registry: Registry) -> Command:
    options, rest = _options(["--force" if word == "-f" else word for word in words], "rmi", set(), {"--force"})
    return Plain(("rmi", *options, *rest))


def _inspect(words: list[str], _registry: Registry) -> Command:
    options, rest = _options(words, "inspect", {"--format", "--type"}, set())
    return Inspect(tuple(rest), options.get("--format", [None])[-1])


def _version(_words: list[str], _registry: Registry) -> Command:
    return Plain(("version",))


def _info(_words: list[str], registry: Registry) -> Command:
    return Say(
        f"docker of the embedded CodeBuild, without a daemon; {registry.host} is the embedded ECR at {registry.address}"
    )


_READERS: Mapping[str, Callable[[list[str], Registry], Command]] = {
    "login": _login,
    "logout": _logout,
    "build": _build,
    "push": _push,
    "pull": _pull,
    "tag": _tag,
    "images": _images,
    "rmi": _remove,
    "inspect": _inspect,
    "version": _version,
    "info": _info,
}


def _one(words: list[str], command: str) -> str:
    if len(words) != 1:
        raise UnsupportedCommandError(f'"docker {command}" requires exactly 1 argument: the image')
    return words[0]


def _options(
    words: list[str], command: str, with_value: set[str] | frozenset[str], flags: set[str] | frozenset[str]
) -> tuple[dict[str, list[str | None]], list[str]]:
    """A command line's options by their long names, and what isn't one."""
    options: dict[str, list[str | None]] = {}
    rest, left = list[str](), list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, has_value, value = word.partition("=")
        name = _SHORT.get(name, name)
        if name in flags:
            options.setdefault(name, []).append(value or None)
        elif name in with_value and (has_value or left):
            options.setdefault(name, []).append(value if has_value else left.pop(0))
        else:
            known = ", ".join(sorted(with_value | flags))
            raise UnsupportedCommandError(f"docker {command} {name} isn't done here; its options are {known}")
    return options, rest


def with_tag(image: str) -> str:
    """An image's name with its tag, `latest` where it has none."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"


def bases(dockerfile: str, values: Mapping[str, str]) -> list[str]:
    """The images that a Dockerfile begins with or copies from, with the values of its ARGs as far as they are known."""
    known, stages, found = dict(values), set[str](), list[str]()
    for words in _instructions(dockerfile):
        instruction = words[0].upper()
        if instruction == "ARG":
            for word in words[1:]:
                name, has_default, default = word.partition("=")
                if has_default:
                    known.setdefault(name, default)
        elif instruction == "FROM":
            image, *alias = [_filled(word, known) for word in words[1:] if not word.startswith("--")] or [""]
            found += [image] if image.lower() not in stages else []
            stages |= {alias[1].lower()} if len(alias) > 1 else set()
        elif instruction == "COPY":
            copied = [_filled(word.removeprefix("--from="), known) for word in words if word.startswith("--from=")]
            found += [image for image in copied if image.lower() not in stages and not image.isdigit()]
    return found


def _instructions(dockerfile: str) -> Iterator[list[str]]:
    lines = [line for line in dockerfile.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").split("\n"):
        try:
            words = shlex.split(line)
        except ValueError:
            words = line.split()  # a quote that goes on elsewhere, as in a shell's command
        if words:
            yield words


def _filled(word: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found[1] or found[2], found[3] or ""), word)


def is_of_ecr(server: str) -> bool:
    """Whether a registry is one of ECR's, all of which take an account's tokens."""
    return _ECR.fullmatch(server) is not None


def refuse_others(images: Sequence[str], registry: Registry) -> None:
    """Refuse images of registries of AWS's accounts other than this one's, which nobody here could be given.

    Raises UnsupportedCommandError.
    """
    for image in images:
        found = _ECR.fullmatch(image.partition("/")[0])
        if found is not None and found[0] != registry.host:
            raise UnsupportedCommandError(
                f"pull access denied for {image}: its registry is that of AWS account {found['account']} in "
                f"{found['region']}, which can't be reached without an AWS account. The embedded ECR is "
                f"{registry.host}: push an image to it, and begin FROM that; or build this in an account"
            )
