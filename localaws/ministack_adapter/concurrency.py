"""One change at a time to a queue's messages and to a table's items.

MiniStack's handlers run on its event loop, one after the other, but its services also call each other from threads
(event source mappings, deliveries, state machines). Two of them at once lose messages (`messages` is replaced by a list
made before another was appended) or let two conditional writes succeed. Both kinds of change are short and call
nothing that waits, so one lock each is enough.
"""

from __future__ import annotations

import functools
import importlib
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

# Functions that change messages, by module.
_MESSAGES = {
    "sqs": (
        "_act_send_message",
        "_act_send_message_batch",
        "_act_delete_message",
        "_act_delete_message_batch",
        "_act_change_visibility",
        "_act_change_visibility_batch",
        "_act_purge_queue",
        "_delete_messages_for_esm",
    ),
    "eventbridge": ("_dispatch_to_sqs",),
    "sns": ("_deliver_to_sqs",),
    "s3": ("_deliver_event_to_sqs",),
    "lambda_svc": ("_route_async_failure", "_send_ddb_stream_failure_record"),
}
# Functions that look into a queue many times a second, mostly in vain.
_LOOKS = {"sqs": ("_expire_retained", "_dlq_sweep", "_collect_msgs")}
# A look that is made of those.
_LOOKS_TOGETHER = {"sqs": ("_receive_messages_for_esm",)}
# Functions that read items and then write them.
_ITEMS = {
    "dynamodb": (
        "_put_item",
        "_update_item",
        "_delete_item",
        "_batch_write_item",
        "_transact_write_items",
        "_execute_statement",
        "_batch_execute_statement",
        "_execute_transaction",
    )
}


def install(aws: EmbeddedAws) -> None:
    messages, items = threading.RLock(), threading.RLock()
    queues_changed = functools.partial(aws.changed, "sqs")
    _serialize(_MESSAGES, functools.partial(_locked, lock=messages, changed=queues_changed))
    _serialize(_LOOKS, functools.partial(_looking, lock=messages, changed=queues_changed))
    _serialize(_LOOKS_TOGETHER, functools.partial(_locked, lock=messages, changed=lambda: None))
    _serialize(_ITEMS, functools.partial(_locked, lock=items, changed=functools.partial(aws.changed, "dynamodb")))


def _serialize(functions: Mapping[str, tuple[str, ...]], wrapped: Callable[[Any], Any]) -> None:
    for module_name, names in functions.items():
        module = importlib.import_module(f"ministack.services.{module_name}")
        for name in names:
            _replace(module, name, wrapped(getattr(module, name)))


def _locked(function: Callable[..., Any], lock: threading.RLock, changed: Callable[[], None]) -> Callable[..., Any]:
    @functools.wraps(function)
    def one_at_a_time(*arguments: Any, **named: Any) -> Any:
        with lock:
            try:
                return function(*arguments, **named)
            finally:
                changed()

    return one_at_a_time


def _looking(function: Callable[..., Any], lock: threading.RLock, changed: Callable[[], None]) -> Callable[..., Any]:
    """As `_locked`, but it tells only of messages that were found, or have gone from the queue."""

    @functools.wraps(function)
    def one_at_a_time(queue: dict[str, Any], *arguments: Any, **named: Any) -> Any:
        with lock:
            before = len(queue["messages"])
            found = function(queue, *arguments, **named)
            if found or len(queue["messages"]) != before:
                changed()
            return found

    return one_at_a_time


def _replace(module: ModuleType, name: str, function: Callable[..., Any]) -> None:
    """Put `function` in the place of the module's `name`, also where handlers are listed by operation."""
    original = getattr(module, name)
    setattr(module, name, function)
    handlers = getattr(module, "_HANDLERS", {})
    for operation, handler in handlers.items():
        if handler is original:
            handlers[operation] = function
