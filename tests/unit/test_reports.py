"""History, diagram, figures and the report page, from documents as AWS has them."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console
from run_documents import (
    FAILED,
    HOSTILE,
    MACHINE,
    PROMOTED,
    ROLLED_BACK,
    RUN_ID,
    START,
    events,
    failed_sources,
    promoted_sources,
    record,
    rolled_back_record,
    rolled_back_sources,
    shadowed_record,
)

from contract import causes, histories
from contract.histories import Execution
from ratchet import diagram, figures, live, report, run_logs, runs
from ratchet.commands.show_runs import _pipeline_text as pipeline_text
from ratchet.commands.show_runs import _runs_text as runs_text
from ratchet.durations import duration


def test_a_history_becomes_visits_with_their_times() -> None:
    execution = histories.of_events(events(PROMOTED))
    assert [visit.name for visit in execution.visits] == PROMOTED
    assert execution.status == "Succeeded"
    train = next(visit for visit in execution.visits if visit.name == "Train")
    assert train.seconds == pytest.approx(2.4)
    assert (train.attempts, train.parameters) == (1, {"FunctionName": "Train"})


def test_a_failed_state_keeps_its_error_and_the_execution_its_end() -> None:
    execution = histories.of_events(events(FAILED, failing="Train"))
    failed = [visit for visit in execution.visits if visit.failed]
    assert [(visit.name, visit.error, visit.cause) for visit in failed] == [("Train", "AlgorithmError", HOSTILE)]
    assert execution.status == "Failed"


def test_a_retry_that_went_well_is_no_failure() -> None:
    told = events(["Begin", "Plan"])
    scheduled = next(index for index, event in enumerate(told) if event["type"] == "TaskScheduled")
    told[scheduled:scheduled] = [
        {**told[scheduled]},
        {"type": "TaskFailed", "timestamp": START, "id": 0, "taskFailedEventDetails": {"error": "ThrottlingException"}},
    ]
    plan = histories.of_events(told).visits[-1]
    assert (plan.failed, plan.attempts) == (False, 2)


def test_a_running_execution_says_where_it_is() -> None:
    told = [event for event in events(["Begin", "Plan"], ended=False) if event["type"] != "TaskStateExited"]
    execution = histories.of_events(told)
    assert execution.status is None
    assert execution.current is not None
    assert execution.current.name == "Plan"


def test_the_diagram_shows_the_story_and_what_happened() -> None:
    drawn = diagram.lay_out(MACHINE, histories.of_events(events(FAILED, failing="Train")))
    status = {box.name: box.status for box in drawn.boxes}
    assert status == {
        "Settle": "done",
        "Plan": "done",
        "Train": "failed",
        "Evaluate": "skipped",
        "Gate": "skipped",
        "Register": "skipped",
        "Deploy": "skipped",
        "Verify": "skipped",
        "Record": "done",
        "Failed": "failed",
    }
    assert drawn.hidden == len(MACHINE["States"]) - len(status)


def test_the_milestones_stand_one_below_the_other_and_waiting_beside_them() -> None:
    boxes = {box.name: box for box in diagram.lay_out(MACHINE, histories.of_events(events(PROMOTED))).boxes}
    column = [box for box in boxes.values() if box.name != "Quiet"]
    assert len({box.x for box in column}) == 1
    told = [box.name for box in sorted(column, key=lambda box: box.y)]
    assert told == ["Settle", "Plan", "Train", "Evaluate", "Gate", "Register", "Deploy", "Verify", "Record", "Done"]
    assert boxes["Quiet"].x > boxes["Settle"].x
    assert boxes["Quiet"].y == boxes["Settle"].y
    assert len({(box.x, box.y) for box in boxes.values()}) == len(boxes)


def test_a_catch_is_drawn_where_it_was_taken_only() -> None:
    calm = diagram.lay_out(MACHINE, histories.of_events(events(PROMOTED)))
    assert not any(edge.caught for edge in calm.edges)
    failed = diagram.lay_out(MACHINE, histories.of_events(events(FAILED, failing="Train")))
    assert [edge.taken for edge in failed.edges if edge.caught] == [True]


def test_repeated_states_say_how_often() -> None:
    boxes = {box.name: box for box in diagram.lay_out(MACHINE, histories.of_events(events(PROMOTED))).boxes}
    assert boxes["Settle"].note == "40 ms · 2 times"
    assert boxes["Train"].note == "2.4 s"


def test_the_interval_is_drawn_where_its_numbers_are() -> None:
    drawn = figures.interval(record()["evaluation"], margin=0.01)
    assert drawn is not None
    assert drawn.margin is not None
    places = [mark.at for mark in (drawn.zero, drawn.low, drawn.margin, drawn.difference, drawn.high)]
    assert places == sorted(places)
    assert 0 < places[0] < places[-1] < 100


def test_without_a_champion_there_is_no_interval() -> None:
    evaluation = {"metric": "r2", "challenger": {"score": 0.5}, "champion": None, "difference": None, "interval": None}
    assert figures.interval(evaluation, margin=0.0) is None
    assert [mark.label for mark in figures.scores(evaluation, 0.4)] == ["challenger", "floor"]


def test_equal_scores_have_a_place_too() -> None:
    marks = figures.scores({"challenger": {"score": 0.0}, "champion": {"score": 0.0}}, 0.0)
    assert [mark.at for mark in marks] == [50.0, 50.0, 50.0]


def test_bars_lie_inside_the_run() -> None:
    execution = histories.of_events(events(PROMOTED))
    bars = figures.bars(execution.visits, execution.ended)
    assert sum(bar.seconds for bar in bars) == pytest.approx(6.7, abs=0.1)
    assert [len(bar.spans) for bar in bars if bar.name == "Settle"] == [2]
    assert all(span.start >= 0 and span.start + span.width <= 100.5 for bar in bars for span in bar.spans)
    assert figures.bars((), None) == ()


class _Page(HTMLParser):
    """The page's tags, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "data")]


@pytest.mark.parametrize("sources", [promoted_sources(), failed_sources(), rolled_back_sources()])
def test_the_page_is_self_contained(sources: report.Sources) -> None:
    page = report.render(sources)
    read = _Page(page)
    assert "script" not in read.tags
    assert read.loads == []
    assert not re.search(r"url\((?!#)|@import|https?://", page)


def test_the_page_tells_the_run() -> None:
    page = report.render(promoted_sources())
    for told in (
        RUN_ID,
        "0.9712",
        "0.9523",
        "540",
        "[+0.0061, +0.0324]",
        "95&thinsp;%",
        "digits/train/a.csv",
        "v-train",
    ):
        assert told in page
    assert "model-package/local-digits-forest/1" in page
    assert "model-package/local-digits-forest/2" in page


def test_what_a_job_has_said_is_text_never_markup() -> None:
    page = report.render(failed_sources())
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(" in page


def test_text_that_would_make_a_page_read_otherwise_is_told() -> None:
    """A bidirectional control shows what follows it in reverse; escape sequences are for who prints the page."""
    hostile = "a gate that \u202edesufer\u2066 \x1b[2J"
    page = report.render(replace(promoted_sources(), run=runs.of_item(record(decision={"reason": hostile}))))
    assert not re.search("[\u202e\u2066\x1b]", page)
    assert "a gate that \\u202edesufer\\u2066 \\x1b[2J" in page


def test_a_run_of_which_little_is_known_has_a_page_too() -> None:
    bare = runs.of_item({"pipeline": "p", "item": "run#r1"})
    page = report.render(report.Sources(bare, "prod", "111122223333", "eu-west-1"))
    assert "r1" in page
    assert 'id="machine"' not in page
    running = replace(promoted_sources(), execution=Execution(()), run=runs.of_item({**record(), "evaluation": None}))
    assert 'id="gate"' not in report.render(running)


def test_a_champion_that_could_not_answer_is_told_and_that_it_was_to_be_superseded() -> None:
    evaluation = {
        "metric": "f1_macro",
        "examples": 540,
        "challenger": {"score": 0.9712},
        "champion": {"cannot_answer": f"the champion can't answer: {HOSTILE}"},
        "difference": None,
        "interval": None,
    }
    run = runs.of_item(record(evaluation=evaluation, supersede=True))
    assert (run.champion_score, run.challenger_score) == (None, 0.9712)
    page = report.render(replace(promoted_sources(), run=run))
    assert "There is nothing to compare with: the champion can&#39;t answer: " in page
    assert HOSTILE not in page, "what a model says is text, never markup"
    assert "first model" not in page
    asked = "to supersede a champion that can't answer"
    assert asked in page
    assert asked not in report.render(promoted_sources())


def test_a_run_is_read_tolerantly() -> None:
    run = runs.of_item(record(started_at="yesterday", evaluation={"metric": "f1", "challenger": "?"}, extra=[1]))
    assert (run.started_at, run.seconds, run.challenger_score, run.metric) == (None, None, None, "f1")
    assert not run.failed
    assert runs.of_item(record()).seconds == timedelta(seconds=7).total_seconds()


def test_the_reason_is_the_error_s_or_the_gate_s() -> None:
    assert runs.of_item(record()).reason == "better than the champion"
    assert failed_sources().run.reason == f"Train: AlgorithmError: {HOSTILE}"
    assert failed_sources().run.failed


def test_a_rollback_is_told_by_what_serves_and_why_not_by_the_gate_s_praise() -> None:
    run = runs.of_item(rolled_back_record())
    assert run.reason == "Verify: VerificationFailed: example 3 of 5: answered '1', not '7'"
    assert run.headline == f"the champion, of run 20261119-1, still serves. {run.reason}"
    header = report.render(rolled_back_sources()).partition("</header>")[0]
    assert "still serves" in header
    assert "better than the champion" not in header


def test_what_a_run_had_to_put_in_order_first_is_told_beside_its_outcome() -> None:
    told = {"reason": "nothing is new", "repaired": "there was no endpoint"}
    run = runs.of_item({"item": "run#r", "run_id": "r", "pipeline": "p", "outcome": "UpToDate", **told})
    assert run.headline == "nothing is new. Before that, there was no endpoint: it was put back."
    assert run.reason == "nothing is new"


def test_the_state_that_a_run_blames_is_no_success_whatever_its_task_came_to() -> None:
    execution = histories.of_events(events(ROLLED_BACK))
    run = rolled_back_sources().run
    assert run.wrong is not None
    boxes = {box.name: box for box in diagram.lay_out(MACHINE, execution.blaming(*run.wrong)).boxes}
    assert (boxes["Verify"].status, boxes["Deploy"].status) == ("failed", "done")
    assert "answered '1', not '7'" in boxes["Verify"].title
    assert re.search(r'class="box failed" data-state="Verify"', report.render(rolled_back_sources()))


@pytest.mark.parametrize("outcome", ["Stopped", "StoppedByRule"])
def test_training_that_was_stopped_is_no_success_either(outcome: str) -> None:
    error = {"state": "Train", "error": "JobNotCompleted", "cause": "stopped"} if outcome == "Stopped" else None
    run = runs.of_item(record(outcome=outcome, error=error, stopped_by=STOPPED_BY))
    assert run.wrong is not None
    execution = histories.of_events(events(PROMOTED)).blaming(*run.wrong)
    assert [visit.name for visit in execution.visits if visit.failed] == ["Train"]


def test_an_error_that_history_tells_of_itself_is_left_as_it_is() -> None:
    execution = histories.of_events(events(FAILED, failing="Train"))
    assert execution.blaming("Train", "other", "") == execution
    assert execution.blaming("Verify", "never entered", "") == execution
    assert runs.of_item(record()).wrong is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"outcome": "UpToDate", "reason": "nothing is new since run r1"}, "nothing is new since run r1"),
        (
            {"outcome": "Promoted", "trigger": {"kind": "rollback"}, "decision": {"reason": "chosen by ann: back"}},
            "chosen by ann: back",
        ),
        ({"outcome": "Running"}, ""),
    ],
)
def test_a_run_that_judged_nothing_says_why(changes: dict[str, object], told: str) -> None:
    assert runs.of_item({"run_id": "r3", **changes}).reason == told


def test_of_a_script_s_last_words_the_reason_is_what_it_raised() -> None:
    cause = 'training job j failed: AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "[notice] pip'
    error = {"state": "Train", "error": "States.TaskFailed", "cause": f'{cause}\nValueError: NaN", exit code: 1'}
    run = runs.of_item({**record(outcome="Failed", error=error)})
    assert run.reason == "Train: States.TaskFailed: ValueError: NaN"
    page = report.render(replace(failed_sources(), run=run))
    assert "[notice] pip\nValueError: NaN" in page, "the whole of it is in the report"


def test_the_live_view_marks_what_a_rollback_is_due_to_when_it_begins() -> None:
    path = [*ROLLED_BACK[: ROLLED_BACK.index("Undo") + 1], "Record"]
    told = events(path, ended=False)
    [verified] = [
        each["stateExitedEventDetails"]
        for each in told
        if each["type"] == "ChoiceStateExited" and each["stateExitedEventDetails"]["name"] == "Verified"
    ]
    failure = {"state": "Verify", "error": "VerificationFailed", "cause": "answered '1', not '7'"}
    verified["assignedVariables"] = {"failure": json.dumps(failure)}
    console = Console(width=120, file=io.StringIO())
    live.LiveStates(console).look("r", histories.of_events(told))
    lines = {line.split()[1]: line for line in console.file.getvalue().splitlines()}
    assert lines["Verify"].startswith("✗") and lines["Verify"].endswith("VerificationFailed: answered '1', not '7'")
    assert lines["Deploy"].startswith("✓")


def test_the_live_line_of_a_failure_shows_its_cause() -> None:
    visit = histories.of_events(events(FAILED, failing="Train")).visits[5]
    cause = json.dumps({"FailureReason": 'AlgorithmError: ExecuteUserScriptError:\n[notice] pip\nKeyError: "a"'})
    assert "KeyError: " in live._line(live.Step((replace(visit, cause=cause),)))
    assert "pip" not in live._line(live.Step((replace(visit, cause=cause),)))


def test_runs_name_the_metric_of_each_score() -> None:
    console = Console(width=200, file=io.StringIO())
    up_to_date = runs.of_item({"run_id": "r", "outcome": "UpToDate", "reason": "nothing is new"})
    console.print(runs_text([rolled_back_sources().run, up_to_date], [], "", 200))
    told = console.file.getvalue()
    assert "f1_macro 0.9712" in told
    assert "answered '1', not '7'" in told
    assert "nothing is new" in told


def test_hyperparameters_metrics_and_the_end_of_a_failed_job_s_log_are_on_the_page() -> None:
    page = report.render(promoted_sources())
    assert re.search(r"<th>n-estimators</th><td class=\"number\">100</td>", page)
    assert re.search(r"<th>validation:f1</th><td class=\"number\">0.9668</td>", page)
    assert 'id="log"' not in page
    assert "Traceback (most recent call last):" in report.render(failed_sources())
    assert 'id="training"' not in report.render(failed_sources())


def test_parts_with_floors_are_told_with_their_verdicts() -> None:
    told = {"part": "region", "metric": "f1_macro", "examples": 40, "champion_score": None, "minimum": 0.8}
    parts = [
        {**told, "value": HOSTILE, "score": 0.9, "champion_score": 0.85, "below": False, "unjudged": None},
        {**told, "value": "south", "score": 0.7, "below": True, "unjudged": None},
        {**told, "value": "west", "score": 0.9, "examples": 3, "below": False, "unjudged": "3 examples, fewer than 10"},
    ]
    found = record()
    run = runs.of_item({**found, "decision": {**found["decision"], "parts": parts}})
    page = report.render(replace(promoted_sources(), run=run)).partition("Part by part")[2].partition("</table>")[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in page.split("</tr>")[1:]]
    assert HOSTILE not in page
    assert rows[0][1:] == ["40", "f1_macro", "0.9000", "0.8500", "0.8", "✓"]
    assert rows[1] == ["region south", "40", "f1_macro", "0.7000", "–", "0.8", "<b>below</b>"]
    assert rows[2][-1] == "not judged"
    assert rows[3] == ["3 examples, fewer than 10"]
    assert "Part by part" not in report.render(promoted_sources())


def test_other_metrics_do_not_repeat_the_gate_s() -> None:
    others = report.render(promoted_sources()).partition("Other metrics")[2].partition("</table>")[0]
    assert re.findall(r"<th>(\w+)</th>", others) == ["accuracy", "balanced_accuracy"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0421, "42 ms"),
        (0.9999, "1.0 s"),
        (9.96, "10.0 s"),
        (42.4, "42 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ('{"TrainingJobName": "j", "FailureReason": "AlgorithmError: x"}', "AlgorithmError: x"),
        ('{"errorMessage": "no data", "errorType": "EmptyChannelError"}', "no data"),
        ('the run could not be recorded: {"errorMessage": "denied"}', "the run could not be recorded: denied"),
        ("plain {words", "plain {words"),
        ('{"other": 1}', '{"other": 1}'),
        (None, ""),
    ],
)
def test_a_cause_is_told_by_its_reason(cause: str | None, told: str) -> None:
    assert causes.reason(cause) == told


def test_a_loop_of_looking_and_waiting_is_one_step() -> None:
    steps = live.steps(histories.of_events(events(PROMOTED)))
    assert [step.name for step in steps][:3] == ["Settle", "Plan", "Train"]
    assert len(steps[0].visits) == 3
    assert steps[0].seconds == pytest.approx(2.06)  # the loop's three states, and the choice between them


def test_of_two_branches_none_is_shown_as_done_before_it_is() -> None:
    """A state with branches isn't over when they begin, nor one of theirs because the other's has begun."""

    def visit(name: str, kind: str, entered: int, exited: int | None) -> histories.Visit:
        left = START + timedelta(seconds=exited) if exited else None
        return histories.Visit(name, kind, START + timedelta(seconds=entered), left)

    console = Console(width=120, file=io.StringIO())
    shown = live.LiveStates(console)
    plan, whole = visit("Plan", "Task", 0, 1), visit("ModelsAnswer", "Parallel", 1, None)
    first, second = visit("AskChallenger", "Task", 1, None), visit("AskChampion", "Task", 1, None)
    shown.look("r", Execution((plan, whole, first, second)))
    assert [line.split()[1] for line in console.file.getvalue().splitlines()] == ["Plan"]
    ended = (plan, whole, visit("AskChallenger", "Task", 1, 9), visit("AskChampion", "Task", 1, 3))
    shown.look("r", Execution((*ended, visit("Evaluate", "Task", 10, None))))
    assert [line.split()[1:] for line in console.file.getvalue().splitlines()][1:] == [
        ["AskChallenger", "8.0", "s"],
        ["AskChampion", "2.0", "s"],
    ]


def test_an_error_that_the_machine_expects_is_no_failure() -> None:
    told = events(["Begin", "Plan", "Train", "Evaluate", "Record", "Done"], failing="Train")
    train = next(visit for visit in histories.of_events(told).visits if visit.name == "Train")
    assert (train.handled, train.failed) == (True, False)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("START RequestId: 1 Version: $LATEST", None),
        ("epoch 1 loss 0.3", "epoch 1 loss 0.3"),
        ('{"level": "INFO", "event": "decided", "run_id": "r", "promote": true}', "decided  promote=true"),
        ('{"level": "ERROR", "event": "lost"}', "ERROR lost"),
        ("{not json", "{not json"),
        ('{"loss": 1}', '{"loss": 1}'),
    ],
)
def test_a_function_s_log_line_for_people(line: str, told: str | None) -> None:
    assert run_logs.for_people(line) == told


# ------------------------------------------------------------------------------------------------------------- rules

STOPPED_BY = {
    "name": "Overfit",
    "rule": "Overfit",
    "action": "stop",
    "status": "IssuesFound",
    "step": 40,
    "value": 0.5,
    "reason": "0.5 > 0.1",
}
JUDGED = {
    "run_id": RUN_ID,
    "pipeline": "digits",
    "outcome": "StoppedByRule",
    "stopped_by": STOPPED_BY,
    "rules": [
        {**STOPPED_BY, "status": "IssuesFound"},
        {"name": "AllZero", "rule": "AllZero", "action": "record", "status": "Error", "reason": HOSTILE},
    ],
}


def test_a_run_that_a_rule_stopped_says_which_where_and_why() -> None:
    run = runs.of_item(JUDGED)
    assert run.failed
    assert run.reason == "Overfit at step 40: 0.5 > 0.1"
    page = report.render(report.Sources(run, "local", "000000000000", "us-east-1"))
    assert "Training was stopped</b> by Overfit at step 40: 0.5 &gt; 0.1" in page
    assert HOSTILE not in page, "what a rule says is text, never markup"
    assert live.outcome_style("StoppedByRule") == "bold red"


def test_what_serves_a_chain_stands_in_status_and_report() -> None:
    images = {"features": "sagemaker-scikit-learn:1.9-0-cpu-py3", "labels": "sagemaker-xgboost:3.2-0"}
    chain = [
        {"ContainerHostname": name, "Image": image, "Environment": {"SAGEMAKER_PROGRAM": f"{name}.py"}}
        for name, image in images.items()
    ]
    champion = {"run_id": RUN_ID, "metric": "accuracy", "score": 0.9913, "promoted_at": "2026-11-27", "chain": chain}
    each: dict[str, Any] = dict.fromkeys(("batch", "running", "pending", "last_run"), None)
    each |= {"pipeline": "cars", "folder": "cars", "endpoint": {"name": "e", "status": "InService"}}
    told = pipeline_text({**each, "champion": champion}, "")
    assert f"of run {RUN_ID}  accuracy 0.9913, through features, labels, since 2026-11-27" in told
    run = runs.of_item(record(candidate={"run_id": RUN_ID, "chain": chain}, champion_after=champion))
    page = " ".join(report.render(report.Sources(run, "local", "000000000000", "us-east-1")).split())
    assert "<th>Served by</th><td>features: features.py in <code>sagemaker-scikit-learn:1.9-0-cpu-py3</code>" in page
    assert "<th>then by</th><td>labels: labels.py in <code>sagemaker-xgboost:3.2-0</code>" in page
    assert "accuracy 0.9913, through features, labels" in page


def test_what_came_of_compiling_stands_in_the_report() -> None:
    said = "compiled to onnx, int8: 199 of 200 held-out examples are answered as by the original"
    run = runs.of_item(record(compiled=said))
    page = " ".join(report.render(report.Sources(run, "local", "000000000000", "us-east-1")).split())
    assert f"<tr><th>Compiled</th><td>{said}</td></tr>" in page
    assert "<th>Compiled</th>" not in report.render(report.Sources(runs.of_item(record()), "local", "0", "us-east-1"))


def test_status_says_why_the_last_run_ended_and_what_its_rules_found() -> None:
    run = runs.of_item(JUDGED)
    each: dict[str, Any] = {
        "pipeline": "digits",
        "folder": "training_code/digits",
        "champion": None,
        "running": None,
        "pending": None,
        "last_run": JUDGED,
    }
    each |= {
        "endpoint": {"name": "e", "status": "InService"},
        "batch": None,
        "why": run.reason,
        "spot": "",
        "hosts": "2 of ml.g5.xlarge",
        "rules": run.rules,
    }
    each["tuning"], each["scaling"] = "3 trials, the best f1 0.9 (depth 7)", "1 to 4 instances"
    each["candidates"] = "small 0.9000 (went to the gate), large 0.8000"
    told = pipeline_text(each, "")
    assert "  candidates small 0.9000 (went to the gate), large 0.8000" in told
    assert "StoppedByRule" in told
    assert "Overfit at step 40: 0.5 > 0.1" in told
    assert "rule       Overfit  IssuesFound at step 40: 0.5 > 0.1" in told
    assert "rule       AllZero  Error: " in told
    assert "tuning     3 trials, the best f1 0.9 (depth 7)" in told
    assert "scaling    1 to 4 instances" in told
    assert "hosts      2 of ml.g5.xlarge" in told


def test_a_run_on_several_hosts_says_so_and_for_how_many_an_account_is_billed() -> None:
    spot = {"interruptions": 1, "training_seconds": 100, "billable_seconds": 40, "saved": 0.6}
    several = runs.of_item(record(hosts=2, instances={"train": "ml.g5.xlarge"}, spot=spot))
    assert several.hosts == "2 of ml.g5.xlarge"
    assert several.spot.endswith("(60% saved, for each of 2 hosts)")
    page = report.render(replace(promoted_sources(), run=several))
    assert " on 2 × ml.g5.xlarge" in page
    one = runs.of_item(record(instances={"train": "ml.g5.xlarge"}, spot=spot))
    assert (one.hosts, one.spot.rpartition("(")[2]) == ("", "60% saved)")


def test_while_a_run_goes_on_the_issues_that_were_found_are_known() -> None:
    run = runs.of_item({"run_id": RUN_ID, "rule_verdicts": [STOPPED_BY]})
    assert [(rule["name"], rule["status"]) for rule in run.rules] == [("Overfit", "IssuesFound")]


# --------------------------------------------------------------------------------------------------------------- log


class _Logs:
    """CloudWatch Logs with one stream of fifty lines."""

    def __init__(self, code: str = "") -> None:
        self.code, self.asked = code, ""

    def client(self, _service: str) -> _Logs:
        return self

    def describe_log_streams(self, **request: str) -> dict[str, Any]:
        if self.code:
            raise ClientError({"Error": {"Code": self.code}}, "DescribeLogStreams")
        self.asked = f"{request['logGroupName']} {request['logStreamNamePrefix']}"
        return {"logStreams": [{"logStreamName": f"{request['logStreamNamePrefix']}algo-1"}]}

    def get_log_events(self, **request: Any) -> dict[str, Any]:
        assert request["startFromHead"] is False
        lines = [{"timestamp": number, "message": f"line {number}\n"} for number in range(50)]
        return {"events": lines[-request["limit"] :]}


def test_the_end_of_a_job_s_log_is_its_last_lines() -> None:
    logs: Any = _Logs()
    lines = run_logs.tail(logs, failed_sources().run, "Train")
    assert logs.asked == f"/aws/sagemaker/TrainingJobs digits-forest-{RUN_ID}-train/"
    assert [lines[0].message, lines[-1].message, len(lines)] == ["line 10", "line 49", run_logs.TAIL_LINES]


class _HostsLogs(_Logs):
    """Of a training job on two hosts: a stream each."""

    def describe_log_streams(self, **request: str) -> dict[str, Any]:
        super().describe_log_streams(**request)
        hosts = [f"{request['logStreamNamePrefix']}algo-{number}-1764252000" for number in (1, 2)]
        return {"logStreams": [{"logStreamName": host} for host in hosts]}


def test_the_end_of_the_log_of_several_hosts_names_each_line_s() -> None:
    logs: Any = _HostsLogs()
    lines = run_logs.tail(logs, failed_sources().run, "Train")
    assert [line.message for line in lines][-2:] == ["algo-1  line 49", "algo-2  line 49"]


class _FailedHostLogs(_HostsLogs):
    """The second host has failed; the first one said fifty lines more before it was ended."""

    def get_log_events(self, **request: Any) -> dict[str, Any]:
        if "/algo-2-" in request["logStreamName"]:
            return {"events": [{"timestamp": 1, "message": "ValueError: a row of 3 numbers"}]}
        return super().get_log_events(**request)


def test_what_one_host_failed_of_is_shown_however_much_another_said_after() -> None:
    logs: Any = _FailedHostLogs()
    told = [line.message for line in run_logs.tail(logs, failed_sources().run, "Train")]
    assert told[0] == "algo-2  ValueError: a row of 3 numbers"
    assert [each for each in told if each.startswith("algo-1  ")] == [f"algo-1  line {n}" for n in range(30, 50)]


class _TrialsLogs(_Logs):
    """Of a tuning job: its second trial has had two hosts."""

    def describe_log_streams(self, **request: str) -> dict[str, Any]:
        hosts = [f"{request['logStreamNamePrefix']}{trial}" for trial in ("001-a/algo-1-1", "002-b/algo-1-2")]
        return {"logStreams": [{"logStreamName": host} for host in (*hosts, hosts[1].replace("algo-1", "algo-2"))]}


def test_of_trials_the_last_ones_hosts_are_shown() -> None:
    logs: Any = _TrialsLogs()
    lines = run_logs.tail(logs, runs.of_item(record(jobs={"tune": "tuning"})), "Tune")
    assert {line.message.partition("  ")[0] for line in lines} == {"algo-1", "algo-2"}
    assert len(lines) == run_logs.TAIL_LINES, "of the first trial none"


def test_the_log_of_a_challenger_without_answers_is_in_the_report_though_the_run_has_not_come_to_evaluate() -> None:
    logs: Any = _Logs()
    error = {"state": "Evaluate", "error": "NoAnswers", "cause": "the challenger can't answer"}
    run = runs.of_item(record(outcome="Failed", error=error, jobs={"train": "t", "askchallenger": "asked"}))
    asked = histories.Visit("AskChallenger", "Task", START, error="NoAnswers", cause="the challenger can't answer")
    assert report._log(logs, run, Execution((asked,)))[-1].message == "line 49"
    assert logs.asked == "/aws/sagemaker/TransformJobs asked/"


class _BatchLogs(_Logs):
    """Of a transform job: a container's stream, and what of its files was wrong."""

    def describe_log_streams(self, **request: str) -> dict[str, Any]:
        (stream,) = super().describe_log_streams(**request)["logStreams"]
        return {"logStreams": [stream, {"logStreamName": f"{stream['logStreamName']}/data-log"}]}

    def get_log_events(self, **request: Any) -> dict[str, Any]:
        if request["logStreamName"].endswith("/data-log"):
            return {"events": [{"timestamp": 40, "message": "rows.csv: bad"}]}
        return super().get_log_events(**request)


def test_a_batch_that_failed_has_the_lines_of_all_its_streams() -> None:
    logs: Any = _BatchLogs()
    job = f"digits-forest-{RUN_ID}-answer"
    lines = run_logs.tail(logs, runs.of_item(record(jobs={"answer": job})), "Answer")
    assert logs.asked == f"/aws/sagemaker/TransformJobs {job}/"
    assert [line.message for line in lines][-10:-8] == ["rows.csv: bad", "line 41"], "by their time"


def test_a_running_batch_is_found_by_what_its_execution_has_started() -> None:
    visit = histories.Visit("Answer", "Task", START, parameters={"TransformJobName": "the-job"})
    found = list(run_logs._sources(runs.of_item({"run_id": "r"}), Execution((visit,)), str))
    assert [(source.group, source.stream_prefix) for source in found] == [("/aws/sagemaker/TransformJobs", "the-job/")]


def test_a_state_without_a_job_or_a_log_that_is_gone_has_none() -> None:
    gone: Any = _Logs("ResourceNotFoundException")
    assert run_logs.tail(gone, failed_sources().run, "Train") == []
    assert run_logs.tail(gone, failed_sources().run, "Plan") == []
    assert run_logs.tail(gone, runs.of_item({"run_id": "r"}), "Train") == []
    broken: Any = _Logs("InternalFailure")
    with pytest.raises(ClientError):
        run_logs.tail(broken, failed_sources().run, "Train")


def test_the_report_shows_which_answers_of_a_shadow_differ() -> None:
    sources = replace(rolled_back_sources(), run=runs.of_item(shadowed_record()))
    page = report.render(sources)
    assert "10 answers compared, 2 differ; 11 copies, 1 errors" in page
    assert "e1" in page and "the spec wants 95 %" in page
    assert HOSTILE not in page, "what a model answers is text, never markup"
    skipped = {**record(), "shadow": {"skipped": "no champion served"}}
    assert "no champion served" in report.render(replace(sources, run=runs.of_item(skipped)))
