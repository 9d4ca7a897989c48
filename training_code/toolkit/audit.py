"""The job of `ratchet labels`: audits the labels of a channel, with the folder's own code where it has a learner.

It runs as a SageMaker processing job in the image that trains. Everything lies under /opt/ml/processing:

    input/code/sourcedir.tar.gz     unpacked already: this file is part of it
    input/data/                     the channel; of one with a manifest, what it points to
    input/manifest/                 such a manifest, where it lies elsewhere
    output/audit.json               what was found (contract.label_audits)

What goes wrong is one sentence on stderr and in /opt/ml/output/message, which SageMaker returns as ExitMessage.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Run as a script: the folder above the toolkit takes the place of the toolkit's own on the import path.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from toolkit import exit_message, heldout, requirements
from toolkit.container import base_folder
from toolkit.errors import ToolkitError
from toolkit.heldout import options, pictures

# After the toolkit, which sees that it can be imported.
from contract import files, held_out, label_audits  # isort: skip

ML = base_folder()
# The source archive, as it is unpacked: the model's code, the toolkit, the contract.
SOURCE = Path(__file__).resolve().parents[1]
PACKAGES = SOURCE / ".packages"


def main(argv: Sequence[str] | None = None) -> int:
    """Audits, writes audit.json, and says in a sentence what went wrong if something did."""
    arguments = _parser().parse_args(argv)
    try:
        if (wanted := SOURCE / files.REQUIREMENTS).is_file() and not PACKAGES.is_dir():
            requirements.install(wanted, PACKAGES, what="the audit")
            requirements.begin_anew(Path(__file__), PACKAGES, argv)
        found = audited(arguments)
    except ToolkitError as error:
        exit_message.tell(str(error), ML)
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, it must surface in ExitMessage
        traceback.print_exc()
        exit_message.tell(f"the audit failed unexpectedly: {type(error).__name__}: {error}", ML)
        return 1
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / label_audits.AUDIT).write_text(json.dumps(found, allow_nan=False) + "\n")
    told = f"{len(found['suspects'])} suspects are told; about {found['estimated_errors']:g} labels are wrong"
    print(f"labels: {told}, of {found['examples']}", flush=True)
    return 0


def audited(arguments: argparse.Namespace) -> dict[str, Any]:
    """The document of audit.json.

    Raises:
        ToolkitError: the channel can't be read as it is said, or its labels can't be judged.
    """
    # It imports NumPy, which wrong input shouldn't have to wait for.
    from toolkit.labels.judging import Asked, audit

    how, folder = held_out.from_arguments(arguments), arguments.input / label_audits.DATA_INPUT
    if len(how.labels) > 1:
        raise ToolkitError(
            "evaluate.label names several columns, but an audit is of classes: name one with --attribute"
        )
    try:
        read = _manifest(arguments, how) if arguments.manifest else heldout.read(folder, how)
    except (heldout.DataError, held_out.HeldOutError) as error:
        raise ToolkitError(
            f"the channel {arguments.channel} can't be read as `evaluate` says of the held-out one: {error}"
        ) from error
    print(f"labels: {read.found}\nlabels: {heldout.summary(read.examples)}", flush=True)
    asked = Asked(arguments.folds, arguments.seed, arguments.suspects, _shape(arguments.picture))
    return {
        "version": label_audits.VERSION,
        "channel": arguments.channel,
        "format": held_out.MANIFEST if arguments.manifest else _format(folder, how),
        "reading": {"label": how.label, "header": how.header, "format": how.format},
        **audit(read.examples, asked, SOURCE),
    }


def _manifest(arguments: argparse.Namespace, how: held_out.Reading) -> heldout.HeldOut:
    """The examples of the channel's manifest, which lies among what it points to, or in an input of its own."""
    objects, name = arguments.input / label_audits.DATA_INPUT, Path(arguments.manifest).name
    inside = objects / arguments.manifest
    path = inside if inside.is_file() else arguments.input / label_audits.MANIFEST_INPUT / name
    if not path.is_file():
        raise heldout.DataError(f"there is no manifest {name}")
    examples = pictures.read_manifest(path, name, objects, how)
    if not examples:
        raise heldout.DataError(f"{name} holds no line")
    return heldout.HeldOut(examples, f"the manifest {name}, the label's attribute is {how.label!r}")


def _format(folder: Path, how: held_out.Reading) -> str:
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return held_out.format_of(held_out.data_files(names), how.format)


def _shape(text: str | None) -> tuple[int, int] | None:
    """`8x8`, which the command has looked at."""
    if text is None:
        return None
    height, _, width = text.partition("x")
    return int(height), int(width)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Audits a channel's labels by cross-validated predictions.")
    options.add_to(parser)
    parser.add_argument("--channel", default="train", help="its name, for the document (default: %(default)s)")
    parser.add_argument("--manifest", help="of a channel that has one: its place among what it points to")
    parser.add_argument("--folds", type=int, default=label_audits.FOLDS, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=label_audits.SEED, help="of the folds (default: %(default)s)")
    parser.add_argument(
        "--suspects", type=int, default=label_audits.SUSPECTS, help="told at most (default: %(default)s)"
    )
    parser.add_argument("--picture", help="height and width of the picture that a row's numbers are, as 8x8")
    parser.add_argument("--input", type=Path, default=ML / "processing" / "input", help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=ML / "processing" / "output", help="default: %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
