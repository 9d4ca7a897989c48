"""Serving a forest and a network: our model server, the whole InvokeEndpoint, and what users would pick instead.

    invoke_ms           the signed and authorized InvokeEndpoint of a decision tree, one client; median
    bare_ms             a call of the predict function of the demo's forest, and nothing around it
    overhead_ms         what a request to our model server, on a port of its own, takes beyond that
    throughput_ratio    its requests a second with 8 clients, over calls a second of the bare function
    invoke_overhead_ms, invoke_throughput_ratio     the same of the whole InvokeEndpoint
    batched_overhead_ms, batched_throughput_ratio   of our model server, with requests that come together predicted
                        together (`deploy.batch`)
    <peer>_overhead_ms, <peer>_throughput_ratio     of bentoml, litserve, mlflow and mms (multi-model-server)
    net_…               all but the first with the PyTorch network of training_code/prune_cnn instead of the forest

All are asked with the same numbers in JSON. Each has one process of the model, and answers by the model's own predict
function: ours and multi-model-server through the model's input and output functions, the others as they read and write
JSON themselves. They run on the same two cores as the client, which is a light one (serving_load.py): boto3 would cost
more than some of the servers. All run at once, and are asked in turn, round by round, the bare function among them; a
figure is the median of the rounds'.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
# What deploys a model is the tests'.
sys.path.extend(str(Path(__file__).resolve().parents[1] / folder) for folder in ("tests", "tests/local"))

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from hosting_kit import Hosting

from bench import harness
from bench.answering import Answering, answering
from bench.serving_endpoint import deployed, hosting
from bench.serving_load import Measured, WrongAnswerError, load
from bench.serving_models import forest, net, tree
from bench.serving_servers import BATCHED, OURS, PEERS, Kind, NotHereError, Served, Target, running

CLIENTS = (1, 8, 32)
ALONE, SEVERAL = 1, 8
CORES = 2
# The figures' names of each server begin so.
PREFIXES = {"server": "", "endpoint": "invoke_", **{kind.name: f"{kind.name}_" for kind in (BATCHED, *PEERS)}}


@dataclass(frozen=True)
class Size:
    """How often each is asked: rounds, and requests a round, for any number of clients; beside which peers."""

    rounds: int
    requests: int
    peers: tuple[Kind, ...]


WHOLE, SMALL = Size(5, 240, (BATCHED, *PEERS)), Size(1, 64, ())


@dataclass(frozen=True)
class Round:
    """Milliseconds of each call of the bare function, and what was measured of each server with so many clients."""

    bare: Sequence[float]
    servers: Mapping[str, Mapping[int, Measured]]


def measure(small: bool, say: Callable[[str], None]) -> harness.Document:
    """The iris tree through InvokeEndpoint, then the demo's forest and the network behind every server."""
    size = SMALL if small else WHOLE
    with _on_two_cores(), tempfile.TemporaryDirectory(prefix="ratchet-bench-") as name, hosting() as aws:
        folder = Path(name)
        found = [alone(size, aws, tree(folder)), measured(size, aws, forest(folder), say)]
        if not small:
            found.append(measured(size, aws, net(folder), say, "net_"))
    return joined(found)


def alone(size: Size, at: Hosting, served: Served) -> harness.Document:
    """A model that takes no time, through InvokeEndpoint."""
    target = deployed(at, "quick", served)
    load(target.port, target.requests(), ALONE, size.requests)
    found = [load(target.port, target.requests(), ALONE, size.requests).latencies for _ in range(size.rounds)]
    samples = [latency for latencies in found for latency in latencies]
    return {"figures": {"invoke_ms": round(statistics.median(samples), 3)}, "samples": {"invoke_ms": samples}}


def measured(size: Size, at: Hosting, served: Served, say: Callable[[str], None], prefix: str = "") -> harness.Document:
    """A model behind every server, all at once; the figures' names begin with `prefix`."""
    with tempfile.TemporaryDirectory(prefix="ratchet-bench-") as name, ExitStack() as stack:
        servers, skipped = [deployed(at, served.folder.name.replace("_", "-"), served)], dict[str, str]()
        for kind in (OURS, *size.peers):
            folder = Path(name) / kind.name
            folder.mkdir()
            try:
                servers.append(stack.enter_context(running(kind, served, folder)))
            except NotHereError as error:
                if kind is OURS:
                    raise
                skipped[kind.name] = str(error)
                say(f"{kind.name} is not measured: {error}")
        bare = stack.enter_context(answering(served.python, "serving_bare.py", str(served.folder)))
        rounds = [one_round(servers, bare, served, size.requests, turn) for turn in range(size.rounds)]
    return {**document(served.folder.name, rounds, say, prefix), **({"skipped": skipped} if skipped else {})}


def joined(found: Sequence[harness.Document]) -> harness.Document:
    """The figures, samples, rows and what was skipped of all."""
    parts = {
        name: {key: value for each in found for key, value in each.get(name, {}).items()}
        for name in ("figures", "samples", "skipped")
    }
    return {**parts, "servers": [row for each in found for row in each.get("servers", ())]}


def one_round(servers: Sequence[Target], bare: Answering, served: Served, requests: int, turn: int) -> Round:
    """Each server with so many clients, in an order that is another each time."""
    calls = bare.ask({"bodies": list(served.answers), "count": requests})
    found = {}
    for target in (*servers[turn % len(servers) :], *servers[: turn % len(servers)]):
        try:
            load(target.port, target.requests(), max(CLIENTS), 2 * max(CLIENTS))
            answered = {clients: load(target.port, target.requests(), clients, requests) for clients in CLIENTS}
        except WrongAnswerError as error:
            raise SystemExit(f"{target.name}: {error}") from error
        found[target.name] = answered
    return Round(calls, found)


# ------------------------------------------------------------------------------------------------------------ figures


def document(model: str, rounds: Sequence[Round], say: Callable[[str], None], prefix: str = "") -> harness.Document:
    """The figures, and a row a server."""
    samples = {f"{prefix}bare_ms": [statistics.median(each.bare) for each in rounds]}
    for name in rounds[0].servers:
        samples[f"{prefix}{PREFIXES[name]}overhead_ms"] = [overhead(each, name) for each in rounds]
        samples[f"{prefix}{PREFIXES[name]}throughput_ratio"] = [ratio(each, name, SEVERAL) for each in rounds]
    rows = [{"model": model, **row(name, rounds)} for name in PREFIXES if name in rounds[0].servers]
    for each in rows:
        say(f"{each['server']}: {each['p50']} ms, p99 {each['p99']} ms, {each['ratio']} of the bare function's calls")
    figures = {name: round(statistics.median(values), 3) for name, values in samples.items()}
    return {"figures": figures, "samples": samples, "servers": rows}


def overhead(of: Round, server: str) -> float:
    """Milliseconds beyond the bare function's."""
    return statistics.median(of.servers[server][ALONE].latencies) - statistics.median(of.bare)


def ratio(of: Round, server: str, clients: int) -> float:
    """Requests a second over the bare function's calls a second."""
    return of.servers[server][clients].throughput * statistics.fmean(of.bare) / 1000


def row(server: str, rounds: Sequence[Round]) -> harness.Document:
    """A server's median and 99th percentile of milliseconds, both over the bare function's, and its throughput's ratio,
    each for every number of clients."""
    bare = statistics.median(latency for each in rounds for latency in each.bare)
    latencies = [
        sorted(one for each in rounds for one in each.servers[server][clients].latencies) for clients in CLIENTS
    ]
    return {
        "server": server,
        "clients": list(CLIENTS),
        "p50": [round(each[len(each) // 2], 2) for each in latencies],
        "p99": [round(each[int(0.99 * len(each))], 2) for each in latencies],
        "p50_over_bare": [round(each[len(each) // 2] / bare, 2) for each in latencies],
        "p99_over_bare": [round(each[int(0.99 * len(each))] / bare, 2) for each in latencies],
        "ratio": [round(statistics.median(ratio(each, server, clients) for each in rounds), 3) for clients in CLIENTS],
    }


@contextmanager
def _on_two_cores() -> Iterator[None]:
    """This process, and all that it starts meanwhile, on two cores, where the system has a word for it."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:CORES])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def main() -> int:
    description = str(__doc__)
    return harness.run("serving", description.partition("\n")[0], measure)


if __name__ == "__main__":
    sys.exit(main())
