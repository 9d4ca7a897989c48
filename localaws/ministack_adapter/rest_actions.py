"""The actions of Lambda's and S3's requests where MiniStack takes them for others ("Actions defined by AWS Lambda" and
"… Amazon S3", Service Authorization Reference).

It takes every request to a function's aliases for ListAliases, to its concurrency for PutFunctionConcurrency, and finds
no action for most of an event source mapping's. Of S3's sub-resources it takes the first of its own list where a
request has several, which may be another than the handler's; a request has one.
"""

from __future__ import annotations

from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.one_operation import UNKNOWN

Document = dict[str, Any]

# After a function's name in the path: what a method means there, and what it means with one more part.
_OF_FUNCTIONS = {
    "aliases": {"GET": "ListAliases", "POST": "CreateAlias"},
    "aliases/": {"GET": "GetAlias", "PUT": "UpdateAlias", "DELETE": "DeleteAlias"},
    "code-signing-config": {
        "GET": "GetFunctionCodeSigningConfig",
        "PUT": "PutFunctionCodeSigningConfig",
        "DELETE": "DeleteFunctionCodeSigningConfig",
    },
    "concurrency": {
        "GET": "GetFunctionConcurrency",
        "PUT": "PutFunctionConcurrency",
        "DELETE": "DeleteFunctionConcurrency",
    },
    "event-invoke-config": {
        "GET": "GetFunctionEventInvokeConfig",
        "PUT": "PutFunctionEventInvokeConfig",
        "POST": "UpdateFunctionEventInvokeConfig",
        "DELETE": "DeleteFunctionEventInvokeConfig",
    },
    "invoke-async": {"POST": "InvokeFunction"},
    "response-streaming-invocations": {"POST": "InvokeFunction"},
    "url": {
        "GET": "GetFunctionUrlConfig",
        "POST": "CreateFunctionUrlConfig",
        "PUT": "UpdateFunctionUrlConfig",
        "DELETE": "DeleteFunctionUrlConfig",
    },
}
_OF_MAPPINGS = {
    "GET": "GetEventSourceMapping",
    "PUT": "UpdateEventSourceMapping",
    "DELETE": "DeleteEventSourceMapping",
}
_OF_LAYERS = {"GET": "GetLayerVersion", "DELETE": "DeleteLayerVersion"}


def install(_aws: EmbeddedAws) -> None:
    from ministack.core import iam_actions

    of_lambda, of_s3 = iam_actions._lambda_action, iam_actions._s3_action
    tables = (iam_actions._S3_QUERY_ACTIONS, iam_actions._S3_BUCKET_QUERY_ACTIONS, iam_actions._S3_OBJECT_QUERY_ACTIONS)
    subresources = frozenset(name for table in tables for name in table)

    def _lambda_action(method: str, path: str) -> str | None:
        return lambda_action(method, path) or of_lambda(method, path)

    def _s3_action(method: str, path: str, query_params: Document) -> str | None:
        if len(subresources & query_params.keys()) > 1:
            return UNKNOWN
        action: str | None = of_s3(method, path, query_params)
        return action

    iam_actions._lambda_action = _lambda_action
    iam_actions._s3_action = _s3_action


def lambda_action(method: str, path: str) -> str | None:
    """The action of a request to Lambda, None where MiniStack knows it. Pure."""
    parts = [part for part in path.split("/") if part][1:]
    match parts:
        case ["functions", _, part]:
            return _OF_FUNCTIONS.get(part, {}).get(method)
        case ["functions", _, part, _]:
            return _OF_FUNCTIONS.get(f"{part}/", {}).get(method)
        case ["event-source-mappings", _]:
            return _OF_MAPPINGS.get(method)
        case ["layers", _, "versions", _]:
            return _OF_LAYERS.get(method)
    return None
