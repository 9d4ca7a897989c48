"""Names fit AWS's limits, whatever the environment and the pipeline are called, and stay apart."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.workflow import names
from ratchet.spec import NAME_LENGTH

RUN_ID = "20261120-101112-abcd"
SAGEMAKER = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
NAME = st.from_regex(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", fullmatch=True)


@given(NAME, NAME)
def test_every_name_is_one_that_sagemaker_takes(environment: str, pipeline: str) -> None:
    content = names.content_prefix(environment, pipeline) + "0" * names.CONTENT_HASH_LENGTH
    jobs = [names.job_name(pipeline, RUN_ID, step) for step in names.STEPS]
    for name in (names.endpoint_name(environment, pipeline), content, *jobs):
        assert SAGEMAKER.fullmatch(name), name


@given(st.lists(st.text("abc-", min_size=1, max_size=90), min_size=2, max_size=2, unique=True))
def test_what_is_cut_stays_apart(pair: list[str]) -> None:
    assert names.cut(pair[0], 30) != names.cut(pair[1], 30)


def test_what_fits_is_not_cut() -> None:
    assert names.job_name("d" * NAME_LENGTH, RUN_ID, "evaluate") == f"{'d' * NAME_LENGTH}-{RUN_ID}-evaluate"
    assert names.endpoint_name("prod", "digits-forest") == "prod-digits-forest"


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(ValueError, match="no step of a run is called 'tune'"):
        names.job_name("digits", RUN_ID, "tune")
