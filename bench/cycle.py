"""Data arrive -> the new champion answers, on the digits, beside the bare scripts' own time on the same machine.

    cycle_seconds     from the last object's arrival until the endpoint answers from the new model, without the
                      quiet period that pipeline.yaml asks for, and the environment allows
    bare_seconds      train.py, evaluate.py and loading the model to a first answer, as three plain processes
    overhead_seconds  what Ratchet and the embedded AWS add

Each is a median of 5. In every repetition the digits arrive turned by another quarter, so that each challenger beats
the champion; before them, a first champion is made, which isn't counted.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import os
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from bench import harness
from contract.histories import Execution
from demo import data
from demo.pipeline import Pipeline
from infra.images import images
from localaws.sagemaker.containers.images import Images
from ratchet import account, history, project, spec

PIPELINE, FOLDER = "digits-forest", harness.ROOT / "training_code" / "digits_forest"
REPETITIONS, SMALL = 5, 1
POLL_SECONDS = 0.02

LOAD = """
import sys
sys.path.insert(0, sys.argv[1] + "/code")
import serve
model = serve.model_fn(sys.argv[1])
print(serve.output_fn(serve.predict_fn(serve.input_fn(sys.argv[2], "text/csv"), model), "text/csv")[0])
"""


@dataclass(frozen=True)
class Digits:
    """One repetition's data: held-out and training digits, turned by quarters."""

    turned: int

    @property
    def files(self) -> dict[str, str]:
        """Object key -> text; the training data, whose arrival starts the clock, come last."""
        batches = data.digit_batches(self.turned)
        return {
            f"digits/test/{self.turned}.csv": data.csv_text(batches["held_out"]),
            f"digits/train/{self.turned}.csv": data.csv_text([*batches["few"], *batches["many"]]),
        }

    @property
    def question(self) -> str:
        return ",".join(data.digit_batches(self.turned)["held_out"][0][1:])


@dataclass(frozen=True)
class Cycle:
    """One repetition through Ratchet. `parts`: what took how many seconds, in order."""

    seconds: float
    parts: dict[str, float]


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """All repetitions, on an embedded AWS of its own."""
    turns = [Digits(turned % 4) for turned in range(1 + (SMALL if small else REPETITIONS))]
    with harness.home():
        say("the embedded AWS starts, and cdk deploys to it")
        harness.ratchet("up")
        pipeline = Pipeline(account.connect(project.find(), "local"), PIPELINE)
        bare = Bare(images(spec.load(FOLDER / "pipeline.yaml"), pipeline.account.environment.region).training)
        one_cycle(pipeline, turns[0])
        bare.run(turns[0])
        cycles, alone = [], []
        for digits in turns[1:]:
            cycles.append(one_cycle(pipeline, digits))
            alone.append(bare.run(digits))
            say(f"cycle {cycles[-1].seconds:.2f} s, bare {sum(alone[-1].values()):.2f} s")
    say(breakdown("state by state", [cycle.parts for cycle in cycles]))
    say(breakdown("bare", alone))
    return document(cycles, alone)


def document(cycles: Sequence[Cycle], alone: Sequence[dict[str, float]]) -> harness.Document:
    """The figures, with the overhead of each repetition taken by itself."""
    cycle, bare = [cycle.seconds for cycle in cycles], [sum(parts.values()) for parts in alone]
    samples = {
        "cycle_seconds": cycle,
        "bare_seconds": bare,
        "overhead_seconds": [one - other for one, other in zip(cycle, bare, strict=True)],
    }
    figures = {name: round(statistics.median(values), 3) for name, values in samples.items()}
    # So that the three add up, which medians of three series need not.
    figures["overhead_seconds"] = round(figures["cycle_seconds"] - figures["bare_seconds"], 3)
    return {
        "figures": figures,
        "samples": samples,
        "states": medians([cycle.parts for cycle in cycles]),
        "bare": medians(alone),
    }


# ---------------------------------------------------------------------------------------------------------- a cycle


def one_cycle(pipeline: Pipeline, digits: Digits) -> Cycle:
    """Replaces the data by these, and waits for their champion."""
    pipeline.wait_until_idle()
    pipeline.remove([*pipeline.keys("digits/train/"), *pipeline.keys("digits/test/")])
    before, config = pipeline.newest_run_id(), endpoint_config(pipeline)
    ask = pipeline.asker()
    pipeline.deliver(digits.files)
    arrived, arrived_at = time.monotonic(), datetime.now(UTC)
    while endpoint_config(pipeline) == config:
        time.sleep(POLL_SECONDS)
    ask(digits.question)
    seconds = time.monotonic() - arrived
    run = pipeline.judged_after(before, lambda _run_id, _execution: None)
    if run.outcome != "Promoted":
        raise SystemExit(f"run {run.run_id} ended {run.outcome}: {run.reason}")
    return Cycle(seconds - quiet_seconds(pipeline.account), parts(pipeline.account, run.execution_arn, arrived_at))


def quiet_seconds(at: account.Account) -> float:
    triggers = spec.load(FOLDER / "pipeline.yaml").triggers.with_quiet_at_most(at.environment.quiet_at_most).data
    return float(triggers.quiet) if triggers else 0.0


def endpoint_config(pipeline: Pipeline) -> str | None:
    """What the endpoint serves with when it is InService; the old one's name until a new one has taken over."""
    sagemaker = pipeline.account.client("sagemaker")
    try:
        found = sagemaker.describe_endpoint(EndpointName=pipeline.account.pipeline(pipeline.name)["EndpointName"])
    except sagemaker.exceptions.ClientError:
        return None
    return str(found["EndpointConfigName"]) if found["EndpointStatus"] in ("InService", "Updating") else None


def parts(found: account.Account, execution_arn: str | None, arrived: datetime) -> dict[str, float]:
    """Seconds from arrival to the execution's start, then of each state, then inside of the jobs."""
    execution = history.read(found, str(execution_arn))
    seconds = {"(arrival to execution)": (execution.visits[0].entered - arrived).total_seconds()}
    for visit in execution.visits:
        seconds[visit.name] = seconds.get(visit.name, 0.0) + (visit.seconds or 0.0)
    return {**seconds, **inside_training(found, execution)}


def inside_training(found: account.Account, execution: Execution) -> dict[str, float]:
    name = next(visit.parameters["TrainingJobName"] for visit in execution.visits if visit.name == "Train")
    job = found.client("sagemaker").describe_training_job(TrainingJobName=name)
    return {
        f"  Train: {step['Status']}": (step["EndTime"] - step["StartTime"]).total_seconds()
        for step in job.get("SecondaryStatusTransitions", [])
        if "EndTime" in step
    }


# ------------------------------------------------------------------------------------------------------------- bare


class Batch(Protocol):
    """Data of a model: object key -> text, under `<prefix>/train/` and `<prefix>/test/`; a row to ask about."""

    @property
    def files(self) -> dict[str, str]: ...

    @property
    def question(self) -> str: ...


class Bare:
    """A model's own scripts as plain processes, in the same image environment that the jobs have."""

    def __init__(self, image: str, folder: Path = FOLDER, prefix: str = "digits", metric: str = "f1_macro") -> None:
        self._code, self._prefix, self._metric = folder, prefix, metric
        self._python = Images(harness.IMAGES).environment(image, print).python
        self._champion: Path | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="ratchet-bare-")

    def run(self, batch: Batch) -> dict[str, float]:
        """Seconds of train, evaluate, load."""
        folder = Path(tempfile.mkdtemp(dir=self._folder.name))
        for key, text in batch.files.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        model = folder / "model"
        data = folder / self._prefix / "train"
        train = self._timed(folder, self._code / "train.py", "--train", data, "--model-dir", model)
        self._give(folder, model)
        evaluate = self._timed(
            folder,
            harness.ROOT / "training_code" / "toolkit" / "evaluate.py",
            *("--metric", self._metric, "--input", folder / "input", "--output", folder / "output"),
        )
        load = self._timed(folder, "-c", LOAD, model, batch.question)
        self._champion = folder / "input" / "challenger" / "model.tar.gz"
        return {"train": train, "evaluate": evaluate, "load": load}

    def _give(self, folder: Path, model: Path) -> None:
        """What evaluation is given: challenger, champion, held-out examples."""
        challenger = folder / "input" / "challenger" / "model.tar.gz"
        challenger.parent.mkdir(parents=True)
        with tarfile.open(challenger, "w:gz") as archive:
            archive.add(model, arcname=".")
        (folder / self._prefix / "test").rename(folder / "input" / "test")
        if self._champion:
            (folder / "input" / "champion").mkdir()
            (folder / "input" / "champion" / "model.tar.gz").write_bytes(self._champion.read_bytes())

    def _timed(self, folder: Path, *arguments: object) -> float:
        environment = {
            **os.environ,
            "PYTHONPATH": str(harness.ROOT / "training_code"),
            "SAGEMAKER_BASE_DIR": str(folder / "ml"),
        }
        command = [str(self._python), *(str(argument) for argument in arguments)]
        started = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command[:2])} failed: {done.stderr}")
        return seconds


# ----------------------------------------------------------------------------------------------------------- tables


def medians(repetitions: Sequence[dict[str, float]]) -> dict[str, float]:
    """Each part's median, in the order of the first repetition."""
    names = dict.fromkeys(name for repetition in repetitions for name in repetition)
    return {
        name: round(statistics.median(repetition.get(name, 0.0) for repetition in repetitions), 3) for name in names
    }


def breakdown(title: str, repetitions: Sequence[dict[str, float]]) -> str:
    """A table of what took at least a hundredth of a second."""
    rows = [f"  {name:32} {seconds:>7.3f}" for name, seconds in medians(repetitions).items() if seconds >= 0.01]
    return "\n".join([f"{title}, seconds (median)", *rows])


def main() -> int:
    description = str(__doc__)
    return harness.run("cycle", description.partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
