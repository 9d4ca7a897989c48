"""The contract's words stand in the contract alone: elsewhere its names are used.

Left out are plain lower-case words ("state", "data"), which mean many things, and words that AWS uses, too ("Failed" is
an endpoint's status): of those, the outcomes are looked for where an outcome is meant. Prose may name everything:
docstrings, comments, messages.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import contract
from contract import outcomes, refusals

ROOT = Path(__file__).parents[2]
ROOMS = ("infra", "lambdas", "ratchet", "training_code/toolkit")
# A user's own files: they stand alone.
LEFT_OUT = (ROOT / "ratchet" / "templates" / "model",)
# A construct's id in a stack is CloudFormation's business, whatever word it is.
CONSTRUCTS = (ROOT / "infra" / "constructs", ROOT / "infra" / "pipeline_stack.py", ROOT / "infra" / "shared_stack.py")

# SageMaker's own words for statuses, by which its documents are read everywhere.
AWS_WORDS = {"InProgress", "Stopping", "IssuesFound", "NoIssuesFound", "Error", "Stopped", "Failed", "Running"}
# The endings of files that everybody writes.
AWS_WORDS |= {".png", ".svg"}
AWS_WORDS |= {"FAILED", "TrainingJobStatus", "ProcessingJobStatus", "MaxRuntimeExceeded", "MaxWaitTimeExceeded"}


def words() -> set[str]:
    """Every public string constant of the contract that isn't a plain word."""
    found: set[str] = set()
    for module in pkgutil.iter_modules(contract.__path__):
        for name, value in vars(importlib.import_module(f"contract.{module.name}")).items():
            if name.isupper() and not name.startswith("_"):
                found |= set(strings(value))
    return {word for word in found if not re.fullmatch(r"[a-z-]+", word)} - AWS_WORDS


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple | frozenset):
        for entry in value:
            yield from strings(entry)


WORDS = words()
PHRASES = {word for word in WORDS if " " in word} | set(refusals.MISSING) | {refusals.EXISTING}


def sources() -> list[Path]:
    found = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [path for path in found if not any(path.is_relative_to(folder) for folder in LEFT_OUT)]


def spelled(path: Path) -> Iterator[str]:
    """Where a file spells a word of the contract."""
    tree = ast.parse(path.read_text())
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    place = path.relative_to(ROOT)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            for word in sorted(words_in(node.value, is_construct=path_is_construct(path))):
                yield f"{place}:{node.lineno}: {word!r} in {node.value!r}"
    for line, outcome in outcomes_spelled(tree):
        yield f"{place}:{line}: the outcome {outcome!r}"


def path_is_construct(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in CONSTRUCTS)


def words_in(text: str, *, is_construct: bool) -> Iterator[str]:
    yield from (phrase for phrase in PHRASES if phrase in text.lower() or phrase in text)
    for word in WORDS - PHRASES:
        if is_construct and word.isalpha():
            continue
        within = rf"'{re.escape(word)}'" if " " in text else rf"(?<![\w.-]){re.escape(word)}(?![\w.-])"
        if text == word or (len(text) > len(word) and re.search(within, text)):
            yield word


def outcomes_spelled(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Constants that stand where an outcome is meant: compared with one, or the value of a key of that name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and "outcome" in ast.dump(node.left):
            values = [entry for value in node.comparators for entry in ast.walk(value)]
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            values = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "outcome"]
        else:
            continue
        for value in values:
            if isinstance(value, ast.Constant) and value.value in outcomes.OUTCOMES:
                yield value.lineno, value.value


@pytest.mark.parametrize("room", ROOMS)
def test_the_contract_is_spelled_nowhere_else(room: str) -> None:
    found = [place for path in sources() if path.is_relative_to(ROOT / room) for place in spelled(path)]
    assert not found, f"said in contract/ already; use its names ({len(found)}):\n" + "\n".join(found)


def test_pages_take_outcomes_from_the_contract() -> None:
    """The report's template compares with what it is given."""
    found = [
        f"{path.name}: {word}"
        for path in (ROOT / "ratchet" / "templates").glob("*.j2")
        for word in (*outcomes.OUTCOMES, outcomes.RUNNING)
        if re.search(rf"['\"]{word}['\"]", path.read_text())
    ]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        'outcome = "UpToDate"',
        "rule(\"$plan.outcome = 'UpToDate'\")",
        'path = f"runs/{pipeline}/{run}/plan.json"',
        'environment["RATCHET_RULES"]',
        'if "Could not find" in message: ...',
        'record["outcome"] == "Failed"',
        'task("Evaluate")',
        'item = {"rule_verdicts": []}',
    ],
)
def test_a_spelled_word_is_found(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_said_once.ROOT", tmp_path)
    path = tmp_path / "other.py"
    path.write_text(line + "\n")
    assert list(spelled(path))


def test_prose_may_name_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("test_said_once.ROOT", tmp_path)
    path = tmp_path / "other.py"
    path.write_text('"""UpToDate, plan.json."""\n# RATCHET_RULES\nprint("does train.py make a Probe?")\n')
    assert not list(spelled(path))
