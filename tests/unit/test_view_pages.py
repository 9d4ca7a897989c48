"""What of views a page holds: its budget, what its pictures are, and what it says of them."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from run_documents import START, promoted_sources
from view_documents import course, document, drawing, encoded, header, kept, pixels

from contract import views as words
from ratchet import pages, report, views
from ratchet.view_pages import budget, pictures, saving, section, vega
from ratchet.view_pages.pictures import Shape, TooMuchError, UnusableError
from ratchet.views import Picture

SVG = '<svg xmlns="http://www.w3.org/2000/svg" {}/>'
PLAIN: dict[str, Any] = {"data": {"values": [{"url": "http://a", "width": 1e9}]}, "mark": "point"}


def made(*sizes: int) -> list[Picture]:
    return [Picture(step, words.SVG, words.picture("a", step, words.SVG), size) for step, size in enumerate(sizes)]


# --------------------------------------------------------------------------------------------------------------- budget


@given(some.integers(0, 400), some.integers(0, 250))
def test_pictures_are_spread_evenly_from_the_first_to_the_last(total: int, count: int) -> None:
    found = [picture.step for picture in budget.spread(made(*([1] * total)), count)]
    assert len(found) == min(total, count)
    assert found == sorted(set(found))
    if found:
        assert found[-1] == total - 1
    if len(found) > 1:
        assert found[0] == 0
        apart = [after - before for before, after in pairwise(found)]
        assert max(apart) - min(apart) <= 1


@given(some.lists(some.lists(some.integers(1, 2000), max_size=40), max_size=6), some.integers(0, 30_000))
def test_a_page_is_never_larger_than_it_may_be(sizes: list[list[int]], page_bytes: int) -> None:
    all_of_them = {f"v{number}": made(*each) for number, each in enumerate(sizes)}
    found = budget.chosen(all_of_them, page_bytes, most=20)
    assert sum(budget.size(each) for each in found.values()) <= page_bytes
    assert list(found) == list(all_of_them)
    for name, each in found.items():
        assert len(each) <= 20
        if len(each) > 1:
            assert (each[0], each[-1]) == (all_of_them[name][0], all_of_them[name][-1])


def test_a_view_that_needs_little_leaves_the_rest_to_the_others() -> None:
    found = budget.chosen({"large": made(*[100] * 50), "small": made(*[1] * 50)}, 2050)
    assert (len(found["small"]), len(found["large"])) == (50, 20)
    assert [len(each) for each in budget.chosen({"a": made(*[1] * 1240)}).values()] == [budget.PICTURES]


def test_the_true_sizes_count_whatever_a_document_says_and_what_is_gone_is_said() -> None:
    contents = course(drawing, 40)
    view = views.of_document("bars", document("bars", contents, START))
    small = replace(view, pictures=tuple(replace(picture, bytes=1) for picture in view.pictures))
    read = {("bars", step): content for step, content in contents.items() if step != 200}
    (found,) = section.kept([small], read, {"bars": small.pictures}, page_bytes=9 * len(contents[100]))
    assert found.gone == 1
    assert sum(len(content) for _, content in found.contents) <= 9 * len(contents[100])
    assert [found.contents[place][0].step for place in (0, -1)] == [100, 4000]
    said = section.sentences(small, held=len(found.contents), gone=found.gone)
    assert re.fullmatch(r"Of 40 pictures \d stand here, evenly spread over the steps\.", said[0])
    assert said[1] == "1 picture of it is no longer there."


# ------------------------------------------------------------------------------------------------------------- pictures


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="420" height="240"', (420, 240)),
        ('width="420px" height=" 240.5 px "', (420, 240.5)),
        ('viewBox="0 0 100 50"', (100, 50)),
        ('viewBox="0,0,100,50" width="300"', (300, 150)),
        ('viewBox="0 0 100 50" height="300"', (600, 300)),
        ('width="100%" height="100%" viewBox="-10 -10 40 20"', (40, 20)),
        ('width="99999999999" height="99999999999"', (99999999999, 99999999999)),
        ('width="1e9" height="-4"', (300, 150)),
        ('viewBox="0 0 0 0"', (300, 150)),
        ('viewBox="a b c d"', (300, 150)),
        ("", (300, 150)),
    ],
)
def test_the_size_of_an_svg_is_what_an_image_of_it_would_have(attributes: str, size: tuple[float, float]) -> None:
    assert pictures.shape(SVG.format(attributes).encode(), words.SVG) == Shape(*size)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is no SVG"),
        (b"hello", "it is no SVG"),
        (b"<html><body/></html>", "its first element is no svg"),
        (b"<svg/>", "its first element is no svg of http://www.w3.org/2000/svg"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg"/>', "declares entities"),
        (b'<?xml version="1.0" encoding="klingon"?><svg/>', "it is no SVG"),
        (b"\xff\xfe\x00", "it is no SVG"),
    ],
)
def test_what_is_no_svg_is_said(content: bytes, why: str) -> None:
    with pytest.raises(UnusableError, match=re.escape(why)):
        pictures.shape(content, words.SVG)


def test_a_png_is_known_by_its_beginning() -> None:
    assert pictures.shape(pixels(100), words.PNG) == Shape(28, 28)
    assert pictures.enlarged(Shape(28, 28)) == Shape(308, 308), "in whole multiples of its pixels"
    assert pictures.enlarged(Shape(300, 20)) == Shape(300, 20)
    for content, why in [
        (b"", "it is no PNG"),
        (header(0, 9), "it has no pixels"),
        (header(60000, 60000), "60000 × 60000 pixels, more than the 32,000,000"),
        (header(9, 9)[:20], "it is no PNG"),
        (b"GIF89a", "it is no PNG"),
    ]:
        with pytest.raises(UnusableError, match=re.escape(why)):
            pictures.shape(content, words.PNG)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"data": {"url": "http://a"}}, "data.url loads data from elsewhere"),
        ({"layer": [{"data": {"url": "a.csv"}, "mark": "bar"}]}, "layer.0.data.url loads data"),
        ({"width": 1e9}, "width is 1e+09; more than 10000 pixels aren't drawn"),
        ({"vconcat": [{"height": 20_000}]}, "vconcat.0.height is 20000"),
        ({"width": {"step": 1e6}}, "width.step is 1e+06"),
        ({"mark": {"type": "image", "width": 99_999}}, "mark.width is 99999"),
    ],
)
def test_a_document_that_loads_or_would_fill_the_memory_is_refused(changes: dict[str, Any], why: str) -> None:
    assert pictures.document(encoded(PLAIN)) == PLAIN, "its rows may be called as they like"
    with pytest.raises(UnusableError, match=re.escape(why)):
        pictures.document(encoded({**PLAIN, **changes}))


def test_how_a_document_is_to_be_embedded_is_not_its_business() -> None:
    told = {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "usermeta": {"embedOptions": {"ast": False}}}
    assert pictures.document(encoded({**PLAIN, **told})) == PLAIN
    for content, why in [
        (b"", "it is no JSON"),
        (b"[]", "it is no Vega-Lite document"),
        (b'{"a": NaN}', "it holds NaN, which JSON has not"),
        (b'{"a": ' * 200 + b"1" + b"}" * 200, "is nested more than 100 levels deep"),
        (b"[" * 100_000, "it is no JSON"),
        (b"\xff", "it is no JSON"),
    ]:
        with pytest.raises(UnusableError, match=re.escape(why)):
            pictures.document(content)


# -------------------------------------------------------------------------------------------------------------- section


class Drawn(vega.Drawer):
    """Draws nothing; or not in time."""

    def __init__(self, *, too_much: bool = False) -> None:
        super().__init__()
        self.too_much, self.asked = too_much, list[Any]()

    def svg(self, document: Any) -> str:
        self.asked.append(document)
        if self.too_much:
            raise TooMuchError("Vega-Lite can't draw it: that takes longer than 15 s")
        return SVG.format('width="120" height="90"')


def figure(found: section.Kept, drawer: vega.Drawer | None = None) -> section.Figure:
    return section._figure(found, drawer or Drawn())


def test_the_first_and_the_last_picture_stand_in_the_markup_and_only_there() -> None:
    found = figure(kept("bars", course(drawing, 3), START))
    frames = json.loads(found.json)
    assert [(end.place, end.step) for end in found.ends] == [("first", 100), ("last", 300)]
    assert [frame["data"] is None for frame in frames] == [True, False, True]
    assert base64.b64decode(frames[1]["data"].partition(",")[2]) == drawing(200)
    assert (found.width, found.height) == (420, 240)
    alone = figure(kept("bars", course(drawing, 1), START))
    assert [(end.place, end.step) for end in alone.ends] == [("last", 100)]


def test_of_a_document_the_ends_are_drawn_for_readers_without_scripts() -> None:
    drawer = Drawn()
    found = figure(kept("points", {step: encoded(PLAIN) for step in (100, 200, 300)}, START), drawer)
    assert drawer.asked == [PLAIN, PLAIN]
    assert [frame["data"] for frame in json.loads(found.json)] == [PLAIN] * 3
    assert (found.width, found.height) == (120, 90)
    wide = figure(kept("points", {100: encoded({**PLAIN, "width": "container"})}, START))
    assert (wide.width, wide.height) == (0, 90), "as wide as its place"


def test_a_view_whose_documents_take_too_much_is_not_left_to_browsers() -> None:
    found = figure(kept("points", {step: encoded(PLAIN) for step in (100, 200)}, START), Drawn(too_much=True))
    assert [(frame["kind"], frame["why"]) for frame in json.loads(found.json)] == [
        ("none", "Vega-Lite can't draw it: that takes longer than 15 s")
    ] * 2
    assert found.ends == ()


def test_an_image_beside_such_documents_is_shown() -> None:
    """A view that returns now this, now that: what isn't in the markup stands in the data."""
    found = figure(kept("mixed", {100: encoded(PLAIN), 200: drawing(200)}, START), Drawn(too_much=True))
    shown = json.loads(found.json)[1]
    assert shown["kind"] == "image"
    assert shown["data"] or [end.step for end in found.ends] == [200]


def test_pictures_that_cannot_be_shown_say_why_and_the_rest_goes_on() -> None:
    contents = {100: b"<svg", 200: b"\x89PNG\r\n\x1a\n", 300: b'{"a": 1e999}', 400: drawing(400)}
    frames = json.loads(figure(kept("mixed", contents, START)).json)
    assert [frame["kind"] for frame in frames] == ["none", "none", "none", "image"]
    assert [frame.get("why", "")[:10] for frame in frames] == ["it is no S", "it is no P", "Out of ran", ""]


def test_a_view_is_told_in_a_line() -> None:
    def told(**changes: Any) -> str:
        return section.told(views.of_document("latents", document("latents", {}, START, **changes)))

    assert told() == "every 100 steps"
    assert told(every=1) == "every step"
    assert told(every=12_000) == "every 12,000 steps"
    assert told(every=words.EVALUATION) == "after each evaluation"
    assert told(every=None) == ""
    assert told(view="my_views.cloud") == "my_views.cloud, every 100 steps"
    assert told(view="my_views.latents") == "every 100 steps"
    assert told(parameters={"perplexity": 40, "by": "digit"}) == "latents(perplexity=40, by='digit'), every 100 steps"
    assert told(parameters={"a\u202e": "\x1b"}) == "latents(a\\u202e='\\x1b'), every 100 steps"


def test_what_went_wrong_is_said_the_newest_first() -> None:
    problems = [{"step": step, "reason": f"ValueError: {step}", "at": None} for step in (100, 200)]
    view = views.of_document("a", document("a", {}, START, failed=7, problems=problems, status=words.GIVEN_UP))
    assert section.problems(view) == ("step 200: ValueError: 200", "step 100: ValueError: 100", "and 5 failures before")
    assert section.sentences(view) == (
        "There is no picture of it.",
        f"It was given up: {words.FAILURES} failures in a row.",
    )
    gone = views.of_document("a", document("a", {}, START, failed=1, problems=problems[:1], status=words.GIVEN_UP))
    assert section.sentences(gone)[1] == "It was given up: what went wrong would again."
    slow = views.of_document("a", document("a", course(drawing, 2), START, skipped=1, failed=1, seconds=13.5))
    assert section.sentences(slow) == (
        "1 due step passed while it was drawn, which took 4.5 s a picture: no picture of those.",
    )


class _Page(HTMLParser):
    """The page's scripts, its policy, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[str | None, str]] = []
        self.policy, self.loads = "", list[str]()
        self._inside: str | None = None
        self._is_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self._is_script = tag == "script"
        if self._is_script:
            self.scripts.append((told.get("type"), ""))
        if told.get("http-equiv") == "Content-Security-Policy":
            self.policy = told["content"] or ""
        self.loads += [value or "" for name, value in attrs if name in ("src", "href", "data", "srcset")]

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - its base's
        self._is_script = False

    def handle_data(self, data: str) -> None:
        if self._is_script:
            kind, text = self.scripts[-1]
            self.scripts[-1] = kind, text + data


def test_the_page_runs_its_own_scripts_alone_and_loads_nothing(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>"
    contents = {100: drawing(100), 200: encoded({**PLAIN, "title": evil})}
    found = (kept("bars", course(drawing, 3), START), kept("points", contents, START, view=evil))
    cached = tmp_path / f"vega-{vega.version('vl-convert-python')}-{vega.VEGA_LITE}.js"
    cached.write_text("window.vegaEmbed = '</script><!--';")
    page = report.render(replace(promoted_sources(), views=found), tmp_path)
    read = _Page(page)
    modules = [text for kind, text in read.scripts if kind == "module"]
    assert [kind for kind, _ in read.scripts] == ["application/json"] * 3 + ["module"] * 2
    assert evil not in page
    for text in modules:
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in read.policy
    assert "default-src 'none'" in read.policy
    assert "unsafe-eval" not in read.policy
    assert all(address.startswith("data:image/") for address in read.loads)
    assert json.loads(dict(reversed(read.scripts))["application/json"])


def test_vegas_script_is_in_pages_that_need_it_alone(tmp_path: Path) -> None:
    page = report.render(replace(promoted_sources(), views=(kept("bars", course(drawing, 3), START),)), tmp_path)
    assert [kind for kind, _ in _Page(page).scripts] == ["application/json"] * 2 + ["module"]
    assert list(tmp_path.iterdir()) == [], "nor was it put together"
    assert "Content-Security-Policy" not in report.render(promoted_sources())


def test_text_in_scripts_never_ends_them() -> None:
    assert "<" not in pages.script_json({"a</script>": ["<!--", "\u2028", "\ud800"]})
    assert json.loads(pages.script_json({"a": "</script>\u2028"})) == {"a": "</script>\u2028"}
    assert "</script" not in pages.script_text("'</script>'")
    with pytest.raises(ValueError, match="Out of range"):
        pages.script_json(float("inf"))


# --------------------------------------------------------------------------------------------------------------- saving


def test_beside_a_document_lies_an_svg_that_any_viewer_opens(tmp_path: Path) -> None:
    place = saving.place(tmp_path, "run-1", "runs/a/run-1/train/tensors", words.picture("points", 100, words.VEGA_LITE))
    assert place == tmp_path / "views" / "run-1" / "points" / "000000000100.vl.json"
    drawn = saving.save(encoded(PLAIN), place, Drawn())
    assert drawn == place.with_name("000000000100.svg")
    assert drawn.read_text() == Drawn().svg({})
    assert json.loads(place.read_bytes()) == PLAIN
    assert saving.save(encoded(PLAIN), place, Drawn(too_much=True)) == place
    assert sorted(path.name for path in place.parent.iterdir()) == [place.name], "no picture of another step's data"


def test_other_pictures_are_written_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "a" / "000000000100.png"
    assert saving.save(pixels(100), path, Drawn()) == path
    assert path.read_bytes() == pixels(100)
