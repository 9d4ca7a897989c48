"""A pipeline that compiles, deployed by the real cdk command: the endpoint, and an exported folder, answer alike.

The forest is digits_forest's; the digits are those that own_container_c brings along.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from deployed import Pipeline, Scripted
from running_aws import ROOT

from contract import compiled

MODEL, SAMPLE = ROOT / "training_code" / "digits_forest", ROOT / "training_code" / "own_container_c" / "sample"
SPEC = {
    "train": {"instance": "ml.m5.large", "hyperparameters": {"n-estimators": 20}},
    "deploy": {"instance": "ml.t2.medium", "compile": {"target": "onnx"}},
}
PIPELINES = {"compiled": Scripted(SPEC, {name: (MODEL / name).read_text() for name in ("train.py", "serve.py")})}


@pytest.fixture(scope="module")
def pipeline(deployed: Callable[[str], Pipeline]) -> Pipeline:
    found = deployed("compiled")
    # The second takes the place of what the fixture has put there.
    for key, channel in {"train/digits.csv": "train", "test/held_out.csv": "test"}.items():
        found.put(key, (SAMPLE / channel / "digits.csv").read_text())
    return found


def test_the_compiled_model_is_judged_deployed_and_exported(pipeline: Pipeline, tmp_path: Path) -> None:
    record = pipeline.run()
    assert record["outcome"] == "Promoted", record.get("error")
    assert "250 of 250 held-out examples are answered as by the original" in record["compiled"]
    assert record["jobs"]["compile"].endswith("-compile") and "compile" in record["instances"]
    champion = record["champion_after"]
    assert champion["model_data"].endswith(f"/{record['run_id']}/compiled/model.tar.gz")
    assert "/train/" in champion["trained_model_data"]
    rows = [line.partition(",")[2] for line in (SAMPLE / "test" / "digits.csv").read_text().splitlines()]
    answered = pipeline.ask("\n".join(rows)).splitlines()
    assert len(answered) == len(rows) and set(answered) <= set("0123456789")

    folder = exported(pipeline, record["run_id"], tmp_path)
    assert not {"runtime", "model.joblib"} & {path.name for path in folder.iterdir()}
    python = bare(folder, tmp_path / "bare")
    (tmp_path / "rows.csv").write_text("\n".join(rows) + "\n")
    assert said(python, folder, tmp_path / "rows.csv").splitlines() == answered
    (tmp_path / "rows.jsonl").write_text("".join(f"[[{row}]]\n" for row in rows[:3]))
    assert list(map(json.loads, said(python, folder, tmp_path / "rows.jsonl").splitlines())) == [
        [int(answer)] for answer in answered[:3]
    ]
    (tmp_path / "short.csv").write_text("1,2,3\n")
    refused = subprocess.run([python, folder / "answer.py", tmp_path / "short.csv"], capture_output=True, check=False)
    assert refused.returncode == 1 and b"3 numbers a digit; 64 are needed" in refused.stderr


def exported(pipeline: Pipeline, run_id: str, home: Path) -> Path:
    """What `ratchet export` writes, by its own JSON."""
    (home / "aws").symlink_to(pipeline.aws.state)
    command = [sys.executable, "-m", "ratchet", "export", run_id, "--to", str(home / "edge"), "--json"]
    environment = {**os.environ, "RATCHET_HOME": str(home)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["run_id"], document["compiled"]["unequal"]) == (run_id, 0)
    return Path(document["folder"])


def bare(folder: Path, where: Path) -> Path:
    """A Python with exactly what the folder asks for: none of this checkout's, and none of an image's."""
    asked = (folder / "requirements.txt").read_text().split()
    assert [line.partition("==")[0] for line in asked] == ["onnxruntime", "numpy"]
    venv.create(where, with_pip=True)
    python = where / "bin" / "python"
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
        folder / "requirements.txt",
    ]
    subprocess.run(install, check=True)
    framework = subprocess.run([python, "-c", "import sklearn"], capture_output=True, check=False)
    assert framework.returncode and (folder / compiled.MODEL_FILE).is_file()
    return python


def said(python: Path, folder: Path, request: Path) -> str:
    """What the folder's script answers, away from this checkout."""
    environment = {"PATH": os.environ["PATH"]}
    command = [python, folder / "answer.py", request]
    done = subprocess.run(command, cwd=request.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
