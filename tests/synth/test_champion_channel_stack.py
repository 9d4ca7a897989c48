"""A pipeline that begins with another's champion: what its planner and its training may read of the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthesis import Template, listed, settings, synthesize, text, write_pipeline

from ratchet.spec import SpecError

DATA = {"train": "tickets/train/", "test": "tickets/test/"}
BEGINS = {**DATA, "pretrained": {"champion_of": "words"}}
RUN = "????????-??????-????"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("begins")
    write_pipeline(folder / "models", data=BEGINS)
    write_pipeline(folder / "models", name="words", data={"train": "words/train/", "test": "words/test/"})
    return synthesize(settings("local"), folder / "models", folder / "out")["tickets"]


def of_the_other(template: Template, role: str) -> dict[str, set[str]]:
    """Action → what of the other pipeline a role may do it on: a resource's end, or the condition's."""
    found: dict[str, set[str]] = {}
    for one in template.statements_of(role):
        resources = {text(resource).partition("/")[2].rstrip('"]}') for resource in listed(one["Resource"])}
        conditions = {str(value) for kind in one.get("Condition", {}).values() for value in kind.values()}
        if about := {place for place in resources | conditions if "words" in place}:
            for action in listed(one["Action"]):
                found[action] = found.get(action, set()) | about
    return found


def test_training_reads_the_other_s_models_and_nothing_beside_them(stack: Template) -> None:
    assert of_the_other(stack, "JobsTraining") == {
        "s3:GetObject": {f"runs/words/{RUN}/train/*/model.tar.gz"},
        "s3:ListBucket": {"['runs/words/*']"},
    }


def test_the_planner_reads_the_other_s_state_and_sees_whether_the_model_is_there(stack: Template) -> None:
    found = of_the_other(stack, "RunPlanner")
    assert found == {"dynamodb:GetItem": {"['words']"}, "s3:ListBucket": {"['runs/words/*']"}}


def test_nobody_else_hears_of_the_other(stack: Template) -> None:
    names = {name for name, one in stack.statements() if "words" in text(one)}
    assert {name.startswith(("JobsTraining", "RunPlanner")) for name in names} == {True}


def test_without_such_a_channel_nothing_is_granted(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "models", data=DATA)
    plain = synthesize(settings("local"), tmp_path / "models", tmp_path / "out")["tickets"]
    assert "words" not in text(plain.document)


def test_an_unknown_pipeline_is_refused_before_a_stack_is_made(tmp_path: Path) -> None:
    write_pipeline(tmp_path / "models", data=BEGINS)
    with pytest.raises(SpecError, match=r"data\.pretrained\.champion_of: is 'words', but there is no such pipeline"):
        synthesize(settings("local"), tmp_path / "models", tmp_path / "out")
