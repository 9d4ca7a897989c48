"""A pipeline with candidates: the Map state that trains them, and what the machine and the roles may."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from synthesis import Template, listed, text

from contract import environment

CANDIDATES = [{"name": "small", "hyperparameters": {"n": 1}}, {"name": "large", "hyperparameters": {"n": 100}}]


@pytest.fixture
def template(pipeline: Callable[..., Template]) -> Template:
    return pipeline("local", candidates=CANDIDATES)


def test_one_state_trains_them_all(template: Template) -> None:
    train = template.machine["States"]["Train"]
    assert (train["Type"], train["MaxConcurrency"]) == ("Map", 2)
    assert [item["candidate"] for item in train["Items"]] == ["small", "large"]
    request = train["ItemProcessor"]["States"]["TrainCandidate"]["Arguments"]
    assert request["Environment"][environment.CANDIDATE] == "{% $own.candidate %}"
    assert "$own.hyperparameters" in request["HyperParameters"]


def test_the_machine_may_train_and_nothing_that_it_might_not_without_them(
    template: Template, pipeline: Callable[..., Template]
) -> None:
    plain = pipeline("local")

    def actions(of: Template) -> set[str]:
        return {action for _, one in of.statements() for action in listed(one["Action"])}

    assert actions(template) == actions(plain)
    assert "-train-?" in text(list(template.statements())) and "-train-?" not in text(list(plain.statements()))
    assert set(template.of_type("AWS::IAM::Role")) == set(plain.of_type("AWS::IAM::Role"))
    assert set(template.of_type("AWS::Lambda::Function")) == set(plain.of_type("AWS::Lambda::Function"))
