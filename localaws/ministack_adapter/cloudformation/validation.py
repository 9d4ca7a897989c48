"""CloudFormation's refusals before a stack exists: MiniStack's operations ask our checks first."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from localaws.ministack_adapter.cloudformation import parameter_checks, template_checks
from localaws.ministack_adapter.malformed_requests import MAX_DEPTH

Document = dict[str, Any]
RESOLVE = "_resolve_parameters"
SUPPORT = "validate_template_support"


def bound_templates(engine: ModuleType) -> None:
    """Refuse YAML that takes long to read. CloudFormation's has no aliases (User Guide, "CloudFormation template
    formats"): nine lines of them are a billion values."""
    from yaml.events import AliasEvent

    compose, begin = engine.CfnLoader.compose_node, engine.CfnLoader.fetch_flow_collection_start

    def compose_node(self: Any, parent: Any, index: Any) -> Any:
        if self.check_event(AliasEvent):
            raise ValueError("Template error: YAML aliases are not allowed in CloudFormation templates")
        return compose(self, parent, index)

    def fetch_flow_collection_start(self: Any, token: Any) -> None:
        # Each level is looked at for every token in it: 50 KB of brackets would take 20 seconds.
        if self.flow_level >= MAX_DEPTH:
            raise ValueError(f"Template error: the template is nested more than {MAX_DEPTH} levels deep")
        begin(self, token)

    engine.CfnLoader.compose_node = compose_node
    engine.CfnLoader.fetch_flow_collection_start = fetch_flow_collection_start


def register(operations: ModuleType) -> None:
    """For a module with operations: each calls RESOLVE, then SUPPORT, and answers ValueErrors as ValidationError."""
    resolve, support = operations.__dict__[RESOLVE], operations.__dict__[SUPPORT]

    def resolve_parameters(template: Document, given: list[Document], previous: Document | None = None) -> Any:
        template_checks.check_form(template)
        parameter_checks.check(template, given, previous)
        return resolve(template, given, previous)

    def validate_template_support(
        template: Document, conditions: Mapping[str, bool], params: Document | None = None
    ) -> None:
        template_checks.check(template, conditions)
        support(template, conditions, params=params)

    operations.__dict__[RESOLVE] = resolve_parameters
    operations.__dict__[SUPPORT] = validate_template_support
