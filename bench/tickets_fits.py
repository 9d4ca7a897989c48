"""One split of real tickets, in scikit-learn's image: both candidates as they are shipped, and what was there before.

    python tickets_fits.py TICKETS.csv MODEL_FOLDER SEED FOLD FOLDS

prints a JSON document: of each model its figures in cross-validation within the part that it learns from, its seconds,
and of each held-out ticket whether it was right, and how sure (`confidence`) the model was.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import serve
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

SCRIPTS = {"tfidf": "tfidf.py", "embedding": "embedding.py"}

Document = dict[str, Any]


def main(data: Path, model: Path, seed: int, fold: int, folds: int) -> None:
    with data.open(newline="", encoding="utf-8-sig") as file:
        rows = [(row["Description"], row["Category"]) for row in csv.DictReader(file)]
    texts, labels = np.array([text for text, _ in rows], dtype=object), np.array([label for _, label in rows])
    learned, held = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(texts, labels))[fold]
    before = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000)).fit(texts[learned], labels[learned])
    found: Document = {"baseline": {"right": (before.predict(texts[held]) == labels[held]).tolist()}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train", "tickets.csv")
        path.parent.mkdir()
        with path.open("w", newline="", encoding="utf-8") as file:
            pairs = zip(texts[learned], labels[learned], strict=True)
            csv.writer(file).writerows([("Description", "Category"), *pairs])
        for name, script in SCRIPTS.items():
            figures = trained(model / script, path.parent, Path(folder, name), seed)
            found[name] = {**figures, **answered(Path(folder, name), list(texts[held]), labels[held])}
    print(json.dumps({"seed": seed, "fold": fold, "held_out": held.tolist(), "models": found}))


def trained(script: Path, data: Path, folder: Path, seed: int) -> Document:
    """A candidate's script, as SageMaker runs it: its figures in cross-validation, and its seconds."""
    words = [sys.executable, "-P", script, "--train", data, "--model-dir", folder, "--seed", seed]
    started = time.perf_counter()
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script.name} failed: {done.stderr.strip()}")
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("cv:"))
    figures = {f"cv_{name}": float(told[f"cv:{name}"]) for name in ("accuracy", "coverage")}
    return {**figures, "seconds": round(time.perf_counter() - started, 2)}


def answered(folder: Path, texts: list[str], labels: Any) -> Document:
    """What a candidate's model answers, through serve.py, of tickets that it hasn't seen."""
    categories, confidences = serve.sure_fn(texts, serve.model_fn(folder))
    return {"right": (categories == labels).tolist(), "confidence": confidences.round(4).tolist()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
