"""The demo's batches: disjoint, stratified, the same every time."""

from __future__ import annotations

from collections import Counter

from demo import data


def test_batches_are_disjoint_and_stratified() -> None:
    held_out, few, many = data.batches(data.digits(), (50, 12, 60))
    assert [len(batch) for batch in (held_out, few, many)] == [500, 120, 600]
    assert set(Counter(row[0] for row in few).values()) == {12}
    assert not set(held_out) & (set(few) | set(many))


def test_the_same_seed_gives_the_same_batches() -> None:
    assert data.digit_batches() == data.digit_batches()
    assert data.batches(data.iris(), (5,), seed=1) != data.batches(data.iris(), (5,), seed=2)


def test_a_class_that_runs_out_gives_what_it_has() -> None:
    assert [len(batch) for batch in data.batches(data.iris(), (40, 40))] == [120, 30]


def test_wrong_labels_keep_the_pixels() -> None:
    row = data.digits()[9]
    assert data.mislabelled(row) == ("0", *row[1:])


def test_a_quarter_turn() -> None:
    row = ("5", *(str(pixel) for pixel in range(64)))
    # Counter-clockwise: the right column becomes the top row.
    assert data.turned(row, 1)[1:9] == tuple(str(pixel) for pixel in range(7, 64, 8))
    assert data.turned(row, 4) == row
