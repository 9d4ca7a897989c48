"""A hundred kills at random moments, on the embedded AWS with a deployed pipeline: what is lost, left or wrong.

kills            how often `kill -9` ended the server, what is above it, both or all three, while requests were written
                 to S3, DynamoDB, SQS, SSM and CloudWatch Logs and one of `EPISODES` was on its way
lost             acknowledged writes that weren't there afterwards, or not whole
orphans          processes of a killed server that still ran when the next one answered, and resources that a stack left
wrong_champions  times at which endpoint, run table and answers didn't agree when the pipeline had come to rest

`--seed` chooses the moments: the same one chooses the same again, as far as the machine lets them be the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
# The scripted model, and what deploys it, are the tests'.
sys.path.extend(str(Path(__file__).resolve().parents[1] / folder) for folder in ("tests", "tests/local"))

import contextlib
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial

from deployed import Scripted, deploy, opened
from running_aws import Aws, AwsFactory, Clients
from waiting import until

from bench import harness, kills_episodes
from bench.kills_episodes import EPISODES, PATIENCE_SECONDS, Findings, World
from bench.kills_ledger import Ledger

PIPELINES = {"scripted": Scripted()}
KILLS, SMALL, SEED = 100, 8, 10
VICTIMS = ("server", "server", "server", "above", "both", "all")


def measure(kills: int, seed: int, say: Callable[[str], None]) -> harness.Document:
    """All kills, on an embedded AWS of its own."""
    with tempfile.TemporaryDirectory(prefix="ratchet-kills-") as folder:
        factory = AwsFactory(Path(folder) / "aws")
        try:
            say("the embedded AWS starts, and cdk deploys to it")
            aws = factory.start()
            deploy(aws, Path(folder) / "app", PIPELINES)
            return document(killed_again_and_again(factory, aws, kills, seed, say), seed)
        finally:
            factory.stop()


def document(findings: Findings, seed: int) -> harness.Document:
    figures = {
        "kills": findings.kills,
        "lost": len(findings.lost),
        "orphans": len(findings.orphans),
        "wrong_champions": len(findings.wrong_champions),
    }
    told = {"lost": findings.lost, "orphans": findings.orphans, "wrong_champions": findings.wrong_champions}
    return {
        "figures": figures,
        "samples": {"restart_seconds": findings.restarts} if findings.restarts else {},
        "seed": seed,
        "acknowledged": findings.acknowledged,
        "episodes": dict(findings.episodes),
        "victims": dict(findings.victims),
        "found": told,
    }


def killed_again_and_again(
    factory: AwsFactory, aws: Aws, kills: int, seed: int, say: Callable[[str], None]
) -> Findings:
    """One episode after another, each cut off by a kill."""
    chance, ledger, findings = random.Random(seed), Ledger(seed), Findings()  # noqa: S311 - nothing secret
    aws = unrepeated(aws)
    ledger.prepare(aws)
    pipeline = opened(aws, "scripted", PIPELINES["scripted"])
    world = World(aws, pipeline, ledger, findings, chance)
    kills_episodes.prepare(world)
    names = list(EPISODES)
    for number in range(kills):
        name, victim = names[number % len(names)], chance.choice(VICTIMS)
        world.number = number
        say(f"{number + 1}/{kills}: {victim} during {name}")
        cut_off(factory, world, name, victim)
        findings.episodes[name] += 1
        findings.victims[victim] += 1
    findings.lost += ledger.lost(world.aws)
    findings.acknowledged = {kind: len(names) for kind, names in ledger.acknowledged.items()}
    return findings


def cut_off(factory: AwsFactory, world: World, name: str, victim: str) -> None:
    """Begin an episode, kill, start again, and let the episode look at what became of it."""
    episode, stopping = EPISODES[name], threading.Event()
    world.ledger.ready(world.aws)
    writer = threading.Thread(target=world.ledger.write_until, args=(world.aws, stopping))
    writer.start()
    doing = threading.Thread(target=partial(_unless_killed, episode.begin, world))
    doing.start()
    time.sleep(world.chance.uniform(0, episode.seconds))
    kill(world.aws.server.pid, victim)
    stopping.set()
    started = time.monotonic()
    world.restarted(unrepeated(factory.start()))
    world.findings.restarts.append(time.monotonic() - started)
    world.findings.kills += 1
    for thread in (doing, writer):
        thread.join()
    world.findings.orphans += [f"{name}, {victim}: {left}" for left in orphans(factory.state, world.aws.server.pid)]
    episode.settle(world)


def _unless_killed(begin: Callable[[World], None], world: World) -> None:
    with contextlib.suppress(*kills_episodes.CUT_OFF):
        begin(world)


def unrepeated(aws: Aws) -> Aws:
    """Clients that ask once: what a killed server didn't answer isn't acknowledged."""
    return Aws(aws.server, aws.state, Clients(retries=0))


def kill(server: int, victim: str) -> None:
    above = _above(server)
    chosen = {"server": [server], "above": [above], "both": [above, server], "all": [_above(above), above, server]}
    for pid in chosen[victim]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # The server goes with what is above it, a moment later: until then it answers whoever would start one.
    until(lambda: not Path(f"/proc/{server}").exists(), "the server's end", PATIENCE_SECONDS)


def orphans(state: Path, server: int) -> list[str]:
    """Processes that have to do with this state and aren't below the server that runs now, or above it."""
    needle, top = os.fsencode(state.parent.name), _above(_above(server))
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and not _is_below(os.getpid(), int(folder.name)):
            with contextlib.suppress(OSError):
                words = [(folder / name).read_bytes() for name in ("cmdline", "environ", "mountinfo")]
                if any(needle in word for word in words) and not _is_below(int(folder.name), top):
                    found.append(f"{folder.name} {words[0][-80:].decode(errors='replace')}")
    return found


def _is_below(pid: int, top: int) -> bool:
    while pid not in (0, 1, top):
        pid = _above(pid)
    return pid == top


def _above(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def main() -> int:
    parser = harness.parser(str(__doc__).partition("\n")[0])
    parser.add_argument("--seed", type=int, default=SEED, help=f"chooses the moments; {SEED} without it")
    parser.add_argument("--kills", type=int, default=KILLS, help=f"how many; {KILLS} without it")
    options = parser.parse_args()
    return harness.run_with(
        options, "kills", lambda small, say: measure(SMALL if small else options.kills, options.seed, say)
    )


if __name__ == "__main__":
    sys.exit(main())
