"""How an answer of the endpoint says which model gave it: the model package, in the header CustomAttributes.

The run that deploys a model tells its container MODEL_PACKAGE; toolkit.signature puts it into each answer.
"""

from __future__ import annotations

import re

# The container's environment variable with the ARN of the model package that it serves.
MODEL_PACKAGE = "RATCHET_MODEL_PACKAGE"
# InvokeEndpoint, API reference, CustomAttributes: the container sets it, and the caller's SDK reads it.
HEADER = "X-Amzn-SageMaker-Custom-Attributes"
_KEY = "ratchet-model-package"
_SIGNED = re.compile(rf"(?:^|[,; ]){_KEY}=([^,; ]+)")


def signed(package: str, attributes: str = "") -> str:
    """The header's value that names the model package, behind what a model's own code has set."""
    signature = f"{_KEY}={package}"
    return f"{attributes}, {signature}" if attributes else signature


def signer(attributes: str | None) -> str | None:
    """The model package that an answer's CustomAttributes names; None where it names none."""
    found = _SIGNED.search(attributes or "")
    return found[1] if found else None
