"""Tasks of every service but SageMaker: botocore requests to this AWS with the role's credentials.

So the service's own front door authorizes them, as in AWS, with the action and the resources of the request itself.
The aws-sdk integrations name members and errors as the AWS SDK for Java 2 does, the optimized ones as version 1
(Developer Guide, "Learning to use AWS service SDK integrations" and "Integrating optimized services").
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from localaws.ministack_adapter.stepfunctions.roles import RoleCredentials
from localaws.states.errors import RUNTIME, StatesError

# Longer than a Lambda function may run (900 s); botocore would else give up after 60 s and try again.
_READ_TIMEOUT_SECONDS = 930


@dataclass(frozen=True)
class ErrorNames:
    """How an integration names its errors: `DynamoDB.ConditionalCheckFailedException` where the service's model has
    the exception, and `fallback` for the rest (denials, throttling, validation)."""

    prefix: str
    fallback: str
    service: str


# By the service's name in the resource ARN: botocore's name, and how errors are named.
OPTIMIZED = {
    "lambda": ("lambda", ErrorNames("Lambda", "AWSLambdaException", "AWSLambda")),
    "sns": ("sns", ErrorNames("SNS", "AmazonSNSException", "AmazonSNS")),
    "sqs": ("sqs", ErrorNames("SQS", "AmazonSQSException", "AmazonSQS")),
    "dynamodb": ("dynamodb", ErrorNames("DynamoDB", "AmazonDynamoDBException", "AmazonDynamoDBv2")),
    "events": ("events", ErrorNames("EventBridge", "AmazonEventBridgeException", "AmazonEventBridge")),
    "states": ("stepfunctions", ErrorNames("StepFunctions", "AWSStepFunctionsException", "AWSStepFunctions")),
}
# aws-sdk service names (of the SDK for Java 2) whose botocore name is another.
_BOTOCORE_NAMES = {
    "applicationautoscaling": "application-autoscaling",
    "sfn": "stepfunctions",
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "sagemakerruntime": "sagemaker-runtime",
    "resourcegroupstaggingapi": "resourcegroupstaggingapi",
}
_PREFIXES = {
    "applicationautoscaling": "ApplicationAutoScaling",
    "cloudformation": "CloudFormation",
    "cloudwatch": "CloudWatch",
    "cloudwatchlogs": "CloudWatchLogs",
    "codebuild": "CodeBuild",
    "dynamodb": "DynamoDb",
    "eventbridge": "EventBridge",
    "sagemakerruntime": "SageMakerRuntime",
    "secretsmanager": "SecretsManager",
}
SDK_SERVICES = frozenset(
    {*_BOTOCORE_NAMES, *_PREFIXES, "ecr", "iam", "kms", "lambda", "s3", "sns", "sqs", "ssm", "sts", "logs"}
)


def sdk_service(service: str) -> tuple[str, ErrorNames]:
    """botocore's name of an aws-sdk integration's service, and its error names."""
    prefix = _PREFIXES.get(service, service.capitalize())
    return _BOTOCORE_NAMES.get(service, service), ErrorNames(prefix, f"{prefix}Exception", prefix)


class WireTasks:
    def __init__(self, endpoint_url: str, region: str, credentials: RoleCredentials) -> None:
        self._endpoint_url = endpoint_url
        self._region = region
        self._credentials = credentials
        self._clients: dict[tuple[str, str], Any] = {}
        self._session: Any = None
        self._lock = threading.Lock()

    def has_operation(self, service: str, operation: str) -> bool:
        """Whether botocore's model of the service has the operation (in PascalCase)."""
        with self._lock:
            return operation in self._open_session().get_service_model(service).operation_names

    def optimized(self, role_arn: str, service: str, action: str, arguments: Any) -> Any:
        """An optimized integration other than lambda:invoke, as its API answers."""
        name, names = OPTIMIZED[service]
        result = _plain(self._call(role_arn, name, _pascal(action), _as_text(service, action, arguments), names))
        if result.get("FailedEntryCount"):
            # "Add EventBridge events with Step Functions": the task fails when an entry couldn't be put.
            raise StatesError("EventBridge.FailedEntry", json.dumps(result))
        return {_pascal(key): value for key, value in result.items()} if service == "states" else result

    def sdk(self, role_arn: str, service: str, action: str, arguments: Any) -> Any:
        """An aws-sdk integration: members renamed as the SDK for Java 2 spells them, times as ISO 8601."""
        from ministack.services import stepfunctions

        name, names = sdk_service(service)
        operation = _pascal(action)
        client = self._client(role_arn, name)
        model = client.meta.service_model.operation_model(operation)
        if model.input_shape is not None:
            arguments = _with_json_bodies(arguments or {}, model.input_shape)
            arguments = stepfunctions._sdk_json_param_value(arguments, model.input_shape)
        result = _plain(self._call(role_arn, name, operation, arguments, names))
        return stepfunctions._sdk_json_value(result, model.output_shape) if model.output_shape else {}

    def invoke_function(self, role_arn: str, arguments: Any) -> dict[str, Any]:
        """lambda:invoke: `Payload` in and out is JSON, and a function's error is the task's error."""
        request = dict(arguments)
        if "Payload" in request:
            request["Payload"] = json.dumps(request["Payload"]).encode()
        names = OPTIMIZED["lambda"][1]
        answer = self._call(role_arn, "lambda", "Invoke", request, names)
        text = answer["Payload"].read().decode()
        payload = json.loads(text) if text else None
        if "FunctionError" in answer:
            raise StatesError(str((payload or {}).get("errorType") or "Lambda.Unknown"), text)
        return {
            "ExecutedVersion": answer.get("ExecutedVersion", "$LATEST"),
            "Payload": payload,
            "StatusCode": answer["StatusCode"],
        }

    def _call(self, role_arn: str, service: str, operation: str, arguments: Any, names: ErrorNames) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        client = self._client(role_arn, service)
        method = getattr(client, _method_name(client, operation))
        try:
            answer: dict[str, Any] = method(**(arguments or {}))
        except ClientError as exc:
            raise _failed(exc, client.meta.service_model.operation_model(operation), names) from exc
        except (BotoCoreError, TypeError) as exc:
            raise StatesError(RUNTIME, f"The arguments of {service}:{operation} are not valid: {exc}") from exc
        answer.pop("ResponseMetadata", None)
        return answer

    def _client(self, role_arn: str, service: str) -> Any:
        credentials = self._credentials.get(role_arn)
        key = (service, credentials.access_key_id)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._new_client(service, credentials)
            return self._clients[key]

    def _new_client(self, service: str, credentials: Any) -> Any:
        from botocore.config import Config

        return self._open_session().create_client(
            service,
            region_name=self._region,
            endpoint_url=self._endpoint_url,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token,
            config=Config(
                # A state's own Retry says what is tried again.
                retries={"total_max_attempts": 1, "mode": "standard"},
                read_timeout=_READ_TIMEOUT_SECONDS,
                s3={"addressing_style": "path"},
                max_pool_connections=16,
                proxies={},
            ),
        )

    def _open_session(self) -> Any:
        if self._session is None:
            import botocore.session

            self._session = botocore.session.Session()
            # The user's own ~/.aws must not reach into the embedded AWS.
            self._session.set_config_variable("config_file", "/dev/null")
            self._session.set_config_variable("credentials_file", "/dev/null")
        return self._session


def _failed(exc: Any, operation: Any, names: ErrorNames) -> StatesError:
    error = exc.response.get("Error", {})
    code = str(error.get("Code", "")).rpartition("#")[2]
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    modelled = {shape.name for shape in operation.error_shapes}
    modelled |= {shape.error_code for shape in operation.error_shapes if hasattr(shape, "error_code")}
    name = (code if code.endswith("Exception") else f"{code}Exception") if code in modelled else names.fallback
    cause = f"{error.get('Message', '')} (Service: {names.service}; Status Code: {status}; Error Code: {code})"
    return StatesError(f"{names.prefix}.{name}", cause)


def _as_text(service: str, action: str, arguments: Any) -> Any:
    """Members that AWS takes as JSON here and the API wants as text: a message, an event's detail, an input."""
    members = {"sendMessage": "MessageBody", "publish": "Message", "startExecution": "Input"}
    if action == "putEvents":
        entries = [_with_text(entry, "Detail") for entry in arguments.get("Entries", [])]
        return {**arguments, "Entries": entries}
    texted = _with_text(arguments, members[action]) if action in members else arguments
    if service == "states":
        return {key[0].lower() + key[1:]: value for key, value in texted.items()}
    return texted


def _with_text(document: dict[str, Any], member: str) -> dict[str, Any]:
    value = document.get(member)
    return document if value is None or isinstance(value, str) else {**document, member: json.dumps(value)}


def _with_json_bodies(arguments: dict[str, Any], shape: Any) -> dict[str, Any]:
    """Objects and arrays in the place of bytes (S3's Body, Lambda's Payload), as the JSON text that is sent."""
    blobs = {name for name, member in shape.members.items() if member.type_name == "blob"}
    return {
        name: json.dumps(value, separators=(",", ":")).encode()
        if name in blobs and isinstance(value, dict | list)
        else value
        for name, value in arguments.items()
    }


def _plain(value: Any) -> Any:
    """A response as JSON: times as ISO 8601, streams and bytes as text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key != "ResponseMetadata"}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if hasattr(value, "read"):
        value = value.read()
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _method_name(client: Any, operation: str) -> str:
    return next(str(method) for method, name in client.meta.method_to_api_mapping.items() if name == operation)


def _pascal(action: str) -> str:
    return action[0].upper() + action[1:]
