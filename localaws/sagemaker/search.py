"""Search: the training jobs, tuning jobs, model packages and model package groups that satisfy an expression."""

from __future__ import annotations

from functools import partial
from typing import Any

from localaws.sagemaker.context import Context
from localaws.sagemaker.core import errors, listing, search_expression
from localaws.sagemaker.core.request import Caller, Document, Handler
from localaws.sagemaker.core.unsupported import Refusal, other_than, refuse, truthy
from localaws.sagemaker.core.validation import service_model
from localaws.sagemaker.jobs.training import TRAINING
from localaws.sagemaker.jobs.tuning import TUNING
from localaws.sagemaker.registry.packages import GROUP, PACKAGE

# The resource's name, which is its member's of a SearchRecord, to the kind that it is stored as.
_KINDS = {
    "TrainingJob": TRAINING.resource_type,
    "HyperParameterTuningJob": TUNING.resource_type,
    "ModelPackage": PACKAGE,
    "ModelPackageGroup": GROUP,
}
_LAST_MODIFIED = "LastModifiedTime"  # the default order; what has none, as a group, is ordered by its creation
_REFUSED: dict[str, Refusal] = {
    "Resource": other_than(*_KINDS),
    "CrossAccountFilterOption": other_than("SameAccount"),
    "VisibilityConditions": truthy,
}


def operations(context: Context) -> dict[str, Handler]:
    """Operation name to handler."""
    return {"Search": partial(_search, context)}


def _search(context: Context, request: Document, _caller: Caller) -> Document:
    refuse(request, _REFUSED)
    resource, expression = request["Resource"], request.get("SearchExpression")
    members = frozenset(service_model().shape_for("SearchRecord").members[resource].members)
    if expression is not None:
        search_expression.check(expression, members)
    by = request.get("SortBy", _LAST_MODIFIED)
    if by.partition(".")[0] not in members | {"Metrics", _LAST_MODIFIED}:
        raise errors.validation(f"Unknown property name: {by}")
    found = [
        record
        for record in _records(context, resource, members)
        if expression is None or search_expression.matches(expression, record)
    ]
    found.sort(key=lambda record: _rank(record, by), reverse=request.get("SortOrder", "Descending") == "Descending")
    shown, more = listing.cut(request, found)
    total = {"Value": len(found), "Relation": "EqualTo"}
    return {"Results": [{resource: record} for record in shown], "TotalHits": total, **more}


def _records(context: Context, resource: str, members: frozenset[str]) -> list[Document]:
    documents = context.store.list(_KINDS[resource])
    if resource == "TrainingJob":
        now = context.clock.now()
        documents = [TRAINING.retention.seen(document, now) for document in documents]
    return [_record(context, document, document[f"{resource}Arn"], members) for document in documents]


def _record(context: Context, document: Document, arn: str, members: frozenset[str]) -> Document:
    tags = [{"Key": key, "Value": value} for key, value in context.store.tags(arn).items()]
    return listing.summary({**document, "Tags": tags}, sorted(members))


def _rank(record: Document, by: str) -> tuple[int, Any]:
    """Numbers before text; what lacks the property comes first."""
    if by == _LAST_MODIFIED:
        return 1, record.get(by, record["CreationTime"])
    found = search_expression.values(record, by)
    if not found:
        return 0, 0
    return (2, found[0]) if isinstance(found[0], str) else (1, found[0])
