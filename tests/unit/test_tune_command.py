"""`ratchet tune report`, `status` and `list`, on an AWS in memory; and what their page holds."""

from __future__ import annotations

import builtins
import json
import re
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from commands_world import CAREFUL, Session, World, world_in
from tuning_documents import Made, tuning_job
from tuning_world import CloudWatch, SageMaker, Sts

from ratchet import cli
from ratchet.account import Account
from ratchet.spec import environments
from ratchet.tuning import reading

HOSTILE = '</script><script>alert("x")</script>\u202e'


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return world_in(tmp_path, monkeypatch)


def serve(world: World, *made: Made, kept: int = 1) -> None:
    world.serve("sagemaker", SageMaker(made))
    world.serve("cloudwatch", CloudWatch(made, kept))
    world.serve("sts", Sts())


class Reader(HTMLParser):
    """The page's data, its addresses, and its table's rows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, Any] = {}
        self.addresses: list[str] = []
        self.rows = self.scripts = 0
        self._in: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [value for key in ("src", "href") if (value := given.get(key))]
        self.rows += "data-i" in given
        self.scripts += tag == "script"
        self._in = given.get("id") if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser's signature
        self._in = None

    def handle_data(self, data: str) -> None:
        if self._in == "page":
            self.found = json.loads(data)


def written(world: World, *arguments: str) -> Reader:
    result = world.call("tune", "report", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return Reader(Path(json.loads(result.stdout)["report"]).read_text(encoding="utf-8"))


def test_a_report_is_one_file_with_everything_in_it_and_a_png(world: World, tmp_path: Path) -> None:
    serve(world, tuning_job(trials=30, early_stopping=True))
    found = written(world, "digits-tune-1", "--png", "--output", str(tmp_path / "deep" / "page.html"))
    png = (tmp_path / "deep" / "page.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    assert 2000 < width < 2800
    assert height > 2000
    assert found.addresses == []
    assert found.rows == 30
    keys = [panel["key"] for panel in found.found["panels"]]
    assert keys == ["course", "distribution", "h0", "h1", "h2", "h3", "h4", "parallel", "importance", "curves"]
    assert len(found.found["data"]["trials"]) == 28
    assert len(found.found["data"]["failed"]) == 2
    assert found.found["data"]["cuts"]
    # Each axis has the scale that was searched on.
    panels = {panel["key"]: panel["spec"] for panel in found.found["panels"]}
    rate, momentum, dropout, depth, optimizer = (panels[f"h{at}"]["layer"][0]["encoding"]["x"] for at in range(5))
    assert rate["scale"]["type"] == "log"
    assert momentum["axis"]["labelExpr"].startswith("format(1 - pow(10")
    assert dropout["scale"]["type"] == "linear"
    assert depth["axis"]["format"] == "d"
    assert optimizer["axis"]["labelExpr"] == '["sgd", "adam", "rmsprop"][datum.value]'


def test_parents_are_shown_and_one_that_is_gone_is_said(world: World) -> None:
    serve(world, tuning_job("child", trials=8, parents=("parent", "gone")), tuning_job("parent", trials=6, seed=3))
    result = world.call("tune", "report", "child", "--json")
    document = json.loads(result.stdout)
    assert [job["name"] for job in document["jobs"]] == ["parent", "child"]
    text = Path(document["report"]).read_text(encoding="utf-8")
    assert "No longer there, so not shown: gone." in text
    assert Reader(text).rows == 14


def test_comparing_strategies_is_one_command(world: World) -> None:
    serve(world, tuning_job("bayes", trials=20), tuning_job("random", strategy="Random", trials=20, seed=5))
    found = written(world, "bayes", "random").found
    assert {row["job"] for row in found["data"]["trials"]} == {"Bayesian", "Random"}
    course = next(panel for panel in found["panels"] if panel["key"] == "course")["spec"]
    assert course["layer"][1]["encoding"]["color"]["scale"]["domain"] == ["Bayesian", "Random"]
    assert [row["label"].split()[0] for row in found["data"]["ends"]] == ["Bayesian", "Random"]


def curves(world: World, made: Made, kept: int = 1) -> list[reading.Curve]:
    serve(world, made, kept=kept)
    found = Account(environments.environment("local", {"account": "000000000000", **CAREFUL}), Session(world))
    return reading.curves(found, reading.job(found, made.name))


@pytest.mark.fidelity(
    "CloudWatch",
    "A metric is kept in seconds for three hours, then in minutes: asked for more finely, GetMetricData has no points.",
    "CloudWatch API reference, MetricStat, Period",
)
def test_curves_are_as_fine_as_they_are_kept(world: World) -> None:
    made = tuning_job(trials=4)
    fine, coarse = curves(world, made), curves(world, made, kept=60)
    assert all(len(curve.points) > 10 for curve in fine)
    assert all(len(curve.points) <= 2 for curve in coarse)
    assert len(fine) == len(coarse) == 4
    queries = [request["MetricDataQueries"][0]["MetricStat"] for request in world.called("get_metric_data")]
    assert [query["Period"] for query in queries] == [1, 1, 60]


def test_a_curve_begins_with_its_trial(world: World) -> None:
    for curve in curves(world, tuning_job(trials=4)):
        assert [round(at) for at, _ in curve.points[:3]] == [2, 4, 6]


@pytest.mark.fidelity(
    "CloudWatch",
    "GetMetricData takes at most 500 metrics in a request.",
    "CloudWatch API reference, GetMetricData, MetricDataQueries",
)
def test_more_trials_than_one_request_takes_have_their_curves(world: World) -> None:
    assert len(curves(world, tuning_job(trials=520))) == 490
    assert [len(request["MetricDataQueries"]) for request in world.called("get_metric_data")] == [500, 20]


def test_a_job_s_words_are_shown_and_not_run(world: World) -> None:
    made = tuning_job(trials=12)
    made.summaries[3] |= {"TrainingJobStatus": "Failed", "FailureReason": HOSTILE}
    made.summaries[4]["TunedHyperParameters"]["optimizer"] = HOSTILE
    made.description["FailureReason"] = HOSTILE
    serve(world, made)
    result = world.call("tune", "report", "digits-tune-1", "--json")
    text = Path(json.loads(result.stdout)["report"]).read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert "\u202e" not in text
    assert Reader(text).scripts == 3
    assert r"alert(\"x\")" in text


def test_without_its_libraries_the_report_says_how_to_have_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(world, tuning_job(trials=2))
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "altair":
            raise ModuleNotFoundError("No module named 'altair'", name="altair")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    for module in [name for name in sys.modules if name in ("ratchet.tuning.page", "ratchet.tuning.panels")]:
        monkeypatch.delitem(sys.modules, module)
    result = world.call("tune", "report", "digits-tune-1")
    assert result.exit_code == 1
    assert "the pictures need Altair, which isn't installed: `" in result.stderr
    assert f"{sys.executable} -m pip install -r {world.root / 'requirements' / 'pictures.txt'}`" in result.stderr
    assert world.calls == []


def test_the_pins_of_the_pictures_hold_what_they_need() -> None:
    pins = (Path(cli.__file__).parents[1] / "requirements" / "pictures.txt").read_text(encoding="utf-8")
    assert re.search(r"^altair==", pins, re.MULTILINE)
    assert re.search(r"^vl-convert-python==", pins, re.MULTILINE), "which the command line has anyway"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "nothing"), "there is no tuning job 'nothing'; see `ratchet tune list`"),
        (("status", "nothing"), "there is no tuning job 'nothing'; see `ratchet tune list`"),
        (("report", "empty"), "empty started no trials yet: there is nothing to draw"),
        (("report", "one", "loss"), "one is to maximize validation:f1, loss to minimize loss: one page shows one"),
    ],
)
def test_what_can_t_be_shown_is_said(world: World, arguments: tuple[str, ...], said: str) -> None:
    loss = tuning_job("loss", metric="loss", maximize=False, trials=2)
    serve(world, tuning_job("one", trials=2), loss, tuning_job("empty", trials=0))
    result = world.call("tune", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr


# ------------------------------------------------------------------------------------------------------ status and list


def test_status_shows_the_newest_job_its_budget_and_its_best(world: World) -> None:
    serve(world, tuning_job(trials=18, TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 0.99}))
    result = world.call("tune", "status")
    assert result.exit_code == 0, result.output
    assert "digits-tune-1  Bayesian, to maximize validation:f1  Completed" in result.output
    assert "18 of 18: 17 completed, 1 failed" in result.output
    assert "ends at 0.99" in result.output
    document = json.loads(world.call("tune", "status", "--json").stdout)
    best = max(trial["objective"] for trial in document["trials"] if trial["objective"] is not None)
    assert document["best"]["objective"] == best
    assert f"best  {best:.6g}" in result.output


def test_status_says_what_is_left_while_it_runs(world: World) -> None:
    made = tuning_job(trials=10, status="InProgress")
    made.description["HyperParameterTuningJobConfig"]["ResourceLimits"] |= {
        "MaxNumberOfTrainingJobs": 40,
        "MaxRuntimeInSeconds": 10**9,
    }
    made.summaries[-1] = {
        key: value
        for key, value in (made.summaries[-1] | {"TrainingJobStatus": "InProgress"}).items()
        if key not in ("TrainingEndTime", "FinalHyperParameterTuningJobObjectiveMetric")
    }
    serve(world, made)
    result = world.call("tune", "status", "digits-tune-1", "--once")
    assert "10 of 40: 9 completed, 1 running · 30 left" in result.output
    assert re.search(r"time +.* of 277777 h 46 min · \d+ h \d+ min left", result.output)


def test_status_follows_a_job_to_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from ratchet.commands import tune  # noqa: PLC0415 - after the checkout is the current one

    made = tuning_job(trials=5, status="InProgress")
    serve(world, made)
    looks: list[float] = []
    sleep, here = tune.time.sleep, threading.current_thread()

    def wait(seconds: float) -> None:
        if threading.current_thread() is not here:
            sleep(seconds)  # a thread that another test has left
            return
        looks.append(seconds)
        if len(looks) == 3:
            made.description.update(tuning_job(trials=5).description)

    monkeypatch.setattr(tune.time, "sleep", wait)
    monkeypatch.setattr("rich.console.Console.is_terminal", property(lambda _: True))
    result = world.call("tune", "status")
    assert result.exit_code == 0, result.output
    assert len(looks) == 3
    assert "Completed" in result.output


def test_list_shows_the_newest_first(world: World) -> None:
    serve(world, tuning_job("first", trials=3), tuning_job("second", trials=2, strategy="Grid"))
    result = world.call("tune", "list")
    assert re.search(r"^first +Bayesian +Completed +3 of 3 +2026-11-26 14:00:00", result.output, re.MULTILINE)
    assert "second" in result.output
    serve(world)
    assert "no tuning jobs yet" in world.call("tune", "list").output
    assert "there has been no tuning job" in world.call("tune", "status").stderr
