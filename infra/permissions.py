"""What each role of a pipeline may do: one function a role, from top to bottom what AWS is asked for on its behalf.

Imports no aws_cdk. Patterns use `?` where a name's length is known, so that the jobs and models of a pipeline `iris`
never match those of a pipeline `iris-tree`.
"""

from __future__ import annotations

from dataclasses import dataclass

from contract.files import TEST_CHANNEL
from infra.grants import (
    NO_RESOURCE,
    Account,
    Grant,
    list_prefixes,
    pass_roles,
    read_object,
    read_objects,
    use_items,
    use_key,
    write_objects,
)
from infra.shared import Shared
from infra.workflow import names as naming
from infra.workflow import stopping
from ratchet.spec import PipelineSpec
from ratchet.spec.environments import Vpc

_RUN_ID = "????????-??????-????"
_CONTENT_HASH = "?" * naming.CONTENT_HASH_LENGTH
_STREAMS_ARE_NAMED_LATER = (
    "SageMaker names a log stream after the job and its host, which are known only when it starts."
)
_OBJECTS_ARE_NAMED_LATER = "What lies under a channel's prefix is the data's own names."
_RUNS_ARE_NAMED_LATER = "A run's folder is named when it starts; the prefix is this pipeline's own."


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the permissions of one pipeline are about."""

    account: Account
    shared: Shared
    spec: PipelineSpec
    environment: str
    vpc: Vpc | None
    code_bucket: str
    code_key: str

    @property
    def runs(self) -> str:
        """The prefix of this pipeline's runs in the artifact bucket."""
        return f"runs/{self.spec.name}/"

    def sagemaker(self, kind: str, name: str) -> str:
        return self.account.arn("sagemaker", f"{kind}/{name}")

    @property
    def endpoint_arn(self) -> str:
        return self.sagemaker("endpoint", naming.endpoint_name(self.environment, self.spec.name))

    @property
    def model_arns(self) -> str:
        return self.sagemaker("model", f"{naming.content_prefix(self.environment, self.spec.name)}{_CONTENT_HASH}")

    @property
    def endpoint_config_arns(self) -> str:
        prefix = naming.content_prefix(self.environment, self.spec.name)
        return self.sagemaker("endpoint-config", f"{prefix}{_CONTENT_HASH}")

    def job_arns(self, kind: str, step: str) -> str:
        return self.sagemaker(kind, naming.job_name(self.spec.name, _RUN_ID, step))


def training_job(at: Surroundings, repository_arn: str | None, rules_repository_arn: str | None) -> list[Grant]:
    """Reads its channels, its manifests and its code; writes below `train/` of a run. SageMaker Debugger evaluates its
    rules in processing jobs with the training job's role."""
    channels = list(at.spec.training_channels.values())
    return [
        *read_objects(at.shared.data_bucket_arn, channels, _OBJECTS_ARE_NAMED_LATER),
        *read_objects(at.shared.artifact_bucket_arn, [at.runs], _RUNS_ARE_NAMED_LATER),
        *read_object(at.account.bucket_arn(at.code_bucket), at.code_key),
        write_objects(at.shared.artifact_bucket_arn, [f"{at.runs}*/train/*"], _RUNS_ARE_NAMED_LATER),
        *_judging(at, rules_repository_arn),
        *_job_basics(at, repository_arn, "/aws/sagemaker/TrainingJobs"),
    ]


def _judging(at: Surroundings, rules_repository_arn: str | None) -> list[Grant]:
    if not at.spec.rules:
        return []
    if at.spec.rules_service == "sagemaker":
        return [*_pull(rules_repository_arn), _write_log(at, "/aws/sagemaker/ProcessingJobs")]
    return _verdicts(at)


def _verdicts(at: Surroundings) -> list[Grant]:
    """The rules beside the training say what they find: events of their own source, metrics in their own namespace."""
    return [
        Grant(
            actions=["events:PutEvents"],
            resources=[at.account.arn("events", "event-bus/default")],
            conditions={"ForAllValues:StringEquals": {"events:source": [stopping.RULES_SOURCE]}},
        ),
        Grant(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringEquals": {"cloudwatch:namespace": stopping.RULES_NAMESPACE}},
            because=f"{NO_RESOURCE} The namespace is the rules' own.",
        ),
    ]


def stopper(account: Account, environment: str, run_table_arn: str, topic_arn: str, key_arn: str) -> list[Grant]:
    """Stops this environment's training jobs, by the tag that the state machine gives them; first writes why."""
    jobs = account.arn("sagemaker", f"training-job/*-{_RUN_ID}-*")
    because = "A job is named after its pipeline and its run; whose it is, its environment and its tag say."
    return [
        Grant(actions=["sagemaker:DescribeTrainingJob"], resources=[jobs], because=because),
        Grant(
            actions=["sagemaker:StopTrainingJob"],
            resources=[jobs],
            conditions={"StringEquals": {"aws:ResourceTag/ratchet:environment": environment}},
            because=because,
        ),
        Grant(actions=["dynamodb:GetItem", "dynamodb:UpdateItem"], resources=[run_table_arn]),
        Grant(actions=["sns:Publish"], resources=[topic_arn]),
        use_key(account, key_arn, "dynamodb", "sns"),
    ]


def processing_job(at: Surroundings, repository_arn: str | None) -> list[Grant]:
    """Evaluation reads the held-out channel, both models and the code; writes below `evaluation/` of a run."""
    return [
        *read_objects(at.shared.data_bucket_arn, [at.spec.data[TEST_CHANNEL]], _OBJECTS_ARE_NAMED_LATER),
        *read_objects(at.shared.artifact_bucket_arn, [at.runs], _RUNS_ARE_NAMED_LATER),
        *read_object(at.account.bucket_arn(at.code_bucket), at.code_key),
        write_objects(at.shared.artifact_bucket_arn, [f"{at.runs}*/evaluation/*"], _RUNS_ARE_NAMED_LATER),
        *_job_basics(at, repository_arn, "/aws/sagemaker/ProcessingJobs"),
    ]


def hosting(at: Surroundings, repository_arn: str | None) -> list[Grant]:
    """The endpoint reads models that runs have trained, and nothing else."""
    endpoint = naming.endpoint_name(at.environment, at.spec.name)
    return [
        *read_objects(at.shared.artifact_bucket_arn, [at.runs], _RUNS_ARE_NAMED_LATER),
        *_job_basics(at, repository_arn, f"/aws/sagemaker/Endpoints/{endpoint}"),
    ]


def state_machine(at: Surroundings, functions: list[str], passed_roles: list[str]) -> list[Grant]:
    """Calls the run's functions, makes its jobs, registers the model and deploys it. Its logs and traces besides."""
    group = naming.model_package_group_name(at.environment, at.spec.name)
    return [
        Grant(actions=["lambda:InvokeFunction"], resources=functions),
        use_items(at.shared.run_table_arn, at.spec.name, "GetItem"),
        use_key(at.account, at.shared.key_arn, "dynamodb"),
        _job(at, "TrainingJob", "training-job", "train"),
        *_rounds(at),
        _job(at, "ProcessingJob", "processing-job", "evaluate"),
        Grant(
            actions=["sagemaker:CreateModelPackage", "sagemaker:AddTags"],
            resources=[at.sagemaker("model-package-group", group), at.sagemaker("model-package", f"{group}/*")],
            because="A model package's version is the registry's to give.",
        ),
        Grant(
            actions=["sagemaker:CreateModel", "sagemaker:DescribeModel", "sagemaker:AddTags"],
            resources=[at.model_arns],
        ),
        Grant(
            actions=["sagemaker:CreateEndpointConfig", "sagemaker:DescribeEndpointConfig", "sagemaker:AddTags"],
            resources=[at.endpoint_config_arns],
        ),
        Grant(
            actions=["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"],
            resources=[at.endpoint_arn, at.endpoint_config_arns],
        ),
        Grant(
            actions=["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:AddTags"],
            resources=[at.endpoint_arn],
        ),
        pass_roles(passed_roles, "sagemaker.amazonaws.com"),
        _synchronous_jobs(at),
        *_log_delivery_and_traces(),
    ]


def launcher(at: Surroundings, state_machine_arn: str, execution_arns: str, queue_arn: str) -> list[Grant]:
    """Takes triggers from the queue, keeps the pipeline's state, starts its runs."""
    return [
        use_items(at.shared.run_table_arn, at.spec.name, "GetItem", "PutItem"),
        use_key(at.account, at.shared.key_arn, "dynamodb"),
        Grant(actions=["states:StartExecution"], resources=[state_machine_arn]),
        Grant(actions=["states:DescribeExecution"], resources=[execution_arns], because=_RUNS_ARE_NAMED_LATER),
        Grant(
            actions=["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
            resources=[queue_arn],
        ),
    ]


def planner(at: Surroundings) -> list[Grant]:
    """Lists the data, writes the plan and its manifests."""
    channels = list(at.spec.data.values())
    return [
        use_items(at.shared.run_table_arn, at.spec.name, "GetItem", "PutItem"),
        list_prefixes(at.shared.data_bucket_arn, channels, "s3:ListBucketVersions"),
        write_objects(at.shared.artifact_bucket_arn, [f"{at.runs}*"], _RUNS_ARE_NAMED_LATER),
        use_key(at.account, at.shared.key_arn, "dynamodb", "s3"),
    ]


def gate(at: Surroundings) -> list[Grant]:
    """Reads the evaluation, writes the decision beside it."""
    return [
        Grant(
            actions=["s3:GetObject"],
            resources=[f"{at.shared.artifact_bucket_arn}/{at.runs}*/evaluation/evaluation.json"],
            because=_RUNS_ARE_NAMED_LATER,
        ),
        list_prefixes(at.shared.artifact_bucket_arn, [at.runs]),
        write_objects(at.shared.artifact_bucket_arn, [f"{at.runs}*/gate.json"], _RUNS_ARE_NAMED_LATER),
        use_key(at.account, at.shared.key_arn, "s3"),
    ]


def verifier(at: Surroundings) -> list[Grant]:
    """Asks the endpoint, and reads what the evaluation predicted."""
    return [
        Grant(actions=["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"], resources=[at.endpoint_arn]),
        *read_objects(at.shared.artifact_bucket_arn, [at.runs], _RUNS_ARE_NAMED_LATER),
        use_key(at.account, at.shared.key_arn, "s3"),
    ]


def recorder(at: Surroundings) -> list[Grant]:
    """Writes the record, tells the topic, and clears away models and endpoint configs that nobody needs."""
    return [
        use_items(at.shared.run_table_arn, at.spec.name, "GetItem", "PutItem"),
        *read_objects(at.shared.artifact_bucket_arn, [at.runs], _RUNS_ARE_NAMED_LATER),
        write_objects(at.shared.artifact_bucket_arn, [f"{at.runs}*"], _RUNS_ARE_NAMED_LATER),
        Grant(actions=["sns:Publish"], resources=[at.shared.topic_arn]),
        *_managed_verdicts(at),
        Grant(actions=["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint"], resources=[at.endpoint_arn]),
        *_clear_away(at),
        use_key(at.account, at.shared.key_arn, "dynamodb", "s3", "sns"),
    ]


def _managed_verdicts(at: Surroundings) -> list[Grant]:
    """What SageMaker Debugger has found is said by the training job itself."""
    if at.spec.rules_service != "sagemaker":
        return []
    return [Grant(actions=["sagemaker:DescribeTrainingJob"], resources=_training_jobs(at))]


def execution_history(execution_arns: str) -> list[Grant]:
    """The recorder's, once the machine that calls it is there: how long each state took."""
    return [Grant(actions=["states:GetExecutionHistory"], resources=[execution_arns], because=_RUNS_ARE_NAMED_LATER)]


def lifecycle(at: Surroundings, queue_arn: str, state_machine_arn: str, execution_arns: str) -> list[Grant]:
    """Tells the launcher of new code; when the stack goes, stops runs and takes down what they have made."""
    group = naming.model_package_group_name(at.environment, at.spec.name)
    packages = at.sagemaker("model-package", f"{group}/*")
    return [
        Grant(actions=["sqs:SendMessage"], resources=[queue_arn]),
        Grant(actions=["states:ListExecutions"], resources=[state_machine_arn]),
        Grant(actions=["states:StopExecution"], resources=[execution_arns], because=_RUNS_ARE_NAMED_LATER),
        Grant(actions=["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint"], resources=[at.endpoint_arn]),
        *_clear_away(at),
        Grant(actions=["sagemaker:ListModelPackages"], resources=["*"], because=NO_RESOURCE),
        Grant(
            actions=["sagemaker:DeleteModelPackage"],
            resources=[packages],
            because="Every version in the group goes with the group, where the environment says destroy.",
        ),
        use_items(at.shared.run_table_arn, at.spec.name, "GetItem", "DeleteItem"),
        use_key(at.account, at.shared.key_arn, "dynamodb"),
    ]


def _clear_away(at: Surroundings) -> list[Grant]:
    return [
        Grant(actions=["sagemaker:ListModels", "sagemaker:ListEndpointConfigs"], resources=["*"], because=NO_RESOURCE),
        Grant(
            actions=["sagemaker:DescribeEndpointConfig", "sagemaker:DeleteEndpointConfig"],
            resources=[at.endpoint_config_arns],
        ),
        Grant(actions=["sagemaker:DeleteModel"], resources=[at.model_arns]),
    ]


def _job(at: Surroundings, operation: str, kind: str, step: str) -> Grant:
    verbs = [f"sagemaker:{verb}{operation}" for verb in ("Create", "Describe", "Stop")]
    return Grant(actions=[*verbs, "sagemaker:AddTags"], resources=[at.job_arns(kind, step)])


def _rounds(at: Surroundings) -> list[Grant]:
    """Where training goes on in rounds, a job's name ends in the round's number, of one or two digits."""
    if at.spec.rounds is None:
        return []
    verbs = [f"sagemaker:{verb}TrainingJob" for verb in ("Create", "Describe", "Stop")]
    return [Grant(actions=[*verbs, "sagemaker:AddTags"], resources=_training_jobs(at))]


def _training_jobs(at: Surroundings) -> list[str]:
    """ARNs of a run's training jobs: one, or one a round."""
    arn = at.job_arns("training-job", "train")
    return [arn] if at.spec.rounds is None else [f"{arn}-?", f"{arn}-??"]


def _synchronous_jobs(at: Surroundings) -> Grant:
    """How Step Functions learns that a job has ended ("IAM policies for calling SageMaker AI": a managed rule each)."""
    kinds = ("TrainingJobs", "ProcessingJobs")
    return Grant(
        actions=["events:DescribeRule", "events:PutRule", "events:PutTargets"],
        resources=[at.account.arn("events", f"rule/StepFunctionsGetEventsForSageMaker{kind}Rule") for kind in kinds],
    )


def _log_delivery_and_traces() -> list[Grant]:
    """Sources: "Using CloudWatch Logs to log execution history", "Trace requests using AWS X-Ray" (Step Functions)."""
    deliveries = ("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries")
    policies = ("PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups")
    traces = ("PutTraceSegments", "PutTelemetryRecords", "GetSamplingRules", "GetSamplingTargets")
    return [
        Grant(actions=[f"logs:{verb}" for verb in (*deliveries, *policies)], resources=["*"], because=NO_RESOURCE),
        Grant(actions=[f"xray:{verb}" for verb in traces], resources=["*"], because=NO_RESOURCE),
    ]


def _job_basics(at: Surroundings, repository_arn: str | None, log_group: str) -> list[Grant]:
    """What every container needs: its key, image, log group, metrics and, in a VPC, network interfaces.

    Source: "SageMaker AI execution roles", the CreateTrainingJob, CreateProcessingJob and CreateModel sections.
    """
    return [
        use_key(at.account, at.shared.key_arn, "s3"),
        *_pull(repository_arn),
        _write_log(at, log_group),
        Grant(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}},
            because=f"{NO_RESOURCE} The namespaces are SageMaker's.",
        ),
        *(_network(at, at.vpc) if at.vpc else []),
    ]


def _write_log(at: Surroundings, log_group: str) -> Grant:
    return Grant(
        actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        resources=[at.account.arn("logs", f"log-group:{log_group}:*")],
        because=_STREAMS_ARE_NAMED_LATER,
    )


def _pull(repository_arn: str | None) -> list[Grant]:
    """Pulling the image; none for an image of a registry that isn't ECR, which SageMaker reaches by other means."""
    if repository_arn is None:
        return []
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return [
        Grant(actions=pull, resources=[repository_arn]),
        Grant(actions=["ecr:GetAuthorizationToken"], resources=["*"], because=NO_RESOURCE),
    ]


def _network(at: Surroundings, vpc: Vpc) -> list[Grant]:
    """Network interfaces in the environment's subnets ("Give SageMaker training jobs access to … your Amazon VPC")."""
    verbs = ("CreateNetworkInterface", "CreateNetworkInterfacePermission")
    ends = ("DeleteNetworkInterface", "DeleteNetworkInterfacePermission")
    reads = ("NetworkInterfaces", "Vpcs", "DhcpOptions", "Subnets", "SecurityGroups")
    subnets = [f"subnet/{subnet}" for subnet in vpc.subnets]
    groups = [f"security-group/{group}" for group in vpc.security_groups]
    return [
        Grant(
            actions=[f"ec2:{verb}" for verb in (*verbs, *ends)],
            resources=[at.account.arn("ec2", place) for place in (*subnets, *groups, "network-interface/*")],
            because="A network interface's id is EC2's to give; the subnets and security groups are the environment's.",
        ),
        Grant(actions=[f"ec2:Describe{noun}" for noun in reads], resources=["*"], because=NO_RESOURCE),
    ]
