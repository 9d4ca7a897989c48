"""Templates that CloudFormation refuses before a stack exists, in its words. Pure.

A template that still declares a transform is left alone: what the transform makes of it isn't known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from localaws.ministack_adapter.cloudformation.template_references import (
    PSEUDO_PARAMETERS,
    Reference,
    TemplateError,
    functions,
    references,
    tested_conditions,
)

Document = Mapping[str, Any]
_SECTIONS = {
    "AWSTemplateFormatVersion", "Conditions", "Description", "Hooks", "Mappings", "Metadata", "Outputs", "Parameters",
    "Resources", "Rules", "Transform",
}  # fmt: skip
_RESOURCE_MEMBERS = {
    "Condition", "CreationPolicy", "DeletionPolicy", "DependsOn", "Metadata", "Properties", "Type", "UpdatePolicy",
    "UpdateReplacePolicy",
}  # fmt: skip


def check(template: Document, conditions: Mapping[str, bool]) -> None:
    """Raise TemplateError unless CloudFormation takes the template; without conditions none of them is known."""
    if not template.get("Transform"):
        check_form(template)
        _check_names(template)
        _check_active(template, conditions)
        _check_circles(template, conditions)


def check_form(template: Document) -> None:
    """Checks that need no condition's value: sections, members, and the conditions themselves."""
    if not template.get("Transform"):
        _check_structure(template)
        _check_conditions(template)


def _check_structure(template: Document) -> None:
    """The members that a template and its resources and outputs have, and must have."""
    unknown = sorted(set(template) - _SECTIONS)
    if unknown:
        raise TemplateError(f"Invalid template property or properties [{', '.join(unknown)}]")
    resources = template.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    for name, resource in resources.items():
        _check_resource(name, resource)
    for name, output in _section(template, "Outputs").items():
        if not isinstance(output, dict) or "Value" not in output:
            raise TemplateError("Template format error: Every Outputs member must contain a Value object")
        _refuse_null(output, f"/Outputs/{name}")


def _check_resource(name: str, resource: Any) -> None:
    if not re.fullmatch("[A-Za-z0-9]+", name):
        raise TemplateError(f"Template format error: Resource name {name} is non alphanumeric.")
    if not isinstance(resource, dict):
        raise TemplateError(f"Template format error: [/Resources/{name}] resource definition is malformed")
    if not isinstance(resource.get("Type"), str):
        raise TemplateError(
            f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        )
    for member in resource:
        if member not in _RESOURCE_MEMBERS:
            raise TemplateError(f"Invalid template resource property '{member}'")
    _refuse_null(resource, f"/Resources/{name}")


def _refuse_null(node: Any, path: str) -> None:
    if node is None:
        raise TemplateError(f"[{path}] 'null' values are not allowed in templates")
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        _refuse_null(value, f"{path}/{key}")


def _check_conditions(template: Document) -> None:
    """Conditions refer to parameters and to each other, without circles; what names a condition names one that is."""
    defined = _section(template, "Conditions")
    known = {*_section(template, "Parameters"), *PSEUDO_PARAMETERS}
    strangers = [found.name for found in references(list(defined.values())) if found.name not in known]
    if strangers:
        raise TemplateError(
            f"Template format error: Unresolved dependencies [{_listed(strangers)}]. Cannot reference resources in the "
            "Conditions block of the template"
        )
    graph = {name: {str(a) for f, a in functions(body) if f == "Condition"} for name, body in defined.items()}
    for needed in graph.values():
        _require_conditions(needed, defined, "Conditions")
    if circle := _circle(graph):
        raise TemplateError(f"Template error: Found circular condition dependency between {' and '.join(circle)}")
    for section in ("Resources", "Outputs"):
        members = [member for member in _section(template, section).values() if isinstance(member, dict)]
        _require_conditions((m["Condition"] for m in members if "Condition" in m), defined, section)
        for tested in tested_conditions(members):
            if tested not in defined:
                raise TemplateError(f"Template error: unresolved condition dependency {tested} in Fn::If")


def _require_conditions(names: Iterable[str], defined: Document, section: str) -> None:
    for name in names:
        if name not in defined:
            raise TemplateError(
                f"Template format error: Unresolved condition dependency {name} in the {section} block of the template"
            )


def _check_names(template: Document) -> None:
    """Every name that is referred to is there, in branches that are not taken too."""
    resources = _section(template, "Resources")
    known = {*resources, *_section(template, "Parameters"), *PSEUDO_PARAMETERS}
    for section, nodes in _blocks(template):
        missing = []
        for found in (each for node in nodes for each in references(node)):
            if found.attribute:
                _require_resource(found, resources)
            elif found.name not in known:
                missing.append(found.name)
        if section == "Resources":
            missing += [name for each in resources.values() for name in depends_on(each) if name not in resources]
        _refuse_missing(missing, section)


def _require_resource(found: Reference, resources: Document) -> None:
    if found.name in resources:
        return
    if found.function == "Fn::Sub":
        name = f"{found.name}.{found.attribute}"
        raise TemplateError(f"Template error: instance of Fn::Sub references invalid resource attribute {name}")
    raise TemplateError(f"Template error: instance of Fn::GetAtt references undefined resource {found.name}")


def _check_active(template: Document, conditions: Mapping[str, bool]) -> None:
    """Checks that what is made refers to nothing that, by its condition, isn't."""
    resources = _section(template, "Resources")
    absent = set(resources) - set(_active(resources, conditions))
    for section, nodes in _blocks(template, conditions):
        found = (each.name for node in nodes for each in references(node, conditions))
        _refuse_missing([name for name in found if name in absent], section)


def _blocks(template: Document, conditions: Mapping[str, bool] | None = None) -> list[tuple[str, list[Any]]]:
    """The nodes of each section in which references stand; with conditions, of the members that are made."""
    made = {name: _active(_section(template, name), conditions or {}) for name in ("Resources", "Outputs")}
    properties = [resource.get("Properties", {}) for resource in made["Resources"].values()]
    outputs = [[output.get("Value"), output.get("Export", {})] for output in made["Outputs"].values()]
    return [("Resources", properties), ("Outputs", outputs)]


def _refuse_missing(names: Sequence[str], section: str) -> None:
    if names:
        format_error = "Template format error: " if section == "Resources" else ""
        raise TemplateError(
            f"{format_error}Unresolved resource dependencies [{_listed(names)}] in the {section} block of the template"
        )


def _check_circles(template: Document, conditions: Mapping[str, bool]) -> None:
    resources = _active(_section(template, "Resources"), conditions)
    graph = {
        name: {found.name for found in references(resource.get("Properties", {}), conditions)}
        | set(depends_on(resource))
        for name, resource in resources.items()
    }
    if circle := _circle(graph):
        raise TemplateError(f"Circular dependency between resources: [{', '.join(circle)}]")


def _circle(graph: Mapping[str, set[str]]) -> list[str]:
    """The names that lead back to themselves, sorted."""
    left = {name: needed & set(graph) for name, needed in graph.items()}
    while ends := [name for name, needed in left.items() if not needed]:
        left = {name: needed.difference(ends) for name, needed in left.items() if name not in ends}
    return sorted(name for name in left if name in _reached(name, left))


def _reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found, waiting = set[str](), [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def depends_on(resource: Document) -> list[str]:
    named = resource.get("DependsOn", [])
    return [named] if isinstance(named, str) else list(named)


def _active(members: Mapping[str, Any], conditions: Mapping[str, bool]) -> dict[str, Any]:
    return {name: each for name, each in members.items() if conditions.get(each.get("Condition", ""), True)}


def _section(template: Document, name: str) -> Mapping[str, Any]:
    found = template.get(name)
    return found if isinstance(found, dict) else {}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
