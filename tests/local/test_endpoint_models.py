"""Real models in the scikit-learn image: what the container does by default, and requirements of a model's own."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from hosting_kit import ECHO, Hosting, archive, echo_archive
from image_uris import SKLEARN
from running_aws import IMAGES, Aws
from waiting import until

from localaws.sagemaker.containers.images import Images

ONLY_MODEL_FN = """
import os, joblib

def model_fn(model_dir):
    return joblib.load(os.path.join(model_dir, "model.joblib"))
"""
FIT = """
import sys, joblib
from sklearn.linear_model import LinearRegression
joblib.dump(LinearRegression().fit([[0, 0], [1, 0], [0, 1]], [1, 3, 4]), sys.argv[1])
"""
# Through memory: straight into a pipe, NumPy asks for a position that there isn't.
NPY_OF = (
    "import io, sys, numpy; body = io.BytesIO(); numpy.save(body, numpy.array([[1.0, 1.0], [2.0, 0.0]]));"
    " sys.stdout.buffer.write(body.getvalue())"
)
READ_NPY = "import io, sys, json, numpy; print(json.dumps(numpy.load(io.BytesIO(sys.stdin.buffer.read())).tolist()))"


@pytest.fixture(scope="module")
def hosting(aws: Aws) -> Hosting:
    return Hosting(aws)


@pytest.fixture(scope="module")
def python() -> Path:
    return Images(IMAGES).environment(SKLEARN, lambda _line: None).python


@pytest.fixture(scope="module")
def endpoint(hosting: Hosting, python: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """y = 1 + 2a + 3b, served by nothing but a model_fn."""
    path = tmp_path_factory.mktemp("fit") / "model.joblib"
    subprocess.run([python, "-c", FIT, str(path)], check=True)
    return hosting.deploy("linear", archive({"model.joblib": path.read_bytes(), "code/serve.py": ONLY_MODEL_FN}))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("1,1\n2,0\n", "text/csv"), ("[[1, 1], [2, 0]]", "application/json"),
     ("1,1\n2,0", "text/csv")],
)  # fmt: skip
def test_csv_and_json_go_in_and_json_comes_out(hosting: Hosting, endpoint: str, body: str, content_type: str) -> None:
    assert hosting.ask(endpoint, body, ContentType=content_type)["body"] == pytest.approx([6.0, 5.0], abs=1e-4)


def test_npy_goes_in_and_out_and_csv_comes_out(hosting: Hosting, endpoint: str, python: Path) -> None:
    body = subprocess.run([python, "-c", NPY_OF], check=True, capture_output=True).stdout
    request = {"EndpointName": endpoint, "Body": body, "ContentType": "application/x-npy"}
    answer = hosting.runtime.invoke_endpoint(**request, Accept="application/x-npy")
    assert answer["ContentType"] == "application/x-npy"
    read = subprocess.run([python, "-c", READ_NPY], check=True, input=answer["Body"].read(), capture_output=True)
    assert json.loads(read.stdout) == pytest.approx([6.0, 5.0], abs=1e-4)
    lines = hosting.runtime.invoke_endpoint(**request, Accept="text/csv")["Body"].read().decode().split()
    assert [float(line) for line in lines] == pytest.approx([6.0, 5.0], abs=1e-4)


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "logged"),
    [
        ("1,2", "image/png", "*/*", "Content type image/png is not supported by this framework"),
        ("1,2\n3,4", "text/csv", "image/png", "Content type image/png is not supported by this framework"),
        ("1,2", "text/csv", "*/*", "Expected 2D array, got 1D array instead"),
        ("1,2,3\n4,5,6", "text/csv", "*/*", "X has 3 features, but LinearRegression is expecting 2"),
    ],
)
def test_what_a_model_cant_take_is_said_in_the_log(
    hosting: Hosting, endpoint: str, body: str, content_type: str, accept: str, logged: str
) -> None:
    with pytest.raises(hosting.runtime.exceptions.ModelError) as caught:
        hosting.ask(endpoint, body, ContentType=content_type, Accept=accept)
    assert caught.value.response["OriginalStatusCode"] == 500
    until(lambda: logged in hosting.log_lines(endpoint), f"the log says {logged}")


@pytest.mark.fidelity(
    "Endpoints",
    "scikit-learn's and XGBoost's images copy a model's code to /opt/ml/code and run `pip install .`, with "
    "`-r requirements.txt`, there before they serve.",
    "aws/sagemaker-containers, src/sagemaker_containers/_modules.py (import_module) and _server.py (start)",
)
def test_a_models_code_is_installed_before_it_serves(hosting: Hosting) -> None:
    wheel = "lodestone-1.0-py3-none-any.whl"
    setup = "setup(name='own', version='2.5', py_modules=['chart'], package_dir={'': 'src'})"
    seen = "import chart, lodestone, importlib.metadata as m"
    told = "[lodestone.POINTS, chart.WHERE, m.version('own'), __file__]"
    files = {
        "name.txt": "m",
        "code/serve.py": ECHO.replace("return body", f"{seen}; return {told}"),
        "code/requirements.txt": f"./{wheel}\n",
        f"code/{wheel}": wheel_of("lodestone", "POINTS = 'north'\n"),
        "code/setup.py": f"from setuptools import setup\n{setup}\n",
        "code/src/chart.py": "WHERE = __file__\n",
    }
    endpoint = hosting.deploy("installed", archive(files), {"PIP_NO_BUILD_ISOLATION": "0"})
    points, where, version, program = hosting.ask(endpoint)["body"]["data"]
    assert (points, version) == ("north", "2.5")
    assert "site-packages" in where
    assert program.endswith("/code/serve.py")
    assert "/model/" not in program
    assert "pip install . -r requirements.txt" in hosting.log_lines(endpoint)


def test_a_container_whose_code_cant_be_installed_doesnt_start(hosting: Hosting) -> None:
    data = echo_archive(
        "m", **{"code/requirements.txt": "lodestone @ file:///nowhere/lodestone-1.0-py3-none-any.whl\n"}
    )
    config = hosting.config("uninstallable", {"ModelName": hosting.model("uninstallable", data)})
    hosting.sagemaker.create_endpoint(EndpointName=config, EndpointConfigName=config)
    assert hosting.settled(config)["EndpointStatus"] == "Failed"
    until(lambda: "The container can't start: `pip install . -r" in hosting.log_lines(config), "the log says why")


def wheel_of(name: str, content: str) -> bytes:
    """A wheel with one module."""
    files = {
        f"{name}.py": content,
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{name}-1.0.dist-info/RECORD"
    files[record] = "".join(f"{path},,\n" for path in [*files, record])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive_file:
        for path, text in files.items():
            archive_file.writestr(path, text)
    return buffer.getvalue()
