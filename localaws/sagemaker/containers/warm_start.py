"""How a container may begin in a warm interpreter, as whoever describes the container knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from localaws.confinement import startup
from localaws.sagemaker.containers import script_reading
from localaws.sagemaker.containers.opt_ml import OPT_ML, located
from localaws.sagemaker.containers.script_reading import Reading

_SHOWS_ITS_TEXT = "-c"


@dataclass(frozen=True)
class Warm:
    """What is forked of which interpreter.

    python: the image's interpreter; its environment is the folder above it. imports: what it has imported.
    variables: those of the program that is forked. reading: what is known of that.
    forks: the container's own "program", the script of its own program, which is "train", or the "scripts" of a `train`
    that another program starts.
    """

    python: Path
    imports: tuple[str, ...]
    variables: Mapping[str, str]
    reading: Reading
    forks: Literal["program", "train", "scripts"] = "program"

    @property
    def root(self) -> Path:
        """The environment's folder."""
        return self.python.parent.parent


def framework(imports: Sequence[str]) -> frozenset[str]:
    """The packages of which these are modules."""
    return frozenset(name.partition(".")[0] for name in imports)


def reading_of_command(command: Sequence[str], ml: Path, imports: Sequence[str]) -> Reading | None:
    """What the program of a container's own command is; None where it isn't one that Python runs from /opt/ml."""
    words, _ = startup.without_env(list(command), {})
    if len(words) < 2 or not Path(words[0]).name.startswith("python"):
        return None
    if words[1] == _SHOWS_ITS_TEXT:
        return script_reading.of_text(words[2], framework(imports)) if len(words) > 2 else None
    if not words[1].startswith(OPT_ML) or ".." in words[1].split("/"):
        return None
    script = located(words[1], ml)
    return script_reading.of_file(script, [script.parent], framework(imports)) if script.is_file() else None
