"""The models of bench/compile.py: their data and the requests; run in the environment of each one's image.

python compile_models.py MODEL DATA FOLDER    writes FOLDER/train/ and FOLDER/requests.jsonl, a request a line
"""

from __future__ import annotations

import base64
import io
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HELD_OUT = 500
Request = tuple[str | bytes, str, str]


def forest(_data: Path, train: Path) -> Iterator[Request]:
    """Handwritten digits, 8 x 8 pixels: scikit-learn brings 1,797 along."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - this image has it

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    table = np.column_stack([labels, pixels])[order].astype(int)
    np.savetxt(train / "digits.csv", table[HELD_OUT:], delimiter=",", fmt="%d")
    for row in table[:HELD_OUT]:
        yield ",".join(map(str, row[1:])), "text/csv", "text/csv"


def xgboost(_data: Path, train: Path) -> Iterator[Request]:
    """Cars in words, as cars.py makes them; what the booster's container is asked is numbers."""
    import cars  # noqa: PLC0415 - the model's folder is on the path
    import features  # noqa: PLC0415

    made = cars.cars()
    (train / "cars.csv").write_text(cars.csv_text(made[HELD_OUT:]))
    encoded = features.fitted(list(cars.WORDS), [car[:-1] for car in made[HELD_OUT:]])
    for row in encoded.numbers([car[:-1] for car in made[:HELD_OUT]]):
        yield json.dumps([row.tolist()]), "application/json", "application/json"


def resnet18(data: Path, train: Path) -> Iterator[Request]:
    """CIFAR-10's pictures, a part of them."""
    with np.load(data / "cifar10_12k.npz") as file:
        np.savez(train / "pictures.npz", X=file["x_train"], y=file["y_train"])
        pictures = file["x_test"][:HELD_OUT]
    for picture in pictures:
        body = io.BytesIO()
        np.save(body, picture[None])
        yield body.getvalue(), "application/x-npy", "text/csv"


def detector(data: Path, train: Path) -> Iterator[Request]:
    """Blood cells in pictures."""
    with tarfile.open(data / "bccd_detection.tar") as archive:
        archive.extractall(train.parent, filter="data")
    for picture in sorted((train.parent / "test" / "images").iterdir()):
        yield picture.read_bytes(), "application/x-image", "application/json"


def main(model: str, data: Path, folder: Path) -> None:
    train = folder / "train"
    train.mkdir(parents=True)
    with (folder / "requests.jsonl").open("w") as lines:
        for body, kind, accept in MODELS[model](data, train):
            content = base64.b64encode(body if isinstance(body, bytes) else body.encode()).decode()
            lines.write(json.dumps([content, kind, accept]) + "\n")


MODELS = {"forest": forest, "xgboost": xgboost, "resnet18": resnet18, "detector": detector}


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
