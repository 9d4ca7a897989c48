"""What a run's batch came to, where people look: `status`, `runs`, `run` and the report."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from commands_world import BUCKET, World, world_in
from rich.console import Console
from run_documents import HOSTILE, promoted_sources

from contract import run_table
from ratchet import batches, report, runs
from ratchet.commands.show_runs import _runs_text as runs_text
from ratchet.commands.start_run import _batch_text as batch_text

RUN, MODEL_OF = "20261120-101112-abcd", "20261119-090000-0001"
FOLDER = f"s3://artifacts/runs/iris-tree/{RUN}/answers/"
BAD = {"monday.csv": [501], "tuesday.csv": list(range(1, 101))}
BATCH = {"job": f"iris-tree-{RUN}-answer", "answers": FOLDER, "files": 2, "rows": 1003, "bad": 151, "bad_rows": BAD}
RECORD: dict[str, Any] = {
    "run_id": RUN,
    "pipeline": "iris-tree",
    "outcome": "UpToDate",
    "reason": "nothing is new",
    "batch": BATCH,
    "timings": {"Plan": 1, "Answer": 3},
    "champion_before": {"run_id": MODEL_OF},
}
WITHOUT = "151 rows without an answer: 501 of monday.csv; 1, 2, 3, 4 and 5 of tuesday.csv; 145 more"


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = world_in(tmp_path, monkeypatch)
    world.deploy("iris-tree")
    outputs = world.cloudformation.stacks["ratchet-local-iris-tree"]["Outputs"]
    outputs.append({"OutputKey": "BatchInput", "OutputValue": "iris/batch/"})
    return world


def add(world: World, record: dict[str, Any]) -> None:
    key = run_table.key("iris-tree", run_table.run_item(record["run_id"]))
    item = {name: TypeSerializer().serialize(value) for name, value in record.items() if name != "pipeline"}
    world.dynamodb.put_item(Item={**key, **item})


def test_a_batch_is_told_with_its_rows_its_model_and_its_time() -> None:
    batch = batches.of_run(RECORD)
    assert batch is not None
    assert batch.sentence == f"1003 rows of 2 files, by the model of run {MODEL_OF}, in 3.0 s"
    assert batch.without_answer == WITHOUT
    promoted = batches.of_run({**RECORD, "champion_after": {"run_id": RUN}, "timings": {}})
    assert promoted is not None
    assert promoted.sentence == f"1003 rows of 2 files, by the model of run {RUN}"


@pytest.mark.parametrize(
    ("bad", "rows", "told"),
    [
        (0, {}, ""),
        (1, {"a.csv": [7]}, "1 row without an answer: 7 of a.csv"),
        (2, {"a.csv": [7, 9]}, "2 rows without an answer: 7 and 9 of a.csv"),
        (4, {name: [1] for name in "abcd"}, "4 rows without an answer: 1 of a; 1 of b; 1 of c; 1 more"),
    ],
)
def test_rows_without_an_answer_are_named_and_counted(bad: int, rows: dict[str, list[int]], told: str) -> None:
    batch = batches.of_run({"batch": {**BATCH, "bad": bad, "bad_rows": rows}})
    assert batch is not None
    assert batch.without_answer == told


@pytest.mark.parametrize("found", [None, {"TransformJobName": "j", "TransformJobStatus": "Completed"}, "no record"])
def test_a_run_that_answered_none_or_whose_answers_nobody_could_count_has_no_batch(found: Any) -> None:
    assert batches.of_run({"batch": found}) is None


def test_status_tells_of_the_last_batch_instead_of_an_endpoint(world: World) -> None:
    assert "last batch none yet" in world.call("status", "iris-tree").stdout
    add(world, RECORD)
    add(world, {"run_id": "20261121-101112-abcd", "outcome": "WaitsForData", "reason": "no data"})
    told = world.call("status", "iris-tree")
    assert told.exit_code == 0, told.output
    lines = [line.strip() for line in told.stdout.splitlines()]
    assert f"batches    of the rows under s3://{BUCKET}/iris/batch/" in lines
    assert f"last batch {RUN}  1003 rows of 2 files, by the model of run {MODEL_OF}, in 3.0 s" in lines
    assert {WITHOUT, FOLDER} <= set(lines)
    assert "endpoint" not in told.stdout
    (document,) = json.loads(world.call("status", "--json").stdout)["pipelines"]
    assert document["endpoint"] is None
    assert document["batch"]["rows_under"] == f"s3://{BUCKET}/iris/batch/"
    assert document["batch"]["last"] == {**BATCH, "run_id": RUN, "model_of": MODEL_OF, "seconds": 3}


def test_a_run_tells_what_it_answered_when_it_ends_and_in_the_list() -> None:
    run = runs.of_item(RECORD)
    console = Console(width=200, file=io.StringIO())
    console.print(runs_text([run], [], "", 300))
    assert f"answered 1003 rows of 2 files, {WITHOUT}; nothing is new" in " ".join(console.file.getvalue().split())
    assert batch_text(run).splitlines() == [
        f"  answered 1003 rows of 2 files, by the model of run {MODEL_OF}, in 3.0 s",
        f"  {WITHOUT}",
        f"  answers         {FOLDER}",
    ]
    assert batch_text(runs.of_item({**RECORD, "batch": None})) == ""


def test_the_report_lists_the_rows_by_their_numbers() -> None:
    batch = {**BATCH, "bad_rows": {**BAD, HOSTILE: [3]}}
    sources = replace(promoted_sources(), run=runs.of_item({**RECORD, "batch": batch}))
    page = report.render(sources)
    assert re.search(r"<b>1003</b><span>rows answered, 151 of them without an answer</span>", page)
    assert f"<code>{FOLDER}</code>" in page
    assert re.search(r"<td>monday.csv</td><td>501</td>", page)
    assert "98, 99, 100</td>" in page
    assert "and 49 more" in page
    assert HOSTILE not in page
    assert 'id="batch"' not in report.render(promoted_sources())
