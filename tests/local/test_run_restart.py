"""The embedded AWS is killed in the middle of a run: the pipeline reaches its champion all the same."""

from __future__ import annotations

import os
import signal

from deployed import Pipeline, Scripted, opened
from running_aws import AwsFactory
from waiting import until

PIPELINES = {"scripted": Scripted()}


def test_a_run_that_was_cut_off_is_made_again(fresh_deployed_aws: AwsFactory) -> None:
    aws = fresh_deployed_aws.start()
    pipeline = opened(aws, "scripted", PIPELINES["scripted"])
    pipeline.order(accuracy=0.9, train="linger", seconds=3)
    run_id = pipeline.trigger()["run_id"]
    until(lambda: "Train" in pipeline.states(run_id), "training")
    os.kill(aws.server.pid, signal.SIGKILL)

    restarted = Pipeline(fresh_deployed_aws.start(), pipeline.name, pipeline.shared, pipeline.own)
    until(lambda: "champion" in restarted.state, "a champion")
    assert restarted.item(f"run#{run_id}")["outcome"] == "Failed"
    champion = restarted.idle()["champion"]
    assert champion["run_id"] != run_id
    assert restarted.record(champion["run_id"])["trigger"]["kind"] == "manual"
    assert restarted.ask(1) == "1"
