"""Runs in XGBoost's image: trains a fold as a job does, and answers all questions through the model's own chain."""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path


def main() -> None:
    folder, fold = Path(sys.argv[1]), Path(sys.argv[1], sys.argv[2])
    script = str(folder / "code" / "train.py")
    sys.path.insert(0, str(folder / "code"))
    sys.argv = [script, "--train", str(fold / "train"), "--model-dir", str(fold / "model")]
    runpy.run_path(script, run_name="__main__")
    served = importlib.import_module("toolkit.served").Served(fold / "model")
    served.load()
    (fold / "answers.csv").write_text(served.answer((folder / "questions.csv").read_text()))


if __name__ == "__main__":
    main()
