"""SageMaker Debugger on the embedded AWS, through boto3: the hook's folder, and rules that judge while a job trains."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from job_kit import GOES_ON_UNTIL_STOPPED, Jobs, until_dead
from running_aws import Aws, AwsFactory
from waiting import until

Document = dict[str, Any]
RULES_IMAGE = "503895931360.dkr.ecr.us-east-1.amazonaws.com/sagemaker-debugger-rules:latest"
RULES_GROUP = "/aws/sagemaker/ProcessingJobs"
# What the image of the rules runs here: a package beside it, and one rule of each kind.
EVALUATOR = """
import os, pathlib, sys, time
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from words import MET

ml = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
tensors = ml / "processing" / "input" / "tensors"
rule = os.environ["rule_to_invoke"]
print("evaluating", rule, os.environ["PROCESSING_JOB_NAME"], os.environ["AWS_ACCESS_KEY_ID"][:4], flush=True)

def end(code, message):
    (ml / "output" / "message").write_text(message)
    sys.exit(code)

def wait_for(name):
    while not (tensors / name).exists():
        if rule == "FindsIssues" and (tensors / "training_job_end.ts").exists():
            end(0, "nothing came")
        time.sleep(0.005)

if rule == "FindsIssues":
    wait_for("issue")
    end(1, f"{MET}: Evaluation of the rule {rule} at step 7 resulted in the condition being met")
elif rule == "FindsNone":
    wait_for("training_job_end.ts")
elif rule == "Tells":
    wait_for("training_job_end.ts")
    end(0, f"looked at {len(list(tensors.iterdir()))} files")
elif rule == "Contradicts":
    end(0, f"{MET}: but all is well")
elif rule == "Complains":
    end(2, "ClientError: the rule needs losses" + "." * 2000)
elif rule == "Raises":
    raise ValueError("no collection named 'losses'")
elif rule == "Lingers":
    time.sleep(600)
"""
SAVES = """
import json, os, pathlib
config = json.load(open("/opt/ml/input/config/debughookconfig.json"))
print("HOOK", json.dumps(config), flush=True)
folder = pathlib.Path(config["LocalPath"])
(folder / "events").mkdir()
(folder / "events" / "0.tensor").write_text("0")
"""
SAVES_AN_ISSUE = SAVES + "(folder / 'issue').touch()\n"


@pytest.fixture(scope="module")
def evaluator() -> Iterator[Path]:
    """The test's own rule evaluator, with the package that it imports; on disk, as a checkout is: a container has a
    /dev/shm of its own."""
    with tempfile.TemporaryDirectory(prefix="evaluator-") as home:
        program = Path(home, "toolkit", "rule_evaluator.py")
        program.parent.mkdir()
        program.write_text(EVALUATOR)
        Path(home, "words.py").write_text("MET = 'RuleEvaluationConditionMet'")
        yield program


@pytest.fixture(scope="module")
def debugging_aws(tmp_path_factory: pytest.TempPathFactory, images: Path, evaluator: Path) -> Iterator[Aws]:
    factory = AwsFactory(tmp_path_factory.mktemp("debugger") / "aws", (evaluator, evaluator.parent.parent))
    yield factory.start()
    factory.stop()


@pytest.fixture(scope="module")
def jobs(debugging_aws: Aws) -> Jobs:
    return Jobs(debugging_aws)


def debugged(jobs: Jobs, *rules: str, **hook: Any) -> Document:
    """The members of a request whose job is watched by `rules`."""
    return {
        "DebugHookConfig": {"S3OutputPath": f"s3://{jobs.bucket}/debug", **hook},
        "DebugRuleConfigurations": [rule(name) for name in rules],
    }


def rule(name: str, **changes: Any) -> Document:
    parameters = {"rule_to_invoke": name}
    return {
        "RuleConfigurationName": name, "RuleEvaluatorImage": RULES_IMAGE, "RuleParameters": parameters, **changes
    }  # fmt: skip


def create(jobs: Jobs, script: str, *rules: str, **changes: Any) -> str:
    """Start a training job that is watched by `rules`; its name."""
    request = jobs.hearing_request(script, **debugged(jobs, *rules), **changes)
    jobs.sagemaker.create_training_job(**request)
    return str(request["TrainingJobName"])


def evaluations(jobs: Jobs, name: str) -> list[Document]:
    """The training job's statuses of its rules: none until its container is about to start."""
    job = jobs.sagemaker.describe_training_job(TrainingJobName=name)
    found: list[Document] = job.get("DebugRuleEvaluationStatuses", [])
    return found


def statuses(jobs: Jobs, name: str) -> list[str]:
    return [item["RuleEvaluationStatus"] for item in evaluations(jobs, name)]


def until_judged(jobs: Jobs, name: str) -> list[Document]:
    def judged() -> list[Document] | None:
        found = evaluations(jobs, name)
        return None if {"InProgress", "Stopping"} & {item["RuleEvaluationStatus"] for item in found} else found

    found: list[Document] = until(judged, f"verdicts on {name}")
    return found


def rule_job(jobs: Jobs, evaluation: Document) -> Document:
    name = evaluation["RuleEvaluationJobArn"].rpartition("/")[2]
    found: Document = jobs.sagemaker.describe_processing_job(ProcessingJobName=name)
    return found


def stop(jobs: Jobs, name: str) -> None:
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    jobs.ended(name)


def refusal(jobs: Jobs, **changes: Any) -> str:
    with pytest.raises(ClientError) as caught:
        jobs.sagemaker.create_training_job(**jobs.training_request("", **changes))
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


def evaluators_of(program: Path) -> list[int]:
    """Processes that run the test's evaluator."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text(errors="replace").split("\0")
            if str(program) in command and "localaws.server" not in command:
                found.append(int(path.parent.name))
        except OSError:
            pass  # it ended meanwhile
    return found


@pytest.mark.fidelity(
    "Debugger",
    "The hook's configuration is /opt/ml/input/config/debughookconfig.json; tensors are copied to "
    "<S3OutputPath>/<job>/debug-output while the job runs.",
    "awslabs/sagemaker-debugger, smdebug/core/json_config.py; SageMaker API, DebugHookConfig",
)
def test_the_script_finds_the_hooks_configuration_and_s3_gets_what_it_saves(jobs: Jobs) -> None:
    collections = [{"CollectionName": "losses", "CollectionParameters": {"save_interval": "5"}}]
    hook = {"HookParameters": {"save_interval": "10"}, "CollectionConfigurations": collections}
    request = jobs.hearing_request(SAVES + GOES_ON_UNTIL_STOPPED, **debugged(jobs, **hook))
    jobs.sagemaker.create_training_job(**request)
    name = request["TrainingJobName"]
    until(lambda: f"debug/{name}/debug-output/events/0.tensor" in jobs.keys("debug/"), "the copy while the job runs")
    stop(jobs, name)
    assert jobs.keys(f"debug/{name}/") == [
        f"debug/{name}/debug-output/{file}" for file in ("events/0.tensor", "training_job_end.ts")
    ]
    config = {**request["DebugHookConfig"], "LocalPath": "/opt/ml/output/tensors"}
    assert f"HOOK {json.dumps(config)}" in jobs.log_lines(name)
    described = jobs.sagemaker.describe_training_job(TrainingJobName=name)
    assert described["DebugHookConfig"] == request["DebugHookConfig"]


@pytest.mark.fidelity(
    "Debugger",
    "The tensors of all hosts of a job lie under one prefix, and its rules read all of them.",
    "awslabs/sagemaker-debugger, smdebug/core/locations.py: a file for each worker; SageMaker API, DebugHookConfig",
)
def test_rules_read_the_tensors_of_all_hosts(jobs: Jobs) -> None:
    saves = "import os\nopen(f'/opt/ml/output/tensors/{os.environ[\"SM_CURRENT_HOST\"]}', 'w').write('0')\n"
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5}
    name = create(jobs, saves, "Tells", ResourceConfig=resources)
    jobs.ended(name)
    (judged,) = until_judged(jobs, name)
    assert judged["StatusDetails"] == "looked at 3 files"
    assert jobs.keys(f"debug/{name}/") == [
        f"debug/{name}/debug-output/{file}" for file in ("algo-1", "algo-2", "training_job_end.ts")
    ]


def test_the_hooks_folder_can_be_elsewhere(jobs: Jobs) -> None:
    job = jobs.train(SAVES, **debugged(jobs, LocalPath="/opt/ml/deep/er/tensors"))
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    assert f"debug/{job['TrainingJobName']}/debug-output/events/0.tensor" in jobs.keys("debug/")


def test_a_role_that_may_not_write_tensors_is_told_so(jobs: Jobs) -> None:
    role = jobs.make_role(["s3:ListBucket", "s3:GetObject"])
    job = jobs.train(SAVES, RoleArn=role, **debugged(jobs))
    assert job["FailureReason"].startswith("ClientError: Debug output upload failed: ")
    assert role in job["FailureReason"]
    assert "s3:PutObject" in job["FailureReason"]


def test_a_hook_alone_goes_with_a_spot_job(jobs: Jobs) -> None:
    times = {"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 300}
    job = jobs.train(SAVES, EnableManagedSpotTraining=True, StoppingCondition=times, **debugged(jobs))
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    assert f"debug/{job['TrainingJobName']}/debug-output/events/0.tensor" in jobs.keys("debug/")


@pytest.mark.fidelity(
    "Debugger",
    "RuleEvaluationConditionMet: Evaluation of the rule … at step … resulted in the condition being met.",
    "sagemaker-python-sdk's documentation, Debugger: rule_job_summary",
)
@pytest.mark.fidelity(
    "EventBridge",
    "A rule's verdict is a Training Job State Change with DebugRuleEvaluationStatuses while the job is InProgress.",
    "SageMaker DG, Create Actions on Rules Using Amazon CloudWatch and AWS Lambda",
)
def test_an_issue_is_told_while_the_job_goes_on(jobs: Jobs, debugging_aws: Aws) -> None:
    receive = queue_of_events(jobs, debugging_aws)
    name = create(jobs, SAVES_AN_ISSUE + GOES_ON_UNTIL_STOPPED, "FindsIssues")
    verdict = until_judged(jobs, name)[0]
    assert jobs.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress"
    assert verdict["RuleConfigurationName"] == "FindsIssues"
    assert verdict["RuleEvaluationStatus"] == "IssuesFound"
    said = (
        "RuleEvaluationConditionMet: Evaluation of the rule FindsIssues at step 7 resulted in the condition being met"
    )
    assert verdict["StatusDetails"] == said
    received: list[Document] = []

    def told() -> Document | None:
        received.extend(receive())
        found = [event["detail"] for event in received if event["detail"]["TrainingJobName"] == name]
        return next((detail for detail in found if verdict_in(detail) == "IssuesFound"), None)

    detail = until(told, "the event")
    assert (detail["TrainingJobStatus"], detail["SecondaryStatus"]) == ("InProgress", "Training")
    event = detail["DebugRuleEvaluationStatuses"][0]
    assert event["StatusDetails"] == said
    assert event["LastModifiedTime"] == round(verdict["LastModifiedTime"].timestamp() * 1000)
    assert "InProgress" in [verdict_in(event["detail"]) for event in received]
    job = rule_job(jobs, verdict)
    assert (job["ProcessingJobStatus"], job["ExitMessage"]) == ("Completed", said)
    stop(jobs, name)
    assert statuses(jobs, name) == ["IssuesFound"]


def verdict_in(detail: Document) -> str | None:
    return next((item["RuleEvaluationStatus"] for item in detail.get("DebugRuleEvaluationStatuses", [])), None)


def queue_of_events(jobs: Jobs, aws: Aws) -> Callable[[], list[Document]]:
    """The receiver of the events of this module's training jobs, from now on."""
    sqs, events, name = aws.client("sqs"), aws.client("events"), jobs.name("rule")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Training Job State Change"]}
    rule_arn = events.put_rule(Name=name, EventPattern=json.dumps(pattern))["RuleArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    statement = {**allowed, "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

    def receive() -> list[Document]:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    return receive


@pytest.mark.fidelity(
    "Debugger",
    "Each rule ends as NoIssuesFound, IssuesFound, Error or Stopped, with StatusDetails of at most 1,024 characters.",
    "SageMaker API, DebugRuleEvaluationStatus",
)
def test_every_rule_comes_to_a_verdict_in_the_configurations_order(jobs: Jobs, evaluator: Path) -> None:
    rules = ["FindsNone", "Raises", "Tells", "Complains", "Contradicts"]
    name = create(jobs, SAVES, *rules)
    assert jobs.ended(name)["TrainingJobStatus"] == "Completed"
    found = until_judged(jobs, name)
    assert [(item["RuleConfigurationName"], item["RuleEvaluationStatus"]) for item in found] == [
        ("FindsNone", "NoIssuesFound"), ("Raises", "Error"), ("Tells", "NoIssuesFound"), ("Complains", "Error"),
        ("Contradicts", "NoIssuesFound"),
    ]  # fmt: skip
    details = [item.get("StatusDetails") for item in found]
    assert details[0] is None
    assert details[1].startswith("AlgorithmError: Traceback")
    assert "ValueError: no collection named 'losses'" in details[1]
    assert details[2] == "looked at 2 files"
    assert details[3].startswith("ClientError: the rule needs losses.")
    assert len(details[3]) == 1024
    assert details[4] is None
    assert [rule_job(jobs, item)["ProcessingJobStatus"] for item in found] == [
        "Completed", "Failed", "Completed", "Failed", "Completed"
    ]  # fmt: skip
    until_dead(evaluators_of(evaluator))


@pytest.mark.fidelity(
    "Debugger",
    "A rule is evaluated by a processing job, which is named, described, listed and logged as others are.",
    "SageMaker API, DebugRuleEvaluationStatus: RuleEvaluationJobArn",
)
def test_a_rules_job_is_a_processing_job_like_others(jobs: Jobs) -> None:
    name = create(jobs, SAVES, "Tells")
    job = jobs.ended(name)
    verdict = until_judged(jobs, name)[0]
    found = rule_job(jobs, verdict)
    rule_name = found["ProcessingJobName"]
    assert found["ProcessingJobArn"] == verdict["RuleEvaluationJobArn"]
    assert found["TrainingJobArn"] == job["TrainingJobArn"]
    assert found["RoleArn"] == jobs.role
    assert found["AppSpecification"] == {"ImageUri": RULES_IMAGE}
    assert found["Environment"] == {"rule_to_invoke": "Tells"}
    assert found["ProcessingInputs"][0]["S3Input"]["S3Uri"] == f"s3://{jobs.bucket}/debug/{name}/debug-output/"
    assert found["CreationTime"] <= found["ProcessingStartTime"] <= found["ProcessingEndTime"]
    listed = jobs.sagemaker.list_processing_jobs(NameContains=rule_name)["ProcessingJobSummaries"]
    assert [item["ProcessingJobStatus"] for item in listed] == ["Completed"]
    assert f"evaluating Tells {rule_name} ASIA" in jobs.log_lines(rule_name, RULES_GROUP)


@pytest.mark.fidelity(
    "Debugger",
    "A stopped training job's rules are Stopped.",
    "SageMaker API, DebugRuleEvaluationStatus: RuleEvaluationStatus",
)
def test_stopping_the_training_job_stops_its_rules(jobs: Jobs, evaluator: Path) -> None:
    name = create(jobs, SAVES + GOES_ON_UNTIL_STOPPED, "Lingers", "FindsIssues")
    jobs.until_logged(name, "ready")
    stop(jobs, name)
    found = until_judged(jobs, name)
    assert found[0]["RuleEvaluationStatus"] == "Stopped"
    assert found[1]["RuleEvaluationStatus"] in ("NoIssuesFound", "Stopped")  # it has a second to read the end
    assert rule_job(jobs, found[0])["ProcessingJobStatus"] == "Stopped"
    until_dead(evaluators_of(evaluator))


@pytest.mark.fidelity(
    "Debugger",
    "A rule's processing job can be stopped by itself; training goes on.",
    "SageMaker API, StopProcessingJob",
)
def test_a_rule_can_be_stopped_by_itself(jobs: Jobs) -> None:
    name = create(jobs, SAVES + GOES_ON_UNTIL_STOPPED, "Lingers")
    jobs.until_logged(name, "ready")
    rule_name = rule_job(jobs, evaluations(jobs, name)[0])["ProcessingJobName"]
    jobs.sagemaker.stop_processing_job(ProcessingJobName=rule_name)
    assert statuses(jobs, name)[0] in ("Stopping", "Stopped")
    assert until_judged(jobs, name)[0]["RuleEvaluationStatus"] == "Stopped"
    assert jobs.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress"
    stop(jobs, name)


def test_rules_take_no_job_slots(jobs: Jobs) -> None:
    rules = [rule(f"rule {number}") for number in range((os.cpu_count() or 1) + 2)]
    for item in rules:
        item["RuleParameters"] = {"rule_to_invoke": "FindsNone"}
    job = jobs.train(SAVES, **{**debugged(jobs), "DebugRuleConfigurations": rules})
    assert job["TrainingJobStatus"] == "Completed"
    found = until_judged(jobs, job["TrainingJobName"])
    assert [item["RuleEvaluationStatus"] for item in found] == ["NoIssuesFound"] * len(rules)


def test_a_failed_training_job_has_its_rules_verdicts_too(jobs: Jobs) -> None:
    name = create(jobs, SAVES_AN_ISSUE + "raise SystemExit(3)", "FindsIssues", "Tells")
    assert jobs.ended(name)["TrainingJobStatus"] == "Failed"
    assert [item["RuleEvaluationStatus"] for item in until_judged(jobs, name)] == ["IssuesFound", "NoIssuesFound"]


@pytest.mark.fidelity(
    "Debugger",
    "A training job has at most 20 rules.",
    "botocore, sagemaker: DebugRuleConfigurations",
)
@pytest.mark.parametrize(
    ("rules", "hook", "said"),
    [
        ([rule("a", RuleEvaluatorImage=RULES_IMAGE.replace("rules", "rule-evaluator"))], {}, "Requested image"),
        (
            [rule("a", RuleEvaluatorImage="683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.2-0")],
            {},
            "not supported here: DebugRuleConfigurations[0].RuleEvaluatorImage",
        ),
        ([rule("a"), rule("a")], {}, "RuleConfigurationName must be unique within a training job: a"),
        ([rule("a")], {"LocalPath": "/tmp/tensors"}, "not supported here: DebugHookConfig.LocalPath outside /opt/ml"),
        ([], {"S3OutputPath": "s3://there-is-no-such-bucket/x"}, "there-is-no-such-bucket"),
        ([rule(str(number)) for number in range(21)], {}, "Member must have length less than or equal to 20"),
    ],
)
def test_what_cannot_be_judged_is_refused(jobs: Jobs, rules: list[Document], hook: Document, said: str) -> None:
    assert said in refusal(jobs, **{**debugged(jobs, **hook), "DebugRuleConfigurations": rules})


def test_rules_of_a_spot_job_are_refused(jobs: Jobs) -> None:
    times = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}
    said = refusal(jobs, EnableManagedSpotTraining=True, StoppingCondition=times, **debugged(jobs, "FindsNone"))
    assert said.startswith("not supported here: DebugRuleConfigurations with EnableManagedSpotTraining")


@pytest.mark.fidelity(
    "Debugger",
    "Rules need a DebugHookConfig.",
    "SageMaker API, CreateTrainingJob: DebugRuleConfigurations",
)
def test_rules_without_a_hook_are_refused(jobs: Jobs) -> None:
    assert refusal(jobs, DebugRuleConfigurations=[rule("a")]).startswith("DebugHookConfig is required")


def test_kill_9_ends_the_rules_and_says_so_afterwards(tmp_path: Path, images: Path, evaluator: Path) -> None:
    factory = AwsFactory(tmp_path / "aws", (evaluator, evaluator.parent.parent))
    aws = factory.start()
    try:
        jobs = Jobs(aws)
        name = create(jobs, SAVES_AN_ISSUE + GOES_ON_UNTIL_STOPPED, "Lingers", "FindsIssues")
        until(lambda: "IssuesFound" in statuses(jobs, name), "a verdict")
        lingering = rule_job(jobs, evaluations(jobs, name)[0])["ProcessingJobName"]
        until(lambda: jobs.log_lines(lingering, RULES_GROUP), "the other rule at work")
        pids = evaluators_of(evaluator)
        assert pids
        os.kill(aws.server.pid, signal.SIGKILL)
        until_dead([aws.server.pid, *pids])
        sagemaker = factory.start().client("sagemaker")
        found = until(
            lambda: cut_off(sagemaker.describe_training_job(TrainingJobName=name)),
            "the rule's status after the restart",
        )
        assert [item["RuleEvaluationStatus"] for item in found] == ["Error", "IssuesFound"]
        assert found[0]["StatusDetails"].startswith("InternalServerError: the job was cut off")
    finally:
        factory.stop()


def cut_off(job: Document) -> list[Document] | None:
    found: list[Document] = job["DebugRuleEvaluationStatuses"]
    return found if found[0]["RuleEvaluationStatus"] != "InProgress" else None


def test_a_server_without_an_evaluator_has_the_hook_and_refuses_rules(tmp_path: Path, images: Path) -> None:
    factory = AwsFactory(tmp_path / "aws", ())
    try:
        jobs = Jobs(factory.start())
        assert refusal(jobs, **debugged(jobs, "FindsNone")) == (
            "not supported here: DebugRuleConfigurations: this server was started without a rule evaluator "
            "(--rule-evaluator)"
        )
        job = jobs.train(SAVES, **debugged(jobs))
        assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
        assert "DebugRuleEvaluationStatuses" not in job
    finally:
        factory.stop()
