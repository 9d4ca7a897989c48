"""Whole runs: stacks deployed by the real cdk command, jobs that train, an endpoint that answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from deployed import HELD_OUT, Pipeline, Scripted
from waiting import until

from contract import functions

WORDS = "".join(f"{('no', 'yes')[row % 2]},{row}\n" for row in range(200))
PIPELINES = {
    "alarmed": Scripted(),
    "scripted": Scripted(),
    "streamed": Scripted({"triggers": {"data": {"quiet": "5s"}, "code": False}}),
}


@pytest.fixture(scope="module")
def streamed(deployed: Callable[[str], Pipeline]) -> Pipeline:
    """A pipeline that new data start, and that nothing runs in."""
    pipeline = deployed("streamed")
    # The held-out data have started a run, which finds nothing to train on.
    until(pipeline.executions, "the run that the held-out data start")
    pipeline.idle()
    return pipeline


@pytest.fixture
def scripted(deployed: Callable[[str], Pipeline]) -> Pipeline:
    """A pipeline with a champion that is right in 90 of 100 cases at most, and that nothing runs in."""
    pipeline = deployed("scripted")
    pipeline.idle()
    if not 0 < float(pipeline.state.get("champion", {}).get("score", 0)) <= 0.9:
        pipeline.order(accuracy=0.8)
        replace_champion(pipeline)
    return pipeline


def replace_champion(pipeline: Pipeline) -> None:
    """Whatever was champion, the next model is: as if the pipeline were new."""
    dynamodb = pipeline.aws.client("dynamodb")
    key = {"pipeline": {"S": pipeline.name}, "item": {"S": "state"}}
    dynamodb.delete_item(TableName=pipeline.shared["RunTableName"], Key=key)
    assert pipeline.run(forced=True)["outcome"] == "Promoted"


def leftovers(pipeline: Pipeline) -> tuple[set[str], set[str]]:
    """Models and configs that neither serve nor may be rolled back to."""
    state, there = pipeline.state, pipeline.deployed()
    kept = [
        entry for entry in (state.get("champion"), state.get("previous_champion"), *state.get("retained", [])) if entry
    ]
    models = there["models"] - {entry["model_name"] for entry in kept}
    return models, there["configs"] - {entry["endpoint_config_name"] for entry in kept}


def assert_champion_serves(pipeline: Pipeline) -> None:
    champion = pipeline.state["champion"]
    assert pipeline.deployed()["endpoint"] == ("InService", champion["endpoint_config_name"])
    assert pipeline.ask(1) == "1"
    assert leftovers(pipeline) == (set(), set())


# ---------------------------------------------------------------------------------------------------------- the story


def test_a_model_only_moves_forward(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("scripted")
    pipeline.idle()
    pipeline.order(accuracy=0.7)
    replace_champion(pipeline)
    first = pipeline.state["champion"]
    assert pipeline.ask(3) == "1" and pipeline.ask(4) == "0" and pipeline.ask(99) == "0"

    assert pipeline.run()["outcome"] == "UpToDate", "nothing new"

    pipeline.order(accuracy=0.9)
    better = pipeline.run()
    assert better["outcome"] == "Promoted"
    assert better["champion_before"]["run_id"] == first["run_id"]
    assert better["champion_after"]["run_id"] == better["run_id"]
    assert float(better["evaluation"]["challenger"]["score"]) == pytest.approx(0.9)
    assert pipeline.ask(85) == "1"

    pipeline.order(accuracy=0.5)
    worse = pipeline.run()
    assert worse["outcome"] == "NotBetter"
    assert pipeline.state["champion"]["run_id"] == better["run_id"]
    assert pipeline.run()["outcome"] == "UpToDate", "what the gate refused it would refuse again"

    pipeline.order(accuracy=0.9, other=True)
    tie = pipeline.run()
    assert tie["outcome"] == "NotBetter"
    assert "not better" in tie["decision"]["reason"]

    assert approvals(pipeline)[:4] == ["Rejected", "Rejected", "Approved", "Approved"]

    rollback = pipeline.run("rollback")
    assert rollback["outcome"] == "Promoted"
    assert rollback["decision"]["reason"] == (
        f"chosen by a person: back to the model of run {first['run_id']}, away from run {better['run_id']}'s"
    )
    assert pipeline.state["champion"]["run_id"] == first["run_id"]
    assert pipeline.ask(85) == "0"
    assert not {"Train", "Evaluate", "Gate", "Register"} & set(pipeline.states(rollback["run_id"]))
    assert_champion_serves(pipeline)
    assert approvals(pipeline)[:4] == ["Rejected", "Rejected", "Rejected", "Approved"], "the newest approved one serves"

    refuses_what_cannot_come_back(pipeline, champion=first["run_id"], worse=worse["run_id"])

    pipeline.order(accuracy=0.9)
    again = pipeline.run()
    assert again["outcome"] == "UpToDate", "what a person went back from isn't brought up again"
    assert f"it would train what run {better['run_id']} has" in again["reason"]
    pipeline.order(accuracy=0.85)
    between = pipeline.run()
    assert between["outcome"] == "Promoted", "worse than what was left, but better than the champion that came back"

    forward = pipeline.run("rollback", detail={"to": better["run_id"], "by": "ann"})
    assert forward["decision"]["reason"] == (
        f"chosen by ann: back to the model of run {better['run_id']}, away from run {between['run_id']}'s"
    )
    assert (forward["outcome"], pipeline.state["champion"]["run_id"]) == ("Promoted", better["run_id"])
    assert (pipeline.ask(85), approvals(pipeline)[:4]) == ("1", ["Rejected", "Rejected", "Rejected", "Approved"])
    assert_champion_serves(pipeline)


def refuses_what_cannot_come_back(pipeline: Pipeline, *, champion: str, worse: str) -> None:
    for run_id, why in (
        ("20260101-000000-0000", "there is no run '20260101-000000-0000' of this pipeline"),
        (worse, f"run {worse} ended NotBetter: its model never was champion"),
        (champion, f"the model of run {champion} is the champion already"),
    ):
        answer = pipeline.trigger("rollback", detail={"to": run_id})
        assert answer["errorType"] == "RollbackRefusedError"
        assert why in answer["errorMessage"]
    assert not pipeline.state.get("running") and not pipeline.state.get("pending")


def approvals(pipeline: Pipeline) -> list[str]:
    """The statuses of the group's versions, newest first."""
    found = pipeline.aws.client("sagemaker").list_model_packages(
        ModelPackageGroupName=pipeline.own["ModelPackageGroupName"], SortBy="CreationTime", SortOrder="Descending"
    )["ModelPackageSummaryList"]
    return [package["ModelApprovalStatus"] for package in found]


def test_what_a_run_leaves_behind_can_be_read(scripted: Pipeline) -> None:
    s3, run_id = scripted.aws.client("s3"), scripted.state["champion"]["run_id"]
    prefix = f"runs/scripted/{run_id}/"
    listed = s3.list_objects_v2(Bucket=scripted.shared["ArtifactBucketName"], Prefix=prefix)["Contents"]
    assert {entry["Key"].removeprefix(prefix) for entry in listed} >= {
        "plan.json",
        "manifests/train.manifest",
        "manifests/test.manifest",
        f"train/local-scripted-{run_id}-train/output/model.tar.gz",
        "evaluation/evaluation.json",
        "gate.json",
        "record.json",
    }


def test_data_that_gain_a_column_keep_the_champion_until_it_is_superseded(scripted: Pipeline) -> None:
    old = scripted.state["champion"]
    scripted.put("test/held_out.csv", "".join(f"{row % 2},{row},0\n" for row in range(200)))
    scripted.order(accuracy=0.9, columns=2)
    try:
        kept = scripted.run()
        assert kept["outcome"] == "NotBetter"
        cannot = kept["evaluation"]["champion"]["cannot_answer"]
        assert "ValueError: X has 2 features, but 1 are expected" in cannot
        assert kept["decision"]["reason"].startswith(cannot)
        assert "`ratchet run scripted --supersede`" in kept["decision"]["reason"]
        assert_champion_serves(scripted)
        assert scripted.run()["outcome"] == "UpToDate", "what the gate refused it would refuse again"

        superseded = scripted.run(supersede=True)
        assert (superseded["outcome"], superseded["supersede"]) == ("Promoted", True)
        assert superseded["decision"]["reason"].startswith("the champion is superseded, as was asked: accuracy 0.9000")
        assert superseded["verification"]["asked"] == 5
        assert (scripted.ask("1,0"), scripted.ask("85,7")) == ("1", "1")

        # Fewer columns, and other labels: a champion that expects what is no more stays, until a person says otherwise.
        for said, held_out, orders in (
            ("X has 1 features, but 2 are expected", HELD_OUT, {}),
            ("answers labels that no held-out example has (0, 1)", WORDS, {"labels": ["no", "yes"]}),
        ):
            scripted.put("test/held_out.csv", held_out)
            scripted.order(accuracy=0.8, **orders)
            kept = scripted.run()
            assert (kept["outcome"], kept["decision"]["reason"].startswith("the champion ")) == ("NotBetter", True)
            assert said in kept["evaluation"]["champion"]["cannot_answer"]
            assert scripted.run(supersede=True)["outcome"] == "Promoted"

        # Three champions ago: its model and config are deleted by now, and made again from the archive.
        assert old["model_name"] not in scripted.deployed()["models"]
        back = scripted.run("rollback", detail={"to": old["run_id"]})
        assert (back["outcome"], back["verification"]["asked"]) == ("Promoted", 5), "asked with the rows of its time"
        assert scripted.state["champion"]["run_id"] == old["run_id"]
        assert_champion_serves(scripted)
    finally:
        scripted.put("test/held_out.csv", HELD_OUT)


# --------------------------------------------------------------------------------------------------- what goes wrong


def test_training_that_fails_says_why_and_changes_nothing(scripted: Pipeline) -> None:
    scripted.order(accuracy=0.9, train="raise")
    record = scripted.run()
    assert record["outcome"] == "Failed"
    assert record["error"]["state"] == "Train"
    assert "the training data are upside down" in record["error"]["cause"]
    assert_champion_serves(scripted)


def test_after_a_failed_run_the_alarms_message_is_heard(deployed: Callable[[str], Pipeline]) -> None:
    """With the deployed policies: the topic's and its key's let the alarm in, the subscriber's queue lets the topic."""
    pipeline = deployed("alarmed")
    sqs, topic = pipeline.aws.client("sqs"), pipeline.shared["TopicArn"]
    url = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    of_the_topic = {"Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
    policy = {"Version": "2012-10-17", "Statement": [{**allowed, **of_the_topic}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    pipeline.aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    pipeline.order(accuracy=0.9, train="raise")
    assert pipeline.run()["outcome"] == "Failed"

    def heard() -> list[str]:
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        told = [json.loads(message["Body"])["Message"] for message in found]
        return [text for text in told if "AlarmDescription" in text]

    alarm = json.loads(until(heard, "the alarm's message")[0])
    assert (alarm["NewStateValue"], alarm["Trigger"]["MetricName"]) == ("ALARM", "ExecutionsFailed")
    assert alarm["AlarmDescription"] == "A run of alarmed failed; `ratchet runs` says which"


def test_training_that_a_person_stops_is_stopped_not_failed(scripted: Pipeline) -> None:
    scripted.order(accuracy=0.9, train="linger", seconds=600)
    run_id = scripted.trigger()["run_id"]
    sagemaker, job = scripted.aws.client("sagemaker"), f"local-scripted-{run_id}-train"
    until(lambda: sagemaker.list_training_jobs(NameContains=job)["TrainingJobSummaries"], "the training job")
    until(
        lambda: sagemaker.describe_training_job(TrainingJobName=job)["SecondaryStatus"] == "Training",
        "training to begin",
    )
    sagemaker.stop_training_job(TrainingJobName=job)
    record = scripted.record(run_id)
    assert record["outcome"] == "Stopped"
    assert "was stopped (StopTrainingJob)" in record["error"]["cause"]
    assert_champion_serves(scripted)


def test_an_execution_that_a_person_stops_frees_the_lock(scripted: Pipeline) -> None:
    scripted.order(accuracy=0.9, train="linger", seconds=601)
    run_id = scripted.trigger()["run_id"]
    until(lambda: "Train" in scripted.states(run_id), "training")
    scripted.aws.client("stepfunctions").stop_execution(executionArn=scripted.item(f"run#{run_id}")["execution_arn"])
    assert scripted.record(run_id)["outcome"] == "Stopped"
    scripted.idle()
    assert_champion_serves(scripted)


@pytest.mark.parametrize("trouble", ["crash", "lie"])
def test_a_deployment_that_goes_wrong_rolls_itself_back(scripted: Pipeline, trouble: str) -> None:
    """The container doesn't come up, or it answers something else than it was judged by."""
    scripted.order(accuracy=0.95, endpoint=trouble)
    record = scripted.run()
    assert record["outcome"] == "RolledBack"
    assert record["error"]["error"] == {"crash": "DeploymentRolledBack", "lie": "VerificationFailed"}[trouble]
    assert_champion_serves(scripted)
    blamed = [visit for visit in scripted.execution(record["run_id"]).visits if visit.failed]
    assert [visit.name for visit in blamed] == [{"crash": "AwaitEndpoint", "lie": "Verify"}[trouble]]
    package = scripted.aws.client("sagemaker").describe_model_package(ModelPackageName=record["model_package_arn"])
    assert package["ModelApprovalStatus"] == "Rejected", "the gate let it through, production didn't"


@pytest.mark.parametrize("trouble", ["crash", "lie"])
def test_a_first_deployment_that_goes_wrong_leaves_nothing(streamed: Pipeline, trouble: str) -> None:
    pipeline = streamed
    pipeline.idle()
    remove_endpoint(pipeline)
    pipeline.order(accuracy=0.95, endpoint=trouble)
    until(lambda: pipeline.state.get("running"), "the run that the data start")
    record = pipeline.record(pipeline.state["running"]["run_id"])
    assert record["outcome"] == "Failed"
    assert record["error"]["error"] == {"crash": "DeploymentFailed", "lie": "VerificationFailed"}[trouble]
    until(lambda: pipeline.deployed()["endpoint"] == (None, None), "the endpoint to go")
    assert leftovers(pipeline) == (set(), set())


def remove_endpoint(pipeline: Pipeline) -> None:
    """As if the pipeline had never had a champion."""
    dynamodb, sagemaker = pipeline.aws.client("dynamodb"), pipeline.aws.client("sagemaker")
    key = {"pipeline": {"S": pipeline.name}, "item": {"S": "state"}}
    dynamodb.delete_item(TableName=pipeline.shared["RunTableName"], Key=key)
    if pipeline.deployed()["endpoint"][0]:
        sagemaker.delete_endpoint(EndpointName=pipeline.own["EndpointName"])
        until(lambda: pipeline.deployed()["endpoint"] == (None, None), "the endpoint to go")


def test_a_channel_without_data_is_waited_for(scripted: Pipeline) -> None:
    s3, bucket = scripted.aws.client("s3"), scripted.shared["DataBucketName"]
    s3.delete_object(Bucket=bucket, Key="scripted/train/orders.json")
    try:
        record = scripted.run()
    finally:
        scripted.order(accuracy=0.8)
    assert (record["outcome"], record.get("error")) == ("WaitsForData", None)
    assert f"there is no object in the channel 'train' (s3://{bucket}/scripted/train/)" in record["reason"]
    assert_champion_serves(scripted)


def test_an_execution_past_the_launcher_is_refused(scripted: Pipeline) -> None:
    client = scripted.aws.client("stepfunctions")
    trigger = {"kind": "manual", "at": "2026-11-20T10:00:00.000Z", "detail": {}}
    run = {"pipeline": "scripted", "run_id": "mine", "trigger": trigger, "forced": False}
    started = client.start_execution(stateMachineArn=scripted.own["StateMachineArn"], input=json.dumps(run))
    arn = started["executionArn"]
    until(lambda: client.describe_execution(executionArn=arn)["status"] != "RUNNING", "its end")
    execution = client.describe_execution(executionArn=arn)
    assert execution["status"] == "FAILED"
    assert "runs are started by the launcher" in execution["cause"]


ROLES = [
    ("JobsTraining", "s3:GetObject", "Train"),
    ("JobsProcessing", "s3:GetObject", "Evaluate"),
    ("JobsHosting", "s3:GetObject", "CreateModel"),
    ("Workflow", "sagemaker:CreateTrainingJob", "Train"),
    ("Workflow", "iam:PassRole", "Train"),
    ("Workflow", "lambda:InvokeFunction", ""),
    ("RunPlanner", "s3:ListBucketVersions", "Plan"),
    ("RunPlanner", "s3:GetObject", "Plan"),
    ("RunGate", "s3:PutObject", "Gate"),
    ("RunVerifier", "sagemaker:InvokeEndpoint", "Verify"),
    ("RunRecorder", "dynamodb:GetItem", ""),
]


@pytest.mark.parametrize(("role", "action", "state"), ROLES)
def test_a_role_that_lacks_an_action_is_named_with_it(scripted: Pipeline, role: str, action: str, state: str) -> None:
    scripted.order(accuracy=0.99)
    name = scripted.role(role)
    with scripted.without(action, name):
        record = scripted.run(forced=True)
    assert record["outcome"] in ("Failed", "RolledBack")
    assert action in record["error"]["cause"]
    assert name in record["error"]["cause"]
    assert record["error"]["state"] == state


@pytest.mark.parametrize("action", ["sns:Publish", "sagemaker:ListModels"])
def test_what_fails_after_a_promotion_is_seen_but_does_not_undo_it(scripted: Pipeline, action: str) -> None:
    scripted.order(accuracy=0.99, lacking=action)
    with scripted.without(action, scripted.role("RunRecorder")):
        record = scripted.run(forced=True)
    assert record["outcome"] == "Promoted"
    assert record["error"]["state"] == "Record"
    assert action in record["error"]["cause"]
    assert scripted.executions()[0]["status"] == "FAILED"
    assert scripted.state["champion"]["run_id"] == record["run_id"]


def test_a_launcher_that_may_not_start_runs_says_so_and_starts_them_later(scripted: Pipeline) -> None:
    name = scripted.role("Launcher")
    with scripted.without("states:StartExecution", name):
        answer = scripted.trigger()
    assert "states:StartExecution" in answer["errorMessage"] and name in answer["errorMessage"]
    scripted.trigger("manual")
    scripted.aws.client("lambda").invoke(
        FunctionName=scripted.own["LauncherFunctionName"], Payload=b'{"kind": "reconcile"}'
    )
    assert scripted.idle()


# ---------------------------------------------------------------------------------------------------------- triggers


def test_a_message_that_cannot_be_read_waits_in_the_dead_letter_queue_at_once(scripted: Pipeline) -> None:
    """By the deployed function, with its role: the messages beside it are taken."""
    name = scripted.own["LauncherFunctionName"]
    client, sqs = scripted.aws.client("lambda"), scripted.aws.client("sqs")
    settings = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    poison = {"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {}, "object": {"key": 5}}}
    bodies = [json.dumps(poison), "[" * 100_000, '{"kind": "reconcile"}']
    records = [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]
    answer = client.invoke(FunctionName=name, Payload=json.dumps({"Records": records}).encode())
    assert json.loads(answer["Payload"].read()) == {"batchItemFailures": []}
    waiting = sqs.receive_message(
        QueueUrl=settings[functions.DEAD_LETTERS_URL], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )["Messages"]
    assert {message["Body"]: message["MessageAttributes"]["Reason"]["StringValue"] for message in waiting} == {
        bodies[0]: "an Object Created event without bucket.name or object.key in its detail",
        bodies[1]: "it nests too deeply",
    }


def test_a_thousand_objects_are_at_most_two_runs(streamed: Pipeline) -> None:
    pipeline = streamed
    pipeline.idle()
    before = len(pipeline.executions())
    s3, bucket = pipeline.aws.client("s3"), pipeline.shared["DataBucketName"]

    def put(number: int) -> None:
        s3.put_object(Bucket=bucket, Key=f"streamed/train/{number % 900}.txt", Body=b"%d" % number)

    pipeline.order(accuracy=0.9)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(1000)))
    until(lambda: pipeline.state.get("running"), "the first run")
    pipeline.idle()
    runs = pipeline.executions()[: len(pipeline.executions()) - before]
    assert 1 <= len(runs) <= 2
    last = pipeline.record(runs[0]["name"])
    assert int(last["data"]["objects"]) == 900 + 1 + 1, "the last run saw everything"
