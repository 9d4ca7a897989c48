"""The only code that knows MiniStack's inside; on its exact pin, each private name has a contract test.

`install()` puts our parts into MiniStack before it serves. A part is a module with `install(aws: EmbeddedAws)`; to add
one, write the module and name it in `PARTS`. MiniStack's modules are imported when a part needs them, so that a server
without state is ready at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from localaws.ministack_adapter.autoscaling_services import make_autoscaling
from localaws.ministack_adapter.builds import make_builds
from localaws.ministack_adapter.embedded_aws import EmbeddedAws
from localaws.ministack_adapter.ministack_platform import make_sagemaker
from localaws.ministack_adapter.registry import make_registry

__all__ = ["EmbeddedAws", "install"]

# In the order in which they are installed: what guards and authorizes first, what restores state last.
PARTS = (
    "service_models",
    "one_operation",
    "rest_actions",
    "resource_arns",
    "named_alarms",
    "managed_policies",
    "policy_evaluation",
    "authorization_log",
    "authorization",
    "tagged_creates",
    "passed_roles",
    "condition_keys",
    "user_patterns",
    "dynamodb_keys",
    "concurrency",
    "reentrant_calls",
    "lambdas",
    "role_telemetry",
    "async_invocations",
    "events",
    "schedules",
    "log_streams",
    "s3",
    "s3_events",
    "access_logs",
    "encryption",
    "encrypted_tables",
    "deliveries",
    "message_keys",
    "custom_resources",
    "interrupted_stacks",
    "registry",
    "public_registry",
    "builds",
    "sagemaker",
    "autoscaling",
    "stepfunctions",
    "cloudformation",
    "limits",
    "alarm_times",
    "alarm_evaluation",
    "alarm_actions",
    "malformed_requests",
    "administration",
    "durability",
)


def install(*, state_dir: Path, image_dir: Path, port: int, rule_evaluator: Sequence[Path] = ()) -> EmbeddedAws:
    """Install every part into this process's MiniStack, whose environment variables are already set.

    `rule_evaluator` is what evaluates Debugger's rules, see `localaws.sagemaker.debugger.rule_evaluation`.
    """
    aws = EmbeddedAws(
        state_dir=state_dir,
        image_dir=image_dir,
        port=port,
        rule_evaluator=rule_evaluator,
        make_sagemaker=make_sagemaker,
        make_autoscaling=make_autoscaling,
        make_registry=make_registry,
        make_builds=make_builds,
    )
    for part in PARTS:
        importlib.import_module(f"{__name__}.{part}").install(aws)
    return aws
