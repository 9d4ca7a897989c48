"""Which programs may begin in a warm interpreter: what is read of a script, and of its variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from localaws.confinement import startup
from localaws.sagemaker.containers import warm_start
from localaws.sagemaker.containers.script_reading import Reading, of_file, of_text

FRAMEWORK = frozenset({"numpy", "sklearn"})
ROOT = Path(__file__).parents[2]


def reading(folder: Path, **files: str) -> Reading:
    for name, text in files.items():
        path = folder / f"{name.replace('__in__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return of_file(folder / "train.py", [folder], FRAMEWORK)


@pytest.mark.parametrize(
    "line",
    [
        "import numpy", "import os, numpy as np", "from sklearn.ensemble import (\n  RandomForestClassifier,\n)",
        "def late():\n    from numpy import array", "import sklearn.svm",
    ],
)  # fmt: skip
def test_a_script_that_imports_the_framework_is_known(tmp_path: Path, line: str) -> None:
    assert reading(tmp_path, train=line) == Reading(imports=True, bears=True)


def test_what_its_own_modules_import_counts(tmp_path: Path) -> None:
    found = reading(tmp_path, train="from parts import fit", parts__in__fit="from .deep import x", parts__in__deep="")
    assert found == Reading(imports=False, bears=True)
    assert reading(tmp_path, parts__in__deep="import numpy") == Reading(imports=True, bears=True)
    assert not reading(tmp_path, parts__in__deep='os.environ["OMP_NUM_THREADS"] = "1"').bears
    assert reading(tmp_path, train="import this, that", other="pip").bears, "a module that nobody imports"


@pytest.mark.parametrize(
    "line",
    [
        'subprocess.run([sys.executable, "-m", "pip", "install", "numpy==1.26"])', "import pip",
        'os.environ["OPENBLAS_NUM_THREADS"] = "1"', "os.environ.setdefault('MKL_NUM_THREADS', '2')",
        'os.system("conda install x")',
    ],
)  # fmt: skip
def test_a_script_that_may_change_what_it_imports_begins_cold(tmp_path: Path, line: str) -> None:
    assert not reading(tmp_path, train=f"import numpy\n{line}\n").bears
    assert not of_text(line, FRAMEWORK).bears


@pytest.mark.parametrize("model", ["digits_forest", "iris_tree"])
def test_the_checkout_s_own_models_bear_it(model: str) -> None:
    code = ROOT / "training_code"
    script = code / model / "train.py"
    assert of_file(script, [script.parent, code, ROOT], FRAMEWORK) == Reading(imports=True, bears=True)


def test_a_command_is_read_behind_env(tmp_path: Path) -> None:
    script = tmp_path / "input" / "fit.py"
    script.parent.mkdir()
    script.write_text("import numpy")
    of = lambda *words: warm_start.reading_of_command(words, tmp_path, ["numpy.random"])  # noqa: E731
    warm = Reading(imports=True, bears=True)
    assert of("python3", "/opt/ml/input/fit.py", "--depth", "3") == warm
    assert of("/usr/bin/env", "-u", "AWS_TOKEN", "A=1", "python3", "-c", "import numpy") == warm
    assert of("python3", "-c", "print()") == Reading(imports=False, bears=True)
    cold = (["/bin/sh", "-c", "python x.py"], ["python3", "-m", "numpy"], ["python3"], ["python3", "-c"],
            ["python3", "/opt/ml/../../etc/passwd"], ["python3", "/opt/ml/input/none.py"],
            ["python3", "fit.py"])  # fmt: skip
    assert [of(*words) for words in cold] == [None] * len(cold)


def test_variables_that_are_read_at_the_start_must_be_the_same() -> None:
    given = {"OMP_NUM_THREADS": "1", "LANG": "C.UTF-8", "PYTHONPATH": "/opt/ml/code", "SM_HPS": "{}", "PATH": "/bin"}
    assert startup.of_start(given) == {"OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"}
    assert startup.only_cold({**given, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}) == []
    cold = {"PYTHONHASHSEED": "0", "LD_PRELOAD": "x.so", "TZ": "UTC", "PYTHONSAFEPATH": "1", "PYTHONOPTIMIZE": "1"}
    assert startup.only_cold({**given, **cold}) == list(cold)
    assert startup.differing({"A": "1"}, {"A": "1", "B": None}) == []
    assert startup.differing({"A": "2", "B": ""}, {"A": "1", "B": None}) == ["A", "B"]


def test_env_changes_what_it_is_told_to() -> None:
    command = ["/usr/bin/env", "-u", "A", "-u", "D", "B=2=3", "python3", "C=1"]
    assert startup.without_env(command, {"A": "1", "B": "1"}) == (["python3", "C=1"], {"B": "2=3"})
    assert startup.without_env(["/usr/bin/env", "-i", "python3"], {})[0] == ["-i", "python3"], "no program of Python's"
