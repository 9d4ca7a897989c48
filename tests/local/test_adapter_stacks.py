"""Stacks whose custom resource fails, or that were being changed when the server ended."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from resources import make_function, make_role
from waiting import until

from localaws.ministack_adapter.custom_resources import response_token
from localaws.ministack_adapter.interrupted_stacks import after_interruption


def status(aws: Any, stack: str) -> str:
    return str(aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])


def custom(function: str) -> str:
    properties = {"ServiceToken": function, "ServiceTimeout": 600}
    return json.dumps({"Resources": {"Custom": {"Type": "Custom::Thing", "Properties": properties}}})


def test_a_custom_resource_whose_function_fails_fails_the_stack_at_once(aws: Any) -> None:
    role = make_role(aws, "lambda.amazonaws.com", name="custom-role")
    function = make_function(aws, "broken", "def handler(event, context): raise KeyError('nothing')", role)
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName="with-broken", TemplateBody=custom(function), OnFailure="DO_NOTHING")
    until(lambda: status(aws, "with-broken") == "CREATE_FAILED")
    events = cloudformation.describe_stack_events(StackName="with-broken")["StackEvents"]
    assert any("broken failed: KeyError: 'nothing'" in event.get("ResourceStatusReason", "") for event in events)


def test_a_stuck_custom_resource_does_not_keep_the_server_and_its_stack_is_given_back(fresh_aws: Any) -> None:
    aws = fresh_aws.start()
    role = make_role(aws, "lambda.amazonaws.com", name="custom-role")
    function = make_function(aws, "silent", "def handler(event, context): return None", role)
    aws.client("cloudformation", read_timeout=30).create_stack(StackName="stuck", TemplateBody=custom(function))
    assert status(aws, "stuck") == "CREATE_IN_PROGRESS"
    fresh_aws.stop()
    aws = fresh_aws.start()
    assert status(aws, "stuck") == "ROLLBACK_FAILED"
    os.kill(aws.server.pid, signal.SIGKILL)
    assert status(fresh_aws.start(), "stuck") == "ROLLBACK_FAILED"


def test_what_becomes_of_an_interrupted_stack() -> None:
    assert after_interruption({"StackStatus": "CREATE_COMPLETE"}) == {}
    assert after_interruption({"StackStatus": "REVIEW_IN_PROGRESS"}) == {}
    assert after_interruption({"StackStatus": "DELETE_IN_PROGRESS"})["StackStatus"] == "DELETE_FAILED"
    update = after_interruption({"StackStatus": "UPDATE_IN_PROGRESS", "_template": {"Resources": {}}})
    assert (update["StackStatus"], update["_template_body"]) == ("UPDATE_ROLLBACK_COMPLETE", '{"Resources": {}}')


def test_only_custom_resources_requests_have_a_token() -> None:
    url = "http://localhost:1/_ministack/cfn-response/abc"
    assert response_token({"RequestType": "Create", "ResponseURL": url}) == "abc"
    assert response_token({"ResponseURL": url}) == ""
    assert response_token(["RequestType"]) == ""
