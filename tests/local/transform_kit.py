"""A kit for the tests of transform jobs: a bucket, a role, models whose answers depend on what they are asked."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from hosting_kit import archive
from image_uris import SKLEARN
from job_kit import ALL_THAT_JOBS_NEED, TELEMETRY, Jobs
from waiting import until

Document = dict[str, Any]
GROUP = "/aws/sagemaker/TransformJobs"
# Answers a row with the sum of its numbers. A row `boom` is an error, `refuse` one of the caller's, `wait` takes long.
SUMS = """
import json, os, time

class Refusal:
    status_code, content_type, headers = 400, "text/plain", {}
    def get_data(self):
        return b"no such row"

def model_fn(model_dir):
    print("VARIABLES", json.dumps({name: value for name, value in os.environ.items() if name.startswith("SAGEMAKER_")
                                   or name == "MY_OWN"}), flush=True)

def transform_fn(model, body, content_type, accept):
    rows = (body if isinstance(body, str) else body.decode()).splitlines()
    print("ASKED", len(rows), content_type, accept, flush=True)
    if "refuse" in rows:
        return Refusal()
    if "wait" in rows:
        time.sleep(600)
    if "exit" in rows:
        os._exit(7)
    return "\\n".join(str(sum(map(int, row.split(",")))) for row in rows), accept

def execution_parameters_fn():
    return {"MaxPayloadInMB": 1, "BatchStrategy": "MULTI_RECORD"}
"""

# Drops each row's first column.
FEATURES = """
def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    rows = (body if isinstance(body, str) else body.decode()).splitlines()
    print("CUT", len(rows), content_type, accept, flush=True)
    return "\\n".join(row.partition(",")[2] for row in rows), accept
"""


@dataclass
class Transforms:
    """Transform jobs on an embedded AWS, in the bucket and with the role of a kit of jobs."""

    jobs: Jobs
    model: str = ""
    role: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.role = self.jobs.make_role([*ALL_THAT_JOBS_NEED, *TELEMETRY])
        self.model = self.new_model(SUMS)

    def new_model(self, serve: str, **more: str | bytes) -> str:
        """A model that answers with a serve.py, with other files by path; its name."""
        return self._made(PrimaryContainer=self._container(serve, more))

    def new_chain(self, *serves: str) -> str:
        """A model of several containers, which answer text/csv to each other; its name."""
        return self._made(Containers=[self._container(serve, {}) for serve in serves])

    def _made(self, **containers: Any) -> str:
        name = self.jobs.name("model")
        self.jobs.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.role, **containers)
        return name

    def _container(self, serve: str, more: dict[str, str | bytes]) -> Document:
        uri = self.jobs.put(f"models/{uuid.uuid4().hex}/model.tar.gz", archive({"code/serve.py": serve, **more}))
        environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"}
        return {"Image": SKLEARN, "ModelDataUrl": uri, "Environment": environment}

    def put(self, **files: str | bytes) -> str:
        """A prefix with these objects in it (``_`` for a dot, ``__`` for a slash); its URI, with a slash."""
        prefix = f"in/{uuid.uuid4().hex}"
        for name, content in files.items():
            self.jobs.put(f"{prefix}/{name.replace('__', '/').replace('_', '.')}", content)
        return f"s3://{self.jobs.bucket}/{prefix}/"

    def request(self, uri: str, *, kind: str = "S3Prefix", split: str = "Line", **changes: Any) -> Document:
        """A job that answers rows of CSV, a file after another."""
        source = {"S3DataSource": {"S3DataType": kind, "S3Uri": uri}}
        return {
            "TransformJobName": self.jobs.name("transform"),
            "ModelName": self.model,
            "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": split},
            "TransformOutput": {"S3OutputPath": self.output, "Accept": "text/csv", "AssembleWith": "Line"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            **changes,
        }

    @property
    def output(self) -> str:
        """A prefix of one job's own for its results."""
        return f"s3://{self.jobs.bucket}/out/{uuid.uuid4().hex}"

    def begin(self, request: Document) -> str:
        self.jobs.sagemaker.create_transform_job(**request)
        return str(request["TransformJobName"])

    def run(self, request: Document) -> Document:
        """Run a job to its end; its description."""
        return self.ended(self.begin(request))

    def ended(self, name: str) -> Document:
        def over() -> Document | None:
            job: Document = self.jobs.sagemaker.describe_transform_job(TransformJobName=name)
            return job if job["TransformJobStatus"] in ("Completed", "Failed", "Stopped") else None

        job: Document = until(over, f"{name} to end")
        return job

    def results(self, job: Document) -> dict[str, str]:
        """What a job has written, by the name below its output."""
        prefix = job["TransformOutput"]["S3OutputPath"].removeprefix(f"s3://{self.jobs.bucket}/") + "/"
        return {key.removeprefix(prefix): self.jobs.get(key).decode() for key in self.jobs.keys(prefix)}

    def log(self, job: Document) -> list[str]:
        """All lines of a job's logs, its containers' and its data logs'."""
        return self.jobs.log_lines(job["TransformJobName"], GROUP)
