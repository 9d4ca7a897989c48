"""What a run's machine, its functions and its jobs may do, action by action: tables to read, that nothing is added to.

Resources are written without `arn:aws:<service>:us-east-1:000000000000:`, conditions behind a bar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from run_world import make_spec, surroundings

from infra.grants import Grant
from infra.workflow.machine import run_machine
from infra.workflow.step import Machine, Step, story
from infra.workflow.surroundings import Image
from ratchet.spec.environments import Vpc

JUDGED = {"rules": [{"rule": "LossNotDecreasing"}]}
MANAGED = {
    "framework": {"name": "pytorch", "version": "2.6.0"},
    "rules_service": "sagemaker",
    "rules": [{"rule": "VanishingGradient"}],
}
ROUNDS = {
    "train": {"instance": "ml.m5.large", "metrics": {"a": "a=(.*)", "b": "b=(.*)"}},
    "rounds": {"max": 3, "metric": "a", "tolerance": 0.1, "size": "b"},
}
KEY = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]


def lines(grants: Iterable[Grant]) -> set[str]:
    """One an action and a resource."""
    return {
        f"{action} {_short(resource)}{_conditions(grant)}"
        for grant in grants
        for action in grant.actions
        for resource in grant.resources
    }


def _short(arn: str) -> str:
    return re.sub(r"^arn:aws:[a-z0-9]+:(us-east-1)?:(000000000000)?:", "", arn)


def _conditions(grant: Grant) -> str:
    told = [
        f"{operator.removeprefix('ForAllValues:')} {key} {','.join(values) if isinstance(values, list) else values}"
        for operator, keys in grant.conditions.items()
        for key, values in keys.items()
    ]
    return "".join(f" | {one}" for one in told)


def table(text: str) -> set[str]:
    """The lines of a table; several actions of one service on one resource stand in one: `s3:Get+Put x`."""
    found: set[str] = set()
    for line in filter(None, map(str.strip, text.splitlines())):
        actions, _, rest = line.partition(" ")
        service, _, verbs = actions.partition(":")
        found |= {f"{service}:{verb} {rest.strip()}" for verb in verbs.split("+")}
    return found


def key(*services: str) -> str:
    through = ",".join(f"{service}.us-east-1.amazonaws.com" for service in services)
    arn = "key/11111111-2222-3333-4444-555555555555"
    return f"kms:Decrypt+DescribeKey+Encrypt+GenerateDataKey {arn} | StringEquals kms:ViaService {through}"


RUNS = "artifacts/runs/digits-forest/*"
RUN = "artifacts/runs/digits-forest/????????-??????-????"
OWN_RUN = "artifacts/runs/digits-forest/${aws:PrincipalTag/ratchet-run}"
OF_RUNS = "artifacts | StringLike s3:prefix runs/digits-forest/*"
ITEMS = "table/runs | StringEquals dynamodb:LeadingKeys digits-forest"
JOB = "local-digits-forest-????????-??????-????"
CONTENT = "local-digits-forest-????????????"
ENDPOINT = "endpoint/local-digits-forest"

MACHINE = f"""
    dynamodb:GetItem {ITEMS}
    {key("dynamodb")}
    sagemaker:CreateTrainingJob+DescribeTrainingJob+StopTrainingJob training-job/{JOB}-train
    sagemaker:DeleteTrainingJob+AddTags+ListTags training-job/{JOB}-train
    sagemaker:CreateProcessingJob+DescribeProcessingJob+StopProcessingJob processing-job/{JOB}-evaluate
    sagemaker:DeleteProcessingJob+AddTags+ListTags processing-job/{JOB}-evaluate
    events:DescribeRule+PutRule+PutTargets rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule
    events:DescribeRule+PutRule+PutTargets rule/StepFunctionsGetEventsForSageMakerProcessingJobsRule
    sagemaker:CreateModelPackage+AddTags model-package-group/local-digits-forest
    sagemaker:CreateModelPackage+AddTags model-package/local-digits-forest/*
    sagemaker:CreateModel+DescribeModel+AddTags model/{CONTENT}
    sagemaker:CreateEndpointConfig+DescribeEndpointConfig+AddTags endpoint-config/{CONTENT}
    sagemaker:CreateEndpoint+UpdateEndpoint endpoint-config/{CONTENT}
    sagemaker:CreateEndpoint+UpdateEndpoint+DescribeEndpoint+DeleteEndpoint+AddTags {ENDPOINT}
    sqs:SendMessage waiting
"""
FUNCTIONS = {
    "planner": f"""
        dynamodb:GetItem+PutItem {ITEMS}
        s3:ListBucket+ListBucketVersions data | StringLike s3:prefix digits/extra/*,digits/test/*,digits/train/*
        s3:GetObject data/digits/test/*
        s3:GetObject data/digits/train/*
        s3:GetObject data/digits/extra/*
        s3:ListBucket {OF_RUNS}
        s3:AbortMultipartUpload+PutObject {RUN}/plan.json
        s3:AbortMultipartUpload+PutObject {RUN}/manifests/*.manifest
        s3:AbortMultipartUpload+PutObject {RUN}/manifests/*.versions.json
        sagemaker:DescribeEndpoint {ENDPOINT}
        {key("dynamodb", "s3")}
    """,
    "gate": f"""
        s3:GetObject {RUNS}/evaluation/evaluation.json
        s3:ListBucket {OF_RUNS}
        s3:AbortMultipartUpload+PutObject {RUN}/gate.json
        {key("s3")}
    """,
    "verifier": f"""
        sagemaker:DescribeEndpoint+InvokeEndpoint {ENDPOINT}
        s3:GetObject {RUNS}
        s3:ListBucket {OF_RUNS}
        {key("s3")}
    """,
    "recorder": f"""
        dynamodb:GetItem+PutItem {ITEMS}
        s3:GetObject {RUNS}
        s3:ListBucket {OF_RUNS}
        s3:AbortMultipartUpload+PutObject {RUN}/record.json
        sns:Publish topic
        sagemaker:ListModels+ListEndpointConfigs *
        sagemaker:DescribeEndpointConfig+DeleteEndpointConfig endpoint-config/{CONTENT}
        sagemaker:UpdateModelPackage model-package/local-digits-forest/*
        sagemaker:DeleteModel model/{CONTENT}
        sagemaker:DescribeEndpoint+DeleteEndpoint {ENDPOINT}
        {key("dynamodb", "s3", "sns")}
    """,
}
LOG = "logs:CreateLogGroup+CreateLogStream+DescribeLogStreams+PutLogEvents log-group:/aws/sagemaker"
OF_NUMBERS = {"metric": "r2", "minimum": 0.5}
METRICS = "cloudwatch:PutMetricData * | StringLike cloudwatch:namespace /aws/sagemaker/*,aws/sagemaker/*"
IMAGE = "repository/sagemaker-scikit-learn"
PULL = f"""
    ecr:BatchCheckLayerAvailability+BatchGetImage+GetDownloadUrlForLayer {IMAGE}
    ecr:GetAuthorizationToken *
"""
CODE = """
    s3:GetObject artifacts/code/digits-forest/*
    s3:ListBucket artifacts | StringLike s3:prefix code/digits-forest/*
"""
OWN_RUNS = f"""
    s3:GetObject {RUN}/train/*
    s3:ListBucket {OF_RUNS}
    {key("s3")}
    {METRICS}
"""
ROLES = {
    "Training": f"""
        s3:GetObject data/digits/train/*
        s3:GetObject data/digits/extra/*
        s3:ListBucket data | StringLike s3:prefix digits/extra/*,digits/train/*
        s3:GetObject {RUN}/manifests/train.manifest
        s3:GetObject {RUN}/manifests/extra-1.manifest
        s3:AbortMultipartUpload+PutObject {OWN_RUN}/train/*
        s3:GetObject+AbortMultipartUpload+PutObject artifacts/tries/digits-forest/*
        s3:ListBucket artifacts | StringLike s3:prefix tries/digits-forest/*
        {LOG}/TrainingJobs:*
        {CODE}{OWN_RUNS}{PULL}
    """,
    "Processing": f"""
        s3:GetObject data/digits/test/*
        s3:ListBucket data | StringLike s3:prefix digits/test/*
        s3:GetObject {RUN}/manifests/test.manifest
        s3:GetObject {RUN}/compiled/model.tar.gz
        s3:AbortMultipartUpload+PutObject {OWN_RUN}/evaluation/*
        {LOG}/ProcessingJobs:*
        {CODE}{OWN_RUNS}{PULL}
    """,
    "Hosting": f"""
        {LOG}/Endpoints/local-digits-forest:*
        {OWN_RUNS.replace("/train/*", "/*.tar.gz")}{PULL}
    """,
}


def machine(folder: Path, *, around: dict[str, Any] | None = None, **spec: Any) -> Machine:
    image = Image("uri", "arn:aws:ecr:us-east-1:000000000000:repository/sagemaker-scikit-learn")
    return run_machine(surroundings(make_spec(folder, **spec), image=image, hosting_image=image, **(around or {})))


def of_functions(found: Machine) -> dict[str, set[str]]:
    return {function.folder: lines(function.grants) for function in found.functions}


def of_roles(found: Machine) -> dict[str, set[str]]:
    return {role.name: lines(role.grants) for role in found.roles}


# ---------------------------------------------------------------------------------------------------------- a plain run


def test_the_machine_may_make_what_a_run_makes(tmp_path: Path) -> None:
    assert lines(machine(tmp_path).grants) == table(MACHINE)


@pytest.mark.parametrize("folder", FUNCTIONS)
def test_a_function_may_do_its_part(tmp_path: Path, folder: str) -> None:
    found = of_functions(machine(tmp_path))
    assert found.keys() == FUNCTIONS.keys()
    assert found[folder] == table(FUNCTIONS[folder])


@pytest.mark.parametrize("name", ROLES)
def test_a_job_may_read_and_write_its_own(tmp_path: Path, name: str) -> None:
    found = of_roles(machine(tmp_path))
    assert found.keys() == ROLES.keys()
    assert found[name] == table(ROLES[name])


def test_every_wildcard_has_its_argument(tmp_path: Path) -> None:
    found = machine(tmp_path, **MANAGED, around={"vpc": Vpc(subnets=("subnet-1",), security_groups=("sg-1",))})
    grants = [*found.grants, *(grant for part in (*found.functions, *found.roles) for grant in part.grants)]
    open_ = [grant for grant in grants if any("*" in resource for resource in grant.resources)]
    assert open_
    assert [grant for grant in open_ if len(grant.because.split()) < 8] == []


def test_only_the_recorder_may_look_at_executions(tmp_path: Path) -> None:
    found = {function.folder: list(function.execution_actions) for function in machine(tmp_path).functions}
    assert found == {"planner": [], "gate": [], "verifier": [], "recorder": ["states:GetExecutionHistory"]}


# ----------------------------------------------------------------------------------------------------- what a spec adds


def test_without_data_and_rules_the_machine_reads_no_table(tmp_path: Path) -> None:
    plain = lines(machine(tmp_path, triggers={"data": False}).grants)
    assert lines(machine(tmp_path).grants) - plain == table(f"dynamodb:GetItem {ITEMS}\n{key('dynamodb')}")
    judged = lines(machine(tmp_path, triggers={"data": False}, **JUDGED).grants)
    assert judged == table(MACHINE), "a run asks its own item why training was stopped"


WATCHED = {
    "instance": "ml.t2.medium",
    "shift": {"canary": "10%"},
    "rollback_on": {"errors": "1%", "p90_latency": "1s", "alarms": ["revenue drops"]},
}


def test_a_deployment_that_is_watched_makes_and_asks_its_own_alarms_and_those_that_the_spec_names(
    tmp_path: Path,
) -> None:
    plain, found = machine(tmp_path), machine(tmp_path, deploy=WATCHED)
    own = [f"alarm:{CONTENT}-errors", f"alarm:{CONTENT}-p90-latency"]
    asked = table("\n".join(f"cloudwatch:DescribeAlarms {alarm}" for alarm in [*own, "alarm:revenue drops"]))
    made = table("\n".join(f"cloudwatch:PutMetricAlarm {alarm}" for alarm in own))
    assert lines(found.grants) - lines(plain.grants) == made | asked
    assert of_roles(found)["Hosting"] - of_roles(plain)["Hosting"] == asked, "SageMaker looks with the model's role"
    ever = [*own, f"alarm:{CONTENT}-p50-latency", f"alarm:{CONTENT}-p99-latency"]
    gone = table("\n".join(f"cloudwatch:DescribeAlarms+DeleteAlarms {alarm}" for alarm in ever))
    assert of_functions(found)["recorder"] - of_functions(plain)["recorder"] == gone
    others = {name: grants for name, grants in of_functions(found).items() if name != "recorder"}
    assert others == {name: grants for name, grants in of_functions(plain).items() if name != "recorder"}


def test_a_shadow_is_captured_by_the_endpoint_and_read_by_the_comparer_alone(tmp_path: Path) -> None:
    shift = {"shadow": "1h", "agree": "95%"}
    plain, found = machine(tmp_path), machine(tmp_path, deploy={"instance": "ml.t2.medium", "shift": shift})
    captures = "artifacts/captures/digits-forest/*"
    assert lines(found.grants) == lines(plain.grants), "the machine's rights to configs and to the endpoint are enough"
    captured = table(f"s3:AbortMultipartUpload+PutObject {captures}")
    assert of_roles(found)["Hosting"] - of_roles(plain)["Hosting"] == captured
    assert of_functions(found)["comparer"] == table(
        f"""
        s3:GetObject {captures}
        s3:ListBucket artifacts | StringLike s3:prefix captures/digits-forest/*
        cloudwatch:GetMetricStatistics *
        {key("s3")}
        """
    )
    others = {name: grants for name, grants in of_functions(found).items() if name != "comparer"}
    assert others == of_functions(plain)
    open_ = [grant for part in (*found.functions, *found.roles) for grant in part.grants if "*" in str(grant.resources)]
    assert [grant for grant in open_ if len(grant.because.split()) < 8] == []


def test_alarms_of_the_users_alone_are_asked_and_never_made_or_deleted(tmp_path: Path) -> None:
    rollback_on = {"alarms": ["revenue drops"]}
    found = machine(tmp_path, deploy={"instance": "ml.t2.medium", "keep_old": "5m", "rollback_on": rollback_on})
    plain = machine(tmp_path)
    assert lines(found.grants) - lines(plain.grants) == table("cloudwatch:DescribeAlarms alarm:revenue drops")
    assert of_functions(found) == of_functions(plain)


def test_open_rules_may_say_what_they_find(tmp_path: Path) -> None:
    plain, judged = machine(tmp_path), machine(tmp_path, **JUDGED)
    assert of_roles(judged)["Training"] - of_roles(plain)["Training"] == table(
        """
        events:PutEvents event-bus/default | StringEquals events:source ratchet.rules
        cloudwatch:PutMetricData * | StringEquals cloudwatch:namespace Ratchet/Rules
        """
    )
    assert of_functions(judged) == of_functions(plain)


def test_managed_rules_are_evaluated_with_the_training_jobs_role_and_recorded(tmp_path: Path) -> None:
    image = Image("uri", "arn:aws:ecr:us-east-1:000000000000:repository/rules")
    plain, managed = machine(tmp_path), machine(tmp_path, **MANAGED, around={"rules_image": image})
    assert of_roles(managed)["Training"] - of_roles(plain)["Training"] == table(
        f"""
        ecr:BatchCheckLayerAvailability+BatchGetImage+GetDownloadUrlForLayer repository/rules
        {LOG}/ProcessingJobs:*
        """
    )
    recorder = of_functions(managed)["recorder"] - of_functions(plain)["recorder"]
    assert recorder == table(f"sagemaker:DescribeTrainingJob training-job/{JOB}-train")


def test_training_data_are_read_in_plan_only_for_their_classes(tmp_path: Path) -> None:
    less = of_functions(machine(tmp_path))["planner"] - of_functions(machine(tmp_path, gate=OF_NUMBERS))["planner"]
    assert less == table("s3:GetObject data/digits/train/*\ns3:GetObject data/digits/extra/*")


def test_of_a_channel_with_a_manifest_training_reads_what_it_points_to(tmp_path: Path) -> None:
    manifest = {"manifest": "labels/train.manifest", "attributes": ["source-ref", "class"], "objects": "pictures/"}
    data = {"train": {**manifest, "mode": "file"}, "test": "digits/test/"}
    found = machine(tmp_path, data=data)
    of_data = {line for line in of_roles(found)["Training"] if re.search(r" data\b|/manifests/", line)}
    assert of_data == table(f"""
        s3:GetObject data/pictures/*
        s3:ListBucket data | StringLike s3:prefix pictures/*
        s3:GetObject data/labels/train.manifest
        s3:ListBucket data | StringLike s3:prefix labels/train.manifest*
        s3:GetObject {RUN}/manifests/train.manifest
        s3:GetObject {RUN}/manifests/train-manifest.manifest
    """)
    of_data = {line for line in of_functions(found)["planner"] if " data" in line}
    assert {re.sub(r"prefix .*", "prefix", line) for line in of_data} == table("""
        s3:ListBucket+ListBucketVersions data | StringLike s3:prefix
        s3:GetObject data/digits/test/*
        s3:GetObject data/labels/train.manifest
    """)
    prefixes = surroundings(make_spec(tmp_path, data=data)).prefixes
    assert sorted(prefixes) == ["digits/test/", "labels/train.manifest", "pictures/"], "which start runs, too"


def test_rounds_have_jobs_of_one_or_two_digits_and_a_function(tmp_path: Path) -> None:
    plain, found = machine(tmp_path), machine(tmp_path, **ROUNDS)
    verbs = "sagemaker:CreateTrainingJob+DescribeTrainingJob+StopTrainingJob+DeleteTrainingJob+AddTags+ListTags"
    more, less = lines(found.grants) - lines(plain.grants), lines(plain.grants) - lines(found.grants)
    assert more == table(f"{verbs} training-job/{JOB}-train-?\n{verbs} training-job/{JOB}-train-??")
    assert less == table(f"{verbs} training-job/{JOB}-train")
    assert of_functions(found)["rounds"] == set(), "it computes"


TUNE_JOBS = "hyper-parameter-tuning-job/local-digits-forest-??????????"
TRIALS = "training-job/local-digits-forest-??????????-???-????????"


def tuning(folder: Path, **tune: Any) -> Machine:
    said = {"objective": {"maximize": "f1"}, "ranges": {"x": {"integer": [1, 9]}}, "max_jobs": 5}
    rules = {"rules": tune.pop("rules")} if "rules" in tune else {}
    return machine(folder, tune={**said, **tune}, **rules)


def test_tuning_makes_tuning_jobs_whose_trials_a_function_reads(tmp_path: Path) -> None:
    plain, found = machine(tmp_path), tuning(tmp_path)
    verbs = "CreateHyperParameterTuningJob+DescribeHyperParameterTuningJob+StopHyperParameterTuningJob"
    rule = "rule/StepFunctionsGetEventsForSageMakerTuningJobsRule"
    assert lines(found.grants) - lines(plain.grants) == table(
        f"""
        sagemaker:{verbs}+AddTags+ListTags {TUNE_JOBS}
        events:DescribeRule+PutRule+PutTargets {rule}
        """
    )
    assert lines(plain.grants) <= lines(found.grants), "a run that doesn't tune trains as ever"
    looks = "sagemaker:DescribeHyperParameterTuningJob+ListTrainingJobsForHyperParameterTuningJob"
    assert of_functions(found)["trials"] == table(
        f"""
        {looks} {TUNE_JOBS}
        sagemaker:DescribeTrainingJob {TRIALS}
        s3:ListBucket {OF_RUNS}
        s3:AbortMultipartUpload+PutObject {RUN}/trials.json
        {key("s3")}
        """
    )
    for name, grants in of_functions(plain).items():
        looks_at_own = table(f"sagemaker:DescribeHyperParameterTuningJob {TUNE_JOBS}") if name == "planner" else set()
        assert of_functions(found)[name] - grants == looks_at_own
    assert of_roles(found) == of_roles(plain), "a trial may do what a training job may"


def test_the_judge_of_trials_reads_what_their_rules_have_said(tmp_path: Path) -> None:
    plain, judged = tuning(tmp_path), tuning(tmp_path, **JUDGED)
    more = of_functions(judged)["trials"] - of_functions(plain)["trials"]
    assert more == table(f"s3:GetObject {RUN}/train/verdicts/*")


def test_plan_looks_at_parents_where_there_may_be_some(tmp_path: Path) -> None:
    plain = of_functions(tuning(tmp_path))["planner"]
    assert of_functions(tuning(tmp_path, warm_start={"last": 2}))["planner"] == plain
    refining = of_functions(tuning(tmp_path, warm_start={"last": 2}, refine=True))["planner"]
    assert refining - plain == table(f"sagemaker:ListTrainingJobsForHyperParameterTuningJob {TUNE_JOBS}")
    named = of_functions(tuning(tmp_path, warm_start={"jobs": ["a", "b"]}, refine=True))["planner"]
    looks = "sagemaker:DescribeHyperParameterTuningJob+ListTrainingJobsForHyperParameterTuningJob"
    job = "hyper-parameter-tuning-job"
    assert named - plain == table(f"{looks} {job}/a\n{looks} {job}/b")


def test_an_image_of_another_registry_is_not_pulled_from_ecr(tmp_path: Path) -> None:
    elsewhere = run_machine(surroundings(make_spec(tmp_path), image=Image("docker.io/x"), hosting_image=Image("y")))
    assert "ecr:" not in json.dumps([sorted(found) for found in of_roles(elsewhere).values()])


def test_in_a_vpc_each_container_gets_its_network_interfaces(tmp_path: Path) -> None:
    vpc = Vpc(subnets=("subnet-1", "subnet-2"), security_groups=("sg-1",))
    plain, found = of_roles(machine(tmp_path)), of_roles(machine(tmp_path, around={"vpc": vpc}))
    verbs = (
        "ec2:CreateNetworkInterface+CreateNetworkInterfacePermission+DeleteNetworkInterface"
        "+DeleteNetworkInterfacePermission"
    )
    places = ("subnet/subnet-1", "subnet/subnet-2", "security-group/sg-1", "network-interface/*")
    reads = "ec2:DescribeNetworkInterfaces+DescribeVpcs+DescribeDhcpOptions+DescribeSubnets+DescribeSecurityGroups *"
    expected = table("\n".join([*(f"{verbs} {place}" for place in places), reads]))
    assert {name: found[name] - plain[name] for name in found} == dict.fromkeys(ROLES, expected)


# ------------------------------------------------------------------------------------------------------------ functions


def test_functions_have_their_time_limits_and_variables(tmp_path: Path) -> None:
    found = {function.folder: function for function in machine(tmp_path, **ROUNDS).functions}
    seconds = {"planner": 900, "rounds": 30, "gate": 60, "verifier": 120, "recorder": 300}
    assert {name: function.seconds for name, function in found.items()} == seconds
    variables = {
        "planner": {
            "RUN_TABLE": "runs",
            "DATA_BUCKET": "data",
            "ARTIFACT_BUCKET": "artifacts",
            "ENDPOINT_NAME": "local-digits-forest",
        },
        "rounds": {},
        "gate": {"ARTIFACT_BUCKET": "artifacts"},
        "verifier": {"ARTIFACT_BUCKET": "artifacts"},
        "recorder": {
            "RUN_TABLE": "runs",
            "ARTIFACT_BUCKET": "artifacts",
            "TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:topic",
            "RETAINED_CHAMPIONS": "3",
        },
    }
    assert {name: dict(function.variables) for name, function in found.items()} == variables
    assert all(function.purpose for function in found.values())


def test_two_states_of_one_name_are_refused() -> None:
    twice = Step(states={"Plan": {}})
    with pytest.raises(ValueError, match="two states are called Plan"):
        story(twice, twice, variables={}, comment="")
