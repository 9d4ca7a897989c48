"""docs/sdk.md: its Python is Python, what it sends the launcher is a trigger, and the names that it gives are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from common.state import Trigger
from launcher import triggers

from contract import run_table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "sdk.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_every_block_is_python(block: str) -> None:
    ast.parse(block)


def test_every_request_is_a_trigger_that_the_launcher_takes() -> None:
    statements = [statement for block in BLOCKS for statement in ast.parse(block).body]
    requests = [
        ast.literal_eval(statement.value)
        for statement in statements
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "request"
    ]
    assert len(requests) == len(("a script", "airflow"))
    for request in requests:
        meaning = triggers.read(request, "2026-11-26T00:00:00Z", triggers.Ours("data", (), "arn"))
        assert isinstance(meaning, Trigger) and meaning.kind == "manual"


@pytest.mark.parametrize("link", re.findall(r"\]\(((?!#)[^)#]+)", PAGE))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (ROOT / "docs" / link).exists()


def test_the_items_of_the_run_table_have_these_names() -> None:
    for name in (run_table.CHAMPION, run_table.PREVIOUS_CHAMPION, run_table.STATE_ITEM, run_table.RUN_ITEMS):
        assert f"`{name}" in PAGE
