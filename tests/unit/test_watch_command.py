"""`ratchet watch`: the views of a run, look by look, until it has ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands_world import ARTIFACTS, World, world_in
from run_documents import START
from view_documents import course, document, drawing, encoded

from contract import files, outcomes, run_table
from contract import views as words
from ratchet import errors, watching
from ratchet.view_pages import live, vega

OLD, RUN = "20261120-101112-abcd", "20261121-101112-beef"


class Drawn:
    """Draws documents in no time."""

    def __enter__(self) -> Drawn:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def svg(self, _document: Any) -> str:
        return '<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    found = world_in(tmp_path / "checkout", monkeypatch)
    found.deploy("iris-tree")
    found.dynamodb.add_run("iris-tree", OLD, outcomes.PROMOTED)
    monkeypatch.setattr(vega, "Drawer", Drawn)
    return found


@pytest.fixture
def looks(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What happens between one look and the next, thing by thing; the run has to end with the last."""

    def happens(*things: Callable[[], None]) -> None:
        waiting = list(things)
        monkeypatch.setattr(watching.Watcher.to_the_end, "__defaults__", (lambda _seconds: waiting.pop(0)(),))

    return happens


def draw(world: World, name: str, contents: dict[int, bytes], folder: str = "", run: str = RUN, **changes: Any) -> None:
    tensors = files.run_folder("iris-tree", run) + files.TENSORS + folder
    told = document(name, contents, START, **changes)
    for picture in told["pictures"]:
        world.s3.objects[ARTIFACTS, f"{tensors}/{picture['file']}"] = contents[picture["step"]]
    world.s3.objects[ARTIFACTS, f"{tensors}/{words.document(name)}"] = json.dumps(told).encode()


def start(world: World) -> None:
    world.dynamodb.add_run("iris-tree", RUN, outcomes.RUNNING)


def end(world: World, outcome: str = outcomes.PROMOTED) -> Callable[[], None]:
    return lambda: world.dynamodb.add_run("iris-tree", RUN, outcome)


def files_of(world: World, run: str = RUN) -> list[str]:
    folder = world.root / ".ratchet" / "views" / run
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_each_new_picture_is_a_file_and_a_line(world: World, looks: Callable[..., None]) -> None:
    start(world)
    draw(world, "bars", course(drawing, 1))
    looks(
        lambda: draw(world, "bars", course(drawing, 3)),
        lambda: draw(world, "points", {50: encoded({"mark": "point"})}),
        lambda: None,
        end(world),
    )
    result = world.call("watch", "iris-tree")
    assert result.exit_code == 0, result.output
    place = f".ratchet/views/{RUN}"
    assert result.output.splitlines() == [
        f"run   iris-tree {RUN}  Running",
        f"bars  step 100  {place}/bars/000000000100.svg",
        f"bars  step 300  {place}/bars/000000000300.svg",
        f"points  step 50  {place}/points/000000000050.svg",
        f"run {RUN} has ended: Promoted; its report shows them step by step: ratchet report {RUN}",
    ]
    bars, points = ["bars/000000000100.svg", "bars/000000000300.svg"], ["000000000050.svg", "000000000050.vl.json"]
    assert files_of(world) == [*bars, *(f"points/{each}" for each in points)]
    assert (world.root / place / bars[1]).read_bytes() == drawing(300)


def test_a_picture_that_has_not_changed_is_read_once(world: World, looks: Callable[..., None]) -> None:
    start(world)
    draw(world, "bars", course(drawing, 2))
    looks(lambda: None, lambda: None, end(world))
    world.call("watch", RUN)
    assert [request["Key"].rpartition("/")[2] for request in world.called("get_object")] == [
        "bars.json",
        "000000000200.svg",
    ]


def test_a_run_that_has_ended_is_shown_as_it_is(world: World) -> None:
    draw(world, "bars", course(drawing, 2), run=OLD, skipped=3, failed=1, problems=[{"step": 300, "reason": "OSError"}])
    result = world.call("watch", "iris-tree", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {
        "run_id": OLD,
        "outcome": "Promoted",
        "views": [
            {
                "view": "bars",
                "status": "ended",
                "step": 200,
                "pictures": 2,
                "skipped": 3,
                "failed": 1,
                "problems": [{"step": 300, "reason": "OSError"}],
                "path": str(world.root / ".ratchet" / "views" / OLD / "bars" / "000000000200.svg"),
            }
        ],
    }


def test_of_a_pipeline_the_run_that_goes_on_is_meant(world: World, looks: Callable[..., None]) -> None:
    """Also when one is already recorded that began later: a run that was refused, say."""
    start(world)
    world.dynamodb.add_run("iris-tree", "20261122-101112-cafe", outcomes.UP_TO_DATE)
    state = run_table.key("iris-tree", run_table.STATE_ITEM)
    world.dynamodb.put_item(Item={**state, run_table.RUNNING: {"M": {"run_id": {"S": RUN}}}})
    looks(end(world))
    assert json.loads(world.call("watch", "iris-tree", "--json").stdout)["run_id"] == RUN


def test_a_training_in_rounds_is_followed_from_round_to_round(world: World, looks: Callable[..., None]) -> None:
    start(world)
    draw(world, "bars", course(drawing, 2), "/round-1")
    looks(lambda: draw(world, "bars", course(drawing, 1), "/round-2"), lambda: None, end(world))
    world.call("watch", RUN)
    assert files_of(world) == ["round-1/bars/000000000200.svg", "round-2/bars/000000000100.svg"]


def test_what_goes_wrong_is_said_once(world: World, looks: Callable[..., None]) -> None:
    start(world)
    problem = [{"step": 100, "reason": "ValueError: \x1b[31mno\nviews.py:12"}]
    draw(world, "bars", {}, failed=1, problems=problem)
    looks(
        lambda: None,
        lambda: draw(world, "bars", {}, failed=5, problems=problem, status=words.GIVEN_UP),
        end(world, outcomes.FAILED),
    )
    result = world.call("watch", RUN)
    assert result.exit_code == 0, "the views were watched, whatever became of the run"
    assert result.output.splitlines()[1:-1] == [
        "bars  1 failed, last: ValueError: \\x1b[31mno",
        "bars  given up: ValueError: \\x1b[31mno",
    ]
    assert "has ended: Failed" in result.output


def test_a_run_without_views_says_how_to_have_some(world: World) -> None:
    result = world.call("watch", OLD)
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"run   iris-tree {OLD}  Promoted",
        f"run {OLD} has ended: Promoted",
        "it has drawn no views; pipeline.yaml names them, as `views: [{view: losses}]`",
    ]


@pytest.mark.parametrize("named", ["20260101-101112-abcd", "iris-trea"])
def test_a_run_that_is_not_there_is_said(world: World, named: str) -> None:
    result = world.call("watch", named)
    assert result.exit_code == errors.FAILURE
    assert f"there is no run '{named}'" in result.stderr


def test_interrupted_it_says_so(world: World, looks: Callable[..., None]) -> None:
    start(world)

    def interrupt() -> None:
        raise KeyboardInterrupt

    looks(lambda: draw(world, "bars", course(drawing, 1)), interrupt)
    result = world.call("watch", RUN)
    assert result.exit_code == 130
    assert files_of(world) == ["bars/000000000100.svg"]


def test_the_page_stays_when_the_run_has_ended(
    world: World, looks: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    start(world)
    draw(world, "bars", course(drawing, 2))
    looks(end(world))
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(vega, "script", lambda _cache: "window.vegaEmbed = 1;")
    shown: list[tuple[str, bool]] = []
    show = live.LivePage.show
    monkeypatch.setattr(
        live.LivePage,
        "show",
        lambda page, headline, *rest, ended: (
            shown.append((headline, ended)),
            show(page, headline, *rest, ended=ended),
        ),
    )

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ratchet.commands.watch.time", SimpleNamespace(sleep=interrupt))
    result = world.call("watch", RUN, "--open")
    assert result.exit_code == 130
    assert shown == [("Running", False), ("Promoted", True)]
    assert opened[0].startswith("http://127.0.0.1:")
    assert result.output.splitlines()[:2] == [f"page  {opened[0]}", f"run   iris-tree {RUN}  Running"]
    assert result.output.splitlines()[-1] == f"run {RUN} has ended: Promoted; the page stays until Ctrl-C"
