"""The notebook of examples/, run as Jupyter runs it, against a pipeline that the cdk command has deployed."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from client_kit import AWS2, SDK3, Client, Outside, needs
from deployed import AsShipped, Pipeline
from running_aws import ROOT

NOTEBOOK = ROOT / "examples" / "sdk.ipynb"
FLOOR = 0.85  # of the gate
PIPELINES = {"iris-tree": AsShipped(ROOT / "training_code" / "iris_tree")}

pytestmark = needs(SDK3 / "python")


@pytest.fixture(scope="module")
def shown(deployed: Callable[[str], Pipeline], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each code cell shows; nothing has left the machine."""
    pipeline = deployed("iris-tree")
    pipeline.idle()
    home = str(tmp_path_factory.mktemp("jupyter"))
    with Outside() as outside:
        client = Client(pipeline.aws, outside, {"IPYTHONDIR": home, "JUPYTER_CONFIG_DIR": home})
        texts: list[str] = client.script(SDK3, "run_notebook.py", str(NOTEBOOK))["shown"]
        assert outside.hosts == []
    return texts


def shown_by(shown: list[str], code: str) -> str:
    """What the one cell shows that holds some code."""
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    [found] = [number for number, cell in enumerate(cells) if code in "".join(cell["source"])]
    return shown[found]


def test_the_notebook_starts_a_run_and_reads_its_record_and_the_champion(shown: list[str]) -> None:
    launched = ast.literal_eval(shown_by(shown, "launched = "))
    assert launched["status"] in {"started", "pending"}
    sentence = shown_by(shown, "record = ended(")
    assert sentence.startswith("iris-tree has a new champion")
    assert f"Run {launched['run_id']}." in sentence
    _run, run_id, _scores, score = shown_by(shown, "champion = item(").split()
    assert (run_id, float(score) >= FLOOR) == (launched["run_id"], True)
    left = ast.literal_eval(shown_by(shown, "folder = "))
    assert {"plan.json", "record.json", "gate.json", "evaluation/evaluation.json"} <= set(left)


def test_the_notebook_asks_the_champion(shown: list[str]) -> None:
    assert ast.literal_eval(shown_by(shown, "species = ")) == ["setosa", "virginica"]


def test_the_notebook_trains_the_model_s_folder_and_reads_its_tensors(shown: list[str]) -> None:
    assert shown_by(shown, "trainer.train(").rstrip().splitlines()[-1].startswith("Completed s3://sagemaker-")
    importances = ast.literal_eval(shown_by(shown, "trial = "))
    assert len(importances["importance/features"]) == len(("length", "width")) * len(("sepal", "petal"))
    assert sum(importances["importance/features"]) == pytest.approx(1, abs=0.02)


@needs(AWS2)
def test_version_2_of_the_aws_command_starts_a_run_as_the_page_says(
    shown: list[str], deployed: Callable[[str], Pipeline], tmp_path: Path
) -> None:
    pipeline, answer = deployed("iris-tree"), tmp_path / "answer.json"
    launcher = ("lambda", "invoke", "--function-name", pipeline.own["LauncherFunctionName"])
    payload = ("--cli-binary-format", "raw-in-base64-out", "--payload", '{"kind": "manual"}')
    assert " ".join(payload[:2]) in (ROOT / "docs" / "sdk.md").read_text(encoding="utf-8")
    with Outside() as outside:
        told = Client(pipeline.aws, outside).run(AWS2, *launcher, *payload, answer)
    assert json.loads(told)["StatusCode"] == 200
    launched = json.loads(answer.read_text())
    assert pipeline.record(launched["run_id"])["outcome"] == "UpToDate", (
        "the notebook's run has trained on all there is"
    )


@pytest.mark.parametrize("notebook", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.name)
def test_a_notebook_is_committed_without_its_outputs(notebook: Path) -> None:
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]
    assert cells and not [cell for cell in cells if cell["outputs"] or cell["execution_count"] is not None]
