"""Stacks whose operation was cut off by the server's end get a status from which they can be deployed again.

Nobody goes on with them, so that in progress they would stay for ever. A creation that was cut off is left as
`ROLLBACK_FAILED`, which `cdk deploy` deletes and creates anew; an update goes back to the template that was last
applied whole, so that the next deployment sees the difference. A stack knows from the first what it has made: MiniStack
says it of a new one only when all of it is there.
"""

from __future__ import annotations

import json
import logging
from types import ModuleType
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.imports import when_imported

logger = logging.getLogger(__name__)

Document = dict[str, Any]

REASON = "The embedded AWS was stopped during the operation."


class _Stacks(dict[Any, Any]):
    """Stacks whose resources are in them as they are made."""

    def __setitem__(self, key: Any, stack: Document) -> None:
        stack.setdefault("_resources", {})
        super().__setitem__(key, stack)


def install(aws: EmbeddedAws) -> None:
    import sys

    when_imported("ministack.services.cloudformation", _know_resources_from_the_first)

    def give_back() -> None:
        cloudformation = sys.modules.get("ministack.services.cloudformation")
        if cloudformation is None:
            return  # no stack was restored
        for stack in list(cloudformation.__dict__["_stacks"]._data.values()):
            stack.update(after_interruption(stack))
        aws.changed("cloudformation")

    aws.when_restored(give_back)


def _know_resources_from_the_first(cloudformation: ModuleType) -> None:
    cloudformation._stacks._data = _Stacks(cloudformation._stacks._data)


def after_interruption(stack: Document) -> Document:
    """The members of a stack that change because its operation was cut off. Pure."""
    status = str(stack.get("StackStatus", ""))
    if not status.endswith("_IN_PROGRESS") or status == "REVIEW_IN_PROGRESS":
        return {}
    logger.warning("stack %s: %s was cut off", stack.get("StackName"), status)
    if status == "DELETE_IN_PROGRESS":
        return {"StackStatus": "DELETE_FAILED", "StackStatusReason": REASON}
    if status.startswith(("CREATE", "ROLLBACK")):
        return {"StackStatus": "ROLLBACK_FAILED", "StackStatusReason": REASON}
    applied = stack.get("_template")
    body = {"_template_body": json.dumps(applied)} if applied else {}
    return {"StackStatus": "UPDATE_ROLLBACK_COMPLETE", "StackStatusReason": REASON, **body}
