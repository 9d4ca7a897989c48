"""The options of a job by which it is told how examples' files are read (contract.held_out.arguments)."""

from __future__ import annotations

import argparse

from contract import held_out


def add_to(parser: argparse.ArgumentParser) -> None:
    """Adds them; `held_out.from_arguments` reads what is given."""
    parser.add_argument("--label", type=int, default=0, help="column of the held-out files with the label (default: 0)")
    parser.add_argument("--label-name", help="the label's column, key or array by its name, instead of --label")
    parser.add_argument("--labels", help="several of these, as a JSON list, where a model answers several numbers")
    parser.add_argument("--any-label", action="store_true", help="a label may be a list or an object")
    parser.add_argument("--header", choices=["true", "false"], help="of CSV (default: true with --label-name)")
    parser.add_argument("--format", choices=held_out.FORMATS, help="of the files (default: as their endings tell)")
    parser.add_argument("--segment", type=int, help="column whose values are judged by themselves, too")
    parser.add_argument("--segment-name", help="that column, or a key, by its name")
