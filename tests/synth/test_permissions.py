"""Every role of every environment does what it must and nothing else."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from synthesis import ENVIRONMENTS, SPEC, Template, listed, settings, text

from contract import names
from localaws.ministack_adapter.condition_keys import is_supplied

# A policy variable; CloudFormation's own in Fn::Sub have one colon less, or two.
VARIABLE = re.compile(r"\$\{((?:aws|s3|sagemaker|dynamodb):[A-Za-z][^},:]*)[^}]*\}")
# Actions without resource-level permissions, by the Service Authorization Reference.
WITHOUT_RESOURCE = {
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "application-autoscaling:DescribeScheduledActions",
    "cloudwatch:PutMetricData",
    "ecr-public:GetAuthorizationToken",
    "ecr:GetAuthorizationToken",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "sagemaker:ListEndpointConfigs",
    "sagemaker:ListModelPackages",
    "sagemaker:ListModels",
    "states:SendTaskSuccess",
    "sts:GetServiceBearerToken",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
TRUSTED = {
    "JobsTraining": "sagemaker.amazonaws.com",
    "JobsProcessing": "sagemaker.amazonaws.com",
    "JobsHosting": "sagemaker.amazonaws.com",
    "WorkflowExecution": "states.amazonaws.com",
    "RunPlanner": "lambda.amazonaws.com",
    "RunTrials": "lambda.amazonaws.com",
    "RunGate": "lambda.amazonaws.com",
    "RunVerifier": "lambda.amazonaws.com",
    "RunRecorder": "lambda.amazonaws.com",
    "Launcher": "lambda.amazonaws.com",
    "LifecycleHandler": "lambda.amazonaws.com",
    "SourceCopier": "lambda.amazonaws.com",
}


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def digits(stacks: Callable[[str], dict[str, Template]]) -> Template:
    return stacks("local")["digits-forest"]


def all_statements(stacks: dict[str, Template]) -> Iterator[tuple[str, Any]]:
    for stack, template in stacks.items():
        yield from ((f"{stack}/{name}", statement) for name, statement in template.statements())


def test_no_action_is_a_wildcard(stacks: Callable[[str], dict[str, Template]], environment: str) -> None:
    actions = [
        (role, action) for role, found in all_statements(stacks(environment)) for action in listed(found["Action"])
    ]
    assert actions
    assert [(role, action) for role, action in actions if "*" in action] == []


def test_only_actions_that_know_no_resource_have_all(
    stacks: Callable[[str], dict[str, Template]], environment: str
) -> None:
    everywhere = {
        (role, action)
        for role, found in all_statements(stacks(environment))
        if "*" in listed(found["Resource"])
        for action in listed(found["Action"])
    }
    assert {(role, action) for role, action in everywhere if action not in WITHOUT_RESOURCE} == set()


def condition_keys(document: Any) -> set[str]:
    """The condition keys, and the variables, of every policy in a template, wherever it stands."""
    if isinstance(document, list):
        return set().union(*map(condition_keys, document))
    if not isinstance(document, dict):
        return set()
    own: set[str] = set()
    if "Effect" in document:
        blocks = document.get("Condition", {}).values()
        own = {key for block in blocks for key in block} | set(VARIABLE.findall(text(document)))
    return own.union(*map(condition_keys, document.values()))


def test_the_embedded_aws_knows_every_condition_key(
    stacks: Callable[[str], dict[str, Template]], environment: str
) -> None:
    """A key without a value denies, or under ForAllValues allows, whatever the request."""
    used = set().union(*(condition_keys(found.document) for found in stacks(environment).values()))
    assert {"dynamodb:LeadingKeys", "kms:ViaService", "s3:prefix"} <= used
    assert {key for key in used if not is_supplied(key)} == set()


def test_no_managed_policy(stacks: Callable[[str], dict[str, Template]], environment: str) -> None:
    roles = [role for found in stacks(environment).values() for role in found.of_type("AWS::IAM::Role").values()]
    assert roles
    assert [role for role in roles if "ManagedPolicyArns" in role["Properties"]] == []


def test_each_role_trusts_its_one_service(stacks: Callable[[str], dict[str, Template]], environment: str) -> None:
    roles = stacks(environment)["digits-forest"].of_type("AWS::IAM::Role")
    account = settings(environment).account or {"Ref": "AWS::AccountId"}
    trusted = {}
    for name, role in roles.items():
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRole"
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": account}}
        trusted[next(begin for begin in TRUSTED if name.startswith(begin))] = statement["Principal"]
    assert trusted == {name: {"Service": service} for name, service in TRUSTED.items()}


def test_the_held_out_channel_is_closed_to_training(digits: Template) -> None:
    assert "digits/train/" in text(digits.statements_of("JobsTraining"))
    assert "digits/test/" not in text(digits.statements_of("JobsTraining"))
    assert "digits/train/" not in text(digits.statements_of("JobsProcessing"))
    assert "digits/" not in text(digits.statements_of("JobsHosting")).replace("/aws/sagemaker", "")


def test_training_and_evaluation_write_into_their_own_folders(digits: Template) -> None:
    def written(role: str) -> list[str]:
        found = [one for one in digits.statements_of(role) if "s3:PutObject" in listed(one["Action"])]
        return [text(resource) for one in found for resource in listed(one["Resource"])]

    def ends(path: str) -> str:
        return path.partition("/")[2].rstrip('"]}')

    own = "runs/digits-forest/${aws:PrincipalTag/ratchet-run}"
    assert [ends(path) for path in written("JobsTraining")] == [f"{own}/train/*", "tries/digits-forest/*"]
    assert [ends(path) for path in written("JobsProcessing")] == [f"{own}/evaluation/*"]
    assert written("JobsHosting") == []


def test_no_job_may_read_what_an_evaluation_has_written(digits: Template) -> None:
    """Examples and labels of the held-out data stand there."""
    for role in ("JobsTraining", "JobsProcessing", "JobsHosting"):
        reading = [one for one in digits.statements_of(role) if "s3:GetObject" in listed(one["Action"])]
        paths = [text(resource) for one in reading for resource in listed(one["Resource"])]
        elsewhere = [path for path in paths if "/runs/" in path and "/train/" not in path]
        assert [
            path for path in elsewhere if "/manifests/" not in path and not path.rstrip('"]}').endswith(".tar.gz")
        ] == []


def test_only_the_workflow_writes_roles_tags_and_only_the_one(digits: Template) -> None:
    tagging = [(name, one) for name, one in digits.statements() if "iam:" in text(one["Action"]) and "Tag" in text(one)]
    ((role, statement),) = tagging
    assert role.startswith("WorkflowExecution")
    assert statement["Condition"] == {"ForAllValues:StringEquals": {"aws:TagKeys": ["ratchet-run"]}}
    roles = [resource["Fn::GetAtt"][0] for resource in listed(statement["Resource"])]
    assert sorted(name[: name.index("Role")] for name in roles) == ["JobsProcessing", "JobsTraining"]


def test_the_stopper_reads_what_jobs_say_and_nothing_else(stacks: Callable[[str], dict[str, Template]]) -> None:
    shared = stacks("local")["shared"]
    (reads,) = [one for one in shared.statements_of("StopperHandler") if "s3:GetObject" in listed(one["Action"])]
    assert text(reads["Resource"]).endswith('/runs/*/????????-??????-????/train/verdicts/*.json"]]}')


def test_a_rollback_is_refused_without_a_right_to_read_models(digits: Template) -> None:
    listing = [one for one in digits.statements_of("Launcher") if "s3:ListBucket" in listed(one["Action"])]
    assert [one["Condition"] for one in listing] == [{"StringLike": {"s3:prefix": ["runs/digits-forest/*"]}}]
    assert "s3:GetObject" not in text(digits.statements_of("Launcher"))


def test_only_the_workflow_passes_roles_and_only_to_sagemaker(digits: Template) -> None:
    passing = [(name, one) for name, one in digits.statements() if "iam:PassRole" in listed(one["Action"])]
    ((role, statement),) = passing
    assert role.startswith("WorkflowExecution")
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    roles = [resource["Fn::GetAtt"][0] for resource in statement["Resource"]]
    assert sorted(name[: name.index("Role")] for name in roles) == ["JobsHosting", "JobsProcessing", "JobsTraining"]


@pytest.mark.parametrize(
    ("job", "is_ours"),
    [
        ("local-digits-forest-20261120-120000-ab12-train", True),
        ("local-digits-forest-tiny-20261120-120000-ab12-train", False),
        ("local-digits-20261120-120000-ab12-train", False),
        ("prod-digits-forest-20261120-120000-ab12-train", False),
    ],
)
def test_jobs_of_pipelines_with_similar_names_are_apart(digits: Template, job: str, is_ours: bool) -> None:
    (pattern,) = {
        resource.partition(":training-job/")[2]
        for one in digits.statements_of("WorkflowExecution")
        for resource in listed(one["Resource"])
        if isinstance(resource, str) and ":training-job/" in resource
    }
    assert fnmatch.fnmatchcase(job, pattern) is is_ours


@pytest.mark.parametrize(
    ("job", "is_ours"),
    [
        ("prune-cnn-20261120-120000-ab12-train-1", True),
        ("prune-cnn-20261120-120000-ab12-train-99", True),
        ("prune-cnn-20261120-120000-ab12-train-100", False),
        ("prune-cnn-tiny-20261120-120000-ab12-train-1", False),
        ("of-another-prune-cnn-20261120-120000-ab12-train-1", False),
    ],
)
def test_a_rounds_job_ends_in_its_number(
    stacks: Callable[[str], dict[str, Template]], environment: str, job: str, is_ours: bool
) -> None:
    patterns = {
        resource.partition(":training-job/")[2]
        for one in stacks(environment)["prune-cnn"].statements_of("WorkflowExecution")
        for resource in map(text, listed(one["Resource"]))
        if ":training-job/" in resource
    }
    own = f"{environment}-{job}"
    assert any(fnmatch.fnmatchcase(own, pattern.rstrip('"]}')) for pattern in patterns) is is_ours


def test_models_of_pipelines_with_similar_names_are_apart(digits: Template) -> None:
    (pattern,) = {
        resource.partition(":model/")[2]
        for one in digits.statements_of("RunRecorder")
        for resource in listed(one["Resource"])
        if isinstance(resource, str) and ":model/" in resource
    }
    assert fnmatch.fnmatchcase("local-digits-forest-0123456789ab", pattern)
    assert not fnmatch.fnmatchcase("local-digits-forest-tiny-0123456789ab", pattern)


def test_the_run_table_is_open_only_at_the_pipelines_own_items(digits: Template) -> None:
    found = [one for _, one in digits.statements() if any("dynamodb:" in action for action in listed(one["Action"]))]
    assert found
    leading = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["digits-forest"]}}
    assert [one["Condition"] for one in found] == [leading] * len(found)


def test_the_key_serves_only_through_the_services_that_hold_data(digits: Template) -> None:
    found = [one for _, one in digits.statements() if any("kms:" in action for action in listed(one["Action"]))]
    assert found
    assert [one for one in found if "kms:ViaService" not in text(one.get("Condition"))] == []


def speaking(template: Template) -> dict[str, Any]:
    """The training role's grants to say something, by their action."""
    actions = ("events:PutEvents", "cloudwatch:PutMetricData")
    statements = template.statements_of("JobsTraining")
    ours = [one for one in statements if "/aws/sagemaker/*" not in text(one)]
    return {action: one for one in ours for action in listed(one["Action"]) if action in actions}


def test_a_pipeline_for_batches_may_end_the_scaling_of_the_endpoint_that_it_had(
    pipeline: Callable[..., Template],
) -> None:
    """The deployment that says `kind: batch` finds it among its old properties."""
    batch = {"kind": "batch", "input": "tickets/rows/", "instance": "ml.m5.large"}
    statements = pipeline("local", deploy=batch).statements_of("LifecycleHandler")
    actions = {action for statement in statements for action in listed(statement["Action"])}
    assert "application-autoscaling:DeregisterScalableTarget" in actions


def test_rules_may_speak_for_themselves_only(pipeline: Callable[..., Template]) -> None:
    judged = speaking(pipeline("local", rules=[{"rule": "LossNotDecreasing"}]))
    assert set(judged) == {"events:PutEvents", "cloudwatch:PutMetricData"}
    sources, namespace = judged["events:PutEvents"], judged["cloudwatch:PutMetricData"]
    assert sources["Condition"] == {"ForAllValues:StringEquals": {"events:source": ["ratchet.rules"]}}
    assert ":event-bus/default" in text(sources["Resource"])
    assert namespace["Condition"] == {"StringEquals": {"cloudwatch:namespace": "Ratchet/Rules"}}


def test_without_rules_training_says_nothing(pipeline: Callable[..., Template]) -> None:
    assert speaking(pipeline("local")) == {}


def test_the_stopper_stops_only_what_its_environment_has_made(
    stacks: Callable[[str], dict[str, Template]], environment: str
) -> None:
    shared = stacks(environment)["shared"]
    (stop,) = [
        one for one in shared.statements_of("StopperHandler") if "sagemaker:StopTrainingJob" in listed(one["Action"])
    ]
    assert stop["Condition"] == {"StringEquals": {"aws:ResourceTag/ratchet:environment": environment}}
    patterns = {text(resource).partition(":training-job/")[2].split('"')[0] for resource in listed(stop["Resource"])}

    def may_be_stopped(job: str) -> bool:
        return any(fnmatch.fnmatchcase(job, pattern) for pattern in patterns)

    trial = names.tuning_job(environment, "digits-forest", "20261120-120000-ab12") + "-003-0a1b2c3d"
    job = f"{environment}-digits-forest-20261120-120000-ab12-train"
    assert len(patterns) == 2 and all(map(may_be_stopped, (job, f"{job}-3", trial)))
    others = (f"other{job}", "other-digits-forest-20261120-120000-ab12-train", f"other{trial}", "kmeans-1")
    assert not any(map(may_be_stopped, (*others, f"{environment}-kmeans-1", trial.rpartition("-")[0])))


def test_what_the_stopper_cannot_do_waits_and_is_told(stacks: Callable[[str], dict[str, Template]]) -> None:
    shared = stacks("local")["shared"]
    rule, function = shared.named("StopperIssuesFound"), shared.named("StopperHandlerFunction")
    (target,) = rule["Properties"]["Targets"]
    queue = target["DeadLetterConfig"]["Arn"]
    assert queue == function["Properties"]["DeadLetterConfig"]["TargetArn"]
    permission = shared.one("AWS::Lambda::Permission")["Properties"]
    assert permission["Principal"] == "events.amazonaws.com" and "IssuesFound" in text(permission["SourceArn"])
    alarms = [found["Properties"] for found in shared.of_type("AWS::CloudWatch::Alarm").values()]
    assert {alarm["Namespace"] for alarm in alarms} == {"AWS/SQS", "AWS/Lambda"}


def test_a_boundary_is_on_every_role(pipeline: Callable[..., Template]) -> None:
    train = {**SPEC["train"], "metrics": {"f1": "f1=([0-9.]+)"}}
    tune = {"objective": {"maximize": "f1"}, "ranges": {"depth": {"integer": [1, 9]}}, "max_jobs": 4}
    template = pipeline("dev", {"permissions_boundary": "team-boundary"}, train=train, tune=tune)
    roles = template.of_type("AWS::IAM::Role")
    assert len(roles) == len(TRUSTED)
    assert all(":policy/team-boundary" in text(role["Properties"]["PermissionsBoundary"]) for role in roles.values())


def test_a_vpc_reaches_jobs_endpoint_and_their_roles(pipeline: Callable[..., Template]) -> None:
    vpc = {"subnets": ["subnet-0a1b", "subnet-0c2d"], "security_groups": ["sg-0e3f"]}
    template = pipeline("prod", {"vpc": vpc})
    config = {"Subnets": vpc["subnets"], "SecurityGroupIds": vpc["security_groups"]}
    states = template.machine["States"]
    assert states["Train"]["Arguments"]["VpcConfig"] == config
    assert states["Evaluate"]["Arguments"]["NetworkConfig"]["VpcConfig"] == config
    for role in ("JobsTraining", "JobsProcessing", "JobsHosting"):
        statements = template.statements_of(role)
        create = [one for one in statements if "ec2:CreateNetworkInterface" in listed(one["Action"])]
        assert [":subnet/subnet-0a1b" in text(one) and ":security-group/sg-0e3f" in text(one) for one in create] == [
            True
        ]


def test_without_a_vpc_no_role_knows_ec2(digits: Template) -> None:
    assert "ec2:" not in text(list(digits.statements()))
