"""The stopper: it stops once, says why before it stops, tells whom it concerns, and leaves others' jobs alone."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from aws_events import training_job_change
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError
from common import clock
from common.run_table import BusyError
from memory_aws import Aws, Crash, installed
from stopper import handler

from contract import names
from contract.run_table import plain

RUN_ID = "20261120-101112-abcd"
JOB = f"local-digits-{RUN_ID}-train"
ITEM = ("digits", f"run#{RUN_ID}")
NOW = "2026-11-20T10:11:12.000Z"
LOUD = {"rule": "LossNotDecreasing", "name": "LossNotDecreasing", "parameters": {}, "action": "stop"}
TOLD = {"rule": "Overfit", "name": "told", "parameters": {}, "action": "notify"}
QUIET = {"rule": "Overtraining", "name": "quiet", "parameters": {}, "action": "record"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    """An environment with a run whose training job goes on, judged by rules of every action."""
    aws = installed(
        monkeypatch, RUN_TABLE="runs", TOPIC_ARN="arn:topic", ENVIRONMENT="local", ARTIFACT_BUCKET="artifacts"
    )
    monkeypatch.setattr(clock, "stamp", lambda: NOW)
    aws.dynamodb.items[ITEM] = {"pipeline": {"S": "digits"}, "item": {"S": ITEM[1]}, "outcome": {"S": "Running"}}
    aws.sagemaker.jobs[JOB] = a_job()
    return aws


def a_job(status: str = "InProgress", **environment: str) -> dict[str, Any]:
    whose = {"RATCHET_ENVIRONMENT": "local", "RATCHET_PIPELINE": "digits", "RATCHET_RUN_ID": RUN_ID}
    rules = {"RATCHET_RULES": json.dumps([LOUD, TOLD, QUIET])}
    return {"TrainingJobStatus": status, "Environment": {**whose, **rules, **environment}}


def found(*names: str, status: str = "IssuesFound", job: str = JOB, **details: Any) -> dict[str, Any]:
    """The event of rules that have found issues at step 40, in the open rules' words."""
    told = json.dumps({"step": 40, "value": 7.5, "reason": "it rises", "at": "t", **details})
    statuses = [
        {"RuleConfigurationName": name, "RuleEvaluationStatus": status, "StatusDetails": told} for name in names
    ]
    return training_job_change("InProgress", "ratchet.rules", TrainingJobName=job, DebugRuleEvaluationStatuses=statuses)


def deliver(event: dict[str, Any]) -> dict[str, Any]:
    """An event of the job's own rules, which have written the same below the run's folder before."""
    name = event["detail"]["TrainingJobName"]
    says(name, json.dumps(event["detail"]).encode())
    return handler.handle(event, None)


def says(job: str, word: bytes, run: str = f"digits/{RUN_ID}") -> None:
    """What lies where a job writes what its rules have found."""
    objects: dict[tuple[str, str], bytes] = boto3.client("s3")._memory.objects
    objects["artifacts", f"runs/{run}/train/verdicts/{job}.json"] = word


def run_of(aws: Aws) -> dict[str, Any]:
    """The run's item, as Python has it."""
    return {name: plain(TypeDeserializer().deserialize(value)) for name, value in aws.dynamodb.items[ITEM].items()}


def messages(aws: Aws) -> list[str]:
    return [json.loads(request["Message"])["message"] for request in aws.called("publish")]


VERDICT = {
    "name": "LossNotDecreasing", "rule": "LossNotDecreasing", "action": "stop", "status": "IssuesFound",
    "step": 40, "value": 7.5, "reason": "it rises", "at": "t", "training_job": JOB,
}  # fmt: skip

# ----------------------------------------------------------------------------------------------------- what is done


def test_it_says_why_and_stops(aws: Aws) -> None:
    answer = deliver(found("LossNotDecreasing"))
    assert answer == {"training_job": JOB, "did": "Stopped", "because": "LossNotDecreasing: it rises"}
    assert aws.sagemaker.jobs[JOB]["TrainingJobStatus"] == "Stopping"
    assert run_of(aws)["stopped_by"] == VERDICT
    assert run_of(aws)["rule_verdicts"] == [VERDICT]
    assert messages(aws) == [], "the run's own message tells of it"


def test_why_is_written_before_it_is_stopped(aws: Aws) -> None:
    deliver(found("LossNotDecreasing"))
    changes = [name for name, _ in aws.calls if name in ("update_item", "stop_training_job")]
    assert changes == ["update_item", "update_item", "stop_training_job"]


def test_a_rule_that_notifies_tells_the_topic_and_stops_nothing(aws: Aws) -> None:
    answer = deliver(found("told"))
    assert (answer["did"], answer["because"]) == ("Recorded", "told")
    assert messages(aws) == [f"digits: the rule told has found issues at step 40: it rises. Run {RUN_ID}."]
    (request,) = aws.called("publish")
    assert (request["TopicArn"], request["Subject"]) == ("arn:topic", "digits: told")
    attributes = {name: entry["StringValue"] for name, entry in request["MessageAttributes"].items()}
    assert attributes == {"pipeline": "digits", "outcome": "Running", "rule": "told"}
    assert json.loads(request["Message"])["verdict"]["value"] == 7.5
    assert json.loads(request["Message"])["run_id"] == RUN_ID
    assert aws.sagemaker.jobs[JOB]["TrainingJobStatus"] == "InProgress"
    assert "stopped_by" not in run_of(aws)


def test_a_rule_that_records_is_silent(aws: Aws) -> None:
    assert deliver(found("quiet"))["did"] == "Recorded"
    assert [verdict["name"] for verdict in run_of(aws)["rule_verdicts"]] == ["quiet"]
    assert not messages(aws) and not aws.called("stop_training_job")


def test_a_run_of_many_rounds_keeps_no_more_verdicts_than_its_item_bears(aws: Aws) -> None:
    for number in range(1, 41):
        job = f"local-digits-{RUN_ID}-train-{number}"
        aws.sagemaker.jobs[job] = a_job()
        said = found("quiet", "told", "LossNotDecreasing", job=job, reason="it rises " * 1_000)
        assert deliver(said)["did"] in ("Stopped", "Recorded")
        assert aws.sagemaker.jobs[job]["TrainingJobStatus"] == "Stopping"
    assert len(run_of(aws)["rule_verdicts"]) == 100
    assert len(json.dumps(aws.dynamodb.items[ITEM])) < 200_000


def test_of_several_the_one_that_stops_stops(aws: Aws) -> None:
    assert deliver(found("quiet", "told", "LossNotDecreasing"))["did"] == "Stopped"
    assert run_of(aws)["stopped_by"]["name"] == "LossNotDecreasing"
    assert [verdict["name"] for verdict in run_of(aws)["rule_verdicts"]] == ["quiet", "told", "LossNotDecreasing"]
    assert len(messages(aws)) == 1


@pytest.mark.parametrize(("name", "told"), [("LossNotDecreasing", 1), ("told", 1), ("quiet", 0)])
def test_a_rule_that_cannot_judge_stops_nothing_but_is_told(aws: Aws, name: str, told: int) -> None:
    """Training goes on that nobody guards."""
    answer = deliver(found(name, status="Error", reason="no tensors", step=None))
    assert answer["did"] == "Recorded"
    assert messages(aws) == [f"digits: the rule {name} couldn't judge: no tensors. Run {RUN_ID}."] * told
    assert not aws.called("stop_training_job")
    assert run_of(aws)["rule_verdicts"][0]["status"] == "Error"


def test_the_managed_rules_time_is_when_it_was_heard(aws: Aws) -> None:
    event = found("told")
    event["detail"]["DebugRuleEvaluationStatuses"][0]["StatusDetails"] = "RuleEvaluationConditionMet: it rises"
    deliver(event)
    (verdict,) = run_of(aws)["rule_verdicts"]
    assert (verdict["at"], verdict["reason"]) == (NOW, "RuleEvaluationConditionMet: it rises")
    assert "step" not in verdict and "value" not in verdict


@pytest.mark.parametrize(("value", "kept"), [(float("nan"), "NaN"), (float("-inf"), "-Infinity"), ("many", "many")])
def test_a_value_that_the_table_cannot_hold_is_kept_as_text(aws: Aws, value: Any, kept: str) -> None:
    assert deliver(found("LossNotDecreasing", value=value))["did"] == "Stopped"
    assert run_of(aws)["stopped_by"]["value"] == kept


def test_a_time_that_the_rule_gives_is_kept(aws: Aws) -> None:
    deliver(found("told"))
    assert run_of(aws)["rule_verdicts"][0]["at"] == "t"


# --------------------------------------------------------------------------------------------- what is left alone


def refused(aws: Aws, event: dict[str, Any]) -> str:
    answer = deliver(event)
    assert answer["did"] == "Nothing"
    assert not aws.called("stop_training_job") and not aws.called("publish") and not aws.called("update_item")
    return str(answer["because"])


@pytest.mark.parametrize("status", ["Stopping", "Stopped", "Completed", "Failed"])
def test_an_event_of_training_that_does_not_go_on_is_nothing(aws: Aws, status: str) -> None:
    event = found("LossNotDecreasing")
    event["detail"]["TrainingJobStatus"] = status
    assert refused(aws, event) == f"the event says {status}"
    assert not aws.calls


@pytest.mark.parametrize("job", ["kmeans-1", f"prod-digits-{RUN_ID}-train"], ids=["nobody's", "another environment's"])
def test_a_job_that_no_run_of_ours_could_have_made_is_not_even_asked_for(aws: Aws, job: str) -> None:
    told = refused(aws, found("LossNotDecreasing", job=job))
    assert told == "no run of the environment local has such a training job"
    assert not aws.calls, "the role may not describe it"


def test_a_job_that_is_not_there_is_nothing(aws: Aws) -> None:
    gone = f"local-digits-{RUN_ID}-train-9"
    assert (
        refused(aws, found("LossNotDecreasing", job=gone)) == "no run of the environment local has such a training job"
    )


def test_another_environments_job_is_left_to_its_own_stopper(aws: Aws) -> None:
    aws.sagemaker.jobs[JOB] = a_job(RATCHET_ENVIRONMENT="production")
    assert refused(aws, found("LossNotDecreasing")) == "no run of the environment local has made it"


def test_a_job_that_only_looks_like_a_runs_is_nothing(aws: Aws) -> None:
    aws.sagemaker.jobs[JOB] = {"TrainingJobStatus": "InProgress"}
    assert refused(aws, found("LossNotDecreasing")) == "no run of the environment local has made it"


@pytest.mark.parametrize("name", ["RATCHET_ENVIRONMENT", "RATCHET_PIPELINE", "RATCHET_RUN_ID"])
def test_a_job_that_says_only_half_is_nothing(aws: Aws, name: str) -> None:
    del aws.sagemaker.jobs[JOB]["Environment"][name]
    assert refused(aws, found("LossNotDecreasing")) == "no run of the environment local has made it"


@pytest.mark.parametrize("event", [found("SomebodyElses"), found("told", status="NoIssuesFound"), found()])
def test_an_event_without_a_verdict_of_its_own_rules_is_nothing(aws: Aws, event: dict[str, Any]) -> None:
    assert refused(aws, event) == "none of its rules has found issues or failed to judge"


def test_a_run_that_the_table_does_not_know_is_nothing(aws: Aws) -> None:
    aws.dynamodb.items.clear()
    assert refused(aws, found("LossNotDecreasing", "told")) == f"the run table knows no run {RUN_ID}"
    assert not aws.dynamodb.items, "a run is not made up"


# ------------------------------------------------------------------------------------------- who says so, and how much


def test_an_event_that_anybody_puts_is_no_verdict(aws: Aws) -> None:
    """What the job itself has written counts, whatever the event tells."""
    says(JOB, json.dumps(found("LossNotDecreasing", status="InProgress")["detail"]).encode())
    answer = handler.handle(found("LossNotDecreasing", reason="forged"), None)
    assert answer["because"] == "none of its rules has found issues or failed to judge"
    assert not aws.called("stop_training_job") and not aws.called("update_item")


@pytest.mark.parametrize(
    "detail",
    [None, [], "x", {}, {"TrainingJobName": None}, {"TrainingJobName": 5}, {"TrainingJobName": [JOB]},
     {"TrainingJobName": f"local-../{JOB}"}, {"TrainingJobName": f"local-{'x' * 300}-{RUN_ID}-train"},
     {"TrainingJobName": f"{JOB}\n"}, {"TrainingJobName": JOB, "TrainingJobStatus": {"InProgress": 1}},
     {"TrainingJobName": f"local-\ud800-{RUN_ID}-train"}, {"TrainingJobName": f"{JOB}-"}],
)  # fmt: skip
def test_an_event_of_any_shape_is_nothing_and_neither_fails_nor_comes_again(aws: Aws, detail: Any) -> None:
    """Anybody who may put events may put these; a failure would be tried again, and an alarm would tell of it."""
    said = {"TrainingJobStatus": "InProgress", **detail} if isinstance(detail, dict) else detail
    answer = handler.handle({"source": "ratchet.rules", "detail": said}, None)
    assert answer["did"] == "Nothing"
    assert not aws.calls


def test_a_job_that_has_said_nothing_is_left_alone_whatever_others_say(aws: Aws) -> None:
    others = f"local-digits-{RUN_ID}-train-2"
    says(others, json.dumps(found("LossNotDecreasing")["detail"]).encode())
    says(JOB, json.dumps(found("LossNotDecreasing")["detail"]).encode(), run=f"another/{RUN_ID}")
    answer = handler.handle(found("LossNotDecreasing", reason="forged"), None)
    assert (answer["did"], answer["because"]) == ("Nothing", "the job itself has said nothing of the kind")
    assert not aws.called("stop_training_job") and not aws.called("update_item")


def test_sagemakers_own_event_is_believed(aws: Aws) -> None:
    event = {**found("LossNotDecreasing"), "source": "aws.sagemaker"}
    assert handler.handle(event, None)["did"] == "Stopped"


def test_an_event_that_only_names_the_job_is_enough(aws: Aws) -> None:
    says(JOB, json.dumps(found("LossNotDecreasing")["detail"]).encode())
    event = found()
    assert handler.handle(event, None)["did"] == "Stopped"
    assert run_of(aws)["stopped_by"] == VERDICT


@pytest.mark.parametrize(
    "word",
    [b"", b"{", b"[" * 100_000, b"[]", b"7", b"null", b'{"DebugRuleEvaluationStatuses": 7}', b" " * 2_000_000,
     b'{"DebugRuleEvaluationStatuses": [7, {}, {"RuleConfigurationName": ["LossNotDecreasing"]}]}', b"\xff\xfe"],
    ids=["nothing", "half", "deep", "list", "number", "null", "no list", "long", "strange", "no text"],
)  # fmt: skip
def test_a_word_that_is_none_stops_nothing_and_breaks_nothing(aws: Aws, word: bytes) -> None:
    says(JOB, word)
    assert handler.handle(found("LossNotDecreasing"), None)["did"] == "Nothing"
    assert not aws.called("stop_training_job")


@pytest.mark.parametrize("told", [{"RATCHET_PIPELINE": "other"}, {"RATCHET_RUN_ID": "20261120-101112-ffff"}])
def test_a_job_that_says_it_is_another_runs_is_nobodys(aws: Aws, told: dict[str, str]) -> None:
    aws.sagemaker.jobs[JOB] = a_job(**told)
    assert refused(aws, found("LossNotDecreasing")) == "no run of the environment local has made it"


@pytest.mark.parametrize(
    "details",
    [
        {"reason": "x" * 230_000},
        {"reason": {"x": ["y" * 300_000]}},
        {"value": "x" * 300_000},
        {"value": {"x": "y" * 300_000}},
        {"value": 1e300},
        {"value": 10**200},
        {"value": 1e-200},
        {"step": "x" * 300_000},
        {"step": {"x": "y" * 300_000}},
        {"at": "x" * 300_000},
        {"reason": "\ud800 it rises"},
    ],
    ids=lambda details: ascii(details)[:20],
)  # fmt: skip
def test_however_much_a_rule_says_the_job_is_stopped_and_it_is_short(aws: Aws, details: dict[str, Any]) -> None:
    assert deliver(found("LossNotDecreasing", "told", **details))["did"] == "Stopped"
    assert len(json.dumps(aws.dynamodb.items[ITEM])) < 5_000
    assert len(json.dumps(aws.called("publish"))) < 5_000
    stopped_by = run_of(aws)["stopped_by"]
    stopped_by["reason"].encode()
    if details == {"reason": "x" * 230_000}:
        assert stopped_by["reason"].startswith("xxx") and stopped_by["reason"].endswith("… (230000 characters in all)")


@pytest.mark.parametrize(("operation", "refused"), [("publish", "told"), ("get_item", "quiet")])
def test_what_cannot_be_recorded_or_told_holds_up_no_stop_and_is_raised_after_it(
    aws: Aws, operation: str, refused: str
) -> None:
    aws.refuse(operation, "AccessDeniedException", "no one may")
    with pytest.raises(ClientError, match="no one may"):
        deliver(found(refused, "LossNotDecreasing"))
    assert aws.sagemaker.jobs[JOB]["TrainingJobStatus"] == "Stopping"
    assert run_of(aws)["stopped_by"] == VERDICT


# ------------------------------------------------------------------------------------------ late, twice, at once


@pytest.mark.parametrize("status", ["Stopping", "Completed", "Failed", "Stopped"])
def test_a_verdict_that_comes_late_is_recorded(aws: Aws, status: str) -> None:
    aws.sagemaker.jobs[JOB] = a_job(status)
    answer = deliver(found("LossNotDecreasing"))
    assert (answer["did"], answer["because"]) == ("Recorded", f"LossNotDecreasing came late: the job is {status}")
    assert run_of(aws)["rule_verdicts"] == [VERDICT]
    assert "stopped_by" not in run_of(aws) and not aws.called("stop_training_job")


def test_a_rule_whose_error_made_the_job_fail_needs_no_message_of_its_own(aws: Aws) -> None:
    aws.sagemaker.jobs[JOB] = a_job("Failed")
    deliver(found("LossNotDecreasing", status="Error"))
    assert not messages(aws) and len(run_of(aws)["rule_verdicts"]) == 1


def test_told_twice_is_done_once(aws: Aws) -> None:
    deliver(found("LossNotDecreasing", "told"))
    again = deliver(found("LossNotDecreasing", "told"))
    assert again["did"] == "Recorded"
    assert len(aws.called("stop_training_job")) == 1
    assert len(run_of(aws)["rule_verdicts"]) == 2
    assert len(messages(aws)) == 1


def test_the_rules_of_every_round_are_told_apart(aws: Aws) -> None:
    deliver(found("told"))
    second = f"local-digits-{RUN_ID}-train-2"
    aws.sagemaker.jobs[second] = a_job()
    deliver(found("told", job=second))
    assert [verdict["training_job"] for verdict in run_of(aws)["rule_verdicts"]] == [JOB, second]
    assert len(messages(aws)) == 2


@pytest.mark.parametrize("crash", range(1, 15))
def test_cut_off_anywhere_the_next_delivery_finishes_it(aws: Aws, crash: int) -> None:
    """A delivery makes seven calls: describe, read, read, write, write, stop; and tells of what is to be told."""
    event = found("told", "LossNotDecreasing")
    aws.crash_at(crash)
    with pytest.raises(Crash):
        deliver(event)
    aws.undisturbed()
    deliver(event)
    assert aws.sagemaker.jobs[JOB]["TrainingJobStatus"] == "Stopping"
    assert run_of(aws)["stopped_by"] == VERDICT
    assert [verdict["name"] for verdict in run_of(aws)["rule_verdicts"]] == ["told", "LossNotDecreasing"]
    assert 1 <= len(messages(aws)) <= 2, "rather twice than never"
    assert len(aws.called("stop_training_job")) == 1


def interrupt(aws: Aws, operation: str, number: int, other: Any) -> None:
    """Something else happens before (1), or after (2), the first call of an operation."""
    left = [number]

    def step(called: str) -> None:
        if called == operation and left[0]:
            left[0] -= 1
            if not left[0]:
                other()

    aws.step = step


@pytest.mark.parametrize("operation", ["describe_training_job", "get_object", "get_item", "publish", "update_item"])
@pytest.mark.parametrize("number", [1, 2], ids=["before", "after"])
def test_two_deliveries_at_once_stop_once_and_record_once(aws: Aws, operation: str, number: int) -> None:
    event = found("told", "LossNotDecreasing")
    interrupt(aws, operation, number, lambda: deliver(event))
    deliver(event)
    assert run_of(aws)["stopped_by"] == VERDICT
    assert [verdict["name"] for verdict in run_of(aws)["rule_verdicts"]] == ["told", "LossNotDecreasing"]
    assert aws.sagemaker.jobs[JOB]["TrainingJobStatus"] == "Stopping"
    assert 1 <= len(messages(aws)) <= 2


def test_the_loser_of_a_race_tells_nothing_again(aws: Aws) -> None:
    """Another verdict is written between the read and the write: the next look finds only what is new."""
    interrupt(aws, "update_item", 1, lambda: deliver(found("quiet")))
    deliver(found("told"))
    assert [verdict["name"] for verdict in run_of(aws)["rule_verdicts"]] == ["quiet", "told"]
    assert len(messages(aws)) == 1


def test_a_second_rule_does_not_stop_what_the_first_has_stopped(aws: Aws) -> None:
    deliver(found("LossNotDecreasing"))
    aws.sagemaker.jobs[JOB] = a_job(RATCHET_RULES=json.dumps([LOUD, {**LOUD, "name": "other"}]))
    answer = deliver(found("other"))
    assert (answer["did"], answer["because"]) == ("Recorded", "LossNotDecreasing has stopped it already")
    assert run_of(aws)["stopped_by"]["name"] == "LossNotDecreasing"
    assert len(aws.called("stop_training_job")) == 1


def test_an_earlier_rounds_stop_is_no_stop_of_this_one(aws: Aws) -> None:
    """Whatever is written there of another job, this one goes on and must be stopped."""
    earlier = {**VERDICT, "training_job": "another", "name": "other", "value": None}
    aws.dynamodb.items[ITEM]["stopped_by"] = TypeSerializer().serialize(earlier)
    assert deliver(found("LossNotDecreasing"))["did"] == "Stopped"


@pytest.mark.parametrize(("status", "blamed"), [("Completed", False), ("Failed", False), ("Stopped", True)])
def test_a_job_that_ends_before_it_can_be_stopped_was_not_stopped(aws: Aws, status: str, blamed: bool) -> None:
    """Unless it is stopped: by whomever, the rule has said why."""
    interrupt(aws, "stop_training_job", 1, lambda: aws.sagemaker.jobs[JOB].update(TrainingJobStatus=status))
    answer = deliver(found("LossNotDecreasing"))
    assert (answer["did"], answer["because"]) == ("Recorded", f"LossNotDecreasing came too late: the job is {status}")
    assert ("stopped_by" in run_of(aws)) is blamed


def test_a_job_that_is_gone_before_it_can_be_stopped_is_said_so(aws: Aws) -> None:
    def gone() -> None:
        del aws.sagemaker.jobs[JOB]
        aws.refuse("stop_training_job", "ValidationException", "Requested resource not found.")

    interrupt(aws, "stop_training_job", 1, gone)
    assert deliver(found("LossNotDecreasing"))["because"] == "LossNotDecreasing came too late: the job is gone"


def test_another_rules_word_is_not_taken_back(aws: Aws) -> None:
    def ends() -> None:
        aws.sagemaker.jobs[JOB]["TrainingJobStatus"] = "Completed"
        aws.dynamodb.items[ITEM]["stopped_by"] = {"S": "somebody else's"}

    interrupt(aws, "stop_training_job", 1, ends)
    deliver(found("LossNotDecreasing"))
    assert run_of(aws)["stopped_by"] == "somebody else's"


def test_a_table_that_others_write_without_end_is_busy(aws: Aws) -> None:
    """Lambda tries again, with a pause that this function doesn't have."""
    aws.refuse("update_item", "ConditionalCheckFailedException", "others were first")
    with pytest.raises(BusyError, match=rf"the verdicts of run {RUN_ID} were written by others 10 times in a row"):
        deliver(found("told"))
    assert len(aws.called("update_item")) == 10
    assert len(messages(aws)) == 1, "it is told once, however often the write is lost"


@pytest.mark.parametrize("operation", ["describe_training_job", "get_object", "get_item", "publish", "update_item"])
def test_what_aws_refuses_is_raised_so_that_lambda_tries_again(aws: Aws, operation: str) -> None:
    aws.refuse(operation, "AccessDeniedException", "no one may")
    with pytest.raises(ClientError, match="no one may"):
        deliver(found("told"))


def test_a_stop_that_is_refused_is_raised(aws: Aws) -> None:
    aws.refuse("stop_training_job", "AccessDeniedException", "no one may")
    with pytest.raises(ClientError, match="no one may"):
        deliver(found("LossNotDecreasing"))


def test_a_wrong_name_is_no_missing_job(aws: Aws) -> None:
    aws.refuse("describe_training_job", "ValidationException", "1 validation error detected")
    with pytest.raises(ClientError, match="1 validation error"):
        deliver(found("told"))


def test_the_log_says_which_job_and_event(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(found("told"))
    line = json.loads(capsys.readouterr().out)
    assert line == {
        "time": NOW, "level": "INFO", "event": "handled", "function": "stopper", "training_job": JOB,
        "event_id": "844e2571-85d4-695f-b930-0153b71dcb42", "did": "Recorded", "because": "told",
    }  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- trials

TRIAL = names.tuning_job("local", "digits", RUN_ID) + "-002-0a1b2c3d"


@pytest.fixture
def tuning(aws: Aws) -> Aws:
    """A trial of the run's tuning job, which is told of no run: its name says of which it is."""
    job = a_job()
    del job["Environment"]["RATCHET_RUN_ID"]
    aws.sagemaker.jobs[TRIAL] = job
    return aws


def test_a_trial_is_stopped_alone_and_the_run_goes_on(tuning: Aws) -> None:
    answer = deliver(found("LossNotDecreasing", job=TRIAL))
    assert answer == {"training_job": TRIAL, "did": "Stopped", "because": "LossNotDecreasing: it rises"}
    assert tuning.sagemaker.jobs[TRIAL]["TrainingJobStatus"] == "Stopping"
    assert tuning.sagemaker.jobs[JOB]["TrainingJobStatus"] == "InProgress"
    assert "stopped_by" not in run_of(tuning), "the run isn't"
    assert [verdict["training_job"] for verdict in run_of(tuning)["rule_verdicts"]] == [TRIAL]


def test_a_trial_that_has_ended_was_not_stopped(tuning: Aws) -> None:
    interrupt(
        tuning, "stop_training_job", 1, lambda: tuning.sagemaker.jobs[TRIAL].update(TrainingJobStatus="Completed")
    )
    assert "came too late" in deliver(found("LossNotDecreasing", job=TRIAL))["because"]


@pytest.mark.parametrize(
    "whose",
    [{"RATCHET_PIPELINE": "iris"}, {"RATCHET_ENVIRONMENT": "prod"}, {"RATCHET_RUN_ID": "20261120-101112-ffff"}],
)
def test_a_trial_that_says_it_is_anothers_is_nobodys(tuning: Aws, whose: dict[str, str]) -> None:
    tuning.sagemaker.jobs[TRIAL]["Environment"] |= whose
    assert deliver(found("LossNotDecreasing", job=TRIAL))["did"] == "Nothing"
    assert not tuning.called("stop_training_job")


# ---------------------------------------------------------------------------------------------------------- candidates

CANDIDATE = f"{JOB}-2"


def test_a_candidate_is_stopped_alone_and_the_run_goes_on(aws: Aws) -> None:
    aws.sagemaker.jobs[CANDIDATE] = a_job(RATCHET_CANDIDATE="embedding")
    answer = deliver(found("LossNotDecreasing", job=CANDIDATE))
    assert answer == {"training_job": CANDIDATE, "did": "Stopped", "because": "LossNotDecreasing: it rises"}
    assert aws.sagemaker.jobs[CANDIDATE]["TrainingJobStatus"] == "Stopping"
    assert "stopped_by" not in run_of(aws), "the run isn't"
    assert [verdict["training_job"] for verdict in run_of(aws)["rule_verdicts"]] == [CANDIDATE]


def test_a_candidate_that_has_ended_was_not_stopped(aws: Aws) -> None:
    aws.sagemaker.jobs[CANDIDATE] = a_job(RATCHET_CANDIDATE="embedding")
    over = lambda: aws.sagemaker.jobs[CANDIDATE].update(TrainingJobStatus="Completed")  # noqa: E731
    interrupt(aws, "stop_training_job", 1, over)
    assert "came too late" in deliver(found("LossNotDecreasing", job=CANDIDATE))["because"]
