"""Evaluates one of SageMaker Debugger's rule configurations with the open rules, as the image of its rules does.

It runs beside a training job, as a processing job: its configuration is `Environment` of
/opt/ml/config/processingjobconfig.json (`rule_to_invoke`, and the rule's parameters as text), the tensors lie in
/opt/ml/processing/input/tensors as the probe saves them, and `training_job_end.ts` there says that no more come.

What it found is its exit code and /opt/ml/output/message: 0, no issue; 1 with "RuleEvaluationConditionMet: …", the rule
has found issues; 1 with another sentence, it couldn't judge.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

# Run as a program, from wherever it lies.
if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from toolkit.beside_training import stand_back
from toolkit.container import base_folder
from toolkit.errors import ToolkitError
from toolkit.probe.debugger_hook import FOLDER, meant
from toolkit.rules import runner
from toolkit.rules.feed import Feed
from toolkit.rules.judging import Configuration, Judge, Status

# After the toolkit, which sees that it can be imported.
from contract import verdicts  # isort: skip

END_MARKER = "training_job_end.ts"
CONDITION_MET = "RuleEvaluationConditionMet"
_RULE = "rule_to_invoke"


def main() -> int:
    """Evaluates the rule; the exit code, as the module says."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    stand_back(runner.NICENESS)
    root = base_folder()
    job = json.loads((root / "config" / "processingjobconfig.json").read_text(encoding="utf-8"))
    status = judged(job.get("Environment") or {}, root / "processing" / "input" / "tensors")
    message = root / "output" / "message"
    message.parent.mkdir(parents=True, exist_ok=True)
    message.write_text(sentence(status), encoding="utf-8")
    logging.info("%s: %s", status.status, sentence(status))
    return 0 if status.status == verdicts.NO_ISSUES else 1


def judged(parameters: Mapping[str, str], tensors: Path) -> Status:
    """The rule's last status: of its first issue, or when training has ended."""
    rule = parameters.get(_RULE, "")
    feed = Feed(tensors / FOLDER)
    judge = Judge(Configuration(rule, rule, own(parameters)), feed, time.time)
    try:
        follow(judge, feed, tensors / END_MARKER)
    except ToolkitError as error:
        return replace(judge.status, status=verdicts.ERROR, reason=f"the tensors can't be read: {error}")
    return judge.status


def own(parameters: Mapping[str, str]) -> dict[str, str]:
    """The rule's parameters, with the probe's names of tensors in place of Debugger's."""
    return {
        name: ",".join(meant(value)) if name.endswith("regex") else value
        for name, value in parameters.items()
        if name != _RULE
    }


def follow(judge: Judge, feed: Feed, end: Path) -> None:
    """Feeds the rule with what is saved, until it has found issues, or `end` is there and all has been judged.

    Raises:
        ProbeError: the index can't be read.
    """
    last_step, last_news = -1, time.monotonic()
    while not judge.status.ended:
        # Asked before the last look, so that nothing is saved between the two.
        over = end.exists()
        for moment in feed.moments():
            last_step, last_news = moment.step, time.monotonic()
            judge.judge(moment)
        if over:
            judge.finish(feed.seen)
            return
        judge.idle(last_step, time.monotonic() - last_news)
        time.sleep(runner.POLL_SECONDS)


def sentence(status: Status) -> str:
    """A status as a sentence, in Debugger's words where it has some (guide, "Debugger exceptions")."""
    if status.status != verdicts.ISSUES_FOUND:
        return status.reason
    return (
        f"{CONDITION_MET}: Evaluation of the rule {status.rule} at step {status.step} resulted in the condition being "
        f"met: {status.reason}"
    )


if __name__ == "__main__":
    sys.exit(main())
