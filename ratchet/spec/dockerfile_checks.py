"""What is surely wrong with a Dockerfile, found before anything is deployed: a build would tell after minutes.

Only what is cheap and certain: a variable without a default, a wildcard or another registry's image may be right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from contract.files import SPEC_FILE
from contract.suggestions import near
from ratchet.spec.docker_context import IGNORE_FILE, USUAL, DockerContext
from ratchet.spec.dockerfile import Dockerfile, Instruction, Stage, sources
from ratchet.spec.yaml_lines import Problem

# Dockerfile reference; MAINTAINER is old, and still taken.
INSTRUCTIONS = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
    *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)
# What SageMaker calls a container with, to train and to serve.
PROGRAMS = ("train", "serve")
_EXECUTE = 0o111

_URL = re.compile(r"(https?|ftp|git|ssh)://|git@")
_CONTINUED = re.compile(r"[&|;\-\\>]")
_SHELLS = ("sh", "bash", "dash", "ash")


def problems(dockerfile: Dockerfile) -> Iterator[Problem]:
    """Of the text alone."""
    if not dockerfile.instructions:
        yield Problem(1, "", "holds no instruction; a Dockerfile begins with FROM and the image that it builds on")
        return
    for each in dockerfile.instructions:
        if wrong := _of_instruction(each):
            yield Problem(each.line, "", wrong)
    yield from _of_beginning(dockerfile)
    for stage in dockerfile.stages:
        if wrong := _of_from(stage):
            yield Problem(stage.origin.line, "", wrong)
        yield from _of_sources(dockerfile, stage)


def _of_instruction(each: Instruction) -> str | None:
    if each.name not in INSTRUCTIONS:
        if _CONTINUED.match(each.name):
            return f"{each.name} is no instruction; the line above lacks a \\ at its end, by which this one is its own"
        meant = near(each.name, INSTRUCTIONS)
        return f"{each.name[:40]} is no instruction{f'; did you mean {meant}?' if meant else ''}"
    if each.is_open:
        return (
            f"{each.name} ends in a continuation, and nothing follows: take the last \\ away, or write what is missing"
        )
    if not each.words:
        return f"{each.name} says nothing; write what it is to do behind it"
    return None


def _of_beginning(dockerfile: Dockerfile) -> Iterator[Problem]:
    if not dockerfile.stages:
        known = [each for each in dockerfile.instructions if each.name in INSTRUCTIONS]
        if len(known) == len(dockerfile.instructions):
            yield Problem(1, "", "has no FROM; a Dockerfile begins with FROM and the image that it builds on")
        return
    first = dockerfile.stages[0].origin.line
    for each in dockerfile.instructions:
        if each.line < first and each.name in INSTRUCTIONS and each.name != "ARG":
            yield Problem(each.line, "", f"{each.name} stands before the first FROM (line {first}); only ARG may")


def _of_from(stage: Stage) -> str | None:
    words = stage.origin.words
    if len(words) in (0, 1) or (len(words) == 3 and words[1].upper() == "AS"):
        return None
    return f"FROM has {len(words)} words; write FROM <image>, or FROM <image> AS <name>"


def _of_sources(dockerfile: Dockerfile, stage: Stage) -> Iterator[Problem]:
    """Stages that aren't there, or only below."""
    asked = [(stage.origin, stage.base)] + [(each, name) for each in stage.instructions for name in sources(each)]
    for each, name in asked:
        if dockerfile.stage(name, stage.number) is not None:
            continue
        if wrong := _no_stage(dockerfile, stage, each, name):
            yield Problem(each.line, "", wrong)


def _no_stage(dockerfile: Dockerfile, stage: Stage, each: Instruction, name: str) -> str | None:
    # An image may have the name that its own stage is given: FROM base AS base.
    below = dockerfile.stages[stage.number + (1 if each.name == "FROM" else 0) :]
    later = next((other for other in below if other.name == name.lower()), None)
    if later is not None:
        where = "itself" if later is stage else f"on line {later.origin.line}, below"
        return f"{each.name} takes {name!r}, a stage that is {where}; it can take those above alone"
    if each.name == "FROM" or not re.fullmatch(r"[\w.-]+", name) or "." in name:
        return None
    names = [above.name for above in dockerfile.stages[: stage.number] if above.name]
    if name.isdecimal():
        return f"{each.name} takes stage {name}, and above are {stage.number}, counted from 0"
    meant = near(name, names)
    return f"{each.name} takes {name!r}, which is no stage above; did you mean {meant}?" if meant else None


# ------------------------------------------------------------------------------------------------------------- context


def problems_with_context(dockerfile: Dockerfile, context: DockerContext) -> Iterator[Problem]:
    """Of what is copied from the folder."""
    changes_modes = any("chmod" in each.text for each in dockerfile.instructions)
    for each in dockerfile.instructions:
        if each.name in ("COPY", "ADD") and "from" not in each.flags and "<<" not in each.text:
            wrong = _of_copy(each, context) or (None if changes_modes else _of_programs(each, context))
            if wrong:
                yield Problem(each.line, "", wrong)


def _of_copy(each: Instruction, context: DockerContext) -> str | None:
    *names, target = each.words or [""]
    if not names:
        return f"{each.name} says only {target!r}; write what is to be copied, and to where"
    if len(names) > 1 and not _is_folder(target):
        return f"{each.name} takes {len(names)} files, so {target!r} must be a folder: write {target}/"
    for name in names:
        if "$" in name or _URL.match(name):
            continue
        if wrong := _of_source(name, context):
            return f"{each.name} takes {name!r}, {wrong}"
    return None


def _is_folder(target: str) -> bool:
    """Whether a target is a folder, as `.` and `/app/.` are for BuildKit and buildah, or may be one."""
    return target.rpartition("/")[2] in ("", ".", "..") or "$" in target


def _of_source(name: str, context: DockerContext) -> str | None:
    if _leaves(name):
        return f"which is outside of {context.folder}; an image is built from the model's folder alone"
    if context.taken(name):
        return None
    path = context.folder / name.lstrip("/")
    if path.exists():
        return f"which stays out of the build: {_kept_out(context)}"
    there = {PurePosixPath(each).parts[0] for each in context.names} | set(context.names)
    meant = near(name, there)
    return f"which isn't in {context.folder}{f'; did you mean {meant}?' if meant else ''}"


def _kept_out(context: DockerContext) -> str:
    always = f"as names with a dot before them do, and {SPEC_FILE}"
    if (context.folder / IGNORE_FILE).is_file():
        return f"{IGNORE_FILE} keeps it out, {always}"
    return f"{', '.join(USUAL)} do, {always}; where {IGNORE_FILE} is, it says in their place what stays out"


def _of_programs(each: Instruction, context: DockerContext) -> str | None:
    """Of scripts called train and serve that are taken as they are, and that may not be executed."""
    taken = {found for name in each.words[:-1] if "$" not in name for found in context.taken(name)}
    for name in sorted(taken):
        path = context.folder / name
        if path.name in PROGRAMS and not path.stat().st_mode & _EXECUTE and path.read_bytes()[:2] == b"#!":
            return (
                f"{each.name} takes {name}, which may not be executed: SageMaker's `{path.name}` would end with "
                f"Permission denied; chmod +x {path}"
            )
    return None


def _leaves(name: str) -> bool:
    depth = 0
    for part in name.strip("/").split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return True
    return False


# ------------------------------------------------------------------------------------------------------ how it starts


def problems_at_start(dockerfile: Dockerfile) -> Iterator[Problem]:
    """Of how the container starts, of an image that SageMaker calls with `train` or `serve`.

    Source: developer guide, How Amazon SageMaker AI Runs Your Training Image: `docker run <image> train`, and the exec
    form of ENTRYPOINT.
    """
    entry = dockerfile.said("ENTRYPOINT")
    if entry is not None and (wrong := _swallows(entry)):
        yield Problem(entry.line, "", wrong)


def is_never_run(dockerfile: Dockerfile) -> Instruction | None:
    """The CMD in whose place SageMaker writes `train` or `serve`, of an image without an ENTRYPOINT."""
    return None if dockerfile.said("ENTRYPOINT") else dockerfile.said("CMD")


def _swallows(entry: Instruction) -> str | None:
    """Why an ENTRYPOINT doesn't hear what it is called with."""
    right = 'write a list in double quotation marks, as ENTRYPOINT ["python3", "/opt/program/main.py"]'
    listed = entry.listed
    if listed is None:
        quoted = ", in single quotation marks," if entry.text.startswith("[") else ""
        return f"ENTRYPOINT is a text for a shell{quoted} which swallows SageMaker's `train` and `serve`; {right}"
    if len(listed) > 2 and Path(listed[0]).name in _SHELLS and "-c" in listed[1] and "$" not in listed[2]:
        calls = f"ENTRYPOINT calls {listed[0]} {listed[1]}, whose text doesn't hear SageMaker's `train` and `serve`"
        return f"{calls}; name the program itself: {right}"
    return None
