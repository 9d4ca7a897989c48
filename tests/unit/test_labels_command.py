"""`ratchet labels`: the job that it asks for, what it makes of an audit, and a channel with what a reader marked."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands_world import ARTIFACTS, BUCKET, S3, World, world_in
from memory_services import Logs, Processing, StepFunctions
from run_world import check_request, definition, make_spec

from contract import files, label_audits
from ratchet import errors

MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:iris-tree"
ROLE = "arn:aws:iam::000000000000:role/Auditing"
AUDIT = "20261127-101112-abcd"
TRAIN = "setosa,5.1,3.5,1.4,0.2\nvirginica,6.3,3.3,6.0,2.5\nvirginica,4.9,3.0,1.4,0.2\n"
PNG = b"\x89PNG\r\n\x1a\n"


def suspect(place: str, given: str, suggested: str, **more: Any) -> dict[str, Any]:
    chances = {"given_probability": 0.03, "suggested_probability": 0.9, "margin": -0.87, "confident": True}
    return {"place": place, "given": given, "suggested": suggested, **chances, "text": "4.9,3.0", **more}


def document(**changes: Any) -> dict[str, Any]:
    """An audit's, as its job writes it."""
    return {
        "version": label_audits.VERSION,
        "channel": "train",
        "format": "csv",
        "reading": {"label": 0, "header": None, "format": None},
        "examples": 3,
        "classes": ["setosa", "versicolor", "virginica"],
        "counts": {},
        "learner": "a forest",
        "folds": 5,
        "seed": 0,
        "agreement": 0.6,
        "estimated_errors": 1.0,
        "pairs": [{"given": "virginica", "suggested": "setosa", "count": 1}],
        "suspects": [suspect("irises.csv:3", "virginica", "setosa")],
        **changes,
    }


class Audit(Processing):
    """A job that has written `writes`, however it ends."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.writes = world, json.dumps(document()).encode()

    def write(self, uri: str) -> None:
        key = f"{uri.removeprefix(f's3://{ARTIFACTS}/')}/{label_audits.AUDIT}"
        self.world.s3.objects[ARTIFACTS, key] = self.writes


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """iris-tree, whose channel train may be audited, with three irises in it."""
    world = world_in(tmp_path / "checkout", monkeypatch)
    for name, service in {
        "s3": S3(),
        "sagemaker": Audit(world),
        "logs": Logs(),
        "stepfunctions": StepFunctions(),
    }.items():
        world.serve(name, service)
    world._clients["s3"].copy = lambda source, bucket, key: world.s3.objects.update(  # type: ignore[attr-defined]
        {(bucket, key): world.s3.objects[source["Bucket"], source["Key"]]}
    )
    said(world, labels=["train"])
    (tmp_path / "spec").mkdir()
    world.stepfunctions.definitions[MACHINE] = json.dumps(definition(make_spec(tmp_path / "spec", name="iris-tree")))
    outputs = {"StateMachineArn": MACHINE, "EndpointName": "local-iris-tree", label_audits.ROLE_OUTPUT: ROLE}
    world.cloudformation.add("ratchet-local-iris-tree", outputs)
    world.s3.objects[BUCKET, "iris/train/irises.csv"] = TRAIN.encode()
    return world


def said(world: World, **changes: Any) -> None:
    """pipeline.yaml with changes."""
    path = world.root / "training_code" / "iris_tree" / "pipeline.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def audited(world: World, **changes: Any) -> None:
    """An audit of the channel is there."""
    key = f"{label_audits.audits_folder('iris-tree')}{AUDIT}/{label_audits.AUDIT}"
    world.s3.objects[ARTIFACTS, key] = json.dumps(document(**changes)).encode()


def corrections(tmp_path: Path, *entries: tuple[str, str, str | None], **changes: Any) -> Path:
    whose = {"version": 1, "pipeline": "iris-tree", "environment": "local", "channel": "train", "audit": AUDIT}
    told = [{"place": place, "given": given, "label": label} for place, given, label in entries]
    path = tmp_path / "corrections.json"
    path.write_text(json.dumps({**whose, "corrections": told, **changes}))
    return path


def told(world: World, *words: str, code: int = 0) -> dict[str, Any]:
    result = world.call("labels", *words, "--json")
    assert result.exit_code == code, result.output + result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


# ------------------------------------------------------------------------------------------------------------ the audit


def test_the_job_reads_the_channel_with_the_folders_code_and_a_role_of_its_own(world: World) -> None:
    found = told(world, "iris-tree", "--folds", "3", "--most", "7", "--picture", "2x2")
    asked = world.sagemaker.asked
    check_request("arn:aws:states:::sagemaker:createProcessingJob", asked)
    assert asked["ProcessingJobName"] == found["processing_job"] == f"local-iris-tree-{found['audit']}-labels"
    inputs = {each["InputName"]: each["S3Input"]["S3Uri"] for each in asked["ProcessingInputs"]}
    folder = f"{label_audits.audits_folder('iris-tree')}{found['audit']}"
    assert inputs[label_audits.DATA_INPUT] == f"s3://{BUCKET}/iris/train/"
    assert inputs[files.CODE_INPUT] == f"s3://{ARTIFACTS}/{folder}/sourcedir.tar.gz"
    assert (ARTIFACTS, f"{folder}/sourcedir.tar.gz") in world.s3.objects
    assert asked["RoleArn"] == ROLE
    assert "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in asked["AppSpecification"]["ContainerEntrypoint"]
    assert "toolkit/audit.py" in asked["AppSpecification"]["ContainerEntrypoint"][-1]
    words = " ".join(asked["AppSpecification"]["ContainerArguments"])
    assert words == "--channel train --folds 3 --seed 0 --suspects 7 --picture 2x2 --label 0"
    assert {tag["Key"] for tag in asked["Tags"]} == {"ratchet:environment", "ratchet:pipeline"}, "it is of no run"


def test_the_label_is_where_evaluate_has_it_or_where_it_is_said(world: World) -> None:
    said(world, evaluate={"instance": "ml.t3.medium", "max_runtime": "15m", "label": "species"})

    def reading(*words: str) -> str:
        told(world, "iris-tree", *words)
        return " ".join(world.sagemaker.asked["AppSpecification"]["ContainerArguments"]).partition("--suspects 100 ")[2]

    assert reading() == "--label-name=species"
    assert reading("--attribute", "class") == "--label-name=class"
    assert reading("--attribute", "2") == "--label 2 --header true"


def test_an_audit_is_a_page_and_a_document(world: World, tmp_path: Path) -> None:
    found = told(world, "iris-tree", "--output", str(tmp_path / "pages"))
    assert (found["examples"], found["agreement"], found["estimated_errors"]) == (3, 0.6, 1.0)
    assert [each["place"] for each in found["suspects"]] == ["irises.csv:3"]
    page = Path(found["page"])
    assert page == tmp_path / "pages" / f"{found['audit']}.html" and "irises.csv:3" in page.read_text()
    text = world.call("labels", "iris-tree").output
    assert "about 1 of 3 labels are wrong (33.3%)" in text and "virginica" in text
    assert (world.root / ".ratchet" / "labels" / "iris-tree").is_dir()


def test_a_job_that_ends_badly_says_why(world: World) -> None:
    world.sagemaker.ends = {"ProcessingJobStatus": "Failed", "ExitMessage": "the class 'x' has 1 example"}
    assert told(world, "iris-tree", code=errors.FAILURE)["failure"] == "the class 'x' has 1 example"


def test_ctrl_c_stops_the_job(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ratchet.followed_jobs.followed", interrupted)
    found = told(world, "iris-tree", code=errors.INTERRUPTED)
    assert world.sagemaker.stopped == [found["processing_job"]]


@pytest.mark.parametrize(
    "writes",
    [
        b"",
        b"[]",
        b"{}",
        json.dumps(document(version=9)).encode(),
        json.dumps(document(format="exe")).encode(),
        json.dumps(document(agreement="NaN")).encode(),
        json.dumps(document(suspects=[{}])).encode(),
        json.dumps(document(suspects=[7])).encode(),
    ],
)
def test_what_the_job_has_written_may_be_anything(world: World, writes: bytes) -> None:
    world.sagemaker.writes = writes
    result = world.call("labels", "iris-tree")
    assert result.exit_code == 1
    assert f"{label_audits.AUDIT} is" in result.stderr and "Traceback" not in result.stderr, result.stderr


def test_a_page_is_harmless_whatever_the_job_has_written(world: World) -> None:
    evil = "</script><script>window.evil = 1</script>"
    pictures: list[Any] = [
        {"content_type": "image/svg+xml", "base64": base64.b64encode(b"<svg/>").decode()},
        {"content_type": "image/png", "base64": f'" onerror="{evil}'},
        {"content_type": f"image/png{evil}", "base64": ""},
        {"content_type": "image/png", "base64": base64.b64encode(PNG).decode()},
        "x",
    ]
    suspects = [suspect(f"{evil}.csv:1", evil, evil, text=evil, picture=picture) for picture in pictures]
    changes = {"learner": evil, "classes": [evil, "b"], "pairs": [{"given": evil, "suggested": evil, "count": 1}]}
    world.sagemaker.writes = json.dumps(document(suspects=suspects, **changes)).encode()
    page = Path(told(world, "iris-tree")["page"]).read_text()
    assert evil not in page and page.count("<script") == page.count("</script>") == 2
    assert page.count("<img ") == 1 and f"data:image/png;base64,{base64.b64encode(PNG).decode()}" in page


@pytest.mark.parametrize(
    ("changes", "words", "message"),
    [
        ({}, ["--channel", "trian"], "iris-tree has no channel 'trian'; did you mean train?"),
        ({}, ["--channel", "test"], "iris_tree/pipeline.yaml doesn't let test be audited: write labels: [train, test]"),
        ({"labels": []}, [], "doesn't let train be audited: write labels: [train] and deploy it"),
        ({}, ["--picture", "8"], "--picture is '8'; write height and width in pixels, as 8x8"),
        ({"labels": ["trian"]}, [], "labels[0]: is 'trian', which is no channel of data; did you mean train?"),
        ({"labels": ["train", "train"]}, [], "labels[1]: is 'train', which is named before"),
        ({}, ["--folds", "1"], "Invalid value for '--folds'"),
    ],
)
def test_what_cannot_be_audited_is_refused(
    world: World, changes: dict[str, Any], words: list[str], message: str
) -> None:
    said(world, **changes)
    result = world.call("labels", "iris-tree", *words)
    assert result.exit_code != 0 and message in result.stderr, result.stderr
    assert not world.sagemaker.asked


def test_a_channel_without_data_and_a_stack_without_the_role_are_told(world: World) -> None:
    outputs = {"StateMachineArn": MACHINE, "EndpointName": "local-iris-tree"}
    world.cloudformation.add("ratchet-local-iris-tree", outputs)
    assert "is deployed without labels: [train], so no role may audit it" in world.call("labels", "iris-tree").stderr
    world.cloudformation.add("ratchet-local-iris-tree", {**outputs, label_audits.ROLE_OUTPUT: ROLE})
    world.s3.objects.clear()
    assert "iris-tree waits for data: train is empty" in world.call("labels", "iris-tree").stderr


# ----------------------------------------------------------------------------------------------------- the corrections


def test_corrections_make_a_channel_beside_the_one_that_was_audited(world: World, tmp_path: Path) -> None:
    audited(world)
    world.s3.objects[BUCKET, "iris/train/more/others.csv"] = b"setosa,1,2,3,4\n"
    before = dict(world.s3.objects)
    file = corrections(tmp_path, ("irises.csv:3", "virginica", "setosa"), ("irises.csv:2", "virginica", None))
    found = told(world, "iris-tree", "--apply", str(file))
    assert (found["prefix"], found["corrected"], found["left_out"]) == ("iris/train-corrected-1/", 1, 1)
    assert (found["written"], found["copied"]) == (["irises.csv"], 1)
    made = {key: world.s3.objects[BUCKET, key] for key in world.keys(BUCKET) if "-corrected-1/" in key}
    assert made == {
        "iris/train-corrected-1/irises.csv": b"setosa,5.1,3.5,1.4,0.2\nsetosa,4.9,3.0,1.4,0.2\n",
        "iris/train-corrected-1/more/others.csv": b"setosa,1,2,3,4\n",
    }
    assert before.items() <= world.s3.objects.items(), "nothing that was there has changed"
    again = world.call("labels", "iris-tree", "--apply", str(file))
    assert "1 labels corrected, 1 examples left out: s3://the-data/iris/train-corrected-2/" in again.output
    assert "next: data: {train: iris/train-corrected-2/} in iris_tree/pipeline.yaml" in again.output


def test_of_pictures_a_manifest_is_made(world: World, tmp_path: Path) -> None:
    del world.s3.objects[BUCKET, "iris/train/irises.csv"]
    for name in ("setosa/1.png", "setosa/2.png", "virginica/3.png", "virginica/4.png"):
        world.s3.objects[BUCKET, f"iris/train/{name}"] = PNG
    audited(world, format="images")
    file = corrections(tmp_path, ("setosa/2.png", "setosa", "versicolor"), ("virginica/3.png", "virginica", None))
    found = told(world, "iris-tree", "--apply", str(file))
    assert (found["corrected"], found["left_out"], found["copied"]) == (1, 1, 0)
    lines = [
        json.loads(line) for line in world.s3.objects[BUCKET, "iris/train-corrected-1/labels.manifest"].splitlines()
    ]
    assert [(line["source-ref"], line["class"], line["class-metadata"]["class-name"]) for line in lines] == [
        ("s3://the-data/iris/train/setosa/1.png", 0, "setosa"),
        ("s3://the-data/iris/train/setosa/2.png", 1, "versicolor"),
        ("s3://the-data/iris/train/virginica/4.png", 2, "virginica"),
    ]
    text = world.call("labels", "iris-tree", "--apply", str(file)).output
    next_ = "{manifest: iris/train-corrected-2/labels.manifest, attributes: [source-ref, class], objects: iris/train/}"
    assert f"next: data: {{train: {next_}}} in iris_tree/pipeline.yaml" in text
    said(world, data={"train": yaml.safe_load(next_), "test": "iris/test/"})
    assert world.call("labels", "iris-tree").exit_code == 0, "the new channel may be audited in its turn"


MANIFEST = "".join(
    json.dumps({"source-ref": f"s3://{BUCKET}/iris/train/{name}.png", "class": number, "note": "x"}) + "\n"
    for number, name in enumerate(("a", "b"))
)


@pytest.mark.parametrize(
    ("key", "inputs", "place"),
    [
        ("iris/train/labels.manifest", {"data": "iris/train/"}, "labels.manifest"),
        ("iris/train/more/l.manifest", {"data": "iris/train/"}, "more/l.manifest"),
        ("elsewhere/l.manifest", {"data": "iris/train/", "manifest": "elsewhere/l.manifest"}, "elsewhere/l.manifest"),
    ],
)
def test_of_a_channel_with_a_manifest_that_is_audited_and_made_anew(
    world: World, tmp_path: Path, key: str, inputs: dict[str, str], place: str
) -> None:
    channel = {"manifest": key, "attributes": ["source-ref", "class"], "objects": "iris/train/"}
    said(world, data={"train": channel, "test": "iris/test/"})
    world.s3.objects[BUCKET, key] = MANIFEST.encode()
    told(world, "iris-tree")
    asked = {each["InputName"]: each["S3Input"]["S3Uri"] for each in world.sagemaker.asked["ProcessingInputs"]}
    assert {name: uri for name, uri in asked.items() if name != files.CODE_INPUT} == {
        name: f"s3://{BUCKET}/{where}" for name, where in inputs.items()
    }
    words = " ".join(world.sagemaker.asked["AppSpecification"]["ContainerArguments"])
    assert words.endswith(f"--manifest {place} --label-name=class --format manifest")
    name = key.rpartition("/")[2]
    audited(
        world, format="manifest", classes=["0", "1"], reading={"label": "class", "header": None, "format": "manifest"}
    )
    found = told(world, "iris-tree", "--apply", str(corrections(tmp_path, (f"{name}:2", "1", "0"))))
    new = f"{key.rpartition('/')[0]}-corrected-1/{name}"
    assert found["data"] == {"train": {**channel, "mode": "pipe", "manifest": new}} and found["copied"] == 0
    lines = [json.loads(line) for line in world.s3.objects[BUCKET, new].splitlines()]
    assert [(line["class"], line["note"]) for line in lines] == [(0, "x"), (0, "x")]
    assert world.s3.objects[BUCKET, key] == MANIFEST.encode()


def test_a_manifest_s_label_is_the_attribute_that_is_no_object(world: World) -> None:
    channel = {"manifest": "iris/train/l.manifest", "attributes": ["source-ref", "class", "colour"]}
    said(world, data={"train": channel, "test": "iris/test/"})
    world.s3.objects[BUCKET, "iris/train/l.manifest"] = MANIFEST.encode()
    result = world.call("labels", "iris-tree")
    assert "data.train has 2 attributes that may be labels (class, colour); name it: --attribute" in result.stderr
    told(world, "iris-tree", "--attribute", "colour")
    assert "--label-name=colour" in world.sagemaker.asked["AppSpecification"]["ContainerArguments"]


@pytest.mark.parametrize(
    ("changes", "entry", "message"),
    [
        ({}, ("irises.csv:1", "virginica", "setosa"), "irises.csv:1 is labelled 'setosa', not 'virginica' as when"),
        ({}, ("irises.csv:9", "virginica", "setosa"), "irises.csv:9 is no example: the file has changed"),
        ({}, ("gone.csv:1", "virginica", "setosa"), "there is no gone.csv in s3://the-data/iris/train/ any more"),
        ({}, ("irises.csv", "virginica", "setosa"), "irises.csv is no place in a file, as train.csv:12"),
        (
            {},
            ("irises.csv:3", "virginica", "setoza"),
            "names 'setoza', which is no class of the audit; did you mean set",
        ),
        ({}, ("irises.csv:3", "virginica", "virginica"), "irises.csv:3 stays 'virginica', which is no correction"),
        ({}, ("irises.csv:3", "virginica", ""), "correction 1 is no"),
        (
            {"pipeline": "digits"},
            ("irises.csv:3", "virginica", "setosa"),
            "are of the pipeline digits, not of iris-tree",
        ),
        ({"environment": "prod"}, ("irises.csv:3", "virginica", "setosa"), "of the environment prod, not of local"),
        ({"audit": "20261127-101112-dead"}, ("irises.csv:3", "virginica", "setosa"), "there is no audit 20261127-1011"),
        ({"audit": "../../x"}, ("irises.csv:3", "virginica", "setosa"), "doesn't say of which pipeline"),
        ({"version": 2}, ("irises.csv:3", "virginica", "setosa"), "holds no corrections of version 1"),
        ({"corrections": []}, ("irises.csv:3", "virginica", "setosa"), "corrects nothing"),
    ],
)
def test_corrections_that_do_not_fit_write_nothing(
    world: World, tmp_path: Path, changes: dict[str, Any], entry: tuple[str, str, str | None], message: str
) -> None:
    audited(world)
    before = dict(world.s3.objects)
    result = world.call("labels", "iris-tree", "--apply", str(corrections(tmp_path, entry, **changes)))
    assert result.exit_code == 1 and message in result.stderr, result.stderr
    assert world.s3.objects == before


def test_arrays_are_not_corrected_line_by_line(world: World, tmp_path: Path) -> None:
    audited(world, format="npz")
    file = corrections(tmp_path, ("a.npz:3", "virginica", "setosa"))
    assert (
        "the channel holds npz, whose labels are no lines"
        in world.call("labels", "iris-tree", "--apply", str(file)).stderr
    )
    file.write_text("{")
    assert "corrections.json is no JSON" in world.call("labels", "iris-tree", "--apply", str(file)).stderr


def test_a_zipped_file_stays_one(world: World, tmp_path: Path) -> None:
    del world.s3.objects[BUCKET, "iris/train/irises.csv"]
    world.s3.objects[BUCKET, "iris/train/irises.csv.gz"] = gzip.compress(TRAIN.encode())
    audited(world)
    told(world, "iris-tree", "--apply", str(corrections(tmp_path, ("irises.csv.gz:3", "virginica", "setosa"))))
    made = gzip.decompress(world.s3.objects[BUCKET, "iris/train-corrected-1/irises.csv.gz"]).decode()
    assert made == TRAIN.replace("virginica,4.9", "setosa,4.9")


def test_an_image_of_ones_own_holds_nothing_that_audits(world: World) -> None:
    folder = world.root / "training_code" / "iris_tree"
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY main /main\nENTRYPOINT ["/main"]\n')
    (folder / "main").write_text("a program")
    path = folder / "pipeline.yaml"
    document = yaml.safe_load(path.read_text())
    del document["framework"]
    path.write_text(yaml.safe_dump({**document, "dockerfile": "Dockerfile"}))
    result = world.call("labels", "iris-tree")
    assert "labels[0]: is audited by Ratchet's toolkit in the image that trains, and the image is" in result.stderr
