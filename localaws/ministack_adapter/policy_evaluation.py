"""Policies are read and compared by `localaws.iam`, in the place of MiniStack's own evaluator.

MiniStack keeps who is asked: which policies, boundaries and session policies a caller has, which policy a resource
has, and how they combine ("Policy evaluation logic", IAM User Guide). It knows no variables and no versions, takes a
session's ARN for `aws:PrincipalArn`, and compares ARNs over their colons.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from localaws.iam.policies import ALLOW, DENY, Statement, first_about, statements_of
from localaws.iam.principals import Caller
from localaws.iam.requests import Request
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.request_values import role_arn_of, values_of

WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    from ministack.core import iam_evaluator

    iam_evaluator.parse_policy_document = statements_of
    iam_evaluator._first_match = _first_match
    iam_evaluator.evaluate_resource_policy = evaluate_resource_policy
    iam_evaluator.evaluate_trust_policy = evaluate_trust_policy
    # A resource's tags are looked up where a policy asks for one.
    iam_evaluator._names_condition_key = lambda _policies, _prefix: False


def evaluate_resource_policy(
    doc: Any, ctx: Any, service: str | None = None, named_only: bool = False, direct_only: bool = False
) -> Any:
    """MiniStack's EvalResult of a resource's own policy, for a principal or, where it is named, for a service.

    `named_only` counts the statements that name the caller and not only its account, `direct_only` those that name
    its very user or session.
    """
    caller = Caller(service=service) if service else _caller(ctx)
    statements = [found for found in statements_of(doc) if _applies(found, caller, named_only, direct_only)]
    return _decision(ctx, statements)


def evaluate_trust_policy(trust_doc: Any, caller_arn: str, ctx: Any = None) -> bool:
    """Whether a role's trust policy lets somebody assume it: a principal, or an identity provider's user."""
    from ministack.core.iam_evaluator import EvalContext, _account_from_arn

    if ctx is None:
        account = _account_from_arn(caller_arn) or ""
        ctx = EvalContext(caller_arn, "", account, "sts:AssumeRole", "*", "")
    caller = Caller(provider=caller_arn) if ctx.action == WEB_IDENTITY else _caller(ctx)
    trusting = [found for found in statements_of(trust_doc) if found.principals.include(caller)]
    decision: str = _decision(ctx, trusting).decision
    return decision == ALLOW


def _first_match(ctx: Any, stmts: Iterable[Statement], effect: str) -> Statement | None:
    return first_about(_request(ctx), stmts, effect)


def _applies(found: Statement, caller: Caller, named_only: bool, direct_only: bool) -> bool:
    if direct_only:
        return found.principals.name_session(caller)
    return found.principals.name_itself(caller) if named_only else found.principals.include(caller)


def _decision(ctx: Any, statements: list[Statement]) -> Any:
    from ministack.core.iam_evaluator import EvalResult

    for effect in (DENY, ALLOW):
        found = _first_match(ctx, statements, effect)
        if found is not None:
            return EvalResult(effect, ctx.principal_arn, found.sid)
    return EvalResult("ImplicitDeny", ctx.principal_arn)


def _request(ctx: Any) -> Request:
    return Request(ctx.action, ctx.resource_arn, values_of(ctx))


def _caller(ctx: Any) -> Caller:
    return Caller(arn=ctx.principal_arn, account=ctx.principal_account, role_arn=role_arn_of(ctx.principal_arn) or "")
