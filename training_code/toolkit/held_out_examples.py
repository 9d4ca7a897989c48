"""The held-out examples of a job that judges or compares: the options that say how they are read, and the reading."""

from __future__ import annotations

import argparse
from pathlib import Path

from contract import held_out
from toolkit import heldout, predictions, served


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `contract.held_out.arguments`."""
    parser.add_argument("--label", type=int, default=0, help="column of the held-out files with the label (default: 0)")
    parser.add_argument("--label-name", help="the label's column, key or array by its name, instead of --label")
    parser.add_argument("--labels", help="several of these, as a JSON list, where a model answers several numbers")
    parser.add_argument("--any-label", action="store_true", help="a label may be a list or an object")
    parser.add_argument("--header", choices=["true", "false"], help="of CSV (default: true with --label-name)")
    parser.add_argument("--format", choices=held_out.FORMATS, help="of the files (default: as their endings tell)")
    parser.add_argument("--segment", type=int, help="column whose values are judged by themselves, too")
    parser.add_argument("--segment-name", help="that column, or a key, by its name")


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
