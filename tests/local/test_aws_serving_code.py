"""AWS's own serving code, the embedded AWS's model server and an evaluation answer the same, in images' environments.

`sagemaker_containers`, Flask and the inference toolkit are the real packages; what of AWS's containers PyPI hasn't got
is named in the scripts of `aws_serving`.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from image_uris import PYTORCH, SKLEARN, XGBOOST
from running_aws import IMAGES

from contract import signatures
from infra.workflow.hosting import ENVIRONMENT
from localaws.sagemaker.containers.images import Images

CHECKOUT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "aws_serving"
PYTORCH_TOOLKIT = CHECKOUT / ".venvs" / "serving"

CSV, JSON, NPY = "text/csv", "application/json", "application/x-npy"
# [[1, 2], [3, 4.5]] as float64, as numpy.save writes it.
ARRAY = (
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }".ljust(127)
    + b"\n"
    + bytes.fromhex("000000000000f03f 0000000000000040 0000000000000840 0000000000001240")
)

Case = tuple[bytes, dict[str, str]]
Answer = tuple[int, str, bytes]


def python(image: str) -> Path:
    return Images(IMAGES).environment(image, lambda _line: None).python


def run(image: str, script: str, *arguments: str, cases: dict[str, Case] | None = None, path: str = "") -> Any:
    """What a script prints, as a document."""
    given = [[base64.b64encode(body).decode(), headers] for body, headers in (cases or {}).values()]
    done = subprocess.run(
        [python(image), SCRIPTS / script, *arguments],
        input=json.dumps(given),
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def both(image: str, script: str, *arguments: str, cases: dict[str, Case], path: str = "") -> dict[str, list[Answer]]:
    """Each case's answers: AWS's code's, ours."""
    told = run(image, script, *arguments, cases=cases, path=path)
    return {
        name: [(status, kind, base64.b64decode(answer)) for status, kind, answer, _ in pair]
        for name, pair in zip(cases, told, strict=True)
    }


def evaluated(image: str, module: str, base: str, cases: dict[str, Case]) -> dict[str, bytes]:
    """Each case's answer in an evaluation."""
    path = f"{CHECKOUT / 'training_code'}:{CHECKOUT}"
    told = run(image, "evaluation_side.py", base, module, cases=cases, path=path)
    return {name: answer.encode() for name, answer in zip(cases, told, strict=True)}


def answers(told: dict[str, list[Answer]], names: set[str]) -> dict[str, bytes]:
    """The answers of AWS's code to some cases."""
    return {name: told[name][0][2] for name in names}


def served(folder: Path, program: str) -> str:
    """A model's folder with its program, as a container has it below /opt/ml; its path."""
    code = folder / "model" / "code"
    code.mkdir(parents=True)
    (code / "serve.py").write_text(program)
    return str(folder)


def headers(content_type: str, accept: str = "*/*") -> dict[str, str]:
    return {"Content-Type": content_type, "Accept": accept}


DEFAULTS: dict[str, Case] = {
    "csv to json": (b"1,2\n3,4.5\n", headers(CSV)),
    "csv to csv": (b"1,2\n3,4.5\n", headers(CSV, CSV)),
    "whole csv to csv": (b"1,2\n3,4\n", headers(CSV, CSV)),
    "json to json": (b"[[1, 2], [3, 4.5]]", headers(JSON, JSON)),
    "json to npy": (b"[[1, 2], [3, 4.5]]", headers(JSON, NPY)),
    "npy to csv": (ARRAY, headers(NPY, CSV)),
    "one row": (b"1,2", headers(CSV)),
    "no number": (b"1,a\n2,3", headers(CSV)),
    "rows of different lengths": (b"1,2\n3", headers(CSV)),
    "nothing": (b"", headers(CSV)),
    "no json": (b"{", headers(JSON)),
    "no array": (b'{"rows": 1}', headers(JSON)),
    "an unknown type": (b"1,2", headers("image/png")),
    "a type with parameters": (b"1,2", headers("text/csv; charset=utf-8")),
    "an unknown accept": (b"1,2\n3,4", headers(CSV, "image/png")),
    "several accepts": (b"1,2\n3,4", headers(CSV, "image/png, text/csv")),
}
SUMS = """
class Sums:
    def predict(self, rows):
        return rows.sum(axis=1)

def model_fn(model_dir):
    return Sums()
"""


@pytest.mark.fidelity(
    "Endpoints",
    "scikit-learn's default functions take CSV, JSON and NPY and answer CSV, JSON or NPY; all else is status 500.",
    "aws/sagemaker-scikit-learn-container, serving.py; aws/sagemaker-containers, _encoders.py: run side by side",
)
def test_scikit_learns_defaults_answer_as_awss_code(tmp_path: Path) -> None:
    told = both(SKLEARN, "flask_side.py", "sagemaker_sklearn_container", served(tmp_path, SUMS), cases=DEFAULTS)
    assert {name: theirs for name, (theirs, _) in told.items()} == {name: ours for name, (_, ours) in told.items()}
    assert told["csv to csv"][0] == (200, CSV, b"3.0\n7.5\n")
    assert {name for name, (theirs, _) in told.items() if theirs[0] == 200} == {
        name for name in DEFAULTS if " to " in name
    }


RETURNED = {
    "pair": "'1', 'text/csv'",
    "bytes": "b'\\x00\\xff', 'image/png'",
    "text": "'1'",
    "octets": "b'1'",
    "map": "{'b': 1, 'a': [2]}",
    "list": "[1, 'a']",
    "parts": "['1', b'2'], 'text/csv'",
    "number": "1",
    "nothing": "None",
    "no type": "'1', None",
    "raised": "1 / 0",
}


@pytest.mark.fidelity(
    "Endpoints",
    "Flask makes the answer of what a scikit-learn or XGBoost model's function returns: a pair is a body and its type, "
    "a bare text is HTML, a map or a list is JSON, anything else is status 500.",
    "aws/sagemaker-containers, _transformer.py and _worker.py, with Flask 3.1.3: run side by side",
)
def test_what_functions_return_is_answered_as_by_awss_code(tmp_path: Path) -> None:
    branches = "".join(f"    if body == {name!r}:\n        return {text}\n" for name, text in RETURNED.items())
    program = (
        "def model_fn(model_dir):\n    return 1\ndef transform_fn(model, body, content_type, accept):\n" + branches
    )
    cases: dict[str, Case] = {name: (name.encode(), headers(CSV)) for name in RETURNED}
    told = both(XGBOOST, "flask_side.py", "sagemaker_xgboost_container", served(tmp_path, program), cases=cases)
    assert {name: theirs for name, (theirs, _) in told.items()} == {name: ours for name, (_, ours) in told.items()}
    assert told["text"][0][:2] == (200, "text/html")
    assert told["raised"][0][:2] == (500, "text/html")


def test_xgboosts_container_reads_csv_libsvm_and_recordio() -> None:
    told = run(XGBOOST, "xgboost_side.py")
    assert told == dict.fromkeys(told, True)
    assert len(told) == 10


TRAIN_DIGITS = """
import csv, pathlib, runpy, sys
from sklearn.datasets import load_digits
folder, train = map(pathlib.Path, sys.argv[1:])
digits = load_digits()
(folder / "train").mkdir()
with (folder / "train" / "digits.csv").open("w", newline="") as file:
    csv.writer(file).writerows([label, *map(int, pixels)] for label, pixels in zip(digits.target[:300], digits.data))
sys.argv = [str(train), "--train", str(folder / "train"), "--model-dir", str(folder / "model"), "--n-estimators", "5"]
runpy.run_path(str(train), run_name="__main__")
"""
TRAIN_BOOSTER = """
import sys, numpy, xgboost
rows = numpy.arange(40.0).reshape(20, 2)
booster = xgboost.train({"max_depth": 2}, xgboost.DMatrix(rows, label=rows[:, 0]), 5)
booster.save_model(sys.argv[1] + "/model/booster.json")
"""
SERVE_BOOSTER = """
import json, numpy, xgboost

def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(model_dir + "/booster.json")
    return booster

def input_fn(body, content_type):
    return xgboost.DMatrix(numpy.array(json.loads(body), dtype=float))

def output_fn(prediction, accept):
    return json.dumps([round(float(value), 4) for value in prediction]), accept
"""
TRAIN_LINEAR = """
import sys, torch
torch.manual_seed(0)
torch.jit.script(torch.nn.Linear(2, 1)).save(sys.argv[1] + "/model/model.pth")
"""


def made(image: str, folder: Path, script: str, *more: str, path: str = "") -> str:
    """A model's folder, filled by a script in the image's Python."""
    (folder / "model").mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([python(image), "-c", script, folder, *more], check=True, env=environment, capture_output=True)
    return str(folder)


def test_the_digits_model_answers_the_same_behind_awss_code(tmp_path: Path) -> None:
    train = CHECKOUT / "training_code" / "digits_forest" / "train.py"
    base = made(SKLEARN, tmp_path, TRAIN_DIGITS, str(train), path=f"{CHECKOUT / 'training_code'}:{CHECKOUT}")
    line = (tmp_path / "train" / "digits.csv").read_text().splitlines()[0]
    label, _, pixels = line.partition(",")
    cases = {
        "csv": (pixels.encode(), headers(CSV, CSV)),
        "json": (f"[[{pixels}]]".encode(), headers(JSON, JSON)),
        "too few": (b"1,2", headers(CSV, CSV)),
        "another type": (b"1", headers("image/png", CSV)),
    }
    told = both(SKLEARN, "flask_side.py", "sagemaker_sklearn_container", base, cases=cases)
    assert [theirs == ours for theirs, ours in told.values()] == [True] * len(cases)
    assert told["csv"][0] == (200, CSV, label.encode())
    assert told["json"][0] == (200, JSON, f"[{label}]".encode())
    assert [told[name][0][0] for name in ("too few", "another type")] == [500, 500]
    good = {name: cases[name] for name in ("csv", "json")}
    assert evaluated(SKLEARN, "sagemaker_sklearn_container.serving", base, good) == answers(told, set(good))


def test_an_xgboost_model_answers_the_same_behind_awss_code(tmp_path: Path) -> None:
    served(tmp_path, SERVE_BOOSTER)
    base = made(XGBOOST, tmp_path, TRAIN_BOOSTER)
    cases = {"rows": (b"[[1, 2], [30, 31]]", headers(JSON)), "no rows": (b"no", headers(JSON))}
    told = both(XGBOOST, "flask_side.py", "sagemaker_xgboost_container", base, cases=cases)
    assert [theirs == ours for theirs, ours in told.values()] == [True, True]
    assert (told["rows"][0][0], len(json.loads(told["rows"][0][2]))) == (200, 2)
    good = {"rows": cases["rows"]}
    assert evaluated(XGBOOST, "sagemaker_xgboost_container.serving", base, good) == answers(told, set(good))


@pytest.mark.fidelity(
    "Endpoints",
    "PyTorch's default functions load the one TorchScript file, make a FloatTensor of CSV and JSON, and answer JSON, "
    "CSV or NPY as the first known type of Accept.",
    "aws/sagemaker-pytorch-inference-toolkit, default_pytorch_inference_handler.py: run side by side",
)
def test_pytorchs_defaults_answer_as_awss_code(tmp_path: Path) -> None:
    base = made(PYTORCH, tmp_path, TRAIN_LINEAR)
    cases = {**DEFAULTS, "npy of doubles": (ARRAY, headers(NPY))}
    told = both(PYTORCH, "torch_side.py", base, cases=cases, path=str(PYTORCH_TOOLKIT))
    assert {name: theirs for name, (theirs, _) in told.items()} == {name: ours for name, (_, ours) in told.items()}
    good = {name for name, (theirs, _) in told.items() if theirs[0] == 200}
    assert good == {"whole csv to csv", "json to json", "json to npy", "one row", "several accepts"}
    assert b"numpy.void" in told["csv to csv"][0][2], "columns of different types make a structured array"
    served(tmp_path, "")
    asked = {name: cases[name] for name in ("whole csv to csv", "json to json")}  # a type, which evaluations ask for
    module = "sagemaker_pytorch_serving_container.serving:main"
    assert evaluated(PYTORCH, module, base, asked) == answers(told, set(asked))


def test_a_pytorch_model_that_asks_for_the_context_answers_the_same_behind_awss_code(tmp_path: Path) -> None:
    program = """
import torch

def model_fn(model_dir, context):
    return context.system_properties["model_dir"] == model_dir

def input_fn(body, content_type, context):
    return torch.tensor([float(context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes"))])

def predict_fn(data, model):
    return data * 2 if model else None

def output_fn(prediction, accept, context):
    context.set_response_status(201, "made")
    return str(prediction.tolist()), "text/csv"
"""
    cases = {"seven": (b"", {**headers(JSON), "X-Amzn-SageMaker-Custom-Attributes": "7"}), "none": (b"", headers(JSON))}
    told = both(PYTORCH, "torch_side.py", served(tmp_path, program), cases=cases, path=str(PYTORCH_TOOLKIT))
    assert [theirs == ours for theirs, ours in told.values()] == [True, True]
    assert told["seven"][0] == (201, CSV, b"[14.0]")
    assert told["none"][0][0] == 500


SIGNED = """
from toolkit.signature import signed

def model_fn(model_dir):
    return 1

def input_fn(body, content_type):
    return body

def predict_fn(data, model):
    return data

@signed
def output_fn(prediction, accept):
    return (prediction if isinstance(prediction, str) else prediction.decode()), accept
"""


@pytest.mark.fidelity(
    "Endpoints",
    "A function may return a response with X-Amzn-SageMaker-Custom-Attributes in scikit-learn's and XGBoost's images, "
    "and set it on the context in PyTorch's: so answers name their model package in each of them.",
    "aws/sagemaker-containers, _transformer.py, with Flask; aws/sagemaker-inference-toolkit, transformer.py: run",
)
@pytest.mark.parametrize(
    ("image", "script", "container", "path"),
    [
        (SKLEARN, "flask_side.py", "sagemaker_sklearn_container", ""),
        (PYTORCH, "torch_side.py", "sagemaker_pytorch_container", f":{PYTORCH_TOOLKIT}"),
    ],
    ids=["scikit-learn", "pytorch"],
)
def test_answers_name_their_model_package_behind_awss_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: str, script: str, container: str, path: str
) -> None:
    package = "arn:aws:sagemaker:us-east-1:000000000000:model-package/local-pets/7"
    monkeypatch.setenv(signatures.MODEL_PACKAGE, package)
    monkeypatch.setenv("SAGEMAKER_SERVING_MODULE", f"{container}.serving:main")
    arguments = [container, served(tmp_path, SIGNED)] if script.startswith("flask") else [served(tmp_path, SIGNED)]
    path = f"{CHECKOUT / 'training_code'}:{CHECKOUT}{path}"
    cases: dict[str, Case] = {"seven": (b"7", headers(CSV, CSV)), "json": (b"[8]", headers(JSON, JSON))}
    told = run(image, script, *arguments, cases=cases, path=path)
    assert [theirs == ours for theirs, ours in told] == [True, True]
    assert [signatures.signer(said) for pair in told for *_, said in pair] == [package] * 4
    assert [answer for (answer, _) in told] == [
        [200, CSV, base64.b64encode(b"7").decode(), signatures.signed(package)],
        [200, JSON, base64.b64encode(b"[8]").decode(), signatures.signed(package)],
    ]


INSTALL = """
import sys
from sagemaker_containers import _modules
_modules.prepare(sys.argv[1], "serve")
_modules.install(sys.argv[1])
"""


@pytest.mark.fidelity(
    "Endpoints",
    "scikit-learn's and XGBoost's images need PyPI to build a model's code, unless its Environment has "
    "PIP_NO_BUILD_ISOLATION=0, which is how pip reads --no-build-isolation from a variable.",
    "aws/sagemaker-containers, _modules.py: run with pip and no index; pypa/pip, cli/parser.py (store_false)",
)
@pytest.mark.parametrize("settings", [ENVIRONMENT, {}], ids=["as Ratchet creates models", "as they are"])
def test_awss_code_installs_a_model_without_pypi(tmp_path: Path, settings: dict[str, str]) -> None:
    code = Path(served(tmp_path, "import beside\n")) / "model" / "code"
    (code / "beside.py").write_text("")
    (code / "toolkit").mkdir()
    (code / "toolkit" / "__init__.py").write_text("")
    target = tmp_path / "site-packages"
    # Newer pips than this image's, such as AWS's image of 2026 has, build every folder by PEP 517.
    offline = {"PIP_NO_INDEX": "1", "PIP_USE_PEP517": "1", "PIP_TARGET": str(target)}
    without = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    done = subprocess.run(
        [python(SKLEARN), "-c", INSTALL, code],
        env={**without, **offline, "SAGEMAKER_BASE_DIR": str(tmp_path), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    installed = {path.name for path in target.glob("*")} if target.is_dir() else set()
    assert (done.returncode == 0) == ({"serve.py", "beside.py", "toolkit"} <= installed) == bool(settings), done.stderr
