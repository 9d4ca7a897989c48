"""Which images, tags and blobs each repository has, and the rules by which they come and go.

The store is a dictionary that its owner keeps on disk: a record a repository, changed under a lock and told of by
`changed`. A blob's file is deleted when no repository's record names it any more, and that is on disk (`free`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localaws.registry import manifests, refusals
from localaws.registry.blobs import Blobs, DigestMismatchError, UploadGoneError
from localaws.registry.manifests import LISTS, Manifest
from localaws.registry.refusals import RegistryError

Document = dict[str, Any]

# What ECR's basic scanning says of an image that it can't scan (aws-observability/aws-otel-collector, issue 2193).
CANT_SCAN = {
    "status": "FAILED",
    "description": "UnsupportedImageError: The operating system and/or package manager are not supported.",
}


@dataclass(frozen=True)
class Rules:
    """What a repository's owner has said of it."""

    is_immutable: bool = False
    scans_on_push: bool = False


class Images:
    """The images of one registry, `registry` by its account's id. `rules` knows which repositories there are."""

    def __init__(
        self,
        folder: Path,
        store: dict[str, Document],
        rules: Callable[[str], Rules | None],
        changed: Callable[[], None],
        registry: str,
    ) -> None:
        self.registry = registry
        # Told of each image that comes and goes: PUSH or DELETE, the repository, the digest, the tag.
        self.listener: Callable[[str, str, str, str | None], None] = _nobody
        self.blobs = Blobs(folder)
        self.lock = threading.RLock()
        self._store = store
        self._rules = rules
        self._changed = changed
        self._unnamed: set[str] = set()

    # ------------------------------------------------------------------------------------------------ repositories

    def repository(self, name: str) -> Document:
        """A repository's record. Raises RegistryError."""
        if self._rules(name) is None:
            raise refusals.no_repository(name, self.registry)
        return self._store.setdefault(name, {"images": {}, "blobs": {}})

    def count(self, name: str) -> int:
        """How many images a repository has."""
        return len(self._store.get(name, {"images": {}})["images"])

    def forget(self, name: str) -> None:
        """Let go of a repository that is deleted, with all that it has."""
        with self.lock:
            gone = self._store.pop(name, None)
            if gone is not None:
                self._unname(list(gone["blobs"]))
                self._changed()

    def images(self, name: str) -> Iterator[tuple[str, Document]]:
        """A repository's images, by digest, the first pushed first."""
        yield from list(self.repository(name)["images"].items())

    # ---------------------------------------------------------------------------------------------------- layers

    def blob_size(self, name: str, digest: str) -> int | None:
        """The size of a blob of a repository; None where it has no such blob."""
        size: int | None = self.repository(name)["blobs"].get(digest)
        return size

    def finish_upload(self, name: str, upload: str, digest: str) -> int:
        """Make an upload a blob of a repository. Raises RegistryError where it isn't what its digest says."""
        with self.lock:
            blobs = self.repository(name)["blobs"]
            try:
                size = self.blobs.finish(upload, digest)
            except UploadGoneError:
                raise refusals.no_upload(upload, name, self.registry) from None
            except DigestMismatchError as error:
                told = f"The layer's digest is '{error.found}', not '{digest}'"
                raise RegistryError("InvalidLayerException", told) from None
            blobs[digest] = size
            self._unnamed.discard(digest)
            self._changed()
            return size

    # ---------------------------------------------------------------------------------------------------- images

    def put(self, name: str, text: bytes, media_type: str | None, tag: str | None) -> Manifest:
        """Take an image's manifest, and the tag where there is one. Raises RegistryError."""
        manifest = manifests.read(text, media_type)
        with self.lock:
            repository = self.repository(name)
            self._require_parts(name, repository, manifest)
            image = repository["images"].get(manifest.digest)
            holder = _tagged(repository, tag)
            if image is not None and (tag is None or holder == manifest.digest):
                raise refusals.image_is_there(manifest.digest, tag, name, self.registry)
            if holder is not None and _rules_of(self._rules(name)).is_immutable:
                raise refusals.tag_is_taken(str(tag), name)
            if image is None:
                image = repository["images"][manifest.digest] = _record(text, manifest)
                if _rules_of(self._rules(name)).scans_on_push and manifest.media_type not in LISTS:
                    image["scan"] = dict(CANT_SCAN)
            if holder is not None:
                repository["images"][holder]["tags"].remove(tag)
            image["tags"] += [tag] if tag else []
            self._changed()
        self.listener("PUSH", name, manifest.digest, tag)
        return manifest

    def _require_parts(self, name: str, repository: Document, manifest: Manifest) -> None:
        missing = [digest for digest in dict.fromkeys(manifest.blobs) if digest not in repository["blobs"]]
        if missing:
            raise refusals.no_layers(missing, name, self.registry)
        missing = [digest for digest in manifest.images if digest not in repository["images"]]
        if missing:
            raise refusals.no_referenced_images(missing, name, self.registry)

    def find(self, name: str, image_id: Mapping[str, str]) -> tuple[str, Document] | None:
        """An image by digest, by tag, or by both; None where there is none."""
        repository = self.repository(name)
        digest = image_id.get("imageDigest") or _tagged(repository, image_id.get("imageTag"))
        found = repository["images"].get(digest)
        return (str(digest), found) if found is not None else None

    def require(self, name: str, image_id: Mapping[str, str]) -> tuple[str, Document]:
        """An image as `find` does. Raises RegistryError where there is none."""
        found = self.find(name, image_id)
        if found is None:
            raise refusals.no_image(image_id, name, self.registry)
        return found

    def pulled(self, image: Document) -> None:
        """Take note that an image was pulled."""
        image["pulledAt"] = time.time()

    def scan(self, image: Document) -> None:
        """Scan an image, which can't be done here: it ends as AWS's does of an image that it can't scan."""
        with self.lock:
            image["scan"] = dict(CANT_SCAN)
            self._changed()

    def delete(self, name: str, image_id: Mapping[str, str]) -> list[Document] | None:
        """Delete an image, or its tag where it is named by tag and has others; the ids that are gone.

        None where a list of images names it.
        """
        with self.lock:
            digest, image = self.require(name, image_id)
            tag = image_id.get("imageTag")
            if "imageDigest" not in image_id and len(image["tags"]) > 1:
                image["tags"].remove(tag)
                self._changed()
                return [{"imageDigest": digest, "imageTag": tag}]
            repository = self.repository(name)
            others = [manifest for key, manifest in _manifests(repository) if key != digest]
            if any(digest in other.images for other in others):
                return None
            del repository["images"][digest]
            kept = {blob for other in others for blob in other.blobs}
            gone = [blob for blob in manifests.read(image["manifest"].encode()).blobs if blob not in kept]
            for blob in gone:
                repository["blobs"].pop(blob, None)
            self._unname(gone)
            self._changed()
        for each in image["tags"] or [None]:
            self.listener("DELETE", name, digest, each)
        return [{"imageDigest": digest, "imageTag": each} for each in image["tags"]] or [{"imageDigest": digest}]

    # ----------------------------------------------------------------------------------------------- what is freed

    def _unname(self, digests: list[str]) -> None:
        named = self._named()
        self._unnamed |= {digest for digest in digests if digest not in named}

    def _named(self) -> set[str]:
        return {digest for repository in self._store.values() for digest in repository["blobs"]}

    def free(self) -> Callable[[], None]:
        """What is to be called when all that has changed by now is on disk: it deletes what nobody names any more."""
        with self.lock:  # what has changed has been told of, then
            unnamed = set(self._unnamed)

        def delete() -> None:
            with self.lock:
                for digest in unnamed & self._unnamed:
                    self.blobs.delete(digest)
                self._unnamed -= unnamed

        return delete

    def sweep(self) -> None:
        """At the start: delete the files that no record names, and the layers of pushes that never came to an image."""
        with self.lock:
            for repository in self._store.values():
                of_images = {blob for _, manifest in _manifests(repository) for blob in manifest.blobs}
                for digest in repository["blobs"].keys() - of_images:
                    del repository["blobs"][digest]
            self.blobs.sweep(self._named())
            self._changed()


def _nobody(_action: str, _name: str, _digest: str, _tag: str | None) -> None: ...


def _rules_of(rules: Rules | None) -> Rules:
    return rules or Rules()


def _record(text: bytes, manifest: Manifest) -> Document:
    return {
        "manifest": text.decode(),
        "mediaType": manifest.media_type,
        "artifact": manifest.artifact or manifest.media_type,
        "size": manifest.size,
        "pushedAt": time.time(),
        "tags": [],
    }


def _tagged(repository: Document, tag: str | None) -> str | None:
    """The digest of the image that has a tag."""
    if tag is None:
        return None
    return next((digest for digest, image in repository["images"].items() if tag in image["tags"]), None)


def _manifests(repository: Document) -> list[tuple[str, Manifest]]:
    return [(digest, manifests.read(image["manifest"].encode())) for digest, image in repository["images"].items()]
