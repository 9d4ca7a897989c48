"""A run of a pipeline with `deploy.chain`: its model has several containers, which load what one training job wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from common.state import State
from planner import plan
from recorder import documents
from run_world import IMAGE, MODEL_DATA, RUN_ID, World, make_spec, run, surroundings

from contract.micro_batches import MICRO_BATCHES
from contract.thresholds import THRESHOLD
from infra.workflow.job_role import HOSTING
from infra.workflow.machine import run_machine
from infra.workflow.surroundings import Image
from ratchet.spec import PipelineSpec, SpecError

CHAIN = {
    "deploy": {
        "instance": "ml.m5.large",
        "chain": [
            {"entry": "features.py", "framework": {"name": "sklearn", "version": "1.4-2-py312"}},
            {"entry": "booster.py", "name": "trees"},
            {"entry": "labels.py", "environment": {"LOUD": "1"}},
        ],
    }
}
OTHER = Image(
    IMAGE.uri.replace("scikit-learn:1.9-0", "scikit-learn:1.4-2-py312").replace("/sagemaker", "/chained-sagemaker"),
    "arn:aws:ecr:us-east-1:683313688378:repository/chained",
)
OWN_IMAGES = (OTHER, None, None)
PACKAGE = "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-digits-forest/2"


def chained(folder: Path, **changes: Any) -> PipelineSpec:
    for container in CHAIN["deploy"]["chain"]:  # type: ignore[attr-defined]
        (folder / container["entry"]).touch()
    return make_spec(folder, **{**CHAIN, **changes})


def test_the_model_and_its_package_have_the_same_containers_around_one_archive(tmp_path: Path) -> None:
    ran = run(chained(tmp_path), World(), chain_images=OWN_IMAGES)
    assert ran.recorded["outcome"] == "Promoted"
    (model,), (package,) = ran.called("createModel"), ran.called("createModelPackage")
    assert "PrimaryContainer" not in model
    told = [
        (each["ContainerHostname"], each["Image"], each["Environment"]["SAGEMAKER_PROGRAM"])
        for each in model["Containers"]
    ]
    assert told == [
        ("features", OTHER.uri, "features.py"),
        ("trees", IMAGE.uri, "booster.py"),
        ("labels", IMAGE.uri, "labels.py"),
    ]
    assert {each["ModelDataUrl"] for each in model["Containers"]} == {MODEL_DATA}
    assert {each["Environment"]["RATCHET_MODEL_PACKAGE"] for each in model["Containers"]} == {PACKAGE}
    assert [each["Environment"].get("LOUD") for each in model["Containers"]] == [None, None, "1"]
    assert {each["Environment"]["SAGEMAKER_SUBMIT_DIRECTORY"] for each in model["Containers"]} == {"/opt/ml/model/code"}
    registered = package["InferenceSpecification"]["Containers"]
    for container in model["Containers"]:
        del container["Environment"]["RATCHET_MODEL_PACKAGE"]  # the package's own name isn't known in it
    assert registered == model["Containers"]


def test_a_model_is_named_by_its_chain_too(tmp_path: Path) -> None:
    """What serves otherwise is another model, and what serves the same is the same one, however often it is made."""
    louder = chained(tmp_path)
    louder.deploy.chain[2].environment["LOUD"] = "2"  # type: ignore[index]
    names = [
        run(spec, World(), chain_images=images).recorded["deployment"]["model_name"]
        for spec, images in (
            (chained(tmp_path), OWN_IMAGES),
            (chained(tmp_path), OWN_IMAGES),
            (louder, OWN_IMAGES),
            (chained(tmp_path), (None, None, None)),
            (make_spec(tmp_path), ()),
        )
    ]
    assert names[0] == names[1]
    assert len(set(names)) == 4


def test_a_rollback_brings_back_how_a_champion_was_served(tmp_path: Path) -> None:
    """Its record says it: pipeline.yaml may have another chain by now, or none."""
    first = run(chained(tmp_path), World(), chain_images=OWN_IMAGES).recorded
    shuffled = [
        {**each, "Environment": dict(reversed(each["Environment"].items()))} for each in first["candidate"]["chain"]
    ]
    candidate = {**first["candidate"], "run_id": RUN_ID, "chain": shuffled}  # as a table hands maps out
    plan = {"outcome": "Rollback", "champion": None, "candidate": candidate, "decision": {"promote": True}}
    back = run(make_spec(tmp_path), World(plan={**World().plan, **plan}))
    (model,) = back.called("createModel")
    assert [each["ContainerHostname"] for each in model["Containers"]] == ["features", "trees", "labels"]
    assert model["ModelName"] == first["deployment"]["model_name"]
    alone = {name: value for name, value in candidate.items() if name != "chain"}
    plan = {**World().plan, **plan, "candidate": alone}
    (model,) = run(chained(tmp_path), World(plan=plan), chain_images=OWN_IMAGES).called("createModel")
    assert model["PrimaryContainer"]["Image"] == IMAGE.uri and "Containers" not in model


def test_a_batch_is_answered_by_the_chain(tmp_path: Path) -> None:
    deploy = {**CHAIN["deploy"], "kind": "batch", "input": "digits/batch/"}
    job = {"TransformJobName": "answer", "TransformJobStatus": "Completed"}
    rows = {"manifest": "s3://artifacts/input.manifest", "objects": 2}
    world = World(plan={**World().plan, "batch": rows}, answers={"createTransformJob": job})
    ran = run(chained(tmp_path, deploy=deploy), world, chain_images=OWN_IMAGES)
    assert ran.recorded["outcome"] == "Promoted"
    (model,), (transform,) = ran.called("createModel"), ran.called("createTransformJob")
    assert len(model["Containers"]) == 3 and transform["ModelName"] == model["ModelName"]


def test_the_hosting_role_may_pull_each_image(tmp_path: Path) -> None:
    at = surroundings(
        chained(tmp_path),
        hosting_image=Image(IMAGE.uri, "arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"),
        chain_images=OWN_IMAGES,
    )
    (role,) = [role for role in run_machine(at).roles if role.name == HOSTING]
    pulled = [grant.resources for grant in role.grants if "ecr:BatchGetImage" in grant.actions]
    assert pulled == [
        ["arn:aws:ecr:us-east-1:683313688378:repository/chained"],
        ["arn:aws:ecr:us-east-1:683313688378:repository/sagemaker-scikit-learn"],
    ]


def test_each_container_is_told_the_threshold_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "labels.py").write_text("from toolkit.threshold import with_threshold\n")
    ran = run(chained(tmp_path, serving={"threshold": 0.8}), World(), chain_images=OWN_IMAGES)
    (model,) = ran.called("createModel")
    assert {each["Environment"][THRESHOLD] for each in model["Containers"]} == {"0.8"}
    (model,) = run(chained(tmp_path), World(), chain_images=OWN_IMAGES).called("createModel")
    assert not any(THRESHOLD in each["Environment"] for each in model["Containers"])


def test_a_champion_that_is_deployed_again_is_served_as_before(tmp_path: Path) -> None:
    """With another threshold, for instance: of what it was made the run table knows."""
    first = run(chained(tmp_path), World(), chain_images=OWN_IMAGES).recorded
    champion = documents.champion(first, "2026-11-27T10:00:00.000Z")
    idle = {"outcome": "UpToDate", "reason": "nothing is new"}
    again = plan.with_threshold(State(champion=champion), idle, "0.8", is_of_this_code=lambda: True)
    assert again["candidate"]["chain"] == first["candidate"]["chain"]
    world = World(plan={**World().plan, **again, "champion": champion}, on=champion["endpoint_config_name"])
    (model,) = run(chained(tmp_path), world, chain_images=OWN_IMAGES).called("createModel")
    assert [each["Environment"][THRESHOLD] for each in model["Containers"]] == ["0.8"] * 3


def test_requests_are_put_together_where_a_container_does_it(tmp_path: Path) -> None:
    deploy = {**CHAIN["deploy"], "batch": {"max": 8, "wait": "5ms"}}
    with pytest.raises(SpecError, match=r"deploy\.batch: is said, but features\.py or booster\.py or labels\.py d"):
        chained(tmp_path, deploy=deploy)
    (tmp_path / "booster.py").write_text("from toolkit.micro_batches import in_batches\n")
    (model,) = run(chained(tmp_path, deploy=deploy), World(), chain_images=OWN_IMAGES).called("createModel")
    assert len({each["Environment"][MICRO_BATCHES] for each in model["Containers"]}) == 1
