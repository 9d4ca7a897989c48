"""`deploy.batch`: requests that come together are predicted together, each answered as if alone; and who can't."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from run_world import World, make_spec, run

from contract import micro_batches
from infra.workflow.steps.plan import spec_hash
from ratchet.spec import SpecError

SERVE = "from toolkit.micro_batches import in_batches\n"
ENDPOINT = {"instance": "ml.m5.large"}


@pytest.fixture(autouse=True)
def _toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toolkit as a container has it: beside the script."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "training_code"))
    monkeypatch.delenv(micro_batches.MICRO_BATCHES, raising=False)


class Asked:
    """A predict_fn, and the rows of each of its calls; a row of 0 is one that it can't divide by."""

    def __init__(self, then: Callable[[list[float]], Any] = lambda results: results) -> None:
        self.calls: list[int] = []
        self._then = then

    def __call__(self, rows: list[list[int]], model: int) -> Any:
        self.calls.append(len(rows))
        return self._then([model / row[0] for row in rows])


def batched(
    monkeypatch: pytest.MonkeyPatch, predict: Any, most: int = 4, wait: float = 30.0, moment: float = 30.0
) -> Any:
    """The function in a container that is told of batches. Who comes first waits for `moment`, however long, so that
    what is to come together does."""
    from toolkit import micro_batches as helper  # noqa: PLC0415 - on the path in tests only

    monkeypatch.setattr(helper, "_MOMENT", moment)
    monkeypatch.setenv(micro_batches.MICRO_BATCHES, micro_batches.text(most, wait))
    return helper.in_batches(predict)


def together(predict: Any, *requests: Any) -> list[Any]:
    """Each request's result, or what it raised, all asked at once."""
    found: list[Any] = [None] * len(requests)

    def ask(place: int) -> None:
        try:
            found[place] = predict(requests[place], 12)
        except BaseException as error:  # noqa: BLE001 - it is looked at
            found[place] = error

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_without_the_variable_the_function_is_the_model_s_own() -> None:
    from toolkit.micro_batches import in_batches  # noqa: PLC0415 - on the path in tests only

    predict = Asked()
    assert in_batches(predict) is predict


def test_what_comes_together_is_predicted_together_and_each_gets_its_own_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predict = Asked()
    assert together(batched(monkeypatch, predict), [[1]], [[2], [3]], [[4]]) == [[12], [6, 4], [3]]
    assert predict.calls == [4]


def test_a_bad_request_harms_no_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    predict = Asked()
    found = together(batched(monkeypatch, predict), [[1]], [[0]], [[4]], [[6]])
    assert isinstance(found.pop(1), ZeroDivisionError)
    assert found == [[12], [3], [2]]
    assert predict.calls == [4, 1, 1, 1, 1]


def test_never_more_rows_than_may_be_and_what_is_larger_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    predict = Asked()
    of_four = batched(monkeypatch, predict, moment=0.05)
    found = together(of_four, *[[[1], [2], [3]]] * 3)
    assert found == [[12, 6, 4]] * 3 and predict.calls == [3, 3, 3]
    assert of_four([[1]] * 9, 12) == [12] * 9 and predict.calls[3:] == [9]


def test_who_asks_alone_waits_for_a_moment_and_among_several_no_longer_than_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predict = Asked()
    alone = batched(monkeypatch, predict, wait=30.0, moment=0.0005)
    started = time.monotonic()
    for _ in range(3):
        alone([[1]], 12)
    assert time.monotonic() - started < 10
    busy = batched(monkeypatch, predict, wait=0.2, moment=30.0)
    together(busy, [[1]], [[2]], [[3]], [[4]])
    started = time.monotonic()
    assert busy([[1]], 12) == [12]
    assert 0.2 <= time.monotonic() - started < 10


def test_a_batch_waits_no_longer_than_for_as_many_as_came_the_last_time(monkeypatch: pytest.MonkeyPatch) -> None:
    predict = Asked()
    busy = batched(monkeypatch, predict, most=100, moment=1.0)
    while predict.calls[-1:] != [3]:  # until the three have come within a moment
        together(busy, [[1]], [[2]], [[3]])
    started = time.monotonic()
    assert together(busy, [[1]], [[2]], [[3]]) == [[12], [6], [4]]
    assert predict.calls[-1] == 3 and time.monotonic() - started < 15, "of 30 s"


class Matrix:
    """What can't be put together."""

    def __len__(self) -> int:
        return 2


@pytest.mark.parametrize("data", [Matrix(), [1.0, 2.0], (), []])
def test_what_cannot_be_put_together_is_predicted_alone_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: Any
) -> None:
    predicting = batched(monkeypatch, lambda data, _model: data)
    assert predicting(data, 12) is data
    assert predicting(data, 12) is data
    assert capsys.readouterr().err.count("can't be put together with others: it is predicted alone") == 1


def test_requests_of_other_kinds_are_other_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    from toolkit import micro_batches as helper  # noqa: PLC0415 - on the path in tests only

    calls: list[list[int]] = []

    def predict(rows: list[list[int]], _model: int) -> list[int]:
        calls.append([row[0] for row in rows])
        return calls[-1]

    predicting = batched(monkeypatch, predict, moment=0.05)
    monkeypatch.setattr(helper, "_kind", lambda data: (data[0][0] % 2,))
    assert together(predicting, *[[[row]] for row in range(8)]) == [[row] for row in range(8)]
    assert all(len({row % 2 for row in call}) == 1 for call in calls), calls


@pytest.mark.parametrize("then", [lambda results: results[:1], tuple, sum])
def test_a_function_that_does_not_take_many_rows_is_asked_one_by_one_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], then: Any
) -> None:
    predict = Asked(then)
    predicting = batched(monkeypatch, predict)
    assert together(predicting, *[[[1]]] * 4) == [then([12.0])] * 4
    assert predicting([[1]], 12) == then([12.0])
    assert predict.calls == [4, 1, 1, 1, 1, 1]
    assert "predict_fn gave no 4 results for so many rows: from now on each is asked alone" in capsys.readouterr().err


def test_an_end_of_the_process_is_heard_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaving(rows: Any, model: Any) -> Any:
        raise SystemExit(3)

    assert {type(error) for error in together(batched(monkeypatch, leaving), *[[[1]]] * 4)} == {SystemExit}


def test_with_a_threshold_each_gets_its_own_confidences(monkeypatch: pytest.MonkeyPatch) -> None:
    from contract import thresholds  # noqa: PLC0415
    from toolkit.threshold import with_threshold  # noqa: PLC0415 - on the path in tests only

    monkeypatch.setenv(thresholds.THRESHOLD, "0.8")
    predict_fn, output_fn = with_threshold(
        lambda rows, _model: rows,
        lambda answers, accept: (answers, accept),
        lambda rows, _model: ([row[0] for row in rows], [row[0] / 10 for row in rows]),
    )
    found = together(batched(monkeypatch, predict_fn), [[9]], [[1]], [[8], [2]])
    assert [output_fn(answers, "text/csv")[0] for answers in found] == [
        "9,0.9,9",
        "1,0.1,unsure",
        "8,0.8,8\n2,0.2,unsure",
    ]


# ------------------------------------------------------------------------------------------------------------- the spec


def test_the_container_is_told_and_no_other_model_is_made(tmp_path: Path) -> None:
    plain = spec_hash(make_spec(tmp_path))
    (tmp_path / "serve.py").write_text(SERVE)
    spec = make_spec(tmp_path, deploy={"instance": "ml.t2.medium", "batch": {"max": 16, "wait": "10ms"}})
    assert spec_hash(spec) == plain
    (model,) = run(spec, World()).called("createModel")
    said = model["PrimaryContainer"]["Environment"][micro_batches.MICRO_BATCHES]
    assert (said, micro_batches.read(said)) == ('{"max":16,"wait":0.01}', (16, 0.01))
    assert make_spec(tmp_path, deploy={**ENDPOINT, "batch": {}}).deploy.batch.told == '{"max":32,"wait":0.005}'  # type: ignore[union-attr]


CHAIN: list[dict[str, Any]] = [
    {"entry": "first.py"},
    {"entry": "second.py", "framework": {"name": "pytorch", "version": "2.6.0"}},
]


@pytest.mark.parametrize(
    ("importing", "message"),
    [
        ("first.py", None),
        ("second.py", "deploy.batch: is said, but first.py doesn't import toolkit.micro_batches, so each request is"),
    ],
)
def test_of_a_chain_the_containers_that_can_put_requests_together(
    tmp_path: Path, importing: str, message: str | None
) -> None:
    """PyTorch's is one of those that can't, whatever its script imports."""
    for name in ("first.py", "second.py"):
        (tmp_path / name).write_text(SERVE if name == importing else "")
    deploy = {**ENDPOINT, "batch": {}, "chain": CHAIN}
    if message is None:
        assert make_spec(tmp_path, deploy=deploy).batching_scripts == ["first.py"]
        return
    with pytest.raises(SpecError, match=message):
        make_spec(tmp_path, deploy=deploy)
    own = [{**CHAIN[0], "image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1"}, CHAIN[1]]
    (tmp_path / "first.py").write_text(SERVE)
    pytorch = {"framework": {"name": "pytorch", "version": "2.6.0"}}
    assert make_spec(tmp_path, **pytorch, deploy={**deploy, "chain": own}).deploy.batch
    with pytest.raises(SpecError, match="PyTorch's container predicts one request after the other"):
        make_spec(tmp_path, **pytorch, deploy={**deploy, "chain": [{"entry": "first.py"}, CHAIN[1]]})


@pytest.mark.parametrize(
    ("serve", "batch", "changes", "message"),
    [
        (SERVE, {"max": 1}, {}, "deploy.batch.max: .*greater than or equal to 2|deploy.batch.max: is 1"),
        (SERVE, {"max": 1001}, {}, "deploy.batch.max"),
        (SERVE, {"wait": 5}, {}, "deploy.batch.wait: is 5; write a whole number and ms or s, as 5ms"),
        (SERVE, {"wait": "0ms"}, {}, "deploy.batch.wait: is 0ms; a request waits 1ms to 1000ms for others"),
        (SERVE, {"wait": "2s"}, {}, "deploy.batch.wait: is 2s; a request waits 1ms to 1000ms for others"),
        (SERVE, {"rows": 3}, {}, "deploy.batch.rows"),
        (
            SERVE, {}, {"framework": {"name": "pytorch", "version": "2.10"}},
            "deploy.batch: is said, but PyTorch's container predicts one request after the other: TorchServe hands its",
        ),
        (SERVE, {}, {"deploy": {"kind": "batch", "input": "rows/"}}, "batch: is an endpoint's, and kind is batch"),
        (
            SERVE, {}, {"deploy": {"kind": "serverless"}},
            "batch: is said, but an instance of a serverless endpoint has one request at a time",
        ),
        (None, {}, {}, "deploy.batch: needs a predict_fn that takes many rows, but there is no serve.py in"),
        ("def", {}, {}, "deploy.batch: needs a predict_fn that takes many rows, but serve.py can't be read"),
        ("import json", {}, {}, "deploy.batch: is said, but serve.py doesn't import toolkit.micro_batches, so each"),
    ],
)  # fmt: skip
def test_what_would_make_no_batch_is_refused(
    tmp_path: Path, serve: str | None, batch: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    if serve is not None:
        (tmp_path / "serve.py").write_text(serve)
    said = changes.get("deploy", {})
    instances = {} if said.get("kind") == "serverless" else ENDPOINT
    with pytest.raises(SpecError, match=message):
        make_spec(tmp_path, **{**changes, "deploy": {**instances, "batch": batch, **said}})
