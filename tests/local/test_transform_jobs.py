"""Batch transform jobs on the embedded AWS, through boto3 as their users do it."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from job_kit import Jobs, children_of, until_dead
from resources import allow
from running_aws import Aws, AwsFactory
from state_machines import machine
from transform_kit import FEATURES, SUMS, Transforms
from waiting import until

from bench import batch
from contract.batches import bad_rows

ROWS = 20_000  # of 62 characters, more than the container takes at once


@pytest.fixture(scope="module")
def transforms(aws: Aws) -> Transforms:
    return Transforms(Jobs(aws))


@pytest.fixture(scope="module")
def joined(transforms: Transforms) -> dict[str, Any]:
    """A job on two instances that joined each row of three files with its answer."""
    rows = "".join(f"{number:057},{number % 7},{number % 3}\n" for number in range(ROWS))
    uri = transforms.put(a_csv=rows, deep__b_csv="x,2,3\ny,5,6", deep__empty_csv="")
    request = transforms.request(
        uri,
        DataProcessing={"InputFilter": "$[1:]", "JoinSource": "Input", "OutputFilter": "$[0,-1]"},
        Environment={"MY_OWN": "variable"},
        MaxConcurrentTransforms=2,
        Tags=[{"Key": "team", "Value": "blue"}],
    )
    request["TransformResources"]["InstanceCount"] = 2
    return transforms.run(request)


@pytest.mark.fidelity(
    "Transform jobs",
    "Each object's result has its name below the prefix with .out; its rows are in the order of the object's.",
    "SageMaker API, TransformOutput: S3OutputPath; DG, Use Batch Transform to Get Inferences from Large Datasets",
)
def test_every_row_is_answered_once_in_order_and_joined(transforms: Transforms, joined: dict[str, Any]) -> None:
    assert joined["TransformJobStatus"] == "Completed", joined.get("FailureReason")
    results = transforms.results(joined)
    assert set(results) == {"a.csv.out", "deep/b.csv.out", "deep/empty.csv.out"}
    assert results["a.csv.out"].splitlines() == [f"{number:057},{number % 7 + number % 3}" for number in range(ROWS)]
    assert (results["deep/b.csv.out"], results["deep/empty.csv.out"]) == ("x,5\ny,11\n", "")


@pytest.mark.fidelity(
    "Transform jobs",
    "The container has the variables of model, job and SAGEMAKER_BATCH; what it doesn't say at /execution-parameters "
    "is the default; the data log tells the settings.",
    "SageMaker DG, Use Your Own Inference Code with Batch Transform; aws/amazon-sagemaker-examples#1620",
)
def test_the_container_and_the_data_log(transforms: Transforms, joined: dict[str, Any]) -> None:
    lines = transforms.log(joined)
    told = [json.loads(line.removeprefix("VARIABLES")) for line in lines if line.startswith("VARIABLES")]
    assert len(told) == 2, "an instance each"
    expected = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2", "MY_OWN": "variable"}
    assert expected.items() <= told[0].items()
    assert not {"SAGEMAKER_MAX_PAYLOAD_IN_MB", "SAGEMAKER_BATCH_STRATEGY"} & set(told[0])
    settings = "[sagemaker logs]: MaxConcurrentTransforms=2, MaxPayloadInMB=1, BatchStrategy=MULTI_RECORD"
    assert sum(line.endswith(settings) for line in lines) == 2
    assert {line for line in lines if line.startswith("ASKED")} >= {"ASKED 2 text/csv text/csv"}


@pytest.mark.fidelity(
    "Transform jobs",
    "Logs are in /aws/sagemaker/TransformJobs: a stream of each instance's container, NAME/INSTANCE-EPOCH, and its "
    "data-log.",
    "SageMaker DG, Log Amazon SageMaker Events with Amazon CloudWatch; comic/grand-challenge.org, "
    "app/grandchallenge/components/backends/amazon_sagemaker_batch.py",
)
def test_the_streams_of_the_logs(transforms: Transforms, joined: dict[str, Any]) -> None:
    found = streams(transforms, joined)
    assert len(found) == 4
    assert all(re.fullmatch(r"i-[0-9a-f]{17}-\d{10}(/data-log)?", stream) for stream in found)
    assert found[1] == f"{found[0]}/data-log"


def streams(transforms: Transforms, job: dict[str, Any]) -> list[str]:
    """A job's log streams, without its name."""
    found = transforms.jobs.logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TransformJobs", logStreamNamePrefix=f"{job['TransformJobName']}/"
    )["logStreams"]
    return sorted(stream["logStreamName"].partition("/")[2] for stream in found)


@pytest.mark.fidelity(
    "Transform jobs",
    "DescribeTransformJob tells the request, the times and the status; ListTransformJobs summaries; tags are kept.",
    "botocore, DescribeTransformJobResponse and TransformJobSummary",
)
def test_a_job_is_described_and_listed(transforms: Transforms, joined: dict[str, Any]) -> None:
    assert joined["ModelName"] == transforms.model
    assert joined["TransformInput"]["CompressionType"] == "None"
    assert joined["CreationTime"] <= joined["TransformStartTime"] <= joined["TransformEndTime"]
    sagemaker = transforms.jobs.sagemaker
    listed = sagemaker.list_transform_jobs(NameContains=joined["TransformJobName"], StatusEquals="Completed")
    (summary,) = listed["TransformJobSummaries"]
    assert summary["TransformJobArn"] == joined["TransformJobArn"]
    assert summary["LastModifiedTime"] == joined["TransformEndTime"]
    assert sagemaker.list_tags(ResourceArn=joined["TransformJobArn"])["Tags"] == [{"Key": "team", "Value": "blue"}]
    with pytest.raises(ClientError, match=r"ResourceInUse.*Job name must be unique within an AWS account and region"):
        sagemaker.create_transform_job(
            **transforms.request(transforms.put(a="1"), TransformJobName=summary["TransformJobName"])
        )


@pytest.mark.fidelity(
    "Transform jobs",
    "A file with a bad record has no result, the others have theirs; the job fails, for the algorithm's fault or the "
    "client's, and the data log says which file and what the model answered.",
    "SageMaker DG, Batch Transform Errors; aws/sagemaker-tensorflow-serving-container#93; "
    "aws/amazon-sagemaker-examples#1620; aws/deep-learning-containers#586",
)
def test_a_file_with_a_bad_record_has_no_result(transforms: Transforms) -> None:
    uri = transforms.put(a_csv="1\n2", b_csv="1\nboom\n3", c_csv="refuse", d_csv="4")
    job = transforms.run(transforms.request(uri, ModelClientConfig={"InvocationsMaxRetries": 1}))
    assert (job["TransformJobStatus"], job["FailureReason"]) == (
        "Failed",
        "AlgorithmError: See job logs for more information",
    )
    assert transforms.results(job) == {"a.csv.out": "1\n2\n", "d.csv.out": "4\n"}
    lines = transforms.log(job)
    prefix = uri.removeprefix("s3://")
    told = "\n".join(line.partition("[sagemaker logs]: ")[2] for line in lines if "[sagemaker logs]" in line)
    assert (
        f"{prefix}b.csv: Bad HTTP status received from algorithm: 500\n{prefix}b.csv: \n{prefix}b.csv: Message:" in told
    )
    assert (
        f"{prefix}c.csv: ClientError: 400\n{prefix}c.csv: \n{prefix}c.csv: Message:\n{prefix}c.csv: no such row" in told
    )
    # What fails is asked again, what is refused isn't.
    assert (lines.count("ASKED 3 text/csv text/csv"), lines.count("ASKED 1 text/csv text/csv")) == (2, 2)


def test_bad_rows_do_not_lose_the_batch_where_the_model_is_asked_row_by_row(transforms: Transforms) -> None:
    """serve.py with the toolkit beside it, as a run packs it: each bad row is told by number."""
    names = ["toolkit/__init__.py", "toolkit/rows.py", "contract/__init__.py", "contract/batches.py"]
    root = Path(__file__).parents[2]
    folders = {"toolkit": root / "training_code", "contract": root}
    packed = {f"code/{name}": (folders[name.partition("/")[0]] / name).read_bytes() for name in names}
    serve = """
from toolkit.rows import row_by_row
def model_fn(directory): return 60
def input_fn(body, kind): return [int(row) for row in body.splitlines()]
def predict_fn(numbers, model): return [model // number for number in numbers]
def output_fn(answers, accept): return "\\n".join(map(str, answers)), accept
input_fn, predict_fn, output_fn = row_by_row(input_fn, predict_fn, output_fn)
"""
    rows = [*["1", "2", "x", "3"] * 500, "0", "5"]
    request = transforms.request(transforms.put(a_csv="\n".join(rows)), ModelName=transforms.new_model(serve, **packed))
    job = transforms.run({**request, "DataProcessing": {"JoinSource": "Input"}})
    assert job["TransformJobStatus"] == "Completed", job.get("FailureReason")
    lines = transforms.results(job)["a.csv.out"].splitlines()
    bad = list(bad_rows(lines))
    assert bad == [number for number, row in enumerate(rows, start=1) if row in "x0"]
    good = [(row, line) for row, line in zip(rows, lines, strict=True) if row not in "x0"]
    assert all(line == f"{row},{60 // int(row)}" for row, line in good)
    assert any(
        line.startswith("501 of 2002 rows have no answer; the first: ValueError(") for line in transforms.log(job)
    )


def test_single_records_compressed_files_and_manifests(transforms: Transforms) -> None:
    """Of a file that a manifest names, each line is a request; a caller's fault alone is a ClientError."""
    uri = transforms.put(a_csv_gz=gzip.compress(b"1,2\n3,4\n"), b_csv_gz=b"not compressed", left_csv_gz=b"")
    manifest = transforms.jobs.put("manifests/m.json", json.dumps([{"prefix": uri}, "a.csv.gz", "b.csv.gz"]))
    request = transforms.request(manifest, kind="ManifestFile", BatchStrategy="SingleRecord")
    request["TransformInput"]["CompressionType"] = "Gzip"
    job = transforms.run(request)
    assert job["FailureReason"] == "ClientError: See job logs for more information"
    assert transforms.results(job) == {"a.csv.gz.out": "3\n7\n"}
    lines = transforms.log(job)
    assert lines.count("ASKED 1 text/csv text/csv") == 2
    assert any("b.csv.gz: Not a gzipped file" in line for line in lines)


@pytest.mark.fidelity(
    "Transform jobs",
    "A container that doesn't become healthy fails the job: Model container failed to respond to ping.",
    "aws/amazon-sagemaker-examples#852",
)
@pytest.mark.fidelity(
    "Transform jobs",
    "A pipeline's containers answer a job's records in turn, each in a log <job>/<instance>-<time>/<hostname>.",
    "SageMaker DG, Run Batch Transforms with Inference Pipelines; Inference Pipeline Logs and Metrics",
)
def test_records_go_through_a_chain_many_at_a_time(transforms: Transforms) -> None:
    rows = [f"{'f' * 500},{number % 7},{number % 3}" for number in range(12_000)]
    uri = transforms.put(large_csv="\n".join(rows), bad_csv="a,1,2\nb,boom", small_csv="x,2,3\ny,5,6")
    processing = {"JoinSource": "Input", "OutputFilter": "$[1:]"}
    request = transforms.request(uri, BatchStrategy="MultiRecord", MaxPayloadInMB=8, DataProcessing=processing)
    request["ModelName"] = transforms.new_chain(FEATURES, SUMS)
    job = transforms.run(request)
    assert (job["TransformJobStatus"], job["FailureReason"]) == (
        "Failed", "AlgorithmError: See job logs for more information",
    )  # fmt: skip
    results = transforms.results(job)
    assert set(results) == {"large.csv.out", "small.csv.out"}
    answers = [f"{number % 7},{number % 3},{number % 7 + number % 3}" for number in range(12_000)]
    assert results["large.csv.out"].splitlines() == answers
    assert results["small.csv.out"] == "2,3,5\n5,6,11\n"
    told = transforms.log(job)
    assert {"CUT 12000 text/csv text/csv", "ASKED 12000 text/csv; charset=utf-8 text/csv"} <= set(told)
    assert {stream.split("/")[1] for stream in streams(transforms, job)} == {"container-1", "container-2", "data-log"}


def test_containers_that_end(transforms: Transforms) -> None:
    """Before they answer /ping, and in the middle of a request."""
    broken = transforms.new_model("def model_fn(directory):\n    raise KeyError('no model')")
    uri = transforms.put(a_csv="1", b_csv="exit")
    unhealthy = transforms.begin(transforms.request(uri, ModelName=broken))
    ends = transforms.begin(transforms.request(uri))
    assert transforms.ended(unhealthy)["FailureReason"] == (
        "AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is implemented and "
        "responds with an HTTP 200 status code"
    )
    job = transforms.ended(ends)
    assert job["FailureReason"] == "AlgorithmError: the model container ended with exit code 7"
    assert transforms.results(job) == {}


@pytest.mark.fidelity(
    "Transform jobs",
    "A job that is stopped stores nothing in S3, also of the files that it had answered.",
    "SageMaker API, StopTransformJob",
)
def test_a_stopped_job_stores_nothing(transforms: Transforms) -> None:
    name = transforms.begin(transforms.request(transforms.put(a_csv="1", b_csv="wait")))
    until(lambda: transforms.log({"TransformJobName": name}).count("ASKED 1 text/csv text/csv") == 2, "the second file")
    started = time.monotonic()
    transforms.jobs.sagemaker.stop_transform_job(TransformJobName=name)
    job = transforms.ended(name)
    assert job["TransformJobStatus"] == "Stopped"
    assert time.monotonic() - started < 5, "it doesn't wait for the answer"
    assert transforms.results(job) == {}
    with pytest.raises(ClientError, match="the transform job is in status Stopped"):
        transforms.jobs.sagemaker.stop_transform_job(TransformJobName=name)


def test_kill_9_ends_the_job_which_has_written_nothing(fresh_aws: AwsFactory) -> None:
    """As of a training job: it is Failed, and is started again as another."""
    aws = fresh_aws.start()
    before = Transforms(Jobs(aws))
    name = before.begin(before.request(before.put(a_csv="1", b_csv="wait")))
    until(lambda: before.log({"TransformJobName": name}).count("ASKED 1 text/csv text/csv") == 2, "the second file")
    pids = children_of(aws.server.pid)
    os.kill(aws.server.pid, signal.SIGKILL)
    until_dead([aws.server.pid, *pids])

    again = fresh_aws.start()
    job = again.client("sagemaker").describe_transform_job(TransformJobName=name)
    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("InternalServerError: the job was cut off in status InProgress")
    assert job["TransformEndTime"] >= job["TransformStartTime"]
    assert not again.client("s3").list_objects_v2(Bucket=before.jobs.bucket, Prefix="out/").get("Contents")


def test_an_answer_that_never_comes_is_given_up(transforms: Transforms) -> None:
    client = {"InvocationsTimeoutInSeconds": 1, "InvocationsMaxRetries": 0}
    job = transforms.run(transforms.request(transforms.put(b_csv="wait"), ModelClientConfig=client))
    assert job["FailureReason"] == "AlgorithmError: See job logs for more information"
    assert any(line.endswith("b.csv: Unable to get response from algorithm") for line in transforms.log(job))


def test_what_is_not_there_is_refused_before_anything_starts(transforms: Transforms) -> None:
    sagemaker, put = transforms.jobs.sagemaker, transforms.put(a_csv="1")
    empty = f"s3://{transforms.jobs.bucket}/nothing/"
    blind = transforms.jobs.make_role(["s3:GetObject"])
    uri = transforms.jobs.put("models/m/model.tar.gz", b"x")
    container = {"Image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"}
    source = {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "Gzip"}}
    for name, role, data in (
        ("blind", blind, {"ModelDataUrl": uri}),
        ("source", transforms.role, {"ModelDataSource": source}),
    ):
        sagemaker.create_model(ModelName=name, PrimaryContainer={**container, **data}, ExecutionRoleArn=role)
    elsewhere = {"S3OutputPath": "s3://no-such-bucket-at-all/out"}
    for request, says in (
        (transforms.request(put, ModelName="nobody"), 'Could not find model "arn:aws:sagemaker:.*:model/nobody"'),
        (transforms.request(empty), f'No S3 objects found under S3 URL "{empty}"'),
        (transforms.request(put, TransformOutput=elsewhere), "does not exist: no-such-bucket-at-all"),
        (transforms.request(put, ModelName="blind"), "is not authorized to perform: s3:ListBucket"),
        (transforms.request(put, ModelName="source"), "SageMaker Batch currently doesn't support Model entity"),
    ):
        with pytest.raises(ClientError, match=f"ValidationException.*{says}"):
            sagemaker.create_transform_job(**request)
    with pytest.raises(ClientError, match=r"ResourceNotFound.*Could not find requested job with name: nobody"):
        sagemaker.describe_transform_job(TransformJobName="nobody")


@pytest.mark.fidelity(
    "Step Functions",
    "createTransformJob.sync ends with the job and returns its description; it needs CreateTransformJob, "
    "DescribeTransformJob, StopTransformJob and the managed rule, and passes no role.",
    "Step Functions DG, Create and manage Amazon SageMaker AI jobs, and IAM policies for it",
)
def test_a_state_machine_waits_for_the_job(transforms: Transforms) -> None:
    rules = "arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForSageMakerTransformJobsRule"
    may = (
        allow("sagemaker:CreateTransformJob", "sagemaker:DescribeTransformJob", "sagemaker:StopTransformJob"),
        allow("sagemaker:AddTags", "sagemaker:ListTags"),
        allow("events:PutTargets", "events:PutRule", "events:DescribeRule", resource=rules),
    )
    request = transforms.request(transforms.put(a_csv="1,2"))
    resource = "arn:aws:states:::sagemaker:createTransformJob.sync"
    states = {"T": {"Type": "Task", "Resource": resource, "Arguments": request, "End": True}}
    ended = machine(transforms.jobs.aws, states, *may).run()
    assert ended["status"] == "SUCCEEDED", ended.get("cause")
    assert ended["output"]["TransformJobStatus"] == "Completed"
    assert ended["output"]["TransformEndTime"] > ended["output"]["TransformStartTime"] > 1e12, "milliseconds"


def test_the_benchmark_on_a_small_size(aws: Aws) -> None:
    """Every row as the bare predict loop answers it."""
    found = batch.compared(aws.client, True, lambda _text: None)
    assert found["figures"]["wrong_rows"] == 0
    assert found["figures"]["rows"] == batch.SMALL_ROWS
    assert found["figures"]["throughput_ratio"] > 0
    assert len(found["samples"]["throughput_ratio"]) == batch.SMALL
