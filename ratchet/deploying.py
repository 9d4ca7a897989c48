"""Deploying to the embedded AWS: which stacks have changed since they were last deployed, and the cdk command for them.

A synthesis takes seconds, so what was deployed is remembered: for each stack the hash of the files it is made from, in
`deployed.json` beside the state. The hash is worth something only for the AWS it was deployed to, so that AWS's access
key, which each new state makes anew, stands beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from contract import files, names
from ratchet import tools
from ratchet.account import Account, Server, is_deployed
from ratchet.project import TRAINING_CODE, Project

BOOTSTRAP_STACK = "CDKToolkit"

# Every stack is made from these: the app, all that it imports or packs into functions and jobs, and the pins.
_APP = (
    "app.py",
    "cdk.json",
    "requirements/main.txt",
    "contract",
    "infra",
    "lambdas",
    "ratchet/__init__.py",
    "ratchet/spec",
    f"{TRAINING_CODE}/{files.TOOLKIT}",
)
# Folders of a model's that no stack is made from.
_NO_CODE = ("data", "sample", "tests")
_EVENT = re.compile(
    r"^(?P<stack>[\w-]+)\s+\|\s*(?P<done>\d+)(?:/(?P<all>\d+))?\s*\|[^|]*\|\s*(?P<status>[A-Z_]+)\s*\|"
    r"\s*(?P<type>[\w:]+)\s*\|\s*(?P<id>[^|]*)"
)


@dataclass(frozen=True)
class Step:
    """One line of a deployment's progress: a stack's resource has reached a status."""

    stack: str
    status: str
    resource: str
    done: int
    of: int | None


def step(line: str) -> Step | None:
    """A line of the cdk command's as a step; None for all other lines."""
    match = _EVENT.match(line.strip())
    if match is None:
        return None
    of = match["all"]
    return Step(
        match["stack"],
        match["status"],
        f"{match['type']} {match['id'].strip()}",
        int(match["done"]),
        int(of) if of else None,
    )


def is_worth_telling(line: str) -> bool:
    """Whether a line says why a deployment failed: all but blank ones and resources that went well or back."""
    found = step(line)
    return bool(line.strip()) and (found is None or found.status.endswith("FAILED"))


def is_bootstrapped(account: Account) -> bool:
    """Whether `cdk bootstrap` has been done there; one that failed is done anew."""
    paginator = account.client("cloudformation").get_paginator("describe_stacks")
    stacks = [stack for page in paginator.paginate() for stack in page["Stacks"]]
    return any(stack["StackName"] == BOOTSTRAP_STACK and is_deployed(stack) for stack in stacks)


def stale(project: Project, account: Account, server: Server, pipelines: Iterable[str]) -> list[str]:
    """The stacks, of the shared one and these pipelines', that aren't deployed as the checkout has them."""
    remembered = _remembered(project, server)
    return [
        account.stack(name)
        for name in (names.SHARED, *pipelines)
        if account.stack_outputs(name) is None or remembered.get(name) != source_hash(project, name)
    ]


def deploy(
    project: Project, account: Account, server: Server, stacks: Sequence[str], heard: Callable[[str], None]
) -> None:
    """Deploys stacks (with those that they need) by the cdk command, and remembers from what.

    Raises:
        UserError: the deployment failed.
    """
    prefix = account.stack("")
    deployed = [stack.removeprefix(prefix) for stack in stacks]
    hashes = {name: source_hash(project, name) for name in deployed}
    # Only these are synthesized: a mistake in another pipeline's folder is no reason to fail.
    only = ["--context", f"pipelines={','.join(deployed)}"]
    arguments = ["deploy", *stacks, *_options(project, account), *only, "--require-approval", "never"]
    tools.run_cdk(project, arguments, tools.environment(project, server), heard, is_worth_telling)
    account.forget_outputs()
    _remember(project, server, hashes)


def bootstrap(project: Project, account: Account, server: Server, heard: Callable[[str], None]) -> None:
    """`cdk bootstrap` of the embedded AWS, for which no stack is synthesized. Raises UserError."""
    target = f"aws://{server.account}/{server.region}"
    arguments = ["bootstrap", target, "--app", "", *_options(project, account)]
    tools.run_cdk(project, arguments, tools.environment(project, server), heard, is_worth_telling)


def _options(project: Project, account: Account) -> list[str]:
    """An output folder of its own: the cdk command refuses one that another cdk works in."""
    context = f"environment={account.environment.name}"
    return ["--context", context, "--output", str(project.home / "cdk.out"), "--progress", "events"]


def source_hash(project: Project, name: str) -> str:
    """The hash of a stack's sources: their names and contents."""
    digest = hashlib.sha256()
    for path in sources(project, name):
        digest.update(str(path.relative_to(project.root)).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def sources(project: Project, name: str) -> Iterator[Path]:
    """The files that a stack is made from: the app's, and those of the pipeline's folder."""
    for source in _APP:
        yield from _files(project.root / source)
    if name != names.SHARED and name in project.pipelines:
        yield from _files(project.pipelines[name], without=_NO_CODE)


def _files(root: Path, without: Sequence[str] = ()) -> Iterator[Path]:
    """A file, or a folder's files in a fixed order, without prose, caches and hidden files."""
    if root.is_file():
        yield root
        return
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        left_out = any(part.startswith((".", "__pycache__")) or part in without for part in parts)
        if path.is_file() and not left_out and path.suffix != ".md":
            yield path


def _remembered(project: Project, server: Server) -> dict[str, str]:
    try:
        document = json.loads(_memory(project).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(document["stacks"]) if document.get("aws") == server.access_key_id else {}


def _remember(project: Project, server: Server, hashes: dict[str, str]) -> None:
    document = {"aws": server.access_key_id, "stacks": {**_remembered(project, server), **hashes}}
    _memory(project).write_text(json.dumps(document, indent=1), encoding="utf-8")


def _memory(project: Project) -> Path:
    return project.home / "deployed.json"
