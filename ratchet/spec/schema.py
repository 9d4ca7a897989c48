"""The JSON Schema of pipeline.yaml, for editors; docs/pipeline.schema.json holds it."""

from __future__ import annotations

import json
from typing import Any

from ratchet.spec import units
from ratchet.spec.pipeline import PipelineSpec


def json_schema() -> dict[str, Any]:
    """The schema as a document."""
    schema = _with_units(PipelineSpec.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Ratchet pipeline"}


def json_schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _with_units(schema: dict[str, Any]) -> dict[str, Any]:
    """Defaults of durations and sizes as the user would write them: `1h`, not 3600."""
    written = {units.DURATION_PATTERN: units.duration_text, units.SIZE_PATTERN: units.size_text}
    for section in (schema, *schema["$defs"].values()):
        for field in section["properties"].values():
            if "default" in field and field.get("pattern") in written:
                field["default"] = written[field["pattern"]](field["default"])
            elif isinstance(field.get("default"), dict):
                del field["default"]
    return schema
