"""`ratchet data`: a pipeline's channels listed, files put there and removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from commands_world import BUCKET, World, world_in

from ratchet import errors
from ratchet.commands.data import _size

TRAIN, TEST = "iris/train/", "iris/test/"


@pytest.fixture(name="world")
def _world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = world_in(tmp_path / "checkout", monkeypatch)
    for name in ("jan.csv", "feb.csv"):
        (world.root / name).write_text("0,1,2\n")
    return world


def filled(world: World, *keys: str) -> None:
    for key in keys:
        world.s3.put_object(Bucket=BUCKET, Key=key, Body=b"0,1\n" * 300)


def test_the_bucket_and_each_channel_are_shown_with_sizes(world: World) -> None:
    filled(world, f"{TRAIN}a.csv", f"{TRAIN}2026/b.csv", "elsewhere/c.csv")
    world.s3.put_object(Bucket=BUCKET, Key=TRAIN, Body=b"")
    told = world.call("data", "iris_tree")
    assert told.exit_code == 0, told.output
    for line in (
        f"s3://{BUCKET}",
        f"{TRAIN}  2 objects, 2.3 KiB",
        "2026/b.csv",
        "1.2 KiB",
        f"{TEST}  empty  (held out",
    ):
        assert line in told.stdout
    assert "c.csv" not in told.stdout
    assert "ratchet data iris-tree put FILE… CHANNEL" in told.stdout
    document = json.loads(world.call("data", "iris-tree", "--json").stdout)
    objects = {channel["channel"]: channel["objects"] for channel in document["channels"]}
    assert [each["key"] for each in objects["train"]] == [f"{TRAIN}2026/b.csv", f"{TRAIN}a.csv"]
    assert objects["train"][0]["bytes"] == 1200


def test_a_long_channel_is_cut_for_people(world: World) -> None:
    filled(world, *(f"{TRAIN}{number:03}.csv" for number in range(25)))
    told = world.call("data", "iris-tree").stdout
    assert "019.csv" in told and "020.csv" not in told
    assert "and 5 more (--json lists all)" in told
    assert len(json.loads(world.call("data", "iris-tree", "--json").stdout)["channels"][0]["objects"]) == 25


def test_files_and_folders_are_put_under_the_channel_s_prefix(world: World) -> None:
    filled(world, f"{TRAIN}jan.csv")
    (world.root / "more" / "deep").mkdir(parents=True)
    (world.root / "more" / "deep" / "mar.csv").write_text("1\n")
    (world.root / "more" / ".hidden").write_text("1\n")
    told = world.call("data", "iris-tree", "put", "jan.csv", "feb.csv", "more", "train")
    assert told.exit_code == 0, told.output
    assert world.keys() == [f"{TRAIN}deep/mar.csv", f"{TRAIN}feb.csv", f"{TRAIN}jan.csv"]
    assert f"replaced        s3://{BUCKET}/{TRAIN}jan.csv" in told.stdout
    assert f"put             s3://{BUCKET}/{TRAIN}feb.csv" in told.stdout
    assert (
        "a run starts by itself, once there is data in test, too: `ratchet data iris-tree put FILE… test`"
        in told.stdout
    )


def test_when_a_run_starts_is_told_by_the_quiet_period_of_the_environment(world: World) -> None:
    filled(world, f"{TEST}a.csv")
    told = world.call("data", "iris-tree", "put", "jan.csv", "train").stdout
    assert "a run starts by itself 120 s after the last file" in told
    settings = json.loads((world.root / "cdk.json").read_text())
    settings["context"]["environments"]["local"]["quiet_at_most"] = "2s"
    (world.root / "cdk.json").write_text(json.dumps(settings))
    told = world.call("data", "iris-tree", "put", "feb.csv", "train").stdout
    assert "a run starts by itself 2 s after the last file" in told


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["put"], "say what goes where: ratchet data iris-tree put FILE… CHANNEL"),
        (["put", "jan.csv"], "say what goes where"),
        (["put", "jan.csv", "trian"], "iris-tree has no channel 'trian'; did you mean train?"),
        (["put", "jan.csv", "none.csv", "train"], "none.csv: is no file, and no folder; nothing was put"),
        (["put", "jan.csv", "other/jan.csv", "train"], "would both become jan.csv; rename one. Nothing was put"),
        (["put", "empty", "train"], "empty: has no files"),
        (["rm"], "say what goes"),
        (["rm", "train/jan.csv", "train/ferb.csv"], "there is no object 'train/ferb.csv'; did you mean train/feb.csv?"),
        (["rm", "elsewhere/c.csv"], "there is no object 'elsewhere/c.csv'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(world: World, given: list[str], message: str) -> None:
    filled(world, f"{TRAIN}jan.csv", f"{TRAIN}feb.csv", "elsewhere/c.csv")
    for folder in ("other", "empty"):
        (world.root / folder).mkdir()
    (world.root / "other" / "jan.csv").write_text("1\n")
    before = dict(world.s3.objects)
    told = world.call("data", "iris-tree", *given)
    assert told.exit_code == errors.FAILURE
    assert message in told.stderr
    assert world.s3.objects == before


def test_what_serve_py_reads_itself_may_be_any_held_out_file(world: World) -> None:
    (world.root / "a.wav").write_text("1")
    assert "a.wav: held-out files of an unknown kind" in world.call("data", "iris-tree", "put", "a.wav", "test").stderr
    with (world.root / "training_code" / "iris_tree" / "serve.py").open("a") as script:
        script.write("\ndef heldout_fn(folder): ...\n")
    assert world.call("data", "iris-tree", "put", "a.wav", "test").exit_code == 0
    assert world.keys() == [f"{TEST}a.wav"]


def test_a_channel_that_holds_a_champion_is_shown_and_nobody_puts_data_there(world: World) -> None:
    path = world.root / "training_code" / "iris_tree" / "pipeline.yaml"
    begins = f"  pretrained: {{champion_of: words}}\n  test: {TEST}"
    path.write_text(path.read_text().replace(f"  test: {TEST}", begins))
    assert "pretrained      the champion of words" in world.call("data", "iris-tree").stdout
    document = json.loads(world.call("data", "iris-tree", "--json").stdout)
    assert document["models"] == [{"channel": "pretrained", "champion_of": "words"}]
    told = world.call("data", "iris-tree", "put", "jan.csv", "pretrained")
    assert told.exit_code == errors.FAILURE
    assert "the channel pretrained of iris-tree is the champion of words, which its runs bring there" in told.output
    assert world.keys() == []


def test_an_object_is_removed_by_its_channel_and_name_or_its_key(world: World) -> None:
    filled(world, f"{TRAIN}jan.csv", f"{TRAIN}feb.csv", f"{TEST}jan.csv")
    told = world.call("data", "iris-tree", "rm", "train/jan.csv", f"{TEST}jan.csv")
    assert told.exit_code == 0, told.output
    assert world.keys() == [f"{TRAIN}feb.csv"]
    assert f"removed         s3://{BUCKET}/{TRAIN}jan.csv" in told.stdout


def test_a_whole_channel_goes_only_after_a_question(world: World) -> None:
    filled(world, f"{TRAIN}jan.csv", f"{TRAIN}feb.csv", f"{TEST}jan.csv")
    assert world.call("data", "iris-tree", "rm", "train", given="n\n").exit_code != 0
    assert len(world.keys()) == 3
    asked = world.call("data", "iris-tree", "rm", "train", given="y\n")
    assert "Remove 2 objects, all of train among them?" in asked.stderr
    assert world.keys() == [f"{TEST}jan.csv"]
    assert world.call("data", "iris-tree", "rm", "test", "--yes").exit_code == 0
    assert world.keys() == []
    assert "nothing was there to remove" in world.call("data", "iris-tree", "rm", "test").stdout


def test_a_channel_with_a_manifest_has_it_and_what_it_points_to(world: World) -> None:
    path = world.root / "training_code" / "iris_tree" / "pipeline.yaml"
    spec = yaml.safe_load(path.read_text())
    manifest = {"manifest": "labels/iris.manifest", "attributes": ["source-ref", "class"], "objects": TRAIN}
    path.write_text(yaml.safe_dump({**spec, "data": {**spec["data"], "train": manifest}}))
    (world.root / "iris.manifest").write_text("{}\n")
    filled(world, "labels/iris.manifest.old", f"{TRAIN}0.csv")
    told = world.call("data", "iris-tree", "put", "jan.csv", "train").stdout
    assert "once there is data in test and train, too" in told, "the manifest isn't there yet"
    told = world.call("data", "iris-tree", "put", "iris.manifest", "train")
    assert f"put             s3://{BUCKET}/labels/iris.manifest" in told.stdout
    assert "once there is data in test, too" in told.stdout
    document = json.loads(world.call("data", "iris-tree", "--json").stdout)
    objects = {channel["channel"]: channel["objects"] for channel in document["channels"]}
    assert [each["key"] for each in objects["train"]] == [f"{TRAIN}0.csv", f"{TRAIN}jan.csv", "labels/iris.manifest"]
    alone = {"manifest": "labels/iris.manifest", "attributes": ["class"]}
    path.write_text(yaml.safe_dump({**spec, "data": {**spec["data"], "train": alone}}))
    told = world.call("data", "iris-tree", "put", "feb.csv", "train")
    assert told.exit_code == 1
    assert (
        "channel train holds its manifest alone, labels/iris.manifest, which points to no objects; feb.csv has"
        in told.stderr
    )


def test_a_pipeline_without_a_folder_has_no_channels_to_show(world: World) -> None:
    world.deploy("tickets")
    assert (
        "tickets has no folder in this checkout, so nothing says its channels" in world.call("data", "tickets").stderr
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 * 2**30, "3.0 GiB"), (5 * 2**50, "5120.0 TiB")],
)
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert _size(count) == text
