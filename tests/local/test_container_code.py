"""Our training jobs in the code of AWS's own containers: their `train`, as the first process and behind ours.

The toolkits are real, in an environment of their own (.venvs/toolkits); a container is what the embedded AWS makes of
processes, with an image's environment in which the toolkit lies beside the framework, as in the image.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hosting_kit import archive
from image_uris import PYTORCH, SKLEARN, XGBOOST

from demo import data
from infra.workflow.first_process import passing_signals_on
from localaws.sagemaker.containers import container
from localaws.sagemaker.containers.container import Container, ContainerSpec
from localaws.sagemaker.containers.images import Images
from ratchet.spec.source_package import source_package

ROOT = Path(__file__).parents[2]
TOOLKITS = ROOT / ".venvs" / "toolkits"
TOOLKIT = ROOT / "training_code" / "toolkit"
DOCKER_PATH = "/usr/local/bin:/usr/bin:/bin"
pytestmark = pytest.mark.skipif(
    not (TOOLKITS / "stamp").exists(),
    reason="AWS's toolkits (.venvs/toolkits) come with `make test-all`",
)

# Says when it is told, then saves for a while, as a checkpoint of some size takes.
LISTENS = """
import os, signal, subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
print(f"SCRIPT RUNS {sys.argv[1:]}", flush=True)
end = time.monotonic() + 2.5
while not told and time.monotonic() < end:
    time.sleep(0.02)
time.sleep(0.3)
worker_is = "worker lives" if worker.poll() is None else "worker gone"
print(f"told {worker_is}" if told else "went on to its end", flush=True)
worker.kill()
open(os.environ["SM_MODEL_DIR"] + "/model.txt", "w").write("saved")
sys.exit(143 if told else 0)
"""
SHELL = '#!/bin/bash\nset -e\npython3 fit.py "$@"\necho "more commands"\n'
EXECS = '#!/bin/bash\nexec python3 fit.py "$@"\n'
TRAPS = "#!/bin/bash\ntrap 'echo trapped; exit 0' TERM\necho SCRIPT RUNS\nwhile true; do sleep 0.1; done\n"
XGBOOST_MODEL = """
import os, signal, time
import numpy, xgboost
from xgboost.callback import TrainingCallback
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
class UntilTold(TrainingCallback):
    def after_iteration(self, model, epoch, evals_log):
        if epoch == 0:
            print("SCRIPT RUNS", flush=True)
        time.sleep(0.01)
        return bool(told)
rows = numpy.random.default_rng(0).normal(size=(200, 4))
matrix = xgboost.DMatrix(rows, label=rows[:, 0] > 0)
settings = {"objective": "binary:logistic", "nthread": 1, "max_depth": 2}
model = xgboost.train(settings, matrix, num_boost_round=1_000_000, callbacks=[UntilTold()])
model.save_model(os.environ["SM_MODEL_DIR"] + "/model.json")
print(f"told {model.num_boosted_rounds() > 0}", flush=True)
"""
PYTORCH_MODEL = """
import os, time, torch
from toolkit.checkpoint import Checkpoints
torch.set_num_threads(1)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
checkpoints = Checkpoints(every=1_000_000, finish=True, model=model, optimizer=optimizer)
for step in checkpoints.steps(100_000_000):
    time.sleep(0.01)
    optimizer.zero_grad()
    model(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    if step == 5:
        print("SCRIPT RUNS", flush=True)
torch.save(model.state_dict(), os.environ["SM_MODEL_DIR"] + "/model.pt")
print(f"told {os.listdir(os.environ['SAGEMAKER_BASE_DIR'] + '/checkpoints')}", flush=True)
"""


# Like the ENTRYPOINT of PyTorch's images, which sets the container's hostname: tools first, then `train` below itself.
STARTER = """#!/usr/bin/env bash
if [[ "$1" == "train" ]]; then
    HOSTED_AS=$(python -c 'print("algo-1")')
    HOSTED_AS=$HOSTED_AS train
else
    eval "$@"
fi
"""


@dataclass(frozen=True)
class AwsCode:
    """The training code of one of AWS's containers: the module of its `train`, its image, and what the image sets.

    starter: a program of the image's that starts `train`.
    """

    image: str
    train: str = "sagemaker_training.cli.train"
    variables: tuple[tuple[str, str], ...] = ()
    starter: str | None = None


# scikit-learn's container hands its script to the toolkit as the toolkit itself does without a framework's module.
SKLEARN_CODE = AwsCode(SKLEARN)
# XGBoost's container first installs the script as a package; then its toolkit starts it as here.
# Its protocol buffers are of before 2022, which only the library's Python can read.
XGBOOST_CODE = AwsCode(
    XGBOOST, "sagemaker_containers.cli.train", (("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python"),)
)
PYTORCH_CODE = AwsCode(
    PYTORCH,
    variables=(("SAGEMAKER_TRAINING_MODULE", "sagemaker_pytorch_container.training:main"),),
    starter="start_with_right_hostname.sh",
)


@dataclass
class Job:
    """One container's folders, and what it has said."""

    folder: Path
    images: Path
    said: str = ""

    def start(self, code: AwsCode, source: bytes, program: str, *, behind_ours: bool, **hyperparameters: str) -> None:
        """Start `train` with a source archive, behind our first process or as the first process itself."""
        ml, tools, tmp = self.folder / "ml", self.folder / "tools", self.folder / "tmp"
        for name in ("input/config", "input/data/code", "model", "output/data", "checkpoints"):
            (ml / name).mkdir(parents=True)
        tools.mkdir()
        tmp.mkdir()
        (ml / "input/data/code/sourcedir.tar.gz").write_bytes(source)
        base, image = container.ml_dir(ml), Images(self.images).environment(code.image, print)
        asked = {
            "sagemaker_program": program,
            "sagemaker_submit_directory": f"{base}/input/data/code/sourcedir.tar.gz",
            **hyperparameters,
        }
        self._configure(ml / "input/config", asked)
        self._command(tools / "train", image.python, code.train)
        theirs = [f"{container.tools_view(tools)}/train"]
        if code.starter:
            (tools / code.starter).write_text(STARTER)
            (tools / code.starter).chmod(0o755)
            theirs = ["bash", "-m", code.starter, "train"]
        ours = [word for words in passing_signals_on().values() for word in words]
        spec = ContainerSpec(
            command=ours if behind_ours else theirs,
            environment={
                **dict(code.variables),
                "PATH": f"{container.tools_view(tools)}:{image.python.parent}:{DOCKER_PATH}",
                "PYTHONUNBUFFERED": "1",
                "HOME": str(container.tmp_view(tmp)),
                "SAGEMAKER_BASE_DIR": str(base),
                "AWS_DEFAULT_REGION": "us-east-1",
                "TRAINING_JOB_NAME": "job",
            },
            base_dir=ml,
            tmp_dir=tmp,
            cwd=base,
            needs=[self.images, TOOLKITS],
            tools=tools,
            as_process_1=True,
        )
        self.running: Container = container.launch(spec)

    def _configure(self, config: Path, hyperparameters: Mapping[str, str]) -> None:
        # The toolkit waits until the names of its hosts can be resolved.
        group = {"instance_group_name": "g", "instance_type": "ml.m5.large", "hosts": ["localhost"]}
        resources = {
            "current_host": "localhost",
            "current_instance_type": "ml.m5.large",
            "current_group_name": "g",
            "hosts": ["localhost"],
            "instance_groups": [group],
            "network_interface_name": "lo",
        }
        channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
        encoded = {name: json.dumps(value) for name, value in hyperparameters.items()}
        for name, document in (
            ("hyperparameters", encoded),
            ("resourceconfig", resources),
            ("inputdataconfig", {"train": channel}),
        ):
            (config / f"{name}.json").write_text(json.dumps(document))

    def _command(self, path: Path, python: Path, module: str) -> None:
        packages = next((TOOLKITS / "lib").glob("python3.*")) / "site-packages"
        # XGBoost's image replaces what sagemaker-containers has of Python 2's time (its Dockerfile).
        mapping = "import collections.abc\ncollections.Mapping = collections.abc.Mapping\n"
        imports = f"{mapping}import sys\nsys.path.append({str(packages)!r})\nfrom {module} import main\nmain()\n"
        path.write_text(f"#!{python}\n{imports}")
        path.chmod(0o755)

    def until(self, word: str) -> None:
        while word not in self.said:
            line = self.running.output.readline()
            assert line, self.said
            self.said += line.decode()

    def ended(self) -> int:
        """Its exit status, once it has ended and all that it said has been read."""
        self.said += self.running.output.read().decode()
        return self.running.wait(30)

    def stopped(self) -> int:
        self.until("SCRIPT RUNS")
        self.running.stop()
        return self.ended()


@pytest.fixture
def job(tmp_path: Path, images: Path) -> Job:
    return Job(tmp_path, images)


@pytest.mark.fidelity(
    "Training jobs",
    "SIGTERM ends at a framework image's first process: AWS's training toolkit doesn't pass it on to the script.",
    "aws/sagemaker-training-toolkit, src/sagemaker_training/process.py (5.1.4); issues 125 and 173, pull request 126",
)
@pytest.mark.parametrize("code", [SKLEARN_CODE, XGBOOST_CODE, PYTORCH_CODE], ids=["sklearn", "xgboost", "pytorch"])
def test_aws_s_own_train_keeps_sigterm_from_the_script(job: Job, code: AwsCode) -> None:
    job.start(code, archive({"train.py": LISTENS}), "train.py", behind_ours=False)
    assert job.stopped() == 0, job.said
    assert "went on to its end" in job.said


@pytest.mark.parametrize("code", [SKLEARN_CODE, XGBOOST_CODE, PYTORCH_CODE], ids=["sklearn", "xgboost", "pytorch"])
def test_ours_brings_it_to_the_script_and_to_nothing_below_it(job: Job, code: AwsCode) -> None:
    job.start(code, archive({"train.py": LISTENS}), "train.py", behind_ours=True, depth="3")
    assert job.stopped() != 0, "the toolkit's own exit code for a script that ended with one"
    assert "told worker lives" in job.said
    assert "'--depth', '3'" in job.said
    assert (job.folder / "ml/model/model.txt").read_text() == "saved"


@pytest.mark.parametrize("script", [SHELL, EXECS], ids=["runs", "execs"])
def test_what_a_shell_entry_point_runs_hears_it_and_may_save(job: Job, script: str) -> None:
    job.start(SKLEARN_CODE, archive({"train.sh": script, "fit.py": LISTENS}), "train.sh", behind_ours=True)
    job.stopped()
    assert "told worker lives" in job.said
    assert "more commands" not in job.said, "the shell was told to end, too"
    assert (job.folder / "ml/model/model.txt").read_text() == "saved"


def test_a_trap_of_a_shell_entry_point_fires(job: Job) -> None:
    job.start(SKLEARN_CODE, archive({"train.sh": TRAPS}), "train.sh", behind_ours=True)
    assert job.stopped() == 0, job.said
    assert "trapped" in job.said


def test_an_xgboost_model_that_is_told_to_end_is_saved(job: Job) -> None:
    job.start(XGBOOST_CODE, archive({"train.py": XGBOOST_MODEL}), "train.py", behind_ours=True)
    assert job.stopped() == 0, job.said
    assert "told True" in job.said
    assert json.loads((job.folder / "ml/model/model.json").read_text())["learner"]


def test_a_pytorch_model_that_is_told_to_end_leaves_a_checkpoint_and_itself(job: Job) -> None:
    folder = job.folder / "source"
    folder.mkdir()
    (folder / "train.py").write_text(PYTORCH_MODEL)
    (folder / "serve.py").write_text("")
    job.start(PYTORCH_CODE, source_package(folder, TOOLKIT).archive(), "train.py", behind_ours=True)
    assert job.stopped() == 0, job.said
    assert "told ['checkpoint-0.safetensors']" in job.said
    assert (job.folder / "ml/model/model.pt").stat().st_size > 0


def test_the_checkout_s_model_trains_in_scikit_learn_s_container(job: Job) -> None:
    source = source_package(ROOT / "training_code" / "digits_forest", TOOLKIT).archive()
    channel = job.folder / "ml/input/data/train"
    channel.mkdir(parents=True)
    (channel / "few.csv").write_text(data.csv_text(data.digit_batches()["few"]))
    job.start(SKLEARN_CODE, source, "train.py", behind_ours=True, **{"n-estimators": "3"})
    assert job.ended() == 0, job.said
    assert "oob:f1_macro=0." in job.said
    assert {path.name for path in (job.folder / "ml/model").iterdir()} == {"model.joblib", "code"}
