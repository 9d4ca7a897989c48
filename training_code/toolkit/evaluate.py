"""The evaluation job: challenger and champion answer the same held-out examples, and are compared.

It runs as a SageMaker processing job in the model's own image. Each model predicts through the serve.py inside its own
model.tar.gz, so that what is judged is what serves. Everything lies under /opt/ml/processing:

    input/test/*.csv                    held-out examples, no header, the label in column --label
    input/challenger/model.tar.gz
    input/champion/model.tar.gz         not there for the first model
    output/evaluation.json              the result:

    {"metric": "f1_macro", "examples": 500,
     "challenger": {"score": 0.96, "interval": [0.94, 0.98]},
     "champion": {"score": 0.88, "interval": [0.85, 0.91]},     null without a champion, as are the next two
     "difference": 0.08, "interval": [0.05, 0.10],              challenger - champion, paired
     "confidence": 0.95, "resamples": 2000, "seed": 20260730,
     "metrics": {"accuracy": 0.96, ...},                        of the challenger, for people
     "answers": {...},                                          of single classes and examples (toolkit.answers)
     "samples": [{"body": "0,1,…", "answer": "7"}, ...]}        asked alone, text/csv; the endpoint is asked them again

What goes wrong is one sentence on stderr and in /opt/ml/output/message, which SageMaker returns as ExitMessage
(API reference, DescribeProcessingJob).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Run as a script: the folder above the toolkit takes the place of the toolkit's own on the import path.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from toolkit import archives, heldout, predictions
from toolkit.container import base_folder
from toolkit.errors import ToolkitError

# After the toolkit, which sees that it can be imported.
from contract import files  # isort: skip

ML = base_folder()
# API reference, DescribeProcessingJob, ExitMessage.
EXIT_MESSAGE_LENGTH = 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates, writes evaluation.json, and says in a sentence what went wrong if something did."""
    arguments = _parser().parse_args(argv)
    try:
        evaluation = evaluate(arguments)
    except ToolkitError as error:
        _tell(str(error))
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, it must surface in ExitMessage
        traceback.print_exc()
        _tell(f"evaluation failed unexpectedly: {type(error).__name__}: {error}")
        return 1
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / files.EVALUATION_FILE).write_text(json.dumps(evaluation, indent=2, allow_nan=False) + "\n")
    print(_summary(evaluation), flush=True)
    return 0


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    """The document of evaluation.json.

    Raises:
        ToolkitError: something given can't be used; the message says what, where, and what would be right.
    """
    challenger = arguments.input / files.CHALLENGER_INPUT / files.MODEL_ARCHIVE
    champion = arguments.input / files.CHAMPION_INPUT / files.MODEL_ARCHIVE
    if not challenger.is_file():
        raise ToolkitError(f"no model to judge: {challenger} is missing")
    examples = heldout.read(arguments.input / files.TEST_INPUT, arguments.label)
    print(f"held-out examples: {len(examples)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        models = {"challenger": archives.extract(challenger, Path(folder, "challenger"))}
        if champion.is_file():
            models["champion"] = archives.extract(champion, Path(folder, "champion"))
        answers = predictions.predict(models, examples)
    # They import NumPy, which wrong input shouldn't have to wait for.
    from toolkit import answers as details
    from toolkit import bootstrap, judgement

    labels = [example.label for example in examples]
    texts = {name: answer.texts for name, answer in answers.items()}
    judged = judgement.judge(
        metric=arguments.metric,
        labels=labels,
        answers=texts,
        how=bootstrap.Resampling(arguments.confidence, arguments.resamples, arguments.seed),
    )
    asked = [(example.place, example.row) for example in examples]
    told = {files.ANSWERS: details.detail(arguments.metric, labels, texts, asked)}
    return {**judged, **told, "samples": answers["challenger"].samples}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compares the challenger with the champion on held-out examples.")
    parser.add_argument("--metric", required=True, help="a scikit-learn scorer's name, of labels or of numbers")
    parser.add_argument("--label", type=int, default=0, help="column of the held-out files with the label (default: 0)")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the interval (default: 0.95)")
    parser.add_argument("--resamples", type=int, default=2000, help="of the bootstrap (default: 2000)")
    parser.add_argument("--seed", type=int, default=20260730, help="of the bootstrap")
    parser.add_argument("--input", type=Path, default=ML / "processing" / "input", help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=ML / "processing" / "output", help="default: %(default)s")
    return parser


def _tell(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr, flush=True)
    message = ML / "output" / "message"
    try:
        message.parent.mkdir(parents=True, exist_ok=True)
        message.write_text(sentence[:EXIT_MESSAGE_LENGTH])
    except OSError as error:
        print(f"(couldn't write {message}: {error})", file=sys.stderr)


def _summary(evaluation: dict[str, Any]) -> str:
    metric, champion = evaluation["metric"], evaluation["champion"]
    text = f"challenger:{metric}={evaluation['challenger']['score']:.4f}"
    if champion is None:
        return f"{text} (no champion yet)"
    low, high = evaluation["interval"]
    difference = f"difference={evaluation['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
    return f"{text} champion:{metric}={champion['score']:.4f} {difference}"


if __name__ == "__main__":
    sys.exit(main())
