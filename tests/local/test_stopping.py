"""Bad training stopped: a rule's event, EventBridge, the stopper, and what the run comes to."""

from __future__ import annotations

import html
import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from deployed import Pipeline, Scripted
from running_aws import ROOT
from waiting import until

from contract.run_table import plain
from ratchet import report
from ratchet.account import Account
from ratchet.runs import of_item
from ratchet.spec import environments

# Built-in rules by name; the orders say which of them is to have found issues.
RULES = [
    {"rule": "LossNotDecreasing"},
    {"rule": "Overfit", "name": "overfit-told", "action": "notify"},
    {"rule": "AccuracyDrop", "action": "record"},
]
# What the rules beside the training see in the probe's tensors.
WATCHED = [
    {"rule": "ExplodingTensor", "parameters": {"collection_names": ["losses"]}},
    {"rule": "StalledTraining", "parameters": {"threshold": 8}},
    {"rule": "Overfit", "parameters": {"ratio_threshold": 0.5, "patience": 2}},
    {"rule": "AccuracyDrop", "parameters": {"threshold": 0.2}},
]
# Ten minutes: on a busy machine too, it is the rule that ends the training.
LONG = 20_000

PIPELINES = {
    "judged": Scripted({"rules": RULES}),
    "kept": Scripted({"rules": RULES, "rules_then": "evaluate"}),
    "watched": Scripted({"rules": WATCHED}),
}


@pytest.fixture
def judged(deployed: Callable[[str], Pipeline]) -> Pipeline:
    """A pipeline with a champion, and that nothing runs in."""
    return with_champion(deployed("judged"))


@pytest.fixture
def watched(deployed: Callable[[str], Pipeline]) -> Pipeline:
    """A pipeline with a champion, whose rules look at the probe's tensors."""
    return with_champion(deployed("watched"))


def with_champion(pipeline: Pipeline) -> Pipeline:
    pipeline.idle()
    if "champion" not in pipeline.state:
        pipeline.order(accuracy=0.8)
        assert pipeline.run(forced=True)["outcome"] == "Promoted"
    return pipeline


def of_the_stopper(pipeline: Pipeline, kind: str, name: str) -> str:
    """The shared stack's one resource of a kind whose logical id begins so."""
    pages = pipeline.aws.client("cloudformation").get_paginator("list_stack_resources")
    (found,) = [
        entry["PhysicalResourceId"]
        for page in pages.paginate(StackName="ratchet-local-shared")
        for entry in page["StackResourceSummaries"]
        if entry["ResourceType"] == kind and entry["LogicalResourceId"].startswith(name)
    ]
    return str(found)


def test_a_rule_that_finds_issues_stops_training_and_the_champion_serves(judged: Pipeline) -> None:
    champion = judged.state["champion"]
    judged.order(accuracy=0.9, train="issues", rules=["LossNotDecreasing"], times=3)
    record = judged.run()
    assert record["outcome"] == "StoppedByRule"
    verdict = record["stopped_by"]
    assert (verdict["name"], verdict["rule"], verdict["step"]) == ("LossNotDecreasing", "LossNotDecreasing", 40)
    assert (float(verdict["value"]), verdict["reason"]) == (7.5, "the loss is 7.5")
    assert [entry["name"] for entry in record["rule_verdicts"]] == ["LossNotDecreasing"], "said three times"
    assert [entry["status"] for entry in record["rules"]] == ["IssuesFound", "Stopped", "Stopped"]
    assert "error" not in record
    assert judged.executions()[0]["status"] == "SUCCEEDED"
    assert judged.state["champion"] == champion
    assert judged.ask(1) == "1"
    assert "Evaluate" not in judged.states(record["run_id"])


@pytest.mark.parametrize(
    ("trouble", "rule"),
    [
        ("explodes", "ExplodingTensor"),
        ("stalls", "StalledTraining"),
        ("overfits", "Overfit"),
        ("forgets", "AccuracyDrop"),
    ],
)
def test_bad_training_is_stopped_by_the_rule_beside_it(watched: Pipeline, trouble: str, rule: str) -> None:
    pipeline = watched
    champion = pipeline.state["champion"]
    pipeline.order(accuracy=0.9, train="watched", trouble=trouble, steps=LONG)
    record = pipeline.run()
    assert record["outcome"] == "StoppedByRule"
    assert record["stopped_by"]["rule"] == rule
    assert record["stopped_by"]["reason"]
    assert {entry["name"] for entry in record["rules"]} == {entry["rule"] for entry in WATCHED}, "all are told of"
    assert next(entry for entry in record["rules"] if entry["name"] == rule)["status"] == "IssuesFound"
    assert pipeline.state["champion"] == champion
    run = of_item(plain(record))
    assert run.reason.startswith(f"{rule} at step {record['stopped_by']['step']}: ")
    page = html.unescape(report.render(report.gather(account_of(pipeline), run)))
    assert record["stopped_by"]["reason"] in page
    # The loss as far as it came, and where the rule stopped it.
    charts = page.partition('<section id="curves">')[2].partition("</section>")[0]
    assert f"{rule}, step {record['stopped_by']['step']}<" in charts
    assert re.search(r'<path class="loss train" d="M[\d.]+ [\d.]+ L', charts)
    assert "nan" not in charts and "inf" not in charts


def account_of(pipeline: Pipeline) -> Account:
    """The environment as the commands know it."""
    settings = json.loads((ROOT / "cdk.json").read_text())["context"]["environments"]["local"]
    session: Any = SimpleNamespace(client=lambda service, **_settings: pipeline.aws.client(service))
    return Account(environments.environment("local", settings), session)


def test_good_training_is_left_alone_and_each_rule_says_so(watched: Pipeline) -> None:
    pipeline = watched
    pipeline.order(accuracy=0.5, train="watched", trouble="none")
    record = pipeline.run()
    assert record["outcome"] == "NotBetter"
    assert {entry["name"]: entry["status"] for entry in record["rules"]} == {
        entry["rule"]: "NoIssuesFound" for entry in WATCHED
    }


def test_what_was_saved_is_evaluated_if_the_spec_says_so(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = with_champion(deployed("kept"))
    pipeline.order(accuracy=0.95, train="issues", rules=["LossNotDecreasing"], saved=True)
    record = pipeline.run()
    assert record["outcome"] == "Promoted"
    assert record["stopped_by"]["name"] == "LossNotDecreasing"
    assert pipeline.state["champion"]["run_id"] == record["run_id"]

    pipeline.order(accuracy=0.95, train="issues", rules=["LossNotDecreasing"], saved=False)
    assert pipeline.run()["outcome"] == "StoppedByRule", "nothing was saved"


@contextmanager
def told_of_rules(pipeline: Pipeline) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the topic says of rules, heard by a queue: a function that waits for at least one message."""
    sns, sqs = pipeline.aws.client("sns"), pipeline.aws.client("sqs")
    queue = sqs.create_queue(QueueName=f"told-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    document = {"Version": "2012-10-17", "Statement": [{**policy, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(document)})
    subscription = sns.subscribe(
        TopicArn=pipeline.shared["TopicArn"],
        Protocol="sqs",
        Endpoint=arn,
        Attributes={"FilterPolicy": json.dumps({"rule": [{"exists": True}]}), "RawMessageDelivery": "true"},
        ReturnSubscriptionArn=True,
    )["SubscriptionArn"]
    messages: list[dict[str, Any]] = []

    def heard() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        messages.extend(json.loads(message["Body"]) for message in answer.get("Messages", ()))
        return bool(messages)

    def wait() -> list[dict[str, Any]]:
        until(heard, "the topic's message")
        return messages

    try:
        yield wait
    finally:
        sns.unsubscribe(SubscriptionArn=subscription)


def test_other_actions_do_not_stop(judged: Pipeline) -> None:
    with told_of_rules(judged) as told:
        judged.order(accuracy=0.7, train="issues", rules=["overfit-told", "AccuracyDrop"], times=2)
        run_id = judged.trigger()["run_id"]
        until(lambda: len(judged.item(f"run#{run_id}").get("rule_verdicts", ())) == 2, "both to be recorded")
        assert "stopped_by" not in judged.item(f"run#{run_id}")
        assert {message["verdict"]["name"] for message in told()} == {"overfit-told"}
    judged.aws.client("sagemaker").stop_training_job(TrainingJobName=f"local-judged-{run_id}-train")
    record = judged.record(run_id)
    assert record["outcome"] == "Stopped", "by a person"
    assert "was stopped (StopTrainingJob)" in record["error"]["cause"]
    found = {entry["name"]: entry["action"] for entry in record["rules"] if entry["status"] == "IssuesFound"}
    assert found == {"overfit-told": "notify", "AccuracyDrop": "record"}


def test_a_rule_that_cannot_judge_stops_nothing_and_is_told_of(judged: Pipeline) -> None:
    with told_of_rules(judged) as told:
        judged.order(
            accuracy=0.5, train="issues", status="Error", rules=["LossNotDecreasing", "AccuracyDrop"], seconds=1
        )
        record = judged.run()
        (message,) = told()
    assert record["outcome"] == "NotBetter", "it went on"
    assert message["verdict"]["name"] == "LossNotDecreasing", "the other's action is record"
    assert "couldn't judge at step 40: the loss is 7.5" in message["message"]
    assert {entry["name"]: entry["status"] for entry in record["rules"]} == {
        "LossNotDecreasing": "Error",
        "overfit-told": "Error",
        "AccuracyDrop": "Error",
    }


def invoke(pipeline: Pipeline, event: dict[str, Any]) -> dict[str, Any]:
    response = pipeline.aws.client("lambda").invoke(
        FunctionName=of_the_stopper(pipeline, "AWS::Lambda::Function", "StopperHandler"), Payload=json.dumps(event)
    )
    answer: dict[str, Any] = json.loads(response["Payload"].read())
    return answer


def says(pipeline: Pipeline, event: dict[str, Any]) -> dict[str, Any]:
    """The event, of which the job itself has said the same."""
    detail, bucket = event["detail"], pipeline.shared["ArtifactBucketName"]
    job = detail["TrainingJobName"]
    run_id = job.removeprefix(f"local-{pipeline.name}-").removesuffix("-train")
    key = f"runs/{pipeline.name}/{run_id}/train/verdicts/{job}.json"
    pipeline.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=json.dumps(detail))
    return event


def issues(pipeline: Pipeline, run_id: str) -> dict[str, Any]:
    """The event of a rule that stops, about a run's training job."""
    status = {
        "RuleConfigurationName": "LossNotDecreasing",
        "RuleEvaluationStatus": "IssuesFound",
        "StatusDetails": json.dumps({"rule": "LossNotDecreasing", "step": 1, "value": None, "reason": "it is late"}),
    }
    name = f"local-{pipeline.name}-{run_id}-train"
    return {
        "id": "late",
        "detail": {
            "TrainingJobName": name,
            "TrainingJobStatus": "InProgress",
            "DebugRuleEvaluationStatuses": [status],
        },
    }


def test_an_event_that_comes_late_changes_nothing(judged: Pipeline) -> None:
    run_id = judged.state["champion"]["run_id"]
    answer = invoke(judged, says(judged, issues(judged, run_id)))
    assert answer["did"] == "Recorded" and "came late: the job is Completed" in answer["because"]
    assert "stopped_by" not in judged.item(f"run#{run_id}")


def test_a_verdict_that_others_tell_stops_nothing(judged: Pipeline) -> None:
    """The stopper looks what the job itself has said, which others may not write."""
    judged.order(accuracy=0.9, train="linger", seconds=600)
    run_id = judged.trigger()["run_id"]
    sagemaker, job = judged.aws.client("sagemaker"), f"local-judged-{run_id}-train"
    until(lambda: sagemaker.list_training_jobs(NameContains=job)["TrainingJobSummaries"], "the training job")
    answer = invoke(judged, issues(judged, run_id))
    assert answer == {"training_job": job, "did": "Nothing", "because": "the job itself has said nothing of the kind"}
    loud = issues(judged, run_id)
    loud["detail"]["DebugRuleEvaluationStatuses"][0]["StatusDetails"] = json.dumps({"reason": "x" * 230_000})
    assert invoke(judged, says(judged, loud))["did"] == "Stopped", "however long its reason is"
    record = judged.record(run_id)
    assert record["outcome"] == "StoppedByRule"
    assert record["stopped_by"]["reason"].endswith("… (230000 characters in all)")


WITHHELD = ["sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob", "dynamodb:UpdateItem", "s3:GetObject"]


@pytest.mark.parametrize("action", WITHHELD)
def test_a_stopper_that_lacks_an_action_names_it(judged: Pipeline, action: str) -> None:
    judged.order(accuracy=0.9, train="linger", seconds=600, lacking=action)
    run_id = judged.trigger()["run_id"]
    sagemaker, job = judged.aws.client("sagemaker"), f"local-judged-{run_id}-train"
    until(lambda: sagemaker.list_training_jobs(NameContains=job)["TrainingJobSummaries"], "the training job")
    role = judged.role("StopperHandler", "shared")
    event = says(judged, issues(judged, run_id))
    with judged.without(action, role):
        answer = invoke(judged, event)
    assert action in answer["errorMessage"] and role in answer["errorMessage"]
    assert invoke(judged, event)["did"] == "Stopped", "tried again, with the action"
    assert judged.record(run_id)["outcome"] == "StoppedByRule"


def test_what_the_stopper_cannot_do_waits_in_the_dead_letter_queue(judged: Pipeline) -> None:
    queue = of_the_stopper(judged, "AWS::SQS::Queue", "StopperDeadLetters")
    event, sqs = issues(judged, judged.state["champion"]["run_id"]), judged.aws.client("sqs")
    entry = {
        "Source": "ratchet.rules",
        "DetailType": "SageMaker Training Job State Change",
        "Detail": json.dumps(event["detail"]),
    }
    waiting: list[dict[str, Any]] = []

    def look() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)
        waiting.extend(json.loads(message["Body"]) for message in answer.get("Messages", ()))
        return bool(waiting)

    with judged.without("sagemaker:DescribeTrainingJob", judged.role("StopperHandler", "shared")):
        judged.aws.client("events").put_events(Entries=[entry])
        until(look, "the event in the dead-letter queue")
    assert event["detail"]["TrainingJobName"] in json.dumps(waiting)


def test_a_training_role_without_put_events_is_told_so_in_the_jobs_log(judged: Pipeline) -> None:
    judged.order(accuracy=0.9, train="issues", rules=["LossNotDecreasing"], lacking="events:PutEvents")
    role = judged.role("JobsTraining")
    with judged.without("events:PutEvents", role):
        record = judged.run()
    assert record["outcome"] == "Failed"
    assert "events:PutEvents" in record["error"]["cause"] and role in record["error"]["cause"]


@pytest.mark.fidelity(
    "IAM",
    "A role's own tags are the tags of whoever has assumed it, so a policy's variable may open one folder to one run.",
    "IAM User Guide, AWS global condition context keys (aws:PrincipalTag) and IAM policy elements: Variables and tags",
)
def test_training_writes_the_folder_of_its_own_run_only(judged: Pipeline) -> None:
    champion, bucket = judged.state["champion"], judged.shared["ArtifactBucketName"]
    model = champion["model_data"].removeprefix(f"s3://{bucket}/")
    before = f"runs/judged/{champion['run_id']}"
    others = ["runs/watched/20261120-101112-abcd/train/x", "runs/judged/none/train/x", "code/judged/x", "x"]
    keys = [model, f"{before}/train/verdicts/x.json", f"{before}/evaluation/evaluation.json", f"{before}/record.json"]
    judged.order(accuracy=0.9, train="trespass", keys=[*keys, *others, "tries/judged/x"])
    record = judged.run(forced=True)
    assert record["outcome"] == "Failed"
    could = json.loads(re.findall(r"could (\[[^]]*\])", json.dumps(record["error"]["cause"]).replace("\\", ""))[0])
    own = f"runs/judged/{record['run_id']}/train/tensors/mine"
    reads = [f"read {model}", f"read {before}/train/verdicts/x.json", "read code/judged/x"]
    writes = ["write tries/judged/x", "read tries/judged/x", f"write {own}", f"read {own}"]
    assert sorted(could) == sorted([*reads, *writes])
    tags = judged.aws.client("iam").list_role_tags(RoleName=judged.role("JobsTraining"))["Tags"]
    assert {"Key": "ratchet-run", "Value": record["run_id"]} in tags
    assert judged.ask(1) == "1"


@pytest.mark.fidelity(
    "Processing jobs",
    "A model is evaluated in a process that can't read the held-out files, with no credentials in its job.",
    "setuid(2), landlock(7); SageMaker DG, Build Your Own Processing Container (jobs run as root)",
)
def test_a_model_is_judged_without_seeing_what_is_right(judged: Pipeline) -> None:
    job, logs = f"local-judged-{judged.state['champion']['run_id']}-evaluate", judged.aws.client("logs")
    events = logs.filter_log_events(logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=job)["events"]
    said = [event["message"] for event in events if event["message"].startswith("held-out data: the models")]
    assert said and re.search(r"answer without seeing it \((another user|Landlock)\)", said[0])


def test_training_may_speak_for_the_rules_only(judged: Pipeline) -> None:
    judged.order(accuracy=0.9, train="issues", rules=["LossNotDecreasing"], source="somebody.else")
    record = judged.run()
    assert record["outcome"] == "Failed"
    assert "events:PutEvents" in record["error"]["cause"]


def test_the_command_line_and_the_report_say_why(judged: Pipeline, tmp_path: Path) -> None:
    judged.order(accuracy=0.9, train="issues", rules=["LossNotDecreasing"], said=True)
    record = judged.run()
    run = of_item(plain(record))
    assert run.reason == "LossNotDecreasing at step 40: the loss is 7.5"
    page = report.render(report.Sources(run=run, environment="local", account="0", region="us-east-1"))
    assert "Training was stopped" in page and "LossNotDecreasing at step 40: the loss is 7.5" in page
