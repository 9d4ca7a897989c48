"""A table under a customer managed key serves only who may decrypt with the key, through DynamoDB.

"DynamoDB encryption at rest: How it works" (Developer Guide): DynamoDB calls Decrypt for the table's key with each
principal's own permissions, of which it remembers for five minutes; here it is asked each time. MiniStack keeps the
key's name with the table and asks nobody.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.dynamodb_keys import accesses_of
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.encryption import key_arn

Document = dict[str, Any]
Response = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, Document], Awaitable[Response]]

# What reads or writes items; the rest is about tables, whose description isn't encrypted.
_OF_ITEMS = ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "WriteItem", "Statement", "Items")
_OF_ITEMS_TOO = ("ExecuteTransaction",)


def install(aws: EmbeddedAws) -> None:
    from ministack import app

    app.SERVICE_HANDLERS["dynamodb"] = _asking(aws, app.SERVICE_HANDLERS["dynamodb"])


def _asking(aws: EmbeddedAws, inner: Handler) -> Handler:
    from ministack.core.iam_evaluator import caller_arn

    async def handler(method: str, path: str, headers: dict[str, str], body: bytes, query_params: Document) -> Response:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        caller = caller_arn()
        if not caller.endswith(":root") and (operation.endswith(_OF_ITEMS) or operation in _OF_ITEMS_TOO):
            try:
                for key, context in _keys(aws, body):
                    authorization.authorize(caller, "kms:Decrypt", key, context)
            except authorization.AccessDeniedError as denied:
                return _refusal(denied)
        return await inner(method, path, headers, body, query_params)

    return handler


def _keys(aws: EmbeddedAws, body: bytes) -> Iterator[tuple[str, Document]]:
    """The customer's keys of the tables in a request, each with the context in which DynamoDB uses it."""
    from ministack.services import dynamodb, kms

    for name in dict.fromkeys(access.table for access in accesses_of(body)):
        key = ((dynamodb._tables.get(name) or {}).get("SSEDescription") or {}).get("KMSMasterKeyArn")
        if not key or "alias/aws/" in key:
            continue
        record = kms._resolve_key(key)
        yield (
            str(record["Arn"]) if record else key_arn(aws, key),
            {
                "kms:ViaService": f"dynamodb.{aws.region}.amazonaws.com",
                "kms:CallerAccount": aws.account,
                "kms:EncryptionContext:aws:dynamodb:tableName": name,
                "kms:EncryptionContext:aws:dynamodb:subscriberId": aws.account,
            },
        )


def _refusal(denied: authorization.AccessDeniedError) -> Response:
    document = {"__type": f"com.amazon.coral.service#{denied.code}", "Message": denied.message}
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(document).encode()
