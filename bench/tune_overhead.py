"""What a tuner adds to a trial: scripts that do nothing, tuned by the embedded AWS and by Syne Tune's local backend.

A trial's seconds are those of the whole tuning job, times its slots, by its trials. What is beyond the seconds of the
same script as a bare process, in the same environment, is overhead.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from image_uris import SKLEARN
from job_kit import Jobs
from running_aws import AwsFactory

from bench import harness
from localaws.sagemaker.containers.images import Images

SLOTS, BARE = 2, 10
POLL_SECONDS = 0.01
ENDED = ("Completed", "Failed", "Stopped")
NOTHING = "print('f1=0.5;')\n"
# The line that Syne Tune's Reporter prints, which needs a second to be imported.
NOTHING_FOR_SYNE_TUNE = """print('[tune-metric]: {"f1": 0.5, "st_worker_timestamp": 0.0, "st_worker_iter": 0}')\n"""


@dataclass(frozen=True)
class Tuned:
    """A tuning job: its seconds, how many trials it had, and the share of its slots' time in which one had a trial."""

    seconds: float
    trials: int
    busy: float = 0.0

    @property
    def trial_seconds(self) -> float:
        """What a trial took of a slot."""
        return self.seconds * SLOTS / self.trials


def python() -> Path:
    """The Python of the environment in which trials run."""
    return Images(harness.IMAGES).environment(SKLEARN, lambda _line: None).python


def bare_seconds() -> float:
    """Starting a process of the script, and its end."""
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        script = Path(folder) / "train.py"
        script.write_text(NOTHING)
        return statistics.median(_seconds(str(python()), str(script)) for _ in range(BARE))


def _seconds(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started


# -------------------------------------------------------------------------------------------------- the embedded AWS


@contextmanager
def embedded(**settings: Any) -> Iterator[Jobs]:
    """An embedded AWS with these settings, and a bucket and role for jobs on it."""
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        factory = AwsFactory(Path(folder) / "aws")
        factory.state.mkdir()
        (factory.state / "settings.json").write_text(json.dumps(settings))
        try:
            yield Jobs(factory.start())
        finally:
            factory.stop()


def tuned_by_embedded_aws(trials: int, **settings: Any) -> Tuned:
    """A tuning job of `trials` scripts that do nothing, on an embedded AWS with these settings."""
    with embedded(**settings) as jobs:
        return tuned(jobs, trials)


def tuned(jobs: Jobs, trials: int) -> Tuned:
    """The tuning job, after one of two trials that isn't counted."""
    source = jobs.source(NOTHING)
    _through(jobs, source, SLOTS, f"{jobs.prefix}-first")
    name, started = f"{jobs.prefix}-{trials}", time.perf_counter()
    _through(jobs, source, trials, name)
    return Tuned(time.perf_counter() - started, trials, busy(_trials(jobs, name)))


def _through(jobs: Jobs, source: str, trials: int, name: str) -> None:
    jobs.sagemaker.create_hyper_parameter_tuning_job(**request(jobs, source, name, trials))
    while True:
        job = jobs.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        if job["HyperParameterTuningJobStatus"] in ENDED:
            break
        time.sleep(POLL_SECONDS)
    counted = job["TrainingJobStatusCounters"]["Completed"]
    if counted != trials:
        raise SystemExit(
            f"{name}: {counted} of {trials} trials completed; {job.get('FailureReason', 'no reason said')}"
        )


def _trials(jobs: Jobs, name: str) -> list[Mapping[str, Any]]:
    pages = jobs.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    listed = pages.paginate(HyperParameterTuningJobName=name)
    names = [one["TrainingJobName"] for page in listed for one in page["TrainingJobSummaries"]]
    return [jobs.sagemaker.describe_training_job(TrainingJobName=name) for name in names]


def busy(trials: list[Mapping[str, Any]]) -> float:
    """The share of the slots' time, from the first trial's start to the last one's end, in which a trial had them."""
    spans = [(job["CreationTime"].timestamp(), job["TrainingEndTime"].timestamp()) for job in trials]
    whole = max(end for _, end in spans) - min(start for start, _ in spans)
    return sum(end - start for start, end in spans) / (SLOTS * whole)


def request(jobs: Jobs, source: str, name: str, trials: int) -> dict[str, Any]:
    """A random tuning job of the script, with its data."""
    limits = {"MaxNumberOfTrainingJobs": trials, "MaxParallelTrainingJobs": SLOTS}
    data = {"InputDataConfig": [jobs.channel("train", f"s3://{jobs.bucket}/train")]}
    asked = jobs.tuning_request(source, definition=data, RandomSeed=0, ResourceLimits=limits)
    return {**asked, "HyperParameterTuningJobName": name}


# ---------------------------------------------------------------------------------------------------------- Syne Tune


def tuned_by_syne_tune(python: Path, trials: int, sleep: float) -> Tuned:
    """The same by Syne Tune's local backend, which looks after its trials every `sleep` seconds."""
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as folder:
        script = Path(folder) / "train.py"
        script.write_text(NOTHING_FOR_SYNE_TUNE)
        asked = {"script": str(script), "trials": trials, "workers": SLOTS, "sleep": sleep}
        command = [str(python), "-P", str(Path(__file__).with_name("tune_syne.py")), "run"]
        done = subprocess.run(
            command,
            input=json.dumps(asked) + "\n",
            env={**os.environ, "SYNETUNE_FOLDER": folder},
            cwd=folder,  # it leaves a file there
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise SystemExit(f"Syne Tune failed: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    return Tuned(found["seconds"], found["trials"])
