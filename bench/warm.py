"""Warm containers beside cold ones: a cycle of the digits, and one training job, over what is bare of both.

    cycle_over_bare         a whole cycle, data arrive -> the new champion answers, over the bare scripts' own time as
                            three plain processes (bench/cycle.py, which tells what both are)
    trial_overhead_seconds  a training job's time, from its request to Completed, beyond that of its fit
    cold_cycle_over_bare, cold_trial_overhead_seconds
                            the same with `{"warm": false}` in settings.json
    interpreter_mib         memory that a warm interpreter of the image has to itself or shares with its containers

Medians; warm and cold are measured one after the other in the same run, each on an embedded AWS of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import json
import re
import statistics
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from bench import cycle, harness
from bench.cycle import Bare, Digits
from demo import data
from demo.pipeline import Pipeline
from infra.images import images
from localaws.server_file import read_server
from ratchet import account, project, spec
from ratchet.account import Account

REPETITIONS, TRIALS, SMALL, SMALL_TRIALS = 5, 15, 1, 2
POLL_SECONDS = 0.003
TRIAL = """
import argparse, os, time
import numpy as np
from sklearn.ensemble import RandomForestClassifier
parser = argparse.ArgumentParser()
parser.add_argument("--depth", type=int)
args = parser.parse_args()
table = np.loadtxt(os.environ["SM_CHANNEL_TRAIN"] + "/digits.csv", delimiter=",")
began = time.perf_counter()
RandomForestClassifier(10, max_depth=args.depth, random_state=0).fit(table[:, 1:], table[:, 0])
print(f"fit_seconds={time.perf_counter() - began:.4f}", flush=True)
"""
TRUST = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
MAY = {"Effect": "Allow", "Action": ["s3:*", "logs:*", "cloudwatch:PutMetricData"], "Resource": "*"}


@dataclass(frozen=True)
class Side:
    """What was measured on one embedded AWS. `interpreters`: bytes that each warm interpreter holds."""

    cycles: list[float]
    alone: list[float]
    trials: list[float]
    interpreters: list[int]

    @property
    def ratios(self) -> list[float]:
        return [cycle / bare for cycle, bare in zip(self.cycles, self.alone, strict=True)]


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """Both sides."""
    warm, cold = (side(small, say, is_warm=is_warm) for is_warm in (True, False))
    samples = {
        "cycle_over_bare": warm.ratios,
        "trial_overhead_seconds": warm.trials,
        "cold_cycle_over_bare": cold.ratios,
        "cold_trial_overhead_seconds": cold.trials,
        "cycle_seconds": warm.cycles,
        "cold_cycle_seconds": cold.cycles,
        "bare_seconds": warm.alone,
        "interpreter_mib": [held / 2**20 for held in warm.interpreters],
    }
    return {
        "figures": {name: round(statistics.median(values), 3) for name, values in samples.items()},
        "samples": samples,
    }


def side(small: bool, say: Callable[[str], None], *, is_warm: bool) -> Side:
    """All repetitions with interpreters kept warm, or without."""
    turns = [Digits(turned % 4) for turned in range(1 + (SMALL if small else REPETITIONS))]
    named = "warm" if is_warm else "cold"
    with harness.home():
        state = project.find().aws_state
        state.mkdir(parents=True)
        (state / "settings.json").write_text(json.dumps({"warm": is_warm}))
        say(f"{named}: the embedded AWS starts, and cdk deploys to it")
        harness.ratchet("up")
        pipeline = Pipeline(account.connect(project.find(), "local"), cycle.PIPELINE)
        region = pipeline.account.environment.region
        image = images(spec.load(cycle.FOLDER / "pipeline.yaml"), region).training
        bare = Bare(image)
        cycle.one_cycle(pipeline, turns[0])
        bare.run(turns[0])
        cycles, alone = [], []
        for digits in turns[1:]:
            cycles.append(cycle.one_cycle(pipeline, digits).seconds)
            alone.append(sum(bare.run(digits).values()))
            say(f"{named}: cycle {cycles[-1]:.2f} s, bare {alone[-1]:.2f} s")
        trials = Trials(pipeline.account, image)
        overheads = [trials.overhead() for _ in range(1 + (SMALL_TRIALS if small else TRIALS))][1:]
        say(f"{named}: a trial takes {statistics.median(overheads):.3f} s beyond its fit")
        return Side(cycles, alone, overheads, interpreters(state))


class Trials:
    """Training jobs of a fit that takes some milliseconds."""

    def __init__(self, at: Account, image: str) -> None:
        self._at, self._image = at, image
        self._bucket = f"trials-{uuid.uuid4().hex[:8]}"
        s3, iam = at.client("s3"), at.client("iam")
        s3.create_bucket(Bucket=self._bucket)
        s3.put_object(Bucket=self._bucket, Key="source.tar.gz", Body=harness.archive({"train.py": TRIAL}))
        digits = data.csv_text(data.digit_batches(0)["few"]).encode()
        s3.put_object(Bucket=self._bucket, Key="train/digits.csv", Body=digits)
        version = {"Version": "2012-10-17"}
        trust = json.dumps({**version, "Statement": [TRUST]})
        self._role = iam.create_role(RoleName=self._bucket, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        policy = json.dumps({**version, "Statement": [MAY]})
        iam.put_role_policy(RoleName=self._bucket, PolicyName="all", PolicyDocument=policy)

    def overhead(self) -> float:
        """Seconds of one job, from its request to its end, beyond its fit's own."""
        sagemaker, name = self._at.client("sagemaker"), f"trial-{uuid.uuid4().hex[:8]}"
        began = time.monotonic()
        sagemaker.create_training_job(**self._request(name))
        while (job := sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - began
        if job["TrainingJobStatus"] != "Completed":
            raise SystemExit(f"{name} ended {job['TrainingJobStatus']}: {job.get('FailureReason')}")
        return seconds - self._fit_seconds(name)

    def _request(self, name: str) -> harness.Document:
        s3 = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self._bucket}/train/"}
        return {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": self._image, "TrainingInputMode": "File"},
            "HyperParameters": {
                "depth": "5",
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": f"s3://{self._bucket}/source.tar.gz",
            },
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": s3}}],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self._bucket}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 300},
            "RoleArn": self._role,
        }

    def _fit_seconds(self, name: str) -> float:
        logs, group = self._at.client("logs"), "/aws/sagemaker/TrainingJobs"
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=name)["logStreams"]
        events = logs.get_log_events(logGroupName=group, logStreamName=streams[0]["logStreamName"])["events"]
        return float(re.findall(r"fit_seconds=([0-9.]+)", " ".join(event["message"] for event in events))[0])


def interpreters(state: Path) -> list[int]:
    """Bytes of memory that each warm interpreter of a server holds (proc_pid_smaps(5), Pss)."""
    server = read_server(state)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            _, parent, _, session, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes()
            rollup = (folder / "smaps_rollup").read_text()
        except OSError:
            continue  # it has ended
        # A container leads a session of its own.
        is_interpreter = b"warm_interpreter" in words and session != folder.name
        if server and int(parent) == server.pid and is_interpreter:
            found += [int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Rss:")]
    return found or [0]


def main() -> int:
    return harness.run("warm", str(__doc__).partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
