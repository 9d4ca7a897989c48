"""What benchmarks keep, and the page made of it."""

from __future__ import annotations

import json

import pytest

from bench import cycle, harness, results


def never(_small: bool, _say: object) -> harness.Document:
    pytest.fail("nothing is to be measured")


def document(**figures: float) -> harness.Document:
    measured = {"figures": figures, "samples": {name: [value, value + 1, value + 2] for name, value in figures.items()}}
    return harness._described(measured, harness.machine())


def test_a_record_says_where_when_and_how() -> None:
    made = document(ready_seconds=0.5)
    assert {"command", "date", "commit", "machine", "figures", "spread"} <= set(made)
    assert made["spread"]["ready_seconds"] == {"n": 3, "min": 0.5, "median": 1.5, "max": 2.5}
    json.dumps(made)


def test_the_page_says_whether_a_promise_is_kept() -> None:
    page = results.rendered({"platform": document(ready_seconds=0.5, loaded_mb=250.0)})
    assert "| `ready_seconds` |" in page
    assert "| 1 ✓ |" in page
    assert "| 200 ✗ |" in page


def test_a_cycles_three_figures_add_up() -> None:
    cycles = [cycle.Cycle(seconds, {"Train": seconds / 2}) for seconds in (5.0, 7.0, 6.0)]
    found = cycle.document(cycles, [{"train": 1.0}, {"train": 2.0}, {"train": 4.0}])
    assert found["figures"] == {"cycle_seconds": 6.0, "bare_seconds": 2.0, "overhead_seconds": 4.0}
    assert found["states"] == {"Train": 3.0}


def test_recorded_prints_the_last_result(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    (tmp_path / "x.json").write_text(json.dumps(document(invoke_ms=4.25)))
    monkeypatch.setattr("sys.argv", ["x.py", "--recorded", "--json"])
    assert harness.run("x", "x", never) == 0
    assert json.loads(capsys.readouterr().out) == {"invoke_ms": 4.25}


def test_recorded_without_a_record_is_refused(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["x.py", "--recorded"])
    assert harness.run("x", "x", never) == 1
    assert "x.json doesn't exist" in capsys.readouterr().err
