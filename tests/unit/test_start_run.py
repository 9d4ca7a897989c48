"""`ratchet run`: what its options ask of the launcher."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from contract import triggers
from ratchet import following
from ratchet.commands import start_run


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"forced": False, "supersede": False}, {}),
        ({"forced": False, "supersede": True}, {"supersede": True}),
        ({"forced": True, "supersede": False}, {"forced": True}),
        ({"forced": False, "tune": True}, {"tune": True}),
    ],
)
def test_the_launcher_is_told_what_is_asked(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, bool], told: dict[str, bool]
) -> None:
    sent: list[dict[str, Any]] = []

    def launch(_account: object, _pipeline: str, trigger: dict[str, Any]) -> following.Launched:
        sent.append(trigger)
        return following.Launched("started", "r1", "arn")

    monkeypatch.setattr(following, "launch", launch)
    context: Any = SimpleNamespace(account=None, say=lambda _text: None)
    trigger = triggers.message("manual", {"by": start_run._who()}, **asked)
    assert start_run._launch(context, "digits", trigger).run_id == "r1"
    assert [{**trigger, "detail": None} for trigger in sent] == [{"kind": "manual", "detail": None, **told}]
    assert sent[0]["detail"]["by"]


def test_the_command_offers_it() -> None:
    names = {option for parameter in start_run.run.params for option in parameter.opts}
    assert {"--force", "--supersede", "--wait"} <= names
