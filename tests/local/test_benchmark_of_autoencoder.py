"""The autoencoder's benchmark at a small size, on drawn digits in MNIST's files: it gives the figures asked for."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest
from running_aws import IMAGES

from bench import autoencoder
from localaws.sagemaker.containers.images import Images

# Writes a folder's two IDX files: a header, then bytes.
DRAW = """
import gzip, sys
from pathlib import Path
import digits
labels, drawn = digits.draw(1000, seed=0)
for name, start, values in zip(sys.argv[2:], (16, 8), (drawn, labels.astype("u1"))):
    Path(sys.argv[1], name).write_bytes(gzip.compress(bytes(start) + values.tobytes()))
"""


def said(_text: str) -> None:
    """Nothing."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("idx")
    python = Images(IMAGES).environment(autoencoder.IMAGE, said).python
    command = [python, "-c", DRAW, folder, *autoencoder.FILES]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(autoencoder.MODEL), "OMP_NUM_THREADS": "1"})
    return folder


def test_a_seed_is_trained_and_judged_beside_principal_components(data: Path) -> None:
    found = autoencoder.measure(data, True, said)
    figures = found["figures"]
    assert set(autoencoder.OF_A_SEED) < figures.keys() and figures["seeds"] == 1
    assert figures["below_pca"] == (figures["error"] < figures["pca_error"])
    # Black alone would lose 0.11; drawn digits are told apart by their pixels already.
    assert 0.005 < figures["pca_error"] < 0.03 and 0.005 < figures["error"] < 0.11
    assert figures["knn_accuracy"] > 0.4 and figures["pca_knn_accuracy"] > 0.8
    assert 0.2 < figures["purity"] <= 1 and 0.2 < figures["pca_purity"] <= 1
    # By components that were fitted to the held-out digits themselves, which lose less.
    assert figures["gain"] < 1 - figures["error"] / figures["pca_error"]
    assert len(found["samples"]["error"]) == 1


def test_without_its_files_it_says_which_are_missing(tmp_path: Path) -> None:
    (tmp_path / autoencoder.FILES[0]).write_bytes(gzip.compress(b""))
    assert autoencoder.missing(tmp_path) == f"{tmp_path} has no {autoencoder.FILES[1]}"
