"""A model's code as sourcedir.tar.gz, with the toolkit and the contract: the same bytes in for the same hash out.

The hash is of names and contents only, so it is the same on every machine, and a deployment without a change of code
redeploys nothing. What isn't code stays out: pipeline.yaml (the plan fingerprints it by itself), prose, data, tests and
caches. Where an image is built from the folder, what goes into that is code, too.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import contract
from contract import chains, files
from ratchet.spec.deploy_chain import Container
from ratchet.spec.docker_context import docker_context
from ratchet.spec.errors import ConfigurationError
from ratchet.spec.pipeline import PipelineSpec

_SERVES = "how the model answers"
# The toolkit imports it.
CONTRACT = Path(contract.__file__).parent
# Code is kilobytes. What is larger than this is data or a model, and would be downloaded by every job and endpoint.
MAXIMUM_BYTES = 20 * 2**20

_LEFT_OUT_FOLDERS = {"__pycache__", "data", "notebooks", "sample", "tests", "node_modules", "venv"}
_LEFT_OUT_SUFFIXES = {".md", ".pyc", ".pyo", ".ipynb", ".csv", ".npy", ".parquet"}
_EPOCH = 315532800  # 1980-01-01T00:00:00Z, the earliest time that every archive format can hold


@dataclass(frozen=True)
class SourcePackage:
    """A package's files, by their names in it (POSIX, sorted), and the hash of names and contents (hex, SHA-256).

    chain: what it says of the containers that serve its model, where there are several.
    """

    files: tuple[tuple[str, Path], ...]
    code_hash: str
    chain: bytes | None = None

    def archive(self) -> bytes:
        """sourcedir.tar.gz: sorted, without owners, times and modes of this machine."""
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in self.contents():
                archive.addfile(_member(name, len(content)), io.BytesIO(content))
        return gzip.compress(tar.getvalue(), mtime=0)

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """The files by their names, sorted, with what is in them."""
        return _contents(self.files, self.chain)


def package_of(spec: PipelineSpec, toolkit: Path) -> SourcePackage:
    """The package of a pipeline.

    Raises:
        ConfigurationError: as of `source_package`, and of the image's context.
    """
    image = docker_context(spec.folder, spec.dockerfile).content_hash if spec.dockerfile else ""
    scripts = [] if spec.is_own_container else spec.training_scripts
    return source_package(spec.folder, toolkit, spec.deploy.chain, scripts=scripts, image=image)


def source_package(
    model: Path,
    toolkit: Path,
    chain: Sequence[Container] = (),
    *,
    scripts: Sequence[str] = (files.TRAINING_SCRIPT,),
    image: str = "",
) -> SourcePackage:
    """The package of a model's folder, the toolkit's and the contract's.

    Args:
        chain: the containers that serve the model, where there are several (`deploy.chain`).
        scripts: those that train it in SageMaker's containers, where serve.py serves it, too. None of a folder whose
            image does it by itself: then the Python modules are packaged alone, among which may be a metric.
        image: the hash of what its image is built from.

    Raises:
        ConfigurationError: a script that trains or serves is missing, a file is a link, or the whole is too large to
            be code.
    """
    if scripts:
        _check_scripts(model, chain, scripts)
    found = list(_code(model, "", modules_alone=not scripts))
    for name, folder in ((files.TOOLKIT, toolkit), (files.CONTRACT, CONTRACT)):
        _check_free(model / name, f"the {name}")
        found += _code(folder, f"{name}/")
    found.sort()
    _check_size(model, found)
    if chain:
        _check_free(model / chains.CHAIN_FILE, "what deploy.chain says")
    said = chains.written([container.said for container in chain]) if chain else None
    code_hash = _hash(_contents(found, said))
    both = hashlib.sha256(f"{code_hash} {image}".encode()).hexdigest() if image else code_hash
    return SourcePackage(tuple(found), both, said)


def _check_scripts(model: Path, chain: Sequence[Container], training: Sequence[str]) -> None:
    serving = [container.entry for container in chain] or [files.SERVING_SCRIPT]
    needed = {**dict.fromkeys(training, "the training script"), **dict.fromkeys(serving, _SERVES)}
    for name, what in needed.items():
        if not (model / name).is_file():
            raise ConfigurationError(f"{model / name}: is missing; a model's folder needs {name}, {what}")


def _check_free(path: Path, what: str) -> None:
    if path.exists():
        raise ConfigurationError(f"{path}: the name is taken: {what} is packaged under it")


def _contents(found: Sequence[tuple[str, Path]], chain: bytes | None) -> Iterator[tuple[str, bytes]]:
    said = {chains.CHAIN_FILE: chain} if chain is not None else {}
    paths = dict(found)
    for name in sorted({*said, *paths}):
        yield name, said[name] if name in said else paths[name].read_bytes()


def _code(folder: Path, prefix: str, *, modules_alone: bool = False) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _LEFT_OUT_FOLDERS or path.name == files.SPEC_FILE:
            continue
        if modules_alone and path.suffix != ".py" and not path.is_dir():
            continue
        if path.is_symlink():
            raise ConfigurationError(f"{path}: is a link; put the file itself here, jobs see nothing else")
        if path.is_dir():
            yield from _code(path, f"{prefix}{path.name}/", modules_alone=modules_alone)
        elif path.suffix not in _LEFT_OUT_SUFFIXES:
            yield f"{prefix}{path.name}", path


def _check_size(model: Path, files: list[tuple[str, Path]]) -> None:
    size, largest = sum(path.stat().st_size for _, path in files), max(files, key=lambda file: file[1].stat().st_size)
    if size > MAXIMUM_BYTES:
        raise ConfigurationError(
            f"{model}: its code is {size / 2**20:.0f} MiB, {largest[0]} the largest; "
            f"at most {MAXIMUM_BYTES // 2**20} MiB. Data belongs into the data bucket"
        )


def _hash(contents: Iterator[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in contents:
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, _EPOCH, 0o644
    return member
