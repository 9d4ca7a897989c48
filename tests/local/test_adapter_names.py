"""MiniStack has no plug-in API. This is every private name of it that the adapter's own parts replace or call.

A new version of MiniStack is taken by making these pass, and then the other tests of the adapter.
"""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import version
from typing import Any

import pytest

from localaws.ministack_adapter import concurrency
from localaws.ministack_adapter.service_state import live_stores

PIN = "1.5.33"

# module -> function -> its parameters, as the adapter calls or replaces it.
FUNCTIONS: dict[str, dict[str, list[str]]] = {
    "app": {
        "_get_module": ["name"],
        "_read_request_body": ["receive", "method", "headers"],
        "fix_success_content_type": ["service", "status", "headers"],
    },
    "core.iam_actions": {
        "extract_iam_action": ["service", "method", "path", "headers", "body", "query_params"],
        "extract_resource_arn": [
            "service",
            "method",
            "path",
            "headers",
            "body",
            "query_params",
            "region",
            "account_id",
        ],
        "_lambda_action": ["method", "path"],
        "_load_botocore_model": ["botocore_service"],
        "_s3_action": ["method", "path", "query_params"],
        "_tag_operations": ["service"],
        "dynamodb_resource_arns": ["body", "region", "account_id"],
        "dynamodb_service_context": ["body"],
        "dynamodb_transaction_checks": ["iam_action", "body", "region", "account_id"],
        "logs_service_context": ["action", "body", "resource_arn", "region", "account_id"],
        "request_tag_context": ["service", "iam_action", "body", "params"],
        "s3_additional_checks": ["method", "path", "headers", "body", "query_params"],
        "identity_denial_message": ["action", "principal_arn", "resource", "explicit_deny"],
    },
    "core.iam_evaluator": {
        "_account_from_arn": ["arn"],
        "_first_match": ["ctx", "stmts", "effect"],
        "_fnmatch_compile": ["pattern", "ignore_case"],
        "_gather_role_policies": ["role_name", "account_id"],
        "_gather_user_policies": ["user_name", "account_id"],
        "_is_root_key": ["access_key_id"],
        "_names_condition_key": ["policies", "prefix"],
        "_permissions_boundary": ["store", "name", "account_id"],
        "_resource_policy": ["service", "resource_arn"],
        "caller_arn": [],
        "enforce": ["access_key_id", "iam_action", "service", "region", "resource_arn", "service_context"],
        "pin_request_caller": ["headers", "query_params"],
        "resolve_principal": ["access_key_id", "account_id", "credential"],
        "combine_resource_policy": ["identity", "ctx", "policy", "owner_account", "required", "limits"],
        "evaluate": ["ctx", "policies", "limits"],
        "evaluate_resource_policy": ["doc", "ctx", "service", "named_only", "direct_only"],
        "evaluate_trust_policy": ["trust_doc", "caller_arn", "ctx"],
        "is_root_access_key": ["access_key_id"],
        "parse_policy_document": ["doc"],
    },
    "core.lambda_runtime": {
        "_worker_class_for": ["config"],
        "execution_credentials": ["config"],
        "acquire_worker": ["func_name", "config", "code_zip", "qualifier", "max_concurrency"],
        "release_worker": ["worker"],
        "kill_workers": ["workers"],
        "reset": [],
    },
    "core.sigv4": {"_chunk_signatures_match": ["body", "seed", "signature", "key"]},
    "core.responses": {"_service_model": ["service"], "request_scope": ["account_id", "region"]},
    "services.cloudformation.custom_resource": {"deliver_response": ["token", "response"]},
    "services.cloudformation.provisioners": {
        "_codebuild_cfn_to_api": ["value"],
        "s3_bucket_name_conflict": ["name"],
    },
    "services.cloudformation.stacks": {
        "_deploy_stack_async": [
            "stack_name",
            "stack_id",
            "template",
            "param_values",
            "disable_rollback",
            "tags",
            "is_update",
            "previous_stack",
            "retain_except_on_create",
            "imports",
        ],
    },
    "services.cloudwatch": {
        "_delete_alarms": ["params", "cbor_data", "is_cbor", "is_json"],
        "_dispatch_alarm_actions": ["alarm", "old_state", "new_state", "reason"],
        "_error": ["code", "message", "status", "use_json", "use_cbor"],
        "_history_entries": [],
        "_is_sns_action_arn": ["action"],
        "_put_metric_data": ["params", "cbor_data", "is_cbor", "is_json"],
        "record_metric": ["namespace", "metric_name", "value", "unit", "dimensions"],
    },
    "services.cloudwatch_logs": {
        "_create_log_group": ["data"],
        "_create_log_stream": ["data"],
        "_filter_log_events": ["data"],
        "_put_log_events": ["data"],
        "_resolve_log_group_name": ["data"],
        "_start_query": ["data"],
    },
    "services.dynamodb": {
        "_parse_partiql": ["statement", "parameters"],
        "_items_replaced": ["table"],
        "_remove_item": ["table", "pk_val", "sk_val"],
        "_set_item": ["table", "pk_val", "sk_val", "item"],
    },
    "services.codebuild": {
        "_batch_delete_builds": ["data"],
        "_batch_get_builds": ["data"],
        "_create_project": ["data"],
        "_list_builds": ["data"],
        "_list_builds_for_project": ["data"],
        "_project_shape": ["project"],
        "_start_build": ["data"],
        "_stop_build": ["data"],
        "_update_project": ["data"],
    },
    "services.ecr": {
        "handle_request": ["method", "path", "headers", "body", "query_params"],
        "_delete_repository": ["data"],
    },
    "services.eventbridge": {
        "_dispatch_to_lambda": ["arn", "payload"],
        "_dispatch_to_sqs": ["spec", "payload", "sqs_parameters"],
        "_events_log_list": [],
        "_invoke_target": ["target", "event", "rule", "view"],
        "_put_events": ["data", "allow_aws_source"],
        "_put_rule": ["data"],
        "_put_targets": ["data"],
        "_apply_input_transformer": ["transformer", "rule", "view"],
    },
    "services.lambda_svc": {
        "_create_function": ["data"],
        "_emit_lambda_logs": ["func", "request_id", "log_text", "error", "duration_ms", "log_source"],
        "_ensure_reaper_thread": [],
        "_execute_function": ["func", "event"],
        "_execute_function_with_config_scope": ["func", "event"],
        "_execute_function_warm": ["func", "event", "request_id"],
        "_execution_record_for_config": ["func", "config"],
        "_get_func_record_for_ref": ["function_ref"],
        "_iter_all_esms": [],
        "_resolve_layer_zip": ["attachment"],
        "_route_async_failure": ["target_arn", "func_name", "event", "result"],
        "_update_config": ["name", "data"],
        "invoke_async_with_retry": ["func", "event"],
    },
    "services.s3": {
        "_fire_s3_event": [
            "bucket_name",
            "key",
            "event_name",
            "size",
            "etag",
            "deletion_type",
            "restore_event_data",
            "version_id",
            "sequencer",
            "object_extra",
            "record_extra",
        ],
        "_fire_s3_event_async": [
            "bucket_name",
            "key",
            "event_name",
            "size",
            "etag",
            "deletion_type",
            "version_id",
            "object_extra",
            "record_extra",
        ],
        "_copy_object": ["bucket_name", "dest_key", "headers"],
        "_create_multipart_upload": ["bucket_name", "key", "headers"],
        "_upload_part_copy": ["bucket_name", "dest_key", "query_params", "headers"],
        "_dispatch": ["method", "bucket", "key", "headers", "body", "query_params"],
        "_delete_objects": ["bucket_name", "body", "headers"],
        "_deliver_event_to_lambda": ["arn", "event_payload", "bucket_region"],
        "_get_object": ["bucket_name", "key", "headers", "query_params"],
        "_invalid_notification_config": ["message"],
        "_validate_notification_configs": [
            "configs",
            "bucket_region",
            "bucket_name",
            "skip_destination_validation",
        ],
        "_next_event_sequencer": ["event_name"],
        "_put_bucket_notification": ["name", "body", "headers"],
        "_object_error": ["code", "message", "status", "fields"],
        "_put_object": ["bucket_name", "key", "body", "headers"],
        "_read_body": ["bucket_name", "key", "obj"],
        "_version_body": ["bucket", "bucket_name", "key", "v"],
        "_version_entry_from_record": ["obj", "version_id", "data"],
        "_object_record_from_version": ["v"],
        "_compute_s3_checksum": ["algorithm", "body"],
        "md5_hash": ["data"],
        "_resolve_sse_write_headers": ["headers", "bucket_name"],
    },
    "services.kms": {"_resolve_key": ["key_id_or_arn"]},
    "services.sns": {
        "_wildcard_matches": ["value", "pattern"],
        "_deliver_to_lambda": [
            "endpoint",
            "envelope",
            "topic_arn",
            "sub_arn",
            "msg_id",
            "raw_message",
            "message_attributes",
        ],
        "_deliver_to_sqs": [
            "endpoint",
            "envelope",
            "raw",
            "raw_message",
            "message_group_id",
            "message_dedup_id",
            "message_attributes",
            "topic_arn",
        ],
        "_enforce_topic_policy": ["topic", "iam_action"],
        "_error": ["code", "message", "status"],
        "_normalize_arn": ["arn"],
        "_p": ["params", "key", "default"],
        "_create_topic": ["params"],
        "_set_subscription_attributes": ["params"],
        "_subscribe": ["params"],
        "_publish": ["params"],
        "_publish_batch": ["params"],
        "_topic_by_arn_any_scope": ["topic_arn"],
        "topic_policy_allows": ["topic_arn", "service", "source_arn", "source_account"],
    },
    "services.sqs": {
        "_enforce_queue_policy": ["q", "iam_action"],
        "_get_q": ["url", "action"],
        "_queue_by_arn": ["arn"],
        "_queue_url_for_account": ["account_id", "name"],
        "queue_policy_allows": ["queue_arn", "service", "source_arn", "source_account"],
    },
    "services.tagging": {"resource_tags": ["arn"]},
    "services.sts": {"_role_id": ["role_arn"], "register_session": ["access_key", "session"]},
}

# module -> module-level containers that the adapter reads or fills.
CONTAINERS: dict[str, dict[str, str]] = {
    "app": {
        "SERVICE_HANDLERS": "dict",
        "SERVICE_NAME_ALIASES": "dict",
        "SERVICE_REGISTRY": "dict",
        "_state_map": "dict",
    },
    "core.lambda_runtime": {"_lock": "lock", "_workers": "dict"},
    "core.iam_actions": {
        "SERVICE_TO_IAM_NAMESPACE": "dict",
        "_BOTOCORE_SERVICE_MAP": "dict",
        "_S3_BUCKET_QUERY_ACTIONS": "dict",
        "_S3_OBJECT_QUERY_ACTIONS": "dict",
        "_S3_QUERY_ACTIONS": "dict",
    },
    "core.iam_evaluator": {"_POLICY_REQUIRED": "frozenset"},
    "core.responses": {"_BOTOCORE_NAME": "dict"},
    "core.router": {"SERVICE_PATTERNS": "dict"},
    "services.cloudformation": {"_stacks": "AccountRegionScopedDict"},
    "services.dynamodb": {"_tables": "AccountRegionScopedDict"},
    "services.codebuild": {"_projects": "AccountRegionScopedDict"},
    "services.ecr": {"_repositories": "AccountRegionScopedDict"},
    "services.cloudwatch_logs": {"_log_groups": "AccountRegionScopedDict"},
    "services.iam": {"_roles": "AccountScopedDict", "_users": "AccountScopedDict"},
    "services.lambda_svc": {
        "_dynamodb_stream_positions": "AccountRegionScopedDict",
        "_esms": "AccountRegionScopedDict",
        "_function_urls": "AccountRegionScopedDict",
        "_functions": "AccountRegionScopedDict",
        "_kinesis_positions": "AccountRegionScopedDict",
        "_layers": "AccountRegionScopedDict",
    },
    "services.s3": {"_buckets": "AccountScopedDict", "_bucket_notifications": "AccountScopedDict"},
    "services.sqs": {"_HANDLERS": "dict"},
    "services.sts": {"_sessions": "dict"},
}


def module(name: str) -> Any:
    return importlib.import_module(f"ministack.{name}")


def test_the_pin() -> None:
    assert version("ministack") == PIN


@pytest.mark.parametrize(("name", "function"), [(m, f) for m, functions in FUNCTIONS.items() for f in functions])
def test_function(name: str, function: str) -> None:
    assert list(inspect.signature(getattr(module(name), function)).parameters) == FUNCTIONS[name][function]


@pytest.mark.parametrize(("name", "container"), [(m, c) for m, containers in CONTAINERS.items() for c in containers])
def test_container(name: str, container: str) -> None:
    assert type(getattr(module(name), container)).__name__ == CONTAINERS[name][container]


@pytest.mark.parametrize(
    "service",
    [
        "cloudformation",
        "cloudwatch",
        "cloudwatch_logs",
        "dynamodb",
        "ecr",
        "eventbridge",
        "iam",
        "kms",
        "s3",
        "scheduler",
        "sns",
        "sqs",
        "ssm",
        "stepfunctions",
    ],
)
def test_state_without_its_copies_is_the_state(service: str) -> None:
    """`live_stores` runs `get_state` with `copy.deepcopy` taken out; it must answer the same names and kinds."""
    state, live = module(f"services.{service}").get_state(), live_stores(module(f"services.{service}"))
    assert {name: type(store) for name, store in live.items()} == {name: type(store) for name, store in state.items()}


def test_functions_that_are_made_to_take_turns() -> None:
    for functions in (concurrency._MESSAGES, concurrency._ITEMS):
        for name, members in functions.items():
            for member in members:
                assert inspect.isfunction(getattr(module(f"services.{name}"), member))
                assert not inspect.iscoroutinefunction(getattr(module(f"services.{name}"), member))
