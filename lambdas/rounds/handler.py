"""Rounds: judges the round that has just trained: another one, or on with the smallest model that is good enough."""

from __future__ import annotations

from typing import Any

from common.log import Log

from rounds.judgement import Settings, judge

Document = dict[str, Any]

LOG = Log({"function": "rounds"})


def handle(event: Document, _context: object) -> Document:
    """The judgement (`rounds.judgement.judge`).

    Args:
        event: {"settings": `rounds` of pipeline.yaml, "round", "rounds", "training": the machine's variables}.
    """
    judged = judge(Settings(**event["settings"]), event["round"], event["rounds"], event["training"])
    last = judged["rounds"]["rows"][-1]
    LOG.info("judged", next=judged["next"], job=last["job"], metrics=last.get("metrics"), failure=judged["failure"])
    return judged
