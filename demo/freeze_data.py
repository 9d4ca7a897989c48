"""Writes digits.csv.gz and iris.csv anew from scikit-learn's bundled sets: python demo/freeze_data.py.

They lie in the checkout because the demo's own environment has no ML library; run this where scikit-learn is.
Both are in the channels' form: label first, no header. Sources:
digits: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (its test part), UCI Machine Learning
Repository, 1998, CC BY 4.0; iris: R. A. Fisher, Iris, UCI Machine Learning Repository, 1936, CC BY 4.0.
"""

from __future__ import annotations

import gzip
from pathlib import Path

HERE = Path(__file__).resolve().parent


def digits() -> str:
    """One line a digit: its label, 64 pixels from 0 to 16."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - only here

    bundled = load_digits()
    return "".join(
        ",".join(str(int(value)) for value in (label, *pixels)) + "\n"
        for label, pixels in zip(bundled.target, bundled.data, strict=True)
    )


def iris() -> str:
    """One line a flower: its species, four lengths in centimetres."""
    from sklearn.datasets import load_iris  # noqa: PLC0415 - only here

    bundled = load_iris()
    return "".join(
        ",".join([str(bundled.target_names[label]), *(f"{length:g}" for length in lengths)]) + "\n"
        for label, lengths in zip(bundled.target, bundled.data, strict=True)
    )


if __name__ == "__main__":
    # mtime=0: the same data gives the same bytes.
    (HERE / "digits.csv.gz").write_bytes(gzip.compress(digits().encode(), mtime=0))
    (HERE / "iris.csv").write_text(iris())
