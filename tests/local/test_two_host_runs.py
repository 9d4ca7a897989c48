"""Whole runs that train on two hosts: what they say of them, and how they end when one of the hosts does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from deployed import Pipeline, Scripted
from job_kit import Jobs
from waiting import until

from contract.run_table import plain
from localaws import spot_command
from localaws.sagemaker.jobs.spot_market import Interruption

# Two hosts that meet at every step, by a socket; how the second one goes wrong is ordered.
MEETING = """
import json, os, signal, socket, time
from pathlib import Path
from toolkit.probe import Probe
from toolkit.serving import save_serving_code

host, hosts = os.environ["SM_CURRENT_HOST"], json.loads(os.environ["SM_HOSTS"])
first = host == hosts[0]
orders = json.loads((Path(os.environ["SM_CHANNEL_TRAIN"]) / "orders.json").read_text())
print(f"{host} sees", *sorted(path.name for path in Path(os.environ["SM_CHANNEL_PARTS"]).iterdir()), flush=True)

def met():
    with socket.create_server((host, 7000)) as server:
        return server.accept()[0]

def came():
    for _ in range(1000):
        try:
            return socket.create_connection((hosts[0], 7000))
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise TimeoutError("the first host never came")

other, probe = met() if first else came(), Probe.from_environment()
for step in range(20):
    if step == 10 and not first and orders.get("trouble") == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if step == 10 and not first and orders.get("trouble") == "hangs":
        time.sleep(600)
    other.sendall(b"x")
    assert other.recv(1), "the other host has gone"
    probe.loss("together", 1 / (1 + step))
    probe.step()
probe.close()
if first:
    model = Path(os.environ["SM_MODEL_DIR"])
    (model / "model.json").write_text(json.dumps(orders))
    save_serving_code(model)
"""
# By torchrun, on spot capacity: the hosts' gradients are averaged, and the checkpoint is of both.
INTERRUPTED = """
import json, os, time
from pathlib import Path
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from toolkit.checkpoint import Checkpoints
from toolkit.serving import save_serving_code

torch.set_num_threads(1)
distributed.init_process_group("gloo")
first = distributed.get_rank() == 0
orders = json.loads((Path(os.environ["SM_CHANNEL_TRAIN"]) / "orders.json").read_text())
torch.manual_seed(0)
model = torch.nn.Linear(2, 1)
together, optimizer = DistributedDataParallel(model), torch.optim.SGD(model.parameters(), lr=0.001)
done = []
for step in Checkpoints(every=5, model=model, optimizer=optimizer, done=done).steps(orders["steps"]):
    loss = together(torch.full((4, 2), float(distributed.get_rank()))).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    done.append(step)
    time.sleep(0.02)
    print(f"step={step}", flush=True)
assert done == list(range(orders["steps"])), done
weights = [None, None]
distributed.all_gather_object(weights, {name: value.tolist() for name, value in model.state_dict().items()})
assert weights[0] == weights[1], weights
print(f"both have taken {len(done)} steps", flush=True)
distributed.destroy_process_group()
if first:
    folder = Path(os.environ["SM_MODEL_DIR"])
    (folder / "model.json").write_text(json.dumps(orders))
    save_serving_code(folder)
"""
ON_TWO = {"instance": "ml.m5.large", "instance_count": 2}
PIPELINES = {
    "hosts": Scripted(
        {
            "train": ON_TWO,
            "data": {
                "train": "hosts/train/",
                "test": "hosts/test/",
                "parts": {"prefix": "hosts/parts/", "distribution": "sharded"},
            },
            "rules": [{"rule": "StalledTraining", "parameters": {"threshold": 1.0}, "action": "stop"}],
        },
        files={"train.py": MEETING},
    ),
    "torch-hosts": Scripted(
        {
            "framework": {"name": "pytorch", "version": "2.6.0"},
            "train": {**ON_TWO, "distribution": "torchrun", "max_runtime": "10m", "spot": {"max_wait": "20m"}},
        },
        files={"train.py": INTERRUPTED},
    ),
}


@pytest.fixture
def hosts(deployed: Callable[[str], Pipeline]) -> Pipeline:
    """With a channel of two objects, of which each host gets one."""
    pipeline = deployed("hosts")
    for part in ("a.csv", "b.csv"):
        pipeline.put(f"parts/{part}", "1\n")
    return pipeline


def run(pipeline: Pipeline, **orders: Any) -> dict[str, Any]:
    pipeline.order(accuracy=0.7, **orders)
    record: dict[str, Any] = plain(pipeline.run(forced=True))
    return record


def seen(pipeline: Pipeline, record: dict[str, Any]) -> list[str]:
    lines = Jobs(pipeline.aws).log_lines(record["jobs"]["train"])
    return sorted(line for line in lines if " sees " in line)


def test_a_model_of_two_hosts_goes_live(hosts: Pipeline) -> None:
    record = run(hosts)
    assert record["outcome"] == "Promoted", record.get("error")
    assert (record["hosts"], record["instances"]["train"]) == (2, "ml.m5.large")
    assert seen(hosts, record) == ["algo-1 sees a.csv", "algo-2 sees b.csv"]
    assert hosts.ask(1) == "1"


def test_a_killed_host_ends_the_run_with_its_name(hosts: Pipeline) -> None:
    record = run(hosts, trouble="killed")
    assert record["outcome"] == "Failed"
    assert record["error"]["state"] == "Train"
    assert "AlgorithmError: algo-2: " in record["error"]["cause"]


def test_a_host_that_hangs_is_stopped_by_the_rule_beside_the_first(hosts: Pipeline) -> None:
    record = run(hosts, trouble="hangs")
    assert record["outcome"] == "StoppedByRule", record.get("error")
    assert record["stopped_by"]["rule"] == "StalledTraining"
    assert record["stopped_by"]["step"] == 9, "the last that both have taken"


def test_fewer_objects_than_hosts_are_refused_before_training(hosts: Pipeline) -> None:
    bucket = hosts.shared["DataBucketName"]
    hosts.aws.client("s3").delete_object(Bucket=bucket, Key="hosts/parts/b.csv")
    record = run(hosts)
    assert (record["outcome"], record["error"]["state"]) == ("Failed", "Plan")
    assert "data.parts is shared out to 2 hosts (distribution: sharded), but" in record["error"]["cause"]
    assert "train" not in record.get("jobs", {})


def test_two_hosts_on_spot_capacity_go_on_together(deployed: Callable[[str], Pipeline]) -> None:
    pipeline = deployed("torch-hosts")
    pipeline.order(accuracy=0.5, steps=120)  # the gate ends it
    answer = pipeline.trigger(forced=True)
    jobs, job = Jobs(pipeline.aws), f"local-torch-hosts-{answer['run_id']}-train"
    jobs.until_logged(job, "step=30")
    until(lambda: interrupted(pipeline, job), f"{job} to be in status Training")
    record = plain(pipeline.record(answer["run_id"], seconds=120))
    assert record["outcome"] == "NotBetter", record.get("error")
    assert (record["hosts"], record["spot"]["interruptions"]) == (2, 1)
    lines = jobs.log_lines(job)
    assert lines.count("both have taken 120 steps") == 2
    stopped = {line for line in lines if "told to end; step" in line}
    assert len(stopped) == 1, "both after the same step"
    assert len([line for line in lines if "goes on after step" in line]) == 2


def interrupted(pipeline: Pipeline, job: str) -> bool:
    """Whether the interruption was taken: only a job in status Training can be interrupted."""
    try:
        spot_command.interrupt(pipeline.aws.server, job, Interruption(notice=10, absence=0))
    except spot_command.InterruptionRefusedError:
        return False
    return True
