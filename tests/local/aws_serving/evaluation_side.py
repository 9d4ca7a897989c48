"""What an evaluation makes of the same requests: the toolkit, with the model's code and the image's own functions.

`python evaluation_side.py BASE MODULE` reads cases from standard input and prints each one's answer, as text. MODULE is
that of the image's serving container, by which the toolkit knows whose functions stand in for missing ones.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

from toolkit import serving


def main() -> None:
    base, os.environ["SAGEMAKER_SERVING_MODULE"] = Path(sys.argv[1]), sys.argv[2]
    functions = serving.load_functions(base / "model" / "code")
    model = functions.load(str(base / "model"))
    told = []
    for body, headers in json.load(sys.stdin):
        content = base64.b64decode(body)
        told.append(functions.answer(model, content, headers["Content-Type"], headers["Accept"]))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
