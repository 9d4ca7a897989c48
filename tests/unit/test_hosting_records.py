"""Endpoints' records and what serves them, without a process: states, events, files, waiting for what comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from quiet_platform import QuietPlatform

from localaws.sagemaker.context import Context
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.hosting.endpoint_files import EndpointFiles
from localaws.sagemaker.hosting.endpoint_records import EndpointRecords
from localaws.sagemaker.hosting.fleet import Deployment
from localaws.sagemaker.hosting.instances import FleetError
from localaws.sagemaker.hosting.serving import Serving

ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e"


def snapshot(identity: str, config: str = "config") -> dict[str, Any]:
    return {"Id": identity, "EndpointConfigName": config, "Variants": []}


def no_worker(*_: object) -> Any:
    raise AssertionError("nothing is started here")


def deployment() -> Deployment:
    return Deployment([], no_worker)


@pytest.fixture
def platform(tmp_path: Path) -> QuietPlatform:
    return QuietPlatform(tmp_path)


@pytest.fixture
def records(platform: QuietPlatform) -> Iterator[EndpointRecords]:
    context = Context.open(platform)
    records = EndpointRecords(context)
    records.create("e", records.arn_of_new("e"), snapshot("one"), {"team": "ml"})
    yield records
    context.lifecycle.close()


def told(platform: QuietPlatform) -> list[str]:
    assert {detail_type for detail_type, _ in platform.events} == {"SageMaker Endpoint State Change"}
    return [detail["EndpointStatus"] for _, detail in platform.events]


@pytest.mark.fidelity(
    "Endpoints",
    "An endpoint goes Creating, InService, Deleting.",
    "SageMaker API, DescribeEndpoint: EndpointStatus",
)
def test_an_endpoint_goes_from_creating_to_serving_to_gone(records: EndpointRecords, platform: QuietPlatform) -> None:
    assert records.find("e")["EndpointStatus"] == "Creating"
    records.settle("e", "InService", snapshot("one"), None)
    assert records.begin_update("e", snapshot("two", "next")) == ARN
    updating = records.find("e")
    assert (updating["Pending"]["Id"], updating["EndpointConfigName"]) == ("two", "config")
    assert "StartTime" in updating["Pending"]
    records.settle("e", "InService", snapshot("two", "next"), None)
    served = records.find("e")
    assert (served["Deployed"]["Id"], served["EndpointConfigName"]) == ("two", "next")
    assert "Pending" not in served
    records.begin_deleting("e")
    records.remove("e")
    assert records.all() == []
    assert told(platform) == ["CREATING", "IN_SERVICE", "UPDATING", "IN_SERVICE", "DELETING"]
    assert platform.events[0][1]["Tags"] == {"team": "ml"}


def test_an_update_that_fails_keeps_what_is_deployed_and_says_why(records: EndpointRecords) -> None:
    records.settle("e", "InService", snapshot("one"), None)
    records.begin_update("e", snapshot("two", "next"))
    records.settle("e", "InService", None, "it is not healthy")
    kept = records.find("e")
    assert (kept["Deployed"]["Id"], kept["EndpointConfigName"]) == ("one", "config")
    assert kept["FailureReason"] == "it is not healthy"
    records.begin_update("e", snapshot("three"))
    assert "FailureReason" not in records.find("e")


@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting"])
def test_nothing_changes_an_endpoint_that_is_in_progress(records: EndpointRecords, status: str) -> None:
    records.set_status("e", status)
    for change in (
        records.find_ready,
        records.begin_deleting,
        lambda name: records.begin_update(name, snapshot("two")),
    ):
        with pytest.raises(SageMakerError, match=f'Cannot update in-progress endpoint "{ARN}"'):
            change("e")


@pytest.mark.fidelity(
    "Endpoints",
    "An endpoint whose creation Failed can only be deleted.",
    "SageMaker API, DescribeEndpoint: EndpointStatus, Failed",
)
def test_a_failed_endpoint_can_only_be_deleted(records: EndpointRecords) -> None:
    records.settle("e", "Failed", None, "why")
    with pytest.raises(SageMakerError, match="Cannot update failed endpoint"):
        records.find_ready("e")
    records.begin_deleting("e")


def test_names_that_are_taken_or_unknown_are_refused(records: EndpointRecords) -> None:
    with pytest.raises(SageMakerError, match="already existing endpoint"):
        records.arn_of_new("e")
    with pytest.raises(SageMakerError, match="already existing endpoint"):
        records.create("e", ARN, snapshot("two"), {})
    with pytest.raises(SageMakerError, match="Could not find endpoint"):
        records.set_status("other", "InService")


def test_only_what_is_being_restored_is_coming_back(records: EndpointRecords) -> None:
    assert not records.is_coming_back("e")
    records.set_status("e", "SystemUpdating")
    assert records.is_coming_back("e")
    assert not records.is_coming_back("other")


def test_a_request_waits_for_a_deployment_only_while_one_is_coming() -> None:
    serving, new = Serving(), deployment()
    assert serving.wait_for("e", 30, lambda _name: False) is None
    assert serving.wait_for("e", 0.0, lambda _name: True) is None
    waiting = threading.Event()
    found: list[Deployment | None] = []

    def is_coming(_name: str) -> bool:
        waiting.set()
        return True

    request = threading.Thread(target=lambda: found.append(serving.wait_for("e", 30, is_coming)))
    request.start()
    assert waiting.wait(30)
    assert serving.swap("e", new) is None
    request.join(30)
    assert found == [new]
    assert serving.wait_for("e", 0.0, lambda _name: False) is new


def test_a_swap_gives_the_old_deployment_and_a_removal_leaves_none() -> None:
    serving, old, new = Serving(), deployment(), deployment()
    serving.swap("e", old)
    assert serving.swap("e", new) is old
    assert serving.remove("e") is new
    assert serving.get("e") is serving.remove("e") is None


def test_a_server_that_is_closed_starts_no_deployment() -> None:
    serving = Serving()
    serving.swap("e", deployment())
    serving.close()
    assert serving.get("e") is None
    with pytest.raises(FleetError, match="the server is stopping"):
        serving.start("e", deployment())


def test_files_of_endpoints_that_are_gone_go_too(tmp_path: Path) -> None:
    files = EndpointFiles(tmp_path / "endpoints")
    assert files.deployments("kept") == []
    files.remove_all_but({"kept"})
    for endpoint, identity in (("kept", "one"), ("kept", "two"), ("gone", "one")):
        files.deployment(endpoint, identity).mkdir(parents=True)
    files.remove_all_but({"kept"})
    assert sorted(path.name for path in (tmp_path / "endpoints").iterdir()) == ["kept"]
    assert sorted(path.name for path in files.deployments("kept")) == ["one", "two"]
    files.remove("kept")
    assert files.deployments("kept") == []
