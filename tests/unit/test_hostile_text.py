"""Text of jobs, events and keys never steers the terminal of who reads it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from commands_world import BUCKET, World, world_in
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.status import Status
from rich.table import Table

from contract import run_table
from contract.histories import Execution, Visit
from ratchet import live, run_logs
from ratchet.console import SafeConsole
from ratchet.terminal import shown, shown_json

# Clears the screen, writes to the clipboard, asks the terminal for its name (which it types), rings; C1; bidirectional.
ATTACK = "\x1b[2J\x1b]52;c;cm0gLXJm\x07\x1b[c\x9b31m\u202egpj.exe\u2066\x00\x7f\b"
KEPT = "tab\there, ünïcödé 学习 👩‍👩‍👧 [brackets] \\x1b"
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> bool:
    """Nothing in it but text, tabs and newlines."""
    return _UNSAFE.search(text) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u202eb", "a\\u202eb"),
        ("50%\r100%", "50%\\r100%"),
        ("a line\r\nanother\r", "a line\nanother"),
        ("\ud800", "\\ud800"),
        (KEPT, KEPT),
        ("two\nlines", "two\nlines"),
    ],
)
def test_control_characters_are_told_instead_of_sent(text: str, told: str) -> None:
    assert shown(text) == told


@given(st.text(st.characters(codec=None)))
def test_whatever_the_text_only_text_is_left(text: str) -> None:
    assert harmless(shown(text))
    assert harmless(shown_json(json.dumps([text], ensure_ascii=False)))
    assert json.loads(shown_json(json.dumps([text], ensure_ascii=False))) == [text]


def printed(draw: Callable[[SafeConsole], None]) -> str:
    """What a console without colours has written; Rich's own controls are left out, as in a file."""
    file = io.StringIO()
    draw(SafeConsole(file=file, width=200, highlight=False))
    return file.getvalue()


def test_however_text_is_laid_out_it_is_safe() -> None:
    table = Table("a", "b")
    table.add_row(ATTACK, KEPT.replace("[brackets]", ""))
    for thing in (ATTACK, Group(ATTACK, table), table):
        told = printed(lambda console, thing=thing: console.print(thing))  # type: ignore[misc]
        assert harmless(told) and "\\x1b" in told
    assert harmless(printed(lambda console: console.print(Status(ATTACK, console=console).renderable)))


def test_colours_stay() -> None:
    file = io.StringIO()
    SafeConsole(file=file, force_terminal=True, color_system="standard", highlight=False).print(f"[red]{ATTACK}[/]")
    assert file.getvalue().startswith("\x1b[31m\\x1b")
    assert harmless(file.getvalue().replace("\x1b[31m", "").replace("\x1b[0m", ""))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return world_in(tmp_path, monkeypatch)


def test_lists_statuses_and_errors_are_safe(world: World) -> None:
    """A run whose every text is hostile, also to the markup that colours are written in."""
    world.deploy("iris-tree")
    hostile = {"S": f"[/]{ATTACK}[red]"}
    world.dynamodb.put_item(
        Item={
            **run_table.key("iris-tree", run_table.run_item("20261120-101112-abcd")),
            "run_id": {"S": "20261120-101112-abcd"},
            "outcome": hostile,
            "trigger": {"M": {"kind": hostile}},
            "evaluation": {"M": {"metric": hostile, "challenger": {"M": {"score": {"N": "1"}}}}},
            "decision": {"M": {"reason": hostile}},
            "rules": {"L": [{"M": {"name": hostile, "status": hostile, "reason": hostile}}]},
        }
    )
    world.dynamodb.put_item(
        Item={
            **run_table.key("iris-tree", "state"),
            "running": {"M": {"run_id": hostile, "started_at": hostile}},
            "champion": {"M": {"run_id": hostile, "promoted_at": hostile}},
            "pending": {"M": {"kinds": {"L": [hostile]}}},
        }
    )
    for command in (["runs"], ["runs", "iris-tree"], ["status"], ["runs", "--json"], ["logs", ATTACK]):
        told = world.call(*command)
        assert harmless(told.stdout) and harmless(told.stderr), command
        assert "x1b" in told.output or "u001b" in told.output, command


def test_keys_of_objects_are_safe(world: World) -> None:
    world.deploy("iris-tree")
    world.s3.objects[BUCKET, f"iris/train/[/]{ATTACK}.csv"] = b"1,2\n"
    told = world.call("data", "iris-tree")
    assert told.exit_code == 0, told.output
    assert harmless(told.stdout) and "[/]\\x1b" in told.stdout


def test_a_run_that_is_followed_is_safe() -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    visit = Visit(name=f"[/]{ATTACK}", kind="Task", entered=at, exited=at, error=f"[b]{ATTACK}", cause=ATTACK)
    execution = Execution((visit,), status="FAILED")
    told = printed(lambda console: live.LiveStates(console).look("r", execution))
    assert harmless(told) and "[/]\\x1b" in told


def test_a_function_s_line_is_safe_as_it_is_told() -> None:
    line = json.dumps({"event": ATTACK, "reason": ATTACK}, ensure_ascii=False)
    assert harmless(shown(run_logs.for_people(line) or ""))
