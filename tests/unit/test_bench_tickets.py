"""What bench/tickets.py makes of its splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import tickets


def model(right: list[bool], confidence: list[float], cv_accuracy: float, seconds: float = 1.0) -> dict[str, Any]:
    return {"right": right, "confidence": confidence, "cv_accuracy": cv_accuracy, "seconds": seconds}


SPLITS: list[dict[str, Any]] = [
    {
        "held_out": [0, 2],
        "models": {
            "tfidf": model([True, True], [0.99, 0.9], 0.8, 3.0),
            "embedding": model([False, False], [0.5, 0.5], 0.7),
            "baseline": {"right": [True, False]},
        },
    },
    {
        "held_out": [1, 3],
        "models": {
            "tfidf": model([True, True], [0.9, 0.9], 0.8, 5.0),
            # Better in cross-validation, and so chosen, however it does on what is held out.
            "embedding": model([True, False], [0.96, 0.95], 0.9),
            "baseline": {"right": [True, True]},
        },
    },
]


def test_the_candidate_is_chosen_by_cross_validation_and_judged_by_what_is_held_out() -> None:
    found = tickets.document(SPLITS)
    figures = found["figures"]
    assert found["chosen"] == {"tfidf": 1, "embedding": 1}
    assert figures["accuracy"] == 0.75
    assert (figures["tfidf_accuracy"], figures["embedding_accuracy"], figures["baseline_accuracy"]) == (1.0, 0.25, 0.75)
    assert figures["gain"] == 0.0 and figures["gain_low"] < 0 < figures["gain_high"]
    assert figures["accuracy_low"] < figures["accuracy"] <= figures["accuracy_high"]
    assert (figures["coverage_at_95"], figures["precision_at_95"]) == (0.75, 0.6667)
    assert figures["tfidf_seconds"] == 4.0
    assert found["samples"]["accuracy"] == [1.0, 0.5]


def test_a_ticket_that_was_held_out_twice_counts_once() -> None:
    again = [{**SPLITS[0], "held_out": [0, 1]}, {**SPLITS[0], "held_out": [1, 0]}]
    assert tickets.of_tickets(again, [[True, False], [True, False]]) == {0: 0.5, 1: 0.5}


def test_an_interval_is_that_of_the_mean() -> None:
    low, high = tickets.interval([1.0] * 800 + [0.0] * 200)
    # The normal approximation: 0.8 ± 1.96 √(0.8 · 0.2 / 1000).
    assert low == pytest.approx(0.775, abs=0.004) and high == pytest.approx(0.825, abs=0.004)
    assert tickets.interval([1.0] * 800 + [0.0] * 200) == (low, high)


def test_what_stands_in_the_data_twice_is_told(tmp_path: Path) -> None:
    path = tmp_path / tickets.FILE
    path.write_text("\ufeffDescription,Category\nhi,A\nhi,A\nhi,B\nno,B\n", encoding="utf-8")
    assert tickets.of_data(path) == {
        "tickets": 4,
        "categories": {"A": 2, "B": 2},
        "texts_again": 2,
        "texts_of_several_categories": 1,
        "texts_nearly_again": 2,
    }
    ten = [f"w{number}" for number in range(10)]
    assert tickets.alike(frozenset(ten), frozenset(ten[1:])) and not tickets.alike(frozenset(ten), frozenset(ten[2:]))
