"""Training jobs of several hosts on the embedded AWS: they find each other by name, share data, and end together."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from image_uris import PYTORCH
from job_kit import Jobs
from running_aws import Aws
from waiting import until

from localaws import spot_command
from localaws.sagemaker.jobs.spot_market import Interruption

# Meets all other hosts of its job: each listens at its own name, on one port, and the first one asks all of them.
MEET = """
import json, os, pathlib, socket, sys, time
name, hosts = os.environ["SM_CURRENT_HOST"], json.loads(os.environ["SM_HOSTS"])
def met(port=7777):
    if name != hosts[0]:
        with socket.create_server((name, port)) as server:
            with server.accept()[0] as asked:
                asked.sendall(name.encode())
        return []
    found = []
    for other in hosts[1:]:
        for _ in range(400):
            try:
                with socket.create_connection((other, port)) as asking:
                    found.append(asking.recv(99).decode())
                break
            except ConnectionRefusedError:
                time.sleep(0.02)
    return found
"""
TELLS = (
    MEET
    + """
VARIABLES = ("CURRENT_HOST", "SM_HOSTS", "SM_NETWORK_INTERFACE_NAME", "SM_RESOURCE_CONFIG")
files = {channel: sorted(path.name for path in pathlib.Path(place).rglob("*") if path.is_file())
         for channel, place in ((each, os.environ["SM_CHANNEL_" + each.upper()]) for each in ("train", "whole"))}
print("TOLD " + json.dumps({
    "met": met(),
    "hostname": socket.gethostname(),
    "addresses": [socket.gethostbyname(host) for host in hosts],
    "resources": json.loads(pathlib.Path("/opt/ml/input/config/resourceconfig.json").read_text()),
    "variables": {key: os.environ[key] for key in VARIABLES},
    "files": files,
}))
pathlib.Path(os.environ["SM_MODEL_DIR"], name).write_text(name)
pathlib.Path(os.environ["SM_MODEL_DIR"], "same").write_text(name)
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], name).write_text(name)
print(f"loss={len(name) + hosts.index(name)};")
"""
)


TOLD = "TOLD "
HOSTS = ["algo-1", "algo-2", "algo-3"]


class Three(NamedTuple):
    """A job of three hosts, what each of them has logged and what each has told."""

    done: dict[str, Any]
    lines: dict[str, list[str]]
    told: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def jobs(aws: Aws) -> Iterator[Jobs]:
    return Jobs(aws)


def on(count: int) -> dict[str, Any]:
    return {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 5}}


def lines_of(jobs: Jobs, name: str) -> dict[str, list[str]]:
    """What each host has logged, by its name."""
    group = "/aws/sagemaker/TrainingJobs"
    found = jobs.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
    read = {each["logStreamName"]: list(jobs._events(group, each["logStreamName"])) for each in found}
    return {
        stream.split("/")[1].rpartition("-")[0]: [each["message"] for each in events] for stream, events in read.items()
    }


@pytest.fixture(scope="module")
def three(jobs: Jobs) -> Three:
    """A job of three hosts that has run, with a channel that each host has the whole of and one that is shared out."""
    train, whole = (jobs.channel(name, f"s3://{jobs.bucket}/train") for name in ("train", "whole"))
    train["DataSource"]["S3DataSource"]["S3DataDistributionType"] = "ShardedByS3Key"
    request = jobs.training_request(TELLS, InputDataConfig=[train, whole], **on(3))
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=([0-9.]+);"}]
    jobs.sagemaker.create_training_job(**request)
    done = jobs.ended(request["TrainingJobName"])
    assert done["TrainingJobStatus"] == "Completed", done
    lines = lines_of(jobs, request["TrainingJobName"])
    return Three(done, lines, told_by(lines))


def told_by(lines: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """What each host has told in a line of its log."""
    found = {host: next(line for line in logged if TOLD in line) for host, logged in lines.items()}
    return {host: json.loads(line.partition(TOLD)[2]) for host, line in found.items()}


@pytest.mark.fidelity(
    "Training jobs",
    "Every host has a log stream of its own, its name as hostname, and can reach the others by their names.",
    "SageMaker DG, How Amazon SageMaker AI Provides Training Information: Distributed Training Configuration",
)
def test_hosts_meet_by_their_names(three: Three) -> None:
    assert sorted(three.told) == HOSTS
    assert {host: told["hostname"] for host, told in three.told.items()} == {host: host for host in HOSTS}
    assert [three.told[host]["met"] for host in HOSTS] == [["algo-2", "algo-3"], [], []]
    assert len(set(three.told["algo-1"]["addresses"])) == 3
    assert all(told["addresses"] == three.told["algo-1"]["addresses"] for told in three.told.values())


@pytest.mark.fidelity(
    "Containers",
    "resourceconfig.json and the SM_ variables tell each host its own name and those of all hosts.",
    "SageMaker DG, How Amazon SageMaker AI Provides Training Information; sagemaker-training-toolkit, environment.py",
)
def test_each_host_is_told_who_it_is_and_who_the_others_are(three: Three) -> None:
    group = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": HOSTS}
    for host, told in three.told.items():
        assert told["resources"] == {
            "current_host": host,
            "current_instance_type": "ml.m5.large",
            "current_group_name": "homogeneousCluster",
            "hosts": HOSTS,
            "instance_groups": [group],
            "network_interface_name": "lo",
        }
        assert told["variables"] == {
            "CURRENT_HOST": host,
            "SM_HOSTS": json.dumps(HOSTS, separators=(",", ":")),
            "SM_NETWORK_INTERFACE_NAME": "lo",
            "SM_RESOURCE_CONFIG": json.dumps(told["resources"], sort_keys=True, separators=(",", ":")),
        }


@pytest.mark.fidelity(
    "Training jobs",
    "Of a ShardedByS3Key channel each host gets approximately 1/n of the objects, of a FullyReplicated one all.",
    "SageMaker API, S3DataSource: S3DataDistributionType",
)
def test_a_channel_is_replicated_or_shared_out(three: Three) -> None:
    parts = [f"part-{number}.csv" for number in range(3)]
    assert [three.told[host]["files"]["train"] for host in HOSTS] == [[part] for part in parts]
    assert [three.told[host]["files"]["whole"] for host in HOSTS] == [parts] * 3


@pytest.mark.fidelity(
    "Training jobs",
    "What all hosts leave in /opt/ml/model and /opt/ml/output/data is one archive each.",
    "SageMaker DG, How Amazon SageMaker AI Processes Training Output",
)
def test_what_all_hosts_leave_is_one_archive(jobs: Jobs, three: Three) -> None:
    model, output = (content(jobs, three.done, name) for name in ("model.tar.gz", "output.tar.gz"))
    assert model == {**{host: host for host in HOSTS}, "same": "algo-1"}
    assert output == {host: host for host in HOSTS}
    left = "/opt/ml/model/same was left by several hosts; that of the first of them is taken."
    assert three.lines["algo-1"].count(left) == 1


def test_metrics_are_those_of_all_hosts(three: Three) -> None:
    (loss,) = three.done["FinalMetricDataList"]
    assert loss["Value"] in (6.0, 7.0, 8.0)


def test_the_steps_of_the_job_are_told_once(three: Three) -> None:
    steps = [step["Status"] for step in three.done["SecondaryStatusTransitions"]]
    assert [step for step in steps if step != "Pending"] == [
        "Starting", "Downloading", "Training", "Uploading", "Completed"
    ]  # fmt: skip


def content(jobs: Jobs, job: dict[str, Any], name: str) -> dict[str, str]:
    archive = jobs.get(f"out/{job['TrainingJobName']}/output/{name}")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: tar.extractfile(member).read().decode() for member in tar}  # type: ignore[union-attr]


# ---------------------------------------------------------------------------------------------------------------- ends

# All wait for the last host, which ends as it is told to; the first one waits for ever.
ENDS = (
    MEET
    + """
import signal
def stop(*_):
    print("told to end", flush=True)
    sys.exit(3)
signal.signal(signal.SIGTERM, stop)
how = os.environ["HOW"]
if name == hosts[0]:
    met()
    print("others have been met", flush=True)
    time.sleep(0 if how == "early" else 600)
else:
    met()
    if how == "raises":
        raise ValueError("no such rank")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "early":
        time.sleep(0.5)
        print("the last one", flush=True)
    if how == "waits":
        time.sleep(600)
"""
)


def ends(jobs: Jobs, how: str, **changes: Any) -> dict[str, Any]:
    """A request for a job of two hosts whose scripts hear SIGTERM."""
    return jobs.hearing_request(ENDS, Environment={"HOW": how}, **on(2), **changes)


def run(jobs: Jobs, request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, list[str]]]:
    jobs.sagemaker.create_training_job(**request)
    return jobs.ended(request["TrainingJobName"]), lines_of(jobs, request["TrainingJobName"])


@pytest.mark.parametrize(("how", "said"), [("raises", "ValueError: no such rank"), ("killed", "ExitCode -9")])
def test_a_host_that_fails_ends_the_job_with_its_name(jobs: Jobs, how: str, said: str) -> None:
    done, lines = run(jobs, ends(jobs, how))
    assert done["TrainingJobStatus"] == "Failed"
    assert done["FailureReason"].startswith("AlgorithmError: algo-2: ")
    assert said in done["FailureReason"]
    assert "told to end" in lines["algo-1"]
    assert "algo-2 has ended with exit code 1; so this host is told to end." in lines["algo-1"]


def test_a_host_that_is_done_waits_for_the_others(jobs: Jobs) -> None:
    done, lines = run(jobs, ends(jobs, "early"))
    assert done["TrainingJobStatus"] == "Completed"
    assert "the last one" in lines["algo-2"]


@pytest.mark.fidelity(
    "Training jobs", "StopTrainingJob sends SIGTERM to the containers of all hosts.", "SageMaker API, StopTrainingJob"
)
def test_a_stop_reaches_all_hosts(jobs: Jobs) -> None:
    request = ends(jobs, "waits")
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(request["TrainingJobName"], "others have been met")
    jobs.sagemaker.stop_training_job(TrainingJobName=request["TrainingJobName"])
    assert jobs.ended(request["TrainingJobName"])["TrainingJobStatus"] == "Stopped"
    lines = lines_of(jobs, request["TrainingJobName"])
    assert [host for host in lines if "told to end" in lines[host]] == ["algo-1", "algo-2"]


def test_two_jobs_whose_hosts_meet_on_the_same_port(jobs: Jobs) -> None:
    requests = [ends(jobs, "waits") for _ in range(2)]
    for request in requests:
        jobs.sagemaker.create_training_job(**request)
    for request in requests:
        jobs.until_logged(request["TrainingJobName"], "others have been met")
    for request in requests:
        jobs.sagemaker.stop_training_job(TrainingJobName=request["TrainingJobName"])
        assert jobs.ended(request["TrainingJobName"])["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("variables", "installed", "network"),
    [
        ({}, "python -m pip install -r requirements.txt: done for all hosts by algo-1.", "a network of their own"),
        ({"PIP_TARGET": "/tmp/p"}, "Installing with the following command: python -m pip", "this machine's network"),
    ],
)
def test_requirements_are_installed_for_all_hosts_where_they_can_be(
    jobs: Jobs, variables: dict[str, str], installed: str, network: str
) -> None:
    """Elsewhere each host's container installs them, and reaches an index for it."""
    source = jobs.source(MEET + "print('TOLD ' + json.dumps(met()))", requirements_txt=f"# {jobs.name()}\n")
    request = jobs.training_request("", source=source, Environment=variables, **on(2))
    done, lines = run(jobs, request)
    assert done["TrainingJobStatus"] == "Completed", lines
    assert told_by(lines) == {"algo-1": ["algo-2"], "algo-2": []}
    assert any(line.startswith(installed) for line in lines["algo-2"]), lines
    assert any(network in line for line in lines["algo-1"]), lines


# Its first run on instances waits to be interrupted, with a checkpoint; the next one tells what it has found.
GOES_ON = """
import json, os, pathlib, time
name, saved = os.environ["SM_CURRENT_HOST"], pathlib.Path("/opt/ml/checkpoints")
found = {path.name: path.read_text() for path in sorted(saved.iterdir())}
(saved / name).write_text("again" if found else name)
print("TOLD " + json.dumps(found), flush=True)
if not found:
    time.sleep(600)
"""


@pytest.mark.fidelity(
    "Spot training",
    "All instances of a job are interrupted together, and each finds the checkpoints of all when it goes on.",
    "SageMaker DG, Managed Spot Training Lifecycle; Checkpoints in Amazon SageMaker AI, Considerations: one S3 "
    "location for all instances",
)
def test_all_instances_are_interrupted_together_and_go_on_from_their_checkpoints(jobs: Jobs) -> None:
    limits = {"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 600}
    request = jobs.training_request(
        GOES_ON, EnableManagedSpotTraining=True, StoppingCondition=limits, InputDataConfig=[], **on(2)
    )
    name = request["TrainingJobName"]
    del request["InputDataConfig"]
    request["CheckpointConfig"] = {"S3Uri": f"s3://{jobs.bucket}/saved/{name}"}
    jobs.sagemaker.create_training_job(**request)
    until(lambda: len(jobs.keys(f"saved/{name}/")) == 2, "both hosts' checkpoints are in S3")
    spot_command.interrupt(jobs.aws.server, name, Interruption(notice=0, absence=0))
    done = jobs.ended(name)
    assert done["TrainingJobStatus"] == "Completed", done
    assert [step["Status"] for step in done["SecondaryStatusTransitions"]].count("Interrupted") == 1
    told = [json.loads(line.partition(TOLD)[2]) for line in jobs.log_lines(name) if TOLD in line]
    both = {host: host for host in HOSTS[:2]}
    assert sorted(told, key=len) == [{}, {}, both, both]
    assert [jobs.get(key) for key in jobs.keys(f"saved/{name}/")] == [b"again"] * 2


# Without the toolkit: an entry point of one's own knows the others by resourceconfig.json.
ISOLATED = """
import json, os, pathlib, socket
resources = json.loads(pathlib.Path("/opt/ml/input/config/resourceconfig.json").read_text())
os.environ |= {"SM_CURRENT_HOST": resources["current_host"], "SM_HOSTS": json.dumps(resources["hosts"])}
"""
REACHES = """
try:
    socket.create_connection(os.environ["AWS_ENDPOINT_URL"].removeprefix("http://").split(":"), 5)
    print("reaches this AWS")
except OSError:
    print("reaches nothing else")
print("TOLD " + json.dumps(met()))
"""


@pytest.mark.fidelity(
    "Training jobs",
    "With EnableNetworkIsolation the hosts of a job reach each other and nothing else.",
    "SageMaker API, CreateTrainingJob: EnableNetworkIsolation",
)
@pytest.mark.parametrize(("isolated", "reached"), [(True, "reaches nothing else"), (False, "reaches this AWS")])
def test_hosts_without_a_network_reach_each_other(jobs: Jobs, isolated: bool, reached: str) -> None:
    code = jobs.put(f"isolated-{isolated}/run.py", ISOLATED + MEET + REACHES)
    request = jobs.training_request(
        "", EnableNetworkIsolation=isolated, InputDataConfig=[jobs.channel("code", code)], **on(2)
    )
    request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["python3", "/opt/ml/input/data/code/run.py"]
    del request["HyperParameters"]
    done, lines = run(jobs, request)
    assert done["TrainingJobStatus"] == "Completed", lines
    assert told_by(lines)["algo-1"] == ["algo-2"]
    assert all(reached in found for found in lines.values())


PROCESSES = """
import json, pathlib
ml = pathlib.Path("/opt/ml")
resources = json.loads((ml / "config" / "resourceconfig.json").read_text())
parts = sorted(path.name for path in (ml / "processing" / "input" / "data").iterdir())
name = resources["current_host"]
(ml / "processing" / "output" / name).write_text(json.dumps({"hosts": resources["hosts"], "parts": parts}))
"""


@pytest.mark.fidelity(
    "Processing jobs",
    "Each instance of a processing job is told who it is, gets its share of a ShardedByS3Key input, and its outputs "
    "are uploaded beside those of the others.",
    "SageMaker DG, How Amazon SageMaker Processing Configures Your Processing Container; "
    "aws/amazon-sagemaker-examples issue 1075",
)
def test_a_processing_job_of_two_hosts(jobs: Jobs) -> None:
    request = jobs.processing_request(PROCESSES)
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
    request["ProcessingInputs"][1]["S3Input"]["S3DataDistributionType"] = "ShardedByS3Key"
    jobs.sagemaker.create_processing_job(**request)
    done = jobs.processed(request["ProcessingJobName"])
    assert done["ProcessingJobStatus"] == "Completed", done
    written = {
        key.rpartition("/")[2]: json.loads(jobs.get(key)) for key in jobs.keys(f"processed/{jobs.prefix}/output/")
    }
    assert written == {
        "algo-1": {"hosts": ["algo-1", "algo-2"], "parts": ["part-0.csv", "part-2.csv"]},
        "algo-2": {"hosts": ["algo-1", "algo-2"], "parts": ["part-1.csv"]},
    }


# ------------------------------------------------------------------------------------------------------------ torchrun

ADDS_UP = """
import json, os, sys, torch, torch.distributed as dist
dist.init_process_group("gloo")
numbers = torch.ones(3) * (dist.get_rank() + 1)
dist.all_reduce(numbers)
names = ("MASTER_ADDR", "MASTER_PORT", "NCCL_SOCKET_IFNAME", "LOCAL_RANK", "WORLD_SIZE", "GROUP_RANK")
print("TOLD " + json.dumps({
    "rank": dist.get_rank(), "sum": numbers.tolist(), "arguments": sys.argv[1:],
    "variables": {name: os.environ[name] for name in names},
}), flush=True)
dist.destroy_process_group()
"""


@pytest.mark.fidelity(
    "Training jobs",
    "With sagemaker_torch_distributed_enabled PyTorch's container starts the script by torchrun on every host, one "
    "process each where there is no accelerator, with the first host as master on port 7777.",
    "aws/sagemaker-training-toolkit, torch_distributed.py, runner.py; sagemaker-pytorch-training-toolkit, training.py",
)
def test_torchrun_on_two_hosts(jobs: Jobs) -> None:
    request = jobs.training_request(ADDS_UP, **on(2))
    request["AlgorithmSpecification"]["TrainingImage"] = PYTORCH
    request["HyperParameters"] |= {"sagemaker_torch_distributed_enabled": "true", "epochs": "3"}
    done, lines = run(jobs, request)
    assert done["TrainingJobStatus"] == "Completed", lines
    for rank, host in enumerate(HOSTS[:2]):
        assert told_by(lines)[host] == {
            "rank": rank,
            "sum": [3.0] * 3,
            "arguments": ["--epochs", "3"],
            "variables": {
                "MASTER_ADDR": "algo-1", "MASTER_PORT": "7777", "NCCL_SOCKET_IFNAME": "lo",
                "LOCAL_RANK": "0", "WORLD_SIZE": "2", "GROUP_RANK": str(rank),
            },
        }  # fmt: skip
    command = "torchrun --nnodes 2 --nproc_per_node 1 --master_addr algo-1 --master_port 7777 --node_rank 1"
    assert any(f"{command} train.py --epochs 3" in line for line in lines["algo-2"])
