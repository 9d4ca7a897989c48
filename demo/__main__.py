"""Shows Ratchet's loop on the embedded AWS, without further input: `make demo`, or python -m demo.

    data arrive                -> trained, judged, deployed: a champion answers
    more data arrive           -> a better challenger takes over, while a user asks without pause
    mislabelled data arrive    -> the gate refuses the model, the champion goes on answering

It can be run again at any time. A second run finds a champion; so the world moves on: the digits arrive turned by
another quarter, which that champion has never seen. Exit codes: 0 it went as told; 1 it didn't; 130 interrupted.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo import data, drawing
from demo.pipeline import DemoError, Pipeline
from demo.traffic import Traffic
from ratchet import account, project
from ratchet.errors import UserError
from ratchet.live import LiveStates, outcome_style
from ratchet.runs import Run

PIPELINE = "digits-forest"
TRAIN, TEST = "digits/train/", "digits/test/"
DIGITS = frozenset("0123456789")
SHOWN = 4
# New code's trigger reaches the launcher within a second or so of its deployment.
DEPLOYED_SECONDS = 2.0
TURNED = re.compile(r"/turned-(\d+)/")

console = Console(highlight=False, soft_wrap=True)


@dataclass
class Story:
    """What has happened so far: becomes .ratchet/demo.json."""

    turned: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=lambda: {"sent": 0, "failed": 0})
    digits: list[dict[str, str]] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str, title: str) -> Iterator[None]:
        """Says what comes, and takes its time."""
        console.print(f"\n[bold]{title}[/]")
        started = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - started, 2)


def main() -> int:
    """Tells the story; an exit code."""
    story, started = Story(), time.monotonic()
    try:
        tell(story)
    except (DemoError, UserError) as error:
        console.print(f"\n[bold red]demo: failed:[/] {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("\ndemo: interrupted; the embedded AWS stays up (`ratchet down` stops it)")
        return 130
    finally:
        story.seconds["total"] = round(time.monotonic() - started, 2)
        write(story)
    console.print(f"\n[bold green]demo: ok[/] after {story.seconds['total']:.0f} s")
    return 0


def tell(story: Story) -> None:
    """From nothing to a table of three runs.

    Raises:
        DemoError, UserError: something went otherwise.
    """
    with story.phase("up", "1  The embedded AWS starts, and cdk deploys the stacks to it"):
        ratchet("up")
    pipeline = Pipeline(account.connect(project.find(), "local"), PIPELINE)
    if pipeline.champion():
        # What `up` has just deployed may be new code, whose run would come between.
        pipeline.wait_until_idle(DEPLOYED_SECONDS)
    story.turned = next_turn(pipeline)
    batches = data.digit_batches(story.turned)
    files = Files(story.turned)

    if not any(project.find().images.glob("*")):
        console.print("   the first job makes its image's environment, once: about half a minute")
    with story.phase("champion", f"2  Data arrive: {len(batches['few'])} digits{_turn(story)} → a champion"):
        clear(pipeline)
        held_out = {files.test("held_out"): data.csv_text(batches["held_out"])}
        run = follow(story, pipeline, {**held_out, files.train("few"): data.csv_text(batches["few"])})
        expect(run, "Promoted")

    ask = pipeline.asker()
    bodies = [",".join(row[1:]) for row in batches["held_out"]]
    with Traffic(ask, bodies, DIGITS) as traffic:
        with story.phase("challenger", f"3  More data arrive: {len(batches['many'])} digits → a better challenger"):
            run = follow(story, pipeline, {files.train("many"): data.csv_text(batches["many"])}, traffic)
            expect(run, "Promoted")
        with story.phase("refused", f"4  {len(batches['wrong'])} digits with wrong labels arrive → will they pass?"):
            champion = pipeline.champion()
            run = follow(story, pipeline, {files.train("wrong"): data.csv_text(batches["wrong"])}, traffic)
            expect(run, "NotBetter")
            if pipeline.champion() != champion:
                raise DemoError("the gate refused the model, but the champion isn't the one from before")
    judge_traffic(story, traffic)

    with story.phase("ask", f"5  What is this? The endpoint is asked{_turn(story)}"):
        show_digits(story, ask, batches["held_out"])
    conclude(story)


def ratchet(*arguments: str) -> None:
    """The command line, as a user calls it."""
    command = [str(Path(sys.executable).with_name("ratchet")), *arguments]
    if subprocess.run(command, check=False).returncode != 0:
        raise DemoError(f"`ratchet {' '.join(arguments)}` failed; what it said stands above")


# ------------------------------------------------------------------------------------------------------------- data


@dataclass(frozen=True)
class Files:
    """The keys of a world's deliveries; they tell how its digits are turned."""

    turned: int

    def train(self, name: str) -> str:
        return f"{TRAIN}turned-{90 * self.turned}/{name}.csv"

    def test(self, name: str) -> str:
        return f"{TEST}turned-{90 * self.turned}/{name}.csv"


def next_turn(pipeline: Pipeline) -> int:
    """How many quarters the digits are turned this time: none for the first champion, then one more each time."""
    last = next((TURNED.search(key) for key in pipeline.keys(TEST) if TURNED.search(key)), None)
    if last is None or pipeline.champion() is None:
        return 0
    return (int(last[1]) // 90 + 1) % 4


def clear(pipeline: Pipeline) -> None:
    """Takes the demo's own deliveries of the last time away."""
    old = [key for key in (*pipeline.keys(TRAIN), *pipeline.keys(TEST)) if TURNED.search(key)]
    if old:
        console.print(
            "   a champion of an earlier demo answers; now the world turns by a quarter, and it can't read any more"
        )
        pipeline.remove(old)


def _turn(story: Story) -> str:
    return f", turned by {90 * story.turned}°" if story.turned else ""


# ------------------------------------------------------------------------------------------------------------- runs


def follow(story: Story, pipeline: Pipeline, files: dict[str, str], traffic: Traffic | None = None) -> Run:
    """Delivers files, and follows the run that they start to its end."""
    before, sent = pipeline.newest_run_id(), traffic.sent if traffic else 0
    pipeline.deliver(files)
    with LiveStates(console) as live:
        run = pipeline.judged_after(before, live.look)
    story.runs.append(run)
    console.print(f"  [{outcome_style(run.outcome)}]{run.outcome}[/]  {escape(run.reason)}")
    if traffic:
        console.print(f"  {traffic.sent - sent} requests meanwhile, {len(traffic.failures)} failed")
    return run


def expect(run: Run, outcome: str) -> None:
    if run.outcome != outcome:
        raise DemoError(
            f"run {run.run_id} ended {run.outcome}, not {outcome}: {run.reason}; see `ratchet logs {run.run_id}`"
        )


def judge_traffic(story: Story, traffic: Traffic) -> None:
    story.requests = {"sent": traffic.sent, "failed": len(traffic.failures)}
    if traffic.failures:
        raise DemoError(f"{len(traffic.failures)} of {traffic.sent} requests failed; the first: {traffic.failures[0]}")


# --------------------------------------------------------------------------------------------------------- pictures


def show_digits(story: Story, ask: Any, held_out: list[data.Row]) -> None:
    """Draws a few held-out digits, with the endpoint's answers."""
    digits = held_out[:SHOWN]
    answers = [ask(",".join(digit[1:])) for digit in digits]
    for line in drawing.drawn(digits):
        console.print(f"   {line}", markup=False)
    told = [_told(answer, digit[0]) for answer, digit in zip(answers, digits, strict=True)]
    console.print(f"   {drawing.captioned(told)}")
    story.digits = [{"answer": answer, "label": digit[0]} for answer, digit in zip(answers, digits, strict=True)]


def _told(answer: str, label: str) -> str:
    return f"it says {answer}" if answer == label else f"says {answer}, it is {label}"


def conclude(story: Story) -> None:
    """The runs as a table, their report, and what to try."""
    columns = ("run", "outcome", "challenger", "champion", "difference, 95 %", "s")
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for run in story.runs:
        figures = run.evaluation
        interval = figures.get("interval") or []
        difference = f"{figures['difference']:+.2f} [{interval[0]:+.2f}, {interval[1]:+.2f}]" if interval else "–"
        champion = f"{run.champion_score:.3f}" if run.champion_score is not None else "–"
        challenger = f"{run.challenger_score:.3f}" if run.challenger_score is not None else "–"
        outcome = f"[{outcome_style(run.outcome)}]{run.outcome}[/]"
        table.add_row(run.run_id, outcome, challenger, champion, escape(difference), f"{run.seconds or 0:.1f}")
    console.print()
    console.print(table)
    console.print(f"{story.requests['sent']} requests were sent meanwhile; none failed.\n")
    ratchet("report", story.runs[-2].run_id)
    console.print("try next        ratchet status · ratchet report RUN · ratchet rollback digits-forest --wait")
    console.print("                ratchet new my-model && ratchet run my-model --wait · make demo, again")
    console.print("stop            ratchet down (its state stays; --wipe forgets it)")


def write(story: Story) -> None:
    """demo.json, beside the embedded AWS's state; also of a story that went wrong."""
    home = project.find().home
    home.mkdir(parents=True, exist_ok=True)
    document = {
        "pipeline": PIPELINE,
        "turned_degrees": 90 * story.turned,
        "seconds": story.seconds,
        "requests": story.requests,
        "digits": story.digits,
        "runs": [_record(run) for run in story.runs],
    }
    (home / "demo.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _record(run: Run) -> dict[str, Any]:
    figures = run.evaluation
    return {
        "run_id": run.run_id,
        "outcome": run.outcome,
        "decision": run.reason,
        "metric": run.metric,
        "scores": {"challenger": run.challenger_score, "champion": run.champion_score},
        "difference": figures.get("difference"),
        "interval": figures.get("interval"),
        "seconds": run.seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
