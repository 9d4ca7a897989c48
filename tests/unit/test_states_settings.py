"""The embedded Step Functions' settings file."""

from __future__ import annotations

from pathlib import Path

import pytest

from localaws.ministack_adapter.stepfunctions.settings import Settings


def test_without_a_file_a_stopped_job_fails_its_task(tmp_path: Path) -> None:
    assert Settings.read(tmp_path / "settings.json") == Settings("fails")


def test_the_file_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"stopped_job": "succeeds"}')
    assert Settings.read(path).stopped_job == "succeeds"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ('{"stopped": 1}', "unknown settings stopped; there is stopped_job"),
        ('{"stopped_job": "maybe"}', "stopped_job: 'maybe'; it must be fails or succeeds"),
        ("[]", "unknown settings"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"settings\.json") as caught:
        Settings.read(path)
    assert says in str(caught.value)
