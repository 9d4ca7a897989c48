"""The page of tuning jobs in a real browser, without a network: its pictures are linked, in light and dark, wide and
narrow, and stay fluid with 750 trials."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from chromium import NO_BROWSER, Chromium, Page, faint
from tuning_documents import START, Made, tuning_job

from ratchet.tuning import study, trials
from ratchet.tuning.reading import Curve
from ratchet.tuning.study import Study

pytestmark = NO_BROWSER

DRAWN = "document.documentElement.dataset.drawn >= 1"
STATE = "tuning.state()"
# Frames of a brush that moves, and what one may take in which every picture of 750 trials is drawn anew.
FRAMES, FRAME_SECONDS = 24, 0.06

FINAL, HOSTILE = "FinalHyperParameterTuningJobObjectiveMetric", "<b id=evil>adam</b>"

Place = tuple[float, float]


def study_of(*made: Made) -> Study:
    jobs = [trials.of_documents(each.description, each.summaries) for each in made]
    since = {trial.name: trial.started for job in jobs for trial in job.trials}
    curves = [
        Curve(trial, tuple(((at - (since[trial] or at)).total_seconds(), value) for at, value in points))
        for each in made
        for trial, points in each.curves.items()
    ]
    return study.of_jobs(jobs, asked=[job.name for job in jobs], curves=curves)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pages: one job, whose best trial has a hostile value, two strategies, and a large job."""
    # Altair takes a while to import, and every test process collects this file.
    from ratchet.tuning import page as pages  # noqa: PLC0415

    found, where = (
        tmp_path_factory.mktemp("pages"),
        pages.Where("local", "0" * 12, "us-east-1", START + timedelta(hours=3)),
    )
    small = tuning_job(trials=60, early_stopping=True)
    of_best = max((each for each in small.summaries if FINAL in each), key=lambda each: float(each[FINAL]["Value"]))
    of_best["TunedHyperParameters"]["optimizer"] = HOSTILE
    one = study_of(small)
    two = study_of(tuning_job("bayes", trials=50), tuning_job("random", strategy="Random", trials=50, seed=4))
    large = study_of(tuning_job(trials=750, early_stopping=True, strategy="Random"))
    for name, each in {"one": one, "two": two, "large": large}.items():
        (found / f"{name}.html").write_text(pages.render(each, where), encoding="utf-8")
    return found


def opened(browser: Chromium, folder: Path, name: str, **looks: Any) -> Page:
    page = browser.open((folder / f"{name}.html").as_uri(), **looks)
    page.wait(DRAWN)
    return page


def corners(page: Page, key: str) -> tuple[Place, Place]:
    """The upper left and the lower right of a panel's plot, in the window; scrolled to where it can be seen."""
    page.ask(f"document.getElementById('panel-{key}').scrollIntoView({{block: 'center', behavior: 'instant'}})")
    left, top, width, height = page.ask(
        f"""(() => {{ const view = tuning.views.get('{key}');
            const place = view.container().querySelector('canvas').getBoundingClientRect(), pad = view.padding();
            const [x, y] = view.origin();
            return [place.left + x + pad.left, place.top + y + pad.top, view.width(), view.height()]; }})()"""
    )
    return (left, top), (left + width, top + height)


def within(page: Page, key: str, x: float, y: float) -> Place:
    """A place in a panel's plot, in shares of it."""
    (left, top), (right, bottom) = corners(page, key)
    return left + x * (right - left), top + y * (bottom - top)


def brush(page: Page, key: str, start: Place, end: Place) -> list[int]:
    """What is picked once a rectangle (in shares of the plot) has been drawn with the mouse."""
    before = page.ask(f"{STATE}.redrawn")
    page.drag(within(page, key, *start), within(page, key, *end))
    page.wait(f"{STATE}.redrawn > {before} && {STATE}.brushes.includes('{key}') && {STATE}.settled")
    return picked(page)


def picked(page: Page) -> list[int]:
    return sorted(int(key) for key in page.ask(f"{STATE}.picked") or {})


def shown(page: Page, key: str) -> list[int]:
    """The trials that a panel draws in full, as its own marks say."""
    found: list[int] = page.ask(
        f"""(() => {{ const found = new Set(); const look = item => {{
              if (item.items) item.items.forEach(look);
              if (item.datum && 'i' in item.datum && item.fillOpacity > 0.5) found.add(item.datum.i);
            }}; look(tuning.views.get('{key}').scenegraph().root); return [...found].sort((a, b) => a - b); }})()"""
    )
    return found


def test_it_opens_without_a_network_and_without_a_word(browser: Chromium, folder: Path) -> None:
    for name in ("one", "two"):
        page = opened(browser, folder, name)
        assert page.complaints == []
        assert page.asked_for == []
        assert page.ask("document.querySelectorAll('.panel canvas').length") >= 9
        page.close()


def test_a_brush_picks_the_same_trials_everywhere(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder, "one")
    everything = shown(page, "h0")
    found = brush(page, "h0", (0.4, 0.02), (0.8, 0.5))
    sides = page.ask("tuning.views.get('h0').signal('brush')")
    (left, right), (low, high) = sorted(sides["h0"]), sorted(sides["objective"])
    data = page.ask("JSON.parse(document.getElementById('page').textContent).data.trials")
    inside = [row["i"] for row in data if left <= row["h0"] <= right and low <= row["objective"] <= high]
    assert found == sorted(inside)
    assert 3 < len(found) < len(everything)
    for other in ("course", "h1", "h3", "h4"):
        assert shown(page, other) == found, other
    page.wait(f"[...document.querySelectorAll('#trials tbody tr')].filter(row => !row.hidden).length === {len(found)}")
    assert page.ask("document.getElementById('picked').textContent").startswith(f"{len(found)} of 60 trials")

    fewer = brush(page, "course", (0.5, 0.0), (1.0, 1.0))
    assert set(fewer) < set(found)
    assert shown(page, "h2") == fewer

    page.call("Input.dispatchKeyEvent", type="keyDown", key="Escape", code="Escape")
    page.wait(f"{STATE}.picked === null && {STATE}.brushes.length === 0 && {STATE}.settled")
    page.wait("document.getElementById('picked').hidden")
    assert shown(page, "h1") == everything
    assert page.complaints == []
    page.close()


def test_parallel_axes_distributions_and_curves_have_brushes_too(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder, "one")
    many = len(shown(page, "h0"))
    data = page.ask("JSON.parse(document.getElementById('page').textContent).data")
    best = max(data["trials"], key=lambda row: row["objective"])["i"]
    # The last axis is the objective, the best on top.
    on_top = brush(page, "parallel", (0.93, 0.05), (1.0, 0.35))
    assert best in on_top
    assert len(on_top) < many
    objective = {row["i"]: row["objective"] for row in data["trials"]}
    assert min(objective[i] for i in on_top) > max(objective[i] for i in objective if i not in on_top)
    page.ask("document.getElementById('all').click()")
    page.wait(f"{STATE}.picked === null && {STATE}.settled")

    right = brush(page, "distribution", (0.7, 0.1), (1.0, 0.9))
    assert best in right
    assert shown(page, "course") == right
    page.ask("document.getElementById('all').click()")
    page.wait(f"{STATE}.picked === null && {STATE}.settled")

    late = brush(page, "curves", (0.6, 0.0), (1.0, 1.0))
    stopped = {row["i"] for row in data["cuts"]}
    assert late
    assert not stopped & set(late), "what was stopped early was over by then"
    page.close()


def test_the_trial_pointed_at_is_marked_everywhere(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder, "one")
    corners(page, "h0")
    at = page.ask(
        """(() => { const view = tuning.views.get('h0'); let found; const look = item => {
             if (item.items) item.items.forEach(look);
             if (item.datum?.best && item.shape) found = item; };
           look(view.scenegraph().root);
           const place = view.container().querySelector('canvas').getBoundingClientRect(), pad = view.padding();
           const [x, y] = view.origin();
           return [place.left + x + pad.left + found.x, place.top + y + pad.top + found.y, found.datum.i]; })()"""
    )
    page.mouse("mouseMoved", at[0] - 30, at[1] - 3)
    page.mouse("mouseMoved", at[0], at[1])
    page.wait(f"{STATE}.pointed === {at[2]}")
    page.wait(f"tuning.views.get('h3').signal('pointed') === {at[2]}")
    page.wait(f"document.querySelector('#trials tr[data-i=\"{at[2]}\"]').classList.contains('pointed')")
    told = page.ask("document.getElementById('vg-tooltip-element').textContent")
    assert "digits-tune-1 #" in told
    assert "learning-rate" in told
    assert HOSTILE in told
    assert page.ask("document.getElementById('evil')") is None
    page.close()


def test_a_job_s_trials_can_be_picked_by_its_name(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder, "two")
    page.ask("document.querySelectorAll('button.job')[1].click()")
    page.wait(f"{STATE}.picked !== null")
    assert picked(page) == list(range(50, 100))
    page.wait("[...document.querySelectorAll('#trials tbody tr')].filter(row => !row.hidden).length === 50")
    page.close()


def test_the_table_sorts_by_any_column(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder, "one")
    values = "[...document.querySelectorAll('#trials tbody tr')].map(row => row.cells[0].textContent)"
    page.ask("document.querySelector('#trials thead th').click()")
    assert page.ask(values) == [str(number) for number in range(1, 61)]
    page.ask("document.querySelector('#trials thead th').click()")
    assert page.ask(values) == [str(number) for number in range(60, 0, -1)]
    page.close()


@pytest.mark.parametrize("name", ["one", "two"])
@pytest.mark.parametrize(("width", "opens_dark"), [(1280, False), (390, True)])
def test_nothing_is_cut_or_too_faint(browser: Chromium, folder: Path, name: str, width: int, opens_dark: bool) -> None:
    """In light and in dark, as it opens and as it becomes."""
    page = opened(browser, folder, name, width=width, dark=opens_dark)
    for drawn, dark in ((1, opens_dark), (2, not opens_dark)):
        page.look(width=width, dark=dark)
        page.wait(f"document.documentElement.dataset.drawn >= {drawn}")
        assert page.ask("document.documentElement.scrollWidth - window.innerWidth") <= 0
        assert page.ask(TOO_WIDE) == []
        assert page.ask(FAINT) == []
        back = page.ask("getComputedStyle(document.body).backgroundColor")
        assert back == ("rgb(20, 22, 26)" if dark else "rgb(246, 245, 242)")
    assert page.complaints == []
    page.close()


TOO_WIDE = """[...document.querySelectorAll('.panel')].filter(panel =>
    panel.querySelector('canvas').getBoundingClientRect().width > panel.getBoundingClientRect().width + 1)
    .map(panel => panel.id)"""
FAINT = faint("h1, h2, p, td, th, small, b, figcaption, figcaption span, footer")


def test_colours_follow_the_reader_without_a_reload(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder, "one")
    colour = "tuning.views.get('course').scale('color').range()[0]"
    assert page.ask(colour).upper() == "#0072B2"
    page.look(dark=True)
    page.wait("document.documentElement.dataset.drawn >= 2")
    assert page.ask(colour).upper() == "#4BA3DC"
    page.close()


def test_750_trials_stay_fluid(browser: Chromium, folder: Path) -> None:
    """Measured in the page's own processor time, since the machine may be busy."""
    page = opened(browser, folder, "large")
    page.wait(f"{STATE}.settled")
    assert len(shown(page, "h0")) > 690
    corners(page, "h0")
    page.call("Performance.enable", timeDomain="threadTicks")
    before = worked(page)
    page.ask(
        f"""(async () => {{ const view = tuning.views.get('h0');
             for (let step = 1; step <= {FRAMES}; step++) {{
               const before = {STATE}.redrawn;
               view.signal('brush_x', [10, 20 + 8 * step]).signal('brush_y', [5, 150]); await view.runAsync();
               while ({STATE}.redrawn === before) await new Promise(requestAnimationFrame); }} }})()"""
    )
    each = (worked(page) - before) / FRAMES
    print(f"a frame of 750 trials takes {1000 * each:.0f} ms of processor time")
    page.wait(f"{STATE}.settled")
    assert 0 < len(picked(page)) < 700
    assert shown(page, "h4") == picked(page)
    assert each < FRAME_SECONDS
    page.close()


def worked(page: Page) -> float:
    """Seconds of processor time of the page's thread."""
    metrics = {each["name"]: each["value"] for each in page.call("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])
