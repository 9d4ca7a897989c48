"""Deliveries of AWS's services to queues, topics and functions: those that the target's policy, and its key's, allow.

CloudWatch publishes an alarm's message, SNS sends to its subscribers, S3 its notifications and EventBridge its rules'
events each as itself, for a resource of the account ("Overview of managing access in Amazon SNS", "Using identity-based
policies with Amazon SQS", "Using resource-based policies for AWS Lambda"). A target that is encrypted with a customer's
key needs the key's leave, too; one under an AWS managed key (`alias/aws/sns`, `alias/aws/sqs`) lets no service in
("Key management", Amazon SNS and Amazon SQS Developer Guides). MiniStack asks the policies of some, and no key.

What isn't allowed isn't delivered, and nobody is told but a metric and, for an alarm, its history.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from localaws.ministack_adapter import authorization
from localaws.ministack_adapter.authorization import AccessDeniedError
from localaws.ministack_adapter.embedded_aws import EmbeddedAws

logger = logging.getLogger(__name__)

Document = dict[str, Any]

SNS, S3 = "sns.amazonaws.com", "s3.amazonaws.com"
ACTIONS = {"sqs": "sqs:SendMessage", "lambda": "lambda:InvokeFunction", "sns": "sns:Publish"}
_KEY_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")


def install(aws: EmbeddedAws) -> None:
    _ask_for_topics_and_queues()
    _ask_for_functions()
    _validate_functions_of_buckets()
    _count_what_topics_deliver(aws)


def check(service: str, target_arn: str, source_arn: str) -> None:
    """Raises AccessDeniedError when a service may not deliver to this target for this resource."""
    kind = target_arn.split(":")[2]
    action = ACTIONS[kind]
    if not authorization.service_may(_policy_of(kind, target_arn), service, action, target_arn, source_arn):
        raise AccessDeniedError(
            f"User: {service} is not authorized to perform: {action} on resource: {target_arn} "
            f"because no resource-based policy allows the {action} action for {source_arn}"
        )
    key = key_of(target_arn)
    for key_action in _KEY_ACTIONS if key else ():
        if not authorization.service_may(_policy_of("kms", key), service, key_action, _key_arn(key), source_arn):
            raise AccessDeniedError(
                f"User: {service} is not authorized to perform: {key_action} on resource: {key} "
                f"because no resource-based policy allows the {key_action} action for {source_arn}"
            )


def key_of(target_arn: str) -> str:
    """The key that encrypts a queue's or a topic's messages, as it is named there; "" for none, or the service's own
    (SSE-SQS), which asks nobody."""
    from ministack.services import sns, sqs

    kind = target_arn.split(":")[2]
    found = {"sqs": sqs._queue_by_arn, "sns": sns._topic_by_arn_any_scope}.get(kind, lambda _arn: None)(target_arn)
    return str((found or {}).get("attributes", {}).get("KmsMasterKeyId") or "")


def key_uses(target_arn: str) -> list[tuple[str, str]]:
    """The actions on a customer's key, and the key, that whoever sends to an encrypted queue or topic needs."""
    key = key_of(target_arn)
    return [(action, _key_arn(key)) for action in _KEY_ACTIONS] if key and not is_managed(key) else []


def is_managed(key: str) -> bool:
    """Whether AWS manages the key: the account's principals may use it through its service, and nobody else. Pure."""
    return "alias/aws/" in key


def _policy_of(kind: str, arn: str) -> Any:
    from ministack.core.iam_evaluator import _resource_policy

    found = _resource_policy(kind, _key_arn(arn) if kind == "kms" else arn)
    return found[0] if found else None


def _key_arn(key: str) -> str:
    """A customer's key by its ARN, however it is named; an AWS managed one has no policy that anybody writes."""
    from ministack.services import kms

    record = None if is_managed(key) else kms._resolve_key(key)
    return str(record["Arn"]) if record else key


def may(service: str, target_arn: str, source_arn: str) -> bool:
    """The same as `check`, as an answer; a refusal is told in the server's log."""
    try:
        check(service, target_arn, source_arn)
    except AccessDeniedError as denied:
        logger.warning("not delivered: %s", denied.message)
        return False
    return True


def _ask_for_topics_and_queues() -> None:
    from ministack.services import sns, sqs

    def allows(target_arn: str, service: str, source_arn: str, source_account: str) -> bool:  # noqa: ARG001
        return may(service, target_arn, source_arn)

    sns.topic_policy_allows = allows
    sqs.queue_policy_allows = allows


def _ask_for_functions() -> None:
    """Functions that topics and buckets invoke."""
    from ministack.services import s3, sns

    from_topic, from_bucket = sns._deliver_to_lambda, s3._deliver_event_to_lambda

    def _deliver_to_lambda(endpoint: str, envelope: str, topic_arn: str, *rest: Any) -> None:
        if may(SNS, endpoint, topic_arn):
            from_topic(endpoint, envelope, topic_arn, *rest)

    def _deliver_event_to_lambda(arn: str, event_payload: Document, bucket_region: str) -> None:
        if may(S3, arn, _bucket_arn(event_payload)):
            from_bucket(arn, event_payload, bucket_region)

    sns._deliver_to_lambda = _deliver_to_lambda
    s3._deliver_event_to_lambda = _deliver_event_to_lambda


def _validate_functions_of_buckets() -> None:
    """PutBucketNotificationConfiguration refuses a function that S3 may not invoke, as it does a queue or a topic."""
    from ministack.services import s3

    validate = s3._validate_notification_configs

    def _validate_notification_configs(
        configs: list[Document], bucket_region: str, bucket_name: str = "", skip_destination_validation: bool = False
    ) -> Any:
        refused = validate(configs, bucket_region, bucket_name, skip_destination_validation)
        if refused is not None or skip_destination_validation:
            return refused
        functions = [config["arn"] for config in configs if config["type"] == "lambda"]
        closed = [arn for arn in functions if not may(S3, arn, f"arn:aws:s3:::{bucket_name}")]
        if not closed:
            return None
        told = f"Unable to validate the following destination configurations: {', '.join(closed)}"
        return s3._invalid_notification_config(told)

    s3._validate_notification_configs = _validate_notification_configs


def _bucket_arn(event: Document) -> str:
    records = event.get("Records") or [{}]
    return str(records[0].get("s3", {}).get("bucket", {}).get("arn", ""))


def _count_what_topics_deliver(aws: EmbeddedAws) -> None:
    """AWS/SNS's metrics, and the subscription's dead-letter queue ("Amazon SNS dead-letter queues")."""
    from ministack.services import sns

    deliver: Callable[..., None] = sns._deliver_to_sqs

    def _deliver_to_sqs(endpoint: str, *rest: Any, topic_arn: str = "", **named: Any) -> None:
        if may(SNS, endpoint, topic_arn):
            _count(aws, topic_arn, "NumberOfNotificationsDelivered")
            deliver(endpoint, *rest, topic_arn=topic_arn, **named)
            return
        _count(aws, topic_arn, "NumberOfNotificationsFailed")
        dead_letters = _dead_letter_queue(topic_arn, endpoint)
        if dead_letters and may(SNS, dead_letters, topic_arn):
            _count(aws, topic_arn, "NumberOfNotificationsRedrivenToDlq")
            deliver(dead_letters, *rest, topic_arn=topic_arn, **named)

    sns._deliver_to_sqs = _deliver_to_sqs


def _dead_letter_queue(topic_arn: str, endpoint: str) -> str:
    from ministack.services import sns

    subscriptions = (sns._topic_by_arn_any_scope(topic_arn) or {}).get("subscriptions", [])
    policies = [s.get("attributes", {}).get("RedrivePolicy") for s in subscriptions if s.get("endpoint") == endpoint]
    policy = next(filter(None, policies), "{}")
    return str(json.loads(policy).get("deadLetterTargetArn", ""))


def _count(aws: EmbeddedAws, topic_arn: str, metric: str) -> None:
    from ministack.services import cloudwatch

    cloudwatch.record_metric("AWS/SNS", metric, 1, "Count", {"TopicName": topic_arn.rpartition(":")[2]})
    aws.changed("cloudwatch")
