"""A model's refusal of a request, as a person can use it: its sentence, and what the endpoint logged meanwhile."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from contract import names
from ratchet import run_logs
from ratchet.account import Account

# Lines of an endpoint reach CloudWatch within seconds.
PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.5
_CLOCKS_DIFFER = timedelta(seconds=1)
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL | re.IGNORECASE)


def told(
    account: Account,
    endpoint: str,
    response: dict[str, Any],
    asked: datetime,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """The sentence of a ModelError's response, and under it the endpoint's log lines since it was asked."""
    lines = _lines(account, endpoint, asked - _CLOCKS_DIFFER, pause)
    group = names.endpoint_log_group(endpoint)
    log = "\n".join([f"Its log ({group}) says:", *lines]) if lines else f"Its log is {group}."
    return f"{sentence(response)}\n{log}"


def sentence(response: dict[str, Any]) -> str:
    """The answer of the model's container; of a page of HTML its title."""
    message = str(response.get("OriginalMessage") or response["Error"]["Message"]).strip()
    page = _TITLE.search(message)
    return page[1].strip() if page else message


def _lines(account: Account, endpoint: str, asked: datetime, pause: Callable[[float], None]) -> list[str]:
    """The lines, once there are some and no more come."""
    waited, before = 0.0, -1
    lines = run_logs.of_endpoint(account, endpoint, asked)
    while waited < PATIENCE_SECONDS and len(lines) != before:
        before = len(lines) or -1
        pause(_PAUSE_SECONDS)
        waited += _PAUSE_SECONDS
        lines = run_logs.of_endpoint(account, endpoint, asked)
    return [line.message for line in lines]
