"""Exports: one name belongs to one stack, and what another stack imports neither changes nor goes.

CloudFormation finds out when it has the outputs' values: the operation rolls back with the reason. DeleteStack of a
stack whose export is imported is answered, and leaves the stack in the status that it had, with an event that says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any

Document = dict[str, Any]
OUTPUTS, RESOLVE, DEPLOY, ROLL_BACK = (
    "_resolve_stack_outputs", "_resolve_refs", "_deploy_stack_async", "_roll_back_operation",
)  # fmt: skip
_NOT_FOUND = re.compile(r"Export '(.*)' not found")  # MiniStack's words
# What was never made, or is gone, imports nothing.
_WITHOUT_IMPORTS = frozenset({"DELETE_COMPLETE", "REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE"})

Importers = Callable[[str], list[str]]


class ExportError(ValueError):
    """An export that can't be made, changed or removed; its text is CloudFormation's."""


def check(old: Mapping[str, Document], new: Mapping[str, Document], stack_id: str, importers: Importers) -> None:
    """Raise ExportError unless all exports of a region, `old`, allow a stack to have the `new` ones. Pure."""
    for name in new:
        if name in old and old[name]["StackId"] != stack_id:
            owner = stack_name(old[name]["StackId"])
            raise ExportError(f"Export with name {name} is already exported by stack {owner}.")
    for name, export in old.items():
        changed = name not in new or new[name]["Value"] != export["Value"]
        if export["StackId"] == stack_id and changed and (users := importers(name)):
            what = "updated" if name in new else "deleted"
            raise ExportError(in_use(name, users, what))


def in_use(name: str, users: Iterable[str], what: str = "deleted") -> str:
    return f"Export {name} cannot be {what} as it is in use by {', '.join(users)}"


def stack_name(stack_id: str) -> str:
    return stack_id.split("/")[1]


def register_stacks(stacks: ModuleType) -> None:
    """Outputs are checked when they have their values; a rollback says which export was the reason."""
    outputs, roll_back, resolve = (stacks.__dict__[name] for name in (OUTPUTS, ROLL_BACK, RESOLVE))
    reasons: dict[str, str] = {}

    def resolve_stack_outputs(*arguments: Any) -> Any:
        stack_id = arguments[-1]
        found, new = outputs(*arguments)
        try:
            check(dict(_cloudformation()._exports.items()), new, stack_id, _importers_beside(stack_id))
        except ExportError as refused:
            reasons[stack_id] = str(refused)
            raise
        return found, new

    async def roll_back_operation(
        name: str, stack_id: str, stack: Document, operation: Document, reason_override: str = ""
    ) -> None:
        await roll_back(name, stack_id, stack, operation, reason_override or reasons.pop(stack_id, ""))

    def resolve_refs(*arguments: Any) -> Any:
        try:
            return resolve(*arguments)
        except ValueError as error:
            if found := _NOT_FOUND.fullmatch(str(error)):
                raise ExportError(f"No export named {found[1]} found.") from error
            raise

    stacks.__dict__.update({OUTPUTS: resolve_stack_outputs, ROLL_BACK: roll_back_operation, RESOLVE: resolve_refs})


def register_operations(operations: ModuleType) -> None:
    """An export goes with the output that made it, once the update without it is complete."""
    deploy = operations.__dict__[DEPLOY]

    async def deploy_stack(name: str, stack_id: str, *arguments: Any, **more: Any) -> None:
        await deploy(name, stack_id, *arguments, **more)
        cloudformation = _cloudformation()
        stack = cloudformation._stacks.get(name, {})
        if stack.get("StackStatus") == "UPDATE_COMPLETE":
            kept = {output.get("ExportName") for output in stack.get("Outputs", [])}
            for export, found in list(cloudformation._exports.items()):
                if found["StackId"] == stack_id and export not in kept:
                    cloudformation._exports.pop(export, None)

    operations.__dict__[DEPLOY] = deploy_stack


def register_deletion(handlers: ModuleType) -> None:
    delete = handlers._ACTION_HANDLERS["DeleteStack"]

    def delete_stack(params: Document) -> Any:
        stack = handlers._resolve_stack(handlers._p(params, "StackName"))
        reason = _reason_to_stay(stack) if stack else ""
        if not reason:
            return delete(params)
        stack["StackStatusReason"] = reason
        name, identity, status = stack["StackName"], stack["StackId"], stack["StackStatus"]
        handlers._add_event(identity, name, name, "AWS::CloudFormation::Stack", status, reason, physical_id=identity)
        return handlers._xml(200, "DeleteStackResponse", "")

    handlers._ACTION_HANDLERS["DeleteStack"] = delete_stack


def _reason_to_stay(stack: Document) -> str:
    """Why a stack can't be deleted: another imports what it exports."""
    if stack.get("StackStatus") in _WITHOUT_IMPORTS or stack.get("EnableTerminationProtection"):
        return ""
    importers = _importers_beside(stack["StackId"])
    names = [output["ExportName"] for output in stack.get("Outputs", []) if output.get("ExportName")]
    return next((in_use(name, users) for name in names if (users := importers(name))), "")


def _importers_beside(stack_id: str) -> Importers:
    from ministack.services.cloudformation import handlers

    def importers(export: str) -> list[str]:
        return [
            str(name)
            for name, stack in _cloudformation()._stacks.items()
            if stack["StackId"] != stack_id
            and stack.get("StackStatus") not in _WITHOUT_IMPORTS
            and export in handlers._imported_export_names(stack, name)
        ]

    return importers


def _cloudformation() -> Any:
    from ministack.services import cloudformation

    return cloudformation
