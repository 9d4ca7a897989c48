"""Runs in the image's own Python, beside serve.py: `fit` makes a forest, `answer` is the bare predict loop."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

BATCH = 6 * 1024 * 1024  # bytes that are predicted at once, as a transform job sends them


def main() -> None:
    folder, order = Path(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, str(folder))
    print(json.dumps({"fit": fit, "answer": answer}[order](folder)))


def fit(folder: Path) -> dict[str, float]:
    """A forest of the digits in digits.csv, its label first in each row."""
    joblib, numpy = importlib.import_module("joblib"), importlib.import_module("numpy")
    forests = importlib.import_module("sklearn.ensemble")
    table = numpy.loadtxt(folder / "digits.csv", delimiter=",")
    forest = forests.RandomForestClassifier(50, random_state=0).fit(table[:, 1:], table[:, 0].astype(int))
    joblib.dump(forest, folder / "model.joblib")
    return {"rows": len(table)}


def answer(folder: Path) -> dict[str, float]:
    """Every row of rows.csv, whose first column names it, with its answer in bare.csv; the loop's seconds."""
    serve = importlib.import_module("serve")
    model = serve.model_fn(str(folder))
    began = time.perf_counter()
    with (folder / "bare.csv").open("w") as output:
        for lines in batches(folder / "rows.csv"):
            parted = [line.partition(",") for line in lines]
            pixels = serve.input_fn("\n".join(rest for _, _, rest in parted), "text/csv")
            digits, _ = serve.output_fn(serve.predict_fn(pixels, model), "text/csv")
            named = zip(parted, digits.split("\n"), strict=True)
            output.write("".join(f"{name},{digit}\n" for (name, _, _), digit in named))
    return {"seconds": time.perf_counter() - began}


def batches(path: Path) -> Iterator[list[str]]:
    """The lines of a file, so many at a time as fit."""
    with path.open() as file:
        while lines := file.readlines(BATCH):
            yield [line.rstrip("\n") for line in lines]


if __name__ == "__main__":
    main()
