"""Answers requests with the model in this folder, as its endpoint does: onnxruntime and NumPy are all that it needs.

    python answer.py rows.csv
    python answer.py --accept application/json < rows.csv

A file is one request, of the kind that its ending says (.csv, .json, .npy, .png, .jpg), or --content-type. Of a file of
JSON lines (.jsonl) each line is a request of its own, whose answer is a line.
"""

import argparse
import json
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CSV, JSON = "text/csv", "application/json"
LINES = (".jsonl", ".jsonlines", ".ndjson")
KINDS = {
    ".csv": CSV,
    ".json": JSON,
    **dict.fromkeys(LINES, JSON),
    ".npy": "application/x-npy",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}


def main():
    parser = argparse.ArgumentParser(description="Answers requests with the model in this folder.")
    parser.add_argument("file", nargs="?", type=Path, help="the request (default: standard input)")
    parser.add_argument("--content-type", help="of the request (default: as the file's ending says, or text/csv)")
    parser.add_argument("--accept", help="of the answer (default: text/csv, of JSON lines application/json)")
    parser.add_argument("--lines", action="store_true", help="each line is a request of its own, as of a .jsonl")
    given = parser.parse_args()
    ending = given.file.suffix.lower() if given.file else ""
    by_line = given.lines or ending in LINES
    kind = given.content_type or KINDS.get(ending, CSV)
    accept = given.accept or (JSON if by_line and kind == JSON else CSV)
    try:
        body = given.file.read_bytes() if given.file else sys.stdin.buffer.read()
    except OSError as error:
        sys.exit(f"{given.file} can't be read: {error.strerror}")
    if not body.strip():
        sys.exit(f"{given.file or 'standard input'} is empty: there is nothing to answer")
    answer = model()
    requests = [line for line in body.splitlines() if line.strip()] if by_line else [body]
    for number, request in enumerate(requests, start=1):
        try:
            said = answer(request, kind, accept)
        except Exception as error:  # noqa: BLE001 - whatever the model's own code says of a request
            where = f"line {number}: " if by_line else ""
            sys.exit(f"{where}{type(error).__name__}: {error}")
        is_text = accept.partition(";")[0].strip() in (CSV, JSON)
        sys.stdout.buffer.write(said + b"\n" if is_text and not said.endswith(b"\n") else said)


def model():
    """A function of a request's body, its kind, and the kind of the answer."""
    os.environ.update(json.loads((HERE / "environment.json").read_text()))
    sys.path.insert(0, str(HERE / "code"))
    from toolkit import serving

    functions = serving.load_functions(HERE / "code")
    loaded = functions.load(str(HERE))

    def answer(body, kind, accept):
        said, _ = functions.respond(loaded, body, kind, accept)
        return said if isinstance(said, bytes) else said.encode()

    return answer


if __name__ == "__main__":
    main()
