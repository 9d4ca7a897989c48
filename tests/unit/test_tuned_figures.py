"""A run's tuning, as the commands and its report tell of it."""

from __future__ import annotations

from typing import Any

from run_documents import RUN_ID, record

from contract import names
from ratchet import report, runs, tuned, tuning_figures
from ratchet.commands import show_runs

JOB = "local-digits-forest-3myh4gabcd"


def trial(number: int, objective: float | None = None, **more: Any) -> dict[str, Any]:
    figure = {} if objective is None else {"objective": objective}
    values = {"depth": str(number), "kind": "a"}
    return {"number": number, "job": f"{JOB}-{number:03d}-x", "status": "Completed", "values": values, **figure, **more}


TRIALS = [
    trial(1, 0.91, seconds=2.5),
    trial(2, 0.97),
    trial(3, None, status="Failed", reason="AlgorithmError: <b>"),
    trial(4, 0.99, status="Stopped", stopped_by="Overfit"),
]
TUNING = {
    "job": JOB,
    "because": "somebody asked for it",
    "metric": "validation:f1",
    "better": "greater",
    "jobs": 4,
    "best": TRIALS[1],
    "trials": TRIALS,
}
TUNED = record(tuning=TUNING)
UNTUNED = record(untuned="it trains with the champion's hyperparameters")


def test_a_sentence_says_what_tuning_came_to() -> None:
    assert tuned.sentence(TUNED) == "4 trials, the best validation:f1 0.97 (depth 2, kind a)"
    assert (
        tuned.sentence({"tuning": {**TUNING, "best": None, "jobs": 1}})
        == "1 trial, none of which left a model to judge"
    )
    assert tuned.sentence(UNTUNED) == "it trains with the champion's hyperparameters"
    assert tuned.sentence(record()) == ""


def test_the_table_has_the_best_first_and_those_without_a_figure_last() -> None:
    table = tuned.trials(TUNED)
    assert table is not None
    assert [(row.number, row.objective, row.status, row.chosen) for row in table.rows] == [
        (4, "0.99", "stopped by Overfit", False),
        (2, "0.97", "completed", True),
        (1, "0.91", "completed", False),
        (3, "–", "failed", False),
    ]
    assert (table.metric, table.columns, table.rows[2].values) == ("validation:f1", ("depth", "kind"), ("1", "a"))
    least = tuned.trials(record(tuning={**TUNING, "better": "less"}))
    assert least and [row.number for row in least.rows] == [1, 2, 4, 3]
    assert tuned.trials(UNTUNED) is None and tuned.trials(record()) is None


def test_what_a_tuning_job_learnt_from_is_told() -> None:
    told = tuned.trials(record(tuning={**TUNING, "parents": ["a", "b"], "refined": ["depth"]}))
    assert told and told.learnt == "It learnt from a, b with narrower ranges of depth"


def test_the_report_has_every_trial_and_says_why_there_is_none() -> None:
    def page(document: dict[str, Any]) -> str:
        run = runs.of_item(document)
        return report.render(report.Sources(run=run, environment="local", account="0", region="us-east-1"))

    shown = page(TUNED)
    section = shown.partition('<section id="tuning">')[2].partition("</section>")[0]
    assert "4 trials, the best validation:f1 0.97 (depth 2, kind a). It tuned because somebody asked for it." in section
    assert section.count("<tr") == 5 and 'class="chosen"' in section
    assert "AlgorithmError: &lt;b&gt;" in section
    assert 'id="tuning"' not in page(UNTUNED)
    assert "It didn't tune: it trains with the champion" in page(UNTUNED).replace("&#39;", "'")


def test_the_losses_are_the_best_trials() -> None:
    assert report.shown_tensors(runs.of_item(TUNED)) == (f"runs/digits-forest/{RUN_ID}/train/tensors/{JOB}-002-x")
    earlier = names.tuning_job("local", "digits-forest", "20261119-101112-abcd") + "-002-0a1b2c3d"
    adopted = record(tuning={**TUNING, "best": {**TRIALS[1], "job": earlier}})
    assert report.shown_tensors(runs.of_item(adopted)) == (
        f"runs/digits-forest/20261119-101112-abcd/train/tensors/{earlier}"
    )
    assert report.shown_tensors(runs.of_item(record())) == f"runs/digits-forest/{RUN_ID}/train/tensors"


def test_the_list_of_runs_says_which_tuned() -> None:
    table = show_runs._runs_table([runs.of_item(TUNED), runs.of_item(UNTUNED)], 120)
    triggers = list(table.columns[3].cells)
    assert triggers == ["data, tuned", "data"]


def test_the_report_draws_the_trials_and_the_best_so_far() -> None:
    found = tuning_figures.figure(TUNED)
    assert found is not None
    assert [dot.kind for dot in found.dots] == ["kept", "chosen", "stopped"]
    heights = {dot.title.partition(":")[0]: dot.y for dot in found.dots}
    # The best that a rule stopped isn't on the line, since it can't be chosen.
    assert [float(corner.split()[1]) for corner in found.best.split(" L")] == [
        heights["trial 1"],
        heights["trial 1"],
        heights["trial 2"],
        heights["trial 2"],
    ]
    page = report.render(report.Sources(runs.of_item(TUNED), "dev", "000000000000", "us-east-1"))
    assert 'aria-label="validation:f1 of each trial"' in page
    assert f"ratchet tune report {JOB} -e dev" in page
    assert f"ratchet tune report {JOB}<" in report.render(
        report.Sources(runs.of_item(TUNED), "local", "0", "us-east-1")
    )


def test_a_loss_gets_better_downwards_and_one_that_explodes_has_a_logarithmic_axis() -> None:
    tuning = {**TUNING, "better": "less", "trials": [trial(1, 5.0), trial(2, 80000.0), trial(3, 0.5)]}
    found = tuning_figures.figure({"tuning": tuning})
    assert found is not None
    assert found.logarithmic
    heights = [float(corner.split()[1]) for corner in found.best.split(" L")]
    assert heights == sorted(heights)


def test_one_trial_is_no_picture() -> None:
    assert tuning_figures.figure({"tuning": {**TUNING, "trials": TRIALS[:1]}}) is None
    assert tuning_figures.figure(UNTUNED) is None
