"""A kit for the tests of jobs: a bucket with data and scripts, roles, and requests that are a line to change."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hosting_kit import TRUST, archive
from image_uris import SKLEARN
from running_aws import Aws
from waiting import until

from infra.workflow.first_process import passing_signals_on

Document = dict[str, Any]
ALL_THAT_JOBS_NEED = ["s3:ListBucket", "s3:GetObject", "s3:PutObject"]
# Without these a job does its work, and nothing is seen of it.
TELEMETRY = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "cloudwatch:PutMetricData"]
GOES_ON_UNTIL_STOPPED = """
import os, signal, sys, time
def stop(*_):
    print("stopping", flush=True)
    open(os.environ["SM_MODEL_DIR"] + "/partial.txt", "w").write("so far")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(600)
"""


def hearing(request: Document) -> Document:
    """A request for a training job, with a first process that passes SIGTERM on to the script."""
    algorithm = {**request["AlgorithmSpecification"], **passing_signals_on()}
    return {**request, "AlgorithmSpecification": algorithm}


OBJECTIVE = "validation:f1"


def one_range(name: str, low: str, high: str, **more: str) -> Document:
    """ParameterRanges of one continuous hyperparameter."""
    return {"ContinuousParameterRanges": [{"Name": name, "MinValue": low, "MaxValue": high, **more}]}


@dataclass
class Jobs:
    """Jobs on an embedded AWS, in a bucket and under names of this object's own."""

    aws: Aws
    prefix: str = field(default_factory=lambda: "t" + uuid.uuid4().hex[:8])

    def __post_init__(self) -> None:
        self.s3, self.sagemaker = self.aws.client("s3"), self.aws.client("sagemaker")
        self.iam, self.logs = self.aws.client("iam"), self.aws.client("logs")
        self.bucket = f"{self.prefix}-bucket"
        self.s3.create_bucket(Bucket=self.bucket)
        for number in range(3):
            self.put(f"train/part-{number}.csv", f"{number},1\n")
        self.role = self.make_role([*ALL_THAT_JOBS_NEED, *TELEMETRY])

    def put(self, key: str, content: str | bytes) -> str:
        """Write an object; its URI."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)
        return f"s3://{self.bucket}/{key}"

    def get(self, key: str) -> bytes:
        content: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def keys(self, prefix: str = "") -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]

    def name(self, of: str = "job") -> str:
        return f"{self.prefix}-{of}-{uuid.uuid4().hex[:6]}"

    def make_role(self, actions: list[str], trust: Document = TRUST, resource: str = "*") -> str:
        """A role that may do `actions` and no more; its ARN."""
        name = self.name("role")
        arn: str = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        statement = {"Effect": "Allow", "Action": actions, "Resource": resource}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        self.iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        return arn

    def source(self, script: str | bytes, **more: str) -> str:
        """A source archive with train.py and other files by name (``_`` for a dot); its URI."""
        files: dict[str, str | bytes] = {"train.py": script}
        files |= {name.replace("_", "."): content for name, content in more.items()}
        return self.put(f"code/{uuid.uuid4().hex}/sourcedir.tar.gz", archive(files))

    def training_request(self, script: str | bytes, *, source: str | None = None, **changes: Any) -> Document:
        """A training job in script mode that runs `script`."""
        return {
            "TrainingJobName": self.name("train"),
            "RoleArn": self.role,
            "AlgorithmSpecification": {"TrainingImage": SKLEARN, "TrainingInputMode": "File"},
            "HyperParameters": self.script_mode(source or self.source(script)),
            "InputDataConfig": [self.channel("train", f"s3://{self.bucket}/train")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 300},
            **changes,
        }

    def hearing_request(self, script: str | bytes, **changes: Any) -> Document:
        """A training job whose script hears SIGTERM, which a framework image's own `train` keeps from it."""
        return hearing(self.training_request(script, **changes))

    def tuning_request(self, source: str, *, definition: Document | None = None, **config: Any) -> Document:
        """A tuning job of three random trials of a source's script, two at once, by the `f1=0.5;` that it prints."""
        return {
            "HyperParameterTuningJobName": self.name("hpo"),
            "HyperParameterTuningJobConfig": {
                "Strategy": "Random",
                "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": OBJECTIVE},
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2},
                "ParameterRanges": one_range("lr", "0.1", "0.9"),
                **config,
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": self.script_mode(source),
                "AlgorithmSpecification": {
                    "TrainingImage": SKLEARN,
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": OBJECTIVE, "Regex": "f1=([0-9.]+);"}],
                },
                "RoleArn": self.role,
                "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/out"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
                "StoppingCondition": {"MaxRuntimeInSeconds": 300},
                **(definition or {}),
            },
        }

    def script_mode(self, source: str, program: str = "train.py") -> dict[str, str]:
        """Hyperparameters of script mode, JSON-encoded as the SDK does."""
        return {"sagemaker_program": json.dumps(program), "sagemaker_submit_directory": json.dumps(source)}

    def channel(self, name: str, uri: str, kind: str = "S3Prefix", **more: Any) -> Document:
        return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}}, **more}

    def train(self, script: str | bytes, **changes: Any) -> Document:
        """Run a training job to its end; its description."""
        request = self.training_request(script, **changes)
        self.sagemaker.create_training_job(**request)
        return self.ended(request["TrainingJobName"])

    def some_seconds(self) -> int:
        """A time limit in which a job's script surely begins, at the speed that the machine has now."""
        job = self.train("print('begun')")
        return 1 + math.ceil(3 * (job["LastModifiedTime"] - job["CreationTime"]).total_seconds())

    def ended(self, name: str) -> Document:
        return self._until_status(name, lambda job: job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"))

    def until_secondary(self, name: str, status: str) -> Document:
        return self._until_status(name, lambda job: job["SecondaryStatus"] == status)

    def until_logged(self, name: str, line: str) -> None:
        until(lambda: line in self.log_lines(name), f"{name} logs {line!r}")

    def log_lines(self, name: str, group: str = "/aws/sagemaker/TrainingJobs") -> list[str]:
        """The lines that a job has logged so far."""
        return [line for lines in self.lines_by_stream(name, group).values() for line in lines]

    def lines_by_stream(self, name: str, group: str = "/aws/sagemaker/TrainingJobs") -> dict[str, list[str]]:
        """The same by log stream, of which each host has one."""
        streams = self._streams(group, name)
        return {stream: [event["message"] for event in self._events(group, stream)] for stream in streams}

    def processing_request(self, script: str, **changes: Any) -> Document:
        """A processing job that runs `script` with the train prefix at input/data and an output at output."""
        code = self.put(f"code/{uuid.uuid4().hex}/run.py", script)
        return {
            "ProcessingJobName": self.name("process"),
            "RoleArn": self.role,
            "AppSpecification": {
                "ImageUri": SKLEARN,
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/run.py"],
            },
            "ProcessingResources": {
                "ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
            },
            "ProcessingInputs": [
                self.processing_input("code", code),
                self.processing_input("data", f"s3://{self.bucket}/train/"),
            ],
            "ProcessingOutputConfig": {"Outputs": [self.processing_output("output")]},
            **changes,
        }

    def processing_input(self, name: str, uri: str, kind: str = "S3Prefix") -> Document:
        path = f"/opt/ml/processing/input/{name}"
        return {
            "InputName": name,
            "S3Input": {"S3Uri": uri, "LocalPath": path, "S3DataType": kind, "S3InputMode": "File"},
        }

    def processing_output(self, name: str, mode: str = "EndOfJob") -> Document:
        uri = f"s3://{self.bucket}/processed/{self.prefix}/{name}"
        path = f"/opt/ml/processing/{name}"
        return {"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": mode}}

    def process(self, script: str, **changes: Any) -> Document:
        """Run a processing job to its end; its description."""
        request = self.processing_request(script, **changes)
        self.sagemaker.create_processing_job(**request)
        return self.processed(request["ProcessingJobName"])

    def processed(self, name: str) -> Document:
        def over() -> Document | None:
            job: Document = self.sagemaker.describe_processing_job(ProcessingJobName=name)
            return job if job["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped") else None

        job: Document = until(over, f"{name} to end")
        return job

    def _until_status(self, name: str, condition: Callable[[Document], bool]) -> Document:
        def look() -> Document | None:
            job: Document = self.sagemaker.describe_training_job(TrainingJobName=name)
            return job if condition(job) else None

        job: Document = until(look, f"{name} to get on")
        return job

    def _streams(self, group: str, name: str) -> list[str]:
        try:
            found = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")
        except self.logs.exceptions.ResourceNotFoundException:
            return []
        return [stream["logStreamName"] for stream in found["logStreams"]]

    def _events(self, group: str, stream: str) -> Iterator[Document]:
        arguments = {"logGroupName": group, "logStreamName": stream, "startFromHead": True}
        token = None
        while True:
            page = self.logs.get_log_events(**arguments, **({"nextToken": token} if token else {}))
            yield from page["events"]
            if not page["events"] or page["nextForwardToken"] == token:
                return
            token = page["nextForwardToken"]


def is_alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and isn't reaped doesn't)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until_dead(pids: list[int]) -> None:
    until(lambda: not any(map(is_alive, pids)), f"the end of {pids}")


def children_of(pid: int) -> list[int]:
    """All processes below one."""
    found, queue = [], [pid]
    while queue:
        parent = queue.pop()
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            below = [int(child) for child in path.read_text().split()]
            found += below
            queue += below
    return found
