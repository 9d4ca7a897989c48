"""Endpoints and the life of the server: what a kill or a stop leaves, and what comes back."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from botocore.exceptions import ClientError
from chain_kit import Chains
from hosting_kit import ECHO, Hosting, echo_archive
from running_aws import AwsFactory
from waiting import until

MARKED = ECHO.replace("import json, pathlib", "import json, pathlib, subprocess\nsubprocess.Popen(['sleep', '86377'])")


def processes_with(text: str) -> list[int]:
    """Processes whose command line or environment holds a text."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            content = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if text.encode() in content and state != "Z":
            found.append(int(entry.name))
    return found


def test_an_endpoint_comes_back_after_a_kill_even_without_its_model(fresh_aws: AwsFactory) -> None:
    mark = f"mark-{fresh_aws.state.parent.name}"
    aws = fresh_aws.start()
    hosting = Hosting(aws)
    endpoint = hosting.deploy("survivor", echo_archive("kept", MARKED), {"MARK": mark})
    chains = Chains(aws)
    chain = chains.serve("chain", chains.chain("chain", [chains.container("a"), chains.container("b")]))
    before = hosting.describe(endpoint)
    hosting.sagemaker.delete_endpoint_config(EndpointConfigName=endpoint)
    hosting.sagemaker.delete_model(ModelName=endpoint)
    hosting.s3.delete_object(Bucket=hosting.bucket, Key="survivor/model.tar.gz")
    old = processes_with(mark)
    assert old, "the container and what it started"
    os.kill(aws.server.pid, signal.SIGKILL)
    until(lambda: not set(old) & set(processes_with(mark)), "no process outlives the server")

    again = fresh_aws.start()
    hosting.sagemaker, hosting.runtime = again.client("sagemaker"), again.client("sagemaker-runtime")
    chains.runtime = hosting.runtime
    assert hosting.ask(endpoint)["body"]["model"] == "kept", "a request waits for the endpoint that comes back"
    assert chains.answer(chain)[0] == "1>a:sklearn>b:sklearn", "and so do all its containers"
    after = hosting.settled(endpoint)
    assert after["EndpointStatus"] == "InService"
    assert after["EndpointConfigName"] == before["EndpointConfigName"]
    fresh_aws.stop()
    until(lambda: not processes_with(mark), "nothing is left after a stop")


def test_what_was_in_progress_when_the_server_was_killed_goes_on(fresh_aws: AwsFactory) -> None:
    aws = fresh_aws.start()
    hosting = Hosting(aws)
    endpoint = hosting.deploy("updated", echo_archive("old"))
    config = hosting.config(
        "updated2", {"ModelName": hosting.model("updated2", echo_archive("new", hosting.loads_when_told("load")))}
    )
    created = hosting.name("created")
    hosting.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    hosting.sagemaker.create_endpoint(EndpointName=created, EndpointConfigName=config)
    gone = hosting.deploy("gone", echo_archive("gone"))
    hosting.sagemaker.delete_endpoint(EndpointName=gone)
    os.kill(aws.server.pid, signal.SIGKILL)

    again = fresh_aws.start()
    hosting.sagemaker, hosting.runtime = again.client("sagemaker"), again.client("sagemaker-runtime")
    hosting.s3 = again.client("s3")
    hosting.tell_to_load("load")
    until(lambda: hosting.describe(endpoint)["EndpointConfigName"] == config, "the update went on")
    assert hosting.settled(endpoint)["EndpointStatus"] == "InService"
    assert hosting.settled(created)["EndpointStatus"] == "InService"
    assert hosting.ask(endpoint)["body"]["model"] == hosting.ask(created)["body"]["model"] == "new"

    def is_gone() -> bool:
        try:
            return not hosting.describe(gone)
        except ClientError as error:
            return "Could not find endpoint" in str(error)

    until(is_gone, "the deletion went on")
