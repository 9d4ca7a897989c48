"""Stacks: every property takes effect or is refused, updates update, failures roll back with their reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from resources import allow, make_role, unique
from stacks import Stack, attribute, ref, resource, stack
from state_machines import machine
from waiting import until

KEYS = {
    "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def bucket(**properties: Any) -> dict[str, Any]:
    return resource("AWS::S3::Bucket", **properties)


def test_a_buckets_properties_take_effect_and_go_with_an_update(aws: Any) -> None:
    encryption = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": attribute("Key", "Arn")}
    rule = {
        "Id": "old",
        "Status": "Enabled",
        "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    key = resource("AWS::KMS::Key", KeyPolicy={"Version": "2012-10-17", "Statement": []}, EnableKeyRotation=True)
    full = bucket(
        BucketEncryption={
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": encryption, "BucketKeyEnabled": True}
            ]
        },
        LifecycleConfiguration={"Rules": [rule]},
        OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        VersioningConfiguration={"Status": "Enabled"},
        NotificationConfiguration={"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
        Tags=[{"Key": "team", "Value": "ml"}],
    )
    made = stack(aws, {"Key": key, "Data": full}, {"Key": attribute("Key", "Arn")})
    name, s3 = made.physical_id("Data"), aws.client("s3")
    rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == made.outputs()["Key"]
    assert rules[0]["BucketKeyEnabled"] is True
    lifecycle = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"][0]
    assert lifecycle["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}
    assert lifecycle["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=name)
    tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
    assert tags["team"] == "ml"

    assert (
        made.update({"Key": key, "Data": bucket(VersioningConfiguration={"Status": "Suspended"})}) == "UPDATE_COMPLETE"
    )
    assert made.physical_id("Data") == name
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Suspended"
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=name)


LOG_SERVICE = {"Service": "logging.s3.amazonaws.com"}


def logged(prefix: str = "") -> dict[str, Any]:
    return bucket(LoggingConfiguration={"DestinationBucketName": ref("Logs"), "LogFilePrefix": prefix})


@pytest.mark.fidelity(
    "S3",
    "Access logs come only where the destination's policy lets logging.s3.amazonaws.com put; nobody is told else.",
    "Amazon S3 User Guide: Enabling Amazon S3 server access logging (Permissions for log delivery)",
)
def test_a_buckets_access_logs_follow_its_configuration_and_the_destinations_policy(aws: Any) -> None:
    allowed = {"Effect": "Allow", "Principal": LOG_SERVICE, "Action": "s3:PutObject"}
    statement = {**allowed, "Resource": {"Fn::Sub": "arn:aws:s3:::${Logs}/kept/*"}}
    policy = resource("AWS::S3::BucketPolicy", Bucket=ref("Logs"), PolicyDocument={"Statement": [statement]})
    resources = {"Logs": bucket(), "Policy": policy, "Kept": logged("kept/"), "Lost": logged("lost/")}
    made, s3 = stack(aws, resources), aws.client("s3")
    kept, lost, logs = (made.physical_id(name) for name in ("Kept", "Lost", "Logs"))
    assert s3.get_bucket_logging(Bucket=kept)["LoggingEnabled"] == {"TargetBucket": logs, "TargetPrefix": "kept/"}
    for name in (lost, kept):
        s3.put_object(Bucket=name, Key="k v", Body=b"abc")
        with pytest.raises(ClientError):
            s3.get_object(Bucket=name, Key="none")
        s3.list_objects_v2(Bucket=name)

    def lines() -> list[str]:
        found = [each["Key"] for each in s3.list_objects_v2(Bucket=logs).get("Contents", [])]
        assert all(key.startswith("kept/") for key in found)
        bodies = [s3.get_object(Bucket=logs, Key=key)["Body"].read().decode() for key in found]
        return [line for body in bodies for line in body.splitlines()]

    until(lambda: len(lines()) >= 3, "the access logs")
    put, missing, listed = (line.partition("] ")[2] for line in lines()[-3:])
    assert " REST.PUT.OBJECT k%20v " in put
    assert " REST.GET.OBJECT none " in missing and '" 404 NoSuchKey ' in missing
    assert " REST.GET.BUCKET - " in listed

    assert made.update({**resources, "Kept": bucket()}) == "UPDATE_COMPLETE"
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=kept)


@pytest.mark.fidelity(
    "S3",
    "Logging into a bucket that isn't there is refused with InvalidTargetBucketForLogging.",
    "Amazon S3 API Reference: Error responses (List of error codes)",
)
def test_logging_into_no_bucket_is_refused(aws: Any) -> None:
    made = stack(aws, {"Data": bucket(LoggingConfiguration={"DestinationBucketName": unique("none")})})
    assert "The target bucket for logging does not exist" in made.reason("Data")
    aws.client("s3").create_bucket(Bucket=(name := unique("logged")))
    status = {"LoggingEnabled": {"TargetBucket": unique("none"), "TargetPrefix": ""}}
    with pytest.raises(ClientError) as refused:
        aws.client("s3").put_bucket_logging(Bucket=name, BucketLoggingStatus=status)
    assert refused.value.response["Error"]["Code"] == "InvalidTargetBucketForLogging"
    other = {"DestinationBucketName": name, "TargetObjectKeyFormat": {"SimplePrefix": {}}}
    refusing = stack(aws, {"Data": bucket(LoggingConfiguration=other)})
    assert "not supported here: TargetObjectKeyFormat of a bucket's LoggingConfiguration" in refusing.reason("Data")


@pytest.mark.fidelity(
    "CloudFormation",
    "Deletion of a stack whose bucket isn't empty ends as DELETE_FAILED; a second deletion goes on.",
    "CloudFormation User Guide, Troubleshooting: delete stack fails",
)
def test_a_bucket_with_objects_is_not_deleted(aws: Any) -> None:
    made = stack(aws, {"Data": bucket()})
    s3, name = aws.client("s3"), made.physical_id("Data")
    s3.put_object(Bucket=name, Key="k", Body=b"v")
    identity = made.identity
    assert made.delete() == "DELETE_FAILED"
    assert "not empty" in made.reason("Data", identity)
    s3.delete_object(Bucket=name, Key="k")
    assert made.delete() == "DELETE_COMPLETE"


def test_a_tables_recovery_encryption_and_expiry_take_effect_and_change(aws: Any) -> None:
    full = resource(
        "AWS::DynamoDB::Table",
        **KEYS,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
        SSESpecification={"SSEEnabled": True, "SSEType": "KMS"},
        TimeToLiveSpecification={"AttributeName": "until", "Enabled": True},
    )
    made = stack(aws, {"Runs": full})
    dynamodb, name = aws.client("dynamodb"), made.physical_id("Runs")

    def recovery() -> str:
        found = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        return str(found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"])

    assert recovery() == "ENABLED"
    assert dynamodb.describe_table(TableName=name)["Table"]["SSEDescription"]["Status"] == "ENABLED"
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "until")

    dynamodb.put_item(TableName=name, Item={"k": {"S": "kept"}})
    assert made.update({"Runs": resource("AWS::DynamoDB::Table", **KEYS)}) == "UPDATE_COMPLETE"
    assert recovery() == "DISABLED"
    assert dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"
    assert dynamodb.get_item(TableName=name, Key={"k": {"S": "kept"}})["Item"]


def test_a_permissions_boundary_limits_a_role_and_goes_with_an_update(aws: Any) -> None:
    boundary = resource(
        "AWS::IAM::ManagedPolicy",
        PolicyDocument={"Version": "2012-10-17", "Statement": [allow("s3:GetObject")]},
    )
    limited = resource("AWS::IAM::Role", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=ref("Boundary"))
    made = stack(aws, {"Boundary": boundary, "Role": limited})
    iam, name = aws.client("iam"), made.physical_id("Role")
    found = iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    assert found == made.physical_id("Boundary")
    made.update({"Boundary": boundary, "Role": resource("AWS::IAM::Role", AssumeRolePolicyDocument=TRUST)})
    assert "PermissionsBoundary" not in iam.get_role(RoleName=name)["Role"]


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"kind": "AWS::S3::Bucket", "ReplicationConfiguration": {}}, "ReplicationConfiguration of AWS::S3::Bucket"),
        ({"kind": "AWS::Lambda::Function", "VpcConfig": {}}, "VpcConfig of AWS::Lambda::Function"),
        ({"kind": "AWS::S3::Bucket", "AccessControl": "PublicRead"}, "AccessControl PublicRead"),
        ({"kind": "AWS::Events::Rule", "EventPattern": {"source": "x"}}, "Event pattern is not valid"),
        ({"kind": "AWS::Events::Rule", "ScheduleExpression": "every day"}, "ScheduleExpression"),
        (
            {
                "kind": "AWS::Lambda::Function",
                "Role": "arn:aws:iam::000000000000:role/none",
                "Code": {"ZipFile": "x=1"},
                "Handler": "index.handler",
                "Runtime": "python3.13",
            },
            "cannot be assumed by Lambda",
        ),
        (
            {
                "kind": "AWS::CloudWatch::Alarm",
                "ComparisonOperator": "GreaterThanThreshold",
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "Metrics": [{"Id": "e", "Expression": "ANOMALY_DETECTION_BAND(m)"}],
            },
            "ANOMALY_DETECTION_BAND",
        ),
    ],
)
def test_what_is_not_supported_is_refused_by_name_and_the_stack_rolled_back(
    aws: Any, properties: dict[str, Any], says: str
) -> None:
    given = {name: value for name, value in properties.items() if name != "kind"}
    refused = {**resource(properties["kind"], **given), "DependsOn": "Before"}
    made = stack(aws, {"Before": bucket(), "Refused": refused})
    assert made.settled() == "ROLLBACK_COMPLETE"
    assert says in made.reason("Refused")


@pytest.mark.parametrize("kind", ["AWS::SageMaker::Pipeline", "AWS::CloudFormation::Macro"])
def test_a_type_that_is_not_here_is_refused_before_anything_is_made(aws: Any, kind: str) -> None:
    with pytest.raises(ClientError, match=f"Unrecognized resource types: .{kind}"):
        stack(aws, {"Refused": resource(kind)})


@pytest.mark.fidelity(
    "CloudFormation",
    "A failed update ends as UPDATE_ROLLBACK_COMPLETE with what was.",
    "CloudFormation User Guide, Stack status codes",
)
def test_an_update_that_fails_brings_back_what_was(aws: Any) -> None:
    made = stack(aws, {"Data": bucket(VersioningConfiguration={"Status": "Enabled"})})
    changed = bucket(VersioningConfiguration={"Status": "Suspended"}, Tags=[{"Key": "new", "Value": "1"}])
    bad = {**bucket(AccessControl="PublicRead"), "DependsOn": "Data"}
    assert made.update({"Data": changed, "Bad": bad}) == "UPDATE_ROLLBACK_COMPLETE"
    s3, name = aws.client("s3"), made.physical_id("Data")
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"


def machine_resource(definition: dict[str, Any], role: str, **more: Any) -> dict[str, Any]:
    text = json.dumps(definition)
    return resource("AWS::StepFunctions::StateMachine", DefinitionString=text, RoleArn=role, **more)


@pytest.mark.fidelity(
    "CloudFormation",
    "DefinitionSubstitutions fill ${…}; a machine is updated in place under its ARN.",
    "CloudFormation template reference, AWS::StepFunctions::StateMachine",
)
def test_a_state_machine_takes_substitutions_and_logging_and_updates_in_place(aws: Any) -> None:
    role = make_role(aws, "states.amazonaws.com", allow("logs:*"))
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "${Said}", "End": True}}}
    group = resource("AWS::Logs::LogGroup")
    logging = {
        "Level": "ALL",
        "IncludeExecutionData": True,
        "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": attribute("Log", "Arn")}}],
    }

    def resources(said: str) -> dict[str, Any]:
        more = {"DefinitionSubstitutions": {"Said": said}, "LoggingConfiguration": logging}
        return {"Log": group, "Machine": machine_resource(definition, role, **more)}

    made = stack(aws, resources("one"))
    sfn, arn = aws.client("stepfunctions"), made.physical_id("Machine")
    described = sfn.describe_state_machine(stateMachineArn=arn)
    assert described["loggingConfiguration"]["level"] == "ALL"
    assert '"one"' in described["definition"]
    assert made.update(resources("two")) == "UPDATE_COMPLETE"
    assert made.physical_id("Machine") == arn
    assert '"two"' in sfn.describe_state_machine(stateMachineArn=arn)["definition"]


def test_a_broken_definition_and_a_role_without_the_managed_rule_are_refused_in_the_stack(aws: Any) -> None:
    role = make_role(aws, "states.amazonaws.com")
    broken = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "Gone"}}}
    made = stack(aws, {"Machine": machine_resource(broken, role)})
    assert "MISSING_TRANSITION_TARGET: Missing 'Next' target: Gone at /States/A/Next" in made.reason("Machine")
    task = {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync", "End": True}
    waiting = {"StartAt": "T", "States": {"T": task}}
    made = stack(aws, {"Machine": machine_resource(waiting, role)})
    reason = made.reason("Machine")
    assert f"'{role}' is not authorized to create managed-rule" in reason
    assert "events:PutRule on arn:aws:events:us-east-1:000000000000:rule/StepFunctionsGetEventsForSageMaker" in reason


def test_an_alarm_over_metric_math_fires_when_runs_fail(aws: Any) -> None:
    failing = machine(aws, {"F": {"Type": "Fail", "Error": "E", "Cause": "c"}})
    name = unique("alarm")

    def query(identity: str, metric: str) -> dict[str, Any]:
        dimensions = [{"Name": "StateMachineArn", "Value": failing.arn}]
        named = {"Namespace": "AWS/States", "MetricName": metric, "Dimensions": dimensions}
        stat = {"Metric": named, "Period": 300, "Stat": "Sum"}
        return {"Id": identity, "MetricStat": stat, "ReturnData": False}

    alarm = resource(
        "AWS::CloudWatch::Alarm",
        AlarmName=name,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        EvaluationPeriods=1,
        Threshold=1,
        TreatMissingData="notBreaching",
        Metrics=[
            {"Id": "total", "Expression": "FILL(m0, 0) + FILL(m1, 0)", "ReturnData": True},
            query("m0", "ExecutionsFailed"),
            query("m1", "ExecutionsTimedOut"),
        ],
    )
    made = stack(aws, {"Alarm": alarm})
    assert made.settled() == "CREATE_COMPLETE"
    cloudwatch = aws.client("cloudwatch")

    def state() -> str:
        return str(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])

    assert state() == "OK"
    failing.run()
    until(lambda: state() == "ALARM", "the alarm")


@pytest.mark.fidelity(
    "CloudFormation",
    "UpdateStack without a change is a ValidationError: No updates are to be performed.",
    "CloudFormation API, UpdateStack",
)
def test_an_unchanged_stack_has_no_updates_to_perform(aws: Any) -> None:
    made = stack(aws, {"Data": bucket()})
    assert isinstance(made, Stack)
    with pytest.raises(ClientError, match="No updates are to be performed"):
        made.update({"Data": bucket()})
