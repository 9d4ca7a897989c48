"""Whether README's rules leave healthy trainings alone and find sick ones, which rule_trainings.py trains.

false_stops    healthy trainings that a rule with `action: stop` would have stopped: CNN and SGD by batches, warm
               restarts, a plateau and then a drop of the rate, a plateau at first, a rate's warm-up, regression under
               noise, wrong labels, rare positives, an autoencoder
missed_stops   sick ones that none would have: diverging at once, late, or by gradients that are never set to zero; a
               rate of nearly nothing; labels shuffled; inputs of zero; dead units; frozen; up instead of down;
               vanishing gradients

unseen_false_stops, unseen_missed_stops   the same of ten kinds each to which nothing was fitted: real data, other
               networks, rates, lengths and seeds, written down before any of them was run (trainings_unseen.py)

healthy, sick, unseen_healthy, unseen_sick   of how many trainings that is: ten kinds over as many seeds. README's
               values were found on the first two. The rules are those of README.md, as it stands.
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
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import yaml

from bench import harness
from bench.probe import IMAGE
from localaws.sagemaker.containers.images import Images
from ratchet.spec import PipelineSpec
from ratchet.spec.watching import saved

# Which kinds of trainings, and from which seeds their numbers are drawn.
SEEDS = {"fitted": (0, 1, 2), "unseen": (100, 101, 102)}
_YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """All trainings, one after the other."""
    python, spec = Images(harness.IMAGES).environment(IMAGE, say).python, readme()
    found = {}
    for kinds, seeds in SEEDS.items():
        document = configuration(spec, kinds, seeds[:1] if small else seeds)
        found[kinds] = list(trainings(python, document, say))
    return figures(found["fitted"], found["unseen"])


def readme() -> PipelineSpec:
    """README's pipeline.yaml, with its rules."""
    pipeline, rules = _YAML.findall((harness.ROOT / "README.md").read_text(encoding="utf-8"))[:2]
    return PipelineSpec.model_validate({**yaml.safe_load(pipeline), **yaml.safe_load(rules)})


def configuration(spec: PipelineSpec, kinds: str, seeds: Sequence[int]) -> harness.Document:
    """What a job of that pipeline saves and judges, as rule_trainings.py takes it."""
    rules = [
        {"rule": rule.rule, "parameters": dict(rule.parameters), "action": rule.action, "name": rule.configuration_name}
        for rule in spec.rules
    ]
    return {"rules": rules, "probe": {"collections": saved(spec)}, "trainings": kinds, "seeds": seeds}


def trainings(
    python: Path, document: harness.Document, say: Callable[[str], None], *names: str
) -> Iterable[dict[str, Any]]:
    """What became of each training, as it ends; names: only of these."""
    script = Path(__file__).with_name("rule_trainings.py")
    command = [str(python), str(script), json.dumps(document), *names]
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
    fell = (
        "its loss was no number at the end"
        if found["fell"] is None
        else f"its loss fell by {round(100 * found['fell'])} %"
    )
    kind = "sick" if found["sick"] else "healthy"
    return f"{kind:8} {found['name']}, {found['seed']}: {end or 'not stopped'}; {fell}{wrong}"


def figures(fitted: list[dict[str, Any]], unseen: list[dict[str, Any]]) -> harness.Document:
    """How many were judged wrong, and which; what became of each."""
    both = [*fitted, *unseen]
    return {
        "figures": {**counted(fitted), **{f"unseen_{name}": number for name, number in counted(unseen).items()}},
        "wrong": [said(one).strip() for one in both if bool(one["stopped"]) != one["sick"]],
        "rules_that_could_not_judge": sorted({reason for one in both for reason in one["errors"].values()}),
        "trainings": [said(one).strip() for one in both],
    }


def counted(found: list[dict[str, Any]]) -> dict[str, int]:
    """Healthy and sick ones, and how many of each were judged wrong."""
    sick = [one for one in found if one["sick"]]
    healthy = [one for one in found if not one["sick"]]
    return {
        "false_stops": sum(bool(one["stopped"]) for one in healthy),
        "missed_stops": sum(not one["stopped"] for one in sick),
        "healthy": len(healthy),
        "sick": len(sick),
    }


def main() -> int:
    return harness.run("rules", str(__doc__).partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
