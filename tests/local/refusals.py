"""What a client's call is refused with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, Any]:
    """Code and message of the error that a request is refused with; None for a message that it
    hasn't: some of AWS's haven't."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error.get("Message")
