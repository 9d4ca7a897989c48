"""What benchmarks keep, and the page made of it."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import (
    autoencoder,
    bert_qa,
    cycle,
    detector,
    harness,
    labels,
    mnist_keras,
    prune,
    results,
    rules,
    scale,
    subset,
    tickets,
    traffic_signs,
)
from bench import compile as compiling
from bench.promises import PROMISES
from bench.scale_checkout import SOAK, Flowers, checkout
from contract import run_table
from ratchet import project, spec


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


def series(rank: str, *rounds: tuple[int, float, float], seed: int = 0, stopped_by: str | None = None) -> list[Any]:
    """Rows of a series of pruning: (parameters, validation, test) a round; a rule stops the last."""
    same = {"network": "resnet18", "rank": rank, "seed": seed, "latency_ms": 1.0, "stopped_by": None}
    numbers = range(1 if rank == prune.UNPRUNED else 2, 100)
    rows = [
        {**same, "round": number, "parameters": parameters, "validation": validation, "test": test}
        for number, (parameters, validation, test) in zip(numbers, rounds, strict=False)
    ]
    return [*rows[:-1], {**rows[-1], "stopped_by": stopped_by}]


def test_of_a_series_the_smallest_network_within_a_point_of_validation_counts() -> None:
    rows = [
        *series("unpruned", (1000, 0.95, 0.90)),
        *series("taylor", (500, 0.96, 0.91), (100, 0.941, 0.895), (50, 0.93, 0.90), (10, 0.5, 0.5), stopped_by="low"),
        *series("original", (500, 0.93, 0.85), (100, 0.945, 0.80)),
        *series("unpruned", (1000, 0.95, 0.90), seed=1),
        *series("taylor", (400, 0.95, 0.88), seed=1),
        *series("original", (400, 0.1, 0.1), seed=1, stopped_by="low"),
    ]
    found = prune.document(rows, argparse.Namespace(data=Path("signs.npz"), rows=None, width=1.0))
    figures = found["figures"]
    assert (figures["reduction"], figures["accuracy_drop"]) == (2.5, 2.0), "the least and the worst of the seeds"
    assert (figures["resnet18_original_reduction"], figures["resnet18_original_accuracy_drop"]) == (1.0, 10.0)
    assert (figures["ended_by_rule"], figures["series"]) == (2, 4)
    page = results.rendered({"prune": {**document(), **found, "spread": {}}})
    assert "| resnet18 | taylor | 1,000 | 2.5 × | 2 | 10 × (0.5), 2.5 × (2) | 1 of 2 |" in page
    assert "resnet18_taylor_reduction" not in page


def test_of_a_compiled_model_the_medians_are_compared_and_those_counted_that_keep_the_promise() -> None:
    one = {"agreement": 1.0, "size": 0.5, "precision": "float32"}
    found = compiling.document(
        {
            "forest": {**one, "seconds": [[0.004, 0.006, 0.005], [0.001, 0.002, 0.0015]]},
            "xgboost": {**one, "agreement": 0.99, "seconds": [[0.004], [0.001]]},
            "resnet18": {**one, "precision": "int8", "seconds": [[0.0019], [0.001]]},
        }
    )
    figures = found["figures"]
    assert (figures["forest_speedup"], figures["forest_ms"], figures["forest_compiled_ms"]) == (3.33, 5.0, 1.5)
    assert (figures["xgboost_agreement"], figures["resnet18_speedup"], figures["resnet18_size"]) == (0.99, 1.9, 0.5)
    assert figures["twice_as_fast"] == 1, "the booster's answers differ, and the network is too slow"
    assert found["precision"]["resnet18"] == "int8"
    page = results.rendered({"compile": {**document(), **found, "spread": {}}})
    assert "| `forest_speedup` | a request to a forest in scikit-learn, over one to the compiled one" in page


def test_an_autoencoder_s_figures_are_medians_of_its_seeds() -> None:
    same = {"pca_error": 0.025, "knn_accuracy": 0.9, "purity": 0.6, "gain": 0.5, "seconds": 60.0}
    found = autoencoder.document([{"error": error, **same} for error in (0.01, 0.03, 0.0123456)])
    assert (found["figures"]["error"], found["figures"]["pca_error"]) == (0.0123456, 0.025)
    assert (found["figures"]["below_pca"], found["figures"]["seeds"]) == (2, 3)
    spread = harness._described(found, harness.machine())["spread"]["error"]
    assert (spread["min"], spread["median"], spread["max"]) == (0.01, 0.0123, 0.03), "three digits that count"


def judged(name: str, *, sick: bool, stopped: bool, **errors: str) -> dict[str, Any]:
    found = {"by": "LossNotDecreasing", "step": 149, "reason": ""} if stopped else None
    return {"name": name, "sick": sick, "seed": 0, "stopped": found, "fell": 0.25, "errors": errors}


def test_stops_that_are_false_and_stops_that_are_missed_are_told_apart() -> None:
    found = [
        judged("CNN", sick=False, stopped=True),
        judged("MLP", sick=False, stopped=False),
        judged("frozen", sick=True, stopped=True),
        judged("dead", sick=True, stopped=False, DeadRelu="never saved"),
    ]
    document = rules.figures(found, [judged("GRU", sick=True, stopped=False)])
    assert document["figures"] == {
        **{"false_stops": 1, "missed_stops": 1, "healthy": 2, "sick": 2},
        **{"unseen_false_stops": 0, "unseen_missed_stops": 1, "unseen_healthy": 0, "unseen_sick": 1},
    }
    assert document["wrong"] == [
        "healthy  CNN, 0: stopped by LossNotDecreasing at step 149; its loss fell by 25 %   WRONG",
        "sick     dead, 0: not stopped; its loss fell by 25 %   WRONG",
        "sick     GRU, 0: not stopped; its loss fell by 25 %   WRONG",
    ]
    assert document["rules_that_could_not_judge"] == ["never saved"]
    page = results.rendered({"rules": harness._described(document, harness.machine())})
    assert "Judged wrong:\n\n- healthy CNN, 0: stopped by LossNotDecreasing at step 149;" in page


def test_the_rules_that_are_tried_are_readmes() -> None:
    tried = rules.configuration(rules.readme(), "unseen", seeds=[7])
    assert [rule["rule"] for rule in tried["rules"]] == ["LossNotDecreasing", "VanishingGradient"]
    assert tried["rules"][0]["action"] == "stop"
    assert tried["rules"][0]["parameters"]["smoothing"] > 1
    assert "gradients" in tried["probe"]["collections"]


BENCHES = [autoencoder, bert_qa, detector, labels, mnist_keras, prune, subset, tickets, traffic_signs]


@pytest.mark.parametrize("bench", BENCHES)
def test_without_its_data_a_benchmark_is_skipped_with_a_sentence(bench, tmp_path, monkeypatch, capsys) -> None:
    absent = tmp_path / "absent"
    monkeypatch.setattr("sys.argv", ["x.py", "--json", "--data", str(absent)])
    assert bench.main() == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("skipped: ") and str(absent) in said.err and said.err.count("\n") == 1


def test_rows_that_are_kept_are_not_measured_again(tmp_path) -> None:
    file = tmp_path / "rows.jsonl"

    def measured(seed: int, accuracy: float) -> Any:
        return harness.measured_once(file, {"seed": seed}, lambda: [{"seed": seed, "accuracy": accuracy}])

    assert measured(0, 0.7) == [{"seed": 0, "accuracy": 0.7}]
    assert measured(1, 0.8) == [{"seed": 1, "accuracy": 0.8}]
    assert measured(0, 0.1) == [{"seed": 0, "accuracy": 0.7}]
    assert len(file.read_text().splitlines()) == 2
    assert harness.measured_once(None, {"seed": 0}, lambda: [{"seed": 0}]) == [{"seed": 0}]


def test_a_record_names_files_without_where_they_lie(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    data = tmp_path / "signs.npz"
    monkeypatch.setattr("sys.argv", [str(harness.ROOT / "bench" / "x.py"), "--data", str(data), "--seeds", "3"])
    options = argparse.Namespace(data=data, rows=None, seeds=3, recorded=False, small=False, json=True)
    assert harness.run_with(options, "x", lambda _small, _say: {"figures": {"invoke_ms": 1.0}}) == 0
    written = json.loads((tmp_path / "results" / "x.json").read_text())
    assert written["command"] == "python bench/x.py --data signs.npz --seeds 3"


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


# A stand-in for an environment that `make install` has made: what only tests and linters need can't be imported.
WITHOUT_TEST_PACKAGES = """
import runpy, sys
sys.modules.update(dict.fromkeys(("pytest", "xdist", "hypothesis", "mypy", "ruff", "cfnlint", "cdk_nag")))
sys.argv = sys.argv[1:]
sys.path.insert(0, "")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


RECORDED = ["autoencoder", "bert_qa", "compile", "cycle", "detector", "early_stopping", "labels", "mnist_keras"]
RECORDED += ["platform", "probe", "prune", "rules", "stop", "subset", "tickets", "traffic_signs", "tune", "warm"]


@pytest.mark.parametrize("name", RECORDED)
def test_a_benchmark_needs_nothing_of_the_tests(name: str) -> None:
    command = [sys.executable, "-c", WITHOUT_TEST_PACKAGES, f"bench/{name}.py", "--recorded", "--json"]
    done = subprocess.run(command, cwd=harness.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (
        json.loads(done.stdout.splitlines()[-1])
        == json.loads((harness.RESULTS / f"{name}.json").read_text())["figures"]
    )


def test_a_checkout_of_many_models_is_one_to_the_app_and_to_the_commands() -> None:
    before = Path.cwd()
    with checkout() as made:
        assert made.add_copies(2) == ["copy-000", "copy-001"] == made.add_copies(2)
        made.add_soak()
        found = project.find()
        assert found.root == made.root.resolve() != harness.ROOT
        assert set(found.pipelines) == {"copy-000", "copy-001", SOAK} and not found.unusable()
        data = spec.load(found.pipelines["copy-001"] / "pipeline.yaml").data
        assert all(any(key.startswith(prefix) for prefix in data.values()) for key in Flowers("copy-001").files)
        assert spec.load(found.pipelines[SOAK] / "pipeline.yaml").gate.is_own
        assert (made.root / "node_modules" / ".bin" / "cdk").exists()
    assert Path.cwd() == before and not made.root.exists()


def test_a_copied_record_is_another_run_s_and_an_earlier_one_s() -> None:
    item = {"pipeline": {"S": "soak"}, "item": {"S": "run#20261120-101112-abcd"}, "outcome": {"S": "Promoted"}}
    copies = [scale._copied(item, number) for number in range(5000)]
    keys = [copy[run_table.SORT_KEY]["S"] for copy in copies]
    assert keys == sorted(set(keys)) and keys[-1] < "run#20261120-101112-abcd"
    assert run_table.run_id_of(keys[7]) == copies[7]["run_id"]["S"]
    assert copies[7]["outcome"] == {"S": "Promoted"}


def test_parts_of_a_measurement_are_one() -> None:
    one, other = {"figures": {"a": 1}, "samples": {"a": [1, 2]}}, {"figures": {"b": 2}}
    assert scale.merged([one, other]) == {"figures": {"a": 1, "b": 2}, "samples": {"a": [1, 2]}}


def test_every_figure_of_scale_says_what_it_means() -> None:
    told = {name for name in PROMISES if f"{name} " in str(scale.__doc__) or f"{name}:" in str(scale.__doc__)}
    assert {"synth_ratio", "put_ms", "champions_over_bare", "rss_growth_mb", "seconds_drift", "runs_seconds"} <= told
