"""Training jobs on the embedded AWS, through boto3 as their users do it."""

from __future__ import annotations

import io
import json
import os
import signal
import tarfile
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from image_uris import SKLEARN
from job_kit import ALL_THAT_JOBS_NEED, GOES_ON_UNTIL_STOPPED, Jobs, children_of, until_dead
from running_aws import Aws, AwsFactory
from waiting import until

WRITES_A_MODEL = 'import os; open(os.environ["SM_MODEL_DIR"] + "/model.txt", "w").write("a model")'
LISTS_ITS_CHANNELS = """
import json, os
root = "/opt/ml/input/data"
print("FILES", json.dumps({os.path.relpath(os.path.join(where, name), root): open(os.path.join(where, name)).read()
                           for where, _, names in os.walk(root) for name in names}))
"""


@pytest.fixture(scope="module")
def jobs(aws: Aws) -> Jobs:
    return Jobs(aws)


def refusal(jobs: Jobs, request: dict[str, Any]) -> tuple[str, str]:
    """Code and message of the error that CreateTrainingJob answers."""
    with pytest.raises(ClientError) as caught:
        jobs.sagemaker.create_training_job(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def files_in(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def logged(jobs: Jobs, name: str, marker: str) -> Any:
    line = next(line for line in jobs.log_lines(name) if line.startswith(marker))
    return json.loads(line.removeprefix(marker))


@pytest.mark.fidelity(
    "Training jobs",
    "The model lies at <S3OutputPath>/<job>/output/model.tar.gz, /opt/ml/output/data beside it as output.tar.gz.",
    "SageMaker DG, How Amazon SageMaker AI Processes Training Output",
)
def test_a_job_trains_and_leaves_its_model(jobs: Jobs) -> None:
    job = jobs.train(
        """
import os, joblib, numpy
from sklearn.tree import DecisionTreeClassifier
files = os.scandir(os.environ["SM_CHANNEL_TRAIN"])
rows = numpy.vstack([numpy.loadtxt(file.path, delimiter=",", ndmin=2) for file in files])
model = DecisionTreeClassifier().fit(rows[:, :1], rows[:, 1])
joblib.dump(model, os.environ["SM_MODEL_DIR"] + "/model.joblib")
open(os.environ["SM_OUTPUT_DATA_DIR"] + "/figures.txt", "w").write("1 2 3")
"""
    )
    name = job["TrainingJobName"]
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed"), job.get("FailureReason")
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{jobs.bucket}/out/{name}/output/model.tar.gz"
    assert list(files_in(jobs.get(f"out/{name}/output/model.tar.gz"))) == ["model.joblib"]
    assert files_in(jobs.get(f"out/{name}/output/output.tar.gz")) == {"figures.txt": b"1 2 3"}


@pytest.mark.fidelity(
    "Training jobs",
    "SecondaryStatusTransitions go Starting, Downloading, Training, Uploading, Completed, without gaps.",
    "SageMaker API, DescribeTrainingJob: SecondaryStatusTransitions",
)
def test_its_history_is_told_step_by_step(jobs: Jobs) -> None:
    job = jobs.train(WRITES_A_MODEL)
    steps = job["SecondaryStatusTransitions"]
    assert [step["Status"] for step in steps if step["Status"] != "Pending"] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed"
    ]  # fmt: skip
    assert all(step["EndTime"] == after["StartTime"] for step, after in pairwise(steps))
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] == job["LastModifiedTime"]
    assert job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"] >= 1


def test_the_same_model_makes_the_same_archive(jobs: Jobs) -> None:
    first, second = jobs.train(WRITES_A_MODEL), jobs.train(WRITES_A_MODEL)
    archives = [jobs.get(f"out/{job['TrainingJobName']}/output/model.tar.gz") for job in (first, second)]
    assert archives[0] == archives[1]


@pytest.mark.fidelity(
    "Containers",
    "A container reads hyperparameters.json (all values text), inputdataconfig.json and "
    "resourceconfig.json; TRAINING_JOB_NAME and the request's Environment are variables.",
    "SageMaker DG, How Amazon SageMaker AI Provides Training Information",
)
def test_the_script_finds_awss_contract(jobs: Jobs) -> None:
    request = jobs.training_request(
        """
import json, os, sys
config = {name: json.load(open(f"/opt/ml/input/config/{name}.json"))
          for name in ("hyperparameters", "inputdataconfig", "resourceconfig")}
print("SEEN", json.dumps({"argv": sys.argv, "cwd": os.getcwd(), "env": dict(os.environ), "config": config,
      "boto3": __import__("boto3").client("sts").get_caller_identity()["Arn"]}))
""",
        Environment={"MY_OWN": "variable"},
    )
    request["HyperParameters"] |= {"n-estimators": "100", "criterion": '"gini"'}
    jobs.sagemaker.create_training_job(**request)
    name = request["TrainingJobName"]
    assert jobs.ended(name)["TrainingJobStatus"] == "Completed"
    seen = logged(jobs, name, "SEEN")
    assert seen["argv"] == ["train.py", "--criterion", "gini", "--n-estimators", "100"]
    assert seen["cwd"] == "/opt/ml/code"
    assert seen["config"]["hyperparameters"] == request["HyperParameters"]
    assert seen["config"]["inputdataconfig"]["train"]["TrainingInputMode"] == "File"
    assert seen["config"]["resourceconfig"]["current_host"] == "algo-1"
    environment = seen["env"]
    assert environment["SM_MODEL_DIR"] == "/opt/ml/model"
    assert environment["SAGEMAKER_BASE_DIR"] == "/opt/ml"
    assert (environment["SM_HP_N-ESTIMATORS"], environment["SM_HP_CRITERION"]) == ("100", "gini")
    assert (environment["TRAINING_JOB_NAME"], environment["MY_OWN"]) == (name, "variable")
    assert seen["boto3"].split(":", 5)[5] == f"assumed-role/{jobs.role.rpartition('/')[2]}/SageMaker"


def test_a_job_sees_nothing_of_the_server(jobs: Jobs, aws: Aws) -> None:
    job = jobs.train(
        """
import importlib.util, json, os
def refused(path):
    try:
        open(path, "w").close()
    except OSError:
        return True
print("SEEN", json.dumps({"env": sorted(os.environ), "modules": [name for name in ("ministack", "pydantic", "aws_cdk")
      if importlib.util.find_spec(name)], "kept": [refused("/etc/ratchet-test"), refused("/opt/ratchet-test")],
      "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
      "server": sorted(os.listdir(STATE)) if os.path.isdir(STATE) else []}))
""".replace("STATE", repr(str(aws.state)))
    )
    seen = logged(jobs, job["TrainingJobName"], "SEEN")
    assert seen["modules"] == []
    assert seen["kept"] == [True, True]
    assert seen["server"] == []
    assert len(seen["processes"]) <= 3, "the container's, its train and the script"
    own = ("SM_", "AWS_", "PYTHON", "TRAINING_JOB_", "SAGEMAKER_", "LC_", "LANG")
    others = {name for name in seen["env"] if not name.startswith(own)}
    assert others <= {"PATH", "HOME", "TMPDIR", "CURRENT_HOST", "DMLC_INTERFACE", "PWD"}


@pytest.mark.fidelity(
    "Training jobs",
    "S3Prefix, ManifestFile and FastFile channels lie under /opt/ml/input/data/<channel>, by what follows the prefix.",
    "SageMaker API, S3DataSource",
)
def test_prefixes_manifests_and_fast_files_become_channels(jobs: Jobs) -> None:
    manifest = jobs.put(
        f"manifests/{jobs.name()}", json.dumps([{"prefix": f"s3://{jobs.bucket}/train/"}, "part-0.csv", "part-2.csv"])
    )
    jobs.put("nested/deep/er/x.txt", "x")
    job = jobs.train(
        LISTS_ITS_CHANNELS,
        InputDataConfig=[
            jobs.channel("train", f"s3://{jobs.bucket}/train/"),
            jobs.channel("picked", manifest, "ManifestFile"),
            jobs.channel("deep", f"s3://{jobs.bucket}/nested", InputMode="FastFile"),
        ],
    )
    assert logged(jobs, job["TrainingJobName"], "FILES") == {
        "train/part-0.csv": "0,1\n", "train/part-1.csv": "1,1\n", "train/part-2.csv": "2,1\n",
        "picked/part-0.csv": "0,1\n", "picked/part-2.csv": "2,1\n", "deep/deep/er/x.txt": "x",
    }  # fmt: skip


def test_a_thousand_objects_arrive(jobs: Jobs) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: jobs.put(f"many/{number:04}.txt", str(number)), range(1001)))
    job = jobs.train(
        'import os; print("COUNT", len(os.listdir(os.environ["SM_CHANNEL_TRAIN"])))',
        InputDataConfig=[jobs.channel("train", f"s3://{jobs.bucket}/many/")],
    )
    assert "COUNT 1001" in jobs.log_lines(job["TrainingJobName"])


@pytest.mark.fidelity(
    "Training jobs",
    "ContainerEntrypoint and ContainerArguments replace what the image runs.",
    "SageMaker API, AlgorithmSpecification: ContainerEntrypoint, ContainerArguments",
)
def test_a_container_entrypoint_runs_instead_of_script_mode(jobs: Jobs) -> None:
    code = jobs.put(
        "drivers/run.sh", 'echo "ran with $1 in $(pwd)"; python -c "import sklearn; print(sklearn.__version__)"'
    )
    job = jobs.train(
        "",
        AlgorithmSpecification={
            "TrainingImage": SKLEARN,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["/bin/bash"],
            "ContainerArguments": ["/opt/ml/input/data/code/run.sh", "this"],
        },
        HyperParameters={},
        InputDataConfig=[jobs.channel("code", code)],
    )
    assert job["TrainingJobStatus"] == "Completed", job
    assert jobs.log_lines(job["TrainingJobName"])[-3:-1] == ["ran with this in /opt/ml", "1.9.0"]


@pytest.mark.fidelity(
    "Training jobs",
    "MetricDefinitions find values in the log; the last is in FinalMetricDataList, all in "
    "/aws/sagemaker/TrainingJobs by TrainingJobName.",
    "SageMaker DG, Monitor and Analyze Training Jobs Using Amazon CloudWatch Metrics",
)
def test_metrics_reach_the_description_and_cloudwatch(jobs: Jobs, aws: Aws) -> None:
    definitions = [{"Name": "validation:f1", "Regex": "f1=([0-9.]+);"}, {"Name": "loss", "Regex": "loss ([0-9.]+)"}]
    job = jobs.train(
        'print("f1=0.25; loss 9"); print("f1=0.75;")',
        AlgorithmSpecification={
            "TrainingImage": SKLEARN,
            "TrainingInputMode": "File",
            "MetricDefinitions": definitions,
        },
    )
    final = {item["MetricName"]: round(item["Value"], 6) for item in job["FinalMetricDataList"]}
    assert final == {"validation:f1": 0.75, "loss": 9.0}
    written = aws.client("cloudwatch").get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="validation:f1",
        Dimensions=[{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}],
        StartTime=job["CreationTime"].timestamp() - 3600,
        EndTime=job["CreationTime"].timestamp() + 3600,
        Period=3600,
        Statistics=["Maximum", "SampleCount"],
    )["Datapoints"]
    assert max(point["Maximum"] for point in written) == 0.75


@pytest.mark.fidelity(
    "Training jobs",
    "A script that fails gives `AlgorithmError: ExecuteUserScriptError:` with its exit code, what it said and its "
    "command, and no model.",
    "aws/sagemaker-training-toolkit, errors.py and entry_point.py; SageMaker DG, exit code and failure file",
)
def test_a_failing_script_says_why(jobs: Jobs) -> None:
    job = jobs.train("print('so far so good')\nraise ValueError('no label 7 in the data')")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n")
    assert "ValueError: no label 7 in the data" in job["FailureReason"]
    assert job["FailureReason"].endswith('\nCommand "python train.py", exit code: 1')
    assert "ModelArtifacts" not in job
    assert jobs.keys(f"out/{job['TrainingJobName']}") == []


@pytest.mark.fidelity(
    "Training jobs",
    "/opt/ml/output/failure becomes the FailureReason, beside the exit code of the image's `train`: 1 for any failure.",
    "SageMaker DG, How Amazon SageMaker AI Signals Algorithm Success and Failure; aws/sagemaker-training-toolkit, "
    "trainer.py (DEFAULT_FAILURE_CODE) and files.py (write_failure_file)",
)
def test_the_failure_file_is_the_reason(jobs: Jobs) -> None:
    job = jobs.train(
        'import sys; open("/opt/ml/output/failure", "w").write("the labels are upside down"); sys.exit(42)'
    )
    assert job["FailureReason"] == "AlgorithmError: the labels are upside down, exit code: 1"


def test_a_script_that_is_killed_is_a_failure(jobs: Jobs) -> None:
    job = jobs.train("import os; os.kill(os.getpid(), 9)")
    assert job["TrainingJobStatus"] == "Failed"
    assert "\nExitCode -9\n" in job["FailureReason"], "as the toolkit sees it"
    assert job["FailureReason"].endswith(", exit code: 1")


@pytest.mark.fidelity(
    "Containers",
    "The container ends with its first process; what that started ends too.",
    "Docker's reference: a container lives as long as its first process",
)
def test_what_a_script_starts_ends_with_it(jobs: Jobs) -> None:
    marker = f"left-{jobs.name()}"
    job = jobs.train(f"import subprocess; subprocess.Popen(['bash', '-c', 'exec -a {marker} sleep 300'])")
    assert job["TrainingJobStatus"] == "Completed"
    assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if _cmdline(path).startswith(marker)]


def _cmdline(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


@pytest.mark.fidelity(
    "Training jobs",
    "StopTrainingJob goes Stopping, Stopped, and what lies in /opt/ml/model is uploaded.",
    "SageMaker API, StopTrainingJob",
)
@pytest.mark.fidelity(
    "Training jobs",
    "Stopping a job that has ended is a ValidationException: The request was rejected because the "
    "training job is in status Stopped.",
    "amazon-sagemaker-jupyter-scheduler, error_util.py",
)
def test_a_stopped_job_gets_sigterm_and_keeps_its_model(jobs: Jobs) -> None:
    request = jobs.hearing_request(GOES_ON_UNTIL_STOPPED)
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(name, "ready")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    job = jobs.ended(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert [step["Status"] for step in job["SecondaryStatusTransitions"]][-2:] == ["Stopping", "Stopped"]
    assert files_in(jobs.get(f"out/{name}/output/model.tar.gz")) == {"partial.txt": b"so far"}
    assert jobs.log_lines(name)[-1] == "stopping"
    with pytest.raises(ClientError) as caught:
        jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert caught.value.response["Error"] == {
        "Code": "ValidationException",
        "Message": "The request was rejected because the training job is in status Stopped.",
    }


@pytest.mark.fidelity(
    "Training jobs",
    "A matching job runs on the instances that another one has left in a warm pool, and finds its persistent cache; "
    "UpdateTrainingJob ends a pool.",
    "SageMaker DG, SageMaker AI Managed Warm Pools: Warm pool lifecycle, Using persistent cache",
)
def test_a_job_runs_on_what_another_has_kept_warm(jobs: Jobs) -> None:
    kept = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 7, "KeepAlivePeriodInSeconds": 3600}
    script = """
import os
cache = os.environ["SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"]
print("CACHE", cache, os.listdir(cache), flush=True)
os.mkdir(cache + "/" + os.environ["TRAINING_JOB_NAME"])
"""
    source = jobs.source(script)
    first, second = (jobs.train("", source=source, ResourceConfig=kept)["TrainingJobName"] for _ in range(2))
    where = "CACHE /opt/ml/sagemaker/warmpoolcache"
    assert f"{where} []" in jobs.log_lines(first)
    assert f"{where} ['{first}']" in jobs.log_lines(second)
    pools = {
        each["TrainingJobName"]: each["WarmPoolStatus"]
        for status in ("Reused", "Available")
        for each in jobs.sagemaker.list_training_jobs(NameContains=jobs.prefix, WarmPoolStatusEquals=status)[
            "TrainingJobSummaries"
        ]
    }
    assert (pools[first]["ReusedByJob"], pools[second]) == (second, {"Status": "Available"})
    jobs.sagemaker.update_training_job(TrainingJobName=second, ResourceConfig={"KeepAlivePeriodInSeconds": 0})
    described = jobs.sagemaker.describe_training_job(TrainingJobName=second)
    assert described["WarmPoolStatus"]["Status"] == "Terminated"


@pytest.mark.fidelity(
    "Training jobs",
    "MaxRuntimeInSeconds ends a job as Stopped, MaxRuntimeExceeded, with its model.",
    "SageMaker API, StoppingCondition",
)
def test_max_runtime_stops_a_job_and_keeps_its_model(jobs: Jobs) -> None:
    limit = {"MaxRuntimeInSeconds": jobs.some_seconds()}
    request = jobs.hearing_request(GOES_ON_UNTIL_STOPPED, StoppingCondition=limit)
    jobs.sagemaker.create_training_job(**request)
    job = jobs.ended(request["TrainingJobName"])
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "ModelArtifacts" in job


@pytest.mark.fidelity(
    "Training jobs",
    "/opt/ml/checkpoints is filled from CheckpointConfig.S3Uri before the script starts, and kept there.",
    "SageMaker DG, Checkpoints in Amazon SageMaker AI",
)
def test_checkpoints_are_kept_and_found_again(jobs: Jobs) -> None:
    config = {"S3Uri": f"s3://{jobs.bucket}/checkpoints/{jobs.name()}"}
    script = """
import os
print("FOUND", sorted(os.listdir("/opt/ml/checkpoints")))
os.makedirs("/opt/ml/checkpoints/epoch", exist_ok=True)
open(f"/opt/ml/checkpoints/epoch/{len(os.listdir('/opt/ml/checkpoints/epoch'))}.pt", "w").write("weights")
"""
    first = jobs.train(script, CheckpointConfig=config)
    second = jobs.train(script, CheckpointConfig=config)
    assert "FOUND []" in jobs.log_lines(first["TrainingJobName"])
    assert "FOUND ['epoch']" in jobs.log_lines(second["TrainingJobName"])
    prefix = config["S3Uri"].partition(f"{jobs.bucket}/")[2]
    assert jobs.keys(prefix) == [f"{prefix}/epoch/0.pt", f"{prefix}/epoch/1.pt"]


@pytest.mark.fidelity(
    "Training jobs",
    "Checkpoints are copied to S3 while the job runs.",
    "SageMaker DG, Checkpoints in Amazon SageMaker AI",
)
def test_checkpoints_are_synced_while_the_job_runs(jobs: Jobs) -> None:
    prefix = f"checkpoints/{jobs.name()}"
    script = "open('/opt/ml/checkpoints/1.pt', 'w').write('w')\n" + GOES_ON_UNTIL_STOPPED
    request = jobs.hearing_request(script, CheckpointConfig={"S3Uri": f"s3://{jobs.bucket}/{prefix}"})
    jobs.sagemaker.create_training_job(**request)
    until(lambda: jobs.keys(prefix), "a checkpoint in S3")
    jobs.sagemaker.stop_training_job(TrainingJobName=request["TrainingJobName"])
    jobs.ended(request["TrainingJobName"])


def test_a_file_that_grows_while_it_is_copied_spoils_nothing(jobs: Jobs) -> None:
    prefix = f"checkpoints/{jobs.name()}"
    script = """
import time
end = time.time() + 2.2
with open("/opt/ml/checkpoints/log", "ab", buffering=0) as log:
    while time.time() < end:
        log.write(b"x" * 100)
        time.sleep(0.00005)
    print("SIZE", log.tell())
"""
    job = jobs.train(script, CheckpointConfig={"S3Uri": f"s3://{jobs.bucket}/{prefix}"})
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    size = len(jobs.get(f"{prefix}/log"))
    assert f"SIZE {size}" in jobs.log_lines(job["TrainingJobName"])


@pytest.mark.fidelity(
    "Training jobs",
    "EnableNetworkIsolation leaves the container without a network; SageMaker itself moves data.",
    "SageMaker DG, Run Training and Inference Containers in Internet-Free Mode",
)
def test_an_isolated_job_has_no_network(jobs: Jobs) -> None:
    script = """
import os, socket, urllib.parse
at = urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"])
try:
    socket.create_connection((at.hostname, at.port), 2)
    print("CONNECTED")
except OSError as error:
    print("ISOLATED", error)
"""
    uri = jobs.put(f"isolated/{jobs.name()}/train.py", script)
    job = jobs.train(
        "",
        HyperParameters=jobs.script_mode("/opt/ml/input/data/code"),
        InputDataConfig=[jobs.channel("code", uri)],
        EnableNetworkIsolation=True,
    )
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    assert jobs.log_lines(job["TrainingJobName"])[-2].startswith("ISOLATED")


@pytest.mark.fidelity(
    "Training jobs",
    "A source in S3 fails under EnableNetworkIsolation: the container itself would download it.",
    "aws/sagemaker-training-toolkit, files.py (download_and_extract); aws/sagemaker-python-sdk pull request 791",
)
def test_an_isolated_job_can_not_download_its_source(jobs: Jobs) -> None:
    job = jobs.train("print('never')", EnableNetworkIsolation=True)
    assert job["FailureReason"].startswith("AlgorithmError: Framework Error: ")
    assert "give the job a channel with it" in job["FailureReason"]


@pytest.mark.fidelity(
    "Training jobs",
    "CompressionType NONE leaves the model as files under output/model/.",
    "SageMaker API, OutputDataConfig: CompressionType",
)
def test_an_uncompressed_model_is_files(jobs: Jobs) -> None:
    config = {"S3OutputPath": f"s3://{jobs.bucket}/out", "CompressionType": "NONE"}
    job = jobs.train(WRITES_A_MODEL, OutputDataConfig=config)
    prefix = f"out/{job['TrainingJobName']}/output/model/"
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{jobs.bucket}/{prefix}"
    assert jobs.get(f"{prefix}model.txt") == b"a model"


def test_a_large_model_goes_up_in_parts(jobs: Jobs) -> None:
    config = {"S3OutputPath": f"s3://{jobs.bucket}/out", "CompressionType": "NONE"}
    size = 65 * 1024 * 1024
    job = jobs.train(f"open('/opt/ml/model/weights.bin', 'wb').truncate({size})", OutputDataConfig=config)
    assert job["TrainingJobStatus"] == "Completed", job["FailureReason"]
    key = f"out/{job['TrainingJobName']}/output/model/weights.bin"
    assert jobs.s3.head_object(Bucket=jobs.bucket, Key=key)["ContentLength"] == size
    jobs.s3.delete_object(Bucket=jobs.bucket, Key=key)


@pytest.mark.fidelity(
    "Training jobs",
    "A job does its own calls as its role: without s3:GetObject or s3:PutObject it fails, without s3:ListBucket it"
    " isn't created, and without the logs' actions it has no log.",
    "SageMaker DG, How to use SageMaker AI execution roles: CreateTrainingJob API",
)
@pytest.mark.parametrize("lacking", ALL_THAT_JOBS_NEED)
def test_a_role_that_lacks_an_action_is_told_by_action_and_role(jobs: Jobs, lacking: str) -> None:
    role = jobs.make_role([action for action in ALL_THAT_JOBS_NEED if action != lacking])
    request = jobs.training_request(WRITES_A_MODEL, RoleArn=role)
    if lacking == "s3:ListBucket":  # AWS looks for the data before it accepts the job
        reason = refusal(jobs, request)[1]
    else:
        jobs.sagemaker.create_training_job(**request)
        job = jobs.ended(request["TrainingJobName"])
        assert job["TrainingJobStatus"] == "Failed"
        reason = job["FailureReason"]
        assert jobs.log_lines(request["TrainingJobName"]) == [], "the role may not write logs"
    assert lacking in reason
    assert role in reason


@pytest.mark.fidelity(
    "Containers",
    "A script's AWS calls are made with the job's role, in a session called SageMaker.",
    "SageMaker DG, How to use SageMaker AI execution roles",
)
def test_the_jobs_own_calls_are_made_with_its_role(jobs: Jobs) -> None:
    job = jobs.train("import boto3; boto3.client('sagemaker').list_models()")
    assert job["TrainingJobStatus"] == "Failed"
    assert "sagemaker:ListModels" in job["FailureReason"]
    assert jobs.role.rpartition("/")[2] in job["FailureReason"]


@pytest.mark.fidelity(
    "Training jobs",
    "Could not assume role <arn>. Please ensure that the role exists and allows principal "
    "'sagemaker.amazonaws.com' to assume the role.",
    "awslabs/predictive-maintenance-using-machine-learning #3",
)
def test_a_role_that_does_not_exist_or_trust_sagemaker_is_refused(jobs: Jobs) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    for role in ("arn:aws:iam::000000000000:role/nobody", jobs.make_role(ALL_THAT_JOBS_NEED, trust)):
        assert refusal(jobs, jobs.training_request("", RoleArn=role)) == (
            "ValidationException",
            f"Could not assume role {role}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role.",
        )


@pytest.mark.fidelity(
    "IAM",
    "CreateTrainingJob needs iam:PassRole on the role, or is an AccessDeniedException.",
    "SageMaker API, CreateTrainingJob: RoleArn",
)
def test_a_caller_who_may_not_pass_the_role_is_refused(jobs: Jobs, aws: Aws) -> None:
    user = jobs.name("user")
    jobs.iam.create_user(UserName=user)
    statement = {"Effect": "Allow", "Action": ["sagemaker:*"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    jobs.iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy)
    key = jobs.iam.create_access_key(UserName=user)["AccessKey"]
    with pytest.raises(ClientError) as caught:
        aws.client("sagemaker", key).create_training_job(**jobs.training_request(""))
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "iam:PassRole" in caught.value.response["Error"]["Message"]
    assert jobs.role in caught.value.response["Error"]["Message"]


@pytest.mark.fidelity(
    "Training jobs",
    "A second job of one name is ResourceInUse, and the message ends in the ARN of the first.",
    "aws/amazon-sagemaker-examples #3108",
)
def test_a_name_can_be_used_once(jobs: Jobs) -> None:
    request = jobs.training_request(WRITES_A_MODEL)
    arn = jobs.sagemaker.create_training_job(**request)["TrainingJobArn"]
    code, message = refusal(jobs, request)
    assert code == "ResourceInUse"
    assert message.endswith(f"already exists ({arn})")
    jobs.ended(request["TrainingJobName"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"AlgorithmSpecification": {"TrainingImage": SKLEARN.replace("1.9-0", "9.9-9"), "TrainingInputMode": "File"}},
         "Requested image"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://there-is-no-such-bucket/out"}}, "there-is-no-such-bucket"),
        ({"HyperParameters": {"epochs": "1"}}, "not supported here: a training job without the hyperparameter"),
        ({"TensorBoardOutputConfig": {"S3OutputPath": "s3://b/k"}}, "not supported here: TensorBoardOutputConfig"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_at_once(jobs: Jobs, change: dict[str, Any], said: str) -> None:
    code, message = refusal(jobs, jobs.training_request("", **change))
    assert code == "ValidationException"
    assert said in message


@pytest.mark.fidelity(
    "Training jobs",
    'A channel without objects is a ValidationException: No S3 objects found under S3 URL "…" given in '
    "input data source.",
    "aws/amazon-sagemaker-examples #2489",
)
@pytest.mark.parametrize("place", ["there-is-no-such-bucket/x", "{bucket}/empty/"])
def test_data_that_is_not_there_is_refused_in_awss_words(jobs: Jobs, place: str) -> None:
    uri = f"s3://{place.format(bucket=jobs.bucket)}"
    code, message = refusal(jobs, jobs.training_request("", InputDataConfig=[jobs.channel("train", uri)]))
    assert code == "ValidationException"
    assert message.startswith(f'No S3 objects found under S3 URL "{uri}" given in input data source.')


def test_a_broken_manifest_fails_the_job_and_says_where(jobs: Jobs) -> None:
    manifest = jobs.put(f"manifests/{jobs.name()}", '["part-0.csv"]')
    job = jobs.train("", InputDataConfig=[jobs.channel("train", manifest, "ManifestFile")])
    assert job["FailureReason"].startswith("ClientError: Data download failed for channel train: entry 1 of ")
    gone = jobs.put(f"manifests/{jobs.name()}", json.dumps([{"prefix": f"s3://{jobs.bucket}/train/"}, "gone.csv"]))
    job = jobs.train("", InputDataConfig=[jobs.channel("train", gone, "ManifestFile")])
    assert "NoSuchKey" in job["FailureReason"]
    assert "train/gone.csv" in job["FailureReason"]


@pytest.mark.parametrize("member", ["../evil.py", "/tmp/evil.py"])
def test_a_source_archive_that_reaches_out_is_refused(jobs: Jobs, member: str) -> None:
    from hosting_kit import archive  # noqa: PLC0415

    source = jobs.put(f"code/{jobs.name()}/sourcedir.tar.gz", archive({"train.py": "", member: "evil"}))
    job = jobs.train("", source=source)
    assert job["FailureReason"].startswith(f"ClientError: Source archive {source} refused: '{member}'")


def test_a_source_archive_that_is_none_or_lacks_the_program_says_so(jobs: Jobs) -> None:
    job = jobs.train("", source=jobs.put(f"code/{jobs.name()}.tar.gz", b"not an archive"))
    assert "is not a readable tar.gz" in job["FailureReason"]
    request = jobs.training_request("")
    request["HyperParameters"]["sagemaker_program"] = '"fit.py"'
    jobs.sagemaker.create_training_job(**request)
    reason = jobs.ended(request["TrainingJobName"])["FailureReason"]
    assert reason == "ClientError: sagemaker_program 'fit.py' isn't in the source archive, which holds train.py"


def test_jobs_beyond_the_cores_wait_and_can_be_stopped(jobs: Jobs) -> None:
    source = jobs.source(GOES_ON_UNTIL_STOPPED)
    names = []
    for _ in range((os.cpu_count() or 1) + 1):
        request = jobs.hearing_request("", source=source)
        jobs.sagemaker.create_training_job(**request)
        names.append(request["TrainingJobName"])
    waiting = jobs.sagemaker.describe_training_job(TrainingJobName=names[-1])
    assert (waiting["TrainingJobStatus"], waiting["SecondaryStatus"]) == ("InProgress", "Pending")
    jobs.sagemaker.stop_training_job(TrainingJobName=names[-1])
    assert jobs.ended(names[-1])["SecondaryStatus"] == "Stopped"
    for name in names[:-1]:
        jobs.until_logged(name, "ready")
        jobs.sagemaker.stop_training_job(TrainingJobName=name)
        jobs.ended(name)


def test_a_waiting_job_starts_when_a_slot_gets_free(jobs: Jobs) -> None:
    source = jobs.source(GOES_ON_UNTIL_STOPPED)
    names = []
    for _ in range((os.cpu_count() or 1) + 1):
        request = jobs.hearing_request("", source=source)
        jobs.sagemaker.create_training_job(**request)
        names.append(request["TrainingJobName"])
    for name in names:
        jobs.until_logged(name, "ready")
        jobs.sagemaker.stop_training_job(TrainingJobName=name)
        jobs.ended(name)


@pytest.mark.fidelity(
    "Training jobs",
    "An unknown training job is a ValidationException: Requested resource not found.",
    "aws/amazon-sagemaker-operator-for-k8s, sagemaker_client_wrapper.go",
)
def test_lists_describe_delete_and_tags(jobs: Jobs) -> None:
    names = []
    for number in range(3):
        request = jobs.training_request(WRITES_A_MODEL, Tags=[{"Key": "number", "Value": str(number)}])
        arn = jobs.sagemaker.create_training_job(**request)["TrainingJobArn"]
        names.append(request["TrainingJobName"])
        jobs.ended(names[-1])
    assert jobs.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "number", "Value": "2"}]
    pages = jobs.sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=f"{jobs.prefix}-train", SortBy="CreationTime", PaginationConfig={"PageSize": 2}
    )
    listed = [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]
    assert [name for name in listed if name in names] == names[::-1]
    jobs.sagemaker.delete_training_job(TrainingJobName=names[0])
    with pytest.raises(ClientError) as caught:
        jobs.sagemaker.describe_training_job(TrainingJobName=names[0])
    assert caught.value.response["Error"]["Message"] == "Requested resource not found."


def test_a_name_is_free_once_its_job_is_deleted(jobs: Jobs) -> None:
    request = jobs.training_request(WRITES_A_MODEL)
    for _ in range(4):
        jobs.sagemaker.create_training_job(**request)
        assert jobs.ended(request["TrainingJobName"])["TrainingJobStatus"] == "Completed"
        jobs.sagemaker.delete_training_job(TrainingJobName=request["TrainingJobName"])


@pytest.mark.fidelity(
    "EventBridge",
    "SageMaker Training Job State Change holds the description in the API's names, times in "
    "milliseconds, and the tags.",
    "SageMaker DG, Events that Amazon SageMaker AI sends to Amazon EventBridge",
)
def test_every_change_is_an_event_of_awss_shape(jobs: Jobs, aws: Aws) -> None:
    sqs, events = aws.client("sqs"), aws.client("events")
    rule = jobs.name("rule")
    url = sqs.create_queue(QueueName=rule)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    rule_arn = events.put_rule(
        Name=rule,
        EventPattern=json.dumps({
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Training Job State Change"],
            "detail": {"TrainingJobName": [{"prefix": jobs.prefix}], "TrainingJobStatus": ["InProgress", "Completed"]},
        }),
    )["RuleArn"]  # fmt: skip
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    statement = {**allowed, "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}}}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    job = jobs.train(WRITES_A_MODEL, Tags=[{"Key": "team", "Value": "a"}])
    received: list[Any] = []

    def have_all() -> bool:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        received.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
        return any(event["detail"]["TrainingJobStatus"] == "Completed" for event in received)

    until(have_all, "the last event")
    events.remove_targets(Rule=rule, Ids=["queue"])
    last = next(event for event in received if event["detail"]["TrainingJobStatus"] == "Completed")
    assert last["resources"] == [job["TrainingJobArn"]]
    detail = last["detail"]
    assert detail["SecondaryStatus"] == "Completed"
    assert detail["Tags"] == {"team": "a"}
    assert detail["CreationTime"] == round(job["CreationTime"].timestamp() * 1000)
    assert detail["ModelArtifacts"] == job["ModelArtifacts"]
    seen = {event["detail"]["SecondaryStatus"] for event in received}
    assert {"Starting", "Downloading", "Training", "Uploading", "Completed"} <= seen | {"Starting"}


def test_an_operation_that_is_not_here_is_refused_by_name(jobs: Jobs) -> None:
    with pytest.raises(ClientError) as caught:
        jobs.sagemaker.list_auto_ml_jobs()
    assert caught.value.response["Error"]["Message"] == "not implemented here: ListAutoMLJobs"


def test_kill_9_ends_the_jobs_and_says_so_afterwards(fresh_aws: AwsFactory) -> None:
    aws = fresh_aws.start()
    jobs = Jobs(aws)
    request = jobs.training_request(
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        + GOES_ON_UNTIL_STOPPED
    )
    request["ResourceConfig"]["InstanceCount"] = 2
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    until(lambda: jobs.log_lines(name).count("ready") == 2, "both hosts' scripts run")
    pids = children_of(aws.server.pid)
    assert len(pids) >= 8  # of each host two of the container's, the script, and what it started
    os.kill(aws.server.pid, signal.SIGKILL)
    until_dead([aws.server.pid, *pids])

    again = fresh_aws.start().client("sagemaker")
    job = again.describe_training_job(TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("InternalServerError: the job was cut off in status Training")


def test_a_server_that_stops_takes_its_jobs_with_it(fresh_aws: AwsFactory) -> None:
    aws = fresh_aws.start()
    jobs = Jobs(aws)
    request = jobs.hearing_request(GOES_ON_UNTIL_STOPPED)
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(request["TrainingJobName"], "ready")
    pids = children_of(aws.server.pid)
    fresh_aws.stop()
    until_dead(pids)
    again = fresh_aws.start().client("sagemaker")
    job = again.describe_training_job(TrainingJobName=request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Failed"
