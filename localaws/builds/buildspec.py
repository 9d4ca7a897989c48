"""buildspec.yml as values: version 0.2, its phases and variables. What isn't done here is refused by name.

Source: "Build specification reference for CodeBuild" (CodeBuild User Guide); "Build phase transitions".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

PHASES = ("install", "pre_build", "build", "post_build")
_SHELLS = ("sh", "/bin/sh", "bash", "/bin/bash")
_ABORT, _CONTINUE = "ABORT", "CONTINUE"
_TOP = ("version", "env", "phases")
_ENV = ("shell", "variables", "exported-variables")
_PHASE = ("on-failure", "commands", "finally")


class BuildspecError(Exception):
    """The buildspec can't be run; the text says where, and what would be right."""


@dataclass(frozen=True)
class Phase:
    """A phase: its commands, those that come at its end in any case, and whether a failure lets the next one begin."""

    name: str
    commands: tuple[str, ...]
    at_last: tuple[str, ...] = ()
    goes_on: bool = False


@dataclass(frozen=True)
class Buildspec:
    """What a build does. `exported` are the variables that the build's record shows at the end."""

    phases: tuple[Phase, ...]
    variables: Mapping[str, str]
    exported: tuple[str, ...] = ()
    shell: str = "/bin/sh"

    def document(self) -> dict[str, Any]:
        """As the agent reads it."""
        return {
            "shell": self.shell,
            "exported": list(self.exported),
            "phases": [
                {
                    "name": phase.name.upper(),
                    "commands": list(phase.commands),
                    "finally": list(phase.at_last),
                    "goes_on": phase.goes_on,
                }
                for phase in self.phases
            ],
        }


def parse(text: str) -> Buildspec:
    """A buildspec from YAML, or JSON, which is YAML too. Raises BuildspecError."""
    document = _mapping(_loaded(text), "the buildspec")
    if str(document.get("version")) != "0.2":
        raise BuildspecError(f"version is {document.get('version', 'missing')}; the version that is run here is 0.2")
    _only(document, _TOP, "the buildspec")
    env = _mapping(document.get("env") or {}, "env")
    _only(env, _ENV, "env")
    phases = _mapping(document.get("phases") or {}, "phases")
    _only(phases, PHASES, "phases")
    found = tuple(_phase(name, phases[name]) for name in PHASES if phases.get(name) is not None)
    if not found:
        raise BuildspecError(f"phases has none of {', '.join(PHASES)}: there is nothing to run")
    exported = env.get("exported-variables") or []
    if not isinstance(exported, list) or not all(isinstance(name, str) for name in exported):
        raise BuildspecError("env/exported-variables has to be a list of names")
    return Buildspec(found, _variables(env.get("variables") or {}), tuple(exported), _shell(env.get("shell", "sh")))


def _loaded(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildspecError(" ".join(str(error).split())) from None


def _shell(name: Any) -> str:
    if name not in _SHELLS:
        raise BuildspecError(f"env/shell is {name}; the shells that are run here are {', '.join(_SHELLS)}")
    return str(name) if str(name).startswith("/") else f"/bin/{name}"


def _variables(found: Any) -> dict[str, str]:
    variables = _mapping(found, "env/variables")
    for name, value in variables.items():
        if isinstance(value, dict | list) or value is None:
            raise BuildspecError(f"env/variables/{name} has to be a text")
    return {str(name): _text(value) for name, value in variables.items()}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _phase(name: str, found: Any) -> Phase:
    phase = _mapping(found, f"phases/{name}")
    _only(phase, _PHASE, f"phases/{name}")
    on_failure = phase.get("on-failure", _ABORT)
    if on_failure not in (_ABORT, _CONTINUE):
        raise BuildspecError(f"phases/{name}/on-failure is {on_failure}; here it can be {_ABORT} or {_CONTINUE}")
    commands, at_last = (_commands(phase.get(key), f"phases/{name}/{key}") for key in ("commands", "finally"))
    if not commands and not at_last:
        raise BuildspecError(f"phases/{name} has no commands")
    return Phase(name, commands, at_last, on_failure == _CONTINUE)


def _commands(found: Any, where: str) -> tuple[str, ...]:
    if found is None:
        return ()
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list):
        raise BuildspecError(f"{where} has to be a list of commands")
    for number, command in enumerate(listed):
        if isinstance(command, dict | list) or command is None:
            # CodeBuild's words for a colon that YAML has read as a key.
            told = "found subkeys instead" if isinstance(command, dict | list) else "found nothing instead"
            raise BuildspecError(f"Expected {where}[{number}] to be of string type: {told}")
    return tuple(_text(command) for command in listed)


def _mapping(found: Any, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise BuildspecError(f"{where} has to be a mapping")
    return found


def _only(found: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    unknown = [str(name) for name in found if name not in known]
    if unknown:
        raise BuildspecError(f"{where} has {', '.join(unknown)}; what is done here is {', '.join(known)}")
