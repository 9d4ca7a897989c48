"""Processing jobs on the embedded AWS, through boto3 as their users do it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from image_uris import SKLEARN
from job_kit import ALL_THAT_JOBS_NEED, Jobs
from running_aws import Aws
from waiting import until

GROUP = "/aws/sagemaker/ProcessingJobs"


@pytest.fixture(scope="module")
def jobs(aws: Aws) -> Jobs:
    return Jobs(aws)


def refusal(jobs: Jobs, request: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        jobs.sagemaker.create_processing_job(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


@pytest.mark.fidelity(
    "Processing jobs",
    "Inputs and outputs lie at their LocalPath; processingjobconfig.json and resourceconfig.json tell "
    "the job; /opt/ml/output/message is the ExitMessage.",
    "SageMaker DG, How Amazon SageMaker Processing Configures Input and Output For Your Processing Container",
)
def test_a_job_reads_its_inputs_and_leaves_its_outputs(jobs: Jobs) -> None:
    manifest = jobs.put(
        f"manifests/{jobs.name()}", json.dumps([{"prefix": f"s3://{jobs.bucket}/train/"}, "part-1.csv"])
    )
    request = jobs.processing_request(
        """
import json, os, sys
root = "/opt/ml/processing"
print("SEEN", json.dumps({"argv": sys.argv[1:], "data": sorted(os.listdir(root + "/input/data")),
      "picked": sorted(os.listdir(root + "/input/picked")), "own": os.environ["MY_OWN"],
      "arn": json.load(open("/opt/ml/config/processingjobconfig.json"))["ProcessingJobArn"],
      "hosts": json.load(open("/opt/ml/config/resourceconfig.json"))["hosts"]}))
os.makedirs(root + "/output/deep")
open(root + "/output/deep/evaluation.json", "w").write("{}")
open("/opt/ml/output/message", "w").write("judged 3 examples")
""",
        Environment={"MY_OWN": "variable"},
    )
    request["ProcessingInputs"].append(jobs.processing_input("picked", manifest, "ManifestFile"))
    request["AppSpecification"]["ContainerArguments"] = ["--label", "0"]
    arn = jobs.sagemaker.create_processing_job(**request)["ProcessingJobArn"]
    name = request["ProcessingJobName"]
    job = jobs.processed(name)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["ExitMessage"] == "judged 3 examples"
    assert job["CreationTime"] <= job["ProcessingStartTime"] <= job["ProcessingEndTime"]
    line = next(line for line in jobs.log_lines(name, GROUP) if line.startswith("SEEN"))
    assert json.loads(line.removeprefix("SEEN")) == {
        "argv": ["--label", "0"], "data": ["part-0.csv", "part-1.csv", "part-2.csv"], "picked": ["part-1.csv"],
        "own": "variable", "arn": arn, "hosts": ["algo-1"],
    }  # fmt: skip
    assert jobs.get(f"processed/{jobs.prefix}/output/deep/evaluation.json") == b"{}"


@pytest.mark.fidelity(
    "Processing jobs",
    "A job that fails uploads no EndOfJob output.",
    "SageMaker API, ProcessingS3Output: S3UploadMode",
)
def test_a_failing_job_says_why_and_leaves_nothing(jobs: Jobs) -> None:
    output = jobs.processing_output(f"output-{jobs.name()}")
    path = output["S3Output"]["LocalPath"]
    job = jobs.process(
        f"open('{path}/half.json', 'w').close()\nraise KeyError('label 7')",
        ProcessingOutputConfig={"Outputs": [output]},
    )
    assert job["ProcessingJobStatus"] == "Failed"
    assert "KeyError: 'label 7'" in job["FailureReason"]
    assert job["FailureReason"].endswith(", exit code: 1")
    assert jobs.keys(output["S3Output"]["S3Uri"].partition(f"{jobs.bucket}/")[2]) == []


@pytest.mark.fidelity(
    "Processing jobs",
    "A /opt/ml/output/message that isn't UTF-8 fails the job as a ClientError.",
    "SageMaker DG, Save and Access Metadata Information About Your Processing Job",
)
def test_a_message_that_is_no_text_fails_the_job(jobs: Jobs) -> None:
    job = jobs.process("open('/opt/ml/output/message', 'wb').write(bytes([0xff]))")
    assert job["ProcessingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: /opt/ml/output/message isn't UTF-8")


@pytest.mark.fidelity(
    "Processing jobs",
    "S3UploadMode Continuous uploads while the job runs.",
    "SageMaker API, ProcessingS3Output: S3UploadMode",
)
def test_continuous_outputs_arrive_while_the_job_runs(jobs: Jobs) -> None:
    output = jobs.processing_output(f"output-{jobs.name()}", "Continuous")
    path, prefix = output["S3Output"]["LocalPath"], output["S3Output"]["S3Uri"].partition(f"{jobs.bucket}/")[2]
    script = f"import time\nopen('{path}/first.txt', 'w').write('1')\ntime.sleep(600)"
    request = jobs.processing_request(script, ProcessingOutputConfig={"Outputs": [output]})
    name = request["ProcessingJobName"]
    jobs.sagemaker.create_processing_job(**request)
    until(lambda: jobs.keys(prefix), "the first output")
    jobs.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert jobs.processed(name)["ProcessingJobStatus"] == "Stopped"
    assert jobs.keys(prefix) == [f"{prefix}/first.txt"]


def test_a_stopped_job_is_stopped_once(jobs: Jobs) -> None:
    request = jobs.processing_request("import time; print('ready', flush=True); time.sleep(600)")
    name = request["ProcessingJobName"]
    jobs.sagemaker.create_processing_job(**request)
    until(lambda: "ready" in jobs.log_lines(name, GROUP), "ready")
    jobs.sagemaker.stop_processing_job(ProcessingJobName=name)
    assert jobs.processed(name)["ProcessingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="because the processing job is in status Stopped"):
        jobs.sagemaker.stop_processing_job(ProcessingJobName=name)


@pytest.mark.fidelity(
    "Processing jobs",
    "A processing job does its own calls as its role.",
    "SageMaker DG, How to use SageMaker AI execution roles: CreateProcessingJob API",
)
@pytest.mark.parametrize("lacking", ALL_THAT_JOBS_NEED)
def test_a_role_that_lacks_an_action_is_told_by_action_and_role(jobs: Jobs, lacking: str) -> None:
    role = jobs.make_role([action for action in ALL_THAT_JOBS_NEED if action != lacking])
    request = jobs.processing_request("open('/opt/ml/processing/output/x', 'w').close()", RoleArn=role)
    if lacking == "s3:ListBucket":
        reason = refusal(jobs, request)[1]
    else:
        jobs.sagemaker.create_processing_job(**request)
        reason = jobs.processed(request["ProcessingJobName"])["FailureReason"]
    assert lacking in reason
    assert role in reason


@pytest.mark.fidelity(
    "Processing jobs",
    "A second job of one name is ResourceInUse: Job name must be unique ….",
    "SageMaker API, CreateProcessingJob: errors",
)
def test_what_cannot_work_is_refused(jobs: Jobs) -> None:
    request = jobs.processing_request("pass")
    jobs.sagemaker.create_processing_job(**request)
    code, message = refusal(jobs, request)
    assert (code, message.startswith("Job name must be unique")) == ("ResourceInUse", True)
    unknown = {**request["AppSpecification"], "ImageUri": SKLEARN.replace("scikit", "other")}
    assert refusal(jobs, {**request, "ProcessingJobName": jobs.name(), "AppSpecification": unknown})[0] == (
        "ValidationException"
    )
    jobs.processed(request["ProcessingJobName"])


@pytest.mark.fidelity(
    "Processing jobs",
    "An unknown processing job is a ValidationException: Could not find requested job with name: ….",
    "aws/amazon-sagemaker-operator-for-k8s, sagemaker_client_wrapper.go",
)
def test_lists_and_unknown_names(jobs: Jobs) -> None:
    job = jobs.process("pass")
    listed = jobs.sagemaker.list_processing_jobs(NameContains=job["ProcessingJobName"])["ProcessingJobSummaries"]
    assert [(item["ProcessingJobName"], item["ProcessingJobStatus"]) for item in listed] == [
        (job["ProcessingJobName"], "Completed")
    ]
    with pytest.raises(ClientError) as caught:
        jobs.sagemaker.describe_processing_job(ProcessingJobName="nobody")
    assert caught.value.response["Error"] == {
        "Code": "ValidationException", "Message": "Could not find requested job with name: nobody"
    }  # fmt: skip
