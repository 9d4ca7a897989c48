"""What a pipeline's training job, processing job and endpoint are allowed: three roles that SageMaker assumes."""

from __future__ import annotations

from constructs import Construct

from infra import permissions
from infra.constructs.role import ServiceRole
from infra.permissions import Surroundings

SAGEMAKER = "sagemaker.amazonaws.com"


class JobRoles(Construct):
    """The execution roles; a repository is what its jobs pull their image from (None: not from ECR)."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        at: Surroundings,
        training_repository: str | None,
        rules_repository: str | None,
        hosting_repository: str | None,
    ) -> None:
        super().__init__(scope, id_)
        name = at.spec.name
        self.training = ServiceRole(
            self,
            "Training",
            service=SAGEMAKER,
            purpose=f"Training jobs of {name}",
            grants=permissions.training_job(at, training_repository, rules_repository),
        )
        self.processing = ServiceRole(
            self,
            "Processing",
            service=SAGEMAKER,
            purpose=f"Evaluation jobs of {name}",
            grants=permissions.processing_job(at, training_repository),
        )
        self.hosting = ServiceRole(
            self,
            "Hosting",
            service=SAGEMAKER,
            purpose=f"The endpoint of {name}",
            grants=permissions.hosting(at, hosting_repository),
        )
