"""What a container finds in an image of AWS's, and what it may change there: pip, packages, source archives."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hosting_kit import archive
from image_uris import XGBOOST
from job_kit import Jobs
from running_aws import Aws
from wheels import forgotten_afterwards, wheel_name, wheel_of

from localaws.sagemaker.containers import container

PROCESSING_LOG = "/aws/sagemaker/ProcessingJobs"
# A name that no other run has used, since what was installed is kept.
THING = f"thing_{uuid.uuid4().hex[:8]}"
ONE, TWO = wheel_name(THING, "1.0"), wheel_name(THING, "2.0")
WHEELS: dict[str, str | bytes] = {ONE: wheel_of(THING, "1.0", "VALUE = 1"), TWO: wheel_of(THING, "2.0", "VALUE = 2")}
PIP = """
import importlib.util, subprocess, sys
def pip(*words):
    return subprocess.run([sys.executable, "-m", "pip", *words, "--quiet"], check=True)
"""


@pytest.fixture(scope="module")
def jobs(aws: Aws) -> Jobs:
    return Jobs(aws)


@pytest.fixture(scope="module", autouse=True)
def forget() -> Iterator[None]:
    """What this run's jobs have installed, nobody needs again."""
    with forgotten_afterwards(THING):
        yield


def train(jobs: Jobs, files: dict[str, str | bytes], program: str = "train.py", **changes: Any) -> dict[str, Any]:
    source = jobs.put(f"code/{uuid.uuid4().hex}/sourcedir.tar.gz", archive(files))
    changes.setdefault("HyperParameters", jobs.script_mode(source, program))
    return jobs.train("", **changes)


def said(jobs: Jobs, job: dict[str, Any], marker: str = "SAID") -> Any:
    lines = jobs.log_lines(job["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), lines)
    return json.loads(next(line for line in lines if line.startswith(marker)).removeprefix(marker))


@pytest.mark.fidelity(
    "Training jobs",
    "PYTHONPATH holds /opt/ml/code and the toolkit's own path; a .sh installs no requirements.txt.",
    "aws/sagemaker-training-toolkit, entry_point.py (install) and environment.py (write_env_vars)",
)
def test_a_script_that_a_shell_starts_finds_its_modules(jobs: Jobs) -> None:
    job = train(
        jobs,
        {
            "go.sh": "#!/bin/bash\nset -e\ncd /tmp\npython /opt/ml/code/src/run.py\n",
            "src/run.py": "import json, os, sys, lib.part, importlib.util\n"
            f"print('SAID', json.dumps([lib.part.X, os.environ['PYTHONPATH'], importlib.util.find_spec('{THING}')]))",
            "lib/__init__.py": "",
            "lib/part.py": "X = 5",
            "requirements.txt": f"./{ONE}\n",
            **WHEELS,
        },
        "go.sh",
        Environment={"PYTHONPATH": "/opt/ml/mine"},
    )
    value, path, thing = said(jobs, job)
    entries = path.split(":")
    assert (value, thing) == (5, None)
    assert (entries[0], entries[-1]) == ("/opt/ml/code", "/opt/ml/mine")
    assert any(entry.endswith("/site-packages") for entry in entries)


@pytest.mark.fidelity(
    "Containers",
    "pip installs, upgrades and removes packages of the image in a training job; the next job has the image as it was.",
    "aws/sagemaker-scikit-learn-container issue 5; aws/sagemaker-python-sdk issues 284 and 289",
)
def test_pip_changes_the_container_and_not_the_image(jobs: Jobs) -> None:
    if container.isolation() == "none":
        pytest.skip("this kernel lays no directory over another; test_sagemaker_layers.py has what stands for it")
    script = (
        PIP
        + f"""
import json, os
def version(name):
    return subprocess.run([sys.executable, "-c", f"from importlib.metadata import version; print(version('{{name}}'))"],
                          capture_output=True, text=True).stdout.strip()
seen = [version("{THING}"), version("joblib") != ""]
pip("install", "./{ONE}")
seen += [version("{THING}")]
subprocess.run(["pip", "install", "--quiet", "--upgrade", "./{TWO}"], check=True)
seen += [version("{THING}")]
pip("uninstall", "--yes", "joblib", "{THING}")
seen += [version("{THING}"), version("joblib")]
print("SAID", json.dumps(seen))
"""
    )
    for _ in range(2):
        assert said(jobs, train(jobs, {"train.py": script, **WHEELS})) == ["", True, "1.0", "2.0", "", ""]


@pytest.mark.fidelity(
    "Processing jobs",
    "pip installs packages in a processing job, as the SDK's FrameworkProcessor does in runproc.sh.",
    "aws/sagemaker-python-sdk, processing.py (FrameworkProcessor)",
)
def test_pip_installs_in_a_processing_job(jobs: Jobs) -> None:
    jobs.put(f"wheels/{ONE}", WHEELS[ONE])
    request = jobs.processing_request(
        PIP + f"pip('install', '/opt/ml/processing/input/wheels/{ONE}')\nimport {THING}\nprint('HAS', {THING}.VALUE)"
    )
    request["ProcessingInputs"].append(jobs.processing_input("wheels", f"s3://{jobs.bucket}/wheels/"))
    jobs.sagemaker.create_processing_job(**request)
    job = jobs.processed(request["ProcessingJobName"])
    assert job["ProcessingJobStatus"] == "Completed", job
    assert "HAS 1" in jobs.log_lines(request["ProcessingJobName"], PROCESSING_LOG)


@pytest.mark.fidelity(
    "Training jobs",
    "The container itself runs pip for requirements.txt, in the code's directory and with the job's PIP_* variables.",
    "aws/sagemaker-training-toolkit, modules.py (install_requirements)",
)
def test_requirements_are_installed_by_the_container_and_kept_for_the_next(jobs: Jobs) -> None:
    files: dict[str, str | bytes] = {
        "train.py": f"import importlib.util, json, pathlib, sys, {THING}\n"
        f"print('SAID', json.dumps([{THING}.VALUE, importlib.util.find_spec('odd_{THING}') is not None]))\n"
        # What it changes is its own affair, whatever it makes of the marks that an installation leaves.
        f"pathlib.Path({THING}.__file__).write_text('VALUE = 666')\n"
        "for path in pathlib.Path(sys.prefix).glob('.*'): path.touch()\n"
        "pathlib.Path(sys.prefix, '.installed').touch()\n",
        "odd/sitecustomize.py": "import pathlib, sys, sysconfig\nif 'install' in sys.orig_argv: "
        f"pathlib.Path(sysconfig.get_path('purelib'), 'odd_{THING}.py').touch()",
        "requirements.txt": f"# Größe\n{THING}\n",
        f"wheels/{ONE}": WHEELS[ONE],
        f"more/{TWO}": WHEELS[TWO],
    }
    found = []
    for wheels in ("wheels", "more", "wheels"):
        given = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"/opt/ml/code/{wheels}", "PYTHONPATH": "/opt/ml/code/odd"}
        job = train(jobs, files, Environment=given)
        lines = "\n".join(jobs.log_lines(job["TrainingJobName"]))
        found.append((*said(jobs, job), "Successfully installed" in lines, "kept from an earlier job" in lines))
    if container.isolation() == "none":
        pytest.skip("this kernel lays no directory over another, so nothing is kept")
    assert found == [(1, False, True, False), (2, False, True, False), (1, False, False, True)]


@pytest.mark.fidelity(
    "Training jobs",
    "A requirements.txt that can't be installed fails the job as InstallRequirementsError, exit code 1.",
    "aws/sagemaker-training-toolkit, errors.py and modules.py; issue 91 of aws/sagemaker-python-sdk",
)
def test_requirements_that_cannot_be_installed_fail_the_job(jobs: Jobs) -> None:
    job = train(jobs, {"train.py": "", "requirements.txt": "./there-is-no-such-file.whl\n"})
    assert job["TrainingJobStatus"] == "Failed"
    reason = job["FailureReason"]
    assert reason.startswith("AlgorithmError: InstallRequirementsError:\nExitCode 1\nErrorMessage ")
    assert "there-is-no-such-file" in reason
    assert reason.endswith('Command "python -m pip install -r requirements.txt", exit code: 1')


@pytest.mark.fidelity(
    "Training jobs",
    "A source directory with setup.py is installed: its packages, requirements and metadata.",
    "aws/sagemaker-python-sdk issues 911 and 556; aws/sagemaker-training-toolkit, modules.py (install)",
)
def test_a_package_is_installed(jobs: Jobs) -> None:
    job = train(
        jobs,
        {
            "train.py": "import json, mine.part\nfrom importlib.metadata import version\n"
            f"print('SAID', json.dumps([mine.part.X, version('mine'), version('{THING}'), __name__]))",
            "setup.py": "from setuptools import setup, find_packages\nsetup(name='mine', version='3.0', "
            f"package_dir={{'': 'src'}}, packages=find_packages('src'), install_requires=['{THING}'])\n",
            "src/mine/__init__.py": "",
            "src/mine/part.py": "X = 5",
            **WHEELS,
        },
        # Built with the image's setuptools, so that no index is asked; pip takes "no isolation" by its opposite.
        Environment={"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/opt/ml/code"},
    )
    assert said(jobs, job) == [5, "3.0", "2.0", "__main__"]


@pytest.mark.fidelity(
    "Training jobs",
    "Under network isolation the source comes as an archive in a channel, and pip reaches no index.",
    "aws/sagemaker-python-sdk pull request 791; aws/sagemaker-training-toolkit, files.py (download_and_extract)",
)
def test_an_isolated_job_takes_its_source_from_a_channel(jobs: Jobs) -> None:
    files: dict[str, str | bytes] = {
        "train.py": f"import json, {THING}; print('SAID', json.dumps({THING}.VALUE))",
        **WHEELS,
    }
    place = "/opt/ml/input/data/code/sourcedir.tar.gz"
    jobs_of = []
    index = {
        "PIP_RETRIES": "1",
        "PIP_INDEX_URL": f"{jobs.aws.server.endpoint_url}/simple",
    }  # which answers on this machine
    for requirement in (f"./{ONE}", f"{THING}-of-an-index"):
        content = archive({**files, "requirements.txt": f"{requirement}\n"})
        uri = jobs.put(f"channels/{uuid.uuid4().hex}/sourcedir.tar.gz", content)
        jobs_of.append(
            jobs.train(
                "",
                HyperParameters=jobs.script_mode(place),
                InputDataConfig=[jobs.channel("code", uri)],
                EnableNetworkIsolation=True,
                Environment=index,
            )
        )
    assert said(jobs, jobs_of[0]) == 1
    assert "InstallRequirementsError" in jobs_of[1]["FailureReason"]
    assert "Failed to establish a new connection" in "\n".join(jobs.log_lines(jobs_of[1]["TrainingJobName"]))


@pytest.mark.fidelity(
    "Training jobs",
    "A source archive that isn't compressed with gzip is refused, whatever its name is.",
    "aws/sagemaker-training-toolkit, files.py (tarfile.open, r:gz)",
)
@pytest.mark.parametrize("mode", ["w:", "w:bz2"])
def test_a_source_archive_that_is_no_gzip_is_refused(jobs: Jobs, mode: Any) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        tar.addfile(tarfile.TarInfo("train.py"))
    source = jobs.put(f"code/{uuid.uuid4().hex}/sourcedir.tar.gz", buffer.getvalue())
    job = jobs.train("", source=source)
    assert job["TrainingJobStatus"] == "Failed"
    assert "gzip" in job["FailureReason"]


TOOLKITS = """
import importlib, json, sys
failed = {}
for name in NAMES:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = repr(error)
print("SAID", json.dumps(failed))
"""


@pytest.mark.fidelity(
    "Containers",
    "Images hold sagemaker_training, sagemaker_inference and sagemaker_containers, psutil, yaml, flask and pyarrow.",
    "aws/sagemaker-scikit-learn-container and aws/sagemaker-xgboost-container, requirements.txt",
)
def test_the_toolkits_of_the_image_can_be_imported_and_tell_of_the_job(jobs: Jobs) -> None:
    names = [
        *("sagemaker_training.entry_point", "sagemaker_inference.default_inference_handler"),
        *("sagemaker_containers.beta.framework", "psutil", "yaml", "flask", "pyarrow.parquet", "pandas"),
    ]
    told = """
from sagemaker_training import environment
from sagemaker_containers.beta.framework import encoders, env, worker
job = environment.Environment()
print("TOLD", json.dumps([job.model_dir, job.hyperparameters, job.channel_input_dirs, encoders.encode([1], "text/csv"),
                          worker.Response("x", mimetype="text/csv").mimetype]))
"""
    source = jobs.put(
        f"code/{uuid.uuid4().hex}.tar.gz", archive({"train.py": TOOLKITS.replace("NAMES", str(names)) + told})
    )
    job = jobs.train("", HyperParameters={**jobs.script_mode(source), "n": "3"})
    assert said(jobs, job) == {}
    assert said(jobs, job, "TOLD") == [
        "/opt/ml/model", {"n": 3}, {"train": "/opt/ml/input/data/train"}, "1\n", "text/csv"
    ]  # fmt: skip


@pytest.mark.fidelity(
    "Containers",
    "The XGBoost image holds sagemaker_xgboost_container: encoder and data_utils.",
    "aws/sagemaker-xgboost-container, src/sagemaker_xgboost_container; its issue 227",
)
def test_the_xgboost_image_reads_data_as_its_container_does(jobs: Jobs) -> None:
    script = """
import json, os, numpy, pandas, xgboost
from sagemaker_algorithm_toolkit.exceptions import UserError
from sagemaker_containers import _errors
from sagemaker_xgboost_container import data_utils, encoder
from sagemaker_xgboost_container.constants import xgb_content_types
from sagemaker_containers._recordio import _write_numpy_to_dense_tensor, _write_recordio
from sagemaker_containers.beta.framework import encoders
seen = {}
def dense(matrix):
    return matrix.get_data().toarray().tolist()
table = encoder.decode("1,2\\n3,", "text/csv; charset=utf-8")
seen["csv"] = [dense(table), table.num_nonmissing()]
seen["libsvm"] = dense(encoder.decode(b"0 1:5 3:7\\n1 2:6", xgb_content_types.X_LIBSVM))
records = encoders.array_to_recordio_protobuf(numpy.array([[1.0, 2.0], [3.0, 4.0]]), numpy.array([0.0, 1.0]))
read = encoder.decode(records, "application/x-recordio-protobuf")
seen["records"] = [dense(read), read.get_label().tolist()]
seen["lines"] = encoder.json_to_jsonlines({"predictions": [{"a": 1}, {"a": 2}]}).decode()
refused = {"body": lambda: encoder.decode("x", "image/png"),
           "type": lambda: data_utils.get_content_type("text/csv;label_size=2"),
           "data": lambda: data_utils.validate_data_file_path("/opt/ml/input/data/nothing", "text/csv")}
for name, call in refused.items():
    try:
        call()
    except (UserError, _errors.UnsupportedFormatError) as error:
        seen[name] = type(error).__name__
types = (None, "Text/CSV", "text/x-libsvm", "application/x-parquet")
seen["types"] = [data_utils.get_content_type(kind) for kind in types]
os.makedirs("/tmp/d/deep")
open("/tmp/d/a.csv", "w").write("1,10,20\\n0,30,40\\n"); open("/tmp/d/deep/b.csv", "w").write("1,50,60\\n")
open("/tmp/l.libsvm", "w").write("1 0:2 2:3\\n0 1:4\\n")
pandas.DataFrame({"y": [1, 0], "x": [7, 8]}).to_parquet("/tmp/p.parquet")
for kind, path in (("csv", "/tmp/d"), ("libsvm", "/tmp/l.libsvm"), ("parquet", "/tmp/p.parquet")):
    data_utils.validate_data_file_path(path, kind)
    matrix = data_utils.get_dmatrix(path, kind)
    seen["of " + kind] = [[matrix.num_row(), matrix.num_col()], matrix.get_label().tolist()]
weighted = data_utils.get_dmatrix("/tmp/d/a.csv", "csv", csv_weights=1)
seen["weights"] = [weighted.get_weight().tolist(), weighted.num_col()]
seen["size"] = data_utils.get_size("/tmp/d")
from sagemaker_xgboost_container import checkpointing, distributed
calls = []
distributed.rabit_run(lambda **args: calls.append(args), {"a": 1}, True, ["algo-1"], "algo-1", update_rabit_args=True)
seen["run"] = calls
table = data_utils.get_dmatrix("/tmp/d", "csv")
def rounds(number):
    wanted = {"params": {"max_depth": 2}, "dtrain": table, "num_boost_round": number}
    return checkpointing.train(wanted, "/opt/ml/checkpoints").num_boosted_rounds()
seen["rounds"] = [rounds(3), rounds(8), sorted(os.listdir("/opt/ml/checkpoints"))]
print("SAID", json.dumps(seen))
"""
    job = train(
        jobs,
        {"train.py": script},
        AlgorithmSpecification={"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
    )
    assert said(jobs, job) == {
        "csv": [[[1, 2], [3, 0]], 3],
        "libsvm": [[5, 0, 7], [0, 6, 0]],
        "records": [[[1, 2], [3, 4]], [0, 1]],
        "lines": '{"a": 1}\n{"a": 2}\n',
        "body": "UnsupportedFormatError",
        "type": "UserError",
        "data": "UserError",
        "types": ["libsvm", "csv", "libsvm", "parquet"],
        "of csv": [[3, 2], [1, 0, 1]],
        "of libsvm": [[2, 3], [1, 0]],
        "of parquet": [[2, 1], [1, 0]],
        "weights": [[10, 30], 1],
        "size": 24,
        "run": [{"a": 1, "is_master": True}],
        "rounds": [3, 8, [f"xgboost-checkpoint.{number}" for number in range(3, 8)]],
    }


def test_a_job_is_stopped_while_pip_installs(jobs: Jobs) -> None:
    files: dict[str, str | bytes] = {
        "train.py": "print('TRAINS')",
        "requirements.txt": "./slow\n",
        "slow/setup.py": "import time; time.sleep(600)",
    }
    source = jobs.put(f"code/{uuid.uuid4().hex}/sourcedir.tar.gz", archive(files))
    request = jobs.training_request("", source=source, Environment={"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"})
    name = request["TrainingJobName"]
    jobs.sagemaker.create_training_job(**request)
    jobs.until_logged(name, "Installing with the following command: python -m pip install -r requirements.txt")
    jobs.until_secondary(name, "Training")
    jobs.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.ended(name)["TrainingJobStatus"] == "Stopped"
    assert "TRAINS" not in jobs.log_lines(name)
