"""Warm pools: what becomes of a training job's instances when it is over."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from image_uris import SKLEARN
from quiet_platform import QuietPlatform

from localaws.ministack_adapter.sagemaker_keys import request_keys
from localaws.sagemaker import search
from localaws.sagemaker.context import Context
from localaws.sagemaker.core.clock import SystemClock
from localaws.sagemaker.core.errors import SageMakerError
from localaws.sagemaker.core.request import Caller, Document
from localaws.sagemaker.jobs import (
    job_container,
    job_documents,
    job_records,
    operations,
    training_request,
    warm_pool_cache,
    warm_pools,
)
from localaws.sagemaker.jobs.engine import JobEngine, Work
from localaws.sagemaker.jobs.job import Job, Role
from localaws.sagemaker.jobs.job_documents import TERMINAL, Ending
from localaws.sagemaker.jobs.led_job import LedJob
from localaws.sagemaker.jobs.training import TRAINING
from localaws.sagemaker.jobs.warm_pools import Pool

CALLER = Caller(arn="arn:aws:iam::000000000000:root", account="000000000000", region="us-east-1", source="client")
RESOURCES: Document = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5}
Script = Callable[[Job], Ending]


def request(name: str, keep: int | None = 600, resources: Document | None = None, **changes: Any) -> Document:
    """CreateTrainingJob's request; `keep`: KeepAlivePeriodInSeconds."""
    kept = {} if keep is None else {"KeepAlivePeriodInSeconds": keep}
    return {
        "TrainingJobName": name,
        "RoleArn": "arn:aws:iam::000000000000:role/training",
        "AlgorithmSpecification": {"TrainingImage": SKLEARN, "TrainingInputMode": "File"},
        "HyperParameters": {"sagemaker_program": '"train.py"', "sagemaker_submit_directory": '"s3://b/code.tar.gz"'},
        "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
        "ResourceConfig": {**RESOURCES, **kept, **(resources or {})},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **changes,
    }


class HandClock(SystemClock):
    """A clock whose time goes on when a test says so."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def now(self) -> float:
        return self.time


def launched(job: Job) -> None:
    job.move("Downloading", "Downloading input data", TrainingStartTime=job.context.clock.now())


def completes(job: Job) -> Ending:
    launched(job)
    return job_documents.completed()


class PlayedEngine(JobEngine):
    """An engine whose jobs do what a script of the test's does."""

    def __init__(self, context: Context, script: Mapping[str, Script]) -> None:
        super().__init__(context, 2)
        self._scripts = script

    def submit(self, job: LedJob, work: Work) -> None:  # noqa: ARG002 - as of any engine
        super().submit(job, lambda job, _engine: self._scripts.get(job.name, completes)(job))


@dataclass
class World:
    """Training jobs that do what a test says, on a clock that it moves."""

    root: Path
    quotas: Mapping[str, int] = field(default_factory=dict)
    scripts: dict[str, Script] = field(default_factory=dict)
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.context = replace(Context.open(QuietPlatform(self.root)), clock=self.clock, quotas=self.quotas)
        self.engine = PlayedEngine(self.context, self.scripts)
        self.kind = replace(TRAINING, accept=_accept)

    def ask(self, operation: str, **asked: Any) -> Document:
        return self.kind.operations[operation](self.kind, self.engine, asked, CALLER)

    def create(self, name: str, keep: int | None = 600, resources: Document | None = None, **changes: Any) -> None:
        self.ask("CreateTrainingJob", **request(name, keep, resources, **changes))

    def run(self, name: str, keep: int | None = 600, resources: Document | None = None, **changes: Any) -> None:
        """A job from its start to its end."""
        self.create(name, keep, resources, **changes)
        self.until_over(name)

    def until_over(self, name: str) -> None:
        assert self.context.changes.wait_until(lambda: self.described(name)["TrainingJobStatus"] in TERMINAL, 20)

    def described(self, name: str) -> Document:
        return self.ask("DescribeTrainingJob", TrainingJobName=name)

    def pool(self, name: str) -> Document | None:
        found: Document | None = self.described(name).get("WarmPoolStatus")
        return found

    def said(self, name: str) -> str:
        return str(self.described(name)["SecondaryStatusTransitions"][-1]["StatusMessage"])

    def update(self, name: str, seconds: int) -> Document:
        return self.ask("UpdateTrainingJob", TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": seconds})

    def close(self) -> None:
        self.engine.close()
        self.context.lifecycle.close()


def _accept(context: Context, asked: Document, _caller: Caller) -> tuple[Document, Role]:
    training_request.check(asked)
    arn = context.arn(TRAINING.resource_type, asked["TrainingJobName"])
    return training_request.description(asked, arn), job_container.assumed_role(context, asked["RoleArn"], arn)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.close()


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Callable[..., World]]:
    opened: list[World] = []

    def open_(**quotas: int) -> World:
        named = {f"ml.m5.large for {name.replace('_', ' ')} usage": limit for name, limit in quotas.items()}
        opened.append(World(tmp_path, named))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


# ------------------------------------------------------------------------------------------------------------ lifecycle


@pytest.mark.fidelity(
    "Training jobs",
    "A job with KeepAlivePeriodInSeconds leaves an Available warm pool; a matching job takes it: Reused by it, InUse "
    "for it, and its own KeepAlivePeriodInSeconds counts then.",
    "SageMaker DG, SageMaker AI Managed Warm Pools: Warm pool lifecycle; API, WarmPoolStatus",
)
def test_a_pool_moves_from_job_to_job_and_ends_in_time(world: World) -> None:
    seen: list[Document | None] = []

    def looks(job: Job) -> Ending:
        seen.append(world.pool(job.name))
        return completes(job)

    world.scripts["second"] = looks
    world.run("first", keep=600)
    assert world.pool("first") == {"Status": "Available"}
    world.clock.time += 69
    world.run("second", keep=100)
    assert world.pool("first") == {
        "Status": "Reused", "ResourceRetainedBillableTimeInSeconds": 69, "ReusedByJob": "second",
    }  # fmt: skip
    assert seen == [{"Status": "InUse"}]
    world.clock.time += 99
    assert world.pool("second") == {"Status": "Available"}
    world.clock.time += 1
    over = {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 100}
    assert world.pool("second") == over
    world.clock.time += 10_000
    world.run("third")
    assert (world.pool("second"), world.pool("third")) == (over, {"Status": "Available"})


@pytest.mark.fidelity(
    "Training jobs",
    "The last message of a completed job says where its instances are: Resource retained for reuse, Resource reused by "
    "training job: ….",
    "Logs of SageMaker's SDK in notebooks (… Completed - Resource retained for reuse); comic/grand-challenge.org, "
    "app/grandchallenge/components/backends/amazon_sagemaker_training.py",
)
def test_the_last_message_says_where_the_instances_are(world: World) -> None:
    world.run("first")
    assert world.said("first") == "Resource retained for reuse"
    world.run("second", keep=10)
    assert world.said("first") == "Resource reused by training job: second"
    world.clock.time += 11
    assert world.said("second") == "Training job completed"


def test_a_job_that_wants_nothing_kept_has_no_pool(world: World) -> None:
    world.run("plain", keep=None)
    world.run("none", keep=0)
    assert (world.pool("plain"), world.pool("none")) == (None, None)


@pytest.mark.fidelity(
    "Training jobs",
    "A matching job without KeepAlivePeriodInSeconds takes a pool too, which ends with it.",
    "SageMaker DG, SageMaker AI Managed Warm Pools: Maximum warm pool duration",
)
def test_a_pool_ends_with_a_job_that_doesnt_keep_it(world: World) -> None:
    world.run("first")
    world.run("second", keep=None)
    assert (world.pool("first") or {})["ReusedByJob"] == "second"
    assert world.pool("second") == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 0}


def ends(ending: Ending, launch: Callable[[Job], None] = lambda _job: None) -> Script:
    def script(job: Job) -> Ending:
        launch(job)
        return ending

    return script


@pytest.mark.fidelity(
    "Training jobs",
    "A job that is stopped once its instances were launched, or fails by an algorithm's or a client's error, leaves a "
    "warm pool; one that fails by the service's own fault, or never had instances, doesn't.",
    "SageMaker DG, SageMaker AI Managed Warm Pools: Warm pool creation",
)
@pytest.mark.parametrize(
    ("script", "status"),
    [
        (ends(job_documents.stopped(), launched), "Available"),
        (ends(job_documents.failed("AlgorithmError: no"), launched), "Available"),
        (ends(job_documents.failed("ClientError: no"), launched), "Available"),
        (ends(job_documents.failed("InternalServerError: cut off"), launched), "Terminated"),
        (ends(job_documents.stopped()), "Terminated"),
    ],
    ids=["stopped", "algorithm", "client", "service", "never launched"],
)
def test_how_a_job_ends_decides_whether_its_instances_stay(world: World, script: Script, status: str) -> None:
    world.scripts["job"] = script
    world.run("job")
    assert (world.pool("job") or {})["Status"] == status


# ------------------------------------------------------------------------------------------------------------- matching


@pytest.mark.fidelity(
    "Training jobs",
    "A warm pool goes to a job with the same RoleArn, InstanceCount, InstanceType, VolumeSizeInGB, VolumeKmsKeyId, "
    "SecurityGroupIds, Subnets, EnableInterContainerTrafficEncryption and EnableNetworkIsolation.",
    "SageMaker DG, SageMaker AI Managed Warm Pools: Matching training jobs",
)
@pytest.mark.parametrize(
    "other",
    [
        {"RoleArn": "arn:aws:iam::000000000000:role/other"},
        {"resources": {"InstanceType": "ml.m5.xlarge"}},
        {"resources": {"InstanceCount": 2}},
        {"resources": {"VolumeSizeInGB": 6}},
        {"resources": {"VolumeKmsKeyId": "other"}},
        {"VpcConfig": {"SecurityGroupIds": ["sg-2"], "Subnets": ["subnet-1", "subnet-2"]}},
        {"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}},
        {"EnableInterContainerTrafficEncryption": True},
        {"EnableNetworkIsolation": True},
        {"EnableManagedSpotTraining": True},
        {"TuningJobArn": "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/t"},
    ],
    ids=str,
)
def test_a_job_that_differs_takes_no_pool(other: Document) -> None:
    vpc = {"VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-2", "subnet-1"]}}
    left = {**request("a", **vpc), "TrainingEndTime": 100.0, "WarmPoolStatus": {"Status": "Available"}}
    pool = Pool(left, since=50.0)
    alike = request("b", keep=None, **{**vpc, "HyperParameters": {"another": "1"}})
    assert warm_pools.fitting([pool], alike, 101.0) is pool
    assert warm_pools.fitting([pool], request("b", **{**vpc, **other}), 101.0) is None
    assert warm_pools.fitting([pool], alike, 700.0) is None, "its time is up"


@pytest.mark.fidelity(
    "Training jobs",
    "A warm pool goes from job to job for 28 days at most.",
    "SageMaker DG, SageMaker AI Managed Warm Pools: Considerations",
)
def test_instances_run_for_28_days_at_most(world: World) -> None:
    world.run("first")
    nearly = world.clock.time - (28 * 86_400 - 100)
    world.context.store.update("warm-pool", "first", lambda found: {**found, "Since": nearly})
    world.clock.time += 50
    world.run("second")
    assert (world.pool("first") or {})["ReusedByJob"] == "second"
    world.clock.time += 50
    world.run("third")
    assert (world.pool("second"), world.pool("third")) == ({"Status": "Available"}, {"Status": "Available"})


def test_the_pool_that_has_waited_longest_is_taken(world: World) -> None:
    waits = threading.Barrier(2)

    def beside_another(job: Job) -> Ending:
        waits.wait(20)
        return completes(job)

    for name in ("a", "b"):
        world.scripts[name] = beside_another
        world.create(name)
    world.until_over("a")
    world.until_over("b")
    world.context.store.update("training-job", "b", lambda found: {**found, "TrainingEndTime": 999_990.0})
    world.run("c")
    assert (world.pool("a"), (world.pool("b") or {})["ReusedByJob"]) == ({"Status": "Available"}, "c")


# --------------------------------------------------------------------------------------------------------------- update


@pytest.mark.fidelity(
    "Training jobs",
    "UpdateTrainingJob changes how long an Available warm pool is kept; 0 ends it.",
    "SageMaker DG, Use SageMaker AI managed warm pools: Update a warm pool, Terminate a warm pool",
)
def test_a_pool_is_kept_longer_or_ended(world: World) -> None:
    world.run("job", keep=60)
    world.clock.time += 50
    assert world.update("job", 3600) == {"TrainingJobArn": world.described("job")["TrainingJobArn"]}
    world.clock.time += 50
    assert world.pool("job") == {"Status": "Available"}
    assert world.described("job")["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 3600
    world.update("job", 0)
    assert world.pool("job") == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 100}


@pytest.mark.fidelity(
    "Training jobs",
    "Only an Available warm pool is updated.",
    "SageMaker DG, Use SageMaker AI managed warm pools: Update a warm pool",
)
def test_only_an_available_pool_is_updated(world: World) -> None:
    world.run("plain", keep=None)
    world.run("job", keep=60)
    with pytest.raises(SageMakerError, match="of plain can't be updated: its warm pool is not there; it must be Avail"):
        world.update("plain", 60)
    world.clock.time += 61
    with pytest.raises(SageMakerError, match="of job can't be updated: its warm pool is Terminated; it must be Avail"):
        world.update("job", 60)
    with pytest.raises(SageMakerError, match="Requested resource not found") as refused:
        world.update("none", 60)
    assert refused.value.code == "ResourceNotFound"


def test_what_isnt_updated_here_is_refused_by_name(world: World) -> None:
    world.run("job")
    with pytest.raises(SageMakerError, match="not supported here: ProfilerConfig"):
        world.ask("UpdateTrainingJob", TrainingJobName="job", ProfilerConfig={"DisableProfiler": True})
    with pytest.raises(SageMakerError, match="UpdateTrainingJob needs ResourceConfig"):
        world.ask("UpdateTrainingJob", TrainingJobName="job")
    with pytest.raises(SageMakerError, match="KeepAlivePeriodInSeconds = 3601: the Developer Guide limits"):
        world.update("job", 3601)


# -------------------------------------------------------------------------------------------------- quotas and requests


@pytest.mark.fidelity(
    "Training jobs",
    "Without room in the quota for training warm pool usage a job runs as ever, and its pool is Terminated at its end.",
    "SageMaker DG, Request a warm pool quota increase; Warm pool creation",
)
def test_a_quota_for_warm_pools_refuses_nobody(limited: Callable[..., World]) -> None:
    world = limited(training_warm_pool=0)
    world.run("job")
    assert world.described("job")["TrainingJobStatus"] == "Completed"
    assert world.pool("job") == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 0}


def test_a_quota_for_warm_pools_counts_those_that_wait(limited: Callable[..., World]) -> None:
    world = limited(training_warm_pool=1)
    world.run("first")
    world.run("other", resources={"VolumeSizeInGB": 6})
    assert [(world.pool(name) or {})["Status"] for name in ("first", "other")] == ["Available", "Terminated"]
    world.run("second")
    assert (world.pool("second") or {})["Status"] == "Available", "what it took over makes room for it"


@pytest.mark.fidelity(
    "Training jobs",
    "Instances in warm pools count towards the quota for training job usage, but not for the job that takes them.",
    "SageMaker DG, Request a warm pool quota increase",
)
def test_waiting_instances_count_as_used(limited: Callable[..., World]) -> None:
    world = limited(training_job=1)
    world.run("first")
    with pytest.raises(SageMakerError, match=r"is 1 Instances, with current utilization of 1 Instances") as refused:
        world.create("other", resources={"VolumeSizeInGB": 6})
    assert refused.value.code == "ResourceLimitExceeded"
    world.run("second", keep=None)
    world.run("other", resources={"VolumeSizeInGB": 6})


@pytest.mark.fidelity(
    "Training jobs",
    "A job that retains an Available warm pool can't be deleted.",
    "botocore, sagemaker: DeleteTrainingJob",
)
def test_a_job_with_a_pool_isnt_deleted(world: World) -> None:
    world.run("job")
    with pytest.raises(SageMakerError, match="training job job retains an Available warm pool") as refused:
        world.ask("DeleteTrainingJob", TrainingJobName="job")
    assert refused.value.code == "ResourceInUse"
    world.update("job", 0)
    world.ask("DeleteTrainingJob", TrainingJobName="job")
    world.run("job")
    assert world.pool("job") == {"Status": "Available"}, "a name's second job has a pool of its own"


@pytest.mark.fidelity(
    "Training jobs",
    "ListTrainingJobs tells warm pools and filters by WarmPoolStatusEquals.",
    "SageMaker API, ListTrainingJobs; TrainingJobSummary",
)
def test_lists_tell_pools_and_filter_by_them(world: World) -> None:
    world.run("plain", keep=None)
    world.run("first")
    world.run("second", keep=10)

    def named(status: str) -> list[str]:
        found = world.ask("ListTrainingJobs", WarmPoolStatusEquals=status)["TrainingJobSummaries"]
        assert all(each["WarmPoolStatus"]["Status"] == status for each in found)
        return [each["TrainingJobName"] for each in found]

    assert (named("Reused"), named("Available"), named("Terminated")) == (["first"], ["second"], [])
    world.clock.time += 11
    assert (named("Available"), named("Terminated")) == ([], ["second"])
    expression = {"Filters": [{"Name": "WarmPoolStatus.Status", "Value": "Terminated"}]}
    found = search.operations(world.context)["Search"](
        {"Resource": "TrainingJob", "SearchExpression": expression}, CALLER
    )
    assert [each["TrainingJob"]["TrainingJobName"] for each in found["Results"]] == ["second"]


@pytest.mark.fidelity(
    "Training jobs",
    "Warm pools are kept for 3,600 seconds at most, and not on spot instances.",
    "SageMaker DG, SageMaker AI Managed Warm Pools: Considerations",
)
def test_what_a_pool_cannot_be_is_refused(world: World) -> None:
    with pytest.raises(SageMakerError, match="KeepAlivePeriodInSeconds = 3601: the Developer Guide limits warm pools"):
        world.create("job", keep=3601)
    spot = {"EnableManagedSpotTraining": True, "StoppingCondition": {"MaxWaitTimeInSeconds": 90}}
    with pytest.raises(SageMakerError, match="managed warm pools cannot be used with spot instances"):
        world.create("job", keep=60, **spot)


# ------------------------------------------------------------------------------------------------------------- restarts


def test_a_restart_neither_ends_nor_lengthens_a_pool(tmp_path: Path) -> None:
    before = World(tmp_path)
    before.run("kept", keep=600)
    before.run("short", keep=60, resources={"VolumeSizeInGB": 6})
    before.close()
    after = World(tmp_path)
    after.clock.time = before.clock.time + 100
    try:
        assert after.pool("kept") == {"Status": "Available"}
        assert after.pool("short") == {"Status": "Terminated", "ResourceRetainedBillableTimeInSeconds": 60}
        after.run("next")
        assert (after.pool("kept") or {})["ReusedByJob"] == "next"
    finally:
        after.close()


def test_instances_whose_job_the_servers_end_cut_off_are_gone(world: World) -> None:
    world.run("first")
    asked = job_documents.created(TRAINING, _accept(world.context, request("cut"), CALLER)[0], "Starting", "", 1.0)
    world.context.store.create("training-job", "cut", warm_pools.in_use(asked))
    job_records.recover(world.context, TRAINING)
    assert (world.pool("cut") or {})["Status"] == "Terminated"
    assert world.pool("first") == {"Status": "Available"}


# --------------------------------------------------------------------------------------------------- persistent cache


def notes(found: dict[str, list[str]], spoil: Callable[[Path], None] = lambda _cache: None) -> Script:
    """A job that looks what is in its cache, and leaves its name in it."""

    def script(job: Job) -> Ending:
        launched(job)
        job.first.ml.mkdir(parents=True)
        warm_pool_cache.prepare(job)
        cache = job.first.ml / "sagemaker" / "warmpoolcache"
        found[job.name] = sorted(path.name for path in cache.iterdir()) if cache.exists() else ["no cache"]
        if cache.exists():
            (cache / job.name).mkdir()
            spoil(cache)
        warm_pool_cache.leave(job)
        return job_documents.completed()

    return script


@pytest.mark.fidelity(
    "Training jobs",
    "A warm pool has a persistent cache, /opt/ml/sagemaker/warmpoolcache, that each of its jobs finds as the last has "
    "left it, and that goes with the pool.",
    "SageMaker DG, SageMaker AI Managed Warm Pools: Using persistent cache",
)
def test_a_cache_goes_from_job_to_job_and_with_its_pool(world: World) -> None:
    found: dict[str, list[str]] = {}
    for name in ("a", "b", "other", "last", "c", "plain"):
        world.scripts[name] = notes(found)
    world.run("a")
    world.run("b")
    world.run("other", resources={"VolumeSizeInGB": 6})
    world.run("last", keep=None)
    world.run("c", keep=60)
    world.run("plain", keep=None, resources={"VolumeSizeInGB": 7})
    assert found == {"a": [], "b": ["a"], "other": [], "last": ["a", "b"], "c": [], "plain": ["no cache"]}
    folder = world.root / "state" / "warm-pools"
    assert sorted(path.name for path in folder.iterdir()) == ["c", "other"]
    world.clock.time += 61
    warm_pool_cache.recover(world.kind, world.engine)
    assert [path.name for path in folder.iterdir()] == ["other"]


def test_each_host_has_a_cache_of_its_own(world: World) -> None:
    found: dict[str, list[list[str]]] = {}

    def script(job: Job) -> Ending:
        launched(job)
        for host in job.hosts:
            host.ml.mkdir(parents=True)
        warm_pool_cache.prepare(job)
        caches = [host.ml / "sagemaker" / "warmpoolcache" for host in job.hosts]
        found[job.name] = [[path.name for path in cache.iterdir()] for cache in caches]
        for host, cache in zip(job.hosts, caches, strict=True):
            (cache / host.name).touch()
        warm_pool_cache.leave(job)
        return job_documents.completed()

    world.scripts |= {"a": script, "b": script}
    for name in ("a", "b"):
        world.run(name, resources={"InstanceCount": 2})
    assert found == {"a": [[], []], "b": [["algo-1"], ["algo-2"]]}


def test_a_cache_that_is_a_link_isn_t_kept(world: World, tmp_path: Path) -> None:
    found: dict[str, list[str]] = {}
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").touch()

    def becomes_a_link(cache: Path) -> None:
        shutil.rmtree(cache)
        cache.symlink_to(outside)

    def is_reached_through_one(cache: Path) -> None:
        shutil.rmtree(cache.parent)
        (outside / "warmpoolcache").mkdir()
        cache.parent.symlink_to(outside)

    for name, spoil in (("a", becomes_a_link), ("b", is_reached_through_one), ("c", lambda _cache: None)):
        world.scripts[name] = notes(found, spoil)
        world.run(name)
    assert found == {"a": [], "b": [], "c": []}
    assert sorted(path.name for path in outside.iterdir()) == ["secret", "warmpoolcache"]


# ------------------------------------------------------------------------------------------------------------- policies


@pytest.mark.fidelity(
    "IAM",
    "sagemaker:KeepAlivePeriod holds CreateTrainingJob's and UpdateTrainingJob's KeepAlivePeriodInSeconds.",
    "SageMaker DG, Use SageMaker AI managed warm pools: IAM condition key; udondan/iam-floyd, "
    "lib/generated/policy-statements/sagemaker.ts",
)
@pytest.mark.parametrize("operation", ["CreateTrainingJob", "UpdateTrainingJob"])
def test_policies_see_how_long_instances_are_to_be_kept(operation: str) -> None:
    def keys(asked: Document) -> Any:
        return request_keys(operation, asked, lambda *_: "").get("sagemaker:KeepAlivePeriod")

    assert [keys({"ResourceConfig": each}) for each in ({"KeepAlivePeriodInSeconds": 60}, {})] == [60, None]
    assert keys({"ResourceConfig": {"KeepAlivePeriodInSeconds": 0}}) == 0


def test_operations_and_trials_begin_alike(world: World) -> None:
    """A trial begins by the same function, and leaves others' pools alone."""
    world.run("first")
    document, role = _accept(world.context, request("t-001-01234567", keep=None), CALLER)
    trial = {**document, "TuningJobArn": "arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/t"}
    operations.begin(world.kind, world.engine, operations.Accepted(trial, role, {}))
    world.until_over("t-001-01234567")
    assert (world.pool("first"), world.pool("t-001-01234567")) == ({"Status": "Available"}, None)
