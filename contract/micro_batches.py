"""Micro-batches: requests to an endpoint that come together are predicted together; as spec and container agree on it.

The container's variable MICRO_BATCHES is {"max": rows, "wait": seconds}. PyTorch's container can't: TorchServe hands it
lists of requests, of which its toolkit makes one call each, with the first one's headers, and whose first error is all
requests' (aws/sagemaker-inference-toolkit, `transformer.py`, and its issue #123).
"""

from __future__ import annotations

import json

MICRO_BATCHES = "RATCHET_MICRO_BATCHES"


def text(most: int, wait: float) -> str:
    """The variable's text."""
    return json.dumps({"max": most, "wait": wait}, separators=(",", ":"))


def read(said: str) -> tuple[int, float]:
    """The most rows, and the seconds, that the variable says."""
    document = json.loads(said)
    return int(document["max"]), float(document["wait"])
