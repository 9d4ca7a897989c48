"""How the containers of a pipeline's Dockerfile start, as far as its text tells."""

from __future__ import annotations

import re

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::-([^}]*))?\})")


def started_like(text: str) -> str | None:
    """The image as which the last stage's containers start, through earlier stages and defaults of ARGs.

    None where a stage on the way says by ENTRYPOINT or CMD how they start.
    """
    defaults: dict[str, str] = {}
    stages: dict[str, str | None] = {}
    image, stage = None, ""
    for instruction, words in _instructions(text):
        if instruction == "ARG":
            defaults |= _defaults(words)
        elif instruction == "FROM":
            base, *alias = [_filled(word, defaults) for word in words if not word.startswith("--")] or [""]
            image, stage = stages.get(base.lower(), base), alias[-1].lower() if alias else ""
        elif instruction in ("ENTRYPOINT", "CMD"):
            image = None
        if stage:
            stages[stage] = image
    return image


def _instructions(text: str) -> list[tuple[str, list[str]]]:
    lines = [line.split() for line in text.splitlines()]
    return [(words[0].upper(), words[1:]) for words in lines if words]


def _defaults(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    return {name: value.strip("\"'") for name, _, value in pairs if value}


def _filled(word: str, defaults: dict[str, str]) -> str:
    """A word with the defaults of the ARGs that it names."""
    return _VARIABLE.sub(lambda found: defaults.get(found[1] or found[2], found[3] or ""), word)
