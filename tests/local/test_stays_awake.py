"""The server stays awake and small, whatever one job, one log or one request does."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from job_kit import Jobs
from resources import unique
from running_aws import Aws
from stacks import resource, template

MB = 1 << 20
GROUP = "/aws/sagemaker/TrainingJobs"
LINES = 50_000
FLOODS = f"""
import sys
print("f1: 0.5")
print("a" * 40 + "!")
for number in range({LINES}):
    sys.stdout.write(f"{{number:08d}} " + "x" * 991 + "\\n")
print("f1: 0.75")
print("y" * 200_000)
print("f1: 0.9")
"""


def memory(aws: Aws) -> int:
    """The server's resident bytes."""
    status = Path(f"/proc/{aws.server.pid}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


@contextmanager
def watched(aws: Aws) -> Iterator[dict[str, float]]:
    """Meanwhile: the most memory that the server took beyond now, and the longest that it kept somebody waiting."""
    seen, over, before, sts = {"grown": 0.0, "waited": 0.0}, threading.Event(), memory(aws), aws.client("sts")

    def look() -> None:
        while not over.wait(0.02):
            started = time.monotonic()
            sts.get_caller_identity()
            seen["waited"] = max(seen["waited"], time.monotonic() - started)
            seen["grown"] = max(seen["grown"], float(memory(aws) - before))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def test_a_job_that_floods_its_log_beside_expressions_that_explode(aws: Aws) -> None:
    """Its other metrics are found until a line takes too long; then its log says why, and nobody waited for it."""
    jobs = Jobs(aws)
    request = jobs.training_request(FLOODS)
    request["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "boom", "Regex": "(a+)+$"},
        {"Name": "f1", "Regex": r"f1: ([0-9.]+)"},
        {"Name": "slow", "Regex": "((y+y+)+z|y)"},
    ]
    jobs.sagemaker.create_training_job(**request)
    name = request["TrainingJobName"]
    with watched(aws) as seen:
        job = jobs.ended(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert {metric["MetricName"]: round(metric["Value"], 3) for metric in job["FinalMetricDataList"]} == {"f1": 0.75}
    assert seen["grown"] < 100 * MB, "50 MB of lines would be 500 MB of objects"
    assert seen["waited"] < 10

    told = jobs.logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix=f"{name}/", filterPattern="metric slow")
    while "nextToken" in told and not told["events"]:
        told = jobs.logs.filter_log_events(
            logGroupName=GROUP, logStreamNamePrefix=f"{name}/", filterPattern="slow", nextToken=told["nextToken"]
        )
    assert "The expression of metric slow took more than 1 s on a line" in told["events"][0]["message"]
    assert sum("x" * 991 in line for line in jobs.log_lines(name)) == LINES, "every line is there, in pages"
    stream = jobs.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"][0]
    jobs.logs.delete_log_stream(logGroupName=GROUP, logStreamName=stream["logStreamName"])


def test_an_expression_that_is_not_taken_is_refused_when_the_job_is_made(aws: Aws) -> None:
    jobs = Jobs(aws)
    request = jobs.training_request("print()")
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "f1", "Regex": r"(?<=f1: )([0-9.]+)"}]
    with pytest.raises(ClientError, match="without lookaround, back-references"):
        jobs.sagemaker.create_training_job(**request)


# ------------------------------------------------------------------------------------------------ requests


def sent(aws: Aws, body: bytes, **headers: str) -> tuple[int, str]:
    """A request as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", aws.server.port, timeout=60)
    connection.request("POST", "/", body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def signed(aws: Aws, service: str, target: str, body: bytes, **headers: str) -> tuple[int, str]:
    """A request as the root user signs it."""
    request = AWSRequest("POST", aws.server.endpoint_url + "/", data=body, headers={"X-Amz-Target": target, **headers})
    key = Credentials(aws.server.access_key_id, aws.server.secret_access_key)
    SigV4Auth(key, service, aws.server.region).add_auth(request)
    return sent(aws, body, **dict(request.headers))


def test_nothing_is_unpacked_for_nobody_and_only_so_much_for_somebody(aws: Aws) -> None:
    bomb = gzip.compress(bytes(300 * MB))
    named = {"Content_Encoding": "gzip", "X_Amz_Target": "Logs_20140328.PutLogEvents"}
    wrong = (
        "AWS4-HMAC-SHA256 Credential=AKIANOBODY/20260101/us-east-1/logs/aws4_request, SignedHeaders=host, Signature=0"
    )
    with watched(aws) as seen:
        assert sent(aws, bomb, **named)[0] in (400, 403)
        assert sent(aws, bomb, **named, Authorization=wrong)[0] in (400, 403)
        status, told = signed(aws, "logs", named["X_Amz_Target"], bomb, **{"Content-Encoding": "gzip"})
    assert (status, "unpacks to more than" in told) == (413, True)
    assert seen["grown"] < 60 * MB
    assert signed(
        aws, "logs", "Logs_20140328.DescribeLogGroups", gzip.compress(b"{}"), **{"Content-Encoding": "gzip"}
    )[0] == 200, "a body that somebody packed is unpacked"  # fmt: skip
    assert sent(aws, bytes(2 * MB), X_Amz_Target="AmazonSSM.GetParameter")[0] == 413


@pytest.mark.parametrize(
    ("service", "target"),
    [
        ("dynamodb", "DynamoDB_20120810.PutItem"),
        ("sqs", "AmazonSQS.SendMessage"),
        ("logs", "Logs_20140328.PutLogEvents"),
        ("events", "AWSEvents.PutEvents"),
        ("states", "AWSStepFunctions.StartExecution"),
        ("ssm", "AmazonSSM.PutParameter"),
        ("sagemaker", "SageMaker.CreateModel"),
        ("kms", "TrentService.Encrypt"),
    ],
)
def test_a_malformed_request_is_the_clients_error(aws: Aws, service: str, target: str) -> None:
    bodies = [
        b"[" * 5000 + b"]" * 5000, b'{"a":' * 700 + b"1" + b"}" * 700, b'{"a": ' + b"9" * 5000 + b"}",
        b"[]", b'"x"', b"nope", b"\xff\xfe", b'{"Entries": 5, "logEvents": 5, "MessageBody": 5, "Item": 5, "Tags": 5}',
        b'{"Name": "\\ud800", "ModelName": "\\ud800", "logGroupName": "\\ud800"}',
    ]  # fmt: skip
    answers = [signed(aws, service, target, body) for body in bodies]
    # PutEvents of no entries, in the last, fails nobody.
    assert [status for status, _ in answers[:-1]] == [400] * (len(bodies) - 1), answers
    assert answers[-1][0] in (200, 400)
    assert not [told for _, told in answers if "Traceback" in told or "InternalError" in told]


def test_templates_that_would_never_end_are_refused_at_once(aws: Aws) -> None:
    cloudformation = aws.client("cloudformation")
    bomb = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
    with pytest.raises(ClientError, match="YAML aliases are not allowed in CloudFormation templates"):
        cloudformation.create_stack(StackName=unique("bomb"), TemplateBody="\n".join(bomb))
    explosive = json.loads(template({"T": resource("AWS::SNS::Topic")}))
    explosive["Parameters"] = {"P": {"Type": "String", "AllowedPattern": "(a+)+b", "Default": "a" * 40}}
    with pytest.raises(ClientError, match="must match pattern"):
        cloudformation.create_stack(StackName=unique("explosive"), TemplateBody=json.dumps(explosive))


def test_queries_and_policies_whose_patterns_explode(aws: Aws) -> None:
    logs, group = aws.client("logs"), unique("group")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    event = {"timestamp": int(time.time() * 1000), "message": "a" * 40 + "!"}
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[event])
    times = {"startTime": int(time.time()) - 60, "endTime": int(time.time()) + 60}
    query = "fields @message | filter @message like /(a+)+$/"
    found = logs.get_query_results(queryId=logs.start_query(logGroupName=group, queryString=query, **times)["queryId"])
    assert (found["results"], found["statistics"]["recordsScanned"]) == ([], 1.0)
    with pytest.raises(ClientError, match="MalformedQueryException"):
        logs.start_query(logGroupName=group, queryString="filter @message like /(?=a)/", **times)
    policy = {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:ssm:*:parameter/" + "*a" * 25 + "b"}
    simulated = aws.client("iam").simulate_custom_policy(
        PolicyInputList=[json.dumps({"Version": "2012-10-17", "Statement": [policy]})],
        ActionNames=["ssm:GetParameter"],
        ResourceArns=["arn:aws:ssm:us-east-1:000000000000:parameter/" + "a" * 2000],
    )
    assert simulated["EvaluationResults"][0]["EvalDecision"] == "implicitDeny"
