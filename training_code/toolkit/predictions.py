"""Models answering examples, each in a process of its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from contract import chains, threshold_answers
from contract.held_out import READER
from toolkit import model_process, served, serving
from toolkit.answer_lines import Reader
from toolkit.confinement import Confinement
from toolkit.errors import NoAnswersError, ServingError, ToolkitError
from toolkit.heldout import DataError, Example, joined

# What a model is doing when something goes wrong with a request.
TOGETHER = "answering the held-out examples"
ALONE = "answering one example alone, as a caller of the endpoint asks"
KNOWN = "saying which classes it knows"
# What in a sentence stands for the code that answers.
WHOSE = "output_fn"
# Answered at once; keeps memory in bounds.
BATCH = 5000
SAMPLES = 5
MOST_CLASSES = 10_000
# A sample's body, so that evaluation.json stays small; of larger ones the smallest alone is kept.
SAMPLE_BYTES = 1 << 20
# A sample's answer, which is kept as well: of 10,000 classes the probabilities.
ANSWER_LENGTH = 1 << 18


@dataclass(frozen=True)
class Answers:
    """One model's answers.

    texts: `texts[i]` is the answer to example i.
    samples: a few examples asked alone, as a caller of the endpoint would ask: {"body" or "body_base64", "answer"}, and
        "content_type" where the request isn't text/csv; the answer always is.
    confidences: how sure each is; None where the model doesn't say.
    classes: those that the model itself says it knows, in the order of its probabilities; None where it says none.
    """

    texts: list[str]
    samples: list[dict[str, str]]
    classes: list[str] | None = None
    confidences: list[float] | None = None


@dataclass(frozen=True)
class _Asked:
    """A model's process, the connection to it, and what in a sentence stands for the code that runs there."""

    name: str
    process: Any
    connection: Connection
    code: str


class Models:
    """Models that wait in processes of their own, kept from the held-out data, for what they are asked.

    They are there before the judge has read any of it, so that not even their memory holds what is right.
    """

    def __init__(
        self, folders: dict[str, Path], confined: Confinement, without: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """
        Args:
            without: modules that a model's process finds no more, by the model.
        """
        self._asked = []
        for number, (name, folder) in enumerate(folders.items()):
            scratch = folder.with_name(f"{folder.name}-scratch")
            confined.give(number, folder, scratch)
            enter = partial(confined.enter, number, folder, scratch)
            hidden = (without or {}).get(name, ())
            process, connection = model_process.start_confined(name, _answer, enter, folder, hidden)
            several = (folder / "code" / chains.CHAIN_FILE).is_file()
            self._asked.append(_Asked(name, process, connection, chains.CHAIN if several else serving.SCRIPT))

    def answer(
        self, examples: list[Example], *, several: bool = False, with_confidence: bool = False
    ) -> dict[str, Answers | NoAnswersError]:
        """Each model's answers to the examples, all models at once; the error for which one has none.

        Args:
            several: an answer may be several fields, such as a probability for each class, or a document.
            with_confidence: the models have been told a threshold; those that know of it say how sure they are.

        Raises:
            ToolkitError: something from outside killed a model's process.
        """
        batches, samples = _batches(examples), spread(examples)
        told: dict[str, list[str] | NoAnswersError] = {asked.name: [] for asked in self._asked}
        for number in range(len(batches) + len(samples)):
            alone = number >= len(batches)
            batch = [examples[samples[number - len(batches)]]] if alone else batches[number]
            self._ask(told, (ALONE if alone else TOGETHER, joined(batch), batch[0].content_type))
        self._ask(told, (KNOWN, "", ""))
        checked = _with_confidences if with_confidence else _checked
        return {name: checked(name, texts, samples, examples, several) for name, texts in told.items()}

    def _ask(self, told: dict[str, list[str] | NoAnswersError], request: tuple[str, str | bytes, str]) -> None:
        """Asks all models that have answered until now, at once."""
        asked = [(one, told[one.name]) for one in self._asked]
        going = [(one, answers) for one, answers in asked if isinstance(answers, list)]
        for one, _ in going:
            with suppress(ConnectionError):  # it has ended: how, is found when it is heard
                one.connection.send(request)
        for one, answers in going:
            try:
                answers.append(model_process.heard(one.name, one.process, one.connection, one.code))
            except NoAnswersError as error:
                told[one.name] = error

    def close(self) -> None:
        """Ends their processes."""
        for asked in self._asked:
            asked.process.kill()
            asked.process.join()
            asked.connection.close()


def import_what_all_share() -> None:
    """Imports scikit-learn's metrics, before there are other processes.

    Raises:
        ToolkitError: the image can't compute metrics.
    """
    try:
        import sklearn.metrics  # noqa: F401
    except ImportError as error:
        raise ToolkitError(f"the image has no scikit-learn, which computes the gate's metric: {error}") from error


def own_examples(code: Path, data: Path, script: str = serving.SCRIPT, *, any_label: bool = False) -> list[Example]:
    """The examples that `heldout_fn` of the pipeline's serve.py yields, run in a process of its own.

    Args:
        script: another file that has it, of a chain.
        any_label: whether a truth may be a list or a dict, for a metric of the user's own.

    Raises:
        ToolkitError: it raises, yields something else, or nothing.
    """
    process, results = model_process.start("challenger", _read, code, data, script, any_label)
    try:
        (yielded,) = model_process.receive("challenger", process, results, "read the held-out data", script)
    finally:
        process.kill()
        process.join()
    if not yielded:
        raise DataError(f"{READER} of {script} yields no example of {data}")
    return [Example(*own, alone=True) for own in yielded]


def _read(code: Path, data: Path, script: str, any_label: bool, results: Connection) -> None:
    """Reads the held-out data, in a process of its own: sends ("examples", them), ("error", a sentence) or
    ("memory",)."""
    model_process.forget_this_toolkit()
    send = lambda *message: results.send(message)  # noqa: E731
    with model_process.reporting(send, code, lambda: f"{script} failed in {READER}: "):
        reader = serving.load_functions(code, script).heldout_fn
        if not callable(reader):
            raise ServingError(f"{READER} of {script} is no function")
        examples = [_own(number, given, any_label) for number, given in enumerate(reader(str(data)), start=1)]
        send("examples", examples)


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


def _answer(enter: Callable[[], None], folder: Path, without: Sequence[str], judge: Connection) -> None:
    """Answers, in the model's process: says ("answer", a text) to a request, ("error", a sentence) or ("memory",)."""
    doing, code, model = "being confined", folder / "code", served.Served(folder)
    say = partial(model_process.say, judge)
    with model_process.reporting(say, code, lambda: f"{model.running} failed while {doing}: "):
        model_process.keep_only(judge)
        enter()
        model_process.forget_this_toolkit()
        model_process.hide(without)
        doing = "loading the model"
        model.load()
        while True:
            try:
                doing, body, content_type = judge.recv()
            except EOFError:
                return
            say("answer", _classes(model.model) if doing == KNOWN else model.answer(body, content_type))


def _classes(model: Any) -> str:
    """The classes of a model that says them, as scikit-learn's estimators do, in JSON; whatever else it has by that
    name, null."""
    try:
        found = [str(value) for value, _ in zip(model.classes_, range(MOST_CLASSES + 1))]
    except Exception:  # noqa: BLE001 - the user's own class may do anything there
        found = []
    return json.dumps(found if 0 < len(found) <= MOST_CLASSES else None)


def _known(said: str) -> list[str] | None:
    """What `_classes` says, as the judge takes it: a model's process may say anything."""
    with suppress(ValueError, RecursionError):
        found = json.loads(said)
        if isinstance(found, list) and 0 < len(found) <= MOST_CLASSES and all(isinstance(one, str) for one in found):
            return found
    return None


def _batches(examples: list[Example]) -> list[list[Example]]:
    """The examples in requests: many in one, but for those that are asked alone."""
    most = 1 if any(example.alone for example in examples) else BATCH
    return [examples[start : start + most] for start in range(0, len(examples), most)]


def spread(examples: Sequence[Example]) -> list[int]:
    """The indices of a few examples, evenly spread over those that aren't too large to keep."""
    small = [index for index, example in enumerate(examples) if example.size <= SAMPLE_BYTES]
    small = small or [min(range(len(examples)), key=lambda index: examples[index].size)]
    return small[:: max(1, len(small) // SAMPLES)][:SAMPLES]


def _checked(
    name: str, told: list[str] | NoAnswersError, samples: list[int], examples: list[Example], several: bool
) -> Answers | NoAnswersError:
    """What a model has told, if there is an answer to each example and each sample."""
    if isinstance(told, NoAnswersError):
        return told
    try:
        *answers, classes = told
        batches, alone = answers[: -len(samples)], answers[-len(samples) :]
        answered = _answers(name, batches, dict(zip(samples, alone)), examples, several)
        return replace(answered, classes=_known(classes))
    except NoAnswersError as error:
        return error


def _with_confidences(
    name: str, told: list[str] | NoAnswersError, samples: list[int], examples: list[Example], several: bool
) -> Answers | NoAnswersError:
    """What a model predicts, and how sure it is; of one that says nothing of that, what it answers."""
    found = _checked(name, told, samples, examples, True)
    lines = [threshold_answers.parsed(text) for text in found.texts] if isinstance(found, Answers) else []
    said = [line for line in lines if line]
    if not said or len(said) < len(lines) or isinstance(found, NoAnswersError):
        return _checked(name, told, samples, examples, several)
    return replace(found, texts=[line.prediction for line in said], confidences=[line.confidence for line in said])


def _answers(name: str, batches: list[str], samples: dict[int, str], examples: list[Example], several: bool) -> Answers:
    reader = Reader(name, WHOSE, frozenset(example.label for example in examples), several)
    texts: list[str] = []
    for number, batch in enumerate(_batches(examples)):
        texts += reader.lines(batches[number], len(batch))
    reader.check(texts, examples)
    single = {index: reader.lines(answer, 1)[0] for index, answer in samples.items()}
    for index, text in single.items():
        check_length(name, examples[index].place, text)
    return Answers(texts=texts, samples=[sample(examples[index], answer) for index, answer in single.items()])


def check_length(name: str, place: str, text: str) -> None:
    """Raises NoAnswersError for a sample's answer that is too long to keep."""
    if len(text) > ANSWER_LENGTH:
        raise NoAnswersError(
            name, f"the {name}'s answer to {place} alone has {len(text):,} characters, of at most {ANSWER_LENGTH:,}"
        )


def sample(example: Example, answer: str) -> dict[str, str]:
    """An example with its answer, as evaluation.json keeps a few."""
    body = example.body
    kind = {} if example.content_type == serving.CSV else {"content_type": example.content_type}
    if isinstance(body, bytes):
        return {"body_base64": base64.b64encode(body).decode(), **kind, "answer": answer}
    return {"body": body, **kind, "answer": answer}
