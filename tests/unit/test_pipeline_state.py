"""A pipeline's state, change by change: what is written, to the letter."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from common.state import (
    ATTEMPTS,
    WITHDRAWN,
    LockLostError,
    State,
    Trigger,
    ended,
    judged,
    planning,
    promoted,
    require_lock,
    started,
    triggered,
    went_back,
)

AT = "2026-11-20T10:00:00.000Z"
EARLY, LATE = "2026-11-20T09:00:00.000Z", "2026-11-20T11:00:00.000Z"


def trigger(kind: str = "data", at: str = AT, **more: Any) -> Trigger:
    return Trigger(kind, at, more.pop("detail", {"of": kind}), **more)


def pending(state: State) -> dict[str, Any]:
    assert state.pending is not None
    return state.pending


def running(state: State) -> dict[str, Any]:
    assert state.running is not None
    return state.running


def begun(*triggers: Trigger) -> State:
    return started(triggered(State(), list(triggers)), "r1", "arn", AT)


# -------------------------------------------------------------------------------------------------------- pending


def test_a_trigger_waits_with_all_that_it_said() -> None:
    assert pending(triggered(State(), [trigger("manual", forced=True, attempt=2)])) == {
        "count": 1,
        "first_at": AT,
        "last_at": AT,
        "kinds": ["manual"],
        "forced": True,
        "supersede": False,
        "tune": False,
        "drift": False,
        "details": {"manual": {"of": "manual"}},
        "attempt": 2,
    }


def test_triggers_come_together() -> None:
    state = triggered(State(), [trigger("data", AT), trigger("code", LATE, attempt=3)])
    state = triggered(state, [trigger("data", EARLY, detail={"key": "last"})])
    assert pending(state) == {
        "count": 3,
        "first_at": EARLY,
        "last_at": LATE,
        "kinds": ["code", "data"],
        "forced": False,
        "supersede": False,
        "tune": False,
        "drift": False,
        "details": {"data": {"key": "last"}, "code": {"of": "code"}},
        "attempt": 3,
    }


def test_one_forced_trigger_forces_them_all() -> None:
    for order in ([True, False], [False, True]):
        state = triggered(State(), [trigger(forced=forced) for forced in order])
        assert pending(state)["forced"] is True


def test_one_trigger_that_supersedes_is_enough() -> None:
    for order in ([True, False], [False, True]):
        state = triggered(State(), [trigger(supersede=supersede) for supersede in order])
        assert pending(state)["supersede"] is True
        assert running(started(state, "r1", "arn", AT))["supersede"] is True


def test_a_run_that_plans_takes_over_that_it_supersedes() -> None:
    state = triggered(begun(trigger()), [trigger("manual", supersede=True)])
    assert running(planning(state, "r1"))["supersede"] is True
    asked = running(planning(triggered(begun(trigger(supersede=True)), [trigger()]), "r1"))
    assert (asked["supersede"], asked["forced"]) == (True, False)


def test_a_rollback_supersedes_nothing_and_leaves_it_to_the_run_that_trains() -> None:
    state = begun(trigger("rollback"), trigger("manual", supersede=True))
    assert (running(state)["supersede"], pending(state)["supersede"]) == (False, True)


def test_a_run_that_was_cut_off_supersedes_again() -> None:
    assert pending(ended(begun(trigger(supersede=True)), "r1", again=True))["supersede"] is True


def test_no_trigger_changes_nothing() -> None:
    assert triggered(State(), []) == State()


def test_what_an_older_version_wrote_is_understood() -> None:
    """Items without `forced` and `attempt` were written before there were any."""
    old = {"count": 1, "first_at": AT, "last_at": AT, "kinds": ["data"], "details": {}}
    found = pending(triggered(State(pending=old), [trigger()]))
    assert (found["forced"], found["attempt"], found["count"]) == (False, 1, 2)
    begun = started(State(pending={**old, "forced": False}), "r1", "arn", AT)
    assert (running(begun)["attempt"], running(begun)["trigger"]["detail"]) == (1, {})
    assert running(begun)["supersede"] is False


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(
        ValueError, match="no trigger is of kind 'whim'; the kinds are repair, rollback, manual, drift, code"
    ):
        trigger("whim")


# -------------------------------------------------------------------------------------------------------- running


def test_a_run_takes_all_that_is_pending() -> None:
    state = begun(trigger("data", AT), trigger("manual", LATE, forced=True, attempt=2))
    assert state.pending is None
    assert running(state) == {
        "run_id": "r1",
        "execution_arn": "arn",
        "started_at": AT,
        "trigger": {"kind": "manual", "at": LATE, "detail": {"of": "manual"}},
        "forced": True,
        "supersede": False,
        "tune": False,
        "drift": False,
        "attempt": 2,
    }


def test_nothing_starts_while_a_run_is_on_its_way_or_nothing_waits() -> None:
    state = triggered(begun(trigger()), [trigger()])
    assert started(state, "r2", "arn", AT) == state
    assert started(State(), "r2", "arn", AT) == State()


def test_a_rollback_goes_first_and_leaves_the_rest_waiting() -> None:
    state = triggered(State(), [trigger("data"), trigger("data"), trigger("rollback", forced=True), trigger("code")])
    state = started(state, "r1", "arn", AT)
    assert (running(state)["trigger"]["kind"], running(state)["forced"]) == ("rollback", False)
    assert pending(state) == {
        "count": 3,
        "first_at": AT,
        "last_at": AT,
        "kinds": ["code", "data"],
        "forced": True,
        "supersede": False,
        "tune": False,
        "drift": False,
        "details": {"data": {"of": "data"}, "code": {"of": "code"}},
        "attempt": 1,
    }


def test_a_rollback_alone_leaves_nothing_waiting() -> None:
    assert begun(trigger("rollback")).pending is None


def test_at_least_one_trigger_of_each_kind_goes_on_waiting() -> None:
    """Rollbacks that were counted twice: a count is never less than its kinds."""
    state = triggered(State(), [trigger("rollback"), trigger("code"), trigger("data")])
    state = replace(state, pending={**pending(state), "count": 2})
    assert pending(started(state, "r1", "arn", AT))["count"] == 2


# --------------------------------------------------------------------------------------------------------- planning


def test_a_run_that_plans_takes_over_what_arrived() -> None:
    state = triggered(begun(trigger()), [trigger("code"), trigger("manual", forced=True)])
    planned = planning(state, "r1")
    assert planned.pending is None
    assert running(planned) == {**running(state), "forced": True}


def test_a_forced_run_stays_forced() -> None:
    state = triggered(begun(trigger(forced=True)), [trigger()])
    assert running(planning(state, "r1"))["forced"] is True
    assert running(planning(triggered(begun(trigger()), [trigger()]), "r1"))["forced"] is False


def test_a_rollback_takes_over_nothing() -> None:
    state = triggered(begun(trigger("rollback")), [trigger("data")])
    assert planning(state, "r1") == state


def test_a_rollback_that_waits_goes_on_waiting() -> None:
    state = triggered(begun(trigger()), [trigger("data"), trigger("rollback", LATE, forced=True)])
    assert pending(planning(state, "r1")) == {
        "count": 1,
        "first_at": AT,
        "last_at": LATE,
        "kinds": ["rollback"],
        "forced": False,
        "supersede": False,
        "tune": False,
        "drift": False,
        "details": {"rollback": {"of": "rollback"}},
        "attempt": 1,
    }


# -------------------------------------------------------------------------------------------------------------- ends


def test_an_end_frees_the_lock() -> None:
    state = triggered(begun(trigger()), [trigger("code")])
    freed = ended(state, "r1", again=False)
    assert (freed.running, freed.pending) == (None, state.pending)
    assert ended(state, "r2", again=True) == state
    assert ended(State(), "r1", again=True) == State()


def test_after_its_last_attempt_a_trigger_waits_for_the_next() -> None:
    assert ATTEMPTS == 3
    state = ended(begun(trigger("manual", forced=True, attempt=3)), "r1", again=True)
    assert state.running is None
    assert (pending(state)["held"], pending(state)["kinds"], pending(state)["forced"]) == (True, ["manual"], True)
    assert started(state, "r2", "arn", AT) == state, "by itself it starts nothing"
    state = triggered(state, [trigger("data", LATE)])
    assert "held" not in pending(state)
    assert (pending(state)["kinds"], pending(state)["count"], pending(state)["attempt"]) == (["manual", "data"], 2, 1)
    assert running(started(state, "r2", "arn", LATE))["forced"]


def test_a_repair_runs_beside_what_is_held_and_lets_nothing_go() -> None:
    state = ended(begun(trigger("manual", attempt=3)), "r1", again=True, repair_at=AT)
    state = started(state, "r2", "arn", AT)
    assert running(state)["trigger"]["kind"] == "repair"
    assert (pending(state)["held"], pending(state)["kinds"]) == (True, ["manual"])
    state = ended(state, "r2", again=False)
    assert started(state, "r3", "arn", AT) == state


def test_after_its_last_attempt_a_trigger_joins_those_that_came_meanwhile() -> None:
    state = triggered(begun(trigger("data", attempt=3)), [trigger("code")])
    state = ended(state, "r1", again=True)
    assert (pending(state)["kinds"], pending(state)["attempt"]) == (["code", "data"], 1)
    assert running(started(state, "r2", "arn", AT))["trigger"]["kind"] == "code"


def test_a_rollback_that_was_cut_off_too_often_is_asked_for_again() -> None:
    state = ended(begun(trigger("rollback", attempt=3)), "r1", again=True)
    assert (state.running, state.pending) == (None, None)


@pytest.mark.parametrize("attempt", [1, 2])
def test_a_run_that_was_cut_off_goes_again_until_its_last_attempt(attempt: int) -> None:
    state = ended(begun(trigger("manual", forced=True, attempt=attempt)), "r1", again=True)
    assert state.running is None
    assert pending(state) == {
        "count": 1,
        "first_at": AT,
        "last_at": AT,
        "kinds": ["manual"],
        "forced": True,
        "supersede": False,
        "tune": False,
        "drift": False,
        "details": {"manual": {"of": "manual"}},
        "attempt": attempt + 1,
    }


def test_a_run_that_an_older_version_started_was_a_first_attempt() -> None:
    state = begun(trigger())
    old = {name: value for name, value in running(state).items() if name != "attempt"}
    assert pending(ended(replace(state, running=old), "r1", again=True))["attempt"] == 2


# --------------------------------------------------------------------------------------------------------- champions


def test_the_lock_is_its_runs() -> None:
    state = begun(trigger())
    assert require_lock(state, "r1") == state.running
    for stranger, holder in ((state, r"\(run r1 does\)"), (State(), r"\(no run does\)")):
        with pytest.raises(LockLostError, match=f"run r2 doesn't hold the pipeline's lock {holder}; runs are started"):
            require_lock(stranger, "r2")
        with pytest.raises(LockLostError):
            judged(stranger, "r2", "f")


def test_what_was_judged_is_remembered() -> None:
    assert judged(begun(trigger()), "r1", "f").last_judged_fingerprint == "f"


def champion(number: int) -> dict[str, Any]:
    return {"run_id": f"r{number}", "model_name": f"m{number}", "endpoint_config_name": f"c{number}"}


def names(number: int) -> dict[str, Any]:
    return {"model_name": f"m{number}", "endpoint_config_name": f"c{number}"}


def test_a_champion_keeps_the_one_before_and_the_last_few() -> None:
    state = begun(trigger())
    for number in range(1, 5):
        state = promoted(replace(state, running={"run_id": f"r{number}"}), f"r{number}", champion(number), 3)
    assert state.champion == {**champion(4), "promoted_by": "r4"}
    assert state.previous_champion == {**champion(3), "promoted_by": "r3"}
    assert state.retained == (names(4), names(3), names(2))


def test_a_champion_that_comes_back_is_retained_once() -> None:
    state = begun(trigger())
    for run_id, number in (("r1", 1), ("r2", 2), ("r3", 1)):
        state = promoted(replace(state, running={"run_id": run_id}), run_id, champion(number), 3)
    assert state.retained == (names(1), names(2))
    assert (state.champion or {})["promoted_by"] == "r3"


def went_to(state: State, run_id: str, number: int) -> State:
    model = {**champion(number), "fingerprint": f"f{number}"}
    return went_back(replace(state, running={"run_id": run_id}), run_id, model, 3)


def withdrawn(state: State) -> list[str]:
    return [entry["run_id"] for entry in state.withdrawn]


def test_what_a_person_went_back_from_is_known_until_it_is_champion_again() -> None:
    state = replace(begun(trigger()), champion={**champion(3), "fingerprint": "f3"})
    state = went_to(state, "r4", 1)
    assert withdrawn(state) == ["r3"]
    state = went_to(state, "r5", 2)
    assert withdrawn(state) == ["r1", "r3"]
    state = went_to(state, "r6", 3)
    assert withdrawn(state) == ["r2", "r1"]
    forced = {**champion(7), "fingerprint": "f1"}
    state = promoted(replace(state, running={"run_id": "r7"}), "r7", forced, 3)
    assert withdrawn(state) == ["r2"], "the same work, which somebody has forced and the gate has let through"


def test_as_many_are_remembered_as_an_item_can_hold() -> None:
    state = replace(begun(trigger()), champion={**champion(0), "fingerprint": "f0"})
    for number in range(1, 3 * WITHDRAWN):
        state = went_to(state, f"r-{number}", number)
    assert len(state.withdrawn) == WITHDRAWN
    assert withdrawn(state)[0] == f"r{3 * WITHDRAWN - 2}"


def test_a_champion_is_as_frozen_as_its_state() -> None:
    with pytest.raises(AttributeError):
        State().version = 1  # type: ignore[misc]
