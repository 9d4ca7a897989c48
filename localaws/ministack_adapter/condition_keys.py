"""IAM condition keys that policies use and MiniStack doesn't fill in (Service Authorization Reference).

events:source               Amazon EventBridge, PutEvents: the source of every entry
cloudwatch:namespace        Amazon CloudWatch, PutMetricData
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from localaws.ministack_adapter import request_values
from localaws.ministack_adapter.embedded_aws import EmbeddedAws

Document = dict[str, Any]
Keys = dict[str, Any]


def install(aws: EmbeddedAws) -> None:
    from ministack.core import iam_actions

    inner = iam_actions.request_tag_context

    def request_tag_context(service: str, action: str, body: bytes, query_params: Document) -> Keys:
        keys: Keys = inner(service, action, body, query_params)
        found = _KEYS.get(action)
        return {**keys, **found(body)} if found else keys

    iam_actions.request_tag_context = request_tag_context

    def sagemaker_tags(arn: str) -> dict[str, str]:
        """Asks the service when a policy does: it is made when it is first needed."""
        return dict(aws.sagemaker.context.store.tags(arn))

    request_values.tag_sources["sagemaker"] = sagemaker_tags


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
