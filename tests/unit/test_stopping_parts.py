"""Stopping by rules: which events the stopper hears of, what it reads in them, and what the machine makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aws_events import training_job_change
from run_world import RUN_ID, World, make_spec, run
from stopper import verdicts

from contract import environment as variables
from contract import files
from infra.workflow import judging
from localaws.states.errors import StatesError
from ratchet.spec import watching

JOB_NAME = f"digits-forest-{RUN_ID}-train"
TRAINING_CODE = Path(__file__).parents[2] / "training_code"
RULES = [{"rule": "LossNotDecreasing"}, {"rule": "Overfit", "name": "told", "action": "notify"}]


@pytest.fixture(autouse=True)
def _toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toolkit as a job has it: beside the script."""
    monkeypatch.syspath_prepend(str(TRAINING_CODE))


def issues(*names: str, status: str = "IssuesFound") -> dict[str, Any]:
    return {
        "DebugRuleEvaluationStatuses": [
            {
                "RuleConfigurationName": name,
                "RuleEvaluationJobArn": "arn:aws:sagemaker:us-east-1:123456789012:processing-job/rule",
                "RuleEvaluationStatus": status,
                "StatusDetails": "RuleEvaluationConditionMet: Evaluation resulted in the condition being met",
                "LastModifiedTime": 1583831889050,
            }
            for name in names
        ]
    }


# ------------------------------------------------------------------------------------------------------- the pattern


def matches(event: dict[str, Any]) -> bool:
    from ministack.services import eventbridge  # noqa: PLC0415 - heavy

    names = {"source": "Source", "detail-type": "DetailType", "detail": "Detail"}
    entry = {names.get(key, key): json.dumps(value) if key == "detail" else value for key, value in event.items()}
    return bool(eventbridge._matches_pattern(json.dumps(judging.rules_spoke()), entry))


@pytest.mark.fidelity(
    "EventBridge",
    "AWS's own sample of a training job's event matches no rule of ours.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge",
)
def test_aws_own_sample_event_says_nothing_of_rules_and_is_not_heard() -> None:
    assert not matches(training_job_change())
    assert not matches(training_job_change("InProgress"))


@pytest.mark.parametrize("source", ["aws.sagemaker", "ratchet.rules"])
def test_issues_in_training_that_goes_on_are_heard_whoever_says_them(source: str) -> None:
    assert matches(training_job_change("InProgress", source, **issues("LossNotDecreasing")))


@pytest.mark.parametrize(
    "event",
    [
        training_job_change("Stopping", **issues("LossNotDecreasing")),
        training_job_change("Completed", **issues("LossNotDecreasing")),
        training_job_change("InProgress", **issues("LossNotDecreasing", status="NoIssuesFound")),
        training_job_change("InProgress", "somebody.else", **issues("LossNotDecreasing")),
        training_job_change("InProgress", DebugRuleEvaluationStatuses=[]),
    ],
    ids=["stopping", "completed", "no issues", "another source", "no rules"],
)
def test_nothing_else_is_heard(event: dict[str, Any]) -> None:
    assert not matches(event)


def test_a_rule_that_cannot_judge_is_heard_too() -> None:
    assert matches(training_job_change("InProgress", "ratchet.rules", **issues("LossNotDecreasing", status="Error")))


def test_one_rule_with_issues_among_others_is_enough() -> None:
    statuses = [*issues("a", status="InProgress")["DebugRuleEvaluationStatuses"], *_statuses("b"), *_statuses("c")]
    assert matches(training_job_change("InProgress", DebugRuleEvaluationStatuses=statuses))


def _statuses(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = issues(name)["DebugRuleEvaluationStatuses"]
    return found


def test_what_the_rules_beside_the_training_send_is_heard() -> None:
    from toolkit.rules.judging import Status  # noqa: PLC0415 - on the path in tests only
    from toolkit.rules.statuses import Job, event, said  # noqa: PLC0415 - on the path in tests only

    status = Status("LossNotDecreasing", "LossNotDecreasing", "stop", "IssuesFound", 40, 7.5, "the loss is 7.5", 1.5)
    judged = Job("digits-20261120-101112-abcd-train", "arn")
    sent = event(judged, said(judged, [status]))
    heard = {"source": sent["Source"], "detail-type": sent["DetailType"], "detail": json.loads(sent["Detail"])}
    assert matches(heard)
    (found,) = verdicts.verdicts(heard["detail"], JOB_NAME, job(RULES))
    assert (found.name, found.action, found.step, found.value, found.reason) == (
        "LossNotDecreasing",
        "stop",
        40,
        7.5,
        "the loss is 7.5",
    )


# ------------------------------------------------------------------------------------------------------ what is read


def job(rules: list[dict[str, Any]], **environment: str) -> dict[str, Any]:
    """DescribeTrainingJob, with the environment that the state machine gives."""
    documents = [{"parameters": {}, "action": "stop", "name": rule["rule"], **rule} for rule in rules]
    told = {"RATCHET_ENVIRONMENT": "local", "RATCHET_PIPELINE": "digits", "RATCHET_RUN_ID": RUN_ID}
    return {"Environment": {**told, "RATCHET_RULES": json.dumps(documents), **environment}}


def found(status: dict[str, Any], rules: list[dict[str, Any]]) -> list[verdicts.Verdict]:
    event = training_job_change("InProgress", DebugRuleEvaluationStatuses=[status])
    return list(verdicts.verdicts(event["detail"], JOB_NAME, job(rules)))


def test_the_managed_rules_sentence_is_the_reason() -> None:
    (verdict,) = found(_statuses("told")[0], RULES)
    assert (verdict.rule, verdict.action, verdict.step) == ("Overfit", "notify", None)
    assert verdict.reason.startswith("RuleEvaluationConditionMet")


def test_the_step_is_read_from_the_managed_rules_sentence() -> None:
    details = (
        "RuleEvaluationConditionMet: Evaluation of the rule Overfit at step 40 resulted in the condition being met\n"
    )
    (verdict,) = found({**_statuses("told")[0], "StatusDetails": details}, RULES)
    assert (verdict.step, verdict.status) == (40, "IssuesFound")
    assert verdict.reason == details.strip()


def test_a_managed_rules_action_is_known_as_well() -> None:
    managed = job([])
    managed["Environment"]["RATCHET_MANAGED_RULES"] = (
        managed["Environment"]
        .pop("RATCHET_RULES")
        .replace("[]", json.dumps([{"rule": "Overfit", "name": "told", "parameters": {}, "action": "notify"}]))
    )
    event = training_job_change("InProgress", DebugRuleEvaluationStatuses=_statuses("told"))
    assert [verdict.action for verdict in verdicts.verdicts(event["detail"], JOB_NAME, managed)] == ["notify"]


def test_rules_that_the_job_does_not_name_are_nobodys_business() -> None:
    assert found(_statuses("SomebodyElses")[0], RULES) == []


@pytest.mark.parametrize(("value", "kept"), [("NaN", "NaN"), ("Infinity", "Infinity"), ("3", 3), ("null", None)])
def test_values_that_no_number_holds_are_text(value: str, kept: Any) -> None:
    details = f'{{"step": 1, "value": {value}, "reason": "r"}}'
    (verdict,) = found({**_statuses("LossNotDecreasing")[0], "StatusDetails": details}, RULES)
    assert verdict.value == kept


def test_a_job_of_nobody_is_nobodys() -> None:
    assert verdicts.run_of({"Environment": {"A": "b"}}) is None
    assert verdicts.run_of({}) is None
    assert verdicts.run_of(job(RULES)) == verdicts.Run("local", "digits", RUN_ID)


# ------------------------------------------------------------------------------------------------- what the job is told


def told(tmp_path: Path, **changes: Any) -> dict[str, str]:
    (request,) = run(make_spec(tmp_path, **changes), World()).called("createTrainingJob")
    environment: dict[str, str] = request["Environment"]
    return environment


def joined(environment: dict[str, str], name: str) -> Any:
    return json.loads(variables.whole(name, environment) or "null")


def test_a_job_knows_its_run_its_probe_and_its_rules(tmp_path: Path) -> None:
    environment = told(tmp_path, rules=RULES)
    assert environment["RATCHET_RUN_ID"] == RUN_ID
    assert joined(environment, "RATCHET_PROBE") == {
        "output": f"s3://artifacts/runs/digits-forest/{RUN_ID}/train/tensors/"
    }
    assert joined(environment, "RATCHET_RULES") == [
        {"rule": "LossNotDecreasing", "name": "LossNotDecreasing", "parameters": {}, "action": "stop"},
        {"rule": "Overfit", "name": "told", "parameters": {}, "action": "notify"},
    ]


def test_a_rule_brings_what_it_needs(tmp_path: Path) -> None:
    """As Debugger's rule configurations bring their collections; the spec's word goes first."""
    from toolkit.probe.layers import RELU_OUTPUT  # noqa: PLC0415 - on the path in tests only

    def collections(**spec: Any) -> Any:
        return joined(told(tmp_path, **spec), "RATCHET_PROBE").get("collections")

    brought = collections(rules=[{"rule": "DeadRelu"}])
    assert brought.keys() == {"weights", "biases", "gradients", "relu_output"}, "the probe's defaults stay"
    assert brought["relu_output"] == {"include": [RELU_OUTPUT]}
    said = {"collections": {"gradients": {"interval": 7}}}
    assert collections(rules=[{"rule": "VanishingGradient"}], probe=said) == said["collections"]
    assert collections(rules=[{"rule": "WeightUpdateRatio"}], probe=said) == {"weights": {}, **said["collections"]}
    assert collections(rules=[{"rule": "DeadRelu", "parameters": {"tensor_regex": ["act"]}}]) is None
    evaluation = collections(rules=[{"rule": "AccuracyDrop"}])
    assert evaluation["labels"] == evaluation["predictions"] == {"interval": 1, "modes": ["eval"]}
    twice = [{"rule": "AccuracyDrop"}, {"rule": "AccuracyDrop", "name": "again"}]
    assert collections(rules=twice)["labels"] == {"interval": 1, "modes": ["eval"]}
    for both in (["AccuracyDrop", "Confusion"], ["Confusion", "AccuracyDrop"]):
        assert collections(rules=[{"rule": rule} for rule in both])["labels"] == {"interval": 1}


def test_what_is_longer_than_a_variable_goes_on_in_the_next(tmp_path: Path) -> None:
    """botocore's limits of each variable are checked by `run`."""
    rules = [{"rule": "Overfit", "name": f"overfit-{number}"} for number in range(20)]
    regexes = [rf"layer{number}\\.(weight|bias)'\"" for number in range(60)]
    environment = told(tmp_path, rules=rules, probe={"collections": {"mine": {"include": regexes, "interval": 7}}})
    assert [rule["name"] for rule in joined(environment, "RATCHET_RULES")] == [rule["name"] for rule in rules]
    assert joined(environment, "RATCHET_PROBE")["collections"]["mine"] == {"include": regexes, "interval": 7}
    assert len(environment) > 6
    assert [rule["name"] for rule in variables.rules(environment)] == [rule["name"] for rule in rules]


def test_the_first_part_leaves_room_for_the_longest_names() -> None:
    folder = files.run_folder("p" * 32, RUN_ID) + files.of_round(files.TENSORS, 100)
    longest = f"s3://{'b' * 63}/{folder}/"
    assert len(f'{{"output":"{longest}"') <= watching.OUTPUT_LENGTH


def test_without_rules_nothing_of_them_is_in_the_machine(tmp_path: Path) -> None:
    ran = run(make_spec(tmp_path), World())
    assert "RATCHET_RULES" not in ran.called("createTrainingJob")[0]["Environment"]
    assert not ran.called("describeTrainingJob")


# ------------------------------------------------------------------------------------------------------- the machine

STOPPED = {
    "TrainingJobName": JOB_NAME,
    "TrainingJobStatus": "Stopped",
    "SecondaryStatus": "Stopped",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://m/model.tar.gz"},
    "Environment": {variables.RULES: json.dumps([{**rule, "action": "stop"} for rule in RULES])},
}
ITEM = {"Item": {"pipeline": {"S": "digits-forest"}, "stopped_by": {"M": {"name": {"S": "LossNotDecreasing"}}}}}
NO_RULE = {"Item": {"pipeline": {"S": "digits-forest"}}}


def stopped_world(as_error: bool, item: dict[str, Any], **job: Any) -> World:
    """Training that ends stopped, as Step Functions may say it; the run's item, after that of the quiet period."""
    described = {**STOPPED, **job}
    ended = StatesError("States.TaskFailed", json.dumps(described)) if as_error else described
    answers = {"createTrainingJob": ended, "describeTrainingJob": described, "getItem": [NO_RULE, item]}
    return World(answers=answers)


both = pytest.mark.parametrize("as_error", [False, True], ids=["as a result", "as an error"])


@both
def test_a_rules_stop_is_an_outcome_not_a_failure(tmp_path: Path, as_error: bool) -> None:
    ran = run(make_spec(tmp_path, rules=RULES), stopped_world(as_error, ITEM))
    assert (ran.recorded["outcome"], ran.recorded["failure"]) == ("StoppedByRule", None)
    assert ran.error is None
    assert not ran.called("createProcessingJob")
    assert ran.called("getItem") == [
        {
            "TableName": "runs",
            "Key": {"pipeline": {"S": "digits-forest"}, "item": {"S": item}},
            "ConsistentRead": True,
        }
        for item in ("state", f"run#{RUN_ID}")
    ]
    assert ran.recorded["training"]["environment"] == STOPPED["Environment"], "where the recorder finds the rules"


@both
def test_what_was_saved_goes_on_if_the_spec_says_so(tmp_path: Path, as_error: bool) -> None:
    ran = run(make_spec(tmp_path, rules=RULES, rules_then="evaluate"), stopped_world(as_error, ITEM))
    assert (ran.recorded["outcome"], ran.recorded["failure"]) == ("Promoted", None)
    assert ran.recorded["candidate"]["model_data"] == "s3://m/model.tar.gz"


def test_without_anything_saved_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    world = stopped_world(False, ITEM, ModelArtifacts={})
    ran = run(make_spec(tmp_path, rules=RULES, rules_then="evaluate"), world)
    assert ran.recorded["outcome"] == "StoppedByRule"


@both
def test_a_person_s_stop_is_said_so(tmp_path: Path, as_error: bool) -> None:
    ran = run(make_spec(tmp_path, rules=RULES), stopped_world(as_error, NO_RULE))
    assert ran.recorded["outcome"] is None
    assert json.loads(ran.recorded["failure"]["cause"])["TrainingJobStatus"] == "Stopped"


@both
def test_the_time_limit_is_no_rule_even_if_one_has_spoken(tmp_path: Path, as_error: bool) -> None:
    ran = run(make_spec(tmp_path, rules=RULES), stopped_world(as_error, ITEM, SecondaryStatus="MaxRuntimeExceeded"))
    assert ran.recorded["outcome"] is None
    assert json.loads(ran.recorded["failure"]["cause"])["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_training_that_fails_is_a_failure_with_rules_too(tmp_path: Path) -> None:
    denied = StatesError("SageMaker.AmazonSageMakerException", "User is not authorized")
    ran = run(make_spec(tmp_path, rules=RULES), World(answers={"createTrainingJob": denied}))
    assert ran.recorded["failure"]["cause"] == "User is not authorized"
    assert not ran.called("describeTrainingJob")
