"""A run's folder in the artifact bucket: JSON documents, written and read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from contract import files


class ArtifactMissingError(Exception):
    """An earlier step should have written this."""


def is_there(client: Any, uri: str) -> bool:
    """Whether an object lies at an s3:// URI; it takes no right to read it."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    found = client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
    return any(entry["Key"] == key for entry in found.get("Contents", []))


@dataclass(frozen=True)
class Artifacts:
    """One run's folder. `client` is a boto3 S3 client."""

    client: Any
    bucket: str
    pipeline: str
    run_id: str

    def key(self, name: str) -> str:
        return files.run_folder(self.pipeline, self.run_id) + name

    def uri(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.key(name)}"

    def write(self, name: str, document: Any) -> str:
        """Writes a JSON document, or JSON lines as bytes; returns its s3:// URI."""
        is_lines = isinstance(document, bytes)
        body = document if is_lines else json.dumps(document, indent=2, allow_nan=False).encode()
        kind = "application/jsonlines" if is_lines else "application/json"
        self.client.put_object(Bucket=self.bucket, Key=self.key(name), Body=body, ContentType=kind)
        return self.uri(name)

    def names(self, folder: str) -> list[str]:
        """The names, as `read` takes them, of the objects below a folder; at most a thousand."""
        found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.key(folder))
        return [entry["Key"].removeprefix(self.key("")) for entry in found.get("Contents", [])]

    def read(self, name: str, *, most: int | None = None) -> Any:
        """A JSON document; of at most `most` bytes, where a job's own script has written it.

        Raises:
            ArtifactMissingError: it isn't there.
            ValueError: it isn't JSON, or is longer.
        """
        try:
            body = self.client.get_object(Bucket=self.bucket, Key=self.key(name))["Body"].read(most and most + 1)
        except self.client.exceptions.NoSuchKey as error:
            raise ArtifactMissingError(f"{self.uri(name)} doesn't exist") from error
        if most is not None and len(body) > most:
            raise ValueError(f"{self.uri(name)} has more than {most} bytes")
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.uri(name)} is no JSON: {error}") from error
