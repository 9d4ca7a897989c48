"""What bench/autoencoder.py runs where torch is: MNIST as the model's channels, and a model judged by held-out digits.

autoencoder_digits.py split DATA FOLDER DIGITS HELD_OUT      writes FOLDER/train and FOLDER/test
autoencoder_digits.py judge FOLDER MODEL                     prints the model's figures, as JSON
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

# The model's folder is on the path.
import autoencoder
import digit_files
import grouping
import numpy as np
from pca import Pca

# Of IDX files (yann.lecun.com/exdb/mnist, "File formats"): bytes before pictures and before labels.
PICTURES_AT, LABELS_AT = 16, 8
SPLIT_SEED = 0


def split(data: Path, folder: Path, count: int, held_out: int) -> None:
    """Shuffles the digits, always alike, and holds some of them out; `count`: only so many of all, 0 for all."""
    pictures = _idx(data / "t10k-images-idx3-ubyte.gz", PICTURES_AT).reshape(-1, autoencoder.SIZE, autoencoder.SIZE)
    labels = _idx(data / "t10k-labels-idx1-ubyte.gz", LABELS_AT)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(labels))[: count or None]
    for channel, chosen in (("test", order[:held_out]), ("train", order[held_out:])):
        (folder / channel).mkdir()
        np.savez(folder / channel / "digits.npz", x=pictures[chosen], y=labels[chosen])


def _idx(path: Path, start: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes())[start:], np.uint8)


def judge(folder: Path, model_dir: Path) -> dict[str, float]:
    """A model and principal components, by the same held-out digits."""
    (known_labels, known), (labels, digits) = (digit_files.load(folder / channel) for channel in ("train", "test"))
    model, linear = autoencoder.load(model_dir), Pca(known, autoencoder.LATENTS)
    latents = autoencoder.encode(model, digits)
    error = autoencoder.error(digits, autoencoder.decode(model, latents))
    best = autoencoder.error(digits, Pca(digits, autoencoder.LATENTS).reconstruct(digits))
    return {
        "error": error,
        "pca_error": autoencoder.error(digits, linear.reconstruct(digits)),
        "knn_accuracy": grouping.knn_accuracy(autoencoder.encode(model, known), known_labels, latents, labels),
        "purity": grouping.purity(latents, labels),
        "pca_knn_accuracy": grouping.knn_accuracy(linear.encode(known), known_labels, linear.encode(digits), labels),
        "pca_purity": grouping.purity(linear.encode(digits), labels),
        "gain": 1 - error / best,
    }


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "split":
        split(Path(arguments[0]), Path(arguments[1]), *map(int, arguments[2:]))
    else:
        print(json.dumps({name: round(value, 6) for name, value in judge(*map(Path, arguments)).items()}))
