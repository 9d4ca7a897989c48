"""A run's views as the bucket holds them, and documents that are odd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands_world import ARTIFACTS, World, world_in
from run_documents import START
from view_documents import course, document, drawing, point_cloud

from contract import files
from contract import views as words
from ratchet import account, views
from ratchet.account import Account
from ratchet.views import Problem

TENSORS = "runs/iris-tree/20261120-160000-ab12/train/tensors"
PICTURE = {"step": 100, "file": "views/losses/000000000100.svg", "bytes": 9, "at": "2026-11-20T16:00:00Z"}


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return world_in(tmp_path / "checkout", monkeypatch)


@pytest.fixture
def here(world: World) -> Account:
    found: Account = account.connect()
    return found


def put(world: World, name: str, contents: dict[int, bytes], folder: str = TENSORS, **changes: Any) -> None:
    told = document(name, contents, START, **changes)
    for picture in told["pictures"]:
        world.s3.objects[ARTIFACTS, f"{folder}/{picture['file']}"] = contents[picture["step"]]
    world.s3.objects[ARTIFACTS, f"{folder}/{words.document(name)}"] = json.dumps(told).encode()


def test_documents_and_pictures_are_read_as_they_are_written(world: World, here: Account) -> None:
    put(world, "bars", course(drawing, 3), skipped=4, parameters={"a": 1})
    put(world, "latents", course(point_cloud, 2), status=words.DRAWING)
    bars, latents = views.read(here, ARTIFACTS, TENSORS)
    assert (bars.name, bars.status, bars.skipped, bars.parameters) == ("bars", words.ENDED, 4, {"a": 1})
    assert [picture.step for picture in bars.pictures] == [100, 200, 300]
    assert bars.problems == ()
    newest = latents.newest
    assert newest is not None
    assert (newest.step, newest.ending) == (200, words.VEGA_LITE)
    assert views.content(here, ARTIFACTS, TENSORS, newest) == point_cloud(200)
    del world.s3.objects[ARTIFACTS, f"{TENSORS}/{newest.file}"]
    assert views.content(here, ARTIFACTS, TENSORS, newest) is None


def test_a_document_that_has_not_changed_is_not_read_again(world: World, here: Account) -> None:
    put(world, "bars", course(drawing, 3))
    put(world, "dots", course(drawing, 1))
    known: views.Known = {}
    first = views.read(here, ARTIFACTS, TENSORS, known)
    world.calls.clear()
    put(world, "dots", course(drawing, 2))
    second = views.read(here, ARTIFACTS, TENSORS, known)
    assert [request["Key"].rpartition("/")[2] for request in world.called("get_object")] == ["dots.json"]
    assert second[0] == first[0]
    assert len(second[1].pictures) == 2


def test_a_folder_without_views_or_without_permission_has_none(world: World, here: Account) -> None:
    assert views.read(here, ARTIFACTS, TENSORS) == ()
    world.refuse("list_objects_v2", "AccessDenied")
    assert views.read(here, ARTIFACTS, TENSORS) == ()


def test_the_newest_round_is_found_and_none_where_there_are_none(world: World, here: Account) -> None:
    assert views.folder_of(here, ARTIFACTS, TENSORS) == TENSORS
    for number in (1, 2, 10):
        put(world, "bars", course(drawing, 1), folder=files.of_round(TENSORS, number))
    assert views.folder_of(here, ARTIFACTS, TENSORS) == f"{TENSORS}/round-10"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"[" * 100_000, b'"a"', b"\xff\xfe"])
def test_a_document_that_is_none_is_said_to_be(world: World, here: Account, body: bytes) -> None:
    put(world, "bars", course(drawing, 1))
    world.s3.objects[ARTIFACTS, f"{TENSORS}/{words.document('odd')}"] = body or b" "
    bars, odd = views.read(here, ARTIFACTS, TENSORS)
    assert len(bars.pictures) == 1, "the others go on"
    assert (odd.status, odd.pictures) == (views.UNREADABLE, ())
    assert odd.problems == (Problem("its document can't be read"),)


def test_a_picture_or_a_document_that_is_too_large_is_not_taken(world: World, here: Account) -> None:
    for says, most in ((2000, 2000), (None, words.PICTURE_BYTES), (10**9, words.PICTURE_BYTES)):
        (picture,) = views.of_document("losses", {"pictures": [{**PICTURE, "bytes": says}]}).pictures
        world.s3.objects[ARTIFACTS, f"{TENSORS}/{picture.file}"] = b"a" * most
        assert views.content(here, ARTIFACTS, TENSORS, picture) is not None
        world.s3.objects[ARTIFACTS, f"{TENSORS}/{picture.file}"] = b"a" * (most + 1)
        assert views.content(here, ARTIFACTS, TENSORS, picture) is None
    world.s3.objects[ARTIFACTS, f"{TENSORS}/{words.document('bars')}"] = b" " * (views.DOCUMENT_BYTES + 1)
    assert [view.status for view in views.read(here, ARTIFACTS, TENSORS)] == [views.UNREADABLE]


def test_files_that_are_no_documents_are_left_alone_and_there_are_never_more_than_may_be(
    world: World, here: Account
) -> None:
    for name in ("..", "a b", "<b>", "x" * 65, "a.b"):
        world.s3.objects[ARTIFACTS, f"{TENSORS}/views/{name}.json"] = b"{}"
    world.s3.objects[ARTIFACTS, f"{TENSORS}/views/readme.txt"] = b"hello"
    assert views.read(here, ARTIFACTS, TENSORS) == ()
    for number in range(words.MOST + 3):
        put(world, f"view-{number:02d}", {})
    assert len(views.read(here, ARTIFACTS, TENSORS)) == words.MOST


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "a",
        {},
        {**PICTURE, "file": "views/other/000000000100.svg"},
        {**PICTURE, "file": "views/losses/../../../../data/000000000100.svg"},
        {**PICTURE, "file": "views/losses/000000000200.svg"},
        {**PICTURE, "file": "views/losses/000000000100.html"},
        {**PICTURE, "file": 7},
        {**PICTURE, "step": "100"},
        {**PICTURE, "step": True},
        {**PICTURE, "step": -1},
        {**PICTURE, "step": 10**13},
    ],
)
def test_an_entry_that_is_no_picture_of_the_view_is_left_out_and_said(entry: Any) -> None:
    found = views.of_document("losses", {"pictures": [PICTURE, entry]})
    assert [picture.step for picture in found.pictures] == [100]
    assert found.problems == (Problem("1 entries of its document name no picture of this view and are left out"),)


def test_whatever_a_document_holds_a_view_comes_out() -> None:
    odd: list[Any] = [None, 0, -1, "a", [], {}, True, 1e300, "\ud800", [[]], {"a": {}}]
    for value in odd:
        names = (
            "name",
            "view",
            "every",
            "parameters",
            "status",
            "pictures",
            "skipped",
            "failed",
            "problems",
            "seconds",
        )
        for name in names:
            found = views.of_document("losses", {"pictures": [PICTURE], name: value})
            assert found.name == "losses"
            assert found.skipped >= 0
            assert isinstance(found.every, (int, str))
        for name in ("bytes", "seconds", "at"):
            (picture,) = views.of_document("losses", {"pictures": [{**PICTURE, name: value}]}).pictures
            assert 0 < picture.bytes <= words.PICTURE_BYTES


@pytest.mark.parametrize("at", ["2026-11-20T16:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_that_no_age_can_be_counted_from_is_none(at: str) -> None:
    (picture,) = views.of_document("losses", {"pictures": [{**PICTURE, "at": at}]}).pictures
    assert picture.at is None


def test_pictures_stand_in_the_order_of_their_steps_and_a_step_has_one() -> None:
    entries = [
        {**PICTURE, "step": step, "file": words.picture("losses", step, ending)}
        for step, ending in ((300, words.SVG), (100, words.PNG), (300, words.PNG), (200, words.SVG))
    ]
    found = views.of_document("losses", {"pictures": entries})
    assert [(picture.step, picture.ending) for picture in found.pictures] == [(100, "png"), (200, "svg"), (300, "png")]


def test_only_the_last_problems_are_kept_cut_to_their_length() -> None:
    told = [{"step": step, "reason": "x" * 5000} for step in range(50)]
    found = views.of_document("losses", {"problems": told})
    assert [problem.step for problem in found.problems] == list(range(30, 50))
    assert {len(problem.reason) for problem in found.problems} == {words.REASON_LENGTH}
