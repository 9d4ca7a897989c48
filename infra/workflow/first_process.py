"""The first process of a training container: the toolkit's entry_point.py, which passes SIGTERM on to the script.

The request brings its text, since nothing of ours is in a framework image when it starts: each line an argument of a
Python that joins them, and that starts fast, without the image's packages. Limits of the API: 100 arguments of 256
characters (AlgorithmSpecification, API reference).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from contract import files
from infra.workflow.requests import Document
from ratchet.spec import PipelineSpec

_PROGRAM = Path(__file__).parents[2] / "training_code" / files.TOOLKIT / "entry_point.py"
_JOINED = "import sys; exec('\\n'.join(sys.argv[1:]))"


def first_process(spec: PipelineSpec) -> Document:
    """Members of AlgorithmSpecification; none for an image of the user's own, which starts as it says itself."""
    return {} if spec.is_own_container else passing_signals_on()


@cache
def passing_signals_on() -> Document:
    """The command that stands before a framework image's own."""
    lines = [line for line in _PROGRAM.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {"ContainerEntrypoint": ["python3", "-I", "-S", "-c", _JOINED], "ContainerArguments": lines}
