"""A pipeline's code in the artifact bucket: sourcedir.tar.gz, which a deployment copies there from CDK's asset bucket.

Jobs are handed this copy. `cdk gc` deletes from the asset bucket what no template names any more, and a run that goes
on, or a record that is read, may need the code of any earlier deployment. The copy is named by its content, and stays
as the runs' folders do: until the artifact bucket goes.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from aws_cdk import CustomResource, Duration
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from contract import files
from infra.constructs.function import Function, Functions
from infra.declared_function import DeclaredFunction
from infra.grants import Grant, use_key
from infra.workflow.surroundings import Surroundings
from ratchet.spec.source_package import SourcePackage

SECONDS = 60


class Source(Construct):
    """`copied` is what must be there before a run may start."""

    def __init__(
        self, scope: Construct, id_: str, *, at: Surroundings, package: SourcePackage, functions: Functions
    ) -> None:
        super().__init__(scope, id_)
        asset = _asset(self, package)
        declared = DeclaredFunction(
            folder="lifecycle",
            purpose=f"Copies the code of {at.pipeline} to where its jobs read it",
            seconds=SECONDS,
            grants=_grants(at, asset),
        )
        self.copied = CustomResource(
            self,
            "Copied",
            resource_type="Custom::CopiedSource",
            service_token=Function(self, "Copier", declared, functions).arn,
            service_timeout=Duration.seconds(SECONDS),
            properties={
                "FromBucket": asset.s3_bucket_name,
                "FromKey": asset.s3_object_key,
                "ToBucket": at.shared.artifact_bucket,
                "ToKey": at.code_key,
            },
        )


def _asset(scope: Construct, package: SourcePackage) -> assets.Asset:
    """The archive as an asset, named by its content's hash (gzip's bytes may differ between machines)."""
    with TemporaryDirectory() as folder:
        archive = Path(folder) / files.SOURCE_ARCHIVE
        archive.write_bytes(package.archive())
        return assets.Asset(scope, "Asset", path=str(archive), asset_hash=package.code_hash)


def _grants(at: Surroundings, asset: assets.Asset) -> list[Grant]:
    assets_arn = at.account.bucket_arn(asset.s3_bucket_name)
    return [
        Grant(actions=["s3:GetObject"], resources=[f"{assets_arn}/{asset.s3_object_key}"]),
        Grant(actions=["s3:PutObject"], resources=[f"{at.shared.artifact_bucket_arn}/{at.code_key}"]),
        use_key(at.account, at.shared.key_arn, "s3"),
    ]
