"""Whether what is compiled in one image runs in another: the compiled model brings its runtime along, built for a
Python and for CPUs."""

from __future__ import annotations

import re

from infra.images import processor
from ratchet.spec import PipelineSpec

# "Requires-Python" of the onnxruntime that toolkit/compiled/requirements.txt pins.
LEAST = (3, 11)
_PYTHON = re.compile(r"-py3(\d\d)\b")


def check_compiling(spec: PipelineSpec, evaluating: str, hosting: str) -> None:
    """Raises SpecError where `deploy.compile` is said, and the images or the instances don't fit it.

    Args:
        evaluating, hosting: the images' URIs. What they don't say of their Python the job sees by itself.
    """
    if spec.deploy.compile is None:
        return
    compiles, serves = _python(evaluating), _python(hosting)
    if compiles and compiles < LEAST:
        needed, here = (".".join(map(str, one)) for one in (LEAST, compiles))
        message = f"needs an image with Python {needed} or newer, and this one has {here}: {evaluating}"
        raise spec.error("deploy.compile", f"{message}; name a later framework.version")
    if compiles and serves and compiles != serves:
        raise spec.error(
            "deploy.compile",
            f"is made in {evaluating} and would run in {hosting}, which has another Python; name another version",
        )
    for instance in [] if spec.deploy.is_serverless else spec.deploy.instance.in_order:
        if processor(instance) != "cpu":
            raise spec.error(
                "deploy.compile",
                f"answers on x86 CPUs, and {instance} is a machine for {processor(instance)} images; name another "
                "deploy.instance, or leave it out",
            )


def _python(uri: str) -> tuple[int, int] | None:
    found = _PYTHON.search(uri)
    return (3, int(found[1])) if found else None
