"""Models that are asked over HTTP are judged as those in a framework's image are: figure by figure the same."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from typing import Any

import pytest
from deployed import Pipeline, Scripted
from running_aws import ROOT

IRIS = ROOT / "training_code" / "iris_tree"
SPEC = {
    "framework": {"name": "sklearn", "version": "1.9-0"},
    "train": {"instance": "ml.m5.large", "hyperparameters": {"max-leaf-nodes": 8}},
    "evaluate": {"label": "kind"},
    "gate": {
        "metric": "accuracy",
        "minimum": 0.1,
        "segments": {"column": "sepal", "minimum": 0.05},
        "classes": {"recall": 0.05},
    },
}
FILES = {name: (IRIS / name).read_text() for name in ("train.py", "serve.py")}
KINDS = ("setosa", "versicolor", "virginica")
PIPELINES = {
    "judged-inside": Scripted(SPEC, FILES),
    "judged-over-http": Scripted(SPEC, FILES, over_http=True),
}


def flower(chance: random.Random) -> tuple[str, list[str]]:
    kind = chance.randrange(3)
    lengths = [chance.gauss(5 + kind, 0.8), float(chance.randint(2, 4)), chance.gauss(1.5 + 2 * kind, 1.2), 0.3]
    return KINDS[kind], [f"{length:.1f}" for length in lengths]


def trained_on(count: int) -> str:
    chance = random.Random(7)  # noqa: S311
    return "".join(f"{kind},{','.join(lengths)}\n" for kind, lengths in (flower(chance) for _ in range(count)))


def held_out(seed: int, count: int) -> str:
    """A header, and the label amid what a model is asked."""
    chance = random.Random(seed)  # noqa: S311
    rows = [(*lengths[:2], kind, *lengths[2:]) for kind, lengths in (flower(chance) for _ in range(count))]
    return "\n".join(",".join(row) for row in [("length", "sepal", "kind", "petal", "width"), *rows]) + "\n"


def evaluation(pipeline: Pipeline, run_id: str) -> Mapping[str, Any]:
    key = f"runs/{pipeline.name}/{run_id}/evaluation/evaluation.json"
    body = pipeline.aws.client("s3").get_object(Bucket=pipeline.shared["ArtifactBucketName"], Key=key)["Body"]
    document: Mapping[str, Any] = json.loads(body.read())
    return document


def runs(pipeline: Pipeline) -> list[dict[str, Any]]:
    """A first model, and one that has seen more."""
    pipeline.put("test/held_out.csv", held_out(1, 120))
    pipeline.put("test/more/of_another_day.csv", held_out(2, 90))
    found = []
    for count in (12, 200):
        pipeline.put("train/flowers.csv", trained_on(count))
        found.append(pipeline.run())
    return found


def test_every_figure_is_that_of_a_model_in_a_frameworks_image(deployed: Callable[[str], Pipeline]) -> None:
    inside, over_http = deployed("judged-inside"), deployed("judged-over-http")
    pairs = list(zip(runs(inside), runs(over_http), strict=True))
    for one, other in pairs:
        assert other["outcome"] == one["outcome"], other.get("error")
        expected, found = evaluation(inside, one["run_id"]), evaluation(over_http, other["run_id"])
        assert found == expected
    assert pairs[1][1]["outcome"] == "Promoted"
    assert expected["champion"]["score"] < expected["challenger"]["score"] and expected["segments"]
    assert {"AskModels", "ModelsAnswer"} <= set(over_http.states(pairs[1][1]["run_id"]))
    assert len(over_http.deployed()["models"]) == 2, "those that were judged are gone: a champion and the one before"


def test_a_row_that_a_container_refuses_ends_the_run_with_what_it_said(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("judged-over-http")
    pipeline.put("test/odd.csv", "length,sepal,kind,petal,width\nlong,3,setosa,1.4,0.2\n")
    found = pipeline.run(forced=True)
    assert found["outcome"] == "Failed"
    error = found["error"]
    assert error["state"] == "Evaluate"
    assert error["cause"].startswith(
        "the challenger can't answer odd.csv:2: its container answered 500; its log says: "
    )
    assert "could not convert string 'long'" in error["cause"], error
    assert len(pipeline.deployed()["models"]) == 2, "those that were judged are gone: a champion and the one before"


# Images are environments here, instances have no metrics, and the key is asked for by what reads and writes.
NOT_ASKED_HERE = ("ecr:*", "cloudwatch:PutMetricData", "kms:*", "s3:AbortMultipartUpload", "logs:CreateLogGroup")


@pytest.mark.parametrize(
    ("role", "elsewhere"),
    [("JobsAnswering", ("logs:DescribeLogStreams",)), ("RunAsker", ("s3:ListBucket",))],
    ids=["models", "asker"],
)
def test_every_grant_of_these_roles_is_asked_for(
    deployed: Callable[[str], Pipeline], role: str, elsewhere: tuple[str, ...]
) -> None:
    """After the tests above; what a listing of objects tells is that one isn't there."""
    pipeline = deployed("judged-over-http")
    name = pipeline.role(role)
    lines = [json.loads(line) for line in (pipeline.aws.state / "authorization.jsonl").read_text().splitlines()]
    asked = {entry["action"] for entry in lines if f":assumed-role/{name}/" in entry["principal"]}
    iam = pipeline.aws.client("iam")
    granted: set[str] = set()
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        for statement in iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            granted |= {actions} if isinstance(actions, str) else set(actions)
    argued = [action for action in granted if any(fnmatch(action, one) for one in (*NOT_ASKED_HERE, *elsewhere))]
    assert len(granted) > 5 and granted - asked - set(argued) == set()
