"""What bench/traffic_signs.py makes of its seeds' figures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from bench import traffic_signs
from bench.promises import PROMISES


@pytest.mark.parametrize(
    ("found", "count", "least"), [(30, 30, 0.8843), (29, 30, 0.8278), (0, 30, 0.0), (5, 10, 0.1871)]
)
def test_what_a_share_is_at_least(found: int, count: int, least: float) -> None:
    """Clopper and Pearson's interval, as published tables have it."""
    assert traffic_signs.lower_bound(found, count) == pytest.approx(least, abs=1e-4)


def row(seed: int, **figures: float) -> dict[str, Any]:
    return {
        **dict.fromkeys(traffic_signs.MEDIANS, 0.5),
        "seed": seed,
        "pictures_60": 30,
        "tracks": {"across": 1},
        **figures,
    }


def test_medians_and_every_seed() -> None:
    rows = [
        row(0, recall_60=1.0, accuracy=0.9),
        row(1, recall_60=0.9, accuracy=0.95),
        row(2, recall_60=1.0, accuracy=0.8),
    ]
    found = traffic_signs.document(rows, argparse.Namespace(data=Path("signs.npz")))
    assert (found["figures"]["recall_60"], found["figures"]["accuracy"]) == (1.0, 0.9)
    assert found["figures"]["recall_60_least"] == 0.8843
    assert found["samples"]["recall_60"] == [1.0, 0.9, 1.0] and found["tracks"] == {"across": 1}


def test_every_figure_is_explained() -> None:
    for name in (*traffic_signs.MEDIANS, "recall_60_least"):
        assert name in PROMISES or f"traffic_signs/{name}" in PROMISES, name
