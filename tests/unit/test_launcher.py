"""The launcher: whatever is repeated, interleaved or cut off, no trigger is lost and no two runs go at once."""

from __future__ import annotations

from typing import Any

import pytest
from aws_events import MACHINE, object_created, sqs_record, status_change
from common.state import ATTEMPTS, State, Trigger, ended, repairing, started, triggered
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from launched_runs import LaunchedRuns
from launcher.handler import take_batch
from launcher.launcher import execution_input
from launcher.triggers import Ended
from memory_aws import Crash, installed

from contract.states import NOT_RECORDED

ENVIRONMENT = {
    "DATA_BUCKET": "amzn-s3-demo-bucket1",
    "CHANNEL_PREFIXES": '["digits/train/", "digits/test/"]',
    "STATE_MACHINE_ARN": MACHINE,
    "DEAD_LETTERS_URL": "https://sqs/dead-letters",
}


def trigger(kind: str = "data", at: str = "2026-11-20T10:00:00.000Z", **more: Any) -> Trigger:
    return Trigger(kind, at, {}, **more)


# ------------------------------------------------------------------------------------- every interleaving, every crash


class AnyOrder(RuleBasedStateMachine):
    """Triggers, ends and looks, delivered twice, cut off anywhere, and into each other.

    A trigger is `owed` from when the launcher has acknowledged it until a run that started or planned later has taken
    the data as it was then. A run that was cut off owes what it took, again; one that a person stops owes nothing, but
    leaves the endpoint in disorder, until a run has planned.
    """

    messages = Bundle("messages")

    def __init__(self) -> None:
        super().__init__()
        self.world = LaunchedRuns()
        self.owed = 0
        self.covered_by: dict[str, int] = {}
        self.planned: set[str] = set()

    @rule(target=messages, kind=st.sampled_from(["data", "data", "code", "manual"]))
    def someone_triggers(self, kind: str) -> Any:
        return trigger(kind)

    @rule(message=messages, crash=st.integers(0, 12), between=st.booleans())
    def deliver(self, message: Any, crash: int, between: bool) -> None:
        """A message stays in its bundle, so that it comes again; `crash` counts the steps that the function gets."""
        acknowledged = self._cut_off(lambda: self._take(message), crash, between)
        if acknowledged and isinstance(message, Trigger):
            self.owed += 1

    @rule(crash=st.integers(0, 12), between=st.booleans())
    def look_around(self, crash: int, between: bool) -> None:
        self._cut_off(self.world.launcher.reconcile, crash, between)

    @rule()
    def a_run_plans(self) -> None:
        for run_id in self.world.executions.running:
            self._plan(run_id)

    def _plan(self, run_id: str) -> None:
        self.world.plan(run_id)
        self.world.disorder = None
        self.planned.add(run_id)
        if self.world.executions.inputs[run_id]["trigger"]["kind"] != "repair":
            self.covered_by[run_id] = self.owed

    @rule(target=messages)
    def a_person_stops_a_run(self) -> Any:
        ends = []
        for run_id in self.world.executions.running:
            self.world.disorder = "the endpoint was Updating"
            if not self.world.state.pending:
                self.covered_by[run_id] = self.owed
            self.world.finish(run_id, "ABORTED", None)
            ends.append(self.world.ended(run_id))
        return multiple(*ends)

    @rule(target=messages, how=st.sampled_from(["Promoted", "Failed", "Stopped"]))
    def a_run_ends(self, how: str) -> Any:
        """Its end is told by a message, which may never be delivered."""
        ends = []
        for run_id in self.world.executions.running:
            if run_id in self.planned:
                self.world.finish(run_id, "SUCCEEDED", how)
                ends.append(self.world.ended(run_id))
        return multiple(*ends)

    @rule(message=consumes(messages))
    def a_message_is_done(self, message: Any) -> None:
        if isinstance(message, Trigger):
            self._take(message)
            self.owed += 1

    def _take(self, message: Any) -> None:
        if isinstance(message, Ended):
            self.world.launcher.end(message)
        else:
            self.world.launcher.trigger([message])

    def _cut_off(self, action: Any, steps: int, between: bool) -> bool:
        left = [steps]

        def step() -> None:
            if left[0] == 0:
                raise Crash
            left[0] -= 1
            if between and left[0] == steps // 2:
                undisturbed, self.world.before_step = self.world.before_step, lambda: None
                self.world.launcher.reconcile()
                self.world.launcher.trigger([trigger()])
                self.owed += 1
                self.world.before_step = undisturbed

        self.world.before_step = step
        try:
            action()
        except Crash:
            return False
        finally:
            self.world.before_step = lambda: None
        return True

    @invariant()
    def one_at_a_time(self) -> None:
        assert len(self.world.executions.running) <= 1

    def teardown(self) -> None:
        """Once things calm down, one look every few minutes is enough to come to rest with nothing owed."""
        for _ in range(12):
            self.world.launcher.reconcile()
            for run_id in self.world.executions.running:
                self._plan(run_id)
                self.world.finish(run_id, "SUCCEEDED", "Promoted")
        assert self.world.state.running is None
        assert self.world.state.pending is None
        assert self.world.disorder is None
        assert max(self.covered_by.values(), default=0) == self.owed


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


# ------------------------------------------------------------------------------------------------------- one by one


def test_a_thousand_events_and_their_duplicates_are_two_runs() -> None:
    world = LaunchedRuns()
    records = [sqs_record(object_created(f"digits/train/{number}.csv"), number) for number in range(1000)]
    batches = [records[start : start + 10] for start in range(0, 1000, 10)]
    for batch in batches[:40] * 2:
        assert take_batch(world.launcher, batch, ENVIRONMENT) == {"batchItemFailures": []}
    (first,) = world.executions.running
    world.plan(first)
    for batch in batches[40:] * 2:
        take_batch(world.launcher, batch, ENVIRONMENT)
    world.finish(first, "SUCCEEDED", "Promoted")
    world.launcher.end(world.ended(first))
    (second,) = world.executions.running
    world.plan(second)
    world.finish(second, "SUCCEEDED", "NotBetter")
    world.launcher.end(world.ended(second))
    assert len(world.executions.inputs) == 2
    assert world.state.pending is None and world.state.running is None


def test_a_repair_that_could_not_start_yet_is_asked_for_once() -> None:
    """Looks that are cut off before they start it had used up all that a doubt has."""
    state = State(doubt={"run_id": "run-0000", "repairs": 0})
    once = repairing(state, "2026-11-20T10:00:00.000Z")
    assert once.pending and once.pending["kinds"] == ["repair"]
    assert repairing(once, "2026-11-20T10:05:00.000Z") == once


def test_a_run_that_an_older_version_began_supersedes_nothing() -> None:
    running = {"run_id": "r", "trigger": {"kind": "data"}, "forced": True}
    assert execution_input("digits", running) == {
        "pipeline": "digits",
        **running,
        "supersede": False,
        "tune": False,
        "drift": False,
    }


def test_a_trigger_starts_a_run_whose_input_says_everything() -> None:
    world = LaunchedRuns()
    answer = world.launcher.trigger([Trigger("manual", "2026-11-20T10:00:00.000Z", {"who": "me"}, forced=True)])
    assert answer.status == "started"
    assert world.executions.inputs[answer.run_id] == {
        "pipeline": "digits",
        "run_id": answer.run_id,
        "trigger": {"kind": "manual", "at": "2026-11-20T10:00:00.000Z", "detail": {"who": "me"}},
        "forced": True,
        "supersede": False,
        "tune": False,
        "drift": False,
    }
    record = world.table.read_run(answer.run_id)
    assert record is not None and record["outcome"] == "Running"


def test_a_trigger_during_a_run_waits_for_its_end() -> None:
    world = LaunchedRuns()
    first = world.launcher.trigger([trigger()])
    world.plan(first.run_id)
    waiting = world.launcher.trigger([trigger()])
    assert (waiting.status, waiting.run_id) == ("pending", first.run_id)
    world.finish(first.run_id, "SUCCEEDED", "Promoted")
    world.launcher.end(world.ended(first.run_id))
    assert len(world.executions.running) == 1
    world.launcher.end(world.ended(first.run_id))
    assert len(world.executions.inputs) == 2, "the same end told twice starts nothing more"


def test_what_arrives_before_the_plan_needs_no_further_run() -> None:
    world = LaunchedRuns()
    run_id = world.launcher.trigger([trigger()]).run_id
    world.launcher.trigger([trigger(), trigger("manual", forced=True)])
    world.plan(run_id)
    state = world.state
    assert state.pending is None
    assert state.running is not None and state.running["forced"], "a forced trigger that a run takes over forces it"


def test_a_run_that_was_cut_off_is_tried_again_but_not_for_ever() -> None:
    world = LaunchedRuns()
    world.launcher.trigger([trigger()])
    for _ in range(ATTEMPTS + 2):
        for run_id in world.executions.running:
            world.plan(run_id)
            world.finish(run_id, "FAILED", None)
            world.launcher.end(world.ended(run_id))
    assert len(world.executions.inputs) == ATTEMPTS
    records = [world.table.read_run(run_id) for run_id in world.executions.inputs]
    assert all(record and record["outcome"] == "Failed" and record["error"]["cause"] == "cause" for record in records)
    assert (world.state.pending or {})["held"], "what asked for it isn't lost"
    world.launcher.reconcile()
    assert len(world.executions.inputs) == ATTEMPTS
    after = world.launcher.trigger([trigger("schedule")])
    assert after.status == "started"
    assert world.executions.inputs[after.run_id]["trigger"]["kind"] == "schedule"
    assert world.state.pending is None, "the run takes both over"


def test_a_run_whose_recorder_failed_is_not_tried_again() -> None:
    world = LaunchedRuns()
    run_id = world.launcher.trigger([trigger()]).run_id
    world.finish(run_id, "FAILED", None)
    world.launcher.end(Ended(world.executions.arn(run_id), "FAILED", NOT_RECORDED, "no PutItem"))
    record = world.table.read_run(run_id)
    assert record is not None and record["outcome"] == "Failed" and record["error"]["cause"] == "no PutItem"
    assert len(world.executions.inputs) == 1


def test_an_execution_that_a_person_stopped_is_stopped_and_stays_so() -> None:
    world = LaunchedRuns()
    run_id = world.launcher.trigger([trigger()]).run_id
    world.finish(run_id, "ABORTED", None)
    world.launcher.end(world.ended(run_id))
    record = world.table.read_run(run_id)
    assert record is not None and record["outcome"] == "Stopped"
    assert world.executions.running == []


def test_a_rollback_leaves_new_data_to_a_run_of_its_own() -> None:
    world = LaunchedRuns()
    first = world.launcher.trigger([trigger("data")])
    world.plan(first.run_id)
    world.launcher.trigger([trigger("data"), trigger("rollback"), trigger("code")])
    world.finish(first.run_id, "SUCCEEDED", "Promoted")
    world.launcher.end(world.ended(first.run_id))
    (rollback,) = world.executions.running
    assert world.executions.inputs[rollback]["trigger"]["kind"] == "rollback"
    world.plan(rollback)
    world.finish(rollback, "SUCCEEDED", "Promoted")
    world.launcher.end(world.ended(rollback))
    (last,) = world.executions.running
    assert world.executions.inputs[last]["trigger"]["kind"] == "code"


def test_a_rollback_asked_for_during_settling_is_not_taken_for_data() -> None:
    state = triggered(State(), [trigger()])
    state = triggered(started(state, "r1", "arn", "now"), [trigger(), trigger("rollback")])
    world = LaunchedRuns()
    world.table.update(lambda _: state)
    world.plan("r1")
    assert world.state.pending is not None and world.state.pending["kinds"] == ["rollback"]


def test_a_stranger_cannot_end_the_running_run() -> None:
    state = started(triggered(State(), [trigger()]), "r1", "arn", "now")
    assert ended(state, "r0", again=False) == state


# ------------------------------------------------------------------------------------------------------------ batches


def test_a_batch_sets_aside_only_what_it_could_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    world, aws = LaunchedRuns(), installed(monkeypatch)
    records = [
        sqs_record(object_created(), 1),
        sqs_record("not json", 2),
        sqs_record({"source": "aws.ec2", "detail-type": "x"}, 3),
        sqs_record(object_created("elsewhere/a.csv"), 4),
        sqs_record(status_change("SUCCEEDED"), 5),
    ]
    assert take_batch(world.launcher, records, ENVIRONMENT) == {"batchItemFailures": []}
    assert [sent["MessageBody"] for sent in aws.called("send_message")] == [records[place]["body"] for place in (1, 2)]
    assert world.state.running is not None


def test_a_batch_whose_start_fails_comes_again_and_is_finished_then(monkeypatch: pytest.MonkeyPatch) -> None:
    world = LaunchedRuns()
    start = world.executions.start

    def throttled(run_id: str, request: dict[str, Any]) -> None:
        raise RuntimeError("Rate exceeded")

    monkeypatch.setattr(world.executions, "start", throttled)
    failed = take_batch(world.launcher, [sqs_record(object_created())], ENVIRONMENT)
    assert len(failed["batchItemFailures"]) == 1
    monkeypatch.setattr(world.executions, "start", start)
    again = take_batch(world.launcher, [sqs_record(object_created(), receive_count=2)], ENVIRONMENT)
    assert again == {"batchItemFailures": []}
    assert len(world.executions.running) == 1
