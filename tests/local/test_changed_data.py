"""Data whose columns and labels change, again and again, under a gate that then lets the floor alone decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from deployed import HELD_OUT, SPEC, Pipeline, Scripted

FLOOR = {**SPEC["gate"], "when_champion_cannot_answer": "floor"}
PIPELINES = {"changing": Scripted({"gate": FLOOR})}

WIDER = "".join(f"{row % 2},{row},0\n" for row in range(200))
WORDS = "".join(f"{('no', 'yes')[row % 2]},{row}\n" for row in range(200))
# The first ten, which every model gets right otherwise, are of a class that none knows yet.
ONE_CLASS_MORE = "".join(f"{2 if row < 10 else row % 2},{row}\n" for row in range(200))


def test_no_change_of_the_data_locks_the_pipeline(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("changing")

    def run(held_out: str, **orders: Any) -> dict[str, Any]:
        pipeline.put("test/held_out.csv", held_out)
        pipeline.order(**orders)
        record = pipeline.run()
        assert record["outcome"] == "Promoted", record["decision"]["reason"]
        return record

    run(HELD_OUT, accuracy=0.9)
    for said, held_out, orders in (
        ("X has 2 features, but 1 are expected", WIDER, {"columns": 2}),
        ("X has 1 features, but 2 are expected", HELD_OUT, {}),
        ("answers labels that no held-out example has (0, 1)", WORDS, {"labels": ["no", "yes"]}),
        ("answered 'no', but the held-out labels are numbers", HELD_OUT, {}),
    ):
        # A worse model than the one before: they can't be compared, so the floor is all that it must reach.
        record = run(held_out, accuracy=0.7 if held_out != WIDER else 0.8, **orders)
        assert said in record["evaluation"]["champion"]["cannot_answer"]
        assert record["decision"]["reason"].startswith("judged by the floor alone")

    # Its archive has been deleted: it goes on serving, and can't be asked.
    s3, champion = pipeline.aws.client("s3"), pipeline.state["champion"]
    bucket, _, key = champion["model_data"].removeprefix("s3://").partition("/")
    s3.delete_object(Bucket=bucket, Key=key)
    pipeline.order(accuracy=0.7, other=True)
    gone = pipeline.run()
    assert f"the model of run {champion['run_id']} is gone" in gone["decision"]["champion_cannot_answer"]
    assert (gone["outcome"], pipeline.ask(1)) == ("Promoted", "1")
    refused = pipeline.trigger("rollback", detail={"to": champion["run_id"]})
    assert f"the model of run {champion['run_id']} is gone" in refused["errorMessage"]

    compared = run(ONE_CLASS_MORE, accuracy=0.95)
    assert float(compared["decision"]["champion_score"]) == pytest.approx(0.65), "a new class is merely answered wrong"
