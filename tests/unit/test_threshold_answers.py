"""Answers with a confidence: what a threshold makes of them, in each kind of answer, and what is no such answer."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from contract import batches, signatures, threshold_answers, thresholds
from contract.threshold_answers import Answer

FLASK, PYTORCH = "sagemaker_sklearn_container.serving:main", "sagemaker_pytorch_serving_container.serving:main"
PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-digits/3"


class Array(list[Any]):
    """As much of NumPy as is used: the image has the real one (tests/toolkit)."""

    def tolist(self) -> list[Any]:
        return list(self)

    def argmax(self, *, axis: int) -> Array:  # noqa: ARG002 - NumPy's
        return Array(row.index(max(row)) for row in self)

    def max(self, *, axis: int) -> Array:  # noqa: ARG002 - NumPy's
        return Array(max(row) for row in self)

    def __getitem__(self, places: Any) -> Any:
        return Array(self[place] for place in places) if isinstance(places, list) else super().__getitem__(places)


class Estimator:
    """As scikit-learn's: each row is its own probabilities."""

    def __init__(self, *classes: Any) -> None:
        self.classes_ = Array(classes)

    def predict_proba(self, rows: Any) -> Array:
        return Array(rows)


def predict_fn(rows: Any, model: Any) -> Any:
    return [model.classes_[row.index(max(row))] for row in rows]


def output_fn(answers: Any, accept: str) -> tuple[str, str]:
    return "\n".join(map(str, answers)), accept


@pytest.fixture(autouse=True)
def _toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toolkit as a container has it: beside the script."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "training_code"))
    for name in (thresholds.THRESHOLD, signatures.MODEL_PACKAGE, "SAGEMAKER_SERVING_MODULE", batches.IN_BATCH):
        monkeypatch.delenv(name, raising=False)


def functions(monkeypatch: pytest.MonkeyPatch, threshold: Any, *sure_fn: Any) -> tuple[Any, Any]:
    from toolkit.threshold import with_threshold  # noqa: PLC0415 - on the path in tests only

    monkeypatch.setenv(thresholds.THRESHOLD, thresholds.text_of(threshold))
    return with_threshold(predict_fn, output_fn, *sure_fn)


def answered(functions: tuple[Any, Any], rows: Any, model: Any, accept: str = "text/csv") -> tuple[str, str]:
    predicts, writes = functions
    body, kind = writes(predicts(rows, model), accept)
    return body, kind


ROWS = [[0.1, 0.9], [0.55, 0.45], [0.2, 0.8]]


def test_without_a_threshold_the_functions_are_the_models_own() -> None:
    from toolkit.threshold import with_threshold  # noqa: PLC0415 - on the path in tests only

    assert with_threshold(predict_fn, output_fn) == (predict_fn, output_fn)


def test_an_answer_is_what_is_predicted_how_sure_and_what_the_threshold_makes_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = functions(monkeypatch, 0.8)
    assert answered(found, ROWS, Estimator("3", "7")) == ("7,0.9,7\n3,0.55,unsure\n7,0.8,7", "text/csv")
    body, kind = answered(found, ROWS, Estimator(3, 7), "application/json")
    assert kind == "application/json"
    assert json.loads(body) == [
        {"prediction": 7, "confidence": 0.9, "answer": 7},
        {"prediction": 3, "confidence": 0.55, "answer": "unsure"},
        {"prediction": 7, "confidence": 0.8, "answer": 7},
    ]
    lines, _ = answered(found, ROWS, Estimator(3, 7), "application/jsonlines")
    assert [json.loads(line) for line in lines.splitlines()] == json.loads(body)


@pytest.mark.parametrize("classes", [("3", "7"), (3, 7), (3.0, 7.0)])
def test_each_class_may_have_its_own_threshold_and_one_that_is_not_named_has_none(
    monkeypatch: pytest.MonkeyPatch, classes: tuple[Any, ...]
) -> None:
    text, _ = answered(functions(monkeypatch, {"7": 0.85}), ROWS, Estimator(*classes))
    assert [line.rpartition(",")[2] for line in text.splitlines()] == [str(classes[1]), str(classes[0]), "unsure"]


def test_a_label_with_a_comma_is_one_field(monkeypatch: pytest.MonkeyPatch) -> None:
    label = 'Smith, "Jo"'
    text, _ = answered(functions(monkeypatch, 0.5), [[0.1, 0.9]], Estimator("x", label))
    assert threshold_answers.parsed(text) == Answer(label, 0.9, label)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json; q=0.9, text/csv", "application/json"),
        ("image/png, text/csv", "text/csv"),
        ("*/*", "text/csv"),
    ],
)
def test_the_first_kind_that_is_known_is_answered(monkeypatch: pytest.MonkeyPatch, accept: str, kind: str) -> None:
    assert answered(functions(monkeypatch, 0.8), ROWS, Estimator(3, 7), accept)[1] == kind


def test_a_model_that_is_no_estimator_says_by_a_function_how_sure_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    found = functions(monkeypatch, 0.8, lambda rows, model: ([model] * len(rows), [0.9, 0.7, 1]))
    assert answered(found, ROWS, "cat")[0] == "cat,0.9,cat\ncat,0.7,unsure\ncat,1.0,cat"


@pytest.mark.parametrize(
    ("model", "sure_fn", "accept", "message"),
    [
        ((1, 2), (), "text/csv", "tuple has no predict_proba and classes_; give with_threshold a third function"),
        (Estimator(3, 7), (), "application/x-npy", "answers are text/csv, application/json, application/jsonlines"),
        ("x", (lambda rows, _: (rows, [1.5, 0, 0]),), "text/csv", "a confidence is 1.5; it must be from 0 to 1"),
        ("x", (lambda rows, _: (rows, [float("nan")] * 3),), "text/csv", "a confidence is nan"),
        ("x", (lambda rows, _: (rows, [1.0]),), "text/csv", "3 predictions and 1 confidences"),
    ],
)
def test_what_says_no_confidence_is_refused(
    monkeypatch: pytest.MonkeyPatch, model: Any, sure_fn: Any, accept: str, message: str
) -> None:
    from toolkit.errors import ServingError  # noqa: PLC0415 - on the path in tests only

    with pytest.raises(ServingError, match=message.replace("(", "\\(")):
        answered(functions(monkeypatch, 0.8, *sure_fn), ROWS, model, accept)


def test_its_answers_name_the_model_package_in_each_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """output_fn's own signature is left behind with it."""
    monkeypatch.setenv(signatures.MODEL_PACKAGE, PACKAGE)
    monkeypatch.setenv("SAGEMAKER_SERVING_MODULE", FLASK)
    predicts, writes = functions(monkeypatch, 0.8)
    response = writes(predicts(ROWS, Estimator(3, 7)), "text/csv")
    assert signatures.signer(response.headers[signatures.HEADER]) == PACKAGE
    assert response.get_data().startswith(b"7,0.9,7\n")
    monkeypatch.setenv("SAGEMAKER_SERVING_MODULE", PYTORCH)
    assert list(inspect.signature(functions(monkeypatch, 0.8)[1]).parameters) == ["answers", "accept", "context"]


def test_rows_of_a_batch_say_it_and_bad_ones_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit.rows import row_by_row  # noqa: PLC0415 - on the path in tests only

    monkeypatch.setenv(batches.IN_BATCH, "true")
    found = functions(monkeypatch, 0.8)
    read = lambda body, _kind: [[float(field) for field in row.split(",")] for row in body.splitlines()]  # noqa: E731
    reads, predicts, writes = row_by_row(read, *found)
    text, _ = writes(predicts(reads("0.1,0.9\nno number\n0.55,0.45\n", "text/csv"), Estimator(3, 7)), "text/csv")
    assert text.splitlines() == ["7,0.9,7", batches.BAD_ROW, "3,0.55,unsure"]


@pytest.mark.parametrize(
    "line",
    ["7", "", "7,0.9", "7,0.9,8", "7,1.1,7", "7,nan,7", "7,sure,7", "7,0.9,7,7", '"7', "0.1,0.2,0.7"],
)
def test_other_answers_are_none_with_a_confidence(line: str) -> None:
    assert threshold_answers.parsed(line) is None


@pytest.mark.parametrize("text", ["1.1", "-1", "true", '"0.8"', "[0.8]", '{"7":2}', "NaN"])
def test_a_container_refuses_a_variable_that_says_no_threshold(text: str) -> None:
    with pytest.raises(ValueError, match=r"RATCHET_THRESHOLD is .*; it is a number from 0 to 1, or a JSON object"):
        threshold_answers.read(text)
