"""Shows Ratchet's loop on the embedded AWS, without further input: `make demo`, or python -m demo.

    data arrive                -> trained, judged, deployed: a champion answers
    more data arrive           -> a better challenger takes over, while a user asks all the time
    mislabelled data arrive    -> the gate refuses the model, the champion goes on answering

It can be run again at any time. A second run finds a champion; so the world moves on: the digits arrive turned by
another quarter, which that champion has never seen. Exit codes: 0 it went as told; 1 it didn't; 130 interrupted.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from demo import drawing
from demo.deliveries import TEST, TRAIN, World, is_the_demos, next_world
from demo.pipeline import DemoError, Pipeline
from demo.story import Story
from demo.traffic import Traffic
from ratchet import account, project
from ratchet.errors import UserError
from ratchet.live import LiveStates, outcome_style
from ratchet.runs import Run

PIPELINE = "digits-forest"
DIGITS = frozenset("0123456789")
SHOWN = 4
# New code's trigger reaches the launcher within a second or so of its deployment.
DEPLOYED_SECONDS = 2.0

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Tells the story and writes it down; an exit code."""
    story, started = Story(PIPELINE), time.monotonic()
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
        story.write(project.find().home)
    console.print(f"\n[bold green]demo: ok[/] after {story.seconds['total']:.0f} s")
    return 0


def tell(story: Story) -> None:
    """Tells the story, from nothing to a table of three runs.

    Raises:
        DemoError, UserError: something went otherwise.
    """
    with phase(story, "up", "1  The embedded AWS starts, and cdk deploys the stacks to it"):
        ratchet("up")
    pipeline = Pipeline(account.connect(project.find(), "local"), PIPELINE)
    world = found_world(pipeline)
    story.degrees = world.degrees

    first_champion(story, pipeline, world)
    ask = pipeline.asker()
    with Traffic(ask, world.questions, DIGITS) as traffic:
        better_challenger(story, pipeline, world, traffic)
        wrong_labels(story, pipeline, world, traffic)
    judge_traffic(story, traffic)
    what_is_this(story, ask, world)
    conclude(story)


@contextmanager
def phase(story: Story, name: str, title: str) -> Iterator[None]:
    """Says what comes, and takes its time."""
    console.print(f"\n[bold]{title}[/]")
    started = time.monotonic()
    yield
    story.seconds[name] = round(time.monotonic() - started, 2)


def ratchet(*arguments: str) -> None:
    """Runs the command line, as a user does."""
    command = [str(Path(sys.executable).with_name("ratchet")), *arguments]
    if subprocess.run(command, check=False).returncode != 0:
        raise DemoError(f"`ratchet {' '.join(arguments)}` failed; what it said stands above")


def found_world(pipeline: Pipeline) -> World:
    """Waits until nothing else is on its way; the world that this demo is told in."""
    if pipeline.champion():
        # What `up` has just deployed may be new code, whose run would come between.
        pipeline.wait_until_idle(DEPLOYED_SECONDS)
    return next_world(pipeline.keys(TEST), has_champion=pipeline.champion() is not None)


# ------------------------------------------------------------------------------------------------------- deliveries


def first_champion(story: Story, pipeline: Pipeline, world: World) -> None:
    """A few digits arrive; whatever learns from them becomes champion."""
    if not any(project.find().images.glob("*")):
        console.print("   the first job makes its image's environment, once: about half a minute")
    with phase(story, "champion", f"2  Data arrive: {len(world.batches['few'])} digits{world} → a champion"):
        clear(pipeline)
        expect(follow(story, pipeline, {**world.held_out(), **world.training("few")}), "Promoted")


def better_challenger(story: Story, pipeline: Pipeline, world: World, traffic: Traffic) -> None:
    """More digits arrive; a better model takes over."""
    title = f"3  More data arrive: {len(world.batches['many'])} digits → a better challenger"
    with phase(story, "challenger", title):
        expect(follow(story, pipeline, world.training("many"), traffic), "Promoted")


def wrong_labels(story: Story, pipeline: Pipeline, world: World, traffic: Traffic) -> None:
    """Mislabelled digits arrive; the gate refuses the model."""
    title = f"4  {len(world.batches['wrong'])} digits with wrong labels arrive → will they pass?"
    with phase(story, "refused", title):
        champion = pipeline.champion()
        expect(follow(story, pipeline, world.training("wrong"), traffic), "NotBetter")
        if pipeline.champion() != champion:
            raise DemoError("the gate refused the model, but the champion isn't the one from before")


def clear(pipeline: Pipeline) -> None:
    """Takes an earlier demo's deliveries away."""
    old = [key for key in (*pipeline.keys(TRAIN), *pipeline.keys(TEST)) if is_the_demos(key)]
    if old:
        console.print(
            "   a champion of an earlier demo answers; now the world turns by a quarter, and it can't read any more"
        )
        pipeline.remove(old)


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


# -------------------------------------------------------------------------------------------------------- the answer


def what_is_this(story: Story, ask: Callable[[str], str], world: World) -> None:
    """Draws a few held-out digits, with the endpoint's answers."""
    with phase(story, "ask", f"5  What is this? The endpoint is asked{world}"):
        digits, answers = world.batches["held_out"][:SHOWN], [ask(body) for body in world.questions[:SHOWN]]
        for line in drawing.drawn(digits):
            console.print(f"   {line}", markup=False)
        labelled = [(answer, digit[0]) for answer, digit in zip(answers, digits, strict=True)]
        console.print(f"   {drawing.captioned([_caption(*pair) for pair in labelled])}")
        story.digits = [{"answer": answer, "label": label} for answer, label in labelled]


def _caption(answer: str, label: str) -> str:
    return f"it says {answer}" if answer == label else f"says {answer}, it is {label}"


def conclude(story: Story) -> None:
    """Prints the runs as a table, one's report, and what to try next."""
    columns = ("run", "outcome", "challenger", "champion", "difference, 95 %", "s")
    table = Table(*columns, box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for run in story.runs:
        table.add_row(*_row(run))
    console.print()
    console.print(table)
    console.print(f"{story.requests['sent']} requests were sent meanwhile; none failed.\n")
    ratchet("report", story.runs[-2].run_id)
    console.print("try next        ratchet status · ratchet report RUN · ratchet rollback digits-forest --wait")
    console.print("                ratchet new my-model && ratchet run my-model --wait · make demo, again")
    console.print("stop            ratchet down (its state stays; --wipe forgets it)")


def _row(run: Run) -> tuple[str, ...]:
    interval = run.evaluation.get("interval")
    difference = f"{run.evaluation['difference']:+.2f} [{interval[0]:+.2f}, {interval[1]:+.2f}]" if interval else "–"
    scores = [f"{score:.3f}" if score is not None else "–" for score in (run.challenger_score, run.champion_score)]
    outcome = f"[{outcome_style(run.outcome)}]{run.outcome}[/]"
    return run.run_id, outcome, *scores, escape(difference), f"{run.seconds or 0:.1f}"


if __name__ == "__main__":
    sys.exit(main())
