"""The formats of `docker image inspect`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from localaws.builds.docker_command import UnsupportedCommandError

_ACTION = re.compile(r"\{\{(.*?)\}\}")
_PATH = re.compile(r"(?P<json>json )?(?P<path>(?:\.[A-Za-z]+)+|\.)")
_INDEX = re.compile(r"index (?P<path>(?:\.[A-Za-z]+)+) (?P<at>\d+|\"[^\"]*\")")


def formatted(image: Mapping[str, Any], template: str | None) -> str:
    """An image in a format of docker's. Raises UnsupportedCommandError for a template that isn't one of the plain."""
    if template is None:
        return json.dumps([image], indent=4)
    return _ACTION.sub(lambda found: _evaluated(image, found[1].strip()), template)


def _evaluated(image: Mapping[str, Any], action: str) -> str:
    if found := _PATH.fullmatch(action):
        value = _at(image, found["path"])
        return json.dumps(value) if found["json"] else _go(value)
    if found := _INDEX.fullmatch(action):
        value, at = _at(image, found["path"]), json.loads(found["at"])
        try:
            return _go(value[at])
        except (IndexError, KeyError, TypeError):
            raise UnsupportedCommandError(f"error calling index: {found['path']} has no {found['at']}") from None
    known = "{{.Field.Field}}, {{json .Field}} and {{index .Field N}}"
    raise UnsupportedCommandError(f"the format {{{{{action}}}}} isn't done here; what is: {known}")


def _at(image: Mapping[str, Any], path: str) -> Any:
    value: Any = image
    for name in path.strip(".").split("."):
        if name and (not isinstance(value, Mapping) or name not in value):
            raise UnsupportedCommandError(f"the image has no {path}")
        value = value[name] if name else value
    return value


def _go(value: Any) -> str:
    """A value as Go's templates print it."""
    if isinstance(value, list):
        return f"[{' '.join(map(_go, value))}]"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{name}:{_go(each)}' for name, each in sorted(value.items()))}]"
    return str(value).lower() if isinstance(value, bool) else "<nil>" if value is None else str(value)
