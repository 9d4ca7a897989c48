"""Real models in the scikit-learn image: what the container does by default, and requirements of a model's own."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
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


@pytest.fixture
def forget_lodestone() -> Iterator[None]:
    """Environments are cached by their requirements.txt, which is another one in every test run."""
    yield
    for module in IMAGES.glob("*+*/lib/*/site-packages/lodestone.py"):
        shutil.rmtree(module.parents[3])


@pytest.mark.usefixtures("forget_lodestone")
def test_a_requirements_txt_beside_serve_py_is_installed(hosting: Hosting, tmp_path: Path) -> None:
    wheel = tmp_path / "lodestone-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel_of("lodestone", "POINTS = 'north'\n"))
    serve = ECHO.replace("return body", "import lodestone; return lodestone.POINTS")
    data = echo_archive("m", serve, **{"code/requirements.txt": f"lodestone @ file://{wheel}\n"})
    endpoint = hosting.deploy("requirements", data)
    assert hosting.ask(endpoint)["body"]["data"] == "north"


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
