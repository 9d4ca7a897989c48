"""The report's figures of single answers and of a training's steps, and where they are read from."""

from __future__ import annotations

import io
import itertools
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from run_documents import ANSWERS, CURVES, HOSTILE, RESIDUALS, failed_sources, promoted_sources, record

from contract import files
from ratchet import answers, curves, report, runs
from ratchet.axes import HEIGHT, WIDTH


def test_a_matrix_is_shaded_by_the_share_of_each_label() -> None:
    found = answers.figures({"confusion": {"labels": ["a", "b"], "challenger": [[3, 1], [0, 0]]}})
    assert found is not None
    (matrix,) = found.matrices
    assert [[(cell.count, cell.right) for cell in row] for row in matrix.rows] == [
        [(3, True), (1, False)],
        [(0, False), (0, True)],
    ]
    assert [cell.shade for cell in matrix.rows[0]] == pytest.approx(
        [0.75 * answers.SHADE, 0.25 * answers.SHADE], abs=1e-3
    )
    assert found.models == ("challenger",)


def test_equal_answers_lie_on_the_line() -> None:
    found = answers.figures({"residuals": {"truth": [1.0, 3.0], "challenger": [1.0, 3.0], "champion": [2.0, 1.0]}})
    assert found is not None and found.plot is not None
    right = [(dot.x, dot.y) for dot in found.plot.dots if dot.whose == "challenger"]
    assert right == [found.plot.low, found.plot.high]
    assert [dot.whose for dot in found.plot.dots] == ["champion"] * 2 + ["challenger"] * 2, "the challenger's on top"


def test_an_evaluation_without_details_has_no_figures() -> None:
    assert answers.figures({}) is None
    assert 'id="answers"' not in report.render(replace(promoted_sources(), answers={}))
    assert 'id="answers"' not in report.render(failed_sources())


def test_the_page_shows_classes_the_matrix_and_what_is_answered_differently() -> None:
    page = report.render(promoted_sources())
    assert "champion: label down, answer across" in page
    assert "Answered differently: 31 of 540 examples" in page
    assert re.search(r'<td>1</td><td class="right">0 ✓</td>', page)
    assert HOSTILE not in page
    plotted = report.render(replace(promoted_sources(), answers=RESIDUALS))
    assert plotted.count("<circle") == 120
    assert "Class by class" not in plotted


def test_documents_that_an_own_metric_judges_are_shown_where_they_differ() -> None:
    entry = {"example": "a.jsonl:1", "asked": "{}", "label": "[]", "challenger": "[]", "champion": '[{"box": 1}]'}
    found = {"differing": {"count": 1, "examples": [entry]}}
    page = report.render(replace(promoted_sources(), answers=found))
    assert "Answered differently: 1 of 540 examples" in page
    assert "Which are better is f1_macro&#39;s to say." in page or "Which are better is f1_macro's to say." in page
    assert "The challenger is better on" not in page
    assert "Class by class" not in page


# ------------------------------------------------------------------------------------------------------------ curves


def line(step: int, value: Any, **more: Any) -> bytes:
    entry = {"step": step, "mode": "TRAIN", "name": "loss/loss", "kind": "loss", "value": value}
    return json.dumps({**entry, **more}).encode()


def test_losses_and_metrics_are_read_and_nothing_else() -> None:
    lines = [
        line(1, 0.5),
        line(2, "nan"),
        line(3, 0.25, reduction="mean"),
        line(4, 1.0, kind="weight", name="loss"),
        line(7, 0.4, mode="EVAL", train_step=3, name="metric/f1", kind="metric"),
        line(9, 0.1)[:-5],
    ]
    assert list(curves.points(lines)) == [
        curves.Point("loss/loss", "train", 1, 0.5),
        curves.Point("metric/f1", "eval", 3, 0.4),
    ]


def test_a_chart_a_name_losses_first_and_the_step_at_which_a_rule_found_issues() -> None:
    charts = curves.charts(CURVES, [{"name": "Overfit", "step": 200}, {"name": "AllZero"}])
    assert [chart.title for chart in charts] == ["loss/CrossEntropyLoss", "metric/accuracy"]
    assert [drawn.mode for drawn in charts[0].lines] == ["train", "eval"]
    assert [(stop.rule, stop.step) for stop in charts[0].stops] == [("Overfit", 200)]
    assert [chart.logarithmic for chart in charts] == [False, False]
    numbers = [float(number) for number in re.findall(r"[0-9.]+", charts[0].lines[0].path)]
    assert all(0 < x < WIDTH for x in numbers[::2])
    assert all(0 < y < HEIGHT for y in numbers[1::2])


def test_many_steps_become_means_of_neighbours_and_several_of_a_step_one() -> None:
    many = [curves.Point("loss/loss", "train", step, float(step % 2)) for step in range(100_000)]
    (chart,) = curves.charts(many, [])
    assert chart.lines[0].path.count("L") < curves.POINTS
    twice = [curves.Point("loss/loss", "eval", step, value) for step in (1, 2) for value in (0.0, 1.0)]
    assert curves.charts(twice, [])[0].lines[0].path.count("L") == 1


def test_a_loss_that_explodes_is_drawn_on_a_logarithmic_axis_as_far_as_it_can_be() -> None:
    """On a linear one it is a flat line and a corner, and sums of its last values overflow."""
    found = [curves.Point("loss/loss", "train", step, float(f"1e{3 * step}")) for step in range(103)] * 2
    (chart,) = curves.charts(found, [{"name": "ExplodingTensor", "step": 102}])
    assert chart.logarithmic
    places = [float(number) for number in re.findall(r"[0-9.]+", chart.lines[0].path)]
    steps = [before - after for before, after in itertools.pairwise(places[1::2])]
    assert len(steps) == 50
    assert max(steps) - min(steps) < 0.3, "each a thousand times the one before: a straight line"
    assert [tick.label for tick in chart.y_ticks] == ["1", "1e+150"]
    page = report.render(replace(promoted_sources(), curve_points=tuple(found)))
    assert "logarithmic</span>" in page
    assert "nan" not in chart.lines[0].path


def test_what_was_never_finite_or_only_once_there_is_no_line() -> None:
    assert curves.charts([curves.Point("loss/loss", "train", 1, 0.5)], []) == ()
    (chart,) = curves.charts([curves.Point("loss/loss", "train", step, float("inf")) for step in (1, 2)], [])
    assert chart.lines == ()


class _S3:
    def __init__(self, objects: dict[str, bytes], code: str = "") -> None:
        self.objects, self.code = objects, code

    def client(self, _service: str) -> _S3:
        return self

    def list_objects_v2(self, **request: str) -> dict[str, Any]:
        if self.code:
            raise ClientError({"Error": {"Code": self.code}}, "ListObjectsV2")
        found = [key for key in sorted(self.objects) if key.startswith(request["Prefix"])]
        return {"Contents": [{"Key": key, "Size": len(self.objects[key])} for key in found]} if found else {}

    def get_object(self, **request: str) -> dict[str, Any]:
        if request["Key"] not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[request["Key"]])}


def test_the_numbers_lie_beside_the_tensors() -> None:
    folder = f"runs/p/r/{files.TENSORS}"
    s3: Any = _S3({f"{folder}/index/0-a.jsonl": line(1, 0.5) + b"\n" + line(2, 0.4), f"{folder}/index/1-b.jsonl": b""})
    assert [point.value for point in curves.read(s3, "bucket", folder)] == [0.5, 0.4]
    assert curves.read(s3, "bucket", "elsewhere") == ()
    denied: Any = _S3({}, "AccessDenied")
    assert curves.read(denied, "bucket", folder) == ()


def test_of_a_training_in_rounds_the_chosen_one_is_shown_else_the_last() -> None:
    rows = [{"round": 1}, {"round": 2}]
    shown = report._shown_round
    assert shown(runs.of_item(record(rounds={"rows": rows, "chosen": 1}))) == 1
    assert shown(runs.of_item(record(rounds={"rows": rows}))) == 2
    assert shown(runs.of_item(record())) is None


def test_the_details_of_answers_are_read_from_the_evaluation() -> None:
    run = promoted_sources().run
    s3: Any = _S3({f"f/{files.EVALUATION}": json.dumps({files.ANSWERS: ANSWERS}).encode()})
    assert report._answers(s3, "bucket", "f/", run)["differing"]["count"] == 31
    assert report._answers(s3, "bucket", "elsewhere/", run) == {}
    assert report._answers(s3, "bucket", "f/", failed_sources().run) == {}


# -------------------------------------------------------------------------------------------------------- the threshold

AT = {
    "examples": 500,
    "answered": 400,
    "coverage": 0.8,
    "coverage_interval": [0.763, 0.833],
    "precision": 0.99,
    "precision_interval": [0.974, 0.996],
}
CURVE = [
    {"threshold": 0.0, "coverage": 1.0, "precision": 0.95, "precision_interval": [0.93, 0.97]},
    {"threshold": 0.8, "coverage": 0.8, "precision": 0.99, "precision_interval": [0.97, 1.0]},
    {"threshold": 1.0, "coverage": 0.0, "precision": None, "precision_interval": None},
]


def with_threshold(text: str, **figures: Any) -> report.Sources:
    sources = promoted_sources()
    at = {"threshold": text, "challenger": {**AT, **figures}, "champion": None}
    document = {**sources.run.document, "evaluation": {**sources.run.evaluation, "threshold": at}}
    answers = {**ANSWERS, "curve": {"challenger": CURVE}}
    return replace(sources, run=replace(sources.run, document=document), answers=answers)


def test_the_page_draws_what_a_threshold_makes_of_the_answers() -> None:
    page = report.render(with_threshold("0.8"))
    assert (
        "At 0.8 the challenger answers 80.0 % of 500 examples [76.3, 83.3], of which 99.0 % are right [97.4, 99.6]; "
        "100 are unsure."
    ) in page
    section = page[page.index('id="threshold"') : page.index("</section>", page.index('id="threshold"'))]
    (chosen,) = re.findall(r'class="limit" d="M([\d.]+) 12', section)
    coverage, precision = re.findall(r'class="loss[^"]*" d="M([^"]+)"', section)
    assert [line.count("L") for line in (coverage, precision)] == [2, 1], "of nothing there is no precision"
    assert coverage.split(" L")[1].split()[0] == precision.split(" L")[1].split()[0] == chosen
    assert 'id="threshold"' not in report.render(promoted_sources())


def test_of_thresholds_by_class_and_of_a_model_that_is_never_sure_it_says_so() -> None:
    nothing = {"answered": 0, "coverage": 0.0, "precision": None, "precision_interval": None}
    page = report.render(with_threshold('{"7":0.9}', coverage_interval=[0.0, 0.01], **nothing))
    assert "by class, the challenger answers 0.0 % of 500 examples [0.0, 1.0]: 500 are unsure." in page
    assert 'class="limit" d="M' not in page[page.index('id="threshold"') : page.index("Below the threshold")]
