"""How each of MiniStack's services keeps its state, and how it gets it back."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from localaws.database import DamagedStateError
from localaws.ministack_adapter import growing_state
from localaws.ministack_adapter.growing_state import DynamoDbState, SqsState
from localaws.ministack_adapter.service_state import ServiceState, Stores, join_whole, live_stores, whole
from localaws.ministack_adapter.stack_state import StackState

# Their `get_state` copies in ways that `live_stores` doesn't follow.
_OWN_STORES = {
    "lambda": growing_state.stores_of_lambda,
    "sts": growing_state.stores_of_sts,
    "cloudwatch_logs": growing_state.stores_of_logs,
}
_OWN_STATES: dict[str, Callable[[Callable[[], Stores]], ServiceState]] = {
    "cloudformation": StackState,
    "dynamodb": DynamoDbState,
    "sqs": SqsState,
}
# Read from their code: `get_state` is a dictionary of `copy.deepcopy(store)`, nothing else.
_LIVE_STORES = {
    "cloudwatch",
    "dynamodb",
    "ecr",
    "eventbridge",
    "iam",
    "kms",
    "scheduler",
    "sns",
    "sqs",
    "ssm",
    "stepfunctions",
}


def state_of(service: str) -> ServiceState | None:
    """The state of a service by MiniStack's name for it, None where MiniStack keeps none."""
    from ministack import app

    module_name = app._state_map.get(service)
    if module_name is None:
        return None
    module = importlib.import_module(f"ministack.services.{module_name}")
    if service in _OWN_STATES:
        return _OWN_STATES[service](partial(live_stores, module))
    kind = growing_state.KINDS.get(service, (whole, join_whole))
    if service in _OWN_STORES:
        return ServiceState(service, partial(_OWN_STORES[service], module), *kind)
    if service in _LIVE_STORES:
        return ServiceState(service, partial(live_stores, module), *kind)
    return ServiceState(service, lambda: module.get_state() or {}, *kind)


def load(service: str, stores: dict[str, Any]) -> None:
    """Give a service the stores back that it had. Raises DamagedStateError where it doesn't take them."""
    from ministack import app

    module = app._get_module(app._state_map[service])
    if service == "sts":
        module._sessions.update(stores.get("sessions", {}))
        return
    if service == "sqs":
        stores["queues"]._data = _at_this_port(module, stores["queues"]._data)
    try:
        module.load_persisted_state(stores)
    except Exception as error:
        raise DamagedStateError(
            f"the state of {service} could not be restored: {error!r}. Put the journal back from a copy, or delete the "
            "whole folder to begin anew"
        ) from error


def _at_this_port(sqs: Any, queues: dict[Any, Any]) -> dict[Any, Any]:
    """Queues under the URLs that they have now; the port may be another one than before."""
    moved = {}
    for (account, region, _), queue in queues.items():
        url = sqs._queue_url_for_account(account, queue["name"])
        moved[account, region, url] = {**queue, "url": url}
    return moved
