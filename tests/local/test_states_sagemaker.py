"""SageMaker's tasks: .sync waits for the job and stops it, the machine's role is asked for each step."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hosting_kit import archive
from image_uris import SKLEARN
from resources import allow, make_role, unique
from state_machines import StateMachine, machine
from waiting import until

from infra.workflow.first_process import passing_signals_on

SYNC = "arn:aws:states:::sagemaker:createTrainingJob.sync"
RULES = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForSageMaker*Rule"
MANAGED_RULE = allow("events:PutTargets", "events:PutRule", "events:DescribeRule", resource=RULES)
JOBS = allow("sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob")
PASS_ROLE = {
    **allow("iam:PassRole"),
    "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
}
TAGS = allow("sagemaker:AddTags", "sagemaker:ListTags")
ALL = (MANAGED_RULE, JOBS, TAGS, PASS_ROLE)

SUCCEEDS = "import os, pathlib\npathlib.Path(os.environ['SM_MODEL_DIR'], 'm').write_text('x')\n"
FAILS = "raise SystemExit(3)\n"
RUNS_LONG = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n"


@pytest.fixture(scope="module")
def bucket(aws: Any) -> str:
    name = unique("training")
    aws.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def job_role(aws: Any) -> str:
    return make_role(aws, "sagemaker.amazonaws.com", allow("s3:*", "logs:*", "cloudwatch:*"))


def train(aws: Any, bucket: str, role: str, script: str) -> dict[str, Any]:
    """Arguments of a training job that runs this script."""
    name = unique("job")
    key = f"{name}/sourcedir.tar.gz"
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=archive({"train.py": script}))
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {"TrainingImage": SKLEARN, "TrainingInputMode": "File", **passing_signals_on()},
        "RoleArn": role,
        "HyperParameters": {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{bucket}/{key}",
        },
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def task(arguments: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"T": {"Type": "Task", "Resource": SYNC, "Arguments": arguments, "End": True, **fields}}


def submitted(m: StateMachine, execution_arn: str) -> None:
    """Wait until the job has been created."""
    until(lambda: any(event["type"] == "TaskSubmitted" for event in m.history(execution_arn)), "the job")


def job_status(aws: Any, name: str) -> str:
    """The job's status once it is neither running nor being stopped."""
    sagemaker = aws.client("sagemaker")

    def look() -> str | None:
        status = str(sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"])
        return None if status in ("InProgress", "Stopping") else status

    return str(until(look, f"the end of {name}"))


@pytest.mark.fidelity(
    "Step Functions",
    "createTrainingJob.sync tags the job MANAGED_BY_AWS=STARTED_BY_STEP_FUNCTIONS, for which the role needs"
    " sagemaker:AddTags and, by the documented policy, sagemaker:ListTags.",
    "aws/aws-cdk issues #26012 and #32294, pull request #27264; Step Functions developer guide, 'IAM policies for"
    " calling Amazon SageMaker AI'",
)
@pytest.mark.fidelity(
    "Step Functions",
    "createTrainingJob.sync answers with the job's description, times in epoch milliseconds; "
    "TaskSubmitted goes before TaskSucceeded.",
    "Step Functions DG, Create and manage Amazon SageMaker AI jobs with Step Functions",
)
def test_sync_returns_the_description_of_the_finished_job(aws: Any, bucket: str, job_role: str) -> None:
    arguments = train(aws, bucket, job_role, SUCCEEDS)
    m = machine(aws, task(arguments), *ALL)
    arn = m.start()
    ended = m.ended(arn)
    assert ended["status"] == "SUCCEEDED", ended
    output = ended["output"]
    assert output["TrainingJobStatus"] == "Completed"
    assert output["ModelArtifacts"]["S3ModelArtifacts"].endswith("/output/model.tar.gz")
    assert output["TrainingEndTime"] > 1_600_000_000_000, "epoch milliseconds"
    kinds = [event["type"] for event in m.history(arn)]
    assert kinds.index("TaskSubmitted") < kinds.index("TaskSucceeded")
    tags = aws.client("sagemaker").list_tags(ResourceArn=output["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "MANAGED_BY_AWS", "Value": "STARTED_BY_STEP_FUNCTIONS"}]


@pytest.mark.fidelity(
    "Step Functions",
    "A failed job is States.TaskFailed with the description as its cause.",
    "Step Functions DG, Run a job (.sync)",
)
def test_a_failed_job_fails_the_task_with_its_description_as_the_cause(aws: Any, bucket: str, job_role: str) -> None:
    m = machine(aws, task(train(aws, bucket, job_role, FAILS)), *ALL)
    ended = m.run()
    assert ended["error"] == "States.TaskFailed"
    cause = json.loads(ended["cause"])
    assert cause["TrainingJobStatus"] == "Failed"
    assert cause["FailureReason"]


@pytest.mark.fidelity(
    "Step Functions",
    "Stopping an execution stops the job that it waits for.",
    "Step Functions DG, Run a job (.sync)",
)
def test_stopping_the_execution_stops_the_job(aws: Any, bucket: str, job_role: str) -> None:
    arguments = train(aws, bucket, job_role, RUNS_LONG)
    m = machine(aws, task(arguments), *ALL)
    arn = m.start()
    submitted(m, arn)
    m.sfn.stop_execution(executionArn=arn)
    assert m.ended(arn)["status"] == "ABORTED"
    assert job_status(aws, arguments["TrainingJobName"]) == "Stopped"


def test_a_task_that_times_out_stops_the_job(aws: Any, bucket: str, job_role: str) -> None:
    arguments = train(aws, bucket, job_role, RUNS_LONG)
    m = machine(aws, task(arguments, TimeoutSeconds=3), *ALL)
    assert m.run()["error"] == "States.Timeout"
    assert job_status(aws, arguments["TrainingJobName"]) == "Stopped"


def test_a_job_that_someone_stops_fails_the_task_and_says_so(aws: Any, bucket: str, job_role: str) -> None:
    arguments = train(aws, bucket, job_role, RUNS_LONG)
    m = machine(aws, task(arguments), *ALL)
    arn = m.start()
    submitted(m, arn)
    aws.client("sagemaker").stop_training_job(TrainingJobName=arguments["TrainingJobName"])
    ended = m.ended(arn)
    assert ended["error"] == "States.TaskFailed"
    assert json.loads(ended["cause"])["TrainingJobStatus"] == "Stopped"


def test_a_stopped_job_may_also_succeed_where_the_settings_say_so(fresh_aws: Any) -> None:
    fresh_aws.state.mkdir(parents=True, exist_ok=True)
    (fresh_aws.state / "settings.json").write_text('{"stopped_job": "succeeds"}')
    aws = fresh_aws.start()
    aws.client("s3").create_bucket(Bucket="training-of-settings")
    role = make_role(aws, "sagemaker.amazonaws.com", allow("s3:*", "logs:*", "cloudwatch:*"))
    arguments = train(aws, "training-of-settings", role, RUNS_LONG)
    m = machine(aws, task(arguments), *ALL)
    arn = m.start()
    submitted(m, arn)
    aws.client("sagemaker").stop_training_job(TrainingJobName=arguments["TrainingJobName"])
    ended = m.ended(arn)
    assert (ended["status"], ended["output"]["TrainingJobStatus"]) == ("SUCCEEDED", "Stopped")


@pytest.mark.fidelity(
    "Step Functions",
    ".sync needs Create…, Describe… and iam:PassRole; without one it is SageMaker.AmazonSageMakerException.",
    "Step Functions DG, IAM policies for Amazon SageMaker AI jobs",
)
@pytest.mark.parametrize(
    ("statements", "says"),
    [
        ((MANAGED_RULE, TAGS, PASS_ROLE), "sagemaker:CreateTrainingJob on resource: arn:aws:sagemaker:us-east-1"),
        ((MANAGED_RULE, TAGS, JOBS), "iam:PassRole on resource: arn:aws:iam::000000000000:role/"),
        (
            (MANAGED_RULE, TAGS, allow("sagemaker:CreateTrainingJob"), PASS_ROLE),
            "sagemaker:DescribeTrainingJob on resource: arn:aws:sagemaker:us-east-1:000000000000:training-job/",
        ),
        (
            (MANAGED_RULE, JOBS, allow("sagemaker:ListTags"), PASS_ROLE),
            "sagemaker:AddTags on resource: arn:aws:sagemaker:us-east-1:000000000000:training-job/",
        ),
        (
            (MANAGED_RULE, JOBS, allow("sagemaker:AddTags"), PASS_ROLE),
            "sagemaker:ListTags on resource: arn:aws:sagemaker:us-east-1:000000000000:training-job/",
        ),
    ],
)
def test_each_permission_that_is_missing_is_named(
    aws: Any, bucket: str, job_role: str, statements: tuple[dict[str, Any], ...], says: str
) -> None:
    m = machine(aws, task(train(aws, bucket, job_role, SUCCEEDS)), *statements)
    ended = m.run()
    assert ended["error"] == "SageMaker.AmazonSageMakerException"
    assert f"assumed-role/{m.role_arn.rpartition('/')[2]}" in ended["cause"]
    assert f"is not authorized to perform: {says}" in ended["cause"]


@pytest.mark.fidelity(
    "Step Functions",
    "A machine with .sync isn't created by a role without events:PutTargets, PutRule, DescribeRule: not "
    "authorized to create managed-rule.",
    "nasa/cumulus #2693; aws-samples/amazon-sagemaker-safe-deployment-pipeline #29",
)
def test_a_machine_whose_role_lacks_the_managed_rule_is_not_created(aws: Any) -> None:
    with pytest.raises(Exception, match="not authorized to create managed-rule: it lacks events:PutTargets"):
        machine(aws, task({}), JOBS, PASS_ROLE)


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        ("arn:aws:states:::sagemaker:createLabelingJob.sync", "'sagemaker:createLabelingJob.sync' is not supported"),
        ("arn:aws:states:::sagemaker:createLabelingJob", "'sagemaker:createLabelingJob' is not supported"),
        ("arn:aws:states:::aws-sdk:sagemaker:createPipeline", "'sagemaker:createPipeline' is not supported"),
        ("arn:aws:states:::aws-sdk:bedrock:invokeModel", "'bedrock' is not supported"),
        ("arn:aws:states:::batch:submitJob.sync", "'batch:submitJob.sync' is not supported"),
        ("arn:aws:states:::sagemaker:createModel.sync", "it has no .sync"),
        ("arn:aws:states:us-east-1:000000000000:activity:a", "activities are not supported"),
    ],
)
def test_an_integration_that_is_not_here_is_refused_by_name(aws: Any, resource: str, says: str) -> None:
    with pytest.raises(Exception, match="InvalidDefinition") as caught:
        machine(aws, {"T": {"Type": "Task", "Resource": resource, "End": True}})
    assert says in str(caught.value)


@pytest.mark.fidelity(
    "Step Functions",
    "aws-sdk integrations give times as text.",
    "Step Functions DG, Learning to use AWS service SDK integrations",
)
def test_aws_sdk_documents_have_times_as_text(aws: Any) -> None:
    group = unique("group")
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName=group)
    described = {
        "Type": "Task",
        "Resource": "arn:aws:states:::aws-sdk:sagemaker:describeModelPackageGroup",
        "Arguments": {"ModelPackageGroupName": group},
        "End": True,
    }
    m = machine(aws, {"D": described}, allow("sagemaker:DescribeModelPackageGroup"))
    output = m.run()["output"]
    assert output["ModelPackageGroupName"] == group
    assert output["CreationTime"].endswith("Z")
