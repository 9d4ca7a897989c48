"""The evaluation job: challenger and champion answer the same held-out examples, and are compared.

It runs as a SageMaker processing job in the model's own image. Each model predicts through the serve.py inside its own
model.tar.gz, so that what is judged is what serves, and in a process that doesn't see what is right
(toolkit.confinement). Models of an image of the user's own have answered over HTTP before it begins (`--answered`,
toolkit.answered): it runs in scikit-learn's image then, and has answers in the place of models. Everything lies under
/opt/ml/processing:

    input/test/                         held-out examples: CSV, JSON lines, Parquet, npz, images … (toolkit.heldout),
                                        or whatever heldout_fn of the pipeline's serve.py reads
    input/challenger/model.tar.gz       of several candidates: input/candidate-<name>/model.tar.gz each, of which the
                                        best is the challenger (`--candidate`, toolkit.candidates)
    input/champion/model.tar.gz         not there for the first model
    output/evaluation.json              the result:

    {"metric": "f1_macro", "examples": 500,
     "challenger": {"score": 0.96, "interval": [0.94, 0.98]},
     "champion": {"score": 0.88, "interval": [0.85, 0.91]},     null without a champion, as are the next two;
                                                                {"cannot_answer": why} if these data are beyond it
     "difference": 0.08, "interval": [0.05, 0.10],              challenger - champion, paired
     "confidence": 0.95, "resamples": 2000, "seed": 20260730,
     "metrics": {"accuracy": 0.96, ...},                        of the challenger, for people
     "segments": [{"segment": "north", "examples": 70,          where gate.segments asks; "champion" may be null
                   "score": 0.9, "champion": 0.8,
                   "unjudged": null}, ...],                     why there is no score
     "classes": [{"class": "7", "examples": 51, "precision",    where gate.classes asks
                  "recall", "f1", "champion": {...}}, ...],
     "threshold": {"threshold": "0.8",                          where serving.threshold is said
                   "challenger": {"examples", "answered", "coverage", "coverage_interval", "precision",
                                  "precision_interval"},        of what is answered; none is right of no answer
                   "champion": ...},                            null for one that doesn't say how sure it is
     "not_held_out": ["8"],                                     classes that a model knows, and no example is of
     "candidate": "tf-idf",                                     of candidates: which of them is the challenger, and the
     "candidates": [{"candidate", "score", "interval",          figures of all; "confidence" is of each one's intervals
                     "difference", "difference_interval"}
                    or {"candidate", "cannot_answer": why}],
     "samples": [{"body": "0,1,…", "answer": "7"}, ...]}        asked alone; the endpoint is asked them again. Other
                                                                kinds than text/csv say "content_type", and what is no
                                                                text stands as "body_base64"

What goes wrong is one sentence on stderr and in /opt/ml/output/message, which SageMaker returns as ExitMessage
(API reference, DescribeProcessingJob).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    # Run as a script: the folder above the toolkit takes the place of the toolkit's own on the import path.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from toolkit import (
    answered,
    archives,
    confinement,
    exit_message,
    held_out_examples,
    heldout,
    predictions,
    requirements,
)
from toolkit import candidates as best_candidate
from toolkit.confinement import Confinement
from toolkit.container import base_folder
from toolkit.errors import NoAnswersError, ToolkitError
from toolkit.heldout import options

# After the toolkit, which sees that it can be imported.
from contract import candidates, evaluations, files, held_out  # isort: skip
from contract.thresholds import CURVE, KEPT, THRESHOLD  # isort: skip

if TYPE_CHECKING:
    Judge = Callable[[dict[str, list[str]]], dict[str, Any]]

ML = base_folder()
# The source archive, as it is unpacked: the model's code, the toolkit, the contract.
SOURCE = Path(__file__).resolve().parents[1]
# Where its requirements are installed.
PACKAGES = SOURCE / ".packages"
CHALLENGER, CHAMPION = files.CHALLENGER_INPUT, files.CHAMPION_INPUT


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluates, writes evaluation.json, and says in a sentence what went wrong if something did."""
    arguments = _parser().parse_args(argv)
    try:
        if (wanted := SOURCE / files.REQUIREMENTS).is_file() and not PACKAGES.is_dir():
            requirements.install(wanted, PACKAGES)
            requirements.begin_anew(Path(__file__), PACKAGES, argv)
        evaluation = evaluate(arguments)
    except ToolkitError as error:
        exit_message.tell(str(error), ML)
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, it must surface in ExitMessage
        traceback.print_exc()
        exit_message.tell(f"evaluation failed unexpectedly: {type(error).__name__}: {error}", ML)
        return 1
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / files.EVALUATION_FILE).write_text(json.dumps(evaluation, indent=2, allow_nan=False) + "\n")
    print(f"{best_candidate.summary(evaluation)}{_summary(evaluation)}", flush=True)
    return 0


def evaluate(arguments: argparse.Namespace) -> dict[str, Any]:
    """The document of evaluation.json.

    Raises:
        ToolkitError: something given can't be used; the message says what, where, and what would be right.
    """
    return (_of_answers if arguments.answered else _of_models)(arguments)


def _of_answers(arguments: argparse.Namespace) -> dict[str, Any]:
    """Of models that have answered over HTTP."""
    read = heldout.read(arguments.input / files.TEST_INPUT, held_out.from_arguments(arguments))
    examples = held_out_examples.told(read.examples, read.found)
    parts = answered.parts(arguments.input / files.ASKED, examples)
    several = _several(arguments.metric, examples)
    found = {
        name: answered.answers(arguments.input / name, name, parts, several=several) for name in (CHALLENGER, CHAMPION)
    }
    if found[CHALLENGER] is None:
        raise ToolkitError(f"no answers to judge: {arguments.input / CHALLENGER} is missing")
    given = {name: each for name, each in found.items() if each is not None}
    return compared(given, _judge(arguments, examples, {}))


def _of_models(arguments: argparse.Namespace) -> dict[str, Any]:
    """Of models that answer in this image."""
    challengers = _challengers(arguments)
    champion = arguments.input / files.CHAMPION_INPUT / files.MODEL_ARCHIVE
    with tempfile.TemporaryDirectory() as folder:
        folders = {name: archives.extract(archive, Path(folder, name)) for name, archive in challengers.items()}
        rival, unreadable = _champion(champion, Path(folder, CHAMPION))
        folders.update(rival)
        own = evaluations.is_own(arguments.metric)
        if not own:
            predictions.import_what_all_share()
        models = predictions.Models(folders, _confinement(arguments, Path(folder)))
        try:
            examples = held_out_examples.read(arguments.input / files.TEST_INPUT, SOURCE, arguments)
            several = _several(arguments.metric, examples)
            answers = {
                **models.answer(examples, several=several, with_confidence=THRESHOLD in os.environ),
                **unreadable,
            }
        finally:
            models.close()
        if not arguments.candidate:
            return _as_challenger(arguments, examples, answers)
        return _best_of(arguments, examples, answers)


def _challengers(arguments: argparse.Namespace) -> dict[str, Path]:
    """The archives of the models that may be the challenger, by their inputs' names.

    Raises:
        ToolkitError: there is none.
    """
    if arguments.candidate:
        return best_candidate.archives(arguments.input, arguments.candidate)
    archive = arguments.input / files.CHALLENGER_INPUT / files.MODEL_ARCHIVE
    if not archive.is_file():
        raise ToolkitError(f"no model to judge: {archive} is missing")
    return {CHALLENGER: archive}


def _best_of(
    arguments: argparse.Namespace,
    examples: Sequence[heldout.Example],
    answers: Mapping[str, predictions.Answers | NoAnswersError],
) -> dict[str, Any]:
    """The document of the best candidate as the challenger."""
    confidence = candidates.confidence_of_each(arguments.confidence, len(arguments.candidate))
    of_each = argparse.Namespace(**{**vars(arguments), "confidence": confidence})
    inputs = {name: f"{candidates.INPUT}{name}" for name in arguments.candidate}

    def judge(name: str) -> dict[str, Any]:
        return _as_challenger(of_each, examples, best_candidate.as_challenger(answers, inputs[name]))

    return best_candidate.judged([name for name, input_ in inputs.items() if input_ in answers], judge)


def _as_challenger(
    arguments: argparse.Namespace,
    examples: Sequence[heldout.Example],
    answers: Mapping[str, predictions.Answers | NoAnswersError],
) -> dict[str, Any]:
    given = {name: each for name, each in answers.items() if isinstance(each, predictions.Answers)}
    return compared(answers, _judge(arguments, examples, given))


def _several(metric: str, examples: Sequence[heldout.Example]) -> bool:
    """Whether an answer may be several fields; labels that are lists ask for several numbers."""
    of_several = metric in evaluations.OF_PROBABILITIES or examples[0].label.startswith("[")
    return evaluations.is_own(metric) or of_several


def _confinement(arguments: argparse.Namespace, above: Path) -> Confinement:
    """How the models, whose folders lie in `above`, are kept from the held-out data; the log says so."""
    found = confinement.confinement(arguments.input / files.TEST_INPUT, [above, SOURCE])
    print(found.sentence, flush=True)
    return found


def _judge(
    arguments: argparse.Namespace, examples: Sequence[heldout.Example], given: Mapping[str, predictions.Answers]
) -> Judge:
    """Judges the models' answers as the arguments say. given: what else a model says of itself and of its answers."""
    # They import NumPy, which wrong input shouldn't have to wait for.
    from toolkit import answers as details
    from toolkit import bootstrap, judgement, own_metric, selective

    metric = arguments.metric
    question = judgement.Question(
        metric,
        labels=[example.label for example in examples],
        how=bootstrap.Resampling(arguments.confidence, arguments.resamples, arguments.seed),
        segments=_segments(examples),
        classes=arguments.classes,
        own=own_metric.OwnMetric(metric, SOURCE, arguments.metric_seconds) if evaluations.is_own(metric) else None,
        known={name: each.classes for name, each in given.items() if each.classes},
    )
    sure = {name: each.confidences for name, each in given.items() if each.confidences}
    threshold = os.environ.get(THRESHOLD)
    asked = [(example.place, _text(example)) for example in examples]

    def judge(texts: dict[str, list[str]]) -> dict[str, Any]:
        judged = judgement.judge(question, texts)
        if metric in evaluations.OF_PROBABILITIES:
            return judged
        detailed = details.detail(metric, question.labels, texts, asked)
        if threshold is None:
            return {**judged, files.ANSWERS: detailed}
        at, curve = selective.judged(threshold, question.labels, texts, sure, arguments.confidence)
        return {**judged, KEPT: at, files.ANSWERS: {**detailed, CURVE: curve}}

    return judge


def _segments(examples: Sequence[heldout.Example]) -> dict[str, list[int]] | None:
    """The examples' indices by segment, in the segments' sorted order; None where none is asked for."""
    found: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        if example.segment is not None:
            found.setdefault(example.segment, []).append(index)
    return {name: found[name] for name in sorted(found)} or None


def _champion(archive: Path, folder: Path) -> tuple[dict[str, Path], dict[str, NoAnswersError]]:
    """The champion's extracted model, or why it can't answer; neither without one. A full disk says nothing of it."""
    try:
        return ({CHAMPION: archives.extract(archive, folder)} if archive.is_file() else {}), {}
    except archives.ArchiveError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno is not None:
            raise
        return {}, {CHAMPION: NoAnswersError(CHAMPION, f"the champion can't answer: its {error}")}


def _text(example: heldout.Example) -> str:
    """An example in a report: what a model is asked, or of what kind that is."""
    return example.content if isinstance(example.content, str) else example.content_type


def compared(answers: Mapping[str, predictions.Answers | NoAnswersError], judge: Judge) -> dict[str, Any]:
    """The figures of challenger and champion; of the challenger alone where the champion can't answer, with the reason.

    The champion was made for other data: that they have changed is a fact, on which the gate decides.

    Raises:
        NoAnswersError: the challenger can't answer.
    """
    challenger = _of(CHALLENGER, answers)
    texts = {CHALLENGER: challenger.texts}
    try:
        rival = {CHAMPION: _of(CHAMPION, answers).texts} if CHAMPION in answers else {}
        judged = judge({**texts, **rival})
    except NoAnswersError as error:
        if error.model != CHAMPION:
            raise
        judged = {**judge(texts), CHAMPION: {evaluations.CANNOT_ANSWER: evaluations.short(str(error))}}
    return {**judged, "samples": challenger.samples}


def _of(name: str, answers: Mapping[str, predictions.Answers | NoAnswersError]) -> predictions.Answers:
    answered = answers[name]
    if isinstance(answered, NoAnswersError):
        raise answered
    return answered


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Compares the challenger with the champion on held-out examples.")
    parser.add_argument("--metric", required=True, help="a scikit-learn scorer's name, or <module>.<function>")
    options.add_to(parser)
    parser.add_argument("--classes", action="store_true", help="judge each class by itself, too")
    parser.add_argument("--answered", action="store_true", help="the models have answered over HTTP: judge that")
    parser.add_argument("--candidate", action="append", default=[], help="one of several challengers, by its name")
    parser.add_argument("--metric-seconds", type=float, default=1800, help="for a <module>.<function> (default: 1800)")
    parser.add_argument("--confidence", type=float, default=0.95, help="of the interval (default: 0.95)")
    parser.add_argument("--resamples", type=int, default=2000, help="of the bootstrap (default: 2000)")
    parser.add_argument("--seed", type=int, default=20260730, help="of the bootstrap")
    parser.add_argument("--input", type=Path, default=ML / "processing" / "input", help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=ML / "processing" / "output", help="default: %(default)s")
    return parser


def _summary(evaluation: dict[str, Any]) -> str:
    metric, champion = evaluation["metric"], evaluation["champion"]
    text = f"challenger:{metric}={evaluation['challenger']['score']:.4f}"
    if champion is None:
        return f"{text} (no champion yet)"
    if evaluations.CANNOT_ANSWER in champion:
        return f"{text} ({champion[evaluations.CANNOT_ANSWER]})"
    low, high = evaluation["interval"]
    difference = f"difference={evaluation['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
    return f"{text} champion:{metric}={champion['score']:.4f} {difference}"


if __name__ == "__main__":
    sys.exit(main())
