"""The pictures of views in a real browser: a slider over 200 steps that moves nothing else, played, by keys, in light
and dark, wide and narrow, without scripts; the page that follows a run; and what means harm, which comes to nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chromium import NO_BROWSER, Chromium, Page, faint
from run_documents import START, promoted_sources
from view_documents import course, document, drawing, encoded, header, kept, line_chart, pixels, point_cloud

from ratchet import report, views
from ratchet.view_pages.live import LivePage
from ratchet.view_pages.section import Kept
from ratchet.views import Picture, View

pytestmark = NO_BROWSER

STATE = "ratchetViews.state()"
VIEW = "ratchetViews.views.get('{name}')"
# Seconds of the page's own processor time that a step of the slider may take.
STEP_SECONDS = {"svg": 0.05, "vega": 0.15}

EVIL = "window.evil = 1; document.documentElement.dataset.evil = 1"
HOSTILE_NAME = "</script><script>window.evil = 1</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of views that went well, and one of views that mean harm."""
    found = tmp_path_factory.mktemp("views")
    for name, of_page in {"well": well(), "hostile": hostile()}.items():
        report.write(replace(promoted_sources(), views=of_page), found / f"{name}.html", found)
    return found


def well() -> tuple[Kept, ...]:
    problems = [{"step": 300, "reason": "ValueError: perplexity\n  views.py:12, in latents", "at": None}]
    return (
        kept("latents", course(point_cloud, 20), START, parameters={"perplexity": 40}, skipped=31),
        kept("losses", course(line_chart, 40), START),
        kept("reconstruction", course(drawing, 200), START),
        kept("digits", course(pixels, 30, 200), START, every=200, failed=2, problems=problems, status="given up"),
        kept("nothing", {}, START, failed=1, problems=problems),
    )


def hostile() -> tuple[Kept, ...]:
    """Pictures that would run, load, link, fill the screen or the memory, if anything here let them."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="200" height="90" '
    svgs = [
        f'{svg}onload="{EVIL}"><script>{EVIL}</script><text y="20">a</text></svg>',
        f'{svg}><foreignObject width="99" height="99"><body xmlns="http://www.w3.org/1999/xhtml"><img src="x" '
        f'onerror="{EVIL}"/><iframe src="javascript:{EVIL}"/></body></foreignObject></svg>',
        f'{svg}><a xlink:href="javascript:{EVIL}"><rect width="200" height="90"/></a><image '
        'xlink:href="http://127.0.0.1:9/pixel.png" width="9" height="9"/>'
        '<style>@import "http://127.0.0.1:9/a.css";</style></svg>',
        svg.replace('"200"', '"99999999999"').replace('"90"', '"99999999999"') + "/>",
        '<!DOCTYPE svg [<!ENTITY a "aaaaaaaaaa">]>' + svg + "><text>&a;</text></svg>",
    ]
    plain: dict[str, Any] = {
        "data": {"values": [{"a": 1, "b": HOSTILE_NAME}, {"a": 2, "b": "\u202eeman"}]},
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {"x": {"field": "a", "type": "quantitative"}, "y": {"field": "b", "type": "nominal"}},
    }
    lookup = {"data": {"url": "http://127.0.0.1:9/x.json"}, "key": "a", "fields": ["c"]}
    looks = {"embedOptions": {"ast": False, "actions": True}}
    documents: list[Mapping[str, Any]] = [
        {**plain, "title": HOSTILE_NAME, "description": "</script><!--", "usermeta": looks},
        {**plain, "encoding": {**plain["encoding"], "href": {"value": f"javascript:{EVIL}"}}},
        {**plain, "mark": "image", "encoding": {"url": {"value": "http://127.0.0.1:9/pixel.png"}}},
        {**plain, "transform": [{"calculate": f"constructor.constructor('{EVIL}')()", "as": "c"}]},
        {**plain, "transform": [{"lookup": "a", "from": lookup}]},
        {**plain, "width": 1e9},
        {**plain, "mark": "nonsense"},
        {**plain, "config": {"background": "url(http://127.0.0.1:9/x.png)"}},
        plain,
    ]
    told = {"view": HOSTILE_NAME, "parameters": {"a\u202e\x1b[2J": HOSTILE_NAME}}
    said = [{"step": 100, "reason": HOSTILE_NAME + "\x1b[31m\u202e", "at": None}]
    pngs = [header(60000, 60000), b"\x89PNG\r\n\x1a\n", pixels(100)]
    return tuple(
        kept(name, {100 * (at + 1): each for at, each in enumerate(contents)}, START, **told, failed=1, problems=said)
        for name, contents in {
            "svgs": [each.encode() for each in svgs],
            "documents": [encoded(each) for each in documents],
            "pngs": pngs,
        }.items()
    )


def opened(browser: Chromium, folder: Path, name: str = "well", **looks: Any) -> Page:
    page = browser.open((folder / f"{name}.html").as_uri(), **looks)
    if looks.get("scripts", True):
        page.wait("window.ratchetViews !== undefined")
    return page


def scrolled(page: Page, name: str) -> None:
    """Has a view be seen, and drawn."""
    page.ask(
        f"document.querySelector('article[data-name={name}]').scrollIntoView({{block: 'center', behavior: 'instant'}})"
    )
    page.wait(f"{VIEW.format(name=name)}.visible && !{STATE}.working && {VIEW.format(name=name)}.shown !== null")


def at(page: Page, name: str) -> int:
    """The step whose picture a view shows."""
    page.wait(f"!{STATE}.working")
    found: int = page.ask(f"{VIEW.format(name=name)}.shown.step")
    return found


def slid(page: Page, name: str, place: int) -> int:
    """The step that is shown once a view's slider has been put to a place, as a reader does it."""
    page.ask(
        f"(() => {{ const slider = {VIEW.format(name=name)}.player.slider; slider.value = {place}; "
        "slider.dispatchEvent(new Event('input')); })()"
    )
    return at(page, name)


def test_it_shows_the_newest_picture_of_each_view_and_loads_nothing(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder)
    for name, last in {"latents": 2000, "losses": 4000, "reconstruction": 20000, "digits": 6000}.items():
        scrolled(page, name)
        assert at(page, name) == last
        label = page.ask(f"document.querySelector('article[data-name={name}] .label').textContent")
        assert label.startswith(f"step {last:,}")
        assert "after the start, 16:" in label
    assert page.ask("document.querySelectorAll('.stage canvas').length") == 2
    assert page.ask("document.querySelectorAll('.stage img').length") == 2
    assert page.ask("document.querySelector('article[data-name=nothing] .controls').hidden")
    said = page.ask("document.getElementById('views').textContent")
    assert "31 due steps passed while it was drawn" in said
    assert "It was given up: what went wrong would again." in said
    assert "step 300: ValueError: perplexity" in said
    assert page.complaints == []
    assert page.asked_for == []
    page.close()


@pytest.mark.parametrize(
    ("name", "kind", "width"),
    [("reconstruction", "svg", 1280), ("reconstruction", "svg", 390), ("losses", "vega", 1280)],
)
def test_every_step_of_the_slider_is_shown_and_nothing_else_moves(
    browser: Chromium, folder: Path, name: str, kind: str, width: int
) -> None:
    """Measured in the page's own processor time, since the machine may be busy."""
    page = opened(browser, folder, width=width)
    scrolled(page, name)
    page.call("Performance.enable", timeDomain="threadTicks")
    before = worked(page)
    steps, places = page.ask(
        f"""(async () => {{ const view = {VIEW.format(name=name)}, steps = [], places = new Set();
             const below = document.getElementById('curves');
             for (let place = 0; place < view.pictures.length; place++) {{
               view.player.slider.value = place; view.player.slider.dispatchEvent(new Event('input'));
               await view.work();
               await new Promise(requestAnimationFrame);
               steps.push(view.shown.step); const box = view.stage.getBoundingClientRect();
               places.add([box.top, box.height, below.getBoundingClientRect().top].map(Math.round).join()); }}
             return [steps, [...places]]; }})()"""
    )
    count = {"reconstruction": 200, "losses": 40}[name]
    each = (worked(page) - before) / count
    print(f"a step of {name} takes {1000 * each:.0f} ms of processor time")
    assert steps == [100 * (place + 1) for place in range(count)]
    assert len(places) == 1, places
    assert each < STEP_SECONDS[kind]
    assert page.complaints == []
    page.close()


def worked(page: Page) -> float:
    """Seconds of processor time of the page's thread."""
    metrics = {each["name"]: each["value"] for each in page.call("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])


def test_a_slider_dragged_quickly_ends_at_what_it_stands_on(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder)
    scrolled(page, "latents")
    before = page.ask(f"{STATE}.draws")
    page.ask(
        f"""(() => {{ const slider = {VIEW.format(name="latents")}.player.slider;
             for (let place = 19; place >= 4; place--) {{
               slider.value = place; slider.dispatchEvent(new Event('input')); }} }})()"""
    )
    assert at(page, "latents") == 500
    assert page.ask(f"{STATE}.draws") - before < 16, "what it passed in no time isn't drawn"
    page.close()


def test_keys_move_it(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder)
    scrolled(page, "reconstruction")
    for focus in (".stage", "input"):
        page.ask(f"document.querySelector('article[data-name=reconstruction] {focus}').focus()")
        page.press("Home")
        assert at(page, "reconstruction") == 100
        page.press("ArrowRight")
        page.press("ArrowRight")
        assert at(page, "reconstruction") == 300
        page.press("ArrowLeft")
        assert at(page, "reconstruction") == 200
        page.press("End")
        assert at(page, "reconstruction") == 20000
    told = page.ask("document.querySelector('article[data-name=reconstruction] input').getAttribute('aria-valuetext')")
    assert told.startswith("step 20,000, ")
    assert told.endswith("200 of 200")
    page.close()


def test_it_plays_to_the_end_and_can_be_paused(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder)
    scrolled(page, "digits")
    button = "document.querySelector('article[data-name=digits] .play')"
    page.ask(f"{button}.click()")
    page.wait(f"{VIEW.format(name='digits')}.shown.step >= 600")
    assert page.ask(f"{button}.getAttribute('aria-label')") == "pause"
    page.ask("document.querySelector('article[data-name=digits] .stage').focus({preventScroll: true})")
    page.press(" ")
    paused = at(page, "digits")
    assert page.ask(f"{button}.getAttribute('aria-label')") == "play"
    assert 600 <= paused < 6000
    slid(page, "digits", 27)
    page.press(" ")
    page.wait(
        f"{VIEW.format(name='digits')}.shown.step === 6000 && {VIEW.format(name='digits')}.player.playing === null"
    )
    page.close()


def test_who_wants_little_motion_gets_a_slow_pace(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder, still=True)
    pace = f"{VIEW.format(name='reconstruction')}.player.pace"
    assert page.ask(pace) == 700
    page.look(still=False)
    assert page.ask(pace) == 100
    page.close()


def test_one_slider_moves_them_all(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder, height=3000)
    page.wait(f"{STATE}.draws >= 4 && !{STATE}.working")
    page.ask(
        "(() => { const all = ratchetViews.together, slider = all.player.slider; "
        "slider.value = all.steps.indexOf(900); slider.dispatchEvent(new Event('input')); })()"
    )
    assert [at(page, name) for name in ("latents", "losses", "reconstruction", "digits")] == [900, 900, 900, 800]
    assert page.ask("document.querySelector('#together b').textContent") == "step 900"
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_point_can_be_pointed_at_however_small_the_picture_is_shown(
    browser: Chromium, folder: Path, width: int
) -> None:
    page = opened(browser, folder, width=width)
    scrolled(page, "latents")
    at = page.ask(
        f"""(() => {{ const view = {VIEW.format(name="latents")}.drawn.view; let found; const look = item => {{
             if (item.items) item.items.forEach(look); if (item.datum?.digit === '7' && item.shape) found = item; }};
           look(view.scenegraph().root);
           const canvas = view.container().querySelector('canvas'), box = canvas.getBoundingClientRect();
           const [x, y] = view.origin(), pad = view.padding(), times = box.width / canvas.width;
           const [right, down] = [x + pad.left + found.x, y + pad.top + found.y];
           return [box.left + times * right, box.top + times * down, times]; }})()"""
    )
    assert (at[2] < 0.9) == (width == 390), "on a phone it is shown smaller"
    page.mouse("mouseMoved", at[0] - 40, at[1] - 40)
    page.mouse("mouseMoved", at[0], at[1])
    page.wait("document.getElementById('vg-tooltip-element')?.textContent.includes('digit')")
    assert "7" in page.ask("document.getElementById('vg-tooltip-element').textContent")
    page.close()


def test_a_view_can_be_enlarged_and_made_small_again(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder)
    for name in ("latents", "losses", "reconstruction", "digits"):
        scrolled(page, name)
        article = f"document.querySelector('article[data-name={name}]')"
        width = f"{article}.querySelector('.stage canvas, .stage img').getBoundingClientRect().width"
        small = page.ask(width)
        page.ask(f"{article}.querySelector('.larger').click()")
        page.wait(f"!{STATE}.working && {width} > {1.5 * small}")
        page.ask(f"{article}.querySelector('.larger').click()")
        page.wait(f"!{STATE}.working && Math.abs({width} - {small}) < 2")
    assert page.complaints == []
    page.close()


def test_on_a_phone_an_enlarged_view_has_its_own_size_and_is_scrolled(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder, width=390)
    for name in ("latents", "reconstruction"):
        scrolled(page, name)
        article = f"document.querySelector('article[data-name={name}]')"
        width = f"{article}.querySelector('.stage canvas, .stage img').getBoundingClientRect().width"
        room = page.ask(f"{article}.clientWidth")
        assert page.ask(width) <= room
        page.ask(f"{article}.querySelector('.larger').click()")
        page.wait(f"!{STATE}.working && {width} > {room}")
        assert slid(page, name, 3) == 400
        assert page.ask(f"Math.abs({width} - {VIEW.format(name=name)}.drawn.width) < 1"), "as it was drawn"
        assert page.ask(
            f"{article}.querySelector('.stage').scrollWidth > {article}.querySelector('.stage').clientWidth"
        )
        assert page.ask("document.documentElement.scrollWidth - window.innerWidth") <= 0, "the page isn't"
        page.ask(f"{article}.querySelector('.larger').click()")
        page.wait(f"!{STATE}.working && {width} <= {room}")
    assert page.complaints == []
    page.close()


@pytest.mark.parametrize(("width", "opens_dark"), [(1280, False), (390, True)])
def test_nothing_is_cut_or_too_faint(browser: Chromium, folder: Path, width: int, opens_dark: bool) -> None:
    """In light and in dark, as it opens and as it becomes."""
    page = opened(browser, folder, width=width, height=3000, dark=opens_dark)
    for dark in (opens_dark, not opens_dark):
        drawn = page.ask(f"{STATE}.draws")
        page.look(width=width, height=3000, dark=dark)
        page.ask("document.getElementById('views').scrollIntoView()")
        # Once more those that Vega draws, when the colours change.
        page.wait(f"{STATE}.draws >= {4 if dark == opens_dark else drawn + 2} && !{STATE}.working")
        assert page.ask("document.documentElement.scrollWidth - window.innerWidth") <= 0
        assert page.ask(OUTSIDE) == []
        assert page.ask(FAINT) == []
        ink = page.ask(f"{VIEW.format(name='latents')}.drawn.view.scale('color').range()[0]")
        assert ink.upper() == ("#4BA3DC" if dark else "#0072B2")
    assert page.complaints == []
    page.close()


OUTSIDE = """[...document.querySelectorAll('.stage img, .stage canvas, .player, .view h3')].filter(element => {
    if (!element.checkVisibility()) return false;
    const [inner, outer] = [element, element.closest('.view, section')].map(each => each.getBoundingClientRect());
    return inner.left < outer.left - 1 || inner.right > outer.right + 1; })
    .map(element => element.outerHTML.slice(0, 80))"""
FAINT = faint("#views :is(h2, h3, p, b, span, li, summary, button:enabled)")


def test_without_scripts_the_first_and_the_last_picture_are_there(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder, scripts=False, height=3000)
    shown = page.ask(
        """[...document.querySelectorAll('article.view')].map(view => [...view.querySelectorAll('.stage figure')]
             .filter(each => each.checkVisibility())
             .map(each => [each.querySelector('img').naturalWidth > 0, each.textContent]))"""
    )
    ends = [("100", "2,000"), ("100", "4,000"), ("100", "20,000"), ("200", "6,000")]
    assert shown == [*([[True, f"step {end}"] for end in each] for each in ends), []]
    assert page.ask("[...document.querySelectorAll('.player')].filter(each => each.checkVisibility()).length") == 0
    page.close()


def test_pictures_that_mean_harm_come_to_nothing(browser: Chromium, folder: Path) -> None:
    page = opened(browser, folder, "hostile", height=3000)
    assert not [event for event in page.events if event["method"] == "Page.javascriptDialogOpening"]
    said: dict[str, list[str]] = {}
    for name, count in {"svgs": 5, "documents": 9, "pngs": 3}.items():
        scrolled(page, name)
        for place in range(count):
            slid(page, name, place)
            said.setdefault(name, []).append(page.ask(f"{VIEW.format(name=name)}.stage.textContent"))
            page.ask("document.querySelectorAll('.stage canvas, .stage img').forEach(each => each.click())")
    assert page.ask("[typeof window.evil, document.documentElement.dataset.evil ?? 'none', location.protocol]") == [
        "undefined",
        "none",
        "file:",
    ]
    assert page.asked_for == []
    assert page.ask("document.querySelectorAll('.stage a, .stage iframe, .stage svg, .stage script').length") == 0
    assert page.ask("document.querySelectorAll('script:not([type])').length") == 0
    assert page.ask("document.documentElement.scrollWidth - window.innerWidth") <= 0
    whole = page.ask("document.documentElement.outerHTML")
    assert not set(whole) & {"\u202e", "\x1b"}
    print(json.dumps(said, indent=1))
    assert [bool(text) for text in said["svgs"]] == [False] * 4 + [True]
    assert "declares entities" in said["svgs"][4]
    assert "60000 × 60000 pixels" in said["pngs"][0]
    assert "it is no PNG" in said["pngs"][1]
    assert said["pngs"][2] == ""
    documents = said["documents"]
    assert documents[0] == documents[8] == "", "the rest goes on"
    assert "loads data from elsewhere" in documents[4]
    assert "more than 10000 pixels aren't drawn" in documents[5]
    assert "can't be shown" in documents[6]
    page.close()


def test_a_page_whose_policy_is_broken_would_be_seen(browser: Chromium, folder: Path) -> None:
    """That nothing runs is the policy's doing, too: a script that somebody brings into the page is refused."""
    page = opened(browser, folder, "hostile")
    evil = f"script.textContent = {json.dumps(EVIL)}; document.body.append(script);"
    page.ask(f"(() => {{ const script = document.createElement('script'); {evil} }})()")
    assert page.ask("typeof window.evil") == "undefined"
    assert any("Content Security Policy" in each for each in page.complaints)
    page.close()


# ------------------------------------------------------------------------------------------------------------ following


class Run:
    """A run that draws, as the page that follows it is told."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    def content(self, folder: str, picture: Picture) -> bytes | None:
        return self.contents.get(f"{folder}/{picture.file}")

    def views(self, **of_each: Mapping[int, bytes]) -> tuple[View, ...]:
        found = [views.of_document(name, document(name, each, START)) for name, each in of_each.items()]
        for view in found:
            self.contents |= {f"t/{each.file}": of_each[view.name][each.step] for each in view.pictures}
        return tuple(found)


def test_the_page_follows_a_run(browser: Chromium, folder: Path) -> None:
    run = Run()
    latents, bars = VIEW.format(name="latents"), VIEW.format(name="bars")
    with LivePage("digits 20261127", run.content, folder) as live:
        page = browser.open(live.url, offline=False, height=2000)
        page.wait("document.getElementById('waiting').checkVisibility()")
        live.show("Running", "t", run.views(latents=course(point_cloud, 3)), ended=False)
        page.wait(f"ratchetViews.views.size === 1 && {latents}.shown?.step === 300")
        assert not page.ask("document.getElementById('waiting').checkVisibility()")
        assert " ago" in page.ask("document.querySelector('article .label').textContent")

        live.show("Running", "t", run.views(latents=course(point_cloud, 5), bars=course(drawing, 2)), ended=False)
        page.wait(f"{latents}.shown.step === 500 && {bars}?.shown?.step === 200 && !{STATE}.working")
        assert slid(page, "latents", 1) == 200
        draws = page.ask(f"{STATE}.draws")
        live.show("Running", "t", run.views(latents=course(point_cloud, 8), bars=course(drawing, 4)), ended=False)
        page.wait(f"{bars}.shown.step === 400 && {latents}.pictures.length === 8")
        assert at(page, "latents") == 200, "the reader has gone there"
        assert page.ask(f"{STATE}.draws") == draws + 1

        assert slid(page, "latents", 7) == 800
        last = run.views(latents=course(point_cloud, 9), bars=course(drawing, 4))
        live.show("Promoted. better than the champion", "t", last, ended=True)
        page.wait(f"{latents}.shown.step === 900")
        assert page.ask("document.getElementById('headline').textContent") == "Promoted. better than the champion"
        assert page.complaints == []
        assert all(url.startswith(live.url) for url in page.asked_for)
        before = page.ask(f"{STATE}.draws")
        page.look(height=2000, dark=True)
        page.wait(f"{STATE}.draws > {before} && !{STATE}.working")
        assert page.ask(FAINT) == []
        assert page.ask("document.documentElement.scrollWidth - window.innerWidth") <= 0
    page.wait("document.getElementById('gone').checkVisibility()")
    page.close()


def test_a_reader_who_has_gone_to_a_step_of_all_views_stays_there(browser: Chromium, folder: Path) -> None:
    """Also where it is a view's newest, as long as another view has later ones."""
    run = Run()
    with LivePage("digits 20261127", run.content, folder) as live:
        live.show("Running", "t", run.views(many=course(drawing, 8), few=course(drawing, 4)), ended=False)
        page = browser.open(live.url, offline=False, height=2000)
        page.wait("ratchetViews.together.steps.length === 8")
        page.ask(
            "(() => { const all = ratchetViews.together, slider = all.player.slider; "
            "slider.value = all.steps.indexOf(500); slider.dispatchEvent(new Event('input')); })()"
        )
        assert [at(page, "many"), at(page, "few")] == [500, 400]
        live.show("Running", "t", run.views(many=course(drawing, 9), few=course(drawing, 6)), ended=False)
        page.wait(f"{VIEW.format(name='few')}.pictures.length === 6")
        assert [at(page, "many"), at(page, "few")] == [500, 400]
        assert page.ask("document.querySelector('#together b').textContent") == "step 500"
        page.close()


def test_pictures_that_mean_harm_come_to_nothing_on_that_page_either(browser: Chromium, folder: Path) -> None:
    run = Run()
    told = {each.view.name: {picture.step: content for picture, content in each.contents} for each in hostile()}
    with LivePage(HOSTILE_NAME, run.content, folder) as live:
        live.show(HOSTILE_NAME, "t", run.views(**told), ended=True)
        page = browser.open(live.url, offline=False, height=3000)
        page.wait("ratchetViews.views.size === 3")
        said: dict[str, list[str]] = {}
        for name, contents in told.items():
            scrolled(page, name)
            for place in range(len(contents)):
                slid(page, name, place)
                said.setdefault(name, []).append(page.ask(f"{VIEW.format(name=name)}.stage.textContent"))
        assert "declares entities" in said["svgs"][4]
        assert "60000 × 60000 pixels" in said["pngs"][0]
        assert "loads data from elsewhere" in said["documents"][4]
        assert said["documents"][8] == ""
        assert page.ask("[typeof window.evil, document.documentElement.dataset.evil ?? '']") == ["undefined", ""]
        assert all(url.startswith(live.url) for url in page.asked_for)
        # A picture that is opened by itself is a page of this address: nothing of it runs there either.
        alone = browser.open(f"{live.url}pictures/svgs/{100:012d}", offline=False)
        assert alone.ask("[document.documentElement.tagName, document.documentElement.dataset.evil ?? '']") == [
            "svg",
            "",
        ]
        alone.close()
        page.close()
