"""Many pipelines, triggers and runs: what grows with their number, and by how much.

synth_seconds_N     `cdk synth` of N pipelines; synth_ratio: the most over one
deploy_seconds      `ratchet up` of as many new pipelines, by the pipeline
put_ms              PutObject while as many pipelines start at once as there are copies to start; median
champions_seconds   from their first object until all have a champion; bare_seconds_of_all: their scripts as plain
                    processes, as many at a time as there are cores; champions_over_bare: the one over the other
triggers_seconds    from the first of 1,000 objects until all are taken and nothing runs; trigger_runs: in so many runs
run_seconds         a forced run in a row of 200, of a model that takes no time; median
seconds_drift       the mean of the last ten over that of the first ten; rss_growth_mb: what the server's memory grew
                    by over the row; state_growth_kb: what a run adds to the state folder
runs_seconds        `ratchet runs` of a pipeline with 5,000 recorded runs; status_seconds: `ratchet status` of all
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bench import cycle, harness, platform
from bench.scale_checkout import COPIED, SOAK, Checkout, Flowers, checkout
from contract import names, outcomes, run_table, triggers
from demo.pipeline import Pipeline
from infra.images import images
from ratchet import account, following, project, spec

Say = Callable[[str], None]

TEN = 10
POLL_SECONDS, PUT_PAUSE_SECONDS = 0.05, 0.02
COMMANDS = 3


@dataclass(frozen=True)
class Sizes:
    """How many of each. `pipelines`: deployed one lot after another; `together`: of them start at once."""

    pipelines: tuple[int, ...] = (1, 10, 50)
    together: int = 20
    objects: int = 1000
    runs: int = 200
    recorded: int = 5000


SMALL = Sizes(pipelines=(1, 2), together=2, objects=30, runs=3, recorded=60)


def measure(small: bool, say: Say) -> harness.Document:
    """All of it, on an embedded AWS and in a checkout of its own."""
    return measured(SMALL if small else Sizes(), say)


def measured(sizes: Sizes, say: Say) -> harness.Document:
    with checkout() as made, harness.home() as home:
        document = merged(deployed(made, sizes, home, say))
        found = account.connect(project.find(), names.LOCAL)
        parts = [
            started_together(found, sizes.together, say),
            in_a_row(found, home / "aws", sizes.runs, say),
            triggered(found, sizes.objects, say),
            recorded(found, sizes.recorded, say),
        ]
        return merged([document, *parts])


def merged(parts: Sequence[harness.Document]) -> harness.Document:
    """The figures and samples of all."""
    return {kind: {k: v for part in parts for k, v in part.get(kind, {}).items()} for kind in ("figures", "samples")}


# ---------------------------------------------------------------------------------------------------------- pipelines


def deployed(made: Checkout, sizes: Sizes, home: Path, say: Say) -> list[harness.Document]:
    """Synthesizes and deploys lot after lot; the model of the runs in a row comes with the first."""
    found, synths, seconds = [], [], []
    made.add_copies(sizes.pipelines[0])
    harness.ratchet("up")
    server = account.read_server(home / "aws")
    assert server is not None
    before = sizes.pipelines[0]
    for count in sizes.pipelines:
        made.add_copies(count)
        synths.append(platform.one_synth(server))
        if count > before:
            seconds.append(_timed(lambda: harness.ratchet("up")) / (count - before))
        found.append({"figures": {f"synth_seconds_{count}": round(synths[-1], 3)}})
        each = f", deployed in {seconds[-1]:.2f} s each" if seconds else ""
        say(f"{count} pipelines: synthesized in {synths[-1]:.1f} s{each}")
        before = count
    made.add_soak()
    harness.ratchet("up")
    figures = {"synth_ratio": round(synths[-1] / synths[0], 3), "deploy_seconds": round(seconds[-1], 3)}
    return [*found, {"figures": figures, "samples": {"deploy_seconds": seconds}}]


def _timed(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


# ----------------------------------------------------------------------------------------------------- all at once


def started_together(found: account.Account, count: int, say: Say) -> harness.Document:
    """Gives as many pipelines their data at once, and puts other objects until all have a champion."""
    batches = [Flowers(f"copy-{number:03d}") for number in range(count)]
    pipelines = [Pipeline(found, batch.name) for batch in batches]
    puts: list[float] = []
    started = time.monotonic()
    for pipeline, batch in zip(pipelines, batches, strict=True):
        for key, text in batch.files.items():
            puts.append(put_ms(found, pipeline.bucket, key, text))
    with putting(found, pipelines[0].bucket, puts):
        _until(lambda: all(pipeline.champion() for pipeline in pipelines))
    champions = time.monotonic() - started
    bare = bare_seconds(found, batches)
    say(f"{count} champions after {champions:.1f} s, bare {bare:.1f} s; a put {statistics.median(puts):.1f} ms")
    figures = {
        "put_ms": round(statistics.median(puts), 3),
        "put_ms_p95": round(sorted(puts)[int(0.95 * len(puts))], 3),
        "champions_seconds": round(champions, 3),
        "bare_seconds_of_all": round(bare, 3),
        "champions_over_bare": round(champions / bare, 3),
    }
    return {"figures": figures, "samples": {"put_ms": puts}}


def put_ms(found: account.Account, bucket: str, key: str, text: str) -> float:
    """Milliseconds of a PutObject."""
    started = time.perf_counter()
    found.client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())
    return 1000 * (time.perf_counter() - started)


@contextmanager
def putting(found: account.Account, bucket: str, puts: list[float]) -> Iterator[None]:
    """Puts small objects that start nothing, one after another, as long as the block takes."""
    ended = threading.Event()

    def work() -> None:
        number = 0
        while not ended.wait(PUT_PAUSE_SECONDS):
            number += 1
            puts.append(put_ms(found, bucket, f"elsewhere/{number}", "x" * 1000))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def bare_seconds(found: account.Account, batches: Sequence[Flowers]) -> float:
    """The scripts of as many models as plain processes, as many at a time as there are cores."""
    image = images(spec.load(COPIED / "pipeline.yaml"), found.environment.region).training
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        started = time.monotonic()
        list(pool.map(lambda batch: cycle.Bare(image, COPIED, batch.name, "accuracy").run(batch), batches))
        return time.monotonic() - started


def _until(true: Callable[[], bool], seconds: float = 600.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(f"it didn't come about within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


# --------------------------------------------------------------------------------------------------------- run by run


def in_a_row(found: account.Account, state: Path, count: int, say: Say) -> harness.Document:
    """Forced runs, one after another."""
    server = account.read_server(state)
    assert server is not None
    first_champion(found)
    memory, size = platform.resident_mb(server.pid), folder_kb(state)
    seconds = [_timed(lambda: one_run(found)) for _ in range(count)]
    grown, added = platform.resident_mb(server.pid) - memory, (folder_kb(state) - size) / count
    first, last = statistics.mean(seconds[:TEN]), statistics.mean(seconds[-TEN:])
    say(f"{count} runs of {statistics.median(seconds):.2f} s: {grown:+.1f} MB of memory, {added:.1f} kB a run on disk")
    figures = {
        "run_seconds": round(statistics.median(seconds), 3),
        "seconds_drift": round(last / first, 3),
        "rss_growth_mb": round(grown, 1),
        "state_growth_kb": round(added, 1),
    }
    return {"figures": figures, "samples": {"run_seconds": seconds}}


def first_champion(found: account.Account) -> None:
    """Gives the model that trains nothing its data."""
    pipeline = Pipeline(found, SOAK)
    put_ms(found, pipeline.bucket, f"{SOAK}/test/numbers.csv", "".join(f"{n % 2},{n}\n" for n in range(200)))
    put_ms(found, pipeline.bucket, f"{SOAK}/train/first.csv", "1,1\n")
    _until(lambda: bool(pipeline.champion()))
    pipeline.wait_until_idle(2.0)


def runs_of_soak(found: account.Account) -> int:
    """How many it has had."""
    return len(following.RunTable(found).runs(SOAK, limit=1000))


def one_run(found: account.Account) -> None:
    """A forced run, to its record."""
    launched = following.launch(found, SOAK, triggers.message(triggers.MANUAL, forced=True))
    table = following.RunTable(found)

    def ended() -> bool:
        run = table.run(SOAK, launched.run_id)
        return run is not None and run.outcome != outcomes.RUNNING and not table.state(SOAK).get(run_table.RUNNING)

    _until(ended)
    run = table.run(SOAK, launched.run_id)
    if run is None or run.failed:
        raise SystemExit(f"run {launched.run_id} ended badly: {run and run.reason}")


def folder_kb(folder: Path) -> float:
    """The size of a folder's files in kB."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1000


# ------------------------------------------------------------------------------------------------------------ triggers


def triggered(found: account.Account, objects: int, say: Say) -> harness.Document:
    """Puts as many objects under the prefixes of one pipeline as fast as it goes."""
    pipeline, before = Pipeline(found, SOAK), runs_of_soak(found)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        keys = [f"{SOAK}/train/{number}.csv" for number in range(objects)]
        puts = list(pool.map(lambda key: put_ms(found, pipeline.bucket, key, "1,1\n"), keys))
    _until(lambda: runs_of_soak(found) > before)
    pipeline.wait_until_idle(2.0)
    seconds = time.monotonic() - started - 2.0
    runs = runs_of_soak(found) - before
    say(f"{objects} objects taken in {seconds:.1f} s, in {runs} runs")
    figures = {"triggers_seconds": round(seconds, 3), "trigger_runs": runs}
    return {"figures": figures, "samples": {"trigger_put_ms": puts}}


# ------------------------------------------------------------------------------------------------------- many records


def recorded(found: account.Account, count: int, say: Say) -> harness.Document:
    """Copies a run's record, and asks for what there is."""
    table, client = found.shared()["RunTableName"], found.client("dynamodb")
    newest = following.RunTable(found).runs(SOAK, limit=1)[0].run_id
    item = client.get_item(TableName=table, Key=run_table.key(SOAK, run_table.run_item(newest)))["Item"]
    records = [_copied(item, number) for number in range(count)]
    for start in range(0, count, 25):
        requests = [{"PutRequest": {"Item": record}} for record in records[start : start + 25]]
        client.batch_write_item(RequestItems={table: requests})
    runs = [_timed(lambda: harness.ratchet("runs", SOAK)) for _ in range(COMMANDS)]
    status = [_timed(lambda: harness.ratchet("status")) for _ in range(COMMANDS)]
    say(f"{count} records: runs {statistics.median(runs):.2f} s, status {statistics.median(status):.2f} s")
    samples = {"runs_seconds": runs, "status_seconds": status}
    return {"figures": {name: round(statistics.median(took), 3) for name, took in samples.items()}, "samples": samples}


def _copied(item: dict[str, Any], number: int) -> dict[str, Any]:
    """A record as of an earlier run: listed after those there are."""
    run_id = names.run_id(datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=number), f"{number % 65536:04x}")
    return {**item, run_table.SORT_KEY: {"S": run_table.run_item(run_id)}, "run_id": {"S": run_id}}


def main() -> int:
    return harness.run("scale", str(__doc__).partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
