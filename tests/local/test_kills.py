"""The benchmark of kills, with a few of them: one of each kind of moment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from running_aws import AwsFactory

from bench import kills
from bench.kills_episodes import EPISODES, Findings
from bench.kills_ledger import BUCKET, WRITTEN, Ledger

PIPELINES = kills.PIPELINES


def test_nothing_is_lost_left_or_wrong(fresh_deployed_aws: AwsFactory) -> None:
    told: list[str] = []
    aws = fresh_deployed_aws.start()
    found = kills.killed_again_and_again(fresh_deployed_aws, aws, len(EPISODES), 3, told.append)
    document = kills.document(found, 3)
    assert document["figures"] == {"kills": len(EPISODES), "lost": 0, "orphans": 0, "wrong_champions": 0}, document
    assert set(found.episodes) == set(EPISODES)
    assert all(found.acknowledged[kind] for kind in WRITTEN), "of what is written all the time"
    it_sees_what_is_lost(fresh_deployed_aws)
    it_sees_what_is_left(fresh_deployed_aws)


def it_sees_what_is_lost(factory: AwsFactory) -> None:
    aws, ledger = factory.start(), Ledger(0)
    aws.client("s3").delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": each} for each in keys(aws)]})
    ledger.acknowledged["objects"]["objects-0"] = "of something that was deleted"
    assert "objects-0 is not what was acknowledged" in ledger.lost(aws)


def keys(aws: object) -> list[str]:
    listed = aws.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="folder/")  # type: ignore[attr-defined]
    return [each["Key"] for each in listed.get("Contents", [])]


def it_sees_what_is_left(factory: AwsFactory) -> None:
    server = factory.start().server.pid
    left = subprocess.Popen(["sleep", "60"], env={**os.environ, "OF": str(factory.state)})
    try:
        assert [each.split()[0] for each in kills.orphans(Path(factory.state), server)] == [str(left.pid)]
    finally:
        left.kill()
        left.wait()


def test_figures_are_counts_of_what_was_found() -> None:
    found = Findings(kills=2, lost=["a"], orphans=[], wrong_champions=["b", "c"], restarts=[0.2, 0.3])
    assert kills.document(found, 1)["figures"] == {"kills": 2, "lost": 1, "orphans": 0, "wrong_champions": 2}
