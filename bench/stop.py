"""A rule becomes true -> the training process has ended, on the embedded AWS; through EventBridge and the stopper.

stop_seconds   from the moment at which train.py hands the probe a loss that is infinite, until its process is gone;
               median of 10. ExplodingTensor judges it in a process of its own, beside the training
ours_seconds   of it, until SageMaker has taken StopTrainingJob: probe, rule, event, EventBridge, the function; median
managed_stop_seconds   the same as stop_seconds where SageMaker evaluates the rule (rules_service: sagemaker), as the
               embedded one does; median of 10

Of the rest, SIGTERM to the process and its end, train.py has no part: it doesn't handle the signal.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
# The scripted model, and what deploys it, are the tests'.
sys.path.extend(str(Path(__file__).resolve().parents[1] / folder) for folder in ("tests", "tests/local"))

import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from deployed import Pipeline, Scripted, deploy, opened
from image_uris import SKLEARN
from running_aws import AwsFactory

from bench import harness

RULES = [{"rule": "ExplodingTensor", "parameters": {"collection_names": ["losses"]}}]
# An image of one's own, as far as the spec knows: for scikit-learn SageMaker Debugger has no hook, the probe has.
MANAGED = {
    "framework": None,
    "image": SKLEARN,
    "rules_service": "sagemaker",
    "rules": RULES,
    "probe": {"collections": {"losses": {"interval": 1}}},
}
PIPELINES = {"watched": Scripted({"rules": RULES}), "managed": Scripted(MANAGED)}
REPETITIONS, SMALL = 10, 2
# Ten minutes of training: however late the rule comes on a busy machine, it is what ends it. One that never comes shows
# by another outcome.
STEPS = 20_000
POLL_SECONDS = 0.002
START_SECONDS = 120.0
GROUP = "/aws/sagemaker/TrainingJobs"


@dataclass(frozen=True)
class Stop:
    """Moments of one repetition, in seconds since the rule was true."""

    judged: float
    requested: float
    ended: float


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """All repetitions, on an embedded AWS of its own; one more before them, which isn't counted."""
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        factory = AwsFactory(Path(folder) / "aws")
        try:
            say("the embedded AWS starts, and cdk deploys to it")
            aws = factory.start()
            deploy(aws, Path(folder) / "app", PIPELINES)
            stops = {name: repeated(opened(aws, name, model), small, say) for name, model in PIPELINES.items()}
        finally:
            factory.stop()
    return document(stops["watched"], stops["managed"])


def repeated(pipeline: Pipeline, small: bool, say: Callable[[str], None]) -> list[Stop]:
    one_stop(pipeline, 0)
    stops = []
    for number in range(1, 1 + (SMALL if small else REPETITIONS)):
        stops.append(one_stop(pipeline, number))
        say(f"{pipeline.name}: stopped after {stops[-1].ended:.2f} s, {stops[-1].requested:.2f} s of it ours")
    return stops


def document(stops: list[Stop], managed: list[Stop]) -> harness.Document:
    samples = {
        "stop_seconds": [stop.ended for stop in stops],
        "ours_seconds": [stop.requested for stop in stops],
        "judged_seconds": [stop.judged for stop in stops],
        "managed_stop_seconds": [stop.ended for stop in managed],
    }
    return {
        "figures": {name: round(statistics.median(values), 3) for name, values in samples.items()},
        "samples": samples,
    }


def one_stop(pipeline: Pipeline, number: int) -> Stop:
    """A run whose training explodes, from its trigger to its record."""
    pipeline.idle()
    pipeline.order(accuracy=0.9, train="watched", trouble="explodes", steps=STEPS, repetition=number)
    run_id = pipeline.trigger()["run_id"]
    job = f"local-{pipeline.name}-{run_id}-train"
    ended = end_of(process_of(job))
    record = pipeline.record(run_id)
    if record["outcome"] != "StoppedByRule":
        raise SystemExit(f"run {run_id} ended {record['outcome']}: {json.dumps(record.get('error'), default=str)}")
    true = became_true(pipeline, job)
    described = pipeline.aws.client("sagemaker").describe_training_job(TrainingJobName=job)
    stopping = next(step for step in described["SecondaryStatusTransitions"] if step["Status"] == "Stopping")
    judged = datetime.fromisoformat(record["stopped_by"]["at"]).timestamp()
    return Stop(judged - true, stopping["StartTime"].timestamp() - true, ended - true)


def process_of(job: str) -> Path:
    """The training process, as /proc has it."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for process in processes():
            if is_training(process, job):
                return process
        time.sleep(0.05)
    raise SystemExit(f"{job} never ran")


def processes() -> Iterator[Path]:
    return (path for path in Path("/proc").iterdir() if path.name.isdigit())


def is_training(process: Path, job: str) -> bool:
    try:
        named = f"TRAINING_JOB_NAME={job}".encode() in (process / "environ").read_bytes().split(b"\0")
        arguments = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return named and arguments[1:2] == [b"train.py"] and b"python" in arguments[0]


def end_of(process: Path) -> float:
    """When it ended, in seconds since 1970; one that has ended and isn't reaped has."""
    while True:
        try:
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return time.time()
        if state == "Z":
            return time.time()
        time.sleep(POLL_SECONDS)


def became_true(pipeline: Pipeline, job: str) -> float:
    """When train.py handed over the first infinite loss, as it says in its log."""
    logs = pipeline.aws.client("logs")
    (stream,) = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{job}/")["logStreams"]
    events = logs.get_log_events(logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True)
    found = re.search(r"infinite at ([0-9.]+)", "\n".join(event["message"] for event in events["events"]))
    if found is None:
        raise SystemExit(f"the log of {job} doesn't say when its loss became infinite")
    return float(found[1])


def main() -> int:
    description = str(__doc__)
    return harness.run("stop", description.partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
