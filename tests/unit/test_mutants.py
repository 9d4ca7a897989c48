"""Mutation testing, tried on a package of a few lines."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

from bench.mutations import changes

PROGRAM = Path(__file__).parents[2] / "bench" / "mutants.py"
NUMBERS = '''"""A toy with 1 docstring."""

LIMIT = 3


def is_small(number: int, least: int = 0) -> bool:
    """Whether it is between 0 and 3."""
    return least <= number and number < LIMIT


def never_tested() -> int:
    return 1 + 1
'''
TEST_NUMBERS = """from toy.code import is_small


def test_small():
    assert is_small(2) and not is_small(3) and not is_small(-1)


def test_that_fails_anyway():
    assert is_small(2) is None
"""
LOOP = """def spin(number: int) -> None:
    while number:
        number -= number
"""
TEST_LOOP = """from toy.code import spin


def test_spin():
    spin(1)
"""


def tried(folder: Path, code: str, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    """The program's run on a package of one module with one test module."""
    files = {"toy/code.py": code, "tests/unit/test_toy.py": test, "pytest.ini": "[pytest]\npythonpath = .\n"}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    command = [sys.executable, str(PROGRAM), "toy", "--json", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith(".hypothesis")} == set(files)
    assert all((folder / name).read_text() == text for name, text in files.items())
    return done


def test_survivors_are_listed_and_the_checkout_is_as_before(tmp_path: Path) -> None:
    done = tried(tmp_path, NUMBERS, TEST_NUMBERS)
    assert "tests/unit/test_toy.py::test_that_fails_anyway" in done.stderr
    assert json.loads(done.stdout) == {
        "toy": {
            "killed": 3,
            "mutants": 8,
            "score": 1 - 5 / 8,
            "survivors": [
                "toy/code.py:6: 0 became 1",
                "toy/code.py:8: <= became <",
                "toy/code.py:12: + became -",
                "toy/code.py:12: 1 became 2",
                "toy/code.py:12: 1 became 2",
            ],
        }
    }


def test_a_mutant_that_never_ends_is_killed(tmp_path: Path) -> None:
    assert json.loads(tried(tmp_path, LOOP, TEST_LOOP, "--seconds", "1").stdout)["toy"]["killed"] == 1


def words(source: str) -> list[str]:
    return [site.what for site, _change in changes(ast.parse(source))]


def test_prose_annotations_and_what_is_never_run_are_left_alone() -> None:
    assert words('def f(x: "int" = 1) -> "int":\n    """A text."""\n    raise ValueError("a message")') == [
        "1 became 2"
    ]
    assert words("a = f'{b}: not \"{c}\"', f'runs/{d}'") == ["'runs/' became 'XXruns/'"]
    assert words("@dataclass(frozen=True)\nclass A:\n    b: Literal['c']\n    'Of b.'") == []
    assert words("if TYPE_CHECKING:\n    A = 1\nif __name__ == '__main__':\n    main()\n__all__ = ['A']") == []


def test_a_change_says_what_it_changes_and_changes_it() -> None:
    source = "if a is not None and not b:\n    c = -1 * 'key'\n"
    found = {}
    for index, what in enumerate(words(source)):
        tree = ast.parse(source)
        list(changes(tree))[index][1]()
        found[what] = ast.unparse(tree)
    assert found == {
        "and became or": "if a is not None or not b:\n    c = -1 * 'key'",
        "is not became is": "if a is None and (not b):\n    c = -1 * 'key'",
        "not was left out": "if a is not None and (not not b):\n    c = -1 * 'key'",
        "* became /": "if a is not None and (not b):\n    c = -1 / 'key'",
        "- was left out": "if a is not None and (not b):\n    c = +1 * 'key'",
        "1 became 2": "if a is not None and (not b):\n    c = -2 * 'key'",
        "'key' became 'XXkey'": "if a is not None and (not b):\n    c = -1 * 'XXkey'",
    }


def test_a_default_belongs_to_the_import_and_a_body_to_the_call() -> None:
    sites = [site for site, _change in changes(ast.parse("A = 1\ndef f(b=2):\n    return 3\nc = lambda: 4\n"))]
    assert [(site.line, site.at_import) for site in sites] == [(1, True), (2, True), (3, False), (4, False)]
