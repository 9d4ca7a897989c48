"""A job's output on its way to CloudWatch: lines, batches, metrics, and the reason of a failure."""

from typing import Any

import pytest

from localaws.sagemaker.containers.logs import ContainerLog, failure_message
from localaws.sagemaker.core.clock import SystemClock
from localaws.sagemaker.jobs.training_metrics import MetricParser, metric_data


class Recorder:
    """Stands for CloudWatch Logs."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def put_log_events(self, _group: str, _stream: str, events: list[tuple[int, str]]) -> None:
        self.batches.append([line for _, line in events])

    @property
    def lines(self) -> list[str]:
        return [line for batch in self.batches for line in batch]


class StandingClock(SystemClock):
    """Time goes on only where a test says so."""

    elapsed = 0.0

    def monotonic(self) -> float:
        return self.elapsed


def log(clock: SystemClock | None = None) -> tuple[ContainerLog, Recorder]:
    recorder = Recorder()
    platform: Any = recorder
    return ContainerLog(platform, clock or SystemClock(), "group", "stream"), recorder


def test_output_is_cut_into_lines_wherever_it_was_cut_before() -> None:
    job_log, recorder = log()
    for piece in (b"fir", b"st\nsec", b"ond\r\n\nl\xc3", b"\xa4st"):
        job_log.feed(piece)
    job_log.close()
    assert recorder.lines == ["first", "second", " ", "läst"]


@pytest.mark.fidelity(
    "CloudWatch",
    "A line of more than 256 KB is several events, and a batch of events has at most 1 MB.",
    "CloudWatch Logs API reference, PutLogEvents: constraints of a batch",
)
def test_a_flood_without_line_breaks_is_events_and_batches_of_cloudwatch_s_size() -> None:
    job_log, recorder = log(StandingClock())
    for _ in range(64):
        job_log.feed(b"x" * 65536)
    job_log.feed(b"\xff" * 300_000 + b"\n" + b"short\n" * 5000)
    job_log.close()
    sizes = [[len(line.encode()) + 26 for line in batch] for batch in recorder.batches]
    assert max(map(max, sizes)) <= 256 * 1024
    assert max(map(sum, sizes)) <= 1024 * 1024
    assert max(map(len, sizes)) <= 1000
    assert sum(line.count("x") for line in recorder.lines) == 64 * 65536
    assert sum(map(len, job_log.tail)) < 60 * 4097


def test_lines_wait_for_company_but_not_long() -> None:
    clock = StandingClock()
    job_log, recorder = log(clock)
    job_log.feed(b"a\n")
    job_log.feed(b"b\n")
    left = job_log.flush_if_due()
    assert left is not None and 0 < left <= 0.2
    assert recorder.batches == []
    clock.elapsed += left
    job_log.flush_if_due()
    assert recorder.batches == [["a", "b"]]


@pytest.mark.fidelity("CloudWatch Logs", "An event of a log has at most 256 KiB.", "CloudWatch Logs API, PutLogEvents")
def test_an_endless_line_is_sent_in_pieces() -> None:
    job_log, recorder = log()
    job_log.feed(b"x" * 600_000)
    job_log.close()
    assert "".join(recorder.lines) == "x" * 600_000
    assert max(map(len, recorder.lines)) <= 256 * 1024


def test_what_isnt_utf8_does_no_harm() -> None:
    job_log, recorder = log()
    job_log.feed(b"\xff\xfe\n")
    job_log.close()
    assert len(recorder.lines) == 1


def test_a_failure_is_told_by_its_last_traceback() -> None:
    lines = [
        "epoch 1", "Traceback (most recent call last):", "  File old", "KeyError: 1", "went on",
        "Traceback (most recent call last):", '  File "train.py", line 3, in <module>', "ValueError: no label 7",
    ]  # fmt: skip
    assert failure_message(lines).splitlines() == lines[5:]
    assert failure_message(["a", "", "disk full"]) == "a\ndisk full"
    assert failure_message(["Traceback (most recent call last):", "    " + "x" * 900, "E: y"]) == "E: y"
    assert failure_message([]) == ""


@pytest.mark.fidelity(
    "Training jobs",
    "FailureReason holds the start of what a script died of, also where that is one long line or many lines.",
    "aws/sagemaker-training-toolkit issue 66; huggingface/notebooks issue 136",
)
@pytest.mark.parametrize(
    "lines",
    [
        ["KeyError: 'column " + "c" * 800],
        ["ValueError: the column {", *('  "name": "a value",' for _ in range(50)), "}"],
        ["RuntimeError: no column " + "c" * 800, "(Background on this error at: https://example.org)"],
    ],
    ids=["long", "many", "long and more"],
)
def test_what_was_raised_is_told_from_its_start(lines: list[str]) -> None:
    frames = ["Traceback (most recent call last):", '  File "train.py", line 3, in <module>', "    load(frame)"]
    told = failure_message(["epoch 1", *frames, *lines])
    assert lines[0][:60] in told
    assert len(told) <= 700
    assert lines[0][:60] in failure_message(lines[:1])


def test_metrics_are_found_in_lines() -> None:
    parser = MetricParser(
        [{"Name": "f1", "Regex": r"f1: ([0-9.]+|nan)"}, {"Name": "loss", "Regex": r"loss=([0-9.e-]+)"}]
    )
    assert [(item.name, item.value) for item in parser.parse("f1: 0.5 loss=1e-3", 1.0)] == [
        ("f1", 0.5),
        ("loss", 0.001),
    ]
    assert parser.parse("f1: nan; f1: . ; nothing", 2.0) == []
    last = parser.parse("f1: 0.6; f1: 0.7", 3.0)
    assert [item.value for item in last] == [0.6, 0.7]
    assert parser.final() == [
        {"MetricName": "f1", "Value": 0.7, "Timestamp": 3.0},
        {"MetricName": "loss", "Value": 0.001, "Timestamp": 1.0},
    ]
    assert metric_data(last, "j")[0]["Dimensions"] == [{"Name": "TrainingJobName", "Value": "j"}]
