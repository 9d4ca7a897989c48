"""`watch`: a run's views while it goes on, in the terminal and on a page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from ratchet.command import Answer, Context, command

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from ratchet.runs import Run
    from ratchet.view_pages.live import LivePage
    from ratchet.views import View
    from ratchet.watching import Look, Watcher

AGES_A_SECOND = 2


@command("watch")
@click.argument("run")
@click.option("--open", "show", is_flag=True, help="Also on a page in the browser, which stays until Ctrl-C.")
def watch(context: Context, run: str, show: bool) -> Answer:
    """Follow the views of RUN (a run's id, or a pipeline's name for its running or newest run) until it has ended.

    The newest picture of each view is written to .ratchet/views/<run>/; a Vega-Lite document as an SVG, too.
    """
    from ratchet import watching
    from ratchet.runs import RunTable
    from ratchet.view_pages.vega import Drawer

    found = watching.running_or_newest(RunTable(context.account), context.pipelines(), run)
    with Drawer() as drawer:
        watcher = watching.Watcher(context.account, found, context.project.home, drawer)
        if not show:
            return _answer(context, _followed(context, watcher, found, None))
        return _with_page(context, watcher, found)


def _with_page(context: Context, watcher: Watcher, found: Run) -> Answer:
    import webbrowser

    from ratchet.errors import INTERRUPTED
    from ratchet.view_pages.live import LivePage

    with LivePage(f"{found.pipeline} {found.run_id}", watcher.content, context.project.home) as page:
        context.say(f"page  {page.url}")
        webbrowser.open(page.url)
        look = _followed(context, watcher, found, page)
        context.say(f"run {look.run.run_id} has ended: {look.run.outcome}; the page stays until Ctrl-C")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return Answer(_looked(look), "", INTERRUPTED)


def _followed(context: Context, watcher: Watcher, found: Run, page: LivePage | None) -> Look:
    """Looks until the run has ended; a terminal shows a table that is always up to date, anything else a line for each
    new picture."""
    # Of a pipeline's name it isn't plain which run is meant, and the first picture may take minutes.
    context.say(f"run   {found.pipeline} {found.run_id}  {found.outcome}")
    shown = _Table(context) if context.console.is_terminal and context.for_people else _Lines(context)

    def see(look: Look) -> None:
        shown.look(look)
        if page:
            page.show(_headline(look.run), look.folder, look.views, ended=look.ended)

    with shown:
        return watcher.to_the_end(see)


def _headline(run: Run) -> str:
    return ". ".join(filter(None, [run.outcome, run.headline]))


class _Lines:
    """A line for each picture that is new, and for each view that has been given up."""

    def __init__(self, context: Context) -> None:
        self._context, self._said = context, set[str]()

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is left to do."""

    def look(self, look: Look) -> None:
        for view in look.views:
            path = look.paths.get(view.name)
            if view.newest and path:
                self._say(f"{view.name}  step {view.newest.step:,}  {_near(path)}")
            if _trouble(view):
                self._say(f"{view.name}  {_trouble(view)}")

    def _say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._context.say(line)


class _Table:
    """A table in place, whose ages go on between two looks."""

    def __init__(self, context: Context) -> None:
        from rich.live import Live

        self._look: Look | None = None
        self._live = Live(
            console=context.console, get_renderable=self._table, refresh_per_second=AGES_A_SECOND, transient=True
        )

    def __enter__(self) -> _Table:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def look(self, look: Look) -> None:
        self._look = look

    def _table(self) -> Table | str:
        return _table(self._look) if self._look and self._look.views else "no picture yet"


def _table(look: Look) -> Table:
    from datetime import UTC, datetime

    from rich.markup import escape
    from rich.table import Table

    from ratchet.durations import duration

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for title, side in {"view": "left", "step": "right", "age": "right", "newest picture": "left", "": "left"}.items():
        table.add_column(title, justify=side, no_wrap=title in ("step", "age"), overflow="fold")  # type: ignore[arg-type]
    for view in look.views:
        newest, path = view.newest, look.paths.get(view.name)
        age = duration(max(0.0, (datetime.now(UTC) - newest.at).total_seconds())) if newest and newest.at else ""
        step = f"{newest.step:,}" if newest else ""
        table.add_row(escape(view.name), step, age, escape(_near(path) if path else ""), escape(_trouble(view)))
    return table


def _trouble(view: View) -> str:
    """What is wrong with a view, in a few words."""
    from contract import views as words
    from ratchet.live import first_line
    from ratchet.terminal import shown
    from ratchet.views import UNREADABLE

    # Told before it is laid out: a control character has no width.
    last = shown(first_line(view.problems[-1].reason, 120)) if view.problems else ""
    if view.status in (words.GIVEN_UP, UNREADABLE):
        return f"{view.status}: {last}".strip(": ")
    return f"{view.failed} failed, last: {last}" if view.failed else ""


def _near(path: Path) -> str:
    """The path, from the present folder where it lies below."""
    from pathlib import Path

    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _answer(context: Context, look: Look) -> Answer:
    return Answer(_looked(look), lambda: _text(context, look))


def _looked(look: Look) -> dict[str, Any]:
    told = [_document(view, look.paths.get(view.name)) for view in look.views]
    return {"run_id": look.run.run_id, "outcome": look.run.outcome, "views": told}


def _document(view: View, path: Path | None) -> dict[str, Any]:
    return {
        "view": view.name,
        "status": view.status,
        "step": view.newest.step if view.newest else None,
        "pictures": len(view.pictures),
        "skipped": view.skipped,
        "failed": view.failed,
        "problems": [{"step": each.step, "reason": each.reason} for each in view.problems],
        "path": str(path) if path else None,
    }


def _text(context: Context, look: Look) -> Any:
    from rich.console import Group
    from rich.markup import escape

    from ratchet.live import outcome_style

    run = look.run
    ended = f"run {escape(run.run_id)} has ended: [{outcome_style(run.outcome)}]{escape(run.outcome)}[/]"
    if not look.views:
        hint = escape("it has drawn no views; pipeline.yaml names them, as `views: [{view: losses}]`")
        return f"{ended}\n{hint}"
    parts = [_table(look)] if context.console.is_terminal else []
    return Group(
        *parts, f"{ended}; its report shows them step by step: {context.account.command(f'report {run.run_id}')}"
    )
