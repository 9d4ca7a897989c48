"""Mutation testing, tried on a package of a few lines."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

from bench.mutations import changes

PROGRAM = Path(__file__).parents[2] / "bench" / "mutants.py"
TOY = '''"""A toy with 1 docstring."""

LIMIT = 3


def is_small(number: int, least: int = 0) -> bool:
    """Whether it is between 0 and 3."""
    return least <= number and number < LIMIT


def never_tested() -> int:
    return 1 + 1


def waits(seconds: int) -> None:
    while seconds > 0:
        seconds -= 1
'''
TESTS = """from toy.numbers import is_small, waits


def test_small():
    waits(1)
    assert is_small(2) and not is_small(3) and not is_small(-1)


def test_that_fails_anyway():
    assert is_small(2) is None
"""


def test_survivors_are_listed_and_the_checkout_is_as_before(tmp_path: Path) -> None:
    source, test = tmp_path / "toy" / "numbers.py", tmp_path / "tests" / "unit" / "test_toy.py"
    for path, text in ((source, TOY), (test, TESTS), (tmp_path / "pytest.ini", "[pytest]\npythonpath = .\n")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    # `seconds += 1` never ends: the time limit kills it.
    command = [sys.executable, "-B", str(PROGRAM), "toy", "--json", "--jobs", "2", "--seconds", "3"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {
        "toy": {
            "killed": 4,
            "mutants": 12,
            "score": 1 - 8 / 12,
            "survivors": [
                "toy/numbers.py:6: 0 became 1",
                "toy/numbers.py:8: <= became <",
                "toy/numbers.py:12: + became -",
                "toy/numbers.py:12: 1 became 2",
                "toy/numbers.py:12: 1 became 2",
                "toy/numbers.py:16: > became >=",
                "toy/numbers.py:16: 0 became 1",
                "toy/numbers.py:17: 1 became 2",
            ],
        }
    }
    assert "tests/unit/test_toy.py::test_that_fails_anyway" in done.stderr
    assert source.read_text() == TOY
    assert {path.name for path in tmp_path.iterdir()} <= {"toy", "tests", "pytest.ini", ".hypothesis"}


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
