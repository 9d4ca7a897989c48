"""What the machine composes in JSONata is what everybody else finds by Python: one name, one path, one phrase."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_world import CHAMPION, PLAN, RUN_ID, World, definition, make_spec, run

from contract import causes, environment, files, names, refusals, run_table, states
from contract.signatures import MODEL_PACKAGE
from infra.workflow import conditions, expressions
from infra.workflow.endpoint import UNTOUCHED
from infra.workflow.hosting import ENVIRONMENT
from infra.workflow.instances import SHORT
from localaws.ministack_adapter.stepfunctions import jsonata
from ratchet.spec.environments import Vpc

ROUNDS = {"max": 9, "metric": "a", "tolerance": 0.1, "size": "b"}
METRICS = {"instance": "ml.m5.large", "metrics": {"a": "a=(.*)", "b": "b=(.*)"}}
PIPELINES = ("d", "digits-forest", "d" * 32)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="<>\x00"), max_size=40)


def value(expression: str, **variables: Any) -> Any:
    """What an expression of the definition comes to."""
    assert expressions.is_expression(expression), expression
    return jsonata.evaluate(expression[2:-2], variables)


def text(jsonata_text: str, **variables: Any) -> Any:
    return jsonata.evaluate(jsonata_text, variables)


def states_of(folder: Path, pipeline: str, **changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = definition(make_spec(folder, name=pipeline, **changes))["States"]
    return found


RUN = {"run_id": RUN_ID}


# ----------------------------------------------------------------------------------------------------- names and paths


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_runs_jobs_are_called_as_python_calls_them(tmp_path: Path, pipeline: str) -> None:
    found = states_of(tmp_path, pipeline)
    train, evaluate = names.job("local", pipeline, RUN_ID, "train"), names.job("local", pipeline, RUN_ID, "evaluate")
    assert value(found["Train"]["Arguments"]["TrainingJobName"], run=RUN) == train
    assert value(found["Evaluate"]["Arguments"]["ProcessingJobName"], run=RUN) == evaluate
    told = found["Record"]["Arguments"]["Payload"]["jobs"]
    assert {state: value(name, run=RUN) for state, name in told.items()} == {"Train": train, "Evaluate": evaluate}


@pytest.mark.parametrize(("pipeline", "number"), [*itertools.product(PIPELINES, (1, 99))])
def test_a_rounds_job_and_folders_end_in_its_number(tmp_path: Path, pipeline: str, number: int) -> None:
    (tmp_path / "train.py").write_text("from toolkit import checkpoint\n")
    train = {**METRICS, "spot": {"max_wait": "2h"}}
    request = states_of(tmp_path, pipeline, train=train, rounds=ROUNDS)["Train"]["Arguments"]
    known: dict[str, Any] = {"run": RUN, "round": number}
    assert value(request["TrainingJobName"], **known) == names.job("local", pipeline, RUN_ID, "train", number)
    run_uri = f"s3://artifacts/{files.run_folder(pipeline, RUN_ID)}"
    checkpoints = run_uri + files.of_round(files.CHECKPOINTS, number)
    assert value(request["CheckpointConfig"]["S3Uri"], **known) == checkpoints
    probe = json.loads(value(request["Environment"][environment.PROBE], **known))
    assert probe["output"] == f"{run_uri}{files.of_round(files.TENSORS, number)}/"


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_what_a_run_leaves_lies_in_its_folder(tmp_path: Path, pipeline: str) -> None:
    found = states_of(tmp_path, pipeline)
    run_uri = f"s3://artifacts/{files.run_folder(pipeline, RUN_ID)}"
    output = found["Train"]["Arguments"]["OutputDataConfig"]["S3OutputPath"]
    assert value(output, run=RUN) == run_uri + files.TRAIN
    (evaluated,) = found["Evaluate"]["Arguments"]["ProcessingOutputConfig"]["Outputs"]
    figures = found["Register"]["Arguments"]["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert value(figures, run=RUN) == run_uri + files.EVALUATION
    assert value(evaluated["S3Output"]["S3Uri"], run=RUN) + f"/{files.EVALUATION_FILE}" == run_uri + files.EVALUATION


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_runs_items_have_pythons_keys(tmp_path: Path, pipeline: str) -> None:
    found = states_of(tmp_path, pipeline, rules=[{"rule": "LossNotDecreasing"}])
    assert found["Settle"]["Arguments"]["Key"] == run_table.key(pipeline, run_table.STATE_ITEM)
    key = found["WhyStopped"]["Arguments"]["Key"]
    item = value(key[run_table.SORT_KEY]["S"], run=RUN)
    assert run_table.key(pipeline, item) == run_table.key(pipeline, run_table.run_item(RUN_ID))
    assert key[run_table.PARTITION_KEY] == {"S": pipeline}


@pytest.mark.parametrize("network", [None, {"subnets": ("subnet-1",), "security_groups": ("sg-1",)}])
def test_models_and_configs_are_called_by_the_hash_of_what_they_hold(tmp_path: Path, network: Any) -> None:
    recorded = run(make_spec(tmp_path), World(), vpc=Vpc(**network) if network else None).recorded
    in_vpc = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]} if network else None
    held = [
        recorded["candidate"]["image_uri"],
        recorded["candidate"]["model_data"],
        "arn:aws:iam::000000000000:role/Hosting",
        environment.compact({**ENVIRONMENT, MODEL_PACKAGE: recorded["package"]}),
        environment.compact(in_vpc),
    ]
    prefix = names.content_prefix("local", "digits-forest")
    model = names.content_name(prefix, *held)
    config = names.content_name(prefix, model, "ml.t2.medium", "1")
    assert recorded["deployment"] == {"model_name": model, "endpoint_config_name": config}
    assert names.is_content_name(model, recorded["content_prefix"])


# ------------------------------------------------------------------------------------------------- phrases of refusals


MESSAGES = [
    'Could not find endpoint "arn:aws:sagemaker:us-east-1:000000000000:endpoint/x".',
    "The model DOES NOT EXIST",
    "endpoint config not found",
    "Cannot create already existing model",
    "Rate exceeded",
    "ThrottlingException: slow down",
    "User is not authorized to perform: sagemaker:DescribeEndpoint",
    "",
]


@pytest.mark.parametrize("message", MESSAGES)
def test_refusals_are_known_by_the_same_phrases(message: str) -> None:
    failure = {"state": "x", "error": "SageMaker.SageMakerException", "cause": message}
    assert text(conditions.says_missing(), failure=failure) is refusals.says_missing(message)
    exists = refusals.EXISTING.lower() in message.lower()
    assert text(conditions.says_existing(), failure=failure) is exists
    throttled = any(phrase.lower() in message.lower() for phrase in refusals.THROTTLED)
    assert text(conditions.says_throttled(), failure=failure) is throttled


@pytest.mark.parametrize("status", ["Stopped", "Stopping", "Failed", "Completed"])
def test_a_stopped_job_is_known_by_its_description(status: str) -> None:
    for cause in (json.dumps({"TrainingJobStatus": status}), json.dumps({"TrainingJobStatus": status}, indent=1)):
        failure = {"cause": f"the job: {cause}"}
        assert text(conditions.says_stopped_job(), failure=failure) is (status == "Stopped")


@pytest.mark.parametrize("status", [*causes.TIME_LIMITS, "Stopped", "Completed"])
def test_a_time_limit_is_known_by_the_same_statuses(status: str) -> None:
    training = {"description": {"SecondaryStatus": status}}
    assert text(conditions.ran_into_its_limit(), training=training) is (status in causes.TIME_LIMITS)


# ------------------------------------------------------------------------------------------------------------ the words


def test_the_machine_has_the_states_and_variables_that_everybody_names(tmp_path: Path) -> None:
    found = states_of(tmp_path, "digits-forest")
    # Of a pipeline that tunes (test_run_that_tunes), of one for batches (test_batch_runs), of one with a shadow
    # (test_shadowed_runs), of one that compiles (test_compiled_runs).
    milestones = set(states.MILESTONES) - {
        states.TUNE,
        states.COMPILE,
        states.ANSWER,
        states.APPROVE,
        states.SHADOW,
        states.COMPARE,
    }
    assert {*milestones, states.UNDO, states.REPAIR, states.NOT_RECORDED} <= found.keys()
    assert found["Begin"]["Assign"].keys() == {*states.VARIABLES, SHORT, *UNTOUCHED}
    assert found["Record"]["Arguments"]["Payload"].keys() >= set(states.VARIABLES)


def test_the_run_that_is_undone_brings_back_the_config_of_the_champions_record(tmp_path: Path) -> None:
    wrong = {"verifier": {"Payload": {"verified": False, "reason": "no", "asked": 0}}}
    world = World(plan={**PLAN, "champion": CHAMPION}, on=CHAMPION["endpoint_config_name"], answers=wrong)
    ran = run(make_spec(tmp_path), world)
    assert ran.called("updateEndpoint")[-1]["EndpointConfigName"] == CHAMPION["endpoint_config_name"]


# --------------------------------------------------------------------------------------------------------- the language


@given(TEXT)
def test_any_text_survives_quoting(plain: str) -> None:
    assert text(expressions.quoted(plain)) == plain


@given(st.lists(TEXT, min_size=1, max_size=3), TEXT)
def test_a_sentence_says_what_its_variables_hold(parts: list[str], name: str) -> None:
    parts = [part or "-" for part in parts]
    sentence = expressions.sentence("<$name>".join(parts))
    assert text(sentence, name=name) == name.join(parts)


def test_a_sentence_of_one_variable_is_its_text() -> None:
    assert expressions.sentence("<$string($round)>") == "$string($round)"
    assert expressions.composed("a<$b>c") == "{% 'a' & $b & 'c' %}"


def test_documents_of_expressions_become_one_expression() -> None:
    document = {"a": ["{% $x + 1 %}", "it's", None, True], "b c": {"d": 1.5}}
    assert text(expressions.jsonata(document), x=1) == {"a": [2, "it's", None, True], "b c": {"d": 1.5}}


@pytest.mark.parametrize(("number", "expected"), [(1, ["a"]), (2, ["a", "b"])])
def test_a_list_is_longer_where_the_condition_holds(number: int, expected: list[str]) -> None:
    assert value(expressions.lengthened(["a"], "b", when="$n > 1"), n=number) == expected


def test_members_that_come_to_nothing_are_left_out() -> None:
    texts = expressions.members({"here": "$x.a", "gone": "$x.b", **expressions.results("Status")})
    assert text(texts, x={"a": 1}, states={"result": {"Status": "s"}}) == {"here": 1, "Status": "s"}


@pytest.mark.parametrize("value_", ["{% $x %}", "{%%}"])
def test_expressions_are_known_by_their_brackets(value_: str) -> None:
    assert expressions.is_expression(value_)
    assert not expressions.is_expression(value_[:-1]) and not expressions.is_expression(value_[1:])
    assert not expressions.is_expression(None)
