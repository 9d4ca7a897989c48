"""Messages under a customer managed key are sent and read only by who may use the key.

"Key management" of the Amazon SNS and Amazon SQS Developer Guides: who publishes or sends needs `kms:GenerateDataKey`
and `kms:Decrypt`, who receives `kms:Decrypt`. MiniStack keeps the key's name and asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from localaws.ministack_adapter import authorization, deliveries
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.encryption import key_arn

Document = dict[str, Any]

WRITE, READ = ("kms:GenerateDataKey", "kms:Decrypt"), ("kms:Decrypt",)
_OF_QUEUES = {"SendMessage": WRITE, "SendMessageBatch": WRITE, "ReceiveMessage": READ}


def install(aws: EmbeddedAws) -> None:
    _ask_of_topics(aws)
    _ask_of_queues(aws)


def check_caller(aws: EmbeddedAws, principal_arn: str, target_arn: str, actions: Sequence[str]) -> None:
    """Raises AccessDeniedError where the principal may not use the key of a queue or a topic, through its service."""
    key = deliveries.key_of(target_arn)
    if not key or deliveries.is_managed(key):
        return
    service = target_arn.split(":")[2]
    context = {"kms:ViaService": f"{service}.{aws.region}.amazonaws.com", "kms:CallerAccount": aws.account}
    for action in actions:
        authorization.authorize(principal_arn, action, _resolved(aws, key), context)


def _resolved(aws: EmbeddedAws, key: str) -> str:
    from ministack.services import kms

    record = kms._resolve_key(key)
    return str(record["Arn"]) if record else key_arn(aws, key)


def _ask_of_topics(aws: EmbeddedAws) -> None:
    from ministack.core.iam_evaluator import caller_arn
    from ministack.services import sns

    def asking(publish: Callable[[Document], Any]) -> Callable[[Document], Any]:
        def asked(params: Document) -> Any:
            topic = sns._normalize_arn(sns._p(params, "TopicArn") or sns._p(params, "TargetArn"))
            try:
                if topic:
                    check_caller(aws, caller_arn(), topic, WRITE)
            except authorization.AccessDeniedError as denied:
                return sns._error("KMSAccessDenied", denied.message, 400)
            return publish(params)

        return asked

    sns._publish = asking(sns._publish)
    sns._publish_batch = asking(sns._publish_batch)


def _ask_of_queues(aws: EmbeddedAws) -> None:
    from ministack.core.iam_evaluator import caller_arn
    from ministack.services import sqs

    def asking(act: Callable[[Document, str], Any], actions: Sequence[str]) -> Callable[[Document, str], Any]:
        def asked(data: Document, url: str) -> Any:
            queue = sqs._get_q(url)
            try:
                check_caller(aws, caller_arn(), queue["attributes"]["QueueArn"], actions)
            except authorization.AccessDeniedError as denied:
                raise sqs._Err("KmsAccessDenied", denied.message, 400) from denied
            return act(data, url)

        return asked

    for operation, actions in _OF_QUEUES.items():
        sqs._HANDLERS[operation] = asking(sqs._HANDLERS[operation], actions)
