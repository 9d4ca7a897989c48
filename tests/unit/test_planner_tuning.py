"""Plan's part of tuning: whether a run tunes, from which parents, and over which ranges."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from common import clock
from common.run_table import RunTable
from common.state import State, Trigger, ended, started, triggered
from hypothesis import given
from hypothesis import strategies as st
from memory_aws import Aws, installed
from planner import handler, parents
from planner.refined import Tried, best_of, refined
from planner.tuning import NotTunableError, decide, known_values

from contract import names

NOW = datetime(2026, 11, 20, 10, 11, 12, tzinfo=UTC)
RUN_ID = "20261120-101112-abcd"
RANGES = {
    "IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "20", "ScalingType": "Linear"}],
    "ContinuousParameterRanges": [
        {"Name": "rate", "MinValue": "0.0001", "MaxValue": "1", "ScalingType": "Logarithmic"}
    ],
    "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b", "c"]}],
}
VALUES = {"depth": "3", "rate": "0.1", "kind": "a"}
OBJECTIVE = {"Type": "Maximize", "MetricName": "f1"}
SETTINGS: dict[str, Any] = {
    "environment": "local",
    "first_run": True,
    "every": None,
    "on_drift": False,
    "objective": OBJECTIVE,
    "better": "greater",
    "ranges": RANGES,
    "refine": False,
    "warm_start": None,
    "names": ["depth", "kind", "n", "rate", "sagemaker_program"],
    "variables": {"RATCHET_PIPELINE": "digits"},
}
CHAMPION = {"run_id": "r1", "fingerprint": "f", "model_data": "s3://artifacts/m", "tuned": VALUES}
TUNED = {"run_id": "r1", "at": "2026-11-10T10:11:12.000Z", "best": VALUES, "runs": 3, "last_run": "r4", "jobs": []}


def state(*, tuning: Any = TUNED, champion: Any = CHAMPION, **asked: bool) -> State:
    begun = triggered(State(champion=champion, tuning=tuning), [Trigger("data", "t", {}, **asked)])
    return started(begun, RUN_ID, "arn", "t")


# ---------------------------------------------------------------------------------------------------- whether it tunes

EVERY_FIVE, EVERY_TEN = {"runs": 5, "seconds": None}, {"runs": 10, "seconds": None}
WEEKLY, MONTHLY = {"runs": None, "seconds": 7 * 86400}, {"runs": None, "seconds": 30 * 86400}

DECISIONS: list[tuple[dict[str, Any], State, str | None]] = [
    ({}, state(tuning=None, champion=None), "no tuned hyperparameters are known yet"),
    ({}, state(tuning=None, champion={"run_id": "r1"}), "no tuned hyperparameters are known yet"),
    ({}, state(), None),
    ({}, state(champion=None), None),
    ({"first_run": False}, state(tuning=None, champion=None), None),
    ({"first_run": False, "every": {"runs": 1, "seconds": None}}, state(tuning=None, champion=None), None),
    ({"first_run": False}, state(tuning=None, champion=None, tune=True), "somebody asked for it"),
    ({}, state(tune=True), "somebody asked for it"),
    ({}, state(drift=True), None),
    ({"on_drift": True}, state(drift=True), "the data have drifted"),
    ({"every": EVERY_TEN}, state(), None),
    ({"every": EVERY_FIVE}, state(), None),
    ({"every": EVERY_FIVE}, state(tuning={**TUNED, "runs": 4}), "it is the 5th run since the last that tuned (r1)"),
    ({"every": {"runs": 1, "seconds": None}}, state(tuning={**TUNED, "runs": 0}), "it is the 1st run since the last"),
    ({"every": MONTHLY}, state(), None),
    ({"every": WEEKLY}, state(), "it was last tuned 10.0 days ago"),
    ({"every": WEEKLY}, state(tuning=None), "nobody knows when it was last tuned"),
    (
        {"ranges": {**RANGES, "CategoricalParameterRanges": [{"Name": "sort", "Values": ["a"]}]}},
        state(),
        "tune.ranges has other hyperparameters than those that are known (kind, sort)",
    ),
]


@pytest.mark.parametrize(("settings", "before", "because"), DECISIONS)
def test_a_run_tunes_when_the_spec_or_somebody_says_so(
    settings: dict[str, Any], before: State, because: str | None
) -> None:
    decision = decide({**SETTINGS, **settings}, before, NOW)
    assert decision is not None
    assert decision.tunes == (because is not None)
    assert decision.because.startswith(because or "it trains with ")
    assert decision.wished == (because in ("somebody asked for it", "the data have drifted"))
    assert decision.values == ({} if decision.tunes else dict(known_values(before)))


def test_the_champions_values_go_before_those_of_a_tuning_job_that_lost() -> None:
    lost = {**TUNED, "best": {**VALUES, "depth": "19"}}
    decision = decide(SETTINGS, state(tuning=lost), NOW)
    assert decision and decision.values["depth"] == "3"
    without = decide(SETTINGS, state(tuning=lost, champion=None), NOW)
    assert without and without.values["depth"] == "19" and "the last tuning job's" in without.because


def test_a_pipeline_without_tune_decides_nothing_and_refuses_to_be_tuned() -> None:
    assert decide(None, state(), NOW) is None
    with pytest.raises(NotTunableError, match=r"pipeline\.yaml has no tune:"):
        decide(None, state(tune=True), NOW)


# -------------------------------------------------------------------------------------------------------------- ranges


def trial(objective: float, **values: Any) -> Tried:
    return Tried({name: str(value) for name, value in values.items()}, objective)


GOOD = [trial(0.9 + n / 100, depth=5 + n % 3, rate=0.01 * (1 + n % 2), kind="b") for n in range(4)]
BAD = [trial(n / 100, depth=n, rate=0.5, kind="c") for n in range(12)]


def test_ranges_are_narrowed_to_where_the_best_trials_lie() -> None:
    found, narrower = refined(RANGES, [*BAD, *GOOD])
    assert narrower == ["depth", "rate", "kind"]
    (depth,) = found["IntegerParameterRanges"]
    assert (depth["MinValue"], depth["MaxValue"]) == ("3", "9"), "5 to 7, and a tenth of 1 to 20 on both sides"
    (rate,) = found["ContinuousParameterRanges"]
    assert float(rate["MinValue"]) == pytest.approx(0.01 * 10**-0.4)
    assert float(rate["MaxValue"]) == pytest.approx(0.02 * 10**0.4), "on the range's own scale"
    assert found["CategoricalParameterRanges"] == [{"Name": "kind", "Values": ["b"]}]


def test_few_trials_narrow_nothing() -> None:
    assert best_of(BAD[:9]) == []
    assert refined(RANGES, BAD[:9]) == (RANGES, [])


def test_values_that_are_beyond_the_ranges_say_nothing() -> None:
    found, narrower = refined(RANGES, [trial(1.0, depth=99, rate="nan", kind="z") for _ in range(20)])
    assert (found, narrower) == (RANGES, [])


SCALES = st.sampled_from(["Linear", "Logarithmic", "ReverseLogarithmic", "Auto"])
SHARES = st.lists(st.floats(0, 1), min_size=10, max_size=30)


@given(SCALES, SHARES)
def test_a_narrower_range_lies_in_the_old_one_and_holds_the_best(scale: str, shares: list[float]) -> None:
    low, high = 0.001, 0.9
    entry = {"Name": "x", "MinValue": str(low), "MaxValue": str(high), "ScalingType": scale}
    trials = [trial(n, x=low + (high - low) * share) for n, share in enumerate(shares)]
    found, _ = refined({"ContinuousParameterRanges": [entry]}, trials)
    (after,) = found["ContinuousParameterRanges"]
    least, most = float(after["MinValue"]), float(after["MaxValue"])
    assert low <= least < most <= high
    assert all(least <= float(one.values["x"]) <= most for one in best_of(trials))


@given(st.integers(-5, 5), st.integers(1, 100), st.lists(st.floats(0, 1), min_size=10, max_size=20))
def test_a_narrower_range_of_whole_numbers_is_one(low: int, width: int, shares: list[float]) -> None:
    high = low + width
    entry = {"Name": "x", "MinValue": str(low), "MaxValue": str(high), "ScalingType": "Linear"}
    trials = [trial(n, x=low + round(width * share)) for n, share in enumerate(shares)]
    found, _ = refined({"IntegerParameterRanges": [entry]}, trials)
    least, most = (int(found["IntegerParameterRanges"][0][end]) for end in ("MinValue", "MaxValue"))
    assert low <= least < most <= high
    assert all(least <= int(one.values["x"]) <= most for one in best_of(trials))


# ------------------------------------------------------------------------------------------------------------- parents


def described(**changes: Any) -> dict[str, Any]:
    """DescribeHyperParameterTuningJob of one that may be a parent."""
    definition = {
        "StaticHyperParameters": {"n": "1", "sagemaker_program": "train.py", "_tuning_objective_metric": "f1"},
        "Environment": SETTINGS["variables"],
    }
    config = {"HyperParameterTuningJobObjective": OBJECTIVE, "ParameterRanges": RANGES}
    document: dict[str, Any] = {
        "HyperParameterTuningJobStatus": "Completed",
        "HyperParameterTuningJobConfig": config,
        "TrainingJobDefinition": definition,
    }
    return {**document, **changes}


def with_config(**changes: Any) -> dict[str, Any]:
    document = described()
    document["HyperParameterTuningJobConfig"] |= changes
    return document


def with_definition(**changes: Any) -> dict[str, Any]:
    document = described()
    document["TrainingJobDefinition"] |= changes
    return document


UNLIKE = [
    (described(), None),
    (described(HyperParameterTuningJobStatus="Stopped"), None),
    (described(HyperParameterTuningJobStatus="Failed"), None),
    (described(HyperParameterTuningJobStatus="InProgress"), "is InProgress; a parent has ended"),
    (
        with_config(HyperParameterTuningJobObjective={**OBJECTIVE, "MetricName": "loss"}),
        "had the objective maximize loss",
    ),
    (with_config(HyperParameterTuningJobObjective={**OBJECTIVE, "Type": "Minimize"}), "had the objective minimize f1"),
    (with_config(ParameterRanges={}), "had other hyperparameters (depth, kind, rate)"),
    (with_definition(StaticHyperParameters={"n": "1"}), "had other hyperparameters (sagemaker_program)"),
    (with_definition(Environment={}), "had other environment variables"),
]


@pytest.mark.parametrize(("parent", "reason"), UNLIKE)
@pytest.mark.fidelity(
    "Tuning",
    "A parent has ended, and has the same objective, the same names of hyperparameters and the same environment.",
    "SageMaker DG, Run a warm start hyperparameter tuning job; aws/sagemaker-python-sdk #3693",
)
def test_a_tuning_job_that_sagemaker_would_not_take_is_no_parent(parent: dict[str, Any], reason: str | None) -> None:
    found = parents.unlike(SETTINGS, parent)
    assert found == reason if reason is None else str(found).startswith(reason)


def test_a_static_hyperparameter_may_be_tuned_now_and_the_reverse() -> None:
    before = with_definition(StaticHyperParameters={"n": "1", "kind": "a", "sagemaker_program": "train.py"})
    before["HyperParameterTuningJobConfig"]["ParameterRanges"] = {
        kind: entries for kind, entries in RANGES.items() if kind != "CategoricalParameterRanges"
    }
    assert parents.unlike(SETTINGS, before) is None


# ------------------------------------------------------------------------------------------------------------ the plan

OWN = [names.tuning_job("local", "digits", f"2026111{day}-101112-abcd") for day in range(4)]
EVENT: dict[str, Any] = {
    "run": {"pipeline": "digits", "run_id": RUN_ID, "trigger": {"kind": "data", "at": "t", "detail": {}}},
    "channels": {"train": "digits/train/", "test": "digits/test/"},
    "held_out": None,
    "data_starts_runs": True,
    "code_hash": "c",
    "spec_hash": "s",
    "image_uri": "i",
}
MODEL = ("artifacts", "m")


def entry(number: int, **changes: Any) -> dict[str, Any]:
    run = f"2026111{number}-101112-abcd"
    return {"job": OWN[number], "run_id": run, "made_from": "old", "manifests": run, **changes}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    aws = installed(
        monkeypatch, RUN_TABLE="runs", DATA_BUCKET="data", ARTIFACT_BUCKET="artifacts", ENDPOINT_NAME="local-digits"
    )
    keys = ("digits/train/a.csv", "digits/test/a.csv")
    entries = [{"Key": key, "ETag": '"e"', "Size": 10, "VersionId": "v", "IsLatest": True} for key in keys]
    aws.s3.versions["data"] = entries
    aws.s3.objects[MODEL] = b"x"
    return aws


def planned(aws: Aws, before: State, tune: dict[str, Any] | None = None) -> dict[str, Any]:
    RunTable(aws.client("dynamodb"), "runs", "digits").update(lambda _: before)
    settings = {} if tune is None else {"tune": {**SETTINGS, **tune}}
    answer: dict[str, Any] = handler.handle({**EVENT, **settings}, None)
    return answer


def test_a_first_run_tunes(aws: Aws) -> None:
    plan = planned(aws, state(champion=None, tuning=None), {})
    assert plan["tuning"]["job"] == names.tuning_job("local", "digits", RUN_ID)
    assert plan["tuning"]["ranges"] == RANGES
    assert plan["tuning"]["because"] == "no tuned hyperparameters are known yet"
    assert "warm_start" not in plan["tuning"] and "tuned" not in plan
    kept = json.loads(aws.s3.objects["artifacts", f"runs/digits/{RUN_ID}/plan.json"])
    assert kept["tuning"] == plan["tuning"]


def test_the_next_run_trains_with_the_champions_values(aws: Aws) -> None:
    plan = planned(aws, state(), {})
    assert plan["tuned"] == VALUES and "tuning" not in plan
    assert plan["untuned"] == "it trains with the champion's hyperparameters, tuned again by `ratchet run --tune`"


def test_a_pipeline_without_tune_is_planned_as_ever(aws: Aws) -> None:
    assert not {"tuning", "tuned", "untuned"} & planned(aws, state()).keys()


def up_to_date(aws: Aws, tune: dict[str, Any] | None) -> dict[str, Any]:
    """The champion as one that was made from just what there is now."""
    fingerprint = planned(aws, state(champion=None), tune)["fingerprint"]
    return {**CHAMPION, "fingerprint": fingerprint}


def test_nothing_new_is_tuned_when_somebody_asks_for_it_and_only_then(aws: Aws) -> None:
    champion = up_to_date(aws, {})
    assert planned(aws, state(champion=champion), {})["outcome"] == "UpToDate"
    due = planned(aws, state(champion=champion), {"every": {"runs": 1, "seconds": None}})
    assert due["outcome"] == "UpToDate", "what is due waits for work"
    asked = planned(aws, state(champion=champion, tune=True), {})
    assert (asked["outcome"], asked["tuning"]["because"]) == ("Run", "somebody asked for it")


def cut_off(aws: Aws, before: State) -> State:
    """The state of the run that takes the place of one whose execution was lost while it tuned."""
    planned(aws, before, {})
    table = RunTable(aws.client("dynamodb"), "runs", "digits")
    state = ended(table.read_state(), RUN_ID, again=True)
    return started(state, RUN_ID, "arn", "t")


def test_a_run_that_takes_the_place_of_one_that_was_cut_off_goes_on_with_its_tuning_job(aws: Aws) -> None:
    before = wants()
    again = cut_off(aws, before)
    job = names.tuning_job("local", "digits", RUN_ID)
    assert again.running and (again.running["attempt"], again.running["tunes"]["job"]) == (2, job)
    anew = planned(aws, again, {})
    assert "adopted" not in anew["tuning"], "SageMaker has no such job: it was cut off before"

    aws.sagemaker.tuning_jobs[job] = described(HyperParameterTuningJobStatus="InProgress")
    plan = planned(aws, again, {})
    assert (plan["tuning"]["job"], plan["tuning"]["folder"], plan["tuning"]["adopted"]) == (job, RUN_ID, True)
    aws.s3.versions["data"][0]["ETag"] = '"other"'
    assert "adopted" not in planned(aws, again, {})["tuning"], "other data are other work"


def test_a_run_that_tunes_may_be_cut_off_more_often(aws: Aws) -> None:
    aws.sagemaker.tuning_jobs[names.tuning_job("local", "digits", RUN_ID)] = described()
    again = wants()
    for attempt in range(2, 11):
        again = cut_off(aws, again)
        assert again.running and again.running["attempt"] == attempt
    last = ended(again, RUN_ID, again=True)
    assert last.pending and last.pending["held"], "but not for ever"


def warm(**changes: Any) -> dict[str, Any]:
    return {"warm_start": {"last": None, "jobs": [], "type": "TransferLearning", **changes}}


def wants(**tuning: Any) -> State:
    return state(tune=True, tuning={**TUNED, "jobs": [entry(3), entry(2), entry(1)], **tuning})


def parents_of(plan: dict[str, Any]) -> list[str]:
    config = plan["tuning"]["warm_start"]
    return [parent["HyperParameterTuningJobName"] for parent in config["ParentHyperParameterTuningJobs"]]


def test_the_last_tuning_jobs_that_fit_are_the_parents(aws: Aws) -> None:
    aws.sagemaker.tuning_jobs |= {OWN[3]: described(), OWN[2]: with_definition(Environment={}), OWN[1]: described()}
    plan = planned(aws, wants(), warm(last=2))
    assert parents_of(plan) == [OWN[3], OWN[1]] == plan["tuning"]["parents"]
    assert plan["tuning"]["left_out"] == {OWN[2]: "had other environment variables (rules and probe stand there)"}
    assert plan["tuning"]["warm_start"]["WarmStartType"] == "TransferLearning"
    alone = planned(aws, wants(), warm(last=1))
    assert parents_of(alone) == [OWN[3]] and "left_out" not in alone["tuning"], "no more are looked at"


def test_without_a_parent_that_is_left_a_tuning_job_has_none(aws: Aws) -> None:
    plan = planned(aws, wants(jobs=[entry(1)]), warm(last=2))
    assert "warm_start" not in plan["tuning"]
    assert plan["tuning"]["left_out"] == {OWN[1]: "is no more"}


def test_a_named_parent_that_does_not_fit_is_an_error(aws: Aws) -> None:
    aws.sagemaker.tuning_jobs["theirs"] = described()
    assert parents_of(planned(aws, wants(), warm(jobs=["theirs"]))) == ["theirs"]
    aws.sagemaker.tuning_jobs["theirs"]["HyperParameterTuningJobStatus"] = "InProgress"
    with pytest.raises(
        parents.ParentRefusedError,
        match=r"^tune.warm_start.jobs of pipeline.yaml: theirs is InProgress; a parent has ended; gone is no more$",
    ):
        planned(aws, wants(), warm(jobs=["theirs", "gone"]))


def test_identical_parents_are_of_the_same_data_and_lend_their_manifests(aws: Aws) -> None:
    origin = planned(aws, wants(), {})["tuning"]["made_from"]
    aws.sagemaker.tuning_jobs |= {job: described() for job in OWN}
    jobs = [entry(3), entry(2, made_from=origin, manifests="20261109-101112-abcd"), entry(1, made_from=origin)]
    plan = planned(aws, wants(jobs=jobs), warm(last=3, type="IdenticalDataAndAlgorithm"))
    assert parents_of(plan) == [OWN[2]], "all of them on the same manifests"
    assert plan["data"]["manifests"]["train"] == (
        "s3://artifacts/runs/digits/20261109-101112-abcd/manifests/train.manifest"
    )
    assert plan["tuning"]["manifests"] == "20261109-101112-abcd"
    assert "was made from other data, code or another image" in plan["tuning"]["left_out"][OWN[3]]


def test_ranges_are_refined_by_the_parents_trials(aws: Aws) -> None:
    aws.sagemaker.tuning_jobs[OWN[3]] = described()
    aws.sagemaker.trials[OWN[3]] = [
        {
            "TunedHyperParameters": dict(one.values),
            "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "f1", "Value": one.objective},
        }
        for one in [*BAD, *GOOD]
    ] + [{"TunedHyperParameters": {"depth": "1"}}]
    plan = planned(aws, wants(jobs=[entry(3)]), {**warm(last=1), "refine": True})
    assert plan["tuning"]["refined"] == ["depth", "rate", "kind"]
    assert plan["tuning"]["ranges"] == refined(RANGES, [*BAD, *GOOD])[0]
    first = planned(aws, wants(jobs=[]), {**warm(last=1), "refine": True})
    assert first["tuning"]["ranges"] == RANGES and "refined" not in first["tuning"]


def test_of_a_minimized_objective_the_least_are_the_best(aws: Aws) -> None:
    aws.sagemaker.trials["x"] = [
        {
            "TunedHyperParameters": {"depth": str(n)},
            "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "f1", "Value": float(n)},
        }
        for n in (3, 1, 2)
    ]
    found = parents.trials_of(aws.client("sagemaker"), ["x"], "less")
    assert [one.values["depth"] for one in sorted(found, key=lambda one: -one.objective)] == ["1", "2", "3"]
