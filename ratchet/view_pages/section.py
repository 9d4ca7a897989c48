"""The section of a report that shows a run's views: what of them stands in the page, and in which words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from contract import times
from contract import views as words
from ratchet import pages, views
from ratchet.account import Account
from ratchet.durations import duration
from ratchet.terminal import shown
from ratchet.tuning import theme
from ratchet.view_pages import budget, pictures, vega
from ratchet.view_pages.pictures import Shape, TooMuchError, UnusableError
from ratchet.views import Picture, View

IMAGE, VEGA, NONE = "image", "vega", "none"

Document = dict[str, Any]


@dataclass(frozen=True)
class Kept:
    """A view and the pictures of it that a page holds, each with its content. `gone`: how many are no longer there."""

    view: View
    contents: tuple[tuple[Picture, bytes], ...]
    gone: int = 0


@dataclass(frozen=True)
class End:
    """A view's `first` or `last` picture, as a reader without scripts sees it."""

    place: str
    step: int
    uri: str
    shape: Shape


@dataclass(frozen=True)
class Figure:
    """A view as the template shows it. `width` and `height` are the room that is kept for its pictures; a width of 0 is
    the page's."""

    name: str
    told: str
    sentences: tuple[str, ...]
    problems: tuple[str, ...]
    width: float = 0.0
    height: float = 0.0
    ends: tuple[End, ...] = ()
    json: str = "[]"


@dataclass(frozen=True)
class Section:
    """All views of a page, and the scripts that show them. `policy` is the page's Content-Security-Policy."""

    views: tuple[Figure, ...]
    json: str
    scripts: tuple[str, ...]
    policy: str


def gather(account: Account, bucket: str, folder: str) -> tuple[Kept, ...]:
    """Reads a run's views, and those of their pictures that a report has room for."""
    found = views.read(account, bucket, folder)
    wanted = budget.chosen({view.name: view.pictures for view in found})
    asked = [(view.name, picture) for view in found for picture in wanted[view.name]]
    # Made before threads share it.
    account.client("s3")
    with ThreadPoolExecutor(views.AT_ONCE) as pool:
        bodies = list(pool.map(lambda each: views.content(account, bucket, folder, each[1]), asked))
    read = {(name, picture.step): body for (name, picture), body in zip(asked, bodies, strict=True)}
    return kept(found, read, wanted)


def kept(
    found: Sequence[View],
    read: Mapping[tuple[str, int], bytes | None],
    wanted: Mapping[str, Sequence[Picture]],
    page_bytes: int = budget.PAGE_BYTES,
) -> tuple[Kept, ...]:
    """The pictures that have room by their true sizes, whatever their documents say of them."""
    there = {
        name: [
            replace(picture, bytes=len(body))
            for picture in pictures_
            if (body := read.get((name, picture.step))) is not None
        ]
        for name, pictures_ in wanted.items()
    }
    room = budget.chosen(there, page_bytes)
    return tuple(
        Kept(
            view,
            tuple((picture, read[view.name, picture.step] or b"") for picture in room[view.name]),
            gone=len(wanted[view.name]) - len(there[view.name]),
        )
        for view in found
    )


def section(found: Sequence[Kept], start: datetime | None, cache: Path | None = None) -> Section | None:
    """The section; None for a run without views.

    start: when the run began; cache: the folder in which Vega's script is kept.
    """
    if not found:
        return None
    with vega.Drawer() as drawer:
        figures = tuple(_figure(each, drawer) for each in found)
    needs_vega = any(picture.ending == words.VEGA_LITE for each in found for picture, _ in each.contents)
    scripts = (*([vega.script(cache)] if needs_vega else []), own_script())
    return made(figures, {"start": times.text(start) if start else None, "live": False}, scripts)


def made(figures: tuple[Figure, ...], page: Mapping[str, Any], scripts: Sequence[str]) -> Section:
    """A section of these figures; `page` is what the script is told besides."""
    themes = {"light": vega.config(theme.LIGHT), "dark": vega.config(theme.DARK)}
    texts = tuple(pages.script_text(script) for script in scripts)
    enlarge = {"below": pictures.FEW_PIXELS, "to": pictures.ENLARGED}
    return Section(
        figures, pages.script_json({**page, "themes": themes, "enlarge": enlarge}), texts, pages.policy(texts)
    )


def own_script(name: str = "views.js") -> str:
    """The script that shows pictures."""
    return (pages.TEMPLATES / name).read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------- words


def told(view: View) -> str:
    """What a view is and when it is drawn, in a line."""
    own = view.function if view.function.rpartition(".")[2] != view.name or view.parameters else ""
    parameters = ", ".join(f"{name}={value!r}" for name, value in view.parameters.items())
    when = {words.EVALUATION: "after each evaluation", 1: "every step", "": ""}.get(view.every)
    called = f"{own}({parameters})" if parameters else own
    return shown(", ".join(filter(None, [called[:200], f"every {view.every:,} steps" if when is None else when])))


def sentences(view: View, *, held: int | None = None, gone: int = 0) -> tuple[str, ...]:
    """What there is to say of a view's pictures. held: how many of them a page has, which may be fewer."""
    drawn = len(view.pictures)
    said = []
    if not drawn:
        said.append("There is no picture of it.")
    elif held is not None and held + gone < drawn:
        said.append(f"Of {drawn:,} pictures {held:,} stand here, evenly spread over the steps.")
    if gone:
        said.append(f"{_count(gone, 'picture')} of it {'is' if gone == 1 else 'are'} no longer there.")
    if view.skipped:
        tried = drawn + view.failed
        pace = f", which took {duration(view.seconds / tried)} a picture" if view.seconds and tried else ""
        said.append(f"{_count(view.skipped, 'due step')} passed while it was drawn{pace}: no picture of those.")
    if view.status == words.GIVEN_UP:
        # A function that isn't there, say, isn't asked for twice.
        is_final = view.failed < words.FAILURES
        why = "what went wrong would again" if is_final else f"{words.FAILURES} failures in a row"
        said.append(f"It was {words.GIVEN_UP}: {why}.")
    return tuple(said)


def problems(view: View) -> tuple[str, ...]:
    """What went wrong, the newest first."""
    listed = [
        shown(f"step {each.step:,}: {each.reason}" if each.step is not None else each.reason) for each in view.problems
    ]
    more = view.failed - sum(1 for each in view.problems if each.step is not None)
    return (*reversed(listed), *([f"and {_count(more, 'failure')} before"] if more > 0 else []))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


# -------------------------------------------------------------------------------------------------------------- figures


def _figure(found: Kept, drawer: vega.Drawer) -> Figure:
    view, last, too_much = found.view, len(found.contents) - 1, ""
    ends: list[End] = []
    try:
        for place in dict.fromkeys((0, last)) if found.contents else ():
            ends += _end("last" if place == last else "first", *found.contents[place], drawer)
    except TooMuchError as error:
        # A browser would fare no better, and its reader worse.
        too_much = str(error)
    in_markup = {end.step for end in ends}
    frames = [
        _frame(picture, content, too_much, in_markup=picture.step in in_markup) for picture, content in found.contents
    ]
    width, height = _room(found, ends)
    return Figure(
        name=view.name,
        told=told(view),
        sentences=sentences(view, held=len(frames), gone=found.gone),
        problems=problems(view),
        width=width,
        height=height,
        ends=tuple(ends),
        json=f"[{','.join(frames)}]",
    )


def _frame(picture: Picture, content: bytes, too_much: str, *, in_markup: bool) -> str:
    """A picture as the script takes it, JSON; one that can't be shown with the reason.

    too_much: why no document of the view is drawn; in_markup: an image stands there already.
    """
    frame: Document = {"step": picture.step, "at": times.text(picture.at) if picture.at else None}
    try:
        if picture.ending == words.VEGA_LITE:
            if too_much:
                raise UnusableError(too_much)
            return pages.script_json({**frame, "kind": VEGA, "data": pictures.document(content)})
        pictures.shape(content, picture.ending)
    except (UnusableError, ValueError) as error:
        return pages.script_json({**frame, "kind": NONE, "why": shown(str(error))})
    data = None if in_markup else pictures.data_uri(content, picture.ending)
    return pages.script_json({**frame, "kind": IMAGE, "pixels": picture.ending == words.PNG, "data": data})


def _end(place: str, picture: Picture, content: bytes, drawer: vega.Drawer) -> Iterator[End]:
    """The first or the last picture, unless it can't be shown. Raises TooMuchError."""
    ending = picture.ending
    try:
        if ending == words.VEGA_LITE:
            content, ending = drawer.svg(pictures.document(content)).encode(), words.SVG
        size = pictures.shape(content, ending)
    except TooMuchError:
        raise
    except UnusableError:
        return
    if size:
        yield End(place, picture.step, pictures.data_uri(content, ending), size)


def _room(found: Kept, ends: Sequence[End]) -> tuple[float, float]:
    """The room that all its pictures fit in; no width where a document fills the page's."""
    shapes = [*(end.shape for end in ends), *_shapes(found)]
    if not shapes:
        return 0.0, 0.0
    fills = any(b'"container"' in content for picture, content in found.contents if picture.ending == words.VEGA_LITE)
    return 0.0 if fills else max(each.width for each in shapes), max(each.height for each in shapes)


def _shapes(found: Kept) -> Iterator[Shape]:
    for picture, content in found.contents:
        if picture.ending == words.VEGA_LITE:
            continue
        try:
            size = pictures.shape(content, picture.ending)
        except UnusableError:
            continue
        if size:
            yield pictures.enlarged(size) if picture.ending == words.PNG else size
