"""What the stacks hold, environment by environment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from synthesis import ENVIRONMENTS, Template, listed, settings, text

Stacks = Callable[[str], dict[str, Template]]


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_one_shared_stack_and_one_a_pipeline(stacks: Stacks, environment: str) -> None:
    assert {"shared", "digits-forest", "iris-tree"} <= set(stacks(environment))


def test_the_outputs_that_the_command_line_reads(stacks: Stacks, environment: str) -> None:
    shared, digits = stacks(environment)["shared"], stacks(environment)["digits-forest"]
    assert set(shared.document["Outputs"]) == {
        "DataBucketName",
        "ArtifactBucketName",
        "RunTableName",
        "TopicArn",
        "KeyArn",
    }
    outputs = digits.document["Outputs"]
    assert set(outputs) == {"StateMachineArn", "LauncherFunctionName", "EndpointName", "ModelPackageGroupName", "Data"}
    assert outputs["Data"]["Value"] == "train: digits/train/, test: digits/test/"
    assert outputs["EndpointName"]["Value"] == f"{environment}-digits-forest"
    assert outputs["ModelPackageGroupName"]["Value"] == f"{environment}-digits-forest"


def test_pipelines_import_what_the_shared_stack_exports(stacks: Stacks, environment: str) -> None:
    outputs = stacks(environment)["shared"].document["Outputs"].values()
    imported = set(_imports(stacks(environment)["digits-forest"].document))
    assert imported
    assert imported <= {output["Export"]["Name"] for output in outputs}


def _imports(document: Any) -> list[str]:
    if isinstance(document, dict):
        own = [document["Fn::ImportValue"]] if "Fn::ImportValue" in document else []
        return own + [name for value in document.values() for name in _imports(value)]
    if isinstance(document, list):
        return [name for value in document for name in _imports(value)]
    return []


def test_buckets_are_encrypted_versioned_and_closed(stacks: Stacks, environment: str) -> None:
    shared = stacks(environment)["shared"]
    buckets = {name: found for name, found in shared.of_type("AWS::S3::Bucket").items() if "AccessLogs" not in name}
    assert len(buckets) == 2
    for bucket in buckets.values():
        properties = bucket["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
        (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    policies = shared.of_type("AWS::S3::BucketPolicy").values()
    assert len(policies) == len(shared.of_type("AWS::S3::Bucket"))
    assert all('"aws:SecureTransport": "false"' in text(policy) for policy in policies)


def test_what_users_have_asked_expires_and_nothing_else_does(stacks: Stacks) -> None:
    shared = stacks("prod")["shared"]
    rules = {
        rule["Prefix"]: (rule["ExpirationInDays"], rule["NoncurrentVersionExpiration"])
        for name, bucket in shared.of_type("AWS::S3::Bucket").items()
        for rule in bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        if "ExpirationInDays" in rule and "AccessLogs" not in name
    }
    assert rules == {"captures/": (30, {"NoncurrentDays": 1})}


def test_only_the_data_bucket_announces_objects(stacks: Stacks) -> None:
    shared = stacks("local")["shared"]
    announced = {
        name: found["Properties"].get("NotificationConfiguration")
        for name, found in shared.of_type("AWS::S3::Bucket").items()
    }
    enabled = {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert [name for name, found in announced.items() if found == enabled] == [
        name for name in announced if name.startswith("Data")
    ]


def test_the_run_table_has_the_agreed_keys_and_can_be_restored(stacks: Stacks, environment: str) -> None:
    properties = stacks(environment)["shared"].one("AWS::DynamoDB::Table")["Properties"]
    assert properties["KeySchema"] == [
        {"AttributeName": "pipeline", "KeyType": "HASH"},
        {"AttributeName": "item", "KeyType": "RANGE"},
    ]
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert properties["SSESpecification"]["SSEType"] == "KMS"


def test_the_key_is_rotated(stacks: Stacks, environment: str) -> None:
    assert stacks(environment)["shared"].one("AWS::KMS::Key")["Properties"]["EnableKeyRotation"] is True


def test_jobs_read_their_code_from_our_own_bucket(stacks: Stacks, environment: str) -> None:
    """Not from CDK's asset bucket, which `cdk gc` may empty; and the copy is there before the machine is."""
    template = stacks(environment)["digits-forest"]
    (copied,) = template.of_type("Custom::CopiedSource")
    properties = template.one("Custom::CopiedSource")["Properties"]
    machine = template.one("AWS::StepFunctions::StateMachine")
    assert copied in machine["DependsOn"]
    uri = f"s3://${{artifact_bucket}}/{properties['ToKey']}"
    states = template.machine["States"]
    trial = states["Tune"]["Arguments"]["TrainingJobDefinition"]
    assert trial["StaticHyperParameters"]["sagemaker_submit_directory"] == uri
    assert f"'sagemaker_submit_directory': '{uri}'" in states["Train"]["Arguments"]["HyperParameters"]
    assert properties["ToBucket"] == machine["Properties"]["DefinitionSubstitutions"]["artifact_bucket"]
    assert "cdk-hnb659fds-assets" not in text(machine) + text(list(template.statements_of("Jobs")))
    assert properties["ToKey"] in text(template.statements_of("SourceCopier"))


NAMES = ("BucketName", "TableName", "TopicName", "RepositoryName", "LogGroupName", "ModelPackageGroupName", "AliasName")


def test_what_is_kept_has_no_name_that_a_redeployment_would_stumble_over(stacks: Stacks, environment: str) -> None:
    kept = {
        (stack, name): found["Properties"]
        for stack, template in stacks(environment).items()
        for name, found in template.document["Resources"].items()
        if found.get("DeletionPolicy", "Delete") != "Delete"
    }
    assert kept or environment != "prod"
    assert [key for key, properties in kept.items() if set(NAMES) & set(properties)] == []


def test_the_topic_lets_the_accounts_alarms_in(stacks: Stacks, environment: str) -> None:
    shared = stacks(environment)["shared"]
    account = settings(environment).account or {"Ref": "AWS::AccountId"}
    statements = shared.one("AWS::SNS::TopicPolicy")["Properties"]["PolicyDocument"]["Statement"]
    (allowed,) = [one for one in statements if one["Effect"] == "Allow"]
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": account}
    assert ":alarm:*" in text(allowed["Condition"]["ArnLike"]["aws:SourceArn"])
    policy = shared.one("AWS::KMS::Key")["Properties"]["KeyPolicy"]["Statement"]
    of_the_key = [one for one in policy if one["Principal"] == {"Service": "cloudwatch.amazonaws.com"}]
    assert [one["Action"] for one in of_the_key] == [["kms:Decrypt", "kms:GenerateDataKey*"]]


def test_destroy_empties_and_deletes_what_retain_keeps(stacks: Stacks) -> None:
    kinds = ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::KMS::Key")

    def policies(environment: str) -> set[str]:
        shared = stacks(environment)["shared"]
        return {found["DeletionPolicy"] for kind in kinds for found in shared.of_type(kind).values()}

    assert policies("local") == {"Delete"}
    assert policies("prod") == {"RetainExceptOnCreate"}
    assert len(stacks("local")["shared"].of_type("Custom::EmptiedBucket")) == 2
    assert stacks("prod")["shared"].of_type("Custom::EmptiedBucket") == {}


def test_reads_are_logged_where_data_is_kept(stacks: Stacks) -> None:
    buckets = stacks("prod")["shared"].of_type("AWS::S3::Bucket")
    logged = [name for name, found in buckets.items() if "LoggingConfiguration" in found["Properties"]]
    assert sorted(name[:4] for name in logged) == ["Arti", "Data"]


def test_runs_are_logged_and_traced(stacks: Stacks, environment: str) -> None:
    properties = stacks(environment)["digits-forest"].one("AWS::StepFunctions::StateMachine")["Properties"]
    assert properties["LoggingConfiguration"]["Level"] == "ALL"
    assert properties["TracingConfiguration"] == {"Enabled": True}


def test_the_definition_names_nothing_that_has_no_value(stacks: Stacks, environment: str) -> None:
    properties = stacks(environment)["digits-forest"].one("AWS::StepFunctions::StateMachine")["Properties"]
    text_ = properties["DefinitionString"]
    for name in properties["DefinitionSubstitutions"]:
        assert f"${{{name}}}" in text_
        text_ = text_.replace(f"${{{name}}}", "")
    assert "${" not in text_


def test_every_log_ends_some_day(stacks: Stacks, environment: str) -> None:
    groups = [
        found for stack in stacks(environment).values() for found in stack.of_type("AWS::Logs::LogGroup").values()
    ]
    days = settings(environment).log_retention_days
    assert groups
    assert {group["Properties"]["RetentionInDays"] for group in groups} == {days}


def test_new_objects_under_the_pipelines_prefixes_reach_the_queue(stacks: Stacks) -> None:
    rule = stacks("local")["digits-forest"].named("TriggersDataArrived")["Properties"]
    assert rule["EventPattern"]["detail"]["object"]["key"] == [{"prefix": "digits/train/"}, {"prefix": "digits/test/"}]
    assert rule["EventPattern"]["source"] == ["aws.s3"]
    assert rule["EventPattern"]["detail-type"] == ["Object Created"]


def test_triggers_that_the_spec_turns_off_are_not_there(pipeline: Callable[..., Template]) -> None:
    template = pipeline(triggers={"data": False, "schedule": None, "code": False})
    rules = sorted(name[:14] for name in template.of_type("AWS::Events::Rule"))
    assert rules == ["TriggersEndpoi", "TriggersReconc", "TriggersRunEnd"], "what a run waits for isn't a trigger"
    assert template.one("Custom::Pipeline")["Properties"]["StartsRuns"] == "no"


def test_a_schedule_sends_its_kind(pipeline: Callable[..., Template]) -> None:
    rule = pipeline(triggers={"schedule": "rate(7 days)"}).named("TriggersScheduled")["Properties"]
    assert rule["ScheduleExpression"] == "rate(7 days)"
    assert json.loads(rule["Targets"][0]["Input"]) == {"kind": "schedule"}


def test_a_run_waits_for_its_own_endpoint_through_the_pipelines_queue(stacks: Stacks) -> None:
    digits = stacks("local")["digits-forest"]
    rule = digits.named("TriggersEndpointAtRest")["Properties"]
    kinds = ["SageMaker Endpoint State Change", "SageMaker Endpoint Deployment State Change"]
    statuses = ["IN_SERVICE", "OUT_OF_SERVICE", "FAILED", "UPDATE_ROLLBACK_FAILED"]
    assert rule["EventPattern"] == {
        "source": ["aws.sagemaker"],
        "detail-type": kinds,
        "detail": {"EndpointName": ["local-digits-forest"], "EndpointStatus": statuses},
    }
    assert "WaitingQueue" in json.dumps(rule["Targets"])
    (sends,) = [one for one in digits.statements_of("WorkflowExecution") if "sqs:SendMessage" in listed(one["Action"])]
    assert "WaitingQueue" in json.dumps(sends["Resource"])
    answers = [one for one in digits.statements_of("LauncherExecution") if "states:SendTaskSuccess" in one["Action"]]
    assert [one["Resource"] for one in answers] == ["*"], "it knows no resource"


def test_the_queue_takes_messages_from_its_own_rules_only(stacks: Stacks) -> None:
    digits = stacks("local")["digits-forest"]
    statements = digits.named("WaitingQueuePolicy")["Properties"]["PolicyDocument"]["Statement"]
    (allowed,) = (statement for statement in statements if statement["Effect"] == "Allow")
    sources = {source["Fn::GetAtt"][0] for source in allowed["Condition"]["ArnEquals"]["aws:SourceArn"]}
    assert sources == set(digits.of_type("AWS::Events::Rule"))


def test_what_starts_runs_goes_before_what_they_have_made_is_taken_down(stacks: Stacks) -> None:
    digits = stacks("local")["digits-forest"]
    (lifecycle,) = digits.of_type("Custom::Pipeline")
    starters = digits.of_type("AWS::Events::Rule") | digits.of_type("AWS::Lambda::EventSourceMapping")
    assert starters
    assert [name for name, found in starters.items() if lifecycle not in found["DependsOn"]] == []


def test_alarms_tell_the_topic(stacks: Stacks) -> None:
    alarms = stacks("local")["digits-forest"].of_type("AWS::CloudWatch::Alarm").values()
    metrics = {alarm["Properties"]["MetricName"] for alarm in alarms}
    assert metrics == {"ExecutionsFailed", "ExecutionsTimedOut", "ApproximateNumberOfMessagesVisible"}
    topic = {"Fn::ImportValue": "ratchet-local-TopicArn"}
    assert [alarm["Properties"]["AlarmActions"] for alarm in alarms] == [[topic]] * 3


def test_training_and_hosting_may_have_images_of_their_own(pipeline: Callable[..., Template]) -> None:
    template = pipeline(framework={"name": "pytorch", "version": "2.6.0"}, train={"instance": "ml.g5.xlarge"})
    values = template.one("AWS::StepFunctions::StateMachine")["Properties"]["DefinitionSubstitutions"]
    assert values["image_uri"].endswith("/pytorch-training:2.6.0-gpu-py312")
    assert values["hosting_image_uri"].endswith("/pytorch-inference:2.6.0-cpu-py312")
    assert "repository/pytorch-training" in text(template.statements_of("JobsTraining"))
    assert "repository/pytorch-inference" in text(template.statements_of("JobsHosting"))


def test_what_another_framework_serves_is_judged_where_that_one_trains(pipeline: Callable[..., Template]) -> None:
    template = pipeline(
        framework={"name": "tensorflow", "version": "2.21.0", "hosting": {"name": "pytorch", "version": "2.6.0"}},
        train={"instance": "ml.g5.xlarge"},
    )
    values = template.one("AWS::StepFunctions::StateMachine")["Properties"]["DefinitionSubstitutions"]
    assert values["image_uri"].endswith("/tensorflow-training:2.21.0-gpu-py312")
    assert values["judging_image_uri"].endswith("/pytorch-training:2.6.0-cpu-py312"), "of evaluate.instance"
    assert values["hosting_image_uri"].endswith("/pytorch-inference:2.6.0-cpu-py312")
    pulled = {
        role: re.findall(r"repository/([a-z-]+)", text(template.statements_of(f"Jobs{role}")))
        for role in ("Training", "Processing", "Hosting")
    }
    assert pulled == {
        "Training": ["tensorflow-training"], "Processing": ["pytorch-training"], "Hosting": ["pytorch-inference"]
    }  # fmt: skip
