"""Gate: is the challenger better than the champion?"""

from __future__ import annotations

from contract import files, functions
from contract.candidates import CANDIDATES
from contract.states import GATE
from infra.grants import Grant, list_prefixes, use_key
from infra.workflow.expressions import expression
from infra.workflow.run_function import RunFunction, invoke
from infra.workflow.run_grants import RUNS_ARE_NAMED_LATER, write_runs
from infra.workflow.step import Step
from infra.workflow.surroundings import Surroundings
from infra.workflow.way import Way


def gate(at: Surroundings, way: Way, *, then: str) -> Step:
    """`$decision` says whether, and why; of candidates, which of them is the challenger."""
    decides = _function(at)
    payload = {
        "run": expression("$run"),
        "gate": at.spec.gate.model_dump(mode="json"),
        "champion": expression("$plan.champion"),
        "supersede": expression("$plan.supersede"),
        **({CANDIDATES: list(way.candidates)} if way.candidates else {}),
    }
    decided = invoke(GATE, decides, payload, then=then, result="decision", assign=way.chosen)
    return Step(states=decided, function=decides)


def _function(at: Surroundings) -> RunFunction:
    evaluation = f"{at.shared.artifact_bucket_arn}/{at.runs}*/{files.EVALUATION}"
    return RunFunction(
        folder="gate",
        purpose="Decides whether the challenger wins",
        seconds=60,
        variables={functions.ARTIFACT_BUCKET: at.shared.artifact_bucket},
        grants=[
            Grant(actions=["s3:GetObject"], resources=[evaluation], because=RUNS_ARE_NAMED_LATER),
            list_prefixes(at.shared.artifact_bucket_arn, [at.runs]),
            write_runs(at, files.GATE),
            use_key(at.account, at.shared.key_arn, "s3"),
        ],
    )
