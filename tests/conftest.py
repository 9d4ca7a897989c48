"""What holds for all tests. What tests of several folders share lies beside this file: pytest puts it on the path."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# No example of a property is too slow: a machine may be.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

TESTS = Path(__file__).parent
# Files whose tests take long, those that take longest first: none of them is to be begun when the others are done.
LONG = (
    "local/test_run.py",
    "local/test_command_line.py",
    "local/test_toolkit.py",
    "local/test_stopping.py",
    "local/test_demo_story.py",
    "local/test_prune_cnn.py",
    "local/test_managed_rules_run.py",
    "local/test_endpoints.py",
    "local/test_training_jobs.py",
    "local/test_spot.py",
    "synth/",
    "local/",
)
# Folders or files whose tests share nothing that is dear to make; any test process may take any of them.
APART = ("local/test_toolkit.py", "local/test_command_line.py", "local/test_supervisor.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests first; those of a file together, in one test process, where they share what is made for them."""
    for item in items:
        name = item.path.relative_to(TESTS).as_posix()
        if item.get_closest_marker("xdist_group") is None and not name.startswith(APART):
            item.add_marker(pytest.mark.xdist_group("synth" if name.startswith("synth/") else name))
    items.sort(key=lambda item: _turn(item.path.relative_to(TESTS).as_posix()))


def _turn(name: str) -> int:
    return next((turn for turn, long in enumerate(LONG) if name.startswith(long)), len(LONG))
