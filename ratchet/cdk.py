"""`cdk` in the virtual environment: the checkout's pinned cdk command, on the Node that pip has brought.

It adds nothing else: where it goes is up to the shell's credentials, as for every cdk command.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

import click

from ratchet import errors, project, tools


def main() -> None:
    """Becomes the cdk command, with the same arguments."""
    try:
        program = str(tools.cdk_program(project.find()))
    except errors.UserError as error:
        click.echo(f"cdk: {error}", err=True)
        sys.exit(error.exit_code)
    os.execve(program, [program, *sys.argv[1:]], with_node(os.environ))  # noqa: S606 - so it is meant


def with_node(around: Mapping[str, str]) -> dict[str, str]:
    """The environment in which `node`, which the cdk command is run by, is found; pip's, where there is one."""
    node = tools.node_folder()
    path = around.get("PATH", os.defpath)
    return {**around, "PATH": os.pathsep.join([str(node), path]) if node else path}
