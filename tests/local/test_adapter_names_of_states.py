"""Every private name of MiniStack that Step Functions, CloudFormation and alarms replace or call; as
`test_adapter_names` does for the other parts."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from localaws.ministack_adapter.cloudformation import properties, state_machines, supplements
from localaws.ministack_adapter.stepfunctions import jsonata
from localaws.states.dataflow import UndefinedError

# module -> function -> its parameters.
FUNCTIONS: dict[str, dict[str, list[str]]] = {
    "services.stepfunctions": {
        "_start_execution": ["data"],
        "_stop_execution": ["data"],
        "_run_execution": ["exec_arn"],
        "_create_state_machine": ["data"],
        "_update_state_machine": ["data"],
        "_delete_state_machine": ["data"],
        "_validate_state_machine_definition": ["data"],
        "_send_task_success": ["data"],
        "_send_task_failure": ["data"],
        "_send_task_heartbeat": ["data"],
        "_emit_execution_status_event": ["execution"],
        "_test_state": ["data"],
        "_start_sync_execution": ["data"],
        "_create_activity": ["data"],
        "_publish_state_machine_version": ["data"],
        "_create_state_machine_alias": ["data"],
        "_register_sfn_jsonata_functions": ["expr"],
        "_sdk_json_param_value": ["value", "shape"],
        "_sdk_json_value": ["value", "shape"],
        "_parse_intrinsic_call": ["s", "pos"],
        "json_response": ["data", "status", "content_type"],
        "error_response_json": ["code", "message", "status", "extra", "message_key", "content_type"],
        "now_iso": [],
    },
    "services.cloudwatch": {
        "_evaluate_alarm": ["alarm"],
        "_evaluate_all_alarms": [],
        "_put_metric_alarm": ["params", "cbor_data", "is_cbor", "is_json"],
        "_record_history": ["alarm_name", "old_state", "new_state", "reason", "alarm_type", "reason_data"],
        "_dispatch_alarm_actions": ["alarm", "old_state", "new_state", "reason"],
        "_evaluate_parent_alarms": ["child", "seen"],
        "_calc_stats": ["points"],
        "_stat_value": ["stats", "stat_name", "points"],
        "_dims_key": ["dims"],
        "_dims_from_list": ["dimensions"],
        "record_metric": ["namespace", "metric_name", "value", "unit", "dimensions"],
        "_error": ["code", "message", "status", "use_json", "use_cbor"],
    },
    "services.s3": {
        "_put_bucket_encryption": ["name", "body"],
        "_delete_bucket_encryption": ["name"],
        "_put_bucket_lifecycle": ["name", "body"],
        "_delete_bucket_lifecycle": ["name"],
        "_put_bucket_ownership_controls": ["name", "body"],
        "_delete_bucket_ownership_controls": ["name"],
        "_put_bucket_tagging": ["name", "body"],
        "_delete_bucket_tagging": ["name"],
        "_delete_bucket": ["name"],
        "_resolve_sse_write_headers": ["headers", "bucket_name"],
    },
    "services.dynamodb": {
        "_update_table": ["data"],
        "_update_continuous_backups": ["data"],
        "_update_ttl": ["data"],
    },
    "services.iam": {
        "_gen_id": ["prefix"],
        "_now": [],
        "_lookup_policy": ["arn"],
    },
    "services.eventbridge": {
        "_event_pattern_error": ["pattern_str"],
        "_validate_schedule_expression": ["expr"],
    },
    "services.cloudformation": {
        "handle_request": ["method", "path", "headers", "body", "query_params"],
    },
    "services.cloudformation.stacks": {
        "_runs_on_worker_thread": ["resource_type"],
        "_resolve_stack_outputs": [
            "outputs_defs",
            "conditions",
            "resources",
            "param_values",
            "mappings",
            "stack_name",
            "stack_id",
        ],
        "_resolve_refs": ["value", "resources", "params", "conditions", "mappings", "stack_name", "stack_id"],
        "_roll_back_operation": ["stack_name", "stack_id", "stack", "operation", "reason_override"],
    },
    **{
        f"services.cloudformation.{operations}": {
            "_resolve_parameters": ["template", "provided_params", "previous_params"],
            "validate_template_support": ["template", "conditions", "params"],
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
        }
        for operations in ("handlers", "changesets")
    },
    "services.cloudformation.helpers": {"_p": ["params", "key", "default"], "_xml": ["status", "root_tag", "inner"]},
    "services.cloudformation.provisioners": {
        "_physical_name": ["stack_name", "logical_id", "lowercase", "max_len", "seeded"],
        "_sfn_definition": ["props"],
        "_cw_metric_alarm_record": ["name", "props"],
    },
}
VALUES: dict[str, dict[str, type]] = {
    "services.stepfunctions": {"_SFN_WAIT_SCALE": float, "_ExecutionError": type},
    "services.cloudformation": {"_stacks": object, "_exports": object},
    "services.cloudformation.handlers": {"_ACTION_HANDLERS": dict},
    "services.cloudformation.provisioners": {
        "_RESOURCE_HANDLERS": dict,
        "_STACK_TAG_PROPERTY": dict,
        "_CUSTOM_NAME_REPLACEMENT": dict,
        "_REPLACING_PROPERTIES": dict,
    },
}
STORES = {
    "services.stepfunctions": ["_executions", "_state_machines"],
    "services.cloudwatch": ["_alarms", "_metrics"],
    "services.s3": ["_bucket_versioning"],
    "services.iam": ["_roles"],
    "services.lambda_svc": ["_functions"],
    "services.sqs": ["_queues"],
}


def module(name: str) -> Any:
    return importlib.import_module(f"ministack.{name}")


@pytest.mark.parametrize(("name", "function"), [(n, f) for n, functions in FUNCTIONS.items() for f in functions])
def test_function(name: str, function: str) -> None:
    assert list(inspect.signature(getattr(module(name), function)).parameters) == FUNCTIONS[name][function]


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in VALUES.items() for v in values])
def test_value(name: str, value: str) -> None:
    assert isinstance(getattr(module(name), value), VALUES[name][value])


@pytest.mark.parametrize(("name", "store"), [(n, s) for n, stores in STORES.items() for s in stores])
def test_store(name: str, store: str) -> None:
    found = getattr(module(name), store)
    assert callable(found.get), "a dictionary"
    assert callable(found.values), "a dictionary"


def test_what_a_deletion_is_told_by() -> None:
    handlers = module("services.cloudformation.handlers")
    found = inspect.signature(handlers._imported_export_names), inspect.signature(handlers._resolve_stack)
    assert [list(each.parameters) for each in found] == [["stack", "stack_name"], ["stack_name"]]
    assert list(inspect.signature(handlers._add_event).parameters)[:7] == [
        "stack_id", "stack_name", "logical_id", "resource_type", "status", "reason", "physical_id",
    ]  # fmt: skip


def test_the_types_that_are_extended_have_the_handlers_that_are_wrapped() -> None:
    handlers = module("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    for kind in {*properties.EFFECTIVE, *supplements.SUPPLEMENTS, state_machines.TYPE}:
        assert {"create", "delete"} <= set(handlers[kind]), kind
    for kind in {*supplements.SUPPLEMENTS, state_machines.TYPE}:
        assert "update" in handlers[kind], kind


def test_the_jsonata_engine_tells_null_from_nothing() -> None:
    assert jsonata.evaluate("$states.input.v", {"states": {"input": {"v": None}}}) is None
    with pytest.raises(UndefinedError):
        jsonata.evaluate("$states.input.w", {"states": {"input": {"v": None}}})
    with pytest.raises(ValueError, match="T2002"):
        jsonata.evaluate("1 + 'a'", {})
