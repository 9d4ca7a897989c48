"""The compile job: makes of a trained model one in ONNX, and refuses it where it answers otherwise than the original.

It runs as a SageMaker processing job in the image that evaluates, before the evaluation, which judges what comes of it.
The model's own code makes the ONNX (toolkit.compiled), and both models answer the held-out examples, each in a process
that doesn't see what is right (toolkit.confinement). Everything lies under /opt/ml/processing:

    input/code/sourcedir.tar.gz     unpacked already: this file is part of it
    input/test/                     held-out examples, as the evaluation reads them
    input/trained/model.tar.gz
    output/model.tar.gz             the compiled model, with all that serves it (contract.compiled)
    output/compiled.json            how it was made:

    {"target": "onnx", "precision": "int8", "examples": 500, "unequal": 1, "agreement": 0.998, "tolerance": 0.005,
     "bytes": {"original": 1300000, "compiled": 340000},       of the models, without code and runtime
     "tried": {"float32": {"unequal": 0, "bytes": …}, "int8": …},
     "versions": {"python": "3.12", "numpy": "2.4.6", "onnxruntime": "1.31.1"}}

What has come of it is one sentence in /opt/ml/output/message, which SageMaker returns as ExitMessage.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Run as a script: the folder above the toolkit takes the place of the toolkit's own on the import path.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from toolkit import archives, confinement, exit_message, held_out_examples, predictions, requirements
from toolkit.compiled import comparing, making, packing
from toolkit.compiled.making import FLOAT32, INT8
from toolkit.container import base_folder
from toolkit.errors import NoAnswersError, ToolkitError
from toolkit.heldout import Example, options

# After the toolkit, which sees that it can be imported.
from contract import compiled, files  # isort: skip
from contract.thresholds import THRESHOLD  # isort: skip

ML = base_folder()
# The source archive, as it is unpacked: the model's code, the toolkit, the contract.
SOURCE = Path(__file__).resolve().parents[1]
# Where its requirements are installed, and what converts: of that the models' processes see nothing.
PACKAGES, TOOLS = SOURCE / ".packages", SOURCE / ".compilers"
WANTED = Path(__file__).parent / "compiled" / files.REQUIREMENTS
LEAST_PYTHON = (3, 11)
# How the models are called in sentences.
ORIGINAL, NAMES = "original model", {FLOAT32: "compiled model", INT8: "compiled model in int8"}


@dataclass(frozen=True)
class Compared:
    """A compiled form of the model: its folder, its size, and which examples it answers otherwise."""

    folder: Path
    size: int
    unequal: list[int]


def main(argv: Sequence[str] | None = None) -> int:
    """Compiles, and says in a sentence what has come of it."""
    arguments = _parser().parse_args(argv)
    try:
        check_python(sys.version_info[:2])
        if (wanted := SOURCE / files.REQUIREMENTS).is_file() and not PACKAGES.is_dir():
            requirements.install(wanted, PACKAGES, what="compiling")
            requirements.begin_anew(Path(__file__), PACKAGES, argv)
        if not TOOLS.is_dir():
            requirements.install_alone(WANTED, TOOLS, what="compiling")
        report = compile_model(arguments)
    except ToolkitError as error:
        exit_message.tell(str(error), ML)
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, it must surface in ExitMessage
        traceback.print_exc()
        exit_message.tell(f"compiling failed unexpectedly: {type(error).__name__}: {error}", ML)
        return 1
    exit_message.say(summary(report), ML)
    return 0


def check_python(version: tuple[int, ...]) -> None:
    """Raises ToolkitError for an image whose Python is too old for onnxruntime."""
    if version < LEAST_PYTHON:
        needed, here = (".".join(map(str, one)) for one in (LEAST_PYTHON, version))
        raise ToolkitError(
            f"deploy.compile needs an image with Python {needed} or newer, as onnxruntime does, this one has {here}; "
            "name a later version of the framework"
        )


def compile_model(arguments: argparse.Namespace) -> dict[str, Any]:
    """Writes the compiled model and its report, which is returned.

    Raises:
        ToolkitError: it can't be compiled, or answers otherwise; the message says what, where, and what would be right.
    """
    test = arguments.input / files.TEST_INPUT
    trained = arguments.input / compiled.TRAINED_INPUT / files.MODEL_ARCHIVE
    if not trained.is_file():
        raise ToolkitError(f"no model to compile: {trained} is missing")
    with tempfile.TemporaryDirectory() as above:
        original = archives.extract(trained, Path(above, "original"))
        confined = confinement.confinement(test, [Path(above), SOURCE])
        print(confined.sentence, flush=True)
        made = making.in_a_process(confined, original, TOOLS, int8=arguments.int8)
        packed = {
            precision: packing.pack(original, content, made.kept, TOOLS / "onnxruntime", Path(above, precision))
            for precision, content in made.models.items()
        }
        models = _models(original, packed, confined)
        try:
            examples = held_out_examples.read(test, SOURCE, arguments)
            answers = models.answer(examples, several=True, with_confidence=THRESHOLD in os.environ)
        finally:
            models.close()
        found = {
            precision: Compared(folder, len(made.models[precision]), _unequal(answers, NAMES[precision]))
            for precision, folder in packed.items()
        }
        precision = chosen(found, len(examples), arguments.tolerance)
        if precision is None:
            raise ToolkitError(_refusal(found, answers, examples, arguments.tolerance))
        report = _report(precision, found, len(examples), arguments.tolerance, _size(original))
        _write(found[precision].folder, report, arguments.output)
    return report


def _models(original: Path, packed: dict[str, Path], confined: confinement.Confinement) -> predictions.Models:
    folders = {ORIGINAL: original, **{NAMES[precision]: folder for precision, folder in packed.items()}}
    without = {NAMES[precision]: making.not_at_hand(folder / "code") for precision, folder in packed.items()}
    return predictions.Models(folders, confined, without)


def _unequal(answers: dict[str, predictions.Answers | NoAnswersError], name: str) -> list[int]:
    """The indices of the examples that a compiled model answers otherwise. Raises NoAnswersError."""
    return comparing.unequal(_of(ORIGINAL, answers), _of(name, answers))


def _of(name: str, answers: dict[str, predictions.Answers | NoAnswersError]) -> list[str]:
    given = answers[name]
    if isinstance(given, NoAnswersError):
        raise given
    return given.texts


def chosen(found: dict[str, Compared], examples: int, tolerance: float) -> str | None:
    """int8 where it keeps the answers, else float32; None where that doesn't, either."""
    for precision in (INT8, FLOAT32):
        if precision in found and len(found[precision].unequal) <= tolerance * examples:
            return precision
    return None


def _refusal(
    found: dict[str, Compared],
    answers: dict[str, predictions.Answers | NoAnswersError],
    examples: Sequence[Example],
    tolerance: float,
) -> str:
    unequal, name = found[FLOAT32].unequal, NAMES[FLOAT32]
    first = unequal[0]
    was, became = (_of(model, answers)[first][:60] for model in (ORIGINAL, name))
    return (
        f"the compiled model answers {len(unequal)} of {len(examples)} held-out examples otherwise than the original, "
        f"and deploy.compile.tolerance ({tolerance:g}) lets {int(tolerance * len(examples))} pass: the answer to "
        f"{examples[first].place} was {was} and became {became}; raise the tolerance, or leave deploy.compile out"
    )


def _report(precision: str, found: dict[str, Compared], examples: int, tolerance: float, before: int) -> dict[str, Any]:
    one = found[precision]
    return {
        "target": compiled.ONNX,
        "precision": precision,
        "examples": examples,
        "unequal": len(one.unequal),
        "agreement": 1 - len(one.unequal) / examples,
        "tolerance": tolerance,
        "bytes": {"original": before, "compiled": one.size},
        "tried": {name: {"unequal": len(each.unequal), "bytes": each.size} for name, each in found.items()},
        "versions": {
            "python": ".".join(platform.python_version_tuple()[:2]),
            **{name: requirements.installed_version(name, TOOLS) for name in ("numpy", "onnxruntime")},
        },
    }


def _size(folder: Path) -> int:
    """Of the model's files, without its code."""
    code = folder / "code"
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and code not in path.parents)


def _write(folder: Path, report: dict[str, Any], output: Path) -> None:
    text = json.dumps(report, indent=2) + "\n"
    (folder / compiled.FIGURES_FILE).write_text(text)
    packing.archive(folder, output / files.MODEL_ARCHIVE)
    (output / compiled.FIGURES_FILE).write_text(text)


def summary(report: dict[str, Any]) -> str:
    """What has come of it, in a sentence."""
    before, after = (report["bytes"][which] / 1e6 for which in ("original", "compiled"))
    return (
        f"compiled to {report['target']}, {report['precision']}: {report['examples'] - report['unequal']} of "
        f"{report['examples']} held-out examples are answered as by the original; {before:.3g} MB became {after:.3g} MB"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compiles a trained model, and compares its answers.")
    parser.add_argument("--tolerance", type=float, default=compiled.TOLERANCE, help="share of unequal answers")
    parser.add_argument("--int8", action="store_true", help="take int8 where that keeps the answers")
    options.add_to(parser)
    parser.add_argument("--input", type=Path, default=ML / "processing" / "input", help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=ML / "processing" / "output", help="default: %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
