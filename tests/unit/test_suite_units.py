"""The units in which tests are handed to processes, and their order: what tests/conftest.py names is there."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[2]
_TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
_SHARED = re.compile(r"@pytest\.fixture\([^)]*scope=\"module\"")


def the_suites() -> ModuleType:
    """tests/conftest.py, of which folders below have namesakes."""
    found = importlib.util.spec_from_file_location("conftest_of_all", ROOT / "tests" / "conftest.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


class Item:
    """What the suite asks of a test."""

    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid
        self.marks = list[str]()

    def add_marker(self, mark: pytest.MarkDecorator) -> None:
        self.marks.append(mark.name)


SUITE = the_suites()
NAMED = sorted({*SUITE.LONG, *SUITE.LONGEST_FIRST, *SUITE.TOGETHER, *SUITE.APART})


@cache
def ids_in(path: str) -> list[str]:
    return [f"{path}::{name}" for name in _TEST.findall((ROOT / path).read_text(encoding="utf-8"))]


def every_test() -> Iterable[str]:
    """The ids of all tests, without parameters."""
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [test for path in files for test in ids_in(path.relative_to(ROOT).as_posix())]


@pytest.mark.parametrize("beginning", NAMED)
def test_what_is_named_is_there(beginning: str) -> None:
    assert [test for test in every_test() if test.startswith(beginning)], f"no test's id begins with {beginning}"


@pytest.mark.parametrize("beginning", [name for name in NAMED if "::" in name])
def test_a_test_is_named_in_full(beginning: str) -> None:
    """Or else as several that begin so; never by a name that has become another's."""
    path = beginning.partition("::")[0]
    found = [test for test in ids_in(path) if test.startswith(beginning)]
    assert all(test == beginning or test[len(beginning)] == "_" for test in found), found


def test_no_turn_is_hidden_by_an_earlier_one() -> None:
    hidden = [
        (later, earlier) for turn, later in enumerate(SUITE.LONGEST_FIRST) for earlier in SUITE.LONGEST_FIRST[:turn]
        if later.startswith(earlier)
    ]  # fmt: skip
    assert not hidden, "the longer beginning comes first"


def test_nothing_is_left_to_the_long_tests_twice() -> None:
    assert list(SUITE.LONG) == sorted(SUITE.LONG)
    assert not [(one, other) for one in SUITE.LONG for other in SUITE.LONG if one != other and one.startswith(other)]


def test_no_everyday_test_installs_a_framework_besides_scikit_learn() -> None:
    """Nor anything else large: `make test` is what a newcomer runs first. What names an image needn't make it; a kit
    that knows one makes it for whoever imports it."""
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    knows = re.compile(r"^from image_uris import .*\b(PYTORCH|TENSORFLOW|XGBOOST)\b", re.MULTILINE)
    kits = [path.stem for path, text in texts.items() if not path.stem.startswith("test_") and knows.search(text)]
    framework = "(PYTORCH|TENSORFLOW|XGBOOST)"
    asks = re.compile(
        rf"environment\({framework}|image={framework}|with_more\(|^from ({'|'.join(kits)}) import", re.MULTILINE
    )
    asking = {path.relative_to(ROOT).as_posix() for path, text in texts.items() if asks.search(text)}
    assert {"test_traffic_signs", "test_toolkit", "test_chains"} <= {Path(path).stem for path in asking}
    assert not [test for test in every_test() if test.partition("::")[0] in asking and not test.startswith(SUITE.LONG)]


def test_what_is_long_is_marked_and_the_rest_is_not() -> None:
    items = [Item("tests/local/test_kills.py::test_a"), Item("tests/unit/test_spec.py::test_a")]
    SUITE.pytest_collection_modifyitems(items)
    assert {item.nodeid: item.marks for item in items} == {
        "tests/local/test_kills.py::test_a": ["long"],
        "tests/unit/test_spec.py::test_a": [],
    }


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tests/unit/test_spec.py::test_a[1]", "tests/unit/test_spec.py"),
        ("tests/local/test_run.py::test_a_run", "tests/local/test_run.py"),
        ("tests/local/test_run.py::test_a_role_that_lacks_an_action[Train-x::y]", SUITE.TOGETHER[1]),
        ("tests/local/test_run_restart.py::test_a", "tests/local/test_run_restart.py"),
        ("tests/synth/test_lint.py::test_a", "tests/synth/"),
        ("tests/synth/test_stacks.py::test_b[c]", "tests/synth/"),
        ("tests/local/test_toolkit.py::test_in_the_image[check_probe]", None),
        ("tests/local/test_toolkit_contract.py::test_a", "tests/local/test_toolkit_contract.py"),
        ("tests/local/test_endpoints.py::test_no_request_fails_while[x]", None),
        ("tests/local/test_endpoints.py::test_an_endpoint", "tests/local/test_endpoints.py"),
    ],
)
def test_the_ids_in_a_unit_have_this_in_common(nodeid: str, unit: str | None) -> None:
    assert SUITE.unit_of(nodeid) == (nodeid if unit is None else unit)


def test_files_whose_tests_go_apart_share_nothing_dear() -> None:
    """A module's fixture would be made in each process."""
    whole = [path for path in SUITE.APART if "::" not in path]
    assert not [path for path in whole if _SHARED.search((ROOT / path).read_text(encoding="utf-8"))]


def test_what_takes_long_is_begun_first_and_the_rest_stays_in_order() -> None:
    ids = [
        "tests/unit/test_b.py::test_b", "tests/unit/test_a.py::test_a", "tests/local/test_run_restart.py::test_a",
        "tests/synth/test_lint.py::test_a", "tests/local/test_run.py::test_a", f"{SUITE.LONGEST_FIRST[0]}[Train]",
    ]  # fmt: skip
    items = [Item(nodeid) for nodeid in ids]
    SUITE.pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == [ids[5], ids[4], ids[3], ids[2], ids[0], ids[1]]


def test_xdist_still_asks_for_a_tests_unit_where_it_is_told_here() -> None:
    assert callable(LoadScopeScheduling._split_scope)
    assert "LoadScopeScheduling" in (ROOT / "tests" / "conftest.py").read_text(encoding="utf-8")
    assert "--dist loadscope" in (ROOT / "Makefile").read_text(encoding="utf-8")
