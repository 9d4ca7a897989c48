"""What the stacks hold, environment by environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthesis import ENVIRONMENTS, Template, settings, synthesize, text, write_pipeline

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
    assert sorted(name[:14] for name in template.of_type("AWS::Events::Rule")) == ["TriggersReconc", "TriggersRunEnd"]
    assert template.one("Custom::Pipeline")["Properties"]["StartsRuns"] == "no"


def test_a_schedule_sends_its_kind(pipeline: Callable[..., Template]) -> None:
    rule = pipeline(triggers={"schedule": "rate(7 days)"}).named("TriggersScheduled")["Properties"]
    assert rule["ScheduleExpression"] == "rate(7 days)"
    assert json.loads(rule["Targets"][0]["Input"]) == {"kind": "schedule"}


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


def test_a_dockerfile_is_built_in_the_account_before_anything_runs(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "models", framework=None, dockerfile="Dockerfile")
    (folder / "Dockerfile").write_text("FROM scratch\n")
    template = synthesize(settings("dev"), tmp_path / "models", tmp_path / "out")["tickets"]
    assert template.one("AWS::ECR::Repository")["Properties"]["ImageTagMutability"] == "IMMUTABLE"
    (built,) = template.of_type("Custom::BuiltImage")
    assert built in template.one("Custom::Pipeline")["DependsOn"]
    spec = json.loads(template.one("AWS::CodeBuild::Project")["Properties"]["Source"]["BuildSpec"])
    assert set(spec["phases"]) == {"build", "post_build"}
    values = template.one("AWS::StepFunctions::StateMachine")["Properties"]["DefinitionSubstitutions"]
    assert template.one("Custom::BuiltImage")["Properties"]["Tag"] in text(values["image_uri"])
