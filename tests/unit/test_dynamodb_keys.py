"""Which partition keys and attributes a request names, as policies ask for them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from ministack.core.responses import request_scope
from ministack.services import dynamodb

from localaws.ministack_adapter.dynamodb_keys import RequestKeys, accesses_of

TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/keys-of-tests"
NAME = "keys-of-tests"
MINE, THEIRS = {"p": {"S": "mine"}, "s": {"N": "1"}}, {"p": {"S": "theirs"}, "s": {"N": "2"}}


@pytest.fixture(autouse=True)
def table() -> Any:
    """A table of MiniStack's, with an index."""
    schema = [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}]
    index = {"IndexName": "by-owner", "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}]}
    with request_scope("000000000000", "us-east-1"):
        dynamodb._tables[NAME] = {"KeySchema": schema, "GlobalSecondaryIndexes": [index]}
        yield
        del dynamodb._tables[NAME]


def keys(operation: str, request: dict[str, Any], resource: str = TABLE) -> list[str]:
    context = SimpleNamespace(action=f"dynamodb:{operation}", resource_arn=resource)
    return RequestKeys(json.dumps(request).encode()).leading_keys(context)


def statement(text: str, *parameters: Any) -> dict[str, Any]:
    return {"Statement": text, "Parameters": list(parameters)}


@pytest.mark.fidelity(
    "IAM",
    "dynamodb:LeadingKeys holds the partition keys that a request names: of items, batches, queries of tables and"
    " indexes, single items of transactions, and statements. A Scan names none.",
    "DynamoDB DG, Using IAM policy conditions for fine-grained access control; IAM security policies with PartiQL",
)
@pytest.mark.parametrize(
    ("operation", "request_", "expected"),
    [
        ("GetItem", {"TableName": NAME, "Key": MINE}, ["mine"]),
        ("GetItem", {"TableName": TABLE, "Key": MINE}, ["mine"]),
        ("PutItem", {"TableName": NAME, "Item": THEIRS}, ["theirs"]),
        ("PutItem", {"TableName": NAME, "Key": MINE, "Item": THEIRS}, ["theirs"]),
        ("PutItem", {"TableName": NAME, "Item": THEIRS, "KeyConditionExpression": "p = :p"}, ["theirs"]),
        ("UpdateItem", {"TableName": NAME, "Key": MINE, "UpdateExpression": "SET a = :a"}, ["mine"]),
        ("DeleteItem", {"TableName": NAME}, [""]),
        ("BatchGetItem", {"RequestItems": {NAME: {"Keys": [MINE, THEIRS]}}}, ["mine", "theirs"]),
        (
            "BatchWriteItem",
            {"RequestItems": {NAME: [{"PutRequest": {"Item": MINE}}, {"DeleteRequest": {"Key": THEIRS}}]}},
            ["mine", "theirs"],
        ),
        (
            "Query",
            {
                "TableName": NAME,
                "KeyConditionExpression": "#s > :s AND #p = :p",
                "ExpressionAttributeNames": {"#p": "p", "#s": "s"},
                "ExpressionAttributeValues": {":p": {"S": "mine"}, ":s": {"N": "1"}},
            },
            ["mine"],
        ),
        (
            "Query",
            {
                "TableName": NAME,
                "KeyConditionExpression": ":p = p",
                "ExpressionAttributeValues": {":p": {"S": "mine"}},
            },
            ["mine"],
        ),
        ("Query", {"TableName": NAME, "KeyConditions": {"p": {"AttributeValueList": [{"S": "mine"}]}}}, ["mine"]),
        ("Query", {"TableName": NAME, "KeyConditionExpression": "?"}, [""]),
        ("Scan", {"TableName": NAME}, []),
        ("PartiQLInsert", statement("INSERT INTO \"keys-of-tests\" VALUE {'p': 'theirs', 's': 1}"), ["theirs"]),
        ("PartiQLSelect", statement("SELECT * FROM \"keys-of-tests\" WHERE p IN ['mine', 'x']"), ["mine", "x"]),
        ("PartiQLUpdate", statement('UPDATE "keys-of-tests" SET a = 1 WHERE p = ?', {"S": "mine"}), ["mine"]),
        ("PartiQLSelect", statement('SELECT * FROM "keys-of-tests"'), []),
    ],
)
def test_leading_keys(operation: str, request_: dict[str, Any], expected: list[str]) -> None:
    assert keys(operation, request_) == expected


def test_an_indexs_query_names_the_indexs_key() -> None:
    values = {":o": {"S": "me"}}
    asked = {
        "TableName": NAME,
        "IndexName": "by-owner",
        "KeyConditionExpression": "owner = :o",
        "ExpressionAttributeValues": values,
    }
    assert keys("Query", asked, f"{TABLE}/index/by-owner") == ["me"]


def test_a_transactions_items_are_asked_one_by_one() -> None:
    items = [
        {"Put": {"TableName": NAME, "Item": MINE}},
        {"Delete": {"TableName": NAME, "Key": THEIRS}},
        {"ConditionCheck": {"TableName": "another", "Key": {"q": {"S": "x"}}}},
    ]
    asked = {"TransactItems": items}
    assert [keys(action, asked) for action in ("PutItem", "DeleteItem", "UpdateItem")] == [["mine"], ["theirs"], []]


@pytest.mark.fidelity(
    "IAM",
    "A statement is authorized as what it does, on its table or index: PartiQLSelect, Insert, Update, Delete.",
    "DynamoDB DG, IAM security policies with PartiQL for DynamoDB",
)
def test_statements_are_what_they_do() -> None:
    texts = ["SELECT * FROM a.b", "INSERT INTO c VALUE {'p': 'x'}", "UPDATE d SET x=1 WHERE p='x'", "DELETE FROM e"]
    body = json.dumps({"Statements": [statement(text) for text in (*texts[1:3], "no statement")]}).encode()
    assert [(one.action, one.resource) for one in accesses_of(body)] == [
        ("PartiQLInsert", "c"),
        ("PartiQLUpdate", "d"),
        ("PartiQLSelect", "*"),
    ]


@pytest.mark.fidelity(
    "IAM",
    "dynamodb:Attributes holds the top-level attributes that a request names, its keys among them, names substituted.",
    "DynamoDB DG, Using IAM policy conditions for fine-grained access control: dynamodb:Attributes",
)
def test_attributes() -> None:
    request = {
        "TableName": NAME,
        "Key": MINE,
        "ProjectionExpression": "a.b[0], #c",
        "UpdateExpression": "SET d = if_not_exists(e, :x), f = size (g) REMOVE #c.h",
        "ExpressionAttributeNames": {"#c": "c c"},
    }
    context = SimpleNamespace(action="dynamodb:UpdateItem", resource_arn=TABLE)
    named = RequestKeys(json.dumps(request).encode()).attributes(context)
    assert named == ["a", "c c", "d", "e", "f", "g", "p", "s"]
