"""What holds for all tests. What tests of several folders share lies beside this file: pytest puts it on the path."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# No example of a property is too slow: a machine may be.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Tests write some hundred thousand small files, to be deleted soon: a fifth of what a run costs, but not in memory.
RAM, RAM_BYTES = Path("/dev/shm"), 3 << 30


def has_room_in_memory() -> bool:
    """Whether there is a file system in memory, with room for all tests, whose files may be run."""
    if not RAM.is_mount():
        return False
    found = os.statvfs(RAM)
    return found.f_bavail * found.f_frsize >= RAM_BYTES and not found.f_flag & getattr(os, "ST_NOEXEC", 0)


if has_room_in_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(RAM))

# Tests run cdk in homes of their own. CDK's library is unpacked once for all of them, where it is for everybody.
os.environ.setdefault("JSII_RUNTIME_PACKAGE_CACHE_ROOT", str(Path.home() / ".cache" / "aws" / "jsii" / "package-cache"))

# What `make test` leaves to `make test-all`, so that it takes some five minutes: what installs a framework besides
# scikit-learn, runs a benchmark on a small size, kills or fills the server, or takes many seconds for what few changes
# touch. What it keeps: everything pure, every template, and whole runs to every end but an approval's. CI runs all.
LONG = (
    "tests/browser/test_tuning_page.py",
    "tests/browser/test_views_page.py",
    "tests/local/test_adapter_idle_functions.py",
    "tests/local/test_adapter_stacks.py",
    "tests/local/test_approval.py",
    "tests/local/test_async_endpoints.py",
    "tests/local/test_autoencoder.py",
    "tests/local/test_autoscaling.py",
    "tests/local/test_aws_serving_code.py",
    "tests/local/test_benchmark",
    "tests/local/test_bert_qa.py",
    "tests/local/test_chained_pipeline.py",
    "tests/local/test_chains.py",
    "tests/local/test_changed_data.py",
    "tests/local/test_cifar_subset.py",
    "tests/local/test_command_line.py",
    "tests/local/test_compiled_pipeline.py",
    "tests/local/test_container_code.py",
    "tests/local/test_container_limits.py",
    "tests/local/test_containers.py",
    "tests/local/test_contract_both_ways.py",
    "tests/local/test_demo_story.py",
    "tests/local/test_detector.py",
    "tests/local/test_endpoint_deployments.py",
    "tests/local/test_endpoint_recovery.py",
    "tests/local/test_ends.py",
    "tests/local/test_escapes.py",
    "tests/local/test_full_disk.py",
    "tests/local/test_held_out_kinds.py",
    "tests/local/test_hotswap.py",
    "tests/local/test_image_builds.py",
    "tests/local/test_image_roots.py",
    "tests/local/test_judged_over_http.py",
    "tests/local/test_kept_objects.py",
    "tests/local/test_kills.py",
    "tests/local/test_kinds_of_endpoints_run.py",
    "tests/local/test_large_objects.py",
    "tests/local/test_managed_rules_run.py",
    "tests/local/test_mnist_keras.py",
    "tests/local/test_own_container",
    "tests/local/test_prune_cnn.py",
    "tests/local/test_rounds_run.py",
    "tests/local/test_run.py::test_a_role_that_lacks_an_action",
    "tests/local/test_run.py::test_a_thousand_objects",
    "tests/local/test_run_restart.py",
    "tests/local/test_scaled_pipeline.py",
    "tests/local/test_scarce_runs.py",
    "tests/local/test_served_requirements.py",
    "tests/local/test_serverless_endpoints.py",
    "tests/local/test_several_hosts.py",
    "tests/local/test_shadow_variants.py",
    "tests/local/test_shadowed_deployments.py",
    "tests/local/test_shifted_deployments.py",
    "tests/local/test_spot",
    "tests/local/test_stays_awake.py",
    "tests/local/test_supervisor.py",
    "tests/local/test_tickets.py",
    "tests/local/test_toolkit.py",
    "tests/local/test_toolkit_contract.py",
    "tests/local/test_traffic_signs.py",
    "tests/local/test_transform_jobs.py::test_the_benchmark",
    "tests/local/test_tuned_pipeline.py",
    "tests/local/test_tuning_kills.py",
    "tests/local/test_tuning_process.py",
    "tests/local/test_tuning_report.py",
    "tests/local/test_two_host_runs.py",
    "tests/local/test_views_in_s3.py",
    "tests/local/test_views_run.py",
    "tests/local/test_warm_containers.py",
    "tests/local/test_watch.py",
    "tests/synth/test_cdk_command.py",
    "tests/synth/test_determinism.py",
    "tests/synth/test_lint.py",
)
# In this order, longest first: nothing of it is to be begun when all else is done. The first deploys pipelines for all,
# so what doesn't need them comes next.
LONGEST_FIRST = (
    "tests/local/test_run.py::test_a_role_that_lacks_an_action",
    "tests/local/test_command_line.py",
    "tests/local/test_first_day.py",
    "tests/local/test_endpoints.py::test_no_request_fails",
    "tests/local/test_demo_story.py",
    "tests/local/test_own_container_runs.py",
    "tests/local/test_run.py",
    "tests/local/test_stopping.py",
    "tests/local/test_prune_cnn.py",
    "tests/local/test_held_out_kinds.py",
    "tests/local/test_tuned_pipeline.py",
    "tests/local/test_warm_containers.py",
    "tests/local/test_kills.py",
    "tests/local/test_ends.py",
    "tests/local/test_spot_checkpoints.py",
    "tests/local/test_managed_rules_run.py",
    "tests/local/test_toolkit.py",
    "tests/synth/",
    "tests/local/",
)
# The tests of a file share what is dear to make, and so do these.
TOGETHER = ("tests/synth/", "tests/local/test_run.py::test_a_role_that_lacks_an_action", "tests/browser/")
# These don't share with others of their file: different processes may run them.
APART = (
    "tests/local/test_toolkit.py",
    "tests/local/test_spot_checkpoints.py",
    "tests/local/test_benchmarks_in_images.py",
    "tests/local/test_endpoints.py::test_no_request_fails",
)


# Thousands of tests stay to the end: the garbage collector looks at them seldom, and at those collected never again.
gc.set_threshold(20_000, 20, 20)


def pytest_collection_finish() -> None:
    # Every process collects all tests; whoever has imported it has a Node of 0.9 GB beside it until it ends.
    assert "aws_cdk" not in sys.modules, "a module of tests imports CDK; it should only when one of its tests runs"
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(LONG):
            item.add_marker(pytest.mark.long)
    turns = tuple(enumerate(LONGEST_FIRST))
    items.sort(key=lambda item: next((turn for turn, long in turns if item.nodeid.startswith(long)), len(turns)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands units of tests to the processes that run them, in the order of the collection."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - not there where nothing runs in parallel

    class InUnits(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit_of(nodeid)

    config.option.loadscopereorder = False
    return InUnits(config, log)


def unit_of(nodeid: str) -> str:
    """What the tests of one unit have in common: they run one after another in the same process."""
    if nodeid.startswith(APART):
        return nodeid
    return next((group for group in TOGETHER if nodeid.startswith(group)), nodeid.partition("::")[0])
