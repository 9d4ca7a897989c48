"""What a principal's own tags, name and role let it do, on one embedded AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from resources import allow, assumed, make_role, unique
from state_machines import machine

ACCOUNT = "000000000000"


def refused(call: Any) -> str:
    """The code of a refusal, nothing where the call was answered."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def when(statement: dict[str, Any], **condition: Any) -> dict[str, Any]:
    return {**statement, "Condition": condition}


def tagged(aws: Any, role_arn: str, **tags: str) -> None:
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    aws.client("iam").tag_role(RoleName=role_arn.rpartition("/")[2], Tags=listed)


@pytest.fixture(scope="module")
def bucket(aws: Any) -> str:
    name = unique("of-teams")
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=name)
    for key in ("red/x", "blue/x"):
        s3.put_object(Bucket=name, Key=key, Body=b"1")
    return name


@pytest.mark.fidelity(
    "IAM",
    "A role's tags are its sessions' principal tags, and a session's own tags come before them: ${aws:PrincipalTag/key}"
    " in a Resource lets each read its own folder.",
    "IAM User Guide, IAM policy elements: Variables and tags; Pass session tags in AWS STS",
)
def test_a_roles_tags_open_its_folder(aws: Any, bucket: str) -> None:
    folder = f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/team}}/*"
    role = make_role(aws, ACCOUNT, allow("s3:GetObject", resource=folder))
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    aws.client("iam").update_assume_role_policy(RoleName=role.rpartition("/")[2], PolicyDocument=document)
    before = assumed(aws, role)
    assert refused(lambda: aws.client("s3", before).get_object(Bucket=bucket, Key="red/x")) == "AccessDenied"
    tagged(aws, role, team="red")
    of_role = aws.client("s3", assumed(aws, role))
    given = {"RoleArn": role, "RoleSessionName": "of-blue", "Tags": [{"Key": "team", "Value": "blue"}]}
    of_session = aws.client("s3", dict(aws.client("sts").assume_role(**given)["Credentials"]))
    read = [(client, key) for client in (of_role, of_session) for key in ("red/x", "blue/x")]
    codes = [refused(lambda c=client, k=key: c.get_object(Bucket=bucket, Key=k)) for client, key in read]
    assert codes == ["", "AccessDenied", "AccessDenied", ""]


@pytest.mark.fidelity(
    "IAM",
    "aws:PrincipalArn is the ARN of a session's role, with its path; aws:userid is the role's id with the session's"
    " name, and only users have aws:username.",
    "IAM User Guide, AWS global condition context keys; IAM policy elements: Variables and tags",
)
def test_who_a_session_is(aws: Any) -> None:
    iam, name = aws.client("iam"), unique("deep")
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=name, Path="/a/b/", AssumeRolePolicyDocument=document)["Role"]
    statements = [
        when(allow("sqs:ListQueues"), ArnEquals={"aws:PrincipalArn": role["Arn"]}),
        when(allow("sns:ListTopics"), StringEquals={"aws:userid": f"{role['RoleId']}:test"}),
        when(allow("dynamodb:ListTables"), StringEquals={"aws:PrincipalType": "AssumedRole"}),
        when(allow("events:ListRules"), Null={"aws:username": "false"}),
        when(allow("kms:ListKeys"), ArnLike={"aws:PrincipalArn": "arn:aws:sts::*:assumed-role/*"}),
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
    key = assumed(aws, role["Arn"])
    assert aws.client("sts", key).get_caller_identity()["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/test"
    assert not refused(aws.client("sqs", key).list_queues)
    assert not refused(aws.client("sns", key).list_topics)
    assert not refused(aws.client("dynamodb", key).list_tables)
    assert refused(aws.client("events", key).list_rules) == "AccessDeniedException"
    assert refused(aws.client("kms", key).list_keys) == "AccessDeniedException"


@pytest.mark.fidelity(
    "IAM",
    "iam:TagRole and iam:UntagRole are asked about the role, with aws:RequestTag, aws:TagKeys and the role's tags as"
    " aws:ResourceTag; a state machine tags roles by aws-sdk:iam:tagRole.",
    "Service Authorization Reference, AWS Identity and Access Management; Step Functions DG, Learning to use AWS"
    " service SDK integrations",
)
def test_tagging_a_role_from_a_state_machine(aws: Any, bucket: str) -> None:
    folder = f"arn:aws:s3:::{bucket}/${{aws:PrincipalTag/run}}/*"
    trainer = make_role(aws, ACCOUNT, allow("s3:GetObject", resource=folder))
    tagged(aws, trainer, kind="trainer")
    keys = {"ForAllValues:StringEquals": {"aws:TagKeys": ["run"]}}
    tag = when(
        allow("iam:TagRole", resource=trainer),
        StringLike={"aws:RequestTag/run": "*"},
        StringEquals={"aws:ResourceTag/kind": "trainer"},
        **keys,
    )
    untag = when(allow("iam:UntagRole", resource=trainer), **keys)
    roles = {"RoleName": "{% $states.input.role %}"}
    tags = {**roles, "Tags": [{"Key": "{% $states.input.key %}", "Value": "red"}]}
    caught = [{"ErrorEquals": ["States.ALL"], "Output": "{% $states.errorOutput %}", "Next": "Untag"}]
    started = machine(
        aws,
        {
            "Tag": {**task("tagRole", tags), "Next": "Done", "Catch": caught},
            "Untag": {**task("untagRole", {**roles, "TagKeys": ["kind"]}), "End": True},
            "Done": {"Type": "Succeed"},
        },
        tag,
        untag,
    )
    name = trainer.rpartition("/")[2]
    assert started.run({"role": name, "key": "run"})["status"] == "SUCCEEDED"
    assert not refused(lambda: aws.client("s3", assumed(aws, trainer)).get_object(Bucket=bucket, Key="red/x"))
    another = make_role(aws, ACCOUNT)
    for wrong in ({"role": name, "key": "kind"}, {"role": another.rpartition("/")[2], "key": "run"}):
        assert "iam:TagRole" in denial_of_tag(started, wrong)


def task(action: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Task", "Resource": f"arn:aws:states:::aws-sdk:iam:{action}", "Arguments": arguments}


def denial_of_tag(started: Any, given: dict[str, str]) -> str:
    events = started.history(started.ended(started.start(given))["executionArn"])
    failed = [event["taskFailedEventDetails"] for event in events if "taskFailedEventDetails" in event]
    return str(failed[0]["cause"])


@pytest.mark.fidelity(
    "IAM",
    "AWS's managed policies grant what their documents say; one that isn't known is NoSuchEntity where it is attached.",
    "AWS Managed Policy Reference; IAM API reference, AttachRolePolicy: NoSuchEntity",
)
def test_managed_policies_are_known_or_refused(aws: Any) -> None:
    iam, role = aws.client("iam"), make_role(aws, ACCOUNT)
    attached = {"RoleName": role.rpartition("/")[2]}
    iam.attach_role_policy(**attached, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerReadOnly")
    sagemaker = aws.client("sagemaker", assumed(aws, role))
    assert not refused(sagemaker.list_training_jobs)
    denied = {"ModelPackageGroupName": unique("g")}
    assert refused(lambda: sagemaker.create_model_package_group(**denied)) == "AccessDeniedException"
    for name in ("AmazonSagemakerReadOnly", "service-role/Nothing"):
        with pytest.raises(ClientError, match=f"policy/{name} does not exist or is not attachable") as caught:
            iam.attach_role_policy(**attached, PolicyArn=f"arn:aws:iam::aws:policy/{name}")
        assert caught.value.response["Error"]["Code"] == "NoSuchEntity"


@pytest.mark.fidelity(
    "IAM",
    "A role is asked about by its ARN with its path, a rule of the default bus without its bus, and a log group as a"
    " stream of it, so that a grant on the group needs :*.",
    "Service Authorization Reference, resource types of IAM and EventBridge; CloudWatch Logs API reference, LogGroup",
)
def test_resources_are_named_as_services_name_them(aws: Any) -> None:
    iam, name = aws.client("iam"), unique("nested")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn = iam.create_role(RoleName=name, Path="/team/", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    aws.client("logs").create_log_group(logGroupName=name)
    aws.client("events").put_rule(Name=name, ScheduleExpression="rate(1 day)")
    logs = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{name}"
    rule = allow("events:DescribeRule", resource=f"arn:aws:events:us-east-1:{ACCOUNT}:rule/{name}")
    outcomes = []
    for group in (logs, f"{logs}:*"):
        key = assumed(
            aws, make_role(aws, ACCOUNT, allow("iam:GetRole", resource=arn), rule, allow("logs:*", resource=group))
        )
        outcomes += [
            refused(lambda k=key: aws.client("iam", k).get_role(RoleName=name)),
            refused(lambda k=key: aws.client("events", k).describe_rule(Name=name)),
            refused(lambda k=key: aws.client("logs", k).describe_log_streams(logGroupName=name)),
        ]
    assert outcomes == ["", "", "AccessDeniedException", "", "", ""]
