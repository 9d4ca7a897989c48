"""An image's files on this machine: unpacked once, kept by its digest, and shared with images that begin like it.

A Dockerfile that is built again has the same large layers below and other small ones above. So what lies below a small
layer is kept by itself, too, under a digest of that chain of layers: the next image begins with it, and only what is
new is unpacked.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from localaws.sagemaker.containers import archives, image_layers
from localaws.sagemaker.containers.beneath import remove
from localaws.sagemaker.containers.image_layers import Layer
from localaws.sagemaker.containers.images import Images, Progress
from localaws.sagemaker.core.registry_images import RegistryImage

_FILES = "rootfs"
_LARGE = 2 * 1024 * 1024  # of a layer as it lies in the registry: smaller ones are unpacked in no time


class Kept:
    """The files of images in a folder of theirs. keep_going: called while they are unpacked, see `image_layers`."""

    def __init__(self, images: Images, folder: Path, progress: Progress, keep_going: Callable[[], None]) -> None:
        self._images, self._folder = images, folder
        self._progress, self._keep_going = progress, keep_going

    def files(self, image: RegistryImage, contents: Sequence[str], uri: str) -> Path:
        """Where an image's files are; `contents`: the digests of its layers' tars. Raises ImageLayerError, OSError."""
        kept = self._folder / _name("own", image.digest)
        layers = image_layers.layers_of(image.layers, contents)
        if not self._images.is_made(kept):
            base, done = self._below(layers, uri)
            self._make(kept, f"the file system of image {uri} ({image.digest})", layers, done, base)
        return kept / _FILES

    def _below(self, layers: Sequence[Layer], uri: str) -> tuple[Path | None, int]:
        """What lies below the layers from some number on, and that number; made, as far as it isn't there."""
        base, done = None, 0
        for count, chain in _chains(layers):
            kept = self._folder / _name("layers", chain)
            self._make(kept, f"the first {count} of {len(layers)} layers of image {uri}", layers[:count], done, base)
            base, done = kept / _FILES, count
        return base, done

    def _make(self, kept: Path, what: str, layers: Sequence[Layer], done: int, base: Path | None) -> None:
        def make() -> None:
            try:
                self._unpack(kept, layers[done:], base)
            except OSError:
                if base is None:
                    raise
                self._unpack(kept, layers, None)  # folders may be closed to us, or files can't be shared there

        self._images.make_once(kept, what, self._progress, make)

    def _unpack(self, kept: Path, layers: Sequence[Layer], base: Path | None) -> None:
        if kept.exists():
            remove(kept)  # an earlier unpacking was cut off; folders of it may be closed to their owner
        (kept / _FILES).mkdir(parents=True)
        kept.chmod(0o700)  # an image may have folders that everybody may write to
        image_layers.unpack(layers, kept / _FILES, archives.free(kept), base, self._keep_going)


def _chains(layers: Sequence[Layer]) -> Iterator[tuple[int, str]]:
    """Of the layers below the topmost, those up to a large one: how many, and the digest of that chain.

    By the layers' own digests, which the registry has looked at: what a configuration says would give an image the
    files of another one's, which its role may not pull.
    """
    chain = ""
    for count, layer in enumerate(layers[:-1], 1):
        chain = _digest(f"{chain} {layer.file.name}")
        if layer.file.stat().st_size >= _LARGE:
            yield count, chain


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _name(kind: str, digest: str) -> str:
    # Who isn't root keeps no owners, and can't read what root keeps for its own.
    of_user = "" if os.geteuid() == 0 else f"-{os.geteuid()}"
    return f"{kind}-{digest.partition(':')[2]}{of_user}"
