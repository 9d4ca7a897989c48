"""The report in a real browser: nothing overlaps, nothing is cut or loaded, in light and dark, wide and narrow.

The page has no script; the browser measures a copy with one that writes its findings into the document.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from run_documents import HOSTILE, RESIDUALS, failed_sources, promoted_sources, record, rolled_back_sources

from ratchet import report, runs

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
MEASURE = f"<script>\n{(Path(__file__).parent / 'measure.js').read_text(encoding='utf-8')}</script>"


def browse(folder: Path, page: str, *flags: str, width: int = 1280) -> dict[str, Any]:
    """What the browser finds in the page, at a width."""
    path = folder / "page.html"
    path.write_text(page.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},2000", *flags]
    done = subprocess.run(
        [*command, "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    measured: dict[str, Any] = json.loads(unescape(found[1]))
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
def test_everything_is_where_it_belongs(tmp_path: Path, sources: report.Sources, width: int) -> None:
    found = browse(tmp_path, report.render(sources), width=width)
    assert found["wide"] <= 0
    assert found["states"]
    assert found["textsInTheirBoxes"]
    assert found["overlapping"] == 0
    assert found["markersInside"]
    assert found["labelsInside"]
    assert found["labelsOverlapping"] == 0
    assert found["requests"] == []


def test_figures_that_lie_close_together_can_still_be_read(tmp_path: Path) -> None:
    evaluation = {**record()["evaluation"], "challenger": {"score": 0.91}, "champion": {"score": 0.9101}}
    close = {"difference": -0.0001, "interval": [-0.0002, 0.0001]}
    decision = {**record()["decision"], "minimum": 0.91, "beat_champion_by": 0.00005}
    run = runs.of_item(record(evaluation={**evaluation, **close}, decision=decision))
    found = browse(tmp_path, report.render(replace(promoted_sources(), run=run)), width=760)
    assert found["labelsOverlapping"] == 0
    assert found["labelsInside"]


def test_light_and_dark_can_both_be_read(tmp_path: Path) -> None:
    page = report.render(promoted_sources())
    light = browse(tmp_path, page)
    dark = browse(tmp_path, page, "--blink-settings=preferredColorScheme=0")
    assert light["background"] != dark["background"]
    assert light["faint"] == []
    assert dark["faint"] == []


def test_a_job_s_words_are_not_run(tmp_path: Path) -> None:
    page = report.render(failed_sources())
    assert HOSTILE not in page
    # The one script is the measuring one.
    assert browse(tmp_path, page)["alerts"] <= 1


def test_the_measure_sees_what_is_wrong(tmp_path: Path) -> None:
    page = report.render(promoted_sources())
    spoilt = page.replace(
        "</style>", "td { color: #bbb; } .box text { transform: translateX(90px); } h1 { width: 3000px; }</style>"
    )
    found = browse(tmp_path, spoilt.replace('style="left:', 'style="left: 50px; left: calc(100% + 40px); margin-left:'))
    assert found["wide"] > 0
    assert not found["textsInTheirBoxes"]
    assert not found["markersInside"]
    assert found["faint"]
