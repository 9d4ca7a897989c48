"""`python -m ratchet.spec [FILE]` writes the JSON Schema of pipeline.yaml; docs/pipeline.schema.json unless told."""

from __future__ import annotations

import sys
from pathlib import Path

from ratchet.spec.schema import json_schema_text

if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/pipeline.schema.json")
    target.write_text(json_schema_text(), encoding="utf-8")
