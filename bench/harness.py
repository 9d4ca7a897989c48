"""What every benchmark needs: an embedded AWS of its own, figures with their spread, and a record of them."""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
IMAGES = ROOT / ".ratchet" / "images"
# Load a core from which others' work is in the figures.
BUSY = 0.5

Document = dict[str, Any]


def parser(description: str) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    made.add_argument("--small", action="store_true", help="as few repetitions as show that it works; not recorded")
    made.add_argument("--recorded", action="store_true", help="measure nothing: print what was measured last")
    return made


def run(name: str, description: str, measure: Callable[[bool, Callable[[str], None]], Document]) -> int:
    """A benchmark's command line.

    Args:
        name: of its file in bench/results.
        measure: (small, say) -> {"figures": {key: number}, "samples": {key: [numbers]}, and what else is of interest}.
    """
    return run_with(parser(description).parse_args(), name, measure)


def run_with(options: argparse.Namespace, name: str, measure: Callable[[bool, Callable[[str], None]], Document]) -> int:
    """As `run`, for a benchmark that has options of its own besides those of `parser`."""
    if options.recorded:
        path = RESULTS / f"{name}.json"
        if not path.is_file():
            print(f"{path.relative_to(ROOT)} doesn't exist: nothing has been measured yet", file=sys.stderr)
            return 1
        document = json.loads(path.read_text())
    else:
        say = (lambda _text: None) if options.json else (lambda text: print(text, flush=True))
        where = machine()
        if where["load_before"] > BUSY * where["cores"]:
            print(f"the machine is busy (load {where['load_before']}): expect noise", file=sys.stderr)
        places = [value for value in vars(options).values() if isinstance(value, Path)]
        document = _described(measure(options.small, say), where, places)
        if not options.small:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    print(json.dumps(document["figures"]) if options.json else _table(document))
    return 0


def _described(measured: Document, where: Document, places: Sequence[Path] = ()) -> Document:
    spread = {key: _spread(samples) for key, samples in measured.pop("samples", {}).items()}
    figures = measured.pop("figures")
    return {
        "command": _command(places),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": where,
        "figures": figures,
        "spread": spread,
        **measured,
    }


def measured_once(
    file: Path | None, which: Mapping[str, Any], measure: Callable[[], Sequence[Document]]
) -> Sequence[Document]:
    """The rows that a file of JSON lines has of what is measured; if none, they are measured, and added to it.

    Args:
        file: none where nothing is kept, as of a small size, whose rows mustn't pass for the whole one's.
        which: what a row says of itself: network, seed.
    """
    lines = file.read_text().splitlines() if file and file.is_file() else []
    known = [row for row in map(json.loads, lines) if all(row[name] == value for name, value in which.items())]
    if known:
        return known
    found = measure()
    if file:
        with file.open("a") as opened:
            opened.writelines(json.dumps(row) + "\n" for row in found)
    return found


def _command(places: Sequence[Path]) -> str:
    """How this was started. Of a file it has the name alone, not where somebody keeps it."""
    names = {str(place): place.name for place in places}
    arguments = [names.get(argument, argument) for argument in sys.argv[1:]]
    return shlex.join(["python", str(Path(sys.argv[0]).resolve().relative_to(ROOT)), *arguments])


def _spread(samples: Sequence[float]) -> Document:
    """Smallest, median and largest, and a 95th percentile where there are enough."""
    rounded = sorted(map(_short, samples))
    found = {"n": len(rounded), "min": rounded[0], "median": statistics.median(rounded), "max": rounded[-1]}
    return {**found, "p95": rounded[int(0.95 * len(rounded))]} if len(rounded) >= 20 else found


def _short(sample: float) -> float:
    """Three places; of what is below 1, three digits that count."""
    return round(sample, 3) if abs(sample) >= 1 else float(f"{sample:.3g}")


def _table(document: Document) -> str:
    lines = [
        f"{key:24} {_short(value):>10}{_of(document['spread'].get(key))}" for key, value in document["figures"].items()
    ]
    return "\n".join(lines)


def _of(spread: Mapping[str, Any] | None) -> str:
    return f"   {spread['min']} to {spread['max']}, n = {spread['n']}" if spread else ""


def machine() -> Document:
    """Where this is measured, in words that matter to the figures."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """A tar.gz of texts or bytes by their paths."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for path, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@contextmanager
def home() -> Iterator[Path]:
    """A folder for an embedded AWS of the benchmark's own, which is stopped and forgotten at the end.

    Cached images are the checkout's: to make one isn't what is measured.
    """
    folder = Path(tempfile.mkdtemp(prefix="ratchet-bench-"))
    os.environ.update(RATCHET_HOME=str(folder), RATCHET_IMAGES=str(IMAGES))
    try:
        yield folder
    finally:
        ratchet("down", "--wipe")
        shutil.rmtree(folder, ignore_errors=True)


def ratchet(*arguments: str) -> str:
    """The command line's answer.

    Raises:
        SystemExit: it failed; the message is what it said.
    """
    command = [str(Path(sys.executable).with_name("ratchet")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"`ratchet {' '.join(arguments)}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
