"""Whether README's rules leave healthy trainings alone and find sick ones: ten of each, which rule_trainings.py trains.

false_stops    healthy trainings that a rule with `action: stop` would have stopped: CNN and SGD by batches, warm
               restarts, a plateau and then a drop of the rate, a plateau at first, a rate's warm-up, regression under
               noise, wrong labels, rare positives, an autoencoder
missed_stops   sick ones that none would have: diverging at once, late, or by gradients that are never set to zero; a
               rate of nearly nothing; labels shuffled; inputs of zero; dead units; frozen; up instead of down;
               vanishing gradients

Each over as many seeds, so a figure is of 10 · seeds trainings. The rules are those of README.md, as it stands.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable
from typing import Any

import yaml

from bench import harness
from bench.probe import IMAGE
from infra.workflow.judging import saved
from localaws.sagemaker.containers.images import Images
from ratchet.spec import PipelineSpec

SEEDS, SMALL_SEEDS = 3, 1
_YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """All trainings, one after the other."""
    seeds = SMALL_SEEDS if small else SEEDS
    python = Images(harness.IMAGES).environment(IMAGE, say).python
    return figures(list(trainings(python, configuration(readme(), seeds), say)), seeds)


def readme() -> PipelineSpec:
    """README's pipeline.yaml, with its rules."""
    pipeline, rules = _YAML.findall((harness.ROOT / "README.md").read_text(encoding="utf-8"))[:2]
    return PipelineSpec.model_validate({**yaml.safe_load(pipeline), **yaml.safe_load(rules)})


def configuration(spec: PipelineSpec, seeds: int) -> harness.Document:
    """What a job of that pipeline saves and judges, as rule_trainings.py takes it."""
    rules = [
        {"rule": rule.rule, "parameters": dict(rule.parameters), "action": rule.action, "name": rule.configuration_name}
        for rule in spec.rules
    ]
    return {"rules": rules, "probe": {"collections": saved(spec)}, "seeds": seeds}


def trainings(python: Path, document: harness.Document, say: Callable[[str], None]) -> Iterable[dict[str, Any]]:
    """What became of each training, as it ends."""
    script = Path(__file__).with_name("rule_trainings.py")
    command = [str(python), str(script), json.dumps(document)]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            found: dict[str, Any] = json.loads(line)
            say(said(found))
            yield found
    if process.returncode != 0:
        raise SystemExit(f"{script.name} failed with exit code {process.returncode}")


def said(found: dict[str, Any]) -> str:
    """A training's line."""
    end = found["stopped"] and f"stopped by {found['stopped']['by']} at step {found['stopped']['step']}"
    wrong = "" if bool(end) == found["sick"] else "   WRONG"
    return f"{'sick' if found['sick'] else 'healthy':8} {found['name']}, {found['seed']}: {end or 'not stopped'}{wrong}"


def figures(found: list[dict[str, Any]], seeds: int) -> harness.Document:
    """How many were judged wrong, and which."""
    wrong = [one for one in found if bool(one["stopped"]) != one["sick"]]
    return {
        "figures": {
            "false_stops": sum(not one["sick"] for one in wrong),
            "missed_stops": sum(one["sick"] for one in wrong),
        },
        "seeds": seeds,
        "trainings": len(found),
        "wrong": [said(one).strip() for one in wrong],
        "rules_that_could_not_judge": sorted({reason for one in found for reason in one["errors"].values()}),
    }


def main() -> int:
    return harness.run("rules", str(__doc__).partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
