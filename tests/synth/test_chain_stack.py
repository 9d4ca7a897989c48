"""The stack of a pipeline whose model a chain of containers serves: their images, and the role that may pull them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from synthesis import Template

Stacks = Callable[[str], dict[str, Template]]
FIRST, OTHERS = "sagemaker-scikit-learn:1.9-0-cpu-py3", "sagemaker-xgboost:3.2-0"


@pytest.fixture
def cars(stacks: Stacks) -> Template:
    return stacks("local")["car-evaluation"]


def test_each_container_has_its_image(cars: Template) -> None:
    machine = cars.one("AWS::StepFunctions::StateMachine")["Properties"]
    values = machine["DefinitionSubstitutions"]
    register = json.loads(machine["DefinitionString"])["States"]["Register"]
    containers = register["Arguments"]["InferenceSpecification"]["Containers"]
    images = [json.dumps(values[each["Image"].removeprefix("${").removesuffix("}")]) for each in containers]
    assert [FIRST in image for image in images] == [True, False, False]
    assert [OTHERS in image for image in images] == [False, True, True]
    chain = register["Assign"]["candidate"]["chain"]
    assert [each["Image"] for each in chain] == [each["Image"] for each in containers]
    assert [each["Environment"]["SAGEMAKER_PROGRAM"] for each in chain] == ["features.py", "booster.py", "labels.py"]


def test_the_hosting_role_pulls_both_and_the_jobs_roles_the_one_that_trains(cars: Template) -> None:
    def pulled(role: str) -> set[str]:
        found = [one for one in cars.statements_of(role) if "ecr:BatchGetImage" in one["Action"]]
        return set(re.findall(r"repository/([\w-]+)", json.dumps([one["Resource"] for one in found])))

    assert pulled("JobsHosting") == {"sagemaker-scikit-learn", "sagemaker-xgboost"}
    assert pulled("JobsTraining") == pulled("JobsProcessing") == {"sagemaker-xgboost"}


def test_what_no_chain_serves_has_no_image_of_one(stacks: Stacks) -> None:
    machine = stacks("local")["digits-forest"].one("AWS::StepFunctions::StateMachine")["Properties"]
    assert not any(name.startswith("chain") for name in machine["DefinitionSubstitutions"])
