"""Roles that SageMaker assumes for a run's jobs and for the endpoint, and the grants that all of them need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from infra.grants import NO_RESOURCE, Grant, list_prefixes, read_objects, use_key
from infra.workflow.surroundings import Image, Surroundings, placeholder
from ratchet.spec.data import Channel
from ratchet.spec.environments import Vpc

TRAINING, PROCESSING, HOSTING = "Training", "Processing", "Hosting"
# Of models that answer held-out rows in transform jobs, before anybody knows how good they are.
ANSWERING = "Answering"
# Of jobs that compile a trained model, before it is judged.
COMPILING = "Compiling"
# Of views of what trainings have saved, which a person asks for.
VIEWING = "Viewing"
# Of audits of a channel's labels, which a person asks for, too.
AUDITING = "Auditing"
TRAINING_LOGS, PROCESSING_LOGS = "/aws/sagemaker/TrainingJobs", "/aws/sagemaker/ProcessingJobs"

_OBJECTS_ARE_NAMED_LATER = "What lies under a channel's prefix is the data's own names."
_STREAMS_ARE_NAMED_LATER = (
    "SageMaker names a log stream after the job and its host, which are known only when it starts."
)


@dataclass(frozen=True, kw_only=True)
class JobRole:
    """A role by what it is for: Training, Processing, Compiling, Hosting, Answering, Viewing or Auditing.

    of_a_run: its grants are about the run that its tag names, which the machine writes (see `workflow.folder`).
    """

    name: str
    purpose: str
    grants: Sequence[Grant]
    of_a_run: bool = False

    @property
    def arn_name(self) -> str:
        """The name of its ARN in the definition."""
        return arn_name(self.name)

    @property
    def arn(self) -> str:
        return placeholder(self.arn_name)

    @property
    def own_name(self) -> str:
        """The name of the role's own name in the definition."""
        return f"{self.name.lower()}_role_name"


def arn_name(role: str) -> str:
    """The name of a role's ARN in the definition."""
    return f"{role.lower()}_role_arn"


def read_channels(at: Surroundings, prefixes: Sequence[str]) -> list[Grant]:
    """Reading data channels, by their prefixes, and nothing beside them."""
    return read_objects(at.shared.data_bucket_arn, prefixes, _OBJECTS_ARE_NAMED_LATER)


def read_data(at: Surroundings, channels: Iterable[Channel]) -> list[Grant]:
    """Reading channels by their prefixes, and manifests that lie elsewhere, each by its key."""
    places = dict.fromkeys(place for channel in channels for place in channel.places)
    prefixes, keys = [place for place in places if place.endswith("/")], [key for key in places if key[-1] != "/"]
    bucket = at.shared.data_bucket_arn
    manifests = Grant(actions=["s3:GetObject"], resources=[f"{bucket}/{key}" for key in keys])
    return [
        *(read_channels(at, prefixes) if prefixes else []),
        *([manifests, list_prefixes(bucket, keys)] if keys else []),
    ]


def read_code(at: Surroundings) -> list[Grant]:
    """Reading the pipeline's code, earlier deployments' too: a run that goes on during a deployment has theirs."""
    because = "Each deployment's code lies under its hash; the prefix is this pipeline's own."
    return read_objects(at.shared.artifact_bucket_arn, [at.code], because)


def run_container(at: Surroundings, image: Image, log_group: str) -> list[Grant]:
    """Grants of every container: its key, image, log group, metrics and, in a VPC, network interfaces.

    Source: "SageMaker AI execution roles", the CreateTrainingJob, CreateProcessingJob and CreateModel sections.
    """
    return [
        use_key(at.account, at.shared.key_arn, "s3"),
        *pull(image),
        write_log(at, log_group),
        Grant(
            actions=["cloudwatch:PutMetricData"],
            resources=["*"],
            conditions={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}},
            because=f"{NO_RESOURCE} The namespaces are SageMaker's.",
        ),
        *(_network(at, at.vpc) if at.vpc else []),
    ]


def serve_containers(at: Surroundings, log_group: str) -> list[Grant]:
    """Grants of the containers that serve, of which a chain has several: each one's image is pulled."""
    first, *others = dict.fromkeys(at.serving_images)
    return [*run_container(at, first, log_group), *(grant for image in others for grant in pull(image)[:1])]


def write_log(at: Surroundings, log_group: str) -> Grant:
    return Grant(
        actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        resources=[at.account.arn("logs", f"log-group:{log_group}:*")],
        because=_STREAMS_ARE_NAMED_LATER,
    )


def pull(image: Image) -> list[Grant]:
    """Pulling an image; none for one of a registry that isn't ECR, which SageMaker reaches by other means."""
    if image.repository_arn is None:
        return []
    actions = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    return [
        Grant(actions=actions, resources=[image.repository_arn]),
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
