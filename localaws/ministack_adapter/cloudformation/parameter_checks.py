"""Parameters of a stack that don't fit its template, refused in CloudFormation's words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from localaws.ministack_adapter.cloudformation.template_references import TemplateError

Document = Mapping[str, Any]


def check(template: Document, given: Sequence[Document], previous: Document | None = None) -> None:
    """Raise TemplateError unless every parameter that is given is defined, and every one without a default is given."""
    defined: Mapping[str, Document] = template.get("Parameters") or {}
    values = {str(each["Key"]): each for each in given if "Key" in each}
    unknown = [name for name in values if name not in defined]
    if unknown:
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = [name for name, each in defined.items() if not _has_value(name, each, values, previous or {})]
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    for name, definition in defined.items():
        _check_allowed(name, definition, values.get(name, {}))


def _has_value(name: str, definition: Document, values: Mapping[str, Document], previous: Document) -> bool:
    if name not in values:
        return "Default" in definition
    uses_previous = str(values[name].get("UsePreviousValue", "")).lower() == "true"
    return not uses_previous or name in previous or "Default" in definition


def _check_allowed(name: str, definition: Document, given: Document) -> None:
    allowed = [str(value) for value in definition.get("AllowedValues", [])]
    if allowed and "Value" in given and str(given["Value"]) not in allowed:
        raise TemplateError(f"Parameter '{name}' must be one of AllowedValues")
