"""What was committed is there, or it is said that it isn't."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from localaws import database
from localaws.database import LOG_BYTES, DamagedStateError, Database, Mark
from localaws.ministack_adapter.journal import Journal, Record

SCHEMA = "CREATE TABLE IF NOT EXISTS kept (value TEXT)"


def kept(database: Database) -> list[str]:
    return [value for (value,) in database.connection.execute("SELECT value FROM kept ORDER BY rowid")]


def keep(database: Database, *values: str) -> None:
    for value in values:
        with database.transaction():
            database.connection.execute("INSERT INTO kept VALUES (?)", (value,))


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The files of a database whose process was killed: the log isn't folded into the file."""
    running = tmp_path / "running"
    written = Database(running / "kept.sqlite", SCHEMA)
    keep(written, *"abc")
    shutil.copytree(running, tmp_path / "killed")
    written.close()
    return tmp_path / "killed" / "kept.sqlite"


def test_a_killed_process_loses_nothing(killed: Path) -> None:
    assert kept(Database(killed, SCHEMA)) == ["a", "b", "c"]


def log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def cut_log(path: Path) -> None:
    log = log_of(path)
    log.write_bytes(log.read_bytes()[:-5000])


def change_log(path: Path) -> None:
    log, content = log_of(path), bytearray(log_of(path).read_bytes())
    content[len(content) // 2] ^= 0xFF
    log.write_bytes(content)


def without_log(path: Path) -> None:
    log_of(path).unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")
    log_of(path).write_bytes(b"")


def without_file(path: Path) -> None:
    path.unlink()
    log_of(path).unlink()


@pytest.mark.parametrize("damage", [cut_log, change_log, without_log, empty, without_file])
def test_a_loss_is_noticed_and_what_is_left_is_left_alone(killed: Path, damage: Callable[[Path], None]) -> None:
    damage(killed)
    left = {path.name: path.read_bytes() for path in killed.parent.iterdir() if path.suffix != ".sqlite-shm"}
    with pytest.raises(DamagedStateError, match=r"kept\.sqlite: the last \d of \d commits are gone.*Put both back"):
        database.check(killed)
    names = set(left) - {"kept.sqlite-shm"}
    assert {name: (killed.parent / name).read_bytes() for name in names} == {name: left[name] for name in names}


def test_it_goes_on_with_what_is_left_where_that_is_asked_for(killed: Path) -> None:
    cut_log(killed)
    killed.with_suffix(".mark").unlink()
    database.check(killed)
    assert kept(Database(killed, SCHEMA)) == ["a", "b"]


def test_a_loss_of_power_is_told(
    killed: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cut_log(killed)
    boot = tmp_path / "boot"
    boot.write_text("another\n")
    monkeypatch.setattr(database, "_BOOT_ID", boot)
    with caplog.at_level(logging.ERROR):
        after = Database(killed, SCHEMA)
    assert "the last 1 of 3 commits had not reached the disk" in caplog.text
    keep(after, "d")
    after.close()
    assert kept(Database(killed, SCHEMA)) == ["a", "b", "d"]


@pytest.mark.parametrize("content", [b"not a database, certainly" * 400, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kept.sqlite"
    path.write_bytes(content)
    with pytest.raises(DamagedStateError, match=r"kept\.sqlite: it can't be read .*delete the whole folder"):
        Database(path, SCHEMA)


@pytest.mark.parametrize("text", ["", "word", "5", "-3 boot", "1 2 3"])
def test_a_mark_that_says_nothing_accuses_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "kept.mark").write_text(text)
    assert Mark(tmp_path / "kept.mark").read()[1] is False
    Database(tmp_path / "kept.sqlite", SCHEMA).close()


def test_a_failed_transaction_leaves_the_next_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    written = Database(path, SCHEMA)
    with pytest.raises(ZeroDivisionError), written.transaction():
        written.connection.execute("INSERT INTO kept VALUES ('no')")
        _ = 1 / 0
    keep(written, "yes")
    written.close()
    assert kept(Database(path, SCHEMA)) == ["yes"]


def test_a_changed_record_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.commit([Record("s3", "keys", b"key", b"value" * 100)])
    journal.close()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"value" * 100, b"value" * 99 + b"valuE"))
    with pytest.raises(DamagedStateError, match=r"journal\.sqlite: a record of s3 \(keys\) isn't what was written"):
        list(Journal(path).records("s3"))


def test_a_journal_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    earlier = sqlite3.connect(path)
    earlier.execute("CREATE TABLE record (service TEXT, store TEXT, key BLOB, value BLOB)")
    earlier.close()
    with pytest.raises(DamagedStateError, match="written by an earlier version"):
        Journal(path)


def test_the_log_and_the_file_become_small_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    records = [Record("s", "store", b"%d" % number, bytes(100_000)) for number in range(200)]
    journal.commit(records)
    journal.fold()
    assert log_of(path).stat().st_size <= LOG_BYTES
    assert path.stat().st_size > 19_000_000
    journal.commit([Record(each.service, each.store, each.key, None) for each in records])
    while journal.shrink():
        pass
    journal.fold()
    assert path.stat().st_size < 5_000_000
    assert log_of(path).stat().st_size <= LOG_BYTES
    journal.commit(records[:1])
    assert list(journal.records("s")) == records[:1]
