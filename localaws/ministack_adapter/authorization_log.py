"""`authorization.jsonl` in the state folder: who was asked for which action on which resource, each once.

Written where `settings.json` says `"authorization_log": true`. With it one sees which of a role's permissions are
used, and which aren't asked for: {"principal": …, "action": …, "resource": …, "decision": "Allow"}. The decision is
that of the principal's own policies; a resource's policy may say otherwise.
"""

from __future__ import annotations

import json
from typing import Any

from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.settings import FILE_NAME, Settings

LOG_NAME = "authorization.jsonl"


def install(aws: EmbeddedAws) -> None:
    if not Settings.read(aws.state_dir / FILE_NAME).authorization_log:
        return
    from ministack.core import iam_evaluator

    inner = iam_evaluator.evaluate
    log = (aws.state_dir / LOG_NAME).open("a", buffering=1)
    aws.when_closed(log.close)
    known: set[tuple[str, ...]] = set()

    def evaluate(ctx: Any, policies: Any, *limits: Any) -> Any:
        result = inner(ctx, policies, *limits)
        asked = (ctx.principal_arn, ctx.action, ctx.resource_arn, result.decision)
        if asked not in known and ctx.principal_type != "Service":
            known.add(asked)
            log.write(json.dumps(dict(zip(("principal", "action", "resource", "decision"), asked, strict=True))) + "\n")
        return result

    iam_evaluator.evaluate = evaluate
