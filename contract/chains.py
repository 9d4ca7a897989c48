"""A model that a chain of containers serves, SageMaker's inference pipeline: what each answers, the next is asked.

`deploy.chain` of pipeline.yaml names the containers. The model's own archive says them again, in a file beside its
code: so an evaluation answers through the very chain that serves, with nothing but the archive. It is a JSON list of
{"name", "entry": the file with its functions, "framework": whose image it runs in (null: the pipeline's that serves),
"environment": its variables}; it names no image, since a model's code is the same in every account and region.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# The containers of a candidate and of a champion, as CreateModel takes them, without the archive that all of them load.
CHAIN = "chain"
CHAIN_FILE = "chain.json"
# "Inference pipelines in Amazon SageMaker AI" (developer guide): a linear sequence of two to fifteen containers.
LEAST, MOST = 2, 15
# The framework containers' variable for the answer's type where a request asks for none: between containers.
ACCEPT = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"


def written(containers: list[dict[str, Any]]) -> bytes:
    """The file's content, the same bytes for the same chain."""
    return json.dumps(containers, sort_keys=True).encode() + b"\n"


def named(model: Mapping[str, Any]) -> str:
    """The containers that serve a candidate or a champion, by their names in order; empty where it is one alone."""
    return ", ".join(str(container.get("ContainerHostname")) for container in model.get(CHAIN) or ())
