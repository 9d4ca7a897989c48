"""Training on several hosts, as pipeline.yaml says it: what is refused, and what AWS is asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import run_world
from planner.data import TooFewObjectsError, channel, check_shards
from run_world import RUN_ID, definition, make_spec

from infra.workflow.steps.plan import spec_hash
from ratchet import run_logs, training_job
from ratchet.spec import SpecError

PYTORCH = {"name": "pytorch", "version": "2.6.0"}
ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
XGBOOST = {"name": "xgboost", "version": "3.0-5"}
TRAIN: dict[str, Any] = {"instance": "ml.m5.large", "metrics": {"f1": "f1: ([0-9.]+)"}}
TWO = {**TRAIN, "instance_count": 2}
TORCHRUN = {**TWO, "distribution": "torchrun"}
DATA = {"train": "digits/train/", "test": "digits/test/", "extra-1": "digits/extra/"}
SHARDED = {"prefix": "digits/train/", "distribution": "sharded"}
JOINS = "import torch\nfrom torch import distributed\n"
READS = "import os\nhosts = os.environ['SM_HOSTS']\n"
ALONE = '"""Knows nothing of SM_HOSTS."""\nimport torch\n'

# What train.py says, what pipeline.yaml says, and what it is told.
BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "no host": (
        JOINS,
        {"train": {**TRAIN, "instance_count": 0}},
        "train.instance_count: is 0; a training job has 1 to 20",
    ),
    "too many hosts": (
        JOINS,
        {"train": {**TRAIN, "instance_count": 21}},
        'is 21; a training job has 1 to 20 hosts (SageMaker\'s quota "Maximum number of instances per training job")',
    ),
    "half a host": (JOINS, {"train": {**TRAIN, "instance_count": 1.5}}, "train.instance_count: "),
    "a number as a text": (JOINS, {"train": {**TRAIN, "instance_count": "2"}}, "is '2'; it must be a whole number"),
    "scikit-learn": (
        "import sklearn\n",
        {"train": TWO},
        "train.instance_count: is 2, but train.py asks for no other host (SM_HOSTS, torch.distributed): each would "
        "train the same model by itself; sklearn trains on one host: write 1",
    ),
    "xgboost": (
        "import xgboost\n",
        {"framework": XGBOOST, "train": TWO},
        "each would train the same model by itself; let xgboost.collective join the hosts of SM_HOSTS, or write 1",
    ),
    "pytorch alone": (ALONE, {"framework": PYTORCH, "train": TWO}, "let torch.distributed average the gradients"),
    "copies on the GPUs of one": (
        ALONE,
        {"framework": PYTORCH, "train": {**TRAIN, "distribution": "torchrun"}},
        "train.distribution: is torchrun, but train.py asks for no other host",
    ),
    "copies in an image that runs scripts": (
        "import torch as t\nt.save({}, 'x')\ndistributed = t\n",
        {"framework": None, "image": f"{ECR}/pytorch-training:2.6.0", "train": TWO},
        "each would train the same model by itself; let it join the hosts of SM_HOSTS (docs/hosts.md), or write 1",
    ),
    "a script that can't be read": (
        "def f(:\n",
        {"train": TWO},
        "train.instance_count: is 2, but train.py can't be read: ",
    ),
    "no script": ("", {"train": TWO}, "train.instance_count: is 2, but there is no train.py in "),
    "torchrun of scikit-learn": (
        READS,
        {"train": TORCHRUN},
        "train.distribution: is torchrun, which SageMaker's PyTorch containers start, but framework is sklearn",
    ),
    "torchrun of an own image": (
        JOINS,
        {"framework": None, "image": f"{ECR}/team/image:1.0", "train": TORCHRUN},
        "but an image of your own starts what it likes by itself; leave it out",
    ),
    "torchrun of an image that starts like another framework's": (
        READS,
        {"framework": None, "image": f"{ECR}/sagemaker-xgboost:3.0-5", "train": TORCHRUN},
        "train.distribution: is torchrun, which SageMaker's PyTorch containers start, but the image starts as "
        "sagemaker-xgboost does; leave it out",
    ),
    "torchrun of an image that serves only": (
        JOINS,
        {"framework": None, "image": f"{ECR}/pytorch-inference:2.6.0-cpu-py312", "train": TORCHRUN},
        "but the image starts as pytorch-inference does; leave it out",
    ),
    "mpi": (
        JOINS,
        {"framework": PYTORCH, "train": {**TWO, "distribution": "mpi"}},
        "train.distribution: is 'mpi'; it must be 'torchrun'",
    ),
    "a heterogeneous cluster": (
        JOINS,
        {"train": {"instance_groups": [{"instance": "ml.m5.large", "instance_count": 1}]}},
        "train.instance_groups: is a heterogeneous cluster, which Ratchet doesn't train on: all hosts of a job are of "
        "one instance type; write instance: ml.m5.large and instance_count: 2",
    ),
    "groups as a list of types": (
        JOINS,
        {"train": {"instance": [{"type": "ml.m5.large", "count": 1}, {"type": "ml.g5.xlarge", "count": 1}]}},
        "train.instance: is a heterogeneous cluster",
    ),
    "a misspelt instance": (
        JOINS,
        {"train": {"instances": "ml.m5.large"}},
        "train.instances: unknown key; did you mean",
    ),
    "instances": (JOINS, {"train": {"instances": ["ml.m5.large"]}}, "train.instances: is a heterogeneous cluster"),
    "sharded for one host": (
        JOINS,
        {"data": {**DATA, "train": SHARDED}},
        "data.train.distribution: is sharded, but train.instance_count is 1, and one host sees all; write 2 or more",
    ),
    "a sharded held-out set": (
        READS,
        {"data": {**DATA, "test": {"prefix": "digits/test/", "distribution": "sharded"}}, "train": TWO},
        "data.test.distribution: is sharded, but one job judges by the whole held-out set; leave it out",
    ),
    "another distribution": (
        READS,
        {"data": {**DATA, "train": {**SHARDED, "distribution": "ShardedByS3Key"}}, "train": TWO},
        "data.train: has the distribution 'ShardedByS3Key'; it must be replicated or sharded",
    ),
    "a channel without a prefix": (
        READS,
        {"data": {**DATA, "train": {"distribution": "sharded"}}, "train": TWO},
        "data.train: has no prefix; write {prefix: digits/train/, distribution: sharded}",
    ),
    "a misspelt key of a channel": (
        READS,
        {"data": {**DATA, "train": {"prefix": "a/", "distributoin": "sharded"}}, "train": TWO},
        "data.train: has the unknown key distributoin; did you mean distribution?",
    ),
    "a sharded prefix without a slash": (
        READS,
        {"data": {**DATA, "train": {**SHARDED, "prefix": "digits"}}, "train": TWO},
        "data.train: is 'digits'; end it with /",
    ),
    "a sharded channel around another": (
        READS,
        {"data": {**DATA, "train": {**SHARDED, "prefix": "digits/"}}, "train": TWO},
        "inside data.train ('digits/'); give each channel a prefix of its own",
    ),
}


def spec_of(folder: Path, script: str, **sections: Any) -> Any:
    """The spec of a folder with such a train.py; none where it is empty."""
    if script:
        (folder / "train.py").write_text(script)
    return make_spec(folder, **sections)


@pytest.mark.parametrize(("script", "sections", "told"), BAD.values(), ids=BAD)
def test_hosts_that_can_not_train_together_are_refused_in_words(
    tmp_path: Path, script: str, sections: dict[str, Any], told: str
) -> None:
    with pytest.raises(SpecError) as refused:
        spec_of(tmp_path, script, **sections)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "script",
    [
        JOINS,
        READS,
        "import torch.distributed as dist\n",
        "import lightning.pytorch as L\n",
        "from accelerate import Accelerator\n",
        "import json\njson.load(open('/opt/ml/input/config/resourceconfig.json'))\n",
        "import learning\n",
        "import torch\ntorch.distributed.init_process_group('gloo')\n",
        "import xgboost as xgb\nwith xgb.collective.CommunicatorContext():\n    pass\n",
    ],
)
def test_a_script_that_knows_its_hosts_may_have_several(tmp_path: Path, script: str) -> None:
    """Also where a module of its folder does."""
    (tmp_path / "learning.py").write_text(JOINS)
    assert spec_of(tmp_path, script, framework=PYTORCH, train=TWO).train.instance_count == 2


def test_an_image_of_ones_own_is_not_looked_into(tmp_path: Path) -> None:
    image = f"{ECR}/team/image:1.0"
    assert make_spec(tmp_path, framework=None, image=image, train=TWO).train.instance_count == 2


@pytest.mark.parametrize("entrypoint", ["", 'ENTRYPOINT ["mine"]\n'], ids=["as its base", "by itself"])
def test_an_image_that_starts_like_pytorch_s_starts_torchrun(tmp_path: Path, entrypoint: str) -> None:
    """Its `train` is the base image's, which is told by the same hyperparameters as a framework's."""
    (tmp_path / "Dockerfile").write_text(f"FROM {ECR}/pytorch-training:2.6.0-cpu-py312\nRUN true\n{entrypoint}")
    given: dict[str, Any] = {"framework": None, "dockerfile": "Dockerfile", "train": TORCHRUN}
    if entrypoint:
        with pytest.raises(SpecError, match="an image of your own starts what it likes by itself"):
            spec_of(tmp_path, JOINS, **given)
        return
    told = asked(spec_of(tmp_path, JOINS, **given))["HyperParameters"]
    assert (told["sagemaker_torch_distributed_enabled"], told["sagemaker_instance_type"]) == ("true", "ml.m5.large")


def test_one_host_and_what_is_said_of_it_make_the_model_that_they_made(tmp_path: Path) -> None:
    """A release without hosts had this hash of such a spec; a champion would be trained again for nothing."""
    plain = spec_hash(make_spec(tmp_path))
    assert plain == "b8004acd02354bcd12b0929a31ae99be20f611596cc86e514ad751e9b9b65f3a"
    said = {"prefix": "digits/train/", "distribution": "replicated"}
    assert spec_hash(make_spec(tmp_path, data={**DATA, "train": said})) == plain
    assert spec_hash(make_spec(tmp_path, train={**run_world.SPEC["train"], "instance_count": 1})) == plain
    several = [{"train": TWO}, {"train": TORCHRUN}, {"train": TWO, "data": {**DATA, "train": SHARDED}}]
    hashes = {spec_hash(spec_of(tmp_path, JOINS, framework=PYTORCH, **sections)) for sections in several}
    assert len(hashes | {plain}) == 4


def asked(spec: Any) -> dict[str, Any]:
    """The training job that a run of the spec asks for."""
    request: dict[str, Any] = run_world.run(spec, run_world.World()).called("createTrainingJob")[0]
    return request


def shared_out(request: dict[str, Any]) -> dict[str, str]:
    """Channel → how its objects are distributed."""
    sources = {each["ChannelName"]: each["DataSource"]["S3DataSource"] for each in request["InputDataConfig"]}
    return {name: source["S3DataDistributionType"] for name, source in sources.items()}


@pytest.mark.fidelity(
    "Training jobs",
    "torchrun is asked for by the hyperparameters sagemaker_torch_distributed_enabled and sagemaker_instance_type.",
    "aws/sagemaker-python-sdk, src/sagemaker/pytorch/estimator.py, _pytorch_distribution_configuration; "
    "aws/sagemaker-training-toolkit, src/sagemaker_training/params.py",
)
def test_hosts_are_asked_for_with_what_starts_the_script_and_what_each_sees(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, JOINS, framework=PYTORCH, train=TORCHRUN, data={**DATA, "train": SHARDED})
    request = asked(spec)
    assert request["ResourceConfig"] == {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30}
    told = request["HyperParameters"]
    assert told["sagemaker_torch_distributed_enabled"] == "true"
    assert told["sagemaker_instance_type"] == "ml.m5.large"
    assert shared_out(request) == {"train": "ShardedByS3Key", "extra-1": "FullyReplicated"}


def test_what_the_containers_are_told_counts_among_the_hundred_hyperparameters(tmp_path: Path) -> None:
    """The refusal names the very ones that the job has besides pipeline.yaml's; an image of one's own has none."""
    most = {f"h{number}": number for number in range(95)}
    train = {**TORCHRUN, "hyperparameters": most}
    told = asked(spec_of(tmp_path, JOINS, framework=PYTORCH, train=train))["HyperParameters"]
    assert len(told) == 100
    taken = ", ".join(name for name in told if name not in most)
    over = {**train, "hyperparameters": {**most, "last": 1}}
    with pytest.raises(SpecError) as refused:
        spec_of(tmp_path, JOINS, framework=PYTORCH, train=over)
    message = f"train.hyperparameters: make 101 with SageMaker's own ({taken}); it takes at most 100: leave out 1"
    assert message in str(refused.value)
    own = {**TWO, "hyperparameters": {f"h{number}": number for number in range(100)}}
    make_spec(tmp_path, framework=None, image=f"{ECR}/team/image:1.0", train=own)


def test_of_types_that_are_tried_in_turn_torchrun_is_told_the_one_whose_turn_it_is(tmp_path: Path) -> None:
    types = ["ml.g5.xlarge", "ml.g4dn.xlarge"]
    request = asked(spec_of(tmp_path, JOINS, framework=PYTORCH, train={**TORCHRUN, "instance": types}))
    assert (
        request["HyperParameters"]["sagemaker_instance_type"] == request["ResourceConfig"]["InstanceType"] == types[0]
    )


def test_without_a_distribution_nothing_is_said_of_it(tmp_path: Path) -> None:
    told = asked(spec_of(tmp_path, JOINS, framework=PYTORCH, train=TWO))["HyperParameters"]
    assert not [name for name in told if "distributed" in name or "instance" in name]


def test_each_trial_of_a_tuning_has_its_hosts(tmp_path: Path) -> None:
    tune = {
        "strategy": "Random",
        "objective": {"maximize": "f1"},
        "max_jobs": 4,
        "parallel": 2,
        "ranges": {"rate": {"continuous": [0.1, 1.0]}},
    }
    spec = spec_of(tmp_path, JOINS, framework=PYTORCH, train=TORCHRUN, tune=tune)
    states = json.dumps(definition(spec)["States"])
    assert states.count('"InstanceCount": 2') >= 1
    assert "sagemaker_torch_distributed_enabled" in states


@pytest.mark.parametrize("train", [TWO, TORCHRUN], ids=["the hosts' own", "torchrun"])
def test_a_training_job_alone_has_the_hosts_of_a_run_s(tmp_path: Path, train: dict[str, Any]) -> None:
    spec = spec_of(tmp_path, JOINS, framework=PYTORCH, train=train, data={**DATA, "train": SHARDED})
    machine = json.dumps(definition(spec))
    alone = training_job.request(machine, spec, run_id=RUN_ID, bucket="data", code="s3://artifacts/code.tar.gz")
    of_run = asked(spec)
    assert alone["ResourceConfig"] == of_run["ResourceConfig"]
    assert shared_out(alone) == shared_out(of_run) == {"train": "ShardedByS3Key", "extra-1": "FullyReplicated"}
    own = {name: value for name, value in of_run["HyperParameters"].items() if name != "sagemaker_submit_directory"}
    assert own.items() <= alone["HyperParameters"].items()


def listed(count: int) -> Any:
    names = [f"digits/train/{number}.csv" for number in range(count)]
    versions = [{"Key": name, "ETag": "e", "Size": 1, "VersionId": "v", "IsLatest": True} for name in names]
    return channel("train", "data", "digits/train/", [{"Versions": versions}])


def test_plan_is_told_which_channels_are_shared_out(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, READS, train=TWO, data={**DATA, "train": SHARDED})
    told = run_world.run(spec, run_world.World()).called("planner")[0]["Payload"]
    assert told["shards"] == {"train": 2}
    assert told["channels"]["train"] == "digits/train/"
    plain = run_world.run(make_spec(tmp_path), run_world.World()).called("planner")[0]["Payload"]
    assert "shards" not in plain


@pytest.mark.parametrize(("count", "there"), [(0, "0 objects"), (1, "1 object"), (2, "2 objects")])
def test_a_host_that_would_see_nothing_is_refused_before_it_is_paid_for(count: int, there: str) -> None:
    check_shards([listed(3)], {"train": 3})
    check_shards([listed(count)], {})
    told = rf"data.train is shared out to 3 hosts .* s3://data/digits/train/ has {there}: .* 3 objects or more"
    with pytest.raises(TooFewObjectsError, match=told):
        check_shards([listed(count)], {"train": 3})


@pytest.mark.parametrize(
    ("stream", "name"),
    [
        ("a-job/algo-1-1764252000", "train"),
        ("a-job/algo-2-1764252000", "train/algo-2"),
        ("a-job/algo-12-1764252000", "train/algo-12"),
        ("a-job/data-log", "train"),
        (f"{RUN_ID}x-003-abcdef12/algo-2-1764252000", "train/algo-2"),
    ],
)
def test_a_line_of_the_log_names_its_host(stream: str, name: str) -> None:
    event = {"logStreamName": stream, "timestamp": 1, "message": "hello", "eventId": "1"}
    assert run_logs._line(run_logs._Source("train", "group"), event).source == name
