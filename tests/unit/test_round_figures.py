"""A run's rounds in its report: the table, the charts' geometry, the page."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from run_documents import promoted_sources

from ratchet import axes, report, round_figures
from ratchet.runs import Run


def row(number: int, accuracy: float, parameters: int, **more: Any) -> dict[str, Any]:
    metrics = {"latency_ms": 1.5 / number, "units:conv1": 64 // number, "units:fc1": 4096 // number}
    return {
        "round": number,
        "job": f"prune-{number}",
        "status": "Completed",
        "metrics": {**metrics, "parameters": parameters, "validation:accuracy": accuracy},
        "seconds": 61,
        "stopped_by_rule": False,
        **more,
    }


ROUNDS: dict[str, Any] = {
    "metric": "validation:accuracy",
    "size": "parameters",
    "better": "greater",
    "tolerance": 0.01,
    "rows": [
        row(1, 0.95, 57_161_579),
        row(2, 0.96, 20_000_000),
        row(3, 0.90, 9_000_000, status="Stopped", stopped_by_rule=True),
    ],
    "ended": "rule",
    "reason": "a rule stopped round 3",
    "chosen": 2,
}


def test_the_table_has_the_metric_and_the_size_first_and_leaves_families_to_their_chart() -> None:
    rounds = round_figures.rounds(ROUNDS)
    assert rounds is not None
    assert rounds.columns == ("validation:accuracy", "parameters", "latency_ms")
    assert rounds.rows[0].figures == ("0.95", "57,161,579", "1.5")
    assert [entry.status for entry in rounds.rows] == ["completed", "completed", "stopped by a rule"]
    assert [entry.chosen for entry in rounds.rows] == [False, True, False]


def test_the_first_chart_is_the_metric_against_the_size_with_the_tolerance() -> None:
    rounds = round_figures.rounds(ROUNDS)
    assert rounds is not None
    trade = rounds.charts[0]
    assert trade.title == "validation:accuracy against parameters"
    first, second, third = trade.lines[0].points
    assert first.x > second.x > third.x, "smaller models stand further left"
    assert second.y < first.y < third.y, "better models stand higher"
    assert trade.limit is not None and first.y < trade.limit < third.y
    assert [point.kind for point in (first, second, third)] == ["kept", "chosen", "stopped"]


def test_figures_of_one_family_share_a_chart_and_their_names_do_not_cover_each_other() -> None:
    rounds = round_figures.rounds(ROUNDS)
    assert rounds is not None
    assert [chart.title for chart in rounds.charts[1:]] == ["latency_ms", "units"]
    labels = [(line.name, line.label_y) for line in rounds.charts[2].lines]
    assert {name for name, _ in labels} == {"conv1", "fc1"}
    assert abs(labels[0][1] - labels[1][1]) >= round_figures.LABEL_HEIGHT


def test_twelve_layers_of_one_size_all_find_room() -> None:
    metrics = {f"units:layer{index}": 8 for index in range(12)}
    rounds = round_figures.rounds({"rows": [{"round": 1, "metrics": metrics}]})
    assert rounds is not None
    heights = sorted(line.label_y for line in rounds.charts[0].lines)
    assert all(later - earlier >= round_figures.LABEL_HEIGHT for earlier, later in itertools.pairwise(heights))
    assert heights[0] >= 0 and heights[-1] <= round_figures.HEIGHT


@pytest.mark.parametrize("document", [{}, {"rows": []}, {"rows": None}])
def test_without_rounds_there_is_nothing_to_show(document: dict[str, Any]) -> None:
    assert round_figures.rounds(document) is None


def test_a_stopped_round_without_figures_stands_in_the_table_only() -> None:
    rows = [*ROUNDS["rows"][:2], {"round": 3, "status": "Stopped", "stopped_by_rule": True}]
    rounds = round_figures.rounds({**ROUNDS, "rows": rows})
    assert rounds is not None
    assert rounds.rows[2].figures == ("–", "–", "–")
    assert len(rounds.charts[0].lines[0].points) == 2


def test_the_page_shows_them_and_a_run_without_shows_none() -> None:
    sources = promoted_sources()
    assert 'id="rounds"' not in report.render(sources)
    run = sources.run
    page = report.render(
        replace(sources, run=Run(run.pipeline, run.run_id, run.outcome, {**run.document, "rounds": ROUNDS}))
    )
    assert "Round 2 went to the gate; they ended because a rule stopped round 3." in page
    assert page.count('class="chosen"') >= 2 and "57,161,579" in page
    assert "validation:accuracy against parameters" in page


def test_names_of_many_lines_have_room_and_never_leave_the_chart() -> None:
    units = {f"units:encoder.layers.{number}.attention.self": 100 + number for number in range(30)}
    rows = [{"round": number, "metrics": units} for number in range(1, 31)]
    found = round_figures.rounds({"rows": rows})
    assert found is not None
    (chart,) = found.charts
    places = [line.label_y for line in chart.lines]
    assert all(after - before >= round_figures.LABEL_HEIGHT for before, after in itertools.pairwise(places))
    assert 0 < places[0] < places[-1] < chart.height - round_figures.BOTTOM
    assert all(len(line.name) <= round_figures.LABEL_LETTERS for line in chart.lines)
    assert len({line.name for line in chart.lines}) == 30
    assert len(chart.x_ticks) == 10
    assert min(after.at - before.at for before, after in itertools.pairwise(chart.x_ticks)) > 14


def test_millions_have_room_beside_an_axis() -> None:
    assert [tick.label for tick in axes.Axis([1.0, 57_161_579.0], 0, 100).ticks()] == ["1", "57.16 M"]
