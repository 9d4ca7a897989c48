"""A function's process ends once nobody has invoked it for a while, and no caller notices more than a cold start."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from resources import allow, invoke, make_function, make_role, unique
from running_aws import Aws, AwsFactory
from waiting import until

from localaws.sagemaker.containers import container

SECONDS = 0.3
CODE = """
import os, subprocess, threading, time, uuid
START = uuid.uuid4().hex

def handler(event, context):
    return globals()[event["do"]](event)

def start(event):
    found = os.path.exists("/tmp/mark")
    open("/tmp/mark", "w").close()
    return [START, found]
def begin_another(event): return subprocess.Popen(["sleep", event["seconds"]]).args[1]
def take(event):
    # A process that is seen from outside, which sleeps for both together.
    subprocess.run(["sleep", str(event["seconds"]), event.get("mark", "0")], check=True)
    return "done"
def print_later(event):
    threading.Timer(0.05, print, ["said after the answer"]).start()
"""


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """An AWS whose functions end soon after they have been invoked."""
    factory = AwsFactory(tmp_path_factory.mktemp("impatient"))
    (factory.state / "settings.json").write_text(json.dumps({"idle_functions": {"seconds": SECONDS}}))
    yield factory.start()
    factory.stop()


@pytest.fixture(scope="module")
def role(impatient: Aws) -> str:
    return make_role(impatient, "lambda.amazonaws.com", allow("logs:*"))


@pytest.fixture
def function(impatient: Aws, role: str) -> str:
    name = unique("function")
    make_function(impatient, name, CODE, role)
    return name


def a_moment() -> str:
    """Less than a thousandth of a second, as no other process on this machine is told to sleep."""
    return f"0.000{random.randrange(10**9):09}"  # noqa: S311 - a name


def running(word: str) -> bool:
    """Whether a process has a word on its command line."""
    return any(word.encode() in text.split(b"\0") for text in map(_command, Path("/proc").glob("[0-9]*/cmdline")))


def _command(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.fidelity(
    "Lambda",
    "An execution environment that isn't invoked ends after a while; the next invocation has a new one.",
    "Lambda DG, Understanding the Lambda execution environment lifecycle",
)
def test_it_ends_with_what_it_started_and_the_next_invocation_has_a_new_one(impatient: Aws, function: str) -> None:
    sleeps = f"600{a_moment()[1:]}"
    first, _ = invoke(impatient, function, {"do": "start"})
    invoke(impatient, function, {"do": "begin_another", "seconds": sleeps})
    assert running(sleeps) or container.isolation() == "none"
    until(lambda: not running(sleeps), "the end of an idle function")
    second, error = invoke(impatient, function, {"do": "start"})
    assert error is None
    assert first[0] != second[0]
    if container.isolation() == "processes and files":
        assert not second[1], "/tmp is gone, too"


def test_one_that_is_at_work_does_not_end(impatient: Aws, function: str) -> None:
    assert invoke(impatient, function, {"do": "take", "seconds": 5 * SECONDS}) == ("done", None)


def test_who_invokes_one_that_is_about_to_end_gets_an_answer(impatient: Aws, function: str) -> None:
    def ask(_turn: int) -> Any:
        time.sleep(random.uniform(0.9, 1.1) * SECONDS)  # noqa: S311 - around the moment of its end
        return invoke(impatient, function, {"do": "start"})[1]

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(ask, range(60))) == {None}


def test_what_it_prints_after_its_answer_is_in_its_log(impatient: Aws, function: str) -> None:
    invoke(impatient, function, {"do": "print_later"})
    logs = impatient.client("logs")

    def said() -> list[Any]:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
        return [event for event in events if event["message"] == "said after the answer"]

    until(said, "the last lines of a function that has ended")


@pytest.mark.fidelity(
    "Lambda",
    "Environments of provisioned concurrency stay, however long nobody invokes them.",
    "Lambda DG, Configuring provisioned concurrency for a function",
)
def test_provisioned_concurrency_keeps_it(impatient: Aws, function: str) -> None:
    client = impatient.client("lambda")
    version = client.publish_version(FunctionName=function)["Version"]
    client.put_provisioned_concurrency_config(
        FunctionName=function, Qualifier=version, ProvisionedConcurrentExecutions=1
    )
    found = []
    for _ in range(2):
        answer = client.invoke(FunctionName=function, Qualifier=version, Payload='{"do": "start"}')
        found.append(json.loads(answer["Payload"].read())[0])
        time.sleep(3 * SECONDS)
    assert len(set(found)) == 1


@pytest.mark.parametrize("way", ["updated", "deleted"])
def test_an_invocation_that_has_begun_ends_well_though_its_function_is_changed(
    impatient: Aws, function: str, way: str
) -> None:
    client, answers, mark = impatient.client("lambda"), [], a_moment()
    event = {"do": "take", "seconds": 1, "mark": mark}
    asking = threading.Thread(target=lambda: answers.append(invoke(impatient, function, event)))
    asking.start()
    until(lambda: running(mark), "the invocation's beginning")
    if way == "deleted":
        client.delete_function(FunctionName=function)
    else:
        client.update_function_configuration(FunctionName=function, MemorySize=256)
    asking.join()
    assert answers == [("done", None)]
