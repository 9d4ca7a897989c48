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
    """The sentence of a ModelError's response, and under it the endpoint's log lines since it was asked.

    Of a chain's containers the lines of the one that answered so.
    """
    container, stream = _of_chain(response)
    lines = _lines(account, endpoint, asked - _CLOCKS_DIFFER, pause, stream)
    group = names.endpoint_log_group(endpoint)
    log = "\n".join([f"Its log ({group}) says:", *lines]) if lines else f"Its log is {group}."
    who = f"{container}: " if container else ""
    return f"{who}{sentence(response)}\n{log}"


def _of_chain(response: dict[str, Any]) -> tuple[str | None, str | None]:
    """Of a chain the container that answered, and its log stream, `<variant>/<instance>/<container>`."""
    stream = str(response.get("LogStreamArn", "")).rpartition(":log-stream:")[2]
    parts = stream.split("/")
    return (parts[-1], stream) if len(parts) == len(("variant", "instance", "container")) else (None, None)


def sentence(response: dict[str, Any]) -> str:
    """The answer of the model's container; of a page of HTML its title."""
    message = str(response.get("OriginalMessage") or response["Error"]["Message"]).strip()
    page = _TITLE.search(message)
    return page[1].strip() if page else message


def _lines(
    account: Account, endpoint: str, asked: datetime, pause: Callable[[float], None], stream: str | None
) -> list[str]:
    """The lines, once there are some and no more come."""
    waited, before = 0.0, -1
    lines = run_logs.of_endpoint(account, endpoint, asked, stream)
    while waited < PATIENCE_SECONDS and len(lines) != before:
        before = len(lines) or -1
        pause(_PAUSE_SECONDS)
        waited += _PAUSE_SECONDS
        lines = run_logs.of_endpoint(account, endpoint, asked, stream)
    return [line.message for line in lines]
