"""Jobs of several hosts: how they end together, what each is told, and what each gets of the data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import played_jobs
import pytest
from image_uris import PYTORCH, SKLEARN
from played_jobs import HOUR, START, PlayedContainer, World

from localaws.sagemaker.containers import artifacts, channels, container, instance_sizes
from localaws.sagemaker.containers.beneath import Folder
from localaws.sagemaker.containers.channels import Source
from localaws.sagemaker.containers.container import ContainerSpec
from localaws.sagemaker.containers.objects import Download, S3Object
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.jobs import host_network, hosts, job_data, job_limits, processing_request, training_request
from localaws.sagemaker.jobs.job import Job
from localaws.sagemaker.jobs.outcomes import INTERRUPTION, MAX_RUNTIME, SCRIPT, STOP, End, JobFailedError, Outcome

MINUTE = 60.0
NOTHING = ContainerSpec([], {}, Path("/nowhere"), Path("/nowhere"), Path("/nowhere"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with played_jobs.opened(tmp_path) as world:
        yield world


def job_of(world: World, count: int) -> Job:
    return world.job(ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 5})


def run(job: Job, *ends: End) -> Outcome:
    """Run a container on each host, for ten hours at most."""
    try:
        return job.run_all([NOTHING] * len(job.hosts), 10 * HOUR, *ends)
    finally:
        job.release()


def test_a_host_that_fails_ends_the_others(world: World) -> None:
    world.play(runs=HOUR, obeys_after=2.0)
    world.play(runs=MINUTE, exit_code=7)
    world.play(runs=HOUR, obeys_after=None)
    assert run(job_of(world, 3)) == Outcome(7, SCRIPT, host=1)
    heard = [played.signals for played in world.containers]
    assert heard == [[("TERM", MINUTE)], [], [("TERM", MINUTE), ("KILL", MINUTE + 5)]]
    assert world.clock.time == START + MINUTE + 5


def test_the_first_host_that_fails_is_the_one_at_fault(world: World) -> None:
    world.play(runs=MINUTE + 1, exit_code=3)
    world.play(runs=MINUTE, exit_code=137, obeys_after=None)
    assert run(job_of(world, 2)) == Outcome(137, SCRIPT, host=1)


def test_a_host_that_is_done_waits_for_the_others(world: World) -> None:
    world.play(runs=MINUTE)
    world.play(runs=HOUR)
    assert run(job_of(world, 2)) == Outcome(0, SCRIPT)
    assert [played.signals for played in world.containers] == [[], []]
    assert world.clock.time == START + HOUR


@pytest.mark.parametrize(
    ("end", "cause", "notice"),
    [
        (End(START + HOUR, INTERRUPTION, 60.0), INTERRUPTION, 60.0),
        (End(START + HOUR, MAX_RUNTIME), MAX_RUNTIME, 120.0),
        (None, STOP, 120.0),
    ],
)
def test_an_end_from_outside_comes_to_all_hosts(world: World, end: End | None, cause: str, notice: float) -> None:
    world.play(runs=100 * HOUR, obeys_after=1.0)
    world.play(runs=100 * HOUR, obeys_after=None)
    job = job_of(world, 2)
    if end is None:
        world.clock.after(HOUR, job.signals.stop)
    assert run(job, *([end] if end else [])).cause == cause
    first, second = [played.signals for played in world.containers]
    assert (first, second) == ([("TERM", HOUR)], [("TERM", HOUR), ("KILL", HOUR + notice)])


def test_a_host_that_closes_its_output_and_goes_on_holds_up_nobody(world: World) -> None:
    world.play(runs=HOUR)
    world.play(runs=MINUTE, exit_code=1)
    made: list[PlayedContainer] = []

    def launch(spec: ContainerSpec) -> Any:
        made.append(world.launch(spec))
        if len(made) == 1:
            os.close(made[0]._writer)
            made[0]._writer = os.open(os.devnull, os.O_WRONLY)
        return made[-1]

    world.context = replace(world.context, launch=launch)
    assert run(job_of(world, 2)) == Outcome(1, SCRIPT, host=1)
    assert made[0].signals[0][0] == "TERM"
    assert made[0].signals[0][1] == pytest.approx(MINUTE, abs=0.1)


def test_where_a_container_cannot_be_started_none_is_left(world: World) -> None:
    world.play(runs=HOUR)

    def launch(spec: ContainerSpec) -> Any:
        if world.containers:
            raise OSError("no more processes")
        return world.launch(spec)

    world.context = replace(world.context, launch=launch)
    with pytest.raises(OSError, match="no more processes"):
        run(job_of(world, 2))
    assert world.containers[0].signals == [("KILL", 0.0)]


def test_a_machine_that_gives_hosts_no_names_refuses_several(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "isolation", lambda: "none")
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 5}
    done = world.train(ResourceConfig=resources)
    assert done["FailureReason"].startswith(
        "ClientError: 2 instances: this machine's kernel allows no mount namespaces"
    )


class NoNetworks:
    """Of a machine that allows no private networks."""

    def open(self) -> Any:
        raise OSError("Operation not permitted")


def test_without_private_networks_hosts_have_addresses_that_no_other_job_s_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "isolation", lambda: "files")
    networks: Any = NoNetworks()
    world.context = replace(world.context, networks=networks)
    job = job_of(world, 2)
    job.directory.mkdir(parents=True)
    joined = [host_network.joined(host, NOTHING) for host in job.hosts]
    assert [spec.network for spec in joined] == ["host", "host"]
    assert [spec.hostname for spec in joined] == ["algo-1", "algo-2"]
    first, second = host_network.addresses(job).values()
    network = first.removesuffix(".2")
    assert (first, second) == (f"{network}.2", f"{network}.3")
    assert network.startswith("127.") and network != "127.0.0"
    assert joined[0].etc_hosts is not None
    assert f"{first}\talgo-1\n{second}\talgo-2\n" in joined[0].etc_hosts.read_text()
    with pytest.raises(JobFailedError, match="EnableNetworkIsolation of several instances: Operation not permitted"):
        host_network.joined(job.first, replace(NOTHING, network="none"))
    job.release()


# --------------------------------------------------------------------------------------------------- what each is told


@pytest.mark.fidelity(
    "Training jobs",
    "The names of a job's hosts are sorted lexicographically: algo-1, algo-10, algo-2.",
    "SageMaker DG, How Amazon SageMaker AI Provides Training Information: Distributed Training Configuration",
)
def test_hosts_are_sorted_as_words() -> None:
    found = hosts.resource_config("ml.m5.large", 11, 11)
    assert found["hosts"][:4] == ["algo-1", "algo-10", "algo-11", "algo-2"]
    assert found["current_host"] == "algo-11"
    assert found["instance_groups"][0]["hosts"] == found["hosts"]


def test_one_host_is_told_what_it_ever_was() -> None:
    group = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": ["algo-1"]}
    assert hosts.resource_config("ml.m5.large") == {
        "current_host": "algo-1",
        "current_instance_type": "ml.m5.large",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [group],
        "network_interface_name": "eth0",
    }


def test_each_host_has_its_share_of_this_machine() -> None:
    all_of_it = instance_sizes.available()
    resources = {"InstanceType": "ml.p4d.24xlarge", "InstanceCount": 4, "VolumeSizeInGB": 3}
    assert job_limits.limits({"ResourceConfig": resources}).memory == all_of_it // 4
    small = {**resources, "InstanceType": "ml.c8g.medium", "InstanceCount": 1}
    assert job_limits.limits({"ResourceConfig": small}).memory == min(2 * 1024**3, all_of_it)


# ---------------------------------------------------------------------------------------------------------------- data


def dealt(source: Source, objects: int, count: int) -> list[list[str]]:
    downloads = [Download(S3Object("b", f"{number:02}"), Path(f"{number:02}")) for number in range(objects)]
    return [[download.source.key for download in share] for share in channels.shares(source, downloads, count)]


def test_a_sharded_channel_is_dealt_out_by_its_keys() -> None:
    source = Source("train", "S3Prefix", "s3://b/", Path("train"), is_sharded=True)
    assert dealt(source, 5, 2) == [["00", "02", "04"], ["01", "03"]]
    assert dealt(source, 1, 3) == [["00"], [], []]


@pytest.mark.fidelity(
    "Training jobs",
    "ShuffleConfig shuffles the objects of a channel, in an order that its Seed determines.",
    "SageMaker API, ShuffleConfig",
)
def test_a_shuffled_channel_is_dealt_out_in_an_order_of_its_seed() -> None:
    source = Source("train", "S3Prefix", "s3://b/", Path("train"), is_sharded=True, seed=1)
    first, again = dealt(source, 20, 2), dealt(source, 20, 2)
    other = dealt(replace(source, seed=2), 20, 2)
    assert first == again != other
    assert sorted(chain(*first)) == sorted(chain(*other)) == [f"{number:02}" for number in range(20)]


class Bucket:
    """An S3 whose objects hold their keys."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys
        self.fetched: list[str] = []

    def list(self, bucket: str, _prefix: str, limit: int | None = None) -> list[S3Object]:
        return [S3Object(bucket, key, len(key)) for key in self.keys[:limit]]

    def download(self, downloads: list[Download], _keep_going: Any) -> None:
        for download in downloads:
            self.fetched.append(download.source.key)
            download.target.parent.mkdir(parents=True, exist_ok=True)
            download.target.write_text(download.source.key)

    def close(self) -> None:
        """There is nothing to close."""


@pytest.mark.parametrize(("most_copied", "is_shared"), [(100, False), (5, True)])
def test_a_channel_is_fetched_once_and_each_host_has_it(
    world: World, monkeypatch: pytest.MonkeyPatch, most_copied: int, is_shared: bool
) -> None:
    monkeypatch.setattr(job_data, "MOST_COPIED", most_copied)
    job, objects = job_of(world, 3), Bucket("in/a", "in/b/c")
    s3: Any = objects
    job.role = replace(job.role, objects=s3)
    job_data.fetch(job, Source("train", "S3Prefix", "s3://b/in/", Path("input/data/train")))
    assert objects.fetched == ["in/a", "in/b/c"]
    files = [host.ml / "input/data/train/b/c" for host in job.hosts]
    assert [file.read_text() for file in files] == ["in/b/c"] * 3
    assert (len({file.stat().st_ino for file in files}) == 1) is is_shared
    assert all(bool(file.stat().st_mode & 0o222) is not is_shared for file in files)
    job_data.fetch_checkpoints(job, Source("checkpoints", "S3Prefix", "s3://b/in/", Path("checkpoints")))
    assert len({(host.ml / "checkpoints/a").stat().st_ino for host in job.hosts}) == 3
    job.release()


def test_a_file_that_several_hosts_have_left_is_taken_of_the_first(tmp_path: Path) -> None:
    for host, files in (("algo-1", ("a", "same")), ("algo-2", ("b", "same", "c/d"))):
        for name in files:
            path = tmp_path / host / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(host)
    said: list[str] = []
    folders = [Folder(tmp_path / host, "model", "/opt/ml/model", 1000) for host in ("algo-1", "algo-2")]
    with artifacts._merged(folders, said.append) as files:
        found = {file.name: file.open().read().decode() for file in files}
    assert found == {"a": "algo-1", "b": "algo-2", "c/d": "algo-2", "same": "algo-1"}
    assert list(found) == sorted(found)
    assert said == ["/opt/ml/model/same was left by several hosts; that of the first of them is taken."]


# ------------------------------------------------------------------------------------------------------------ requests

TRAINING: dict[str, Any] = {
    "AlgorithmSpecification": {"TrainingImage": SKLEARN, "TrainingInputMode": "File"},
    "HyperParameters": {"sagemaker_program": '"t.py"', "sagemaker_submit_directory": '"s3://b/k"'},
    "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 20, "VolumeSizeInGB": 5},
}
PROCESSING: dict[str, Any] = {
    "AppSpecification": {"ImageUri": SKLEARN, "ContainerEntrypoint": ["true"]},
    "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 20}},
}


def refused(check: Any, request: dict[str, Any]) -> str:
    with pytest.raises(SageMakerError) as caught:
        check(request)
    return caught.value.message


@pytest.mark.fidelity(
    "Training jobs",
    "More instances than one job may have are ResourceLimitExceeded, in the words of every quota.",
    "data-science-on-aws/data-science-on-aws issue 200: the sentence of a quota that is of no instance type",
)
def test_a_job_has_1_to_20_instances() -> None:
    training_request.check(TRAINING)
    processing_request.check(PROCESSING)
    for count, said in (
        (0, "value greater than or equal to 1"),
        (21, "a request delta of 21 Instances"),
    ):
        resources = {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 5}
        assert said in refused(training_request.check, {**TRAINING, "ResourceConfig": resources})
        processing = {**PROCESSING, "ProcessingResources": {"ClusterConfig": resources}}
        assert said in refused(processing_request.check, processing)


def test_torchrun_is_for_pytorchs_images() -> None:
    enabled = {**TRAINING["HyperParameters"], "sagemaker_torch_distributed_enabled": "true"}
    said = refused(training_request.check, {**TRAINING, "HyperParameters": enabled})
    assert said == (
        "not supported here: hyperparameter sagemaker_torch_distributed_enabled with an image that isn't PyTorch's: "
        f"{SKLEARN}"
    )
    algorithm = {"TrainingImage": PYTORCH, "TrainingInputMode": "File"}
    training_request.check({**TRAINING, "AlgorithmSpecification": algorithm, "HyperParameters": enabled})


@pytest.mark.parametrize(
    "name",
    ["mpi_enabled", "parameter_server_enabled", "distributed_dataparallel_enabled", "pytorch_ddp_enabled"],
)
def test_other_distributions_are_refused_by_name(name: str) -> None:
    parameters = {**TRAINING["HyperParameters"], f"sagemaker_{name}": "true"}
    algorithm = {"TrainingImage": PYTORCH, "TrainingInputMode": "File"}
    request = {**TRAINING, "AlgorithmSpecification": algorithm, "HyperParameters": parameters}
    assert refused(training_request.check, request) == f"not supported here: hyperparameter sagemaker_{name}"
