"""The ARNs by which services ask IAM, where MiniStack's are others (Service Authorization Reference, resource types).

A rule of the default event bus has no bus in its ARN, and is what its targets' operations are about. A key is asked
about by its own ARN, not by its alias's. CloudWatch Logs asks of a log group as of a stream of it, with
an empty name where no stream is meant: a policy's `log-group:<name>` without `:*` grants nothing but tagging ("Log
group ARNs and log stream ARNs", CloudWatch Logs API reference, LogGroup). Roles and users have their paths.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.server_file import ACCOUNT, REGION

Document = dict[str, Any]

_OF_LOG_GROUPS_THEMSELVES = ("TagResource", "UntagResource", "ListTagsForResource")


def install(_aws: EmbeddedAws) -> None:
    from ministack.core import iam_actions

    inner = iam_actions.extract_resource_arn

    def extract_resource_arn(
        service: str, method: str, path: str, headers: dict[str, str], body: bytes, query_params: Document, *more: Any
    ) -> str:
        arn: str = inner(service, method, path, headers, body, query_params, *more)
        asked = _ASKED.get(service)
        return asked(arn, headers, body, query_params) if asked else arn

    inner_logs = iam_actions.logs_service_context

    def logs_service_context(action: str, body: bytes, resource_arn: str, region: str, account_id: str) -> Document:
        """A stream has its group's tags."""
        group = resource_arn.partition(":log-stream:")[0]
        keys: Document = inner_logs(action, body, group, region, account_id)
        return keys

    iam_actions.extract_resource_arn = extract_resource_arn
    iam_actions.logs_service_context = logs_service_context


def of_rule(arn: str, _headers: Mapping[str, str], body: bytes, _params: Document) -> str:
    """A rule by its own name, or by the member of those operations that are about its targets."""
    rule = _member(body, "Rule")
    if rule and ":rule/" not in arn:
        bus = (_member(body, "EventBusName") or "default").rpartition("/")[2]
        arn = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{bus}/{rule}"
    return arn.replace(":rule/default/", ":rule/")


def of_key(arn: str, *_request: Any) -> str:
    """A key by its own ARN, however it is named ("Using aliases to control access to KMS keys")."""
    from ministack.services import kms

    key = kms._resolve_key(arn) if ":alias/" in arn else None
    return str(key["Arn"]) if key else arn


def of_logs(arn: str, headers: Mapping[str, str], body: bytes, _params: Document) -> str:
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    if ":log-group:" not in arn or operation in _OF_LOG_GROUPS_THEMSELVES:
        return arn
    return f"{arn.removesuffix(':*')}:log-stream:{_member(body, 'logStreamName')}"


def of_identity(arn: str, _headers: Mapping[str, str], _body: bytes, params: Document) -> str:
    """A role's or user's ARN as IAM keeps it, or as it will be with the path of the request."""
    from ministack.services import iam

    start, _, rest = arn.partition(":role/" if ":role/" in arn else ":user/")
    kind, store = ("role", iam._roles) if ":role/" in arn else ("user", iam._users)
    if not rest:
        return arn
    stored = store.get(rest)
    path = (params.get("Path") or ["/"])[0]
    return str(stored["Arn"]) if stored else f"{start}:{kind}{path}{rest}"


def of_build(arn: str, _headers: Mapping[str, str], body: bytes, _params: Document) -> str:
    """A build is asked about by its project, of which its id tells."""
    build = _member(body, "id") or _first_of(body, "ids")
    project = build.rpartition(":build/")[2].partition(":")[0]
    return f"arn:aws:codebuild:{REGION}:{ACCOUNT}:project/{project}" if project else arn


def _first_of(body: bytes, name: str) -> str:
    try:
        return str(json.loads(body or b"{}")[name][0])
    except (ValueError, LookupError, TypeError):
        return ""


def _member(body: bytes, name: str) -> str:
    """A text of a JSON request, nothing where it isn't there."""
    try:
        document = json.loads(body or b"{}")
    except ValueError:
        return ""
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, str) else ""


_ASKED: Mapping[str, Callable[[str, Mapping[str, str], bytes, Document], str]] = {
    "codebuild": of_build,
    "events": of_rule,
    "kms": of_key,
    "logs": of_logs,
    "iam": of_identity,
}
