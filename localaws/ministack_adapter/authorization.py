"""IAM checks that MiniStack leaves out: calls made as a role, trust policies, and who may use the root key.

The evaluation itself is MiniStack's (`core.iam_evaluator`), with identity policies, permissions boundaries and
resource policies, as in "Policy evaluation logic" of the IAM User Guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from localaws.ministack_adapter import request_values
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.server_file import ACCOUNT, REGION

Document = dict[str, Any]

# Services that go by a regional name, too ("Creating an IAM role for your state machine", and its error message).
_REGIONAL = {"states.amazonaws.com": (f"states.{REGION}.amazonaws.com",)}

# The action that was refused, where it isn't the request's own.
denied_action: ContextVar[str] = ContextVar("denied_action", default="")
# The access key of the request that is being answered.
_access_key: ContextVar[str] = ContextVar("access_key", default="")


class AccessDeniedError(Exception):
    """IAM says no. The message is AWS's: it names the principal, the action and the resource."""

    code = "AccessDeniedException"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def authorize_role_call(
    role_arn: str,
    action: str,
    resource: str,
    context: Mapping[str, Any] | None = None,
    session_name: str = "localaws",
) -> None:
    """Check one call that a service makes as a role, for example a Step Functions task as its state machine's role.

    `action` is IAM's (`sagemaker:CreateTrainingJob`), `resource` an ARN or "*", `context` condition keys with their
    values. Raises AccessDeniedError. Callable from any thread.
    """
    authorize(session_arn(role_arn, session_name), action, resource, context)


def session_arn(role_arn: str, session_name: str) -> str:
    account, _, path = role_arn.removeprefix("arn:aws:iam::").partition(":role/")
    return f"arn:aws:sts::{account}:assumed-role/{path.rpartition('/')[2]}/{session_name}"


def authorize(principal_arn: str, action: str, resource: str, context: Mapping[str, Any] | None = None) -> None:
    """Check one action of a user, an assumed role or the root user. Raises AccessDeniedError."""
    from ministack.core.iam_actions import identity_denial_message

    result = _evaluate(principal_arn, action, resource, context or {})
    if result is None or result.decision == "Allow":
        return
    explicit = result.decision == "Deny"
    if explicit and result.resource_policy_arn:
        raise AccessDeniedError(
            f"User: {principal_arn} is not authorized to perform: {action} on resource: {resource} "
            "with an explicit deny in a resource-based policy"
        )
    raise AccessDeniedError(identity_denial_message(action, principal_arn, resource, explicit))


def access_key() -> str:
    """The access key of the request that is being answered."""
    return _access_key.get()


def ask_as(key: str) -> None:
    """Have what is asked of IAM for this request asked with the session of another access key, which the request's own
    token stands for."""
    _access_key.set(key)
    request_values.request_headers.set({})


def role_document(role_arn: str) -> Document | None:
    """The role as IAM keeps it, or None where there is no such role."""
    from ministack.services import iam

    account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else ""
    role: Document | None = iam._roles.get_scoped(account, None, role_arn.rpartition("/")[2])
    return role if role is not None and role.get("Arn", role_arn) == role_arn else None


def role_trusts(role_arn: str, service: str, source_arn: str = "") -> bool:
    """Whether the role exists and its trust policy lets a service assume it, for one of the account's own resources.

    The request says for which account and, where `source_arn` is known, for which resource the service acts: a trust
    policy's conditions may ask for both ("The confused deputy problem", IAM User Guide).
    """
    role = role_document(role_arn)
    trust = role.get("AssumeRolePolicyDocument") if role is not None else None
    principals = (service, *_REGIONAL.get(service, ()))
    return any(service_may(trust, principal, "sts:AssumeRole", role_arn, source_arn) for principal in principals)


def service_may(policy: str | Document | None, service: str, action: str, resource: str, source_arn: str) -> bool:
    """Whether a resource's own policy lets an AWS service act, as EventBridge needs it of a queue or a function.

    The service is no principal of the account: what a policy grants to the account's root is nothing to it.
    """
    from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

    if not policy:
        return False
    context = EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=REGION,
        source_ip="127.0.0.1",
        secure_transport=True,
        service_context=_service_keys(service, source_arn),
    )
    decision: str = evaluate_resource_policy(policy, context, service=service).decision
    return decision == "Allow"


def _service_keys(service: str, source_arn: str) -> dict[str, Any]:
    """The condition keys of a service's request ("AWS global condition context keys").

    SNS's default policy asks for aws:SourceOwner, which no service says that delivers here but CloudWatch: EventBridge
    and S3 need a statement of their own ("Using resource-based policies for Amazon EventBridge", "Granting permissions
    to publish event notification messages to a destination").
    """
    keys = {
        "aws:principalisawsservice": "true",
        "aws:principalservicename": service,
        "aws:sourceaccount": ACCOUNT,
        "aws:tagkeys": None,
        **({"aws:sourceowner": ACCOUNT} if service == "cloudwatch.amazonaws.com" else {}),
    }
    return {**keys, "aws:sourcearn": source_arn} if source_arn else keys


def install(aws: EmbeddedAws) -> None:  # noqa: ARG001 - every part is installed alike
    _trust_only_our_root_key()
    _name_the_resource_in_denials()
    _remember_who_asks()
    _ask_callers_once()


def _ask_callers_once() -> None:
    """Leave out MiniStack's second look at a queue's and a topic's policy, which knows nothing more of the request than
    its action: a Deny under a condition holds there of whom it isn't about. `enforce` has asked with everything."""
    from ministack.services import sns, sqs

    def _enforce_topic_policy(topic: Document, iam_action: str) -> None: ...

    def _enforce_queue_policy(q: Document, iam_action: str) -> None: ...

    sns._enforce_topic_policy = _enforce_topic_policy
    sqs._enforce_queue_policy = _enforce_queue_policy


_HEADER_KEYS = {
    "aws:useragent": "user-agent",
    "aws:referer": "referer",
    "sagemaker:targetcontainerhostname": "x-amzn-sagemaker-target-container-hostname",
}


def _remember_who_asks() -> None:
    """Keep the session of a request, and its headers that are condition keys, for what is asked of IAM later on."""
    from ministack.core import iam_evaluator, router

    pin = iam_evaluator.pin_request_caller

    def pin_request_caller(headers: dict[str, str], query_params: dict[str, Any] | None = None) -> None:
        pin(headers, query_params)
        denied_action.set("")
        _access_key.set(router.extract_access_key_id(headers or {}, query_params or {}) or "")
        named = {key: headers.get(header) for key, header in _HEADER_KEYS.items()}
        request_values.request_headers.set({key: value for key, value in named.items() if value})

    iam_evaluator.pin_request_caller = pin_request_caller


def _evaluate(principal_arn: str, action: str, resource: str, context: Mapping[str, Any]) -> Any:
    """MiniStack's EvalResult, or None for the root user, who may do everything."""
    from ministack.core import iam_evaluator

    account = principal_arn.split(":")[4]
    if principal_arn.endswith(":root"):
        return None
    asking = _asking(principal_arn, account)
    policies, limits = (asking.policies, asking.limits) if asking else _identity_policies(principal_arn, account)
    evaluated = _context(principal_arn, action, resource, context, asking.keys if asking else {})
    result = iam_evaluator.evaluate(evaluated, policies, *limits)
    service = action.partition(":")[0]
    found = iam_evaluator._resource_policy(service, resource)
    if found is not None:
        required = service in iam_evaluator._POLICY_REQUIRED
        result = iam_evaluator.combine_resource_policy(result, evaluated, *found, required=required, limits=limits)
    return result


def _identity_policies(principal_arn: str, account: str) -> tuple[Any, Any]:
    from ministack.core import iam_evaluator
    from ministack.services import iam

    name = principal_arn.split("/")[1 if ":assumed-role/" in principal_arn else -1]
    if ":assumed-role/" in principal_arn or ":role/" in principal_arn:
        boundary = iam_evaluator._permissions_boundary(iam._roles, name, account)
        return iam_evaluator._gather_role_policies(name, account), boundary
    boundary = iam_evaluator._permissions_boundary(iam._users, name, account)
    return iam_evaluator._gather_user_policies(name, account), boundary


def _asking(principal_arn: str, account: str) -> Any:
    """The principal of the request that is being answered, if it is this one: with its session's tags and policies."""
    from ministack.core.iam_evaluator import AuthError, resolve_principal

    key = _access_key.get()
    found = resolve_principal(key, account) if key else None
    return found if found is not None and not isinstance(found, AuthError) and found.arn == principal_arn else None


def _context(
    principal_arn: str, action: str, resource: str, keys: Mapping[str, Any], principal_keys: dict[str, Any]
) -> Any:
    from ministack.core.iam_evaluator import EvalContext

    return EvalContext(
        principal_arn=principal_arn,
        principal_type="AssumedRole" if ":assumed-role/" in principal_arn else "User",
        principal_account=principal_arn.split(":")[4],
        action=action,
        resource_arn=resource,
        region=REGION,
        # A call inside AWS never leaves it.
        source_ip="127.0.0.1",
        secure_transport=True,
        service_context={"aws:tagkeys": None, **{key.lower(): value for key, value in keys.items()}},
        principal_keys=principal_keys,
    )


def _trust_only_our_root_key() -> None:
    """Take only this server's own key for the root user's, and check its signature.

    MiniStack takes `test`, any account id and no key at all for the root user, without looking at the signature.
    """
    import os

    from ministack.core import iam_evaluator

    own = os.environ["AWS_ACCESS_KEY_ID"]

    def is_root_access_key(access_key_id: str) -> bool:
        return access_key_id == own

    def never(access_key_id: str) -> bool:  # noqa: ARG001
        return False

    iam_evaluator.is_root_access_key = is_root_access_key
    # Asked only by "need this signature not be checked?".
    iam_evaluator._is_root_key = never


def _name_the_resource_in_denials() -> None:
    """Name the resource in every denial, as AWS does for most services; MiniStack does it for some."""
    from ministack.core import iam_actions

    original = iam_actions.access_denied_response

    def access_denied_response(service: str, action: str, principal_arn: str, request_id: str, **options: Any) -> Any:
        action = denied_action.get() or action
        explicit = options.get("explicit_deny", False)
        by_resource_policy = explicit and options.get("resource_policy_arn")
        if not options.get("message") and not options.get("error_code") and not by_resource_policy:
            resource = options.get("resource_arn") or "*"
            options["message"] = iam_actions.identity_denial_message(action, principal_arn, resource, explicit)
        return original(service, action, principal_arn, request_id, **options)

    iam_actions.access_denied_response = access_denied_response
