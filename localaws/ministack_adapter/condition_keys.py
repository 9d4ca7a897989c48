"""IAM condition keys that policies use and MiniStack doesn't fill in (Service Authorization Reference).

events:source               Amazon EventBridge, PutEvents: the source of every entry
cloudwatch:namespace        Amazon CloudWatch, PutMetricData
aws:ResourceTag/<key>       Amazon SageMaker, of the resource that a request is about
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from localaws.ministack_adapter.embedded_aws import EmbeddedAws

Document = dict[str, Any]
Keys = dict[str, Any]


def install(aws: EmbeddedAws) -> None:
    from ministack.core import iam_actions

    inner = iam_actions.request_tag_context

    def request_tag_context(service: str, action: str, body: bytes, query_params: Document) -> Keys:
        keys: Keys = inner(service, action, body, query_params)
        found = _KEYS.get(action) or (partial(resource_tags, aws) if action.startswith("sagemaker:") else None)
        return {**keys, **found(body)} if found else keys

    iam_actions.request_tag_context = request_tag_context


def event_sources(body: bytes) -> Keys:
    """PutEvents' entries; JSON 1.1."""
    entries = _json(body).get("Entries")
    sources = [str(entry.get("Source", "")) for entry in entries or () if isinstance(entry, dict)]
    return {"events:source": sources} if sources else {}


def metric_namespace(body: bytes) -> Keys:
    """PutMetricData's namespace, in the protocols that this AWS answers in: JSON and query."""
    if body.startswith(b"{"):
        namespace = _json(body).get("Namespace")
    else:
        namespace = next(iter(parse_qs(body.decode("utf-8", "replace")).get("Namespace", [])), None)
    return {"cloudwatch:namespace": namespace} if namespace else {}


def resource_tags(aws: EmbeddedAws, body: bytes) -> Keys:
    """The tags of the resource that a SageMaker request names."""
    from localaws.ministack_adapter.sagemaker_requests import document_of, resource_arns

    arn = resource_arns(aws.region, aws.account, "", document_of(body) or {})[0]
    return {f"aws:ResourceTag/{key}": value for key, value in aws.sagemaker.context.store.tags(arn).items()}


def _json(body: bytes) -> Document:
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


_KEYS: dict[str, Callable[[bytes], Keys]] = {
    "events:PutEvents": event_sources,
    "cloudwatch:PutMetricData": metric_namespace,
}
