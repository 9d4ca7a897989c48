"""What the evaluation makes of a model that can't answer the held-out examples."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TRAINING_CODE = Path(__file__).parents[2] / "training_code"


@pytest.fixture
def evaluate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TRAINING_CODE))
    from toolkit import evaluate  # noqa: PLC0415 - on the path in tests only

    return evaluate


def fault(model: str, message: str) -> Exception:
    from toolkit.errors import NoAnswersError  # noqa: PLC0415 - on the path in tests only

    return NoAnswersError(model, message)


def answers(*texts: str) -> Any:
    from toolkit.predictions import Answers  # noqa: PLC0415 - on the path in tests only

    return Answers(list(texts), [{"body": "1", "answer": texts[0]}])


def judge(texts: dict[str, list[str]]) -> dict[str, Any]:
    """As the toolkit's, of labels that are numbers."""
    for name, given in texts.items():
        if "cat" in given:
            raise fault(name, f"the {name} answered 'cat', but the held-out labels are numbers")
    champion = {"score": 0.8} if "champion" in texts else None
    return {"metric": "accuracy", "challenger": {"score": 0.9}, "champion": champion}


SAMPLES = [{"body": "1", "answer": "1"}]


def test_both_answer(evaluate: ModuleType) -> None:
    found = evaluate.compared({"challenger": answers("1"), "champion": answers("0")}, judge)
    assert (found["champion"], found["samples"]) == ({"score": 0.8}, SAMPLES)


def test_there_is_no_champion_yet(evaluate: ModuleType) -> None:
    assert evaluate.compared({"challenger": answers("1")}, judge)["champion"] is None


def test_a_champion_without_answers_is_recorded_with_its_own_error(evaluate: ModuleType) -> None:
    error = fault("champion", "the champion can't answer: ValueError: X has 5 features,\n  but it expects 4.\n")
    found = evaluate.compared({"challenger": answers("1"), "champion": error}, judge)
    said = "the champion can't answer: ValueError: X has 5 features, but it expects 4"
    assert found["champion"] == {"cannot_answer": said}
    assert (found["challenger"], found["samples"]) == ({"score": 0.9}, SAMPLES)
    assert evaluate._summary(found) == f"challenger:accuracy=0.9000 ({said})"


def test_a_champion_whose_answers_mean_something_else_is_recorded_too(evaluate: ModuleType) -> None:
    found = evaluate.compared({"challenger": answers("1"), "champion": answers("cat")}, judge)
    assert found["champion"] == {"cannot_answer": "the champion answered 'cat', but the held-out labels are numbers"}


def test_a_page_of_an_error_is_cut(evaluate: ModuleType) -> None:
    found = evaluate.compared({"challenger": answers("1"), "champion": fault("champion", "stack " * 500)}, judge)
    said = found["champion"]["cannot_answer"]
    assert (len(said), said[-1]) == (500, "…")


@pytest.mark.parametrize("champion", ["answers", "none", "fails"])
@pytest.mark.parametrize("how", ["raises", "means something else"])
def test_a_challenger_that_cannot_answer_is_an_error_of_the_run(evaluate: ModuleType, champion: str, how: str) -> None:
    challenger = fault("challenger", "the challenger can't answer: no") if how == "raises" else answers("cat")
    rivals = {"answers": {"champion": answers("1")}, "none": {}, "fails": {"champion": fault("champion", "neither")}}
    with pytest.raises(Exception, match=r"the challenger (can't answer: no|answered 'cat')") as raised:
        evaluate.compared({"challenger": challenger, **rivals[champion]}, judge)
    assert raised.value.model == "challenger"  # type: ignore[attr-defined]


SERVE = """
def model_fn(model_dir):
    return None
def input_fn(body, content_type):
    rows = [line.split(",") for line in body.splitlines()]
    if len(rows[0]) != WIDTH:
        raise ValueError(f"X has {len(rows[0])} features, but WIDTH are expected")
    return rows
def predict_fn(rows, model):
    return [row[0] for row in rows]
def output_fn(labels, accept):
    return "\\n".join(labels)
"""


def predicted(folder: Path, **serves: str) -> Any:
    """Each model's answers, each in a process of its own, to two examples of three columns."""
    from toolkit import confinement, heldout, predictions  # noqa: PLC0415 - on the path in tests only

    for name, serve in serves.items():
        (folder / name / "code").mkdir(parents=True)
        (folder / name / "code" / "serve.py").write_text(serve)
    examples = [heldout.Example(f"rows.csv:{row}", f"{row},0,0", "text/csv", "1") for row in (1, 2)]
    confined = confinement.confinement(folder / "test", [])
    models = predictions.Models({name: folder / name for name in serves}, confined)
    try:
        return models.answer(examples)
    finally:
        models.close()


def test_a_column_more_is_the_champions_error_alone(evaluate: ModuleType, tmp_path: Path) -> None:
    serves = {"challenger": SERVE.replace("WIDTH", "3"), "champion": SERVE.replace("WIDTH", "2")}
    found = predicted(tmp_path, **serves)
    assert found["challenger"].texts == ["1", "2"]
    assert str(found["champion"]) == (
        "the champion can't answer: serve.py failed while answering the held-out examples: serve.py:7: ValueError: "
        "X has 3 features, but 2 are expected"
    )


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        ("import os\nos._exit(7)", "the champion's serve.py ended its process with exit code 7"),
        ("import no_such_library", "serve.py:1: ModuleNotFoundError: No module named 'no_such_library'"),
        ("x = 1", "no function model_fn"),
        (
            SERVE.replace("WIDTH", "3").replace("for row in rows]", "for row in rows][1:]"),
            "gave 1 answers to 2 examples",
        ),
        (SERVE.replace("WIDTH", "3").replace("row[0]", "'nan'"), "the champion's answer to rows.csv:1 is nan"),
        (SERVE.replace("WIDTH", "3").replace("row[0]", "'0,1'"), "the champion answers 2 columns"),
    ],
)
def test_whatever_keeps_a_model_from_answering_is_its_own_error(
    evaluate: ModuleType, tmp_path: Path, serve: str, said: str
) -> None:
    assert said in str(predicted(tmp_path, champion=serve)["champion"])


@pytest.mark.parametrize("serve", ["import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "raise MemoryError"])
def test_a_lack_of_memory_says_nothing_of_a_model(evaluate: ModuleType, tmp_path: Path, serve: str) -> None:
    """It would let a worse challenger take the place of a champion that only needs a larger instance."""
    with pytest.raises(Exception, match=r"memory didn't suffice for the champion.*evaluate\.instance"):
        predicted(tmp_path, champion=serve)
