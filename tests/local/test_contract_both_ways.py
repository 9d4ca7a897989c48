"""A container's contract holds whether it begins cold or in a warm interpreter: the same tests of jobs, both ways.

The tests are other modules' own; here they run on an AWS whose containers all begin cold (`{"warm": false}`), and on
one whose scripts are all forked from an interpreter that is warm before the first of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import test_first_process as first_process
import test_processing_jobs as processing_jobs
import test_training_jobs as training_jobs
from job_kit import Jobs
from running_aws import Aws, AwsFactory

from localaws.sagemaker.containers import container

FORKED = "b'warm_interpreter' in open('/proc/self/cmdline', 'rb').read()"
# Of a container's files, arguments, variables, limits, signals, exit codes and network; not of what SageMaker does
# before it starts and when it is over.
CONTRACT: tuple[Callable[..., None], ...] = (
    training_jobs.test_a_job_trains_and_leaves_its_model,
    training_jobs.test_the_script_finds_awss_contract,
    training_jobs.test_a_job_sees_nothing_of_the_server,
    training_jobs.test_a_failing_script_says_why,
    training_jobs.test_the_failure_file_is_the_reason,
    training_jobs.test_a_script_that_is_killed_is_a_failure,
    training_jobs.test_what_a_script_starts_ends_with_it,
    training_jobs.test_a_stopped_job_gets_sigterm_and_keeps_its_model,
    training_jobs.test_checkpoints_are_kept_and_found_again,
    training_jobs.test_an_isolated_job_has_no_network,
    processing_jobs.test_a_job_reads_its_inputs_and_leaves_its_outputs,
    processing_jobs.test_a_failing_job_says_why_and_leaves_nothing,
    first_process.test_an_own_first_process_may_run_the_image_s_train,
)
pytestmark = pytest.mark.skipif(
    container.isolation() != "processes and files", reason="this kernel allows no namespaces: all containers begin cold"
)


@pytest.fixture(scope="module", params=["cold", "warm"])
def jobs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, images: object) -> Iterator[Jobs]:
    """Jobs of an AWS whose containers begin in one way."""
    is_warm = request.param == "warm"
    factory = AwsFactory(tmp_path_factory.mktemp("aws"))
    (factory.state / "settings.json").write_text(f'{{"warm": {str(is_warm).lower()}}}')
    try:
        found = Jobs(factory.start())
        assert begins_warm(found, "import joblib") == is_warm
        yield found
        assert begins_warm(found, "pass") == is_warm, "to the last"
    finally:
        factory.stop()


def begins_warm(jobs: Jobs, script: str) -> bool:
    job = jobs.train(f"{script}\nprint('FORKED', {FORKED})")
    return "FORKED True" in jobs.log_lines(job["TrainingJobName"])


@pytest.mark.parametrize("fact", CONTRACT, ids=[fact.__name__.removeprefix("test_") for fact in CONTRACT])
def test_it_holds_whichever_way_a_container_begins(fact: Callable[..., None], jobs: Jobs) -> None:
    fixtures: dict[str, Jobs | Aws | Any] = {"jobs": jobs, "aws": jobs.aws}
    fact(**{name: fixtures[name] for name in inspect.signature(fact).parameters})
