"""`python -m toolkit.rules`: judges a training job's tensors, beside the training or afterwards.

The probe starts it with `--trainer`: rules in RATCHET_RULES, tensors in RATCHET_TENSORS. With `--tensors` it
judges any job's tensors, a folder or an s3:// prefix, as a processing job may.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from contract import environment
from toolkit.beside_training import Stop, Trainer, stand_back
from toolkit.probe import layout
from toolkit.probe.settings import Settings
from toolkit.rules import runner, table
from toolkit.rules.feed import Feed
from toolkit.rules.judging import Configuration, Status
from toolkit.rules.messenger import Messenger, Silent
from toolkit.rules.parameters import RuleError
from toolkit.rules.statuses import Job


def main(arguments: Sequence[str]) -> int:
    """Judges a job; the exit code is 0, 1 when a verdict couldn't be told, 2 when the rules can't be read."""
    options = _options(arguments)
    if options.write_table is not None:
        table.write(options.write_table)
        return 0
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    stand_back(runner.NICENESS)
    stop = Stop()
    stop.listen()
    place = options.tensors or str(layout.directory())
    output = options.output or Path(place)
    try:
        configurations = read(options.rules or environment.whole(environment.RULES, os.environ) or "[]")
    except RuleError as error:
        return runner.judged_without(error, output, _teller)
    trainer = Trainer(options.trainer)
    copied = options.trainer is not None and _is_copied()
    judging = runner.Runner(Feed(place), configurations, output, _teller, trainer=trainer, stop=stop, copied=copied)
    return judging.run()


def read(text: str) -> list[Configuration]:
    """The rules of a job. Raises RuleError."""
    try:
        documents = json.loads(text)
    except ValueError as error:
        raise RuleError(f"{environment.RULES} is not JSON: {error}") from error
    if not isinstance(documents, list):
        raise RuleError(f'{environment.RULES} must be a list of {{"rule": name, …}}, not {documents!r}')
    found = [Configuration.of(document) for document in documents]
    names = [configuration.name for configuration in found]
    if twice := {name for name in names if names.count(name) > 1}:
        raise RuleError(f"two rules are called {', '.join(sorted(twice))}; give each a name")
    return found


def _is_copied() -> bool:
    """Whether the probe copies the tensors to S3; it has read its settings already."""
    return Settings.parse(environment.of_this_job(environment.PROBE, os.environ)).output is not None


def _teller(delivered: Callable[[Sequence[Status]], None]) -> runner.Teller:
    job = Job.of(os.environ)
    return Messenger(job, delivered) if job.name else Silent()


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m toolkit.rules", description=__doc__)
    parser.add_argument("--tensors", help="a finished job's tensors: a folder or an s3:// prefix")
    parser.add_argument("--trainer", type=int, metavar="PID", help="the training process, whose child this one is")
    parser.add_argument("--rules", help="the rules, as JSON; RATCHET_RULES unless given")
    parser.add_argument(
        "--output", type=Path, help="where rules/<name>.json are written; beside the tensors unless given"
    )
    parser.add_argument(
        "--write-table", type=Path, metavar="CHECKOUT", help="write ratchet/spec/rules.json and docs/rules.md"
    )
    options = parser.parse_args(arguments)
    if options.tensors and options.tensors.startswith("s3://") and options.output is None:
        parser.error("--tensors in S3 need --output, a folder for the verdicts")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
