"""The memory of AWS's services and their answers, as far as the functions ask: real enough to be wrong with."""

from __future__ import annotations

import copy
import io
import json
import re
from typing import Any

Document = dict[str, Any]

# Amazon DynamoDB, "Service, account, and table quotas"; a little more, for the names of the types that count here.
ITEM_BYTES = 400 * 1024 + 50_000


class Service:
    """One service's memory. `error(operation, code, message)` makes what boto3 raises."""

    error: Any


class Dynamo(Service):
    """Items by their keys, with conditions and updates as the run table uses them, evaluated."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], Document] = {}

    def get_item(self, *, Key: Document, **_: Any) -> Document:  # noqa: N803 - boto3's
        item = self.items.get(_key(Key))
        return {"Item": copy.deepcopy(item)} if item else {}

    def put_item(self, *, Item: Document, **request: Any) -> None:  # noqa: N803 - boto3's
        self._check("put_item", self.items.get(_key(Item)), request)
        if len(json.dumps(Item)) > ITEM_BYTES:
            message = "Item size has exceeded the maximum allowed size"
            raise self.error("put_item", "ValidationException", message)
        self.items[_key(Item)] = copy.deepcopy(Item)

    def delete_item(self, *, Key: Document, **_: Any) -> None:  # noqa: N803 - boto3's
        self.items.pop(_key(Key), None)

    def update_item(self, *, Key: Document, UpdateExpression: str, **request: Any) -> None:  # noqa: N803 - boto3's
        """As in DynamoDB, an update makes an item that isn't there."""
        there = self.items.get(_key(Key))
        self._check("update_item", there, request)
        item = copy.deepcopy(there or Key)
        names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
        if match := re.fullmatch(r"SET (\S+) = (:\w+)", UpdateExpression):
            item[names[match[1]]] = values[match[2]]
        elif match := re.fullmatch(r"SET (\S+) = list_append\(if_not_exists\(\1, (:\w+)\), (:\w+)\)", UpdateExpression):
            before = item.get(names[match[1]], values[match[2]])
            item[names[match[1]]] = {"L": [*before["L"], *values[match[3]]["L"]]}
        elif match := re.fullmatch(r"REMOVE (\S+)", UpdateExpression):
            item.pop(names[match[1]], None)
        else:
            raise AssertionError(f"an update that this table doesn't know: {UpdateExpression}")
        self.items[_key(Key)] = item

    def _check(self, operation: str, item: Document | None, request: Document) -> None:
        clauses = request.get("ConditionExpression", "").split(" AND ")
        names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
        used = " ".join([*clauses, request.get("UpdateExpression", "")])
        if not all(_holds(clause, item or {}, names, values) for clause in clauses if clause):
            raise self.error(operation, "ConditionalCheckFailedException", f"The conditional request failed: {used}")


def _key(key: Document) -> tuple[str, str]:
    return key["pipeline"]["S"], key["item"]["S"]


def _holds(clause: str, item: Document, names: Document, values: Document) -> bool:
    """One clause of a condition."""
    if match := re.fullmatch(r"attribute_(not_)?exists\((\S+)\)", clause):
        return (names.get(match[2], match[2]) in item) != bool(match[1])
    if match := re.fullmatch(r"size\((\S+)\) = (:\w+)", clause):
        attribute = item.get(names.get(match[1], match[1]))
        return attribute is not None and str(len(attribute["L"])) == values[match[2]]["N"]
    if match := re.fullmatch(r"(\S+) = (:\w+)", clause):
        return bool(item.get(names.get(match[1], match[1])) == values[match[2]])
    raise AssertionError(f"a condition that this table doesn't know: {clause}")


class S3(Service):
    """Current objects by bucket and key, and what a listing of versions answers."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.versions: dict[str, list[Document]] = {}
        self.markers: dict[str, list[Document]] = {}
        self.undeletable: set[str] = set()

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803 - boto3's
        self.objects[Bucket, Key] = Body

    def head_object(self, *, Bucket: str, Key: str) -> Document:  # noqa: N803 - boto3's
        if (Bucket, Key) not in self.objects:
            raise self.error("head_object", "404", "Not Found")
        versions = [entry["VersionId"] for entry in self.versions.get(Bucket, []) if entry["Key"] == Key]
        return {"VersionId": versions[-1]} if versions else {}

    def get_object(self, *, Bucket: str, Key: str, Range: str = "bytes=0-") -> Document:  # noqa: N803 - boto3's
        if (Bucket, Key) not in self.objects:
            raise self.error("get_object", "NoSuchKey", "The specified key does not exist.")
        first, last = Range.removeprefix("bytes=").split("-")
        content = self.objects[Bucket, Key]
        if last and not content:
            raise self.error("get_object", "InvalidRange", "The requested range is not satisfiable")
        return {"Body": io.BytesIO(content[int(first) : int(last) + 1 if last else None])}

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803 - boto3's
        self.objects.pop((Bucket, Key), None)

    def list_objects_v2(self, *, Bucket: str, Prefix: str, **_: Any) -> Document:  # noqa: N803 - boto3's
        found = [key for bucket, key in sorted(self.objects) if bucket == Bucket and key.startswith(Prefix)]
        listed = [{"Key": key, "Size": len(self.objects[Bucket, key])} for key in found]
        return {"Contents": listed} if found else {}

    def list_object_versions(self, *, Bucket: str, Prefix: str = "") -> Document:  # noqa: N803 - boto3's
        if Bucket not in self.versions:
            raise self.error("list_object_versions", "NoSuchBucket", "The specified bucket does not exist")
        found = {"Versions": self.versions[Bucket], "DeleteMarkers": self.markers.get(Bucket, [])}
        return {key: [entry for entry in of if entry["Key"].startswith(Prefix)] for key, of in found.items() if of}

    def delete_objects(self, *, Bucket: str, Delete: Document) -> Document:  # noqa: N803 - boto3's
        assert 0 < len(Delete["Objects"]) <= 1000, "as S3 takes them"
        kept = [entry for entry in Delete["Objects"] if entry["Key"] in self.undeletable]
        gone = {(entry["Key"], entry["VersionId"]) for entry in Delete["Objects"] if entry not in kept}
        for listing in (self.versions, self.markers):
            entries = listing.get(Bucket, [])
            listing[Bucket] = [entry for entry in entries if (entry["Key"], entry["VersionId"]) not in gone]
        errors = [{"Key": entry["Key"], "Code": "AccessDenied", "Message": "Access Denied"} for entry in kept]
        return {"Errors": errors} if errors else {}


class SageMaker(Service):
    """Training jobs, endpoints (each with the statuses that further looks will find), configs, models and packages."""

    def __init__(self) -> None:
        self.jobs: dict[str, Document] = {}
        # Tuning jobs, and their training jobs' summaries.
        self.tuning_jobs: dict[str, Document] = {}
        self.trials: dict[str, list[Document]] = {}
        self.endpoints: dict[str, list[Document]] = {}
        self.configs: dict[str, list[str]] = {}
        self.models: list[str] = []
        self.packages: dict[str, list[str]] = {}
        # What the groups that were made here were made with.
        self.groups: dict[str, Document] = {}
        self.approvals: dict[str, tuple[str, str]] = {}
        # The runs that have registered packages.
        self.made_by: dict[str, str] = {}
        self.deleted_packages: set[str] = set()

    def describe_training_job(self, *, TrainingJobName: str) -> Document:  # noqa: N803 - boto3's
        if TrainingJobName not in self.jobs:
            raise self.error("describe_training_job", "ValidationException", "Requested resource not found.")
        return copy.deepcopy({"TrainingJobName": TrainingJobName, **self.jobs[TrainingJobName]})

    def stop_training_job(self, *, TrainingJobName: str) -> None:  # noqa: N803 - boto3's
        job = self.jobs[TrainingJobName]
        if job["TrainingJobStatus"] not in ("InProgress", "Stopping"):
            message = f"The request was rejected because the training job is in status {job['TrainingJobStatus']}."
            raise self.error("stop_training_job", "ValidationException", message)
        job["TrainingJobStatus"] = "Stopping"

    def describe_hyper_parameter_tuning_job(self, *, HyperParameterTuningJobName: str) -> Document:  # noqa: N803
        if HyperParameterTuningJobName not in self.tuning_jobs:
            message = f"Amazon SageMaker can't find a tuning job with the name: {HyperParameterTuningJobName}"
            raise self.error("describe_hyper_parameter_tuning_job", "ResourceNotFound", message)
        known = self.tuning_jobs[HyperParameterTuningJobName]
        return copy.deepcopy({"HyperParameterTuningJobName": HyperParameterTuningJobName, **known})

    def list_training_jobs_for_hyper_parameter_tuning_job(
        self,
        *,
        HyperParameterTuningJobName: str,  # noqa: N803 - boto3's
        SortBy: str,  # noqa: N803
        SortOrder: str,  # noqa: N803
    ) -> Document:
        trials = copy.deepcopy(self.trials[HyperParameterTuningJobName])
        if SortBy == "FinalObjectiveMetricValue":
            # Those without a value come last, whatever the order.
            sign = -1 if SortOrder == "Descending" else 1
            metrics = [trial.get("FinalHyperParameterTuningJobObjectiveMetric") for trial in trials]
            keys = [sign * metric["Value"] if metric else 9e9 for metric in metrics]
            trials = [trials[index] for index in sorted(range(len(trials)), key=keys.__getitem__)]
        return {"TrainingJobSummaries": trials}

    def describe_endpoint(self, *, EndpointName: str) -> Document:  # noqa: N803 - boto3's
        looks = self.endpoints.get(EndpointName, [])
        if not looks:
            arn = f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{EndpointName}"
            raise self.error("describe_endpoint", "ValidationException", f'Could not find endpoint "{arn}".')
        answer = copy.deepcopy(looks[0])
        if len(looks) > 1:
            looks.pop(0)
        elif answer["EndpointStatus"] == "Deleting":
            self.endpoints.pop(EndpointName)
        return answer

    def delete_endpoint(self, *, EndpointName: str) -> None:  # noqa: N803 - boto3's
        now = self.endpoints[EndpointName][0]
        if now["EndpointStatus"] not in ("InService", "Failed", "OutOfService"):
            message = f"Cannot delete endpoint in status {now['EndpointStatus']}"
            raise self.error("delete_endpoint", "ValidationException", message)
        self.endpoints[EndpointName] = [{**now, "EndpointStatus": "Deleting"}]

    def describe_endpoint_config(self, *, EndpointConfigName: str) -> Document:  # noqa: N803 - boto3's
        if EndpointConfigName not in self.configs:
            raise self.error("describe_endpoint_config", "ValidationException", "Could not find endpoint configuration")
        production, *shadows = [{"ModelName": model} for model in self.configs[EndpointConfigName]]
        more = {"ShadowProductionVariants": shadows} if shadows else {}
        return {"ProductionVariants": [production], **more}

    def list_endpoint_configs(self, *, NameContains: str) -> Document:  # noqa: N803 - boto3's
        return {"EndpointConfigs": [{"EndpointConfigName": name} for name in self.configs if NameContains in name]}

    def delete_endpoint_config(self, *, EndpointConfigName: str) -> None:  # noqa: N803 - boto3's
        used = [looks[0] for looks in self.endpoints.values() if looks and looks[0]["EndpointStatus"] != "Deleting"]
        assert EndpointConfigName not in [endpoint["EndpointConfigName"] for endpoint in used], "it is in use"
        del self.configs[EndpointConfigName]

    def list_models(self, *, NameContains: str) -> Document:  # noqa: N803 - boto3's
        return {"Models": [{"ModelName": name} for name in self.models if NameContains in name]}

    def delete_model(self, *, ModelName: str) -> None:  # noqa: N803 - boto3's
        assert not [config for config, models in self.configs.items() if ModelName in models], "a config names it"
        self.models.remove(ModelName)

    def list_model_packages(self, *, ModelPackageGroupName: str) -> Document:  # noqa: N803 - boto3's
        if ModelPackageGroupName not in self.packages:
            message = f"ModelPackageGroup {ModelPackageGroupName} does not exist."
            raise self.error("list_model_packages", "ValidationException", message)
        found = self.packages[ModelPackageGroupName]
        return {"ModelPackageSummaryList": [{"ModelPackageArn": arn} for arn in found]}

    def describe_model_package_group(self, *, ModelPackageGroupName: str) -> Document:  # noqa: N803 - boto3's
        if ModelPackageGroupName not in self.packages:
            message = f"ModelPackageGroup {ModelPackageGroupName} does not exist."
            raise self.error("describe_model_package_group", "ValidationException", message)
        return {"ModelPackageGroupName": ModelPackageGroupName}

    def create_model_package_group(self, *, ModelPackageGroupName: str, **said: Any) -> None:  # noqa: N803 - boto3's
        if ModelPackageGroupName in self.packages:
            message = f"ModelPackageGroup already exists: {ModelPackageGroupName}"
            raise self.error("create_model_package_group", "ValidationException", message)
        self.packages[ModelPackageGroupName] = []
        self.groups[ModelPackageGroupName] = said

    def delete_model_package_group(self, *, ModelPackageGroupName: str) -> None:  # noqa: N803 - boto3's
        assert self.packages[ModelPackageGroupName] == [], "SageMaker deletes only an empty group"
        del self.packages[ModelPackageGroupName]

    def update_model_package(self, *, ModelPackageArn: str, ModelApprovalStatus: str, ApprovalDescription: str) -> None:  # noqa: N803 - boto3's
        if ModelPackageArn in self.deleted_packages:
            message = f"ModelPackage {ModelPackageArn} does not exist."
            raise self.error("update_model_package", "ValidationException", message)
        self.approvals[ModelPackageArn] = ModelApprovalStatus, ApprovalDescription

    def describe_model_package(self, *, ModelPackageName: str) -> Document:  # noqa: N803 - boto3's
        if ModelPackageName not in self.approvals or ModelPackageName in self.deleted_packages:
            message = f"ModelPackage {ModelPackageName} does not exist."
            raise self.error("describe_model_package", "ValidationException", message)
        status, description = self.approvals[ModelPackageName]
        made_by = {"CustomerMetadataProperties": {"run_id": self.made_by.get(ModelPackageName, "")}}
        return {"ModelApprovalStatus": status, "ApprovalDescription": description, **made_by}

    def delete_model_package(self, *, ModelPackageName: str) -> None:  # noqa: N803 - boto3's
        for packages in self.packages.values():
            if ModelPackageName in packages:
                packages.remove(ModelPackageName)


class Processing(SageMaker):
    """A processing job that ends at the first look, as `ends` says; what it writes then is a test's own."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: Document = {"ProcessingJobStatus": "Completed"}
        self.asked: Document = {}
        self.stopped: list[str] = []

    def create_processing_job(self, **request: Any) -> None:
        self.asked = request

    def stop_processing_job(self, *, ProcessingJobName: str) -> None:  # noqa: N803 - boto3's
        self.stopped.append(ProcessingJobName)

    def describe_processing_job(self, *, ProcessingJobName: str) -> Document:  # noqa: N803 - boto3's
        assert ProcessingJobName == self.asked["ProcessingJobName"]
        self.write(self.asked["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"])
        return dict(self.ends)

    def write(self, uri: str) -> None:
        """Leaves its output at the URI."""
        raise NotImplementedError


class Runtime(Service):
    """An endpoint that gives these answers in turn: text, or an error's code."""

    def __init__(self) -> None:
        self.answers: list[str | Exception] = []
        # What each answer says in CustomAttributes.
        self.attributes: list[str] = []

    def invoke_endpoint(self, *, Body: Any, **_: Any) -> Document:  # noqa: N803 - boto3's
        answer = self.answers.pop(0)
        if answer in ("ModelError", "ServiceUnavailable", "ThrottlingException", "ValidationError"):
            raise self.error("invoke_endpoint", answer, f"no answer to {Body}")
        told = {"CustomAttributes": self.attributes.pop(0)} if self.attributes else {}
        return {"Body": io.BytesIO(str(answer).encode()), **told}


class Logs(Service):
    """Streams of one group, a list of messages each."""

    def __init__(self) -> None:
        self.streams: dict[str, list[str]] = {}

    def describe_log_streams(self, *, logStreamNamePrefix: str, **_: Any) -> Document:  # noqa: N803 - boto3's
        if not self.streams:
            raise self.error(
                "describe_log_streams", "ResourceNotFoundException", "The specified log group does not exist."
            )
        found = [name for name in self.streams if name.startswith(logStreamNamePrefix)]
        return {"logStreams": [{"logStreamName": name} for name in found]}

    def get_log_events(self, *, logStreamName: str, startFromHead: bool, limit: int, **_: Any) -> Document:  # noqa: N803
        lines = self.streams[logStreamName]
        told = lines[:limit] if startFromHead else lines[-limit:]
        return {"events": [{"message": line} for line in told]}

    def filter_log_events(self, *, logStreamNamePrefix: str, **_: Any) -> Document:  # noqa: N803 - boto3's
        assert not [name for name in self.streams if name.startswith(logStreamNamePrefix)], "a test's own tells times"
        return {"events": []}


class StepFunctions(Service):
    """Executions by their ARNs, and their histories; state machines' definitions."""

    def __init__(self) -> None:
        self.definitions: dict[str, str] = {}
        self.executions: dict[str, Document] = {}
        self.histories: dict[str, list[Document]] = {}
        # Tokens of tasks that wait, and what those were given that wait no more.
        self.tokens: set[str] = set()
        self.answered: list[Document] = []

    def describe_state_machine(self, *, stateMachineArn: str) -> Document:  # noqa: N803 - boto3's
        return {"definition": self.definitions[stateMachineArn]}

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> None:  # noqa: A002,N803 - boto3's
        arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"
        there = self.executions.get(arn)
        if there and (there["status"] != "RUNNING" or there["input"] != input):
            raise self.error("start_execution", "ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
        self.executions[arn] = {"status": "RUNNING", "input": input}

    def send_task_success(self, *, taskToken: str, output: str) -> None:  # noqa: N803 - boto3's
        if taskToken not in self.tokens:
            raise self.error("send_task_success", "TaskTimedOut", "Provided task does not exist anymore")
        self.tokens.remove(taskToken)
        self.answered.append(json.loads(output))

    def describe_execution(self, *, executionArn: str) -> Document:  # noqa: N803 - boto3's
        if executionArn not in self.executions:
            raise self.error("describe_execution", "ExecutionDoesNotExist", f"Does Not Exist: '{executionArn}'")
        return dict(self.executions[executionArn])

    def list_executions(self, *, stateMachineArn: str, statusFilter: str) -> Document:  # noqa: N803 - boto3's
        prefix = stateMachineArn.replace(":stateMachine:", ":execution:")
        found = [arn for arn, each in self.executions.items() if each["status"] == statusFilter]
        return {"executions": [{"executionArn": arn} for arn in found if arn.startswith(f"{prefix}:")]}

    def stop_execution(self, *, executionArn: str, error: str, cause: str) -> None:  # noqa: N803 - boto3's
        self.executions[executionArn].update(status="ABORTED", error=error, cause=cause)

    def get_execution_history(self, *, executionArn: str, includeExecutionData: bool) -> Document:  # noqa: N803
        assert not includeExecutionData, "it may hold megabytes"
        return {"events": self.histories.get(executionArn, [])}


class CloudWatch(Service):
    """Alarms by name, as they were put; datapoints by metric, whatever is asked of it."""

    def __init__(self) -> None:
        self.alarms: dict[str, Document] = {}
        self.datapoints: dict[str, list[Document]] = {}

    def get_metric_statistics(self, *, MetricName: str, **_: Any) -> Document:  # noqa: N803 - boto3's
        return {"Datapoints": self.datapoints.get(MetricName, [])}

    def put_metric_alarm(self, *, AlarmName: str, **said: Any) -> None:  # noqa: N803 - boto3's
        self.alarms[AlarmName] = said

    def describe_alarms(self, *, AlarmNames: list[str]) -> Document:  # noqa: N803 - boto3's
        assert len(AlarmNames) <= 100, "CloudWatch takes no more"
        return {"MetricAlarms": [{"AlarmName": name} for name in AlarmNames if name in self.alarms]}

    def delete_alarms(self, *, AlarmNames: list[str]) -> None:  # noqa: N803 - boto3's
        missing = [name for name in AlarmNames if name not in self.alarms]
        if missing:
            raise self.error("delete_alarms", "ResourceNotFound", f"Unknown alarm(s) {missing}")
        for name in AlarmNames:
            del self.alarms[name]


class AutoScaling(Service):
    """Scalable targets by their resources."""

    def __init__(self) -> None:
        self.targets: set[str] = set()

    def describe_scalable_targets(self, *, ResourceIds: list[str], **_named: Any) -> Document:  # noqa: N803 - boto3's
        return {"ScalableTargets": [{"ResourceId": name} for name in ResourceIds if name in self.targets]}

    def deregister_scalable_target(self, *, ResourceId: str, **_named: Any) -> None:  # noqa: N803 - boto3's
        if ResourceId not in self.targets:
            raise self.error("deregister_scalable_target", "ObjectNotFoundException", "No scalable target registered")
        self.targets.remove(ResourceId)


class Kept(Service):
    """A service that only takes things in: its requests are in `Aws.called`. Builds are what a test says."""

    def __init__(self) -> None:
        self.builds: dict[str, Document] = {}

    def publish(self, **_: Any) -> Document:
        return {"MessageId": "1"}

    def send_message(self, **_: Any) -> Document:
        return {"MessageId": "1"}

    def start_build(self, **_: Any) -> Document:
        return {"build": {"id": "1"}}

    def batch_get_builds(self, *, ids: list[str]) -> Document:
        return {"builds": [self.builds[each] for each in ids]}


SERVICES: dict[str, type[Service]] = {
    "dynamodb": Dynamo,
    "s3": S3,
    "sagemaker": SageMaker,
    "logs": Logs,
    "sagemaker-runtime": Runtime,
    "stepfunctions": StepFunctions,
    "sns": Kept,
    "sqs": Kept,
    "codebuild": Kept,
    "cloudwatch": CloudWatch,
    "application-autoscaling": AutoScaling,
}
