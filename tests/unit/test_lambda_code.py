"""Which package of a function an invocation runs."""

from __future__ import annotations

from typing import Any

import pytest
from ministack.services import lambda_svc

from localaws.ministack_adapter.lambdas import code_of


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"FunctionName": "there"}, b"of now"),
        ({"FunctionName": "there", "Version": "$LATEST"}, b"of now"),
        ({"FunctionName": "there", "Version": "1"}, b"of then"),
        ({"FunctionName": "deleted"}, b"of then"),
    ],
)
def test_an_event_that_is_tried_again_runs_the_code_of_now(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], code: bytes
) -> None:
    monkeypatch.setattr(lambda_svc, "_functions", {"there": {"code_zip": b"of now"}})
    assert code_of({"config": config, "code_zip": b"of then"}, config) == code
