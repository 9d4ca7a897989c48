"""The AWS around the runs of one pipeline, and what of it the machine's definition leaves to the deployment to fill in.

Strings may be CDK tokens, but for the environment's and the pipeline's name and the code's hash: names are cut and
hashed from them here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from contract import files, names
from infra.grants import Account
from infra.shared import Shared
from ratchet.spec import PipelineSpec
from ratchet.spec.environments import Vpc


@dataclass(frozen=True)
class Image:
    """An image for containers, and the ECR repository that it is pulled from (None: another registry)."""

    uri: str
    repository_arn: str | None = None


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """A pipeline, the account and the stacks around it: every step's requests and grants are made from them."""

    spec: PipelineSpec
    environment: str
    account: Account
    shared: Shared
    # Of sourcedir.tar.gz, the model's folder with the toolkit: of its content, and no token.
    code_hash: str
    # One that trains, and evaluates unless another is named below; one that serves (PyTorch has two, scikit-learn one);
    # and the one that evaluates SageMaker Debugger's rules, where they judge.
    image: Image
    hosting_image: Image
    rules_image: Image | None = None
    # The one that evaluates where another framework serves than trains: that in which the framework that serves trains.
    evaluating_image: Image | None = None
    # The one that judges where the image is the user's own, which needs nothing of Ratchet's: its models are asked over
    # HTTP. None: models are judged in the image that evaluates.
    judging_image: Image | None = None
    # Of the containers of a chain, in order; None for one in the image that serves.
    chain_images: tuple[Image | None, ...] = ()
    # None: jobs and endpoint outside of a VPC.
    vpc: Vpc | None = None
    # The pipeline's queue of triggers, through which its machine leaves its task tokens.
    queue_url: str
    queue_arn: str

    @property
    def pipeline(self) -> str:
        return self.spec.name

    @property
    def runs(self) -> str:
        """The folder of this pipeline's runs in the artifact bucket."""
        return files.runs_folder(self.pipeline)

    @property
    def code(self) -> str:
        """The folder of this pipeline's code in the artifact bucket."""
        return files.code_folder(self.pipeline)

    @property
    def code_key(self) -> str:
        """The key of sourcedir.tar.gz there."""
        return files.code_key(self.pipeline, self.code_hash)

    @property
    def evaluation_image(self) -> Image:
        """The image of the evaluation job."""
        return self.judging_image or self.evaluating_image or self.image

    @property
    def has_endpoint(self) -> bool:
        return not self.spec.deploy.is_batch

    @property
    def serving_images(self) -> list[Image]:
        """The images of the containers that serve, in order; of a chain there are several."""
        return [own or self.hosting_image for own in self.chain_images] or [self.hosting_image]

    @property
    def prefixes(self) -> list[str]:
        """Where in the data bucket the pipeline's data lie, its channels' and its batch's: prefixes, and manifests."""
        rows = self.spec.deploy.input
        places = [place for channel in self.spec.data.values() for place in channel.places]
        return [*dict.fromkeys(places), *([rows] if rows else [])]

    @property
    def endpoint(self) -> str:
        return names.endpoint(self.environment, self.pipeline)

    @property
    def model_package_group(self) -> str:
        return names.model_package_group(self.environment, self.pipeline)

    @property
    def content_prefix(self) -> str:
        return names.content_prefix(self.environment, self.pipeline)

    def job(self, run_id: str, step: str, round_: str | None = None) -> str:
        """The name of a run's job."""
        return names.job(self.environment, self.pipeline, run_id, step, round_)

    def sagemaker(self, kind: str, name: str) -> str:
        """The ARN of one of SageMaker's things."""
        return self.account.arn("sagemaker", f"{kind}/{name}")

    def executions(self, state_machine: str) -> str:
        """The ARNs of a state machine's executions."""
        return self.account.arn("states", f"execution:{state_machine}:*")

    @property
    def endpoint_arn(self) -> str:
        return self.sagemaker("endpoint", self.endpoint)

    @property
    def model_arns(self) -> str:
        return self.sagemaker("model", f"{self.content_prefix}{names.ANY_CONTENT_HASH}")

    @property
    def endpoint_config_arns(self) -> str:
        return self.sagemaker("endpoint-config", f"{self.content_prefix}{names.ANY_CONTENT_HASH}")

    @property
    def model_package_arns(self) -> str:
        return self.sagemaker("model-package", f"{self.model_package_group}/*")


def placeholder(name: str) -> str:
    """A definition's word for something that only the deployment knows (DefinitionSubstitutions)."""
    return f"${{{name}}}"


@dataclass(frozen=True)
class Later:
    """Something that only the deployment knows: its text is the definition's placeholder, `of` the value for it."""

    name: str
    of: Callable[[Surroundings], str]

    def __str__(self) -> str:
        return placeholder(self.name)


ARTIFACT_BUCKET = Later("artifact_bucket", lambda at: at.shared.artifact_bucket)
RUN_TABLE = Later("run_table", lambda at: at.shared.run_table)
DATA_BUCKET = Later("data_bucket", lambda at: at.shared.data_bucket)
KEY_ARN = Later("key_arn", lambda at: at.shared.key_arn)
IMAGE_URI = Later("image_uri", lambda at: at.image.uri)
HOSTING_IMAGE_URI = Later("hosting_image_uri", lambda at: at.hosting_image.uri)
JUDGING_IMAGE_URI = Later("judging_image_uri", lambda at: at.evaluation_image.uri)
QUEUE_URL = Later("queue_url", lambda at: at.queue_url)


def chain_image(number: int) -> Later:
    """The image of a chain's container that has its own."""
    return Later(f"chain_image_{number}_uri", lambda at: at.serving_images[number].uri)


LATER = (ARTIFACT_BUCKET, RUN_TABLE, KEY_ARN, IMAGE_URI, HOSTING_IMAGE_URI)


def values(at: Surroundings) -> dict[str, str]:
    """The value of each placeholder of the surroundings."""
    waits = (QUEUE_URL,) if at.has_endpoint or at.spec.approval.manual else ()
    judging = (JUDGING_IMAGE_URI,) if at.evaluation_image != at.image else ()
    chained = (chain_image(number) for number, own in enumerate(at.chain_images) if own)
    streamed = (DATA_BUCKET,) if at.spec.streams_files else ()
    return {later.name: later.of(at) for later in (*LATER, *waits, *judging, *chained, *streamed)}
