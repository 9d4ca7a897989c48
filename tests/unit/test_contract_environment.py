"""The variables of a training job: cut into pieces and put together again, whatever their length."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import environment
from contract import names as job_names
from contract.environment import MANAGED_RULES, RULES, of_this_job, pieces, whole

LOUD = {"rule": "Overfit", "name": "loud", "parameters": {"patience": 3}, "action": "stop"}
TOLD = {"rule": "Overfit", "name": "told", "parameters": {}, "action": "notify"}


@given(st.text(max_size=3000), st.integers(0, 512))
def test_the_pieces_are_the_whole(text: str, first: int) -> None:
    cut = pieces("X", text, first)
    assert whole("X", cut) == text
    assert len(cut["X"]) <= first
    assert all(len(piece) <= environment.VALUE_LENGTH == 512 for piece in cut.values())


@pytest.mark.parametrize(
    ("length", "names"),
    [(0, ["X"]), (512, ["X"]), (513, ["X", "X_1"]), (1024, ["X", "X_1"]), (1025, ["X", "X_1", "X_2"])],
)
def test_a_longer_text_goes_on_under_numbered_names(length: int, names: list[str]) -> None:
    cut = pieces("X", "x" * length)
    assert list(cut) == names
    assert all(len(cut[name]) == 512 for name in names[:-1])


def test_the_first_piece_may_be_shorter() -> None:
    assert pieces("X", "abcdef", 2) == {"X": "ab", "X_1": "cdef"}


def test_what_is_not_set_is_nothing() -> None:
    assert whole("X", {}) is None
    assert whole("X", {"X_1": "a piece without a beginning"}) is None
    assert whole("X", {"X": ""}) == ""
    assert whole("X", {"X": "a", "X_2": "a gap ends it"}) == "a"


def test_a_trial_reads_its_own_names_and_any_other_job_what_it_is_told() -> None:
    told = {"X": "s3://a/<run>/", "X_1": "<job>.json"}
    job = job_names.tuning_job("local", "digits", "20261120-101112-abcd") + "-003-0a1b2c3d"
    assert of_this_job("X", {**told, "TRAINING_JOB_NAME": job}) == f"s3://a/20261120-101112-abcd/{job}.json"
    for other in ({}, {"TRAINING_JOB_NAME": "local-digits-20261120-101112-abcd-train"}):
        assert of_this_job("X", {**told, **other}) == "s3://a/<run>/<job>.json"
    assert of_this_job("Y", {"TRAINING_JOB_NAME": job}) is None


def test_compact_is_json_without_a_space() -> None:
    assert environment.compact({"a": [1, {"b": None}]}) == '{"a":[1,{"b":null}]}'


@pytest.mark.parametrize("name", [RULES, MANAGED_RULES])
def test_rules_are_read_whoever_judges_them(name: str) -> None:
    assert environment.rules(pieces(name, environment.compact([LOUD, TOLD]))) == [LOUD, TOLD]


def test_many_rules_need_more_than_one_variable() -> None:
    many = [{**LOUD, "name": f"overfit-{number}"} for number in range(20)]
    cut = pieces(RULES, environment.compact(many))
    assert len(cut) > 2
    assert environment.rules(cut) == many


def test_a_job_without_rules_has_none() -> None:
    assert environment.rules({}) == []
    assert environment.rules({"RATCHET_RUN_ID": "r"}) == []


def test_who_judges_is_said_by_the_variable_that_is_set() -> None:
    assert environment.judged_by_debugger({MANAGED_RULES: "[]"})
    assert not environment.judged_by_debugger({RULES: "[]"})
    assert not environment.judged_by_debugger({})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (RULES, "{", "RATCHET_RULES is not JSON"),
        (MANAGED_RULES, "[", "RATCHET_MANAGED_RULES is not JSON"),
        (RULES, "5", "RATCHET_RULES is no list of rules"),
        (RULES, '["x"]', "RATCHET_RULES is no list of rules"),
        (RULES, json.dumps([{**LOUD, "action": "explode"}]), "RATCHET_RULES: loud has the action 'explode', not"),
        (MANAGED_RULES, json.dumps([{"name": "a"}]), "RATCHET_MANAGED_RULES: a has the action None"),
    ],
)
def test_variables_that_hold_something_else_are_named(name: str, value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        environment.rules({name: value})


@pytest.mark.parametrize("action", environment.ACTIONS)
def test_every_action_is_taken(action: str) -> None:
    found: list[dict[str, Any]] = environment.rules({RULES: json.dumps([{**LOUD, "action": action}])})
    assert found[0]["action"] == action
