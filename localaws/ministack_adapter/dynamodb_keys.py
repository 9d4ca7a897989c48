"""Amazon DynamoDB's condition keys: which items, attributes and answers a request is about.

dynamodb:LeadingKeys             the partition keys that it names, of the table or of the index
dynamodb:Attributes              the top-level attributes that it names
dynamodb:Select, ReturnValues, ReturnConsumedCapacity   as the request says them
dynamodb:FullTableScan           whether a statement names no partition key

"Using IAM policy conditions for fine-grained access control" and "IAM security policies with PartiQL" (Amazon DynamoDB
Developer Guide). A Scan names no keys, so that `ForAllValues` on dynamodb:LeadingKeys holds of it, as in AWS: who is to
see a part only mustn't be granted Scan. Statements are authorized as what they do (dynamodb:PartiQLInsert …), one by
one, on their tables, and so are the items of transactions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

Document = Mapping[str, Any]

SUPPLIED = frozenset(
    f"dynamodb:{name}"
    for name in (
        "attributes",
        "enclosingoperation",
        "fulltablescan",
        "leadingkeys",
        "returnconsumedcapacity",
        "returnvalues",
        "select",
    )
)
_STATEMENT_OPERATIONS = ("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction")
_SELECT = "PartiQLSelect"
_ITEM_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "ConditionCheck": "ConditionCheckItem",
}
_BATCH_MEMBERS = {"PutRequest": "PutItem", "DeleteRequest": "DeleteItem"}
# What names the partition key, by what is done; an operation that isn't here names none.
_KEY_MEMBERS = {
    "PutItem": "Item",
    "PartiQLInsert": "Item",
    "GetItem": "Key",
    "UpdateItem": "Key",
    "DeleteItem": "Key",
    "ConditionCheckItem": "Key",
}
_EXPRESSIONS = (
    "ProjectionExpression",
    "UpdateExpression",
    "ConditionExpression",
    "FilterExpression",
    "KeyConditionExpression",
)
# Members whose names are attributes: of items and keys, and of the conditions of before there were expressions.
_NAMED_BY = ("Item", "Key", "AttributeUpdates", "Expected", "ScanFilter", "QueryFilter", "KeyConditions")
_PATH = re.compile(r"(?<![\w.:#])#?[A-Za-z_]\w*(?!\w)(?!\s*\()")
_WORDS = frozenset({"SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN"})


def install(aws: EmbeddedAws) -> None:
    from ministack.core import iam_actions

    inner_checks, inner_context = iam_actions.dynamodb_transaction_checks, iam_actions.dynamodb_service_context
    inner_arns = iam_actions.dynamodb_resource_arns

    def dynamodb_transaction_checks(
        iam_action: str, body: bytes, region: str, account_id: str
    ) -> list[tuple[str, str]]:
        operation = iam_action.partition(":")[2]
        if operation not in _STATEMENT_OPERATIONS:
            checks: list[tuple[str, str]] = inner_checks(iam_action, body, region, account_id)
            return checks
        prefix = f"arn:aws:dynamodb:{aws.region}:{aws.account}:table/"
        found = [(access.action, prefix + access.resource) for access in accesses_of(body)]
        return list(dict.fromkeys((f"dynamodb:{action}", arn) for action, arn in found))

    def dynamodb_service_context(body: bytes) -> dict[str, Any]:
        asked = RequestKeys(body)
        return {
            "dynamodb:LeadingKeys": asked.leading_keys,
            "dynamodb:Attributes": asked.attributes,
            "dynamodb:FullTableScan": asked.full_table_scan,
            "dynamodb:ReturnValues": lambda _ctx: asked.document.get("ReturnValues"),
            "dynamodb:ReturnConsumedCapacity": lambda _ctx: asked.document.get("ReturnConsumedCapacity"),
            "dynamodb:Select": lambda _ctx: inner_context(body).get("dynamodb:Select"),
        }

    def dynamodb_resource_arns(body: bytes, region: str, account_id: str) -> list[str]:
        """Every table of a batch, whatever else the request says."""
        batch = _mapping(_json(body).get("RequestItems"))
        asked = json.dumps({"RequestItems": batch}).encode() if batch else body
        arns: list[str] = inner_arns(asked, region, account_id)
        return arns

    iam_actions.dynamodb_resource_arns = dynamodb_resource_arns
    iam_actions.dynamodb_transaction_checks = dynamodb_transaction_checks
    iam_actions.dynamodb_service_context = dynamodb_service_context


@dataclass(frozen=True)
class Access:
    """What a request does to one table: an item of it, a query or a statement.

    `action` is nothing where the operation says it. What stands `alone` in a transaction is authorized by itself.
    """

    table: str
    action: str
    document: Document
    index: str = ""
    alone: bool = False

    @property
    def resource(self) -> str:
        """Table and index as an ARN names them."""
        return f"{self.table}/index/{self.index}" if self.index else self.table

    def leading_keys(self, action: str) -> list[str]:
        """The partition keys that it names; one that can't be read is a text that no policy has."""
        key, member = _partition_key(self.table, self.index), _KEY_MEMBERS.get(action)
        if key is None:
            return []
        if member is not None:
            return [key_text(_mapping(self.document.get(member)).get(key))]
        return queried_keys(self.document, key) if action == "Query" else statement_keys(self.document, key)

    def attributes(self) -> set[str]:
        return attributes_of(self.document)


@dataclass(frozen=True)
class RequestKeys:
    """The keys of a request's text, each asked for one resource of it."""

    body: bytes

    @cached_property
    def document(self) -> Document:
        return _json(self.body)

    @cached_property
    def _accesses(self) -> list[Access]:
        return list(accesses_of(self.body))

    def _of(self, ctx: Any) -> list[tuple[Access, str]]:
        """What the request does to the context's table, in a transaction by the context's action only."""
        resource, action = ctx.resource_arn.partition(":table/")[2], ctx.action.partition(":")[2]
        on_table = [access for access in self._accesses if resource in (access.resource, access.table)]
        return [(found, found.action or action) for found in on_table if not found.alone or found.action == action]

    def leading_keys(self, ctx: Any) -> list[str]:
        return sorted({key for access, action in self._of(ctx) for key in access.leading_keys(action)})

    def attributes(self, ctx: Any) -> list[str]:
        return sorted({name for access, _ in self._of(ctx) for name in access.attributes()})

    def full_table_scan(self, ctx: Any) -> str | None:
        selects = [access for access, action in self._of(ctx) if action == _SELECT]
        return str(not all(access.leading_keys(_SELECT) for access in selects)).lower() if selects else None


def accesses_of(body: bytes) -> Iterator[Access]:
    """Everything that a request does to tables."""
    document = _json(body)
    if document.get("TableName"):
        yield Access(_name(document["TableName"]), "", document, str(document.get("IndexName") or ""))
    for table, asked in _mapping(document.get("RequestItems")).items():
        yield from (Access(_name(table), action, item) for action, item in _batched(asked))
    for item in _listed(document.get("TransactItems")):
        for member, detail in item.items():
            if isinstance(detail, Mapping):
                yield Access(_name(detail.get("TableName")), _ITEM_ACTIONS.get(member, ""), detail, alone=True)
    statements = [document, *_listed(document.get("Statements")), *_listed(document.get("TransactStatements"))]
    yield from (_stated(statement) for statement in statements if statement.get("Statement"))


def _batched(asked: Any) -> Iterator[tuple[str, Document]]:
    """The single items of one table's part of a batch, with what is done to them."""
    for request in _listed(asked):
        for member, action in _BATCH_MEMBERS.items():
            if isinstance(request.get(member), Mapping):
                yield action, request[member]
    for key in _listed(_mapping(asked).get("Keys")):
        yield "GetItem", {**asked, "Key": key}


def _stated(statement: Document) -> Access:
    from ministack.services import dynamodb

    try:
        parsed = dynamodb._parse_partiql(statement["Statement"], statement.get("Parameters", []))
    except (ValueError, TypeError):
        # Nothing is done by it: the service refuses it.
        return Access("*", _SELECT, {}, alone=True)
    parsed = parsed.get("select", parsed) if parsed["op"] == "EXISTS" else parsed
    item = parsed.get("item")
    document = {"Item": item.get("M", item)} if isinstance(item, Mapping) else {"Statement": parsed}
    action = f"PartiQL{parsed['op'].capitalize()}"
    return Access(_name(parsed["table"]), action, document, str(parsed.get("index") or ""), alone=True)


def queried_keys(document: Document, key: str) -> list[str]:
    """The partition key that a Query asks for. Pure."""
    legacy = _mapping(document.get("KeyConditions")).get(key)
    if legacy is not None:
        return [key_text(value) for value in legacy.get("AttributeValueList", [])]
    aliases = [alias for alias, name in _mapping(document.get("ExpressionAttributeNames")).items() if name == key]
    names = "|".join(map(re.escape, [key, *aliases]))
    expression = str(document.get("KeyConditionExpression", ""))
    found = re.search(rf"(?<![\w#:.])(?:{names})\s*=\s*(:\w+)|(:\w+)\s*=\s*(?:{names})(?![\w.])", expression)
    value = _mapping(document.get("ExpressionAttributeValues")).get(found[1] or found[2]) if found else None
    return [key_text(value)]


def statement_keys(document: Document, key: str) -> list[str]:
    """The partition keys that a statement's WHERE names. Pure."""
    conditions = _mapping(document.get("Statement")).get("conditions") or []
    values = [value for attribute, operator, value in conditions if attribute == key and operator in ("=", "IN")]
    return [key_text(value) for found in values for value in (found if isinstance(found, list) else [found])]


def key_text(value: Any) -> str:
    """A key's value as policies write it. Pure."""
    return str(next(iter(value.values()), "")) if isinstance(value, Mapping) else ""


def attributes_of(document: Document) -> set[str]:
    """The top-level attributes that a request names, keys among them. Pure."""
    aliases = _mapping(document.get("ExpressionAttributeNames"))
    found = {name for member in _NAMED_BY for name in _mapping(document.get(member))}
    found |= {str(name) for name in document.get("AttributesToGet") or ()}
    for expression in (str(document.get(member, "")) for member in _EXPRESSIONS):
        found |= {aliases.get(name, name) for name in _PATH.findall(expression) if name.upper() not in _WORDS}
    return found | set(_attributes_of_statement(_mapping(document.get("Statement"))))


def _attributes_of_statement(parsed: Document) -> Iterator[str]:
    yield from (str(condition[0]) for condition in parsed.get("conditions") or ())
    yield from (re.split(r"[.[]", path)[0] for path in parsed.get("projections") or ())
    paths = [path for path, _value in parsed.get("assignments") or ()]
    yield from (str(path[0]) for path in (*paths, *(parsed.get("removes") or ())))


def _partition_key(table: str, index: str) -> str | None:
    from ministack.services import dynamodb

    found = dynamodb._tables.get(table)
    if found is None:
        return None
    indexes = [*(found.get("GlobalSecondaryIndexes") or ()), *(found.get("LocalSecondaryIndexes") or ())]
    schemas = [one["KeySchema"] for one in indexes if one.get("IndexName") == index] or [found.get("KeySchema", [])]
    return next((str(part["AttributeName"]) for part in schemas[0] if part.get("KeyType") == "HASH"), None)


def _name(table: Any) -> str:
    """A table's name, which requests may give by its ARN. Pure."""
    return str(table or "").rpartition(":table/")[2]


def _json(body: bytes) -> Document:
    try:
        return _mapping(json.loads(body or b"{}"))
    except ValueError:
        return {}


def _mapping(value: Any) -> Document:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> list[Document]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
