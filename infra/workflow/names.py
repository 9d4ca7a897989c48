"""What a run's state machine must be told about the AWS around it, and how everything that a run makes is named.

This is the one place where a name is cut to AWS's limits. It imports no aws_cdk: the fields of `Names` are plain
strings, which a stack fills with CDK tokens or a test with literals.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

# CreateTrainingJob, CreateProcessingJob, CreateModel, CreateEndpointConfig, CreateEndpoint, CreateModelPackageGroup,
# API reference: names are [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}.
SAGEMAKER_NAME = 63

# A run id is `YYYYMMDD-HHMMSS-<4 hex>`, made by the launcher; it is also the Step Functions execution's name.
RUN_ID_LENGTH = 20
STEPS = ("train", "evaluate")
CONTENT_HASH_LENGTH = 12


@dataclass(frozen=True, kw_only=True)
class Names:
    """Everything a pipeline's state machine refers to, as strings (which may be CDK tokens, but for the first two).

    `environment` and `pipeline` must be literals: names are cut and hashed from them when the machine is made.
    """

    environment: str
    pipeline: str

    artifact_bucket: str
    run_table: str
    # The key that the buckets are encrypted with: jobs name it for what they upload.
    key_arn: str

    # The image that trains and evaluates, and the one that serves (PyTorch has two, scikit-learn one).
    image_uri: str
    hosting_image_uri: str
    # What evaluates the rules of SageMaker Debugger; empty where the open rules judge.
    rules_image_uri: str
    # sourcedir.tar.gz: the model's folder and the toolkit; `code_hash` is its content's hash (no token needed).
    code_s3_uri: str
    code_hash: str

    # The functions' ARNs (or, better, those of their current versions' aliases).
    planner_arn: str
    gate_arn: str
    verifier_arn: str
    recorder_arn: str

    # What SageMaker assumes; the workflow's role may pass these three and no other.
    training_role_arn: str
    processing_role_arn: str
    hosting_role_arn: str

    # Empty: jobs and endpoint outside of a VPC.
    subnet_ids: tuple[str, ...] = field(default=())
    security_group_ids: tuple[str, ...] = field(default=())

    @property
    def endpoint(self) -> str:
        """The endpoint's name: stable, because callers know it."""
        return endpoint_name(self.environment, self.pipeline)

    @property
    def model_package_group(self) -> str:
        return model_package_group_name(self.environment, self.pipeline)

    @property
    def job_prefix(self) -> str:
        """What every job of this pipeline is called before `<run id>-<step>`; ends in a hyphen."""
        return job_prefix(self.pipeline)

    @property
    def content_prefix(self) -> str:
        """What every model and endpoint config of this pipeline is called before its content's hash; with a hyphen."""
        return content_prefix(self.environment, self.pipeline)


def cut(name: str, limit: int) -> str:
    """`name` if it has at most `limit` characters, else its beginning and a hash of the whole."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9].rstrip('-')}-{digest}"


def endpoint_name(environment: str, pipeline: str) -> str:
    return cut(f"{environment}-{pipeline}", SAGEMAKER_NAME)


def model_package_group_name(environment: str, pipeline: str) -> str:
    return cut(f"{environment}-{pipeline}", SAGEMAKER_NAME)


def job_prefix(pipeline: str) -> str:
    """`<pipeline>-`, cut so that `<pipeline>-<run id>-<step>` fits whatever the step."""
    longest_step = max(len(step) for step in STEPS)
    return cut(pipeline, SAGEMAKER_NAME - RUN_ID_LENGTH - longest_step - 2) + "-"


def job_name(pipeline: str, run_id: str, step: str) -> str:
    """`<pipeline>-<run id>-<step>`, as the state machine composes it at run time."""
    if step not in STEPS:
        raise ValueError(f"no step of a run is called {step!r}; the steps are {', '.join(STEPS)}")
    return f"{job_prefix(pipeline)}{run_id}-{step}"


def content_prefix(environment: str, pipeline: str) -> str:
    """`<environment>-<pipeline>-`, cut so that the content's hash fits behind it.

    Models and endpoint configs are named by what they hold: making the same one twice is the same one, and a name never
    changes its meaning.
    """
    return cut(f"{environment}-{pipeline}", SAGEMAKER_NAME - CONTENT_HASH_LENGTH - 1) + "-"
