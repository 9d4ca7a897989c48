"""A pipeline for batches, deployed by the real cdk command: runs end with the champion's answers, with no endpoint."""

from __future__ import annotations

from collections.abc import Callable

from deployed import SCRIPTED_MODEL, Pipeline, Scripted

from contract.batches import BAD_ROW
from ratchet import batches

ROWS = "".join(f"{row}\n" for row in [*range(500), "no number", *range(500, 1000)])
SERVE = f"""{(SCRIPTED_MODEL / "serve.py").read_text()}

from toolkit.rows import row_by_row
input_fn, predict_fn, output_fn = row_by_row(input_fn, predict_fn, output_fn)
"""
DEPLOY = {"kind": "batch", "instance": "ml.m5.large", "input": "batched/batch/"}
PIPELINES = {"batched": Scripted({"deploy": DEPLOY}, {"serve.py": SERVE})}


def answers(pipeline: Pipeline, run_id: str, name: str) -> list[str]:
    key = f"runs/{pipeline.name}/{run_id}/answers/{name}.out"
    body = pipeline.aws.client("s3").get_object(Bucket=pipeline.shared["ArtifactBucketName"], Key=key)["Body"]
    return str(body.read().decode()).splitlines()


def test_each_run_ends_with_the_champions_answers(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("batched")
    pipeline.order(accuracy=1.0)
    pipeline.put("batch/monday.csv", ROWS)
    first = pipeline.run()
    assert first["outcome"] == "Promoted", first.get("error")
    assert {name: first["batch"][name] for name in ("files", "rows", "bad", "bad_rows")} == {
        "files": 1, "rows": 1001, "bad": 1, "bad_rows": {"monday.csv": [501]},
    }  # fmt: skip
    lines = answers(pipeline, first["run_id"], "monday.csv")
    assert lines[:2] == ["0,0", "1,1"]
    assert lines[500] == f"no number,{BAD_ROW}"
    assert first["champion_after"]["model_name"] in pipeline.deployed()["models"]
    assert pipeline.deployed()["endpoint"] == (None, None)

    pipeline.put("batch/deep/tuesday.csv", "7\n8\n")
    second = pipeline.run()
    assert (second["outcome"], second["batch"]["files"], second["batch"]["rows"]) == ("UpToDate", 2, 1003)
    assert answers(pipeline, second["run_id"], "deep/tuesday.csv") == ["7,1", "8,0"]
    assert second["jobs"]["answer"].endswith(f"{second['run_id']}-answer")
    told = batches.of_run(second)
    assert told is not None
    assert (told.model_of, told.without_answer) == (first["run_id"], "1 row without an answer: 501 of monday.csv")
    assert told.seconds is not None and told.seconds > 0

    pipeline.order(accuracy=0.5)
    third = pipeline.run()
    assert (third["outcome"], third["batch"]["rows"]) == ("NotBetter", 1003)
