"""The held-out examples of a job that judges or compares, as its options say how they are read (heldout.options)."""

from __future__ import annotations

import argparse
from pathlib import Path

from contract import held_out
from toolkit import heldout, predictions, served


def read(folder: Path, source: Path, given: argparse.Namespace) -> list[heldout.Example]:
    """The examples of the test channel; the log says what was found and how it was read.

    It is the deployed serve.py that may read them by itself, not one that training has put into a model.

    Args:
        source: the source archive, as it is unpacked.
        given: the options.
    """
    first = served.containers(source)[0].entry
    script = source / first
    if script.is_file() and held_out.defines_reader(script.read_text(errors="replace")):
        examples, found = (
            predictions.own_examples(source, folder, first, any_label=given.any_label),
            f"as {held_out.READER} of {first} reads it",
        )
    else:
        files = heldout.read(folder, held_out.from_arguments(given))
        examples, found = files.examples, files.found
    return told(examples, found)


def told(examples: list[heldout.Example], found: str) -> list[heldout.Example]:
    """The examples, of which the log says what they are."""
    print(f"held-out data: {found}\nheld-out data: {heldout.summary(examples)}", flush=True)
    return examples
