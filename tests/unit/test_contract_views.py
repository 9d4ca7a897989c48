"""What spec, toolkit, command line and report agree on of views."""

from __future__ import annotations

import re

import pytest

from contract import built_in_views, files, views


@pytest.mark.parametrize("name", ["a", "latents", "head_view", "t-sne", "A1", "x" * 64])
def test_names(name: str) -> None:
    assert views.is_name(name)


@pytest.mark.parametrize("name", ["", "_a", "a_", "-a", "a/b", "..", "a.b", "a b", "ä", "x" * 65, "a\n"])
def test_what_is_no_name(name: str) -> None:
    assert not views.is_name(name)


@pytest.mark.parametrize("every", [1, 100, "evaluation"])
def test_every(every: object) -> None:
    assert views.is_every(every)


@pytest.mark.parametrize("every", [0, -1, 1.0, True, None, "100", "epoch", []])
def test_what_is_no_every(every: object) -> None:
    assert not views.is_every(every)


def test_files() -> None:
    assert views.document("latents") == "views/latents.json"
    assert views.picture("latents", 100, views.SVG) == "views/latents/000000000100.svg"
    assert files.views_folder("runs/p/r/train/tensors") == "runs/p/r/train/tensors/views/"
    # Listed by name, they are in order.
    assert sorted(views.picture("a", step, views.PNG) for step in (2, 10, 9)) == [
        views.picture("a", step, views.PNG) for step in (2, 9, 10)
    ]


@pytest.mark.parametrize("ending", views.CONTENT_TYPES)
def test_a_picture_s_format_is_told_by_its_name(ending: str) -> None:
    assert views.ending_of(views.picture("a.b", 1, ending)) == ending
    assert views.ending_of("views/a.json") is None


def test_a_view_is_called_as_its_last_word() -> None:
    assert views.name_of("my_views.latents") == "latents"
    assert views.name_of("losses") == "losses"


@pytest.mark.parametrize("view", built_in_views.TABLE)
def test_the_built_in_views(view: str) -> None:
    told = built_in_views.TABLE[view]
    assert views.is_name(view)
    assert views.is_every(told["every"])
    for name, parameter in told["parameters"].items():
        assert re.fullmatch("[a-z]+", name)
        assert {"type", "default", "required", "says"} <= parameter.keys()
        assert (
            parameter["default"] is None or "choices" not in parameter or parameter["default"] in parameter["choices"]
        )


def test_when_a_view_is_drawn_unless_told() -> None:
    assert built_in_views.every_of("confusion") == views.EVALUATION
    assert built_in_views.every_of("losses") == built_in_views.every_of("my_views.latents") == 100


def test_what_a_view_has_saved() -> None:
    brings = built_in_views.brings
    assert brings("losses", 50, {}) == {"losses": {"interval": 1}}
    train = {"interval": 50, "modes": ["train"]}
    assert brings("norms", 50, {}) == {name: {**train, "reductions": ["norm"]} for name in ("weights", "gradients")}
    assert brings("histograms", 50, {}) == {"weights": {**train, "reductions": ["histogram"]}}
    assert brings("histograms", views.EVALUATION, {"collection": "outputs"}) == {
        "outputs": {"interval": 100, "modes": ["train"], "reductions": ["histogram"]}
    }
    evaluation = {"interval": 1, "modes": ["eval"]}
    assert brings("confusion", views.EVALUATION, {}) == {"labels": evaluation, "predictions": evaluation}
