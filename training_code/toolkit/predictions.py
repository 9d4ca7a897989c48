"""Models answering examples, each in a process of its own."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from contract import files, held_out_tables
from contract.held_out import READER
from toolkit import model_process, serving
from toolkit.errors import NoAnswersError, ServingError, ToolkitError
from toolkit.heldout import DataError, Example, joined

# Answered at once; keeps memory in bounds.
BATCH = 5000
SAMPLES = 5
MOST_CLASSES = 10_000
# A sample's body, so that evaluation.json stays small; of larger ones the smallest alone is kept.
SAMPLE_BYTES = 1 << 20


@dataclass(frozen=True)
class Answers:
    """One model's answers.

    texts: `texts[i]` is the answer to example i.
    samples: a few examples asked alone, as a caller of the endpoint would ask: {"body" or "body_base64", "answer"}, and
        "content_type" where the request isn't text/csv; the answer always is.
    classes: those that the model itself says it knows, in the order of its probabilities; None where it says none.
    """

    texts: list[str]
    samples: list[dict[str, str]]
    classes: list[str] | None = None


def predict(
    models: dict[str, Path], examples: list[Example], *, several: bool = False, scikit_learn: bool = True
) -> dict[str, Answers | NoAnswersError]:
    """Each model's answers to the examples, all models at once; the error for which one has none.

    Args:
        models: a model's name in messages -> the folder of its extracted model.tar.gz, with `code/serve.py`.
        several: an answer may be several fields, such as a probability for each class, or a document.
        scikit_learn: whether it computes the metric.

    Raises:
        ToolkitError: the image can't compute metrics, or something from outside killed a model's process.
    """
    if scikit_learn:
        _import_what_all_share()
    running = [(name, *model_process.start(name, _answer, folder, examples)) for name, folder in models.items()]
    try:
        return {name: _told(name, process, results, examples, several) for name, process, results in running}
    finally:
        for _, process, _ in running:
            process.kill()
            process.join()


def _import_what_all_share() -> None:
    try:
        import sklearn.metrics  # noqa: F401
    except ImportError as error:
        raise ToolkitError(f"the image has no scikit-learn, which computes the gate's metric: {error}") from error


def own_examples(model: Path, data: Path, *, any_label: bool = False) -> list[Example]:
    """The examples that `heldout_fn` of a model's serve.py yields, run in a process of its own.

    Args:
        any_label: whether a truth may be a list or a dict, for a metric of the user's own.

    Raises:
        ToolkitError: it raises, yields something else, or nothing.
    """
    process, results = model_process.start("challenger", _read, model, data, any_label)
    try:
        (yielded,) = model_process.receive("challenger", process, results, "read the held-out data")
    finally:
        process.kill()
        process.join()
    if not yielded:
        raise DataError(f"{READER} of serve.py yields no example of {data}")
    return [Example(*own, alone=True) for own in yielded]


def _read(folder: Path, data: Path, any_label: bool, results: Connection) -> None:
    """Reads the held-out data, in the model's process: sends ("examples", them), ("error", a sentence) or
    ("memory",)."""
    model_process.forget_this_toolkit()
    with model_process.reporting(results, folder, lambda: f"serve.py failed in {READER}: "):
        reader = serving.load_functions(folder / "code").heldout_fn
        if not callable(reader):
            raise ServingError(f"{READER} of {files.SERVING_SCRIPT} is no function")
        examples = [_own(number, given, any_label) for number, given in enumerate(reader(str(data)), start=1)]
        results.send(("examples", examples))


def _own(number: int, given: Any, any_label: bool) -> tuple[str, str | bytes, str, str]:
    """One of heldout_fn's examples as (place, body, content type, label); Example is of the toolkit left behind."""
    place = f"{READER}, example {number}"
    if not isinstance(given, (tuple, list)) or len(given) != 3:
        raise DataError(f"{place} is {type(given).__name__}; it must yield (request body, content type, truth)")
    body, content_type, truth = given
    if not isinstance(body, (str, bytes, bytearray)):
        raise DataError(f"{place}: the body is {type(body).__name__}; a request's body is text or bytes")
    if not isinstance(content_type, str) or "/" not in content_type:
        raise DataError(f"{place}: the content type is {content_type!r}; write one as text/csv or image/png")
    return place, bytes(body) if isinstance(body, bytearray) else body, content_type, _truth(place, truth, any_label)


def _truth(place: str, truth: Any, any_label: bool) -> str:
    """heldout_fn's truth as text, in JSON if it is a list or a dict."""
    several = isinstance(truth, (dict, list, tuple)) or bool(getattr(truth, "ndim", 0))
    if several and any_label:
        try:
            return json.dumps(truth, ensure_ascii=False, default=lambda value: value.tolist())
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{place}: the truth is no JSON: {error}") from error
    if truth is None or several or isinstance(truth, bytes):
        raise DataError(f"{place}: the truth is {type(truth).__name__}; it must be a text or a number")
    label = str(truth).strip()
    if not label:
        raise DataError(f"{place}: the truth is empty")
    return label


def _answer(folder: Path, examples: list[Example], results: Connection) -> None:
    """Answers, in the model's process: sends ("answers", batches, samples, classes), ("error", a sentence) or
    ("memory",)."""
    model_process.forget_this_toolkit()
    doing = "loading the model"
    with model_process.reporting(results, folder, lambda: f"serve.py failed while {doing}: "):
        functions = serving.load_functions(folder / "code")
        model = functions.load(str(folder))
        doing = "answering the held-out examples"
        batches = [functions.answer(model, joined(batch), batch[0].content_type) for batch in _batches(examples)]
        doing = "answering one example alone, as a caller of the endpoint asks"
        samples = [
            (index, functions.answer(model, examples[index].body, examples[index].content_type))
            for index in _spread(examples)
        ]
        results.send(("answers", batches, samples, _classes(model)))


def _classes(model: Any) -> list[str] | None:
    """The classes of a model that says them, as scikit-learn's estimators do; whatever else it has by that name."""
    try:
        found = [str(value) for value, _ in zip(model.classes_, range(MOST_CLASSES + 1))]
    except Exception:  # noqa: BLE001 - the user's own class may do anything there
        return None
    return found if 0 < len(found) <= MOST_CLASSES else None


def _batches(examples: list[Example]) -> list[list[Example]]:
    """The examples in requests: many in one, but for those that are asked alone."""
    most = 1 if any(example.alone for example in examples) else BATCH
    return [examples[start : start + most] for start in range(0, len(examples), most)]


def _spread(examples: list[Example]) -> list[int]:
    """The indices of a few examples, evenly spread over those that aren't too large to keep."""
    small = [index for index, example in enumerate(examples) if example.size <= SAMPLE_BYTES]
    small = small or [min(range(len(examples)), key=lambda index: examples[index].size)]
    return small[:: max(1, len(small) // SAMPLES)][:SAMPLES]


def _told(
    name: str, process: Any, results: Connection, examples: list[Example], several: bool
) -> Answers | NoAnswersError:
    try:
        return _answers(name, model_process.receive(name, process, results), examples, several)
    except NoAnswersError as error:
        return error


def _answers(
    name: str,
    received: tuple[list[str], list[tuple[int, str]], list[str] | None],
    examples: list[Example],
    several: bool,
) -> Answers:
    batches, samples, classes = received
    labels = frozenset(example.label for example in examples)
    texts: list[str] = []
    for number, batch in enumerate(_batches(examples)):
        texts += _lines(name, batches[number], len(batch), labels, several)
    for index, text in enumerate(texts):
        if text.lower() in ("", "nan", "inf", "-inf"):
            what = f"is {text}" if text else "is empty"
            raise NoAnswersError(
                name, f"the {name}'s answer to {examples[index].place} {what}; a label or a number is needed"
            )
    return Answers(
        texts=texts,
        samples=[_sample(examples[index], _lines(name, answer, 1, labels, several)[0]) for index, answer in samples],
        classes=classes,
    )


def _sample(example: Example, answer: str) -> dict[str, str]:
    body = example.body
    kind = {} if example.content_type == serving.CSV else {"content_type": example.content_type}
    if isinstance(body, bytes):
        return {"body_base64": base64.b64encode(body).decode(), **kind, "answer": answer}
    return {"body": body, **kind, "answer": answer}


def _lines(name: str, answer: str, asked: int, labels: frozenset[str], several: bool) -> list[str]:
    """One answer an example: a line each, or one line with commas, as XGBoost's container writes it.

    A label with a comma or a quotation mark may stand quoted, as CSV has it, or as it is; one with a line break quoted.
    """
    lines = [line.strip() for line in answer.strip("\r\n").splitlines()]
    if len(lines) == 1 and asked > 1 and lines[0].count(",") == asked - 1:
        lines = [field.strip() for field in lines[0].split(",")]
    if len(lines) != asked:
        lines = held_out_tables.csv_lines(answer) or lines
    if len(lines) != asked:
        counts = f"{len(lines)} answers to {asked} example{'s' if asked > 1 else ''}"
        raise NoAnswersError(name, f"the {name} gave {counts}; output_fn must give one line an example, in their order")
    if several:
        return lines
    return [line if line in labels else _one_field(name, line) for line in lines]


def _one_field(name: str, line: str) -> str:
    fields = held_out_tables.csv_fields(line)
    if len(fields) > 1:
        columns = f"{len(fields)} columns ({line[:60]})"
        raise NoAnswersError(
            name, f"the {name} answers {columns}; for text/csv output_fn must give one label or number a line"
        )
    return fields[0].strip() if fields else ""
