"""AWS's PyTorch inference toolkit beside the embedded AWS's model server; see `flask_side.py`.

The toolkit's context is TorchServe's, which is in Java but for that class: the model server's own stands for it, so
that what the toolkit asks of it is held here, too.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import ours


class TheirModel:
    """A model behind AWS's handler service."""

    def __init__(self, base: Path) -> None:
        os.environ.update(SAGEMAKER_BASE_DIR=str(base), SAGEMAKER_PROGRAM="serve.py")
        # It reads the variables when it is imported.
        handler_service = importlib.import_module("sagemaker_pytorch_serving_container.handler_service")
        self.context = ours.part("context").Context(str(base / "model"))
        self.service = handler_service.HandlerService()
        self.service.initialize(self.context)

    def ask(self, body: bytes, headers: dict[str, str]) -> tuple[int, str, bytes, str | None]:
        self.context.begin({name.lower(): value for name, value in headers.items()})
        (answer,) = self.service.handle([{"body": body}], self.context)
        kind = self.context.get_response_content_type(0) or "text/plain"
        said = self.context.get_response_headers(0).get(ours.ATTRIBUTES.lower())
        return self.context.get_response_status(0)[0], kind, ours.part("toolkit_model").octets(answer), said


def first_line_of_an_error(status: int, kind: str, answer: bytes, said: str | None) -> list[Any]:
    """Behind the first line of an error is its traceback, which differs."""
    shown = answer if status == 200 else answer.partition(b"\n")[0]
    return [status, kind, base64.b64encode(shown).decode(), said]


def main() -> None:
    base = Path(sys.argv[1])
    sys.path.insert(0, str(base / "model" / "code"))  # as the toolkit's model server starts its workers,
    os.chdir(base / "model")  # and TorchServe
    model, their_model = ours.load(base, "sagemaker_pytorch_container"), TheirModel(base)
    told = []
    for body, headers in json.load(sys.stdin):
        content = base64.b64decode(body)
        pair = their_model.ask(content, headers), ours.ask(model, content, headers)
        told.append([first_line_of_an_error(*answered) for answered in pair])
    print(json.dumps(told))


if __name__ == "__main__":
    main()
