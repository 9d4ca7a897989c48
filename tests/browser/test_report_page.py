"""The report in a real browser: nothing overlaps, nothing is cut or loaded, in light and dark, wide and narrow.

The page has no script; the browser measures a copy with one that writes its findings into the document.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chromium import NO_BROWSER, Chromium
from run_documents import HOSTILE, RESIDUALS, failed_sources, promoted_sources, record, rolled_back_sources

from ratchet import report, runs

pytestmark = NO_BROWSER

MEASURE = f"<script>\n{(Path(__file__).parent / 'measure.js').read_text(encoding='utf-8')}</script>"


def browse(browser: Chromium, folder: Path, page: str, *, dark: bool = False, width: int = 1280) -> dict[str, Any]:
    """What the browser finds in the page, at a width."""
    path = folder / "page.html"
    path.write_text(page.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    opened = browser.open(path.as_uri(), width=width, height=2000, dark=dark)
    measured: dict[str, Any] = json.loads(opened.ask("document.getElementById('found').textContent"))
    opened.close()
    return measured


def with_parts() -> runs.Run:
    """The promoted run, with floors of a segment of a long name and of a class that wasn't judged."""
    told = {"part": "region", "metric": "balanced_accuracy", "examples": 140, "champion_score": 0.81, "minimum": 0.8}
    parts = [
        {**told, "value": "north of the river " * 3, "score": 0.71, "below": True, "unjudged": None},
        {**told, "value": "west", "score": None, "below": False, "unjudged": "3 examples, fewer than 10"},
    ]
    return runs.of_item(record(decision={**record()["decision"], "parts": parts}))


@pytest.mark.parametrize("width", [1280, 760])
@pytest.mark.parametrize(
    "sources",
    [
        promoted_sources(),
        failed_sources(),
        rolled_back_sources(),
        replace(promoted_sources(), answers=RESIDUALS, run=with_parts()),
    ],
    ids=["promoted", "failed", "rolled back", "numbers, with floors of parts"],
)
def test_everything_is_where_it_belongs(browser: Chromium, tmp_path: Path, sources: report.Sources, width: int) -> None:
    found = browse(browser, tmp_path, report.render(sources), width=width)
    assert found["wide"] <= 0
    assert found["states"]
    assert found["textsInTheirBoxes"]
    assert found["overlapping"] == 0
    assert found["markersInside"]
    assert found["labelsInside"]
    assert found["labelsOverlapping"] == 0
    assert found["requests"] == []


def test_figures_that_lie_close_together_can_still_be_read(browser: Chromium, tmp_path: Path) -> None:
    evaluation = {**record()["evaluation"], "challenger": {"score": 0.91}, "champion": {"score": 0.9101}}
    close = {"difference": -0.0001, "interval": [-0.0002, 0.0001]}
    decision = {**record()["decision"], "minimum": 0.91, "beat_champion_by": 0.00005}
    run = runs.of_item(record(evaluation={**evaluation, **close}, decision=decision))
    found = browse(browser, tmp_path, report.render(replace(promoted_sources(), run=run)), width=760)
    assert found["labelsOverlapping"] == 0
    assert found["labelsInside"]


def test_light_and_dark_can_both_be_read(browser: Chromium, tmp_path: Path) -> None:
    page = report.render(promoted_sources())
    light = browse(browser, tmp_path, page)
    dark = browse(browser, tmp_path, page, dark=True)
    assert light["background"] != dark["background"]
    assert light["faint"] == []
    assert dark["faint"] == []


def test_a_job_s_words_are_not_run(browser: Chromium, tmp_path: Path) -> None:
    page = report.render(failed_sources())
    assert HOSTILE not in page
    # The one script is the measuring one.
    assert browse(browser, tmp_path, page)["alerts"] <= 1


def test_the_measure_sees_what_is_wrong(browser: Chromium, tmp_path: Path) -> None:
    page = report.render(promoted_sources())
    spoilt = page.replace(
        "</style>", "td { color: #bbb; } .box text { transform: translateX(90px); } h1 { width: 3000px; }</style>"
    )
    found = browse(
        browser, tmp_path, spoilt.replace('style="left:', 'style="left: 50px; left: calc(100% + 40px); margin-left:')
    )
    assert found["wide"] > 0
    assert not found["textsInTheirBoxes"]
    assert not found["markersInside"]
    assert found["faint"]
