"""A content type and its parameters, apart."""

from __future__ import annotations

from email.message import Message


def parse(content_type: str) -> tuple[str, dict[str, str]]:
    """``text/csv; label_size=1`` is ``text/csv`` and ``{"label_size": "1"}``."""
    message = Message()
    message["content-type"] = content_type
    kind, *parameters = message.get_params([("", "")])
    return kind[0], dict(parameters)
