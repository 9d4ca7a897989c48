"""Names fit AWS's limits, whatever the environment and the pipeline are called, and stay apart."""

from __future__ import annotations

import fnmatch
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import names

RUN_ID = "20261120-101112-abcd"
SAGEMAKER = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
NAME = st.from_regex(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", fullmatch=True)
# As cdk.json takes it.
ENVIRONMENT = st.from_regex(r"[a-z][a-z0-9]{0,11}", fullmatch=True)
# The longest that pipeline.yaml takes.
NAME_LENGTH = 32


@pytest.mark.fidelity(
    "Clients",
    "Names fit the patterns and lengths of SageMaker's resources.",
    "botocore, sagemaker: patterns of names",
)
@given(NAME, NAME)
def test_every_name_is_one_that_sagemaker_takes(environment: str, pipeline: str) -> None:
    content = names.content_name(names.content_prefix(environment, pipeline), "anything")
    jobs = [names.job(environment, pipeline, RUN_ID, step) for step in names.STEPS]
    stable = [names.endpoint(environment, pipeline), names.model_package_group(environment, pipeline)]
    for name in (*stable, content, *jobs):
        assert SAGEMAKER.fullmatch(name), name
    assert names.is_content_name(content, names.content_prefix(environment, pipeline))


@given(ENVIRONMENT, NAME)
def test_every_job_of_a_run_is_known_by_its_name(environment: str, pipeline: str) -> None:
    for step in names.STEPS:
        assert names.is_job_of_a_run(environment, names.job(environment, pipeline, RUN_ID, step))


@given(st.lists(st.text("abc-", min_size=1, max_size=90), min_size=2, max_size=2, unique=True))
def test_what_is_cut_stays_apart(pair: list[str]) -> None:
    assert names.cut(pair[0], 30) != names.cut(pair[1], 30)


@pytest.mark.parametrize("length", [1, 29, 30])
def test_what_fits_is_not_cut(length: int) -> None:
    assert names.cut("d" * length, 30) == "d" * length


def test_what_is_cut_fills_its_limit_with_a_hash_behind() -> None:
    """SHA-256 of the whole: a name that must not change with a refactoring."""
    assert names.cut("d" * 31, 30) == f"{'d' * 21}-8909072c"
    assert len(names.cut("d" * 31, 30)) == 30
    assert re.fullmatch(r"d{20}-[0-9a-f]{8}", names.cut("d" * 20 + "-" * 11, 30)), "no two hyphens"


def test_stable_names_say_environment_and_pipeline() -> None:
    assert names.endpoint("prod", "digits-forest") == "prod-digits-forest"
    assert names.model_package_group("prod", "digits-forest") == "prod-digits-forest"
    assert len(names.endpoint("e" * 40, "p" * 40)) == names.SAGEMAKER_NAME == 63
    assert len(names.model_package_group("e" * 40, "p" * 40)) == 63


def test_a_jobs_name_says_environment_pipeline_run_and_step() -> None:
    assert names.job("dev", "digits", RUN_ID, names.TRAIN_STEP) == f"dev-digits-{RUN_ID}-train"
    assert names.job("dev", "digits", RUN_ID, names.TRAIN_STEP, 2) == f"dev-digits-{RUN_ID}-train-2"
    assert names.job("dev", "d" * 29, RUN_ID, names.EVALUATE_STEP) == f"dev-{'d' * 29}-{RUN_ID}-evaluate"


@pytest.mark.parametrize("pipeline", ["digits", "d" * NAME_LENGTH, "prod-digits"])
@pytest.mark.parametrize("environment", ["prod", "p" * 12])
def test_an_environments_jobs_are_its_own_by_their_names(environment: str, pipeline: str) -> None:
    job = names.job(environment, pipeline, RUN_ID, names.TRAIN_STEP, 3)
    assert fnmatch.fnmatchcase(job, names.any_job(environment))
    for other in ("dev", "pro", "prod2", environment + "x"):
        assert not fnmatch.fnmatchcase(job, names.any_job(other))
        assert names.job(other, pipeline, RUN_ID, names.TRAIN_STEP, 3) != job


def test_the_longest_jobs_just_fit() -> None:
    """Two digits of a round's number have the room that `train` leaves beside `evaluate`."""
    steps = ((names.EVALUATE_STEP, None), (names.TRAIN_STEP, 99))
    longest = [names.job("dev", "d" * 40, RUN_ID, step, round_) for step, round_ in steps]
    assert [len(name) for name in longest] == [63, 63]
    assert names.job_prefix("dev", "d" * 29) == f"dev-{'d' * 29}-", "what fits isn't cut"
    assert names.job_prefix("dev", "d" * 30) != f"dev-{'d' * 30}-"


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(ValueError, match="no step of a run is called 'prune'; the steps are train, compile, evaluate"):
        names.job("dev", "digits", RUN_ID, "prune")


# ---------------------------------------------------------------------------------------------------- tuning jobs

SHA_CUT = "p" * 12


@pytest.mark.fidelity(
    "Tuning",
    "A tuning job's name has 32 characters at most; its training jobs are called after it, with a number behind.",
    "API reference, CreateHyperParameterTuningJob; aws/sagemaker-python-sdk, examples of trials' names",
)
@pytest.mark.parametrize("pipeline", ["digits", "digits-forest", "d" * NAME_LENGTH, "a-b-c-d-e-f-g-h-i-j"])
@pytest.mark.parametrize("environment", ["local", "p", "p" * 12])
def test_a_tuning_jobs_name_is_short_and_says_its_environment(environment: str, pipeline: str) -> None:
    job = names.tuning_job(environment, pipeline, RUN_ID)
    assert len(job) <= names.TUNING_NAME == 32 and names.is_tuning_job(job)
    assert job.startswith(f"{environment}-")
    trial = f"{job}-007-95b83cb6"
    assert fnmatch.fnmatchcase(trial, names.any_trial(environment, pipeline))
    assert fnmatch.fnmatchcase(trial, names.any_trial_of(environment))
    assert names.run_of_trial(trial) == RUN_ID
    assert (names.tuning_job_of(trial), names.number_of_trial(trial)) == (job, "007")
    assert names.is_job_of_a_run(environment, trial)
    for other in ("dev", "pro", environment + "x", "prod-" + environment):
        assert not names.is_job_of_a_run(other, trial)
        assert not fnmatch.fnmatchcase(trial, names.any_trial_of(other))


def test_a_short_name_is_whole_and_a_long_one_a_hash() -> None:
    assert names.tuning_prefix("local", "digits-forest") == "local-digits-forest-"
    assert names.tuning_prefix("p" * 12, "digits-forest").startswith(f"{SHA_CUT}-")
    long = [names.tuning_prefix("local", "digits-forest-" + end) for end in ("one", "two")]
    assert len(set(long)) == 2 and all(len(prefix) == 22 for prefix in long)


@given(st.integers(1_577_836_800, 3_500_000_000), st.integers(0, 0xFFFF))
def test_a_token_stands_for_a_run_id(at: int, token: int) -> None:
    run_id = names.run_id(datetime.fromtimestamp(at, UTC), f"{token:04x}")
    short = names.run_token(run_id)
    assert len(short) == names.RUN_TOKEN_LENGTH == 10 and fnmatch.fnmatchcase(short, names.ANY_RUN_TOKEN)
    assert names.run_of_trial(f"local-x-{short}-001-0a1b2c3d") == run_id


def test_what_is_no_trial_is_of_no_run() -> None:
    job = names.tuning_job("local", "digits", RUN_ID)
    others = (job, f"{job}-1-0a1b2c3d", f"{job}-0001-0a1b2c3d", f"{job}-001-0a1b2c3", f"{job}-001-0a1b2c3d-x", "")
    runs = (names.job("local", "digits", RUN_ID, step) for step in names.STEPS)
    for name in (*others, *runs, names.job("local", "digits", RUN_ID, names.TRAIN_STEP, 12)):
        assert names.run_of_trial(name) is None and names.tuning_job_of(name) is None
        assert names.number_of_trial(name) == ""
    with pytest.raises(ValueError, match="no run is called 'x'"):
        names.run_token("x")


# ------------------------------------------------------------------------------------------------------- run ids


def test_a_run_id_is_its_time_in_utc() -> None:
    at = datetime(2026, 11, 20, 10, 11, 12, 999_999, tzinfo=UTC)
    assert names.run_id(at, "abcd") == RUN_ID
    assert names.run_id(at.astimezone(timezone(timedelta(hours=5))), "abcd") == RUN_ID
    assert len(RUN_ID) == names.RUN_ID_LENGTH


@given(st.integers(0, 2**31), st.integers(0, 2**31))
def test_run_ids_sort_by_time(one: int, other: int) -> None:
    first, second = (names.run_id(datetime.fromtimestamp(at, UTC), "0000") for at in (one, other))
    assert (first < second) == (one < other)
    assert fnmatch.fnmatchcase(first, names.ANY_RUN_ID), "as IAM matches it"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        (f"dev-digits-forest-{RUN_ID}-train", True),
        (f"dev-digits-{RUN_ID}-train-3", True),
        (f"dev-digits-{RUN_ID}-evaluate", True),
        (f"prod-digits-{RUN_ID}-train", False),
        (f"dev2-digits-{RUN_ID}-train", False),
        (f"digits-{RUN_ID}-train", False),
        ("kmeans-1", False),
        ("dev-a-2026-train", False),
        (f"dev-{RUN_ID}-train", False),
        (f"dev-digits-{RUN_ID}", False),
        (f"dev-digits-{RUN_ID}-", False),
        ("dev-digits-20261120-101112-ABCD-train", False),
        ("dev-digits-20261120-101112-abcde-train", False),
        ("dev-digits-2026112-101112-abcd-train", False),
    ],
)
def test_jobs_of_runs_are_known_by_their_names(name: str, is_one: bool) -> None:
    assert names.is_job_of_a_run("dev", name) is is_one


# --------------------------------------------------------------------------------------------------- content names


def test_a_content_name_follows_its_content() -> None:
    prefix = names.content_prefix("local", "digits")
    assert prefix == "local-digits-"
    assert names.content_name(prefix, "image", "model") == f"{prefix}13397f974212"
    assert names.content_name(prefix, "image", "other") != names.content_name(prefix, "image", "model")


def test_the_longest_content_name_just_fits() -> None:
    assert len(names.content_name(names.content_prefix("e" * 60, "p" * 40), "x")) == 63
    assert names.content_prefix("e" * 25, "p" * 24) == f"{'e' * 25}-{'p' * 24}-", "what fits isn't cut"


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("local-digits-0123456789ab", True),
        ("local-digits-0123456789a", False),
        ("local-digits-0123456789abc", False),
        ("local-digits-0123456789AB", False),
        ("local-digits-tree-0123456789ab", False),
        ("xlocal-digits-0123456789ab", False),
        ("local-digits-0123456789ab\n", False),
        ("localxdigits-0123456789ab", False),
    ],
)
def test_another_pipelines_content_is_not_this_ones(name: str, is_one: bool) -> None:
    assert names.is_content_name(name, "local-digits-") is is_one


def test_a_prefix_is_text_not_a_pattern() -> None:
    assert not names.is_content_name("aXb-0123456789ab", "a.b-")


def test_stacks_and_exports_are_named_by_environment() -> None:
    assert names.stack("prod", "digits") == "ratchet-prod-digits"
    assert names.stack("prod", names.SHARED) == "ratchet-prod-shared"
    assert names.export("prod", "RunTable") == "ratchet-prod-RunTable"
    assert len(names.ANY_CONTENT_HASH) == names.CONTENT_HASH_LENGTH == 12
