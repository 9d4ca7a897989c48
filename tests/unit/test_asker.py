"""What the models behind HTTP are asked, and how it is told why one has no answers."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pytest
from asker import handler, hearing, rows
from memory_aws import Aws, installed

from contract import functions, held_out_requests
from contract.held_out import HeldOutError, Reading

RUN = {"pipeline": "digits", "run_id": "20261120-101112-abcd", "trigger": {"kind": "data"}}
FOLDER = "runs/digits/20261120-101112-abcd/"
FIRST, BY_NAME = Reading(), Reading(label="kind")


def asked(files: Mapping[str, str | bytes], how: Reading = FIRST) -> list[rows.Part]:
    content = {name: text if isinstance(text, bytes) else text.encode() for name, text in files.items()}
    return list(rows.parts(list(files), how, content.__getitem__))


def lines(files: Mapping[str, str | bytes], how: Reading = FIRST) -> list[str]:
    return [line for part in asked(files, how) for line in part.text.splitlines()]


# ------------------------------------------------------------------------------------------------------------- asking


@pytest.mark.parametrize(
    ("files", "how", "expected"),
    [
        ({"a.csv": "0,1,2\n1,3,4\n"}, Reading(), ["1,2", "3,4"]),
        ({"a.csv": "0,1,2\r\n\r\n1,3,4\r\n"}, Reading(label=2), ["0,1", "1,3"]),
        ({"a.csv": "x,kind,y\n1,a,2\n3,b,4\n"}, BY_NAME, ["1,2", "3,4"]),
        ({"a.csv": '\ufeffx,kind,y\n"1,5",a,"say ""no"""\n'}, BY_NAME, ['"1,5","say ""no"""']),
        ({"b.csv": "x,kind,y\n3,b,4\n", "a.csv": "x,kind,y\n1,a,2\n"}, BY_NAME, ["1,2", "3,4"]),
        ({"a.csv.gz": gzip.compress(b"0,1,2\n")}, Reading(), ["1,2"]),
        ({"a.tsv": "0\t1,5\t2\n"}, Reading(), ['"1,5",2']),
        ({"a.jsonl": '{"n": 1, "label": "é"}\n\n{"n": "ü", "label": 2}\n'}, Reading(), ['{"n": 1}', '{"n": "ü"}']),
        ({"a.csv": "0,1,2,7\n"}, Reading(label=(0, 3)), ["1,2"]),
        ({"_SUCCESS": "", ".hidden": "", "a.csv": "0,1\n"}, Reading(), ["1"]),
    ],
)
def test_rows_are_asked_without_label_and_header(
    files: dict[str, str | bytes], how: Reading, expected: list[str]
) -> None:
    assert lines(files, how) == expected


def test_a_part_is_of_one_file_and_of_so_many_rows() -> None:
    """So that a sentence about an answer can say which rows were asked."""
    most = held_out_requests.ROWS
    parts = asked({"a.csv": "".join(f"0,{n}\n" for n in range(most + 2)), "b.csv": "1,7\n"})
    assert [part.told for part in parts] == [
        {"name": "part-00000.csv", "rows": most, "first": "a.csv:1", "last": f"a.csv:{most}"},
        {"name": "part-00001.csv", "rows": 2, "first": f"a.csv:{most + 1}", "last": f"a.csv:{most + 2}"},
        {"name": "part-00002.csv", "rows": 1, "first": "b.csv:1", "last": "b.csv:1"},
    ]


@pytest.mark.parametrize(
    ("files", "how", "message"),
    [
        ({"a.npz": b"PK"}, Reading(), "the held-out files are npz, but the models of an image of your own are asked"),
        ({"cat/a.png": b"\x89PNG"}, Reading(), "the held-out files are images, but"),
        ({"a.parquet": b"PAR1"}, Reading(), "the held-out files are parquet, but"),
        ({"a.manifest": "{}"}, Reading(), "write them as one of csv, tsv, jsonlines"),
        ({"a.csv": '0,"one\ntwo"\n'}, Reading(), "a.csv:1 has a line break in a field, at which a batch transform"),
        ({"a.csv": "0,1\n", "b.jsonl": "{}"}, Reading(), "held-out files of 2 kinds"),
        ({"a.csv": "0,1\n1,2,3\n"}, Reading(), "a.csv:2 has 3 columns, but a.csv:1 has 2"),
        ({"a.csv": "x,y\n1,2\n"}, BY_NAME, "the label 'kind' isn't among the columns of a.csv:1"),
        ({"a.csv": ""}, Reading(), "no example in a.csv"),
        ({"a.csv.gz": b"0,1\n"}, Reading(), "a.csv.gz is not gzipped, or cut off"),
        ({"a.jsonl": '{"n": 1}\n'}, Reading(), "a.jsonl:1 has no label 'label'"),
        ({"a.jsonl": '{"n": "\\ud83d", "label": 1}\n'}, Reading(), "a.jsonl:1 holds half of a character"),
        ({"a.jsonl": b'{"n": "\xe9", "label": 1}\n'}, Reading(), "a.jsonl is no text in UTF-8"),
        ({"a.csv": f"0,{'x' * (6 << 20)}\n"}, Reading(), "a.csv:1 is longer than the 6 MiB that a request may have"),
    ],
)
def test_what_cannot_be_asked_line_by_line(files: dict[str, str | bytes], how: Reading, message: str) -> None:
    with pytest.raises(HeldOutError) as refusal:
        asked(files, how)
    assert message in str(refusal.value)


def test_a_file_that_a_function_cannot_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out_requests, "MOST_FILE_BYTES", 1 << 20)
    with pytest.raises(HeldOutError, match=r"a.csv.gz has more than 1 MiB, which is the most .* divide it"):
        asked({"a.csv.gz": gzip.compress(b"0,1\n" * (1 << 19))})


def test_a_small_archive_of_a_large_file_is_not_unpacked_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out_requests, "MOST_FILE_BYTES", 1 << 16)
    archive = gzip.compress(b"0,1\n" * (1 << 23))
    tracemalloc.start()
    with pytest.raises(HeldOutError, match=r"a.csv.gz has more than 0 MiB"):
        asked({"a.csv.gz": archive})
    assert tracemalloc.get_traced_memory()[1] < 1 << 20, "of 32 MiB"
    tracemalloc.stop()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    monkeypatch.setenv(functions.ARTIFACT_BUCKET, "artifacts")
    aws = installed(monkeypatch)
    manifest = [{"prefix": "s3://data/digits/test/"}, "b.csv", "a.csv"]
    aws.s3.objects["artifacts", f"{FOLDER}manifests/test.manifest"] = json.dumps(manifest).encode()
    aws.s3.objects["data", "digits/test/a.csv"] = b"0,1,2\n"
    aws.s3.objects["data", "digits/test/b.csv"] = b"1,3,4\n2,5,6\n"
    return aws


def ask(aws: Aws) -> dict[str, Any]:
    event = {"run": RUN, "held_out": asdict(Reading()), "manifest": f"s3://artifacts/{FOLDER}manifests/test.manifest"}
    return handler.handle(event, None)


def test_the_parts_are_written_and_their_index(aws: Aws) -> None:
    assert ask(aws) == {"content_type": "text/csv", "parts": 2, "rows": 3}
    assert aws.s3.objects["artifacts", f"{FOLDER}asked/part-00000.csv"] == b"1,2\n"
    assert aws.s3.objects["artifacts", f"{FOLDER}asked/part-00001.csv"] == b"3,4\n5,6\n"
    index = json.loads(aws.s3.objects["artifacts", f"{FOLDER}asked.json"])
    assert [part["last"] for part in index] == ["a.csv:1", "b.csv:2"]


def test_where_the_data_lie_is_said(aws: Aws) -> None:
    aws.s3.objects["data", "digits/test/b.csv"] = b"1\n"
    with pytest.raises(
        handler.HeldOutDataError, match=r"the held-out data \(s3://data/digits/test/\): b.csv:1 has one"
    ):
        ask(aws)


# ------------------------------------------------------------------------------------------------------------- hearing

INDEX = [
    {"name": "part-00000.csv", "rows": 5000, "first": "a.csv:2", "last": "a.csv:5001"},
    {"name": "part-00001.csv", "rows": 1, "first": "b.csv:2", "last": "b.csv:2"},
]
KEY = "artifacts/runs/digits/x/asked"


def log(*texts: str, key: str = f"{KEY}/part-00000.csv") -> list[str]:
    return [f"2026-11-20T10:11:12.123:[sagemaker logs]: {key}: {text}" for text in texts]


def job(status: str = "Failed", reason: str = "AlgorithmError: See job logs for more information") -> dict[str, Any]:
    described = {"TransformJobName": "x", "TransformJobStatus": status, "FailureReason": reason}
    return {"job": "x", "description": None, "wrong": {"error": "States.TaskFailed", "cause": json.dumps(described)}}


BAD = "Bad HTTP status received from algorithm: 500"
TRACEBACK = ("Traceback (most recent call last):", '  File "x.py", line 1', "ValueError: odd")
MANY = " a.csv:2 to a.csv:5001 (5000 rows)"
REASON = "AlgorithmError: See job logs for more information"
PACE = "2026-11-20T10:11:12.123:[sagemaker logs]: MaxConcurrentTransforms=1, MaxPayloadInMB=6"
PAGE = ("<!doctype html>", "<h1>Internal Server Error</h1>")


@pytest.mark.fidelity(
    "Transform jobs",
    "A transform job's data log names the file that wasn't answered, then the status, and what the container said, a "
    "line each.",
    "aws/sagemaker-tensorflow-serving-container#93; aws/amazon-sagemaker-examples#3948",
)
@pytest.mark.parametrize(
    ("data_log", "own_log", "expected"),
    [
        (log(BAD, "", "Message:", "no such column"), "", f"{MANY}: its container answered 500: no such column"),
        (log(BAD, "", "Message:", *TRACEBACK), "", f"{MANY}: its container answered 500: ValueError: odd"),
        (
            log("ClientError: 415", "", "Message:", "send JSON", key=f"{KEY}/part-00001.csv"),
            "",
            " b.csv:2: its container answered 415: send JSON",
        ),
        (
            log(BAD, "", "Message:", *PAGE),
            "KeyError: 'y'\nPOST /invocations 500",
            f"{MANY}: its container answered 500; its log says: KeyError: 'y'",
        ),
        (log(BAD, "", "Message:"), "", f"{MANY}: its container answered 500"),
        (
            log("Unable to get response from algorithm"),
            "thinking\n",
            f"{MANY}: Unable to get response from algorithm; its log says: thinking",
        ),
        ([], "exec: serve: not found", f": {REASON}; its log says: exec: serve: not found"),
        ([], "", f": {REASON}"),
        ([PACE], "", f": {REASON}"),
        (log(BAD, key="artifacts/elsewhere.csv"), "", ": its container answered 500"),
    ],
)
def test_why_a_model_has_no_answers(data_log: list[str], own_log: str, expected: str) -> None:
    told = hearing.sentence("challenger", job(), data_log, own_log.splitlines(), INDEX)
    assert told == f"the challenger can't answer{expected}"


@pytest.mark.parametrize(
    ("said", "of_the_model"),
    [
        (job(), True),
        (job(reason="ClientError: See job logs for more information"), True),
        (job(reason="AlgorithmError: Model container failed to respond to ping"), True),
        (job(reason="CapacityError: Unable to provision requested ML compute capacity"), False),
        (job(reason="InternalServerError: We encountered an internal error"), False),
        (job(reason="ClientError: Data download failed: AccessDenied"), False),
        (job("Stopped"), False),
        ({"job": "x", "wrong": {"error": "x", "cause": "Could not find model data at s3://a/b"}}, True),
        ({"job": "x", "wrong": {"error": "x", "cause": "x is not authorized to perform: y"}}, False),
        ({"job": "x", "wrong": {"error": "States.Timeout", "cause": ""}}, False),
    ],
)  # fmt: skip
def test_whether_it_is_the_models_own_fault(said: dict[str, Any], *, of_the_model: bool) -> None:
    assert hearing.is_of_the_model(said) is of_the_model


@pytest.mark.parametrize(
    ("error", "cause", "of_the_champion"),
    [
        ("SageMaker.SageMakerException", "x is not authorized to perform: ecr:BatchGetImage", True),
        ("SageMaker.ResourceLimitExceededException", "is 0 Instances", False),
        ("SageMaker.AmazonSageMakerException", "Rate exceeded", False),
        ("States.Timeout", "", False),
    ],
)
def test_what_only_a_champion_is_refused_is_its_own_fault(error: str, cause: str, *, of_the_champion: bool) -> None:
    """A pipeline that has left a repository, and the rights to it, would fail with every run."""
    said = {"job": "x", "wrong": {"error": error, "cause": cause}}
    assert hearing.is_of_the_model(said, is_champion=True) is of_the_champion
    assert hearing.is_of_the_model(said) is False


DONE = {"job": "y", "description": {"TransformJobStatus": "Completed"}, "wrong": None}


def hear(aws: Aws, challenger: Any, champion: Any = None) -> Any:
    aws.s3.objects["artifacts", f"{FOLDER}asked.json"] = json.dumps(INDEX).encode()
    return handler.handle({"run": RUN, "answered": {"challenger": challenger, "champion": champion}}, None)["failure"]


def test_a_challenger_that_cannot_answer_ends_the_run(aws: Aws) -> None:
    aws.logs.streams = {"x/i-1/data-log": log(BAD, "", "Message:", "odd"), "x/i-1": ["x"], "xy/i-2/data-log": log("y")}
    sentence = "the challenger can't answer a.csv:2 to a.csv:5001 (5000 rows): its container answered 500: odd"
    assert hear(aws, job(), DONE) == {"error": "NoAnswers", "cause": sentence}


def test_of_a_champion_that_cannot_the_judge_is_told(aws: Aws) -> None:
    aws.logs.streams = {"x/i-1/data-log": log(BAD, "", "Message:", "odd")}
    assert hear(aws, DONE, job()) is None
    told = json.loads(aws.s3.objects["artifacts", f"{FOLDER}answered/champion/no_answers.json"])
    assert told["cannot_answer"].startswith("the champion can't answer a.csv:2 to")


def test_what_somebody_has_stopped_is_told_as_it_was(aws: Aws) -> None:
    stopped = {"job": "x", "description": {"TransformJobStatus": "Stopped"}, "wrong": None}
    failure = hear(aws, stopped)
    assert (failure["error"], json.loads(failure["cause"])) == ("JobNotCompleted", stopped["description"])
    assert hear(aws, DONE, stopped)["error"] == "JobNotCompleted"


def test_without_a_log_there_is_a_sentence(aws: Aws) -> None:
    assert hear(aws, job())["cause"].endswith("AlgorithmError: See job logs for more information")
