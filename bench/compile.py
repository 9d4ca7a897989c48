"""What compiling is worth: a request answered by the framework, and by the same model in ONNX. For each model:

    <model>_speedup      how much longer the framework takes for a request of one example: the ratio of the medians
    <model>_agreement    the share of held-out requests (500, of the detector 72) to which both give the same answer
    <model>_size         the compiled model's bytes over the original's, without code and runtime
    <model>_ms           milliseconds of a request in the framework, and <model>_compiled_ms compiled
    twice_as_fast        models that are at least twice as fast at an agreement of at least 0.995

The models are forest (digits_forest's), xgboost (car_evaluation's booster), resnet18 (cifar_subset's network) and
detector, of fresh weights. Each is trained by its folder's train.py and converted as a compile job does.
Then two processes of one thread each answer the same requests by serve.py's functions, one after the other, in turns:

    python bench/compile.py --data FOLDER      with cifar10_12k.npz and bccd_detection.tar; without them the
                                               networks are left out
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # This folder has a platform.py, which must not stand for Python's own.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import json
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bench import harness
from bench.environments import with_more
from localaws.sagemaker.containers.images import Images

CODE = harness.ROOT / "training_code"
CONVERTERS = CODE / "toolkit" / "compiled" / "requirements.txt"
DATA = harness.ROOT.parent / "shared" / "data"
HERE = Path(__file__).parent
_SCRIPTS = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
SKLEARN = f"{_SCRIPTS}/sagemaker-scikit-learn:1.9-0-cpu-py3"
XGBOOST = f"{_SCRIPTS}/sagemaker-xgboost:3.2-0"
PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
# As deploy.compile chooses it; and what is promised.
TOLERANCE, TWICE, AGREES = 0.005, 2.0, 0.995
SMALL_REQUESTS = 20

Say = Callable[[str], None]


@dataclass(frozen=True)
class Model:
    """A model: its folder, the image that trains it, its knobs, files of its data, and what stands in for its scripts.

    small: the knobs of a small size. scripts: file of the model's code → where it is taken from.
    """

    folder: str
    image: str
    knobs: Sequence[str] = ()
    small: Sequence[str] = ()
    needs: Sequence[str] = ()
    scripts: Mapping[str, Path] = field(default_factory=dict)


MODELS = {
    "forest": Model("digits_forest", SKLEARN),
    "xgboost": Model(
        "car_evaluation",
        XGBOOST,
        scripts={"serve.py": CODE / "car_evaluation" / "booster.py", "compile.py": HERE / "compile_booster.py"},
    ),
    "resnet18": Model(
        "cifar_subset",
        PYTORCH,
        knobs=("--method", "resampled", "--fraction", "0.3", "--epochs", "6"),
        small=("--fraction", "0.02", "--epochs", "1"),
        needs=("cifar10_12k.npz",),
    ),
    "detector": Model(
        "detector",
        PYTORCH,
        knobs=("--size", "192", "--batch_size", "8", "--epochs", "8", "--learning_rate", "0.002"),
        small=("--size", "64", "--epochs", "1"),
        needs=("bccd_detection.tar",),
    ),
}


def measure(data: Path, small: bool, say: Say) -> harness.Document:
    """All models, one after another."""
    found: dict[str, harness.Document] = {}
    for name, model in MODELS.items():
        absent = [file for file in model.needs if not (data / file).is_file()]
        if absent:
            say(f"{name}: left out, there is no {', '.join(absent)} in {data}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            found[name] = measured(name, model, data, Path(folder), small)
        say(f"{name}: " + ", ".join(f"{key} {value}" for key, value in found[name].items() if key != "seconds"))
    return document(found)


def measured(name: str, model: Model, data: Path, folder: Path, small: bool) -> harness.Document:
    """One model's figures, and the seconds of each request: those of the framework, then those of the compiled one."""
    python = environment(model)
    run = partial(_run, python, CODE / model.folder)
    run(HERE / "compile_models.py", name, data, folder)
    trained = folder / "model"
    knobs = ("--train", folder / "train", "--model-dir", trained, *model.knobs, *(model.small if small else ()))
    # Checkpoints of its own: another training goes on from none of them.
    run(CODE / model.folder / "train.py", *knobs, RATCHET_TENSORS=folder / "tensors", SAGEMAKER_BASE_DIR=folder)
    for script, source in model.scripts.items():
        shutil.copyfile(source, trained / "code" / script)
    sizes = json.loads(run(HERE / "compile_side.py", "pack", trained, folder / "forms"))
    requests = (folder / "requests.jsonl").read_text().splitlines()[: SMALL_REQUESTS if small else None]
    seconds, agreement, precision = in_turns(python, trained, folder / "forms", sizes["forms"], requests)
    return {
        "agreement": agreement,
        "size": round(sizes["forms"][precision] / sizes["original"], 3),
        "precision": precision,
        "seconds": seconds,
    }


def environment(model: Model) -> Path:
    """The image's Python with the converters, and what the folder's code asks for, in front of it."""
    python = Path(Images(harness.IMAGES).environment(model.image, partial(print, file=sys.stderr)).python)
    own = CODE / model.folder / "requirements.txt"
    with tempfile.TemporaryDirectory() as folder:
        both = Path(folder, "requirements.txt")
        both.write_text("".join(path.read_text() for path in (CONVERTERS, own) if path.is_file()))
        return with_more(python, both, "--no-deps")


def in_turns(
    python: Path, trained: Path, forms: Path, sizes: Mapping[str, int], requests: Sequence[str]
) -> tuple[list[list[float]], float, str]:
    """The seconds of each request, of the framework and of the form that deploy.compile would take; how many answers
    are equal; and which form that is.
    """
    found = {}
    for precision in sizes:
        sides = [Side(python, trained), Side(python, forms / precision)]
        try:
            for side in sides:
                side.ask(requests[0])  # what a first request alone has to wait for
            asked = [both(sides, request, number) for number, request in enumerate(requests)]
        finally:
            for side in sides:
                side.close()
        equal = equal_answers(python, [[answers[0], answers[1]] for _, answers in asked])
        found[precision] = ([[seconds[side] for seconds, _ in asked] for side in (0, 1)], equal)
        if precision == "int8" and equal >= 1 - TOLERANCE:
            return (*found["int8"], "int8")
    return (*found["float32"], "float32")


def both(sides: Sequence[Side], request: str, number: int) -> tuple[list[float], list[str]]:
    """A request's seconds and answers of both sides, which take turns at being the first."""
    order = (0, 1) if number % 2 else (1, 0)
    told = {side: sides[side].ask(request) for side in order}
    return [told[side][0] for side in (0, 1)], [told[side][1] for side in (0, 1)]


class Side:
    """A process of one thread that answers with a model."""

    def __init__(self, python: Path, model: Path) -> None:
        self._process = subprocess.Popen(
            [python, "-P", HERE / "compile_side.py", "serve", model],
            env=_environment(model / "code"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, request: str) -> tuple[float, str]:
        """A request's seconds, and the answer."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{request}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a model's process has ended; what it said stands above")
        seconds, answer = json.loads(line)
        return seconds, answer

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()


def equal_answers(python: Path, pairs: Sequence[Sequence[str]]) -> float:
    """The share of pairs that are alike as a compile job compares them (toolkit.compiled.comparing)."""
    said = _run(python, CODE, HERE / "compile_side.py", "compare", given=json.dumps(pairs))
    return float(said)


def document(found: Mapping[str, harness.Document]) -> harness.Document:
    """The figures: medians, and how many models keep the promise."""
    figures, samples = dict[str, float](), dict[str, list[float]]()
    for name, one in found.items():
        before, after = ([1000 * seconds for seconds in side] for side in one["seconds"])
        samples |= {f"{name}_ms": before, f"{name}_compiled_ms": after}
        figures |= {
            f"{name}_speedup": round(statistics.median(before) / statistics.median(after), 2),
            f"{name}_agreement": one["agreement"],
            f"{name}_size": one["size"],
            f"{name}_ms": round(statistics.median(before), 4),
            f"{name}_compiled_ms": round(statistics.median(after), 4),
        }
    kept = [name for name in found if figures[f"{name}_speedup"] >= TWICE and figures[f"{name}_agreement"] >= AGREES]
    precision = {name: one["precision"] for name, one in found.items()}
    return {"figures": {**figures, "twice_as_fast": len(kept)}, "samples": samples, "precision": precision}


def _environment(*folders: Path) -> dict[str, str]:
    """One thread, and the folders on the import path."""
    path = os.pathsep.join(map(str, (*folders, CODE, harness.ROOT)))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _run(python: Path, folder: Path, *command: object, given: str | None = None, **told: object) -> str:
    """The last line of what a program says whose modules lie in a folder. told: more variables."""
    done = subprocess.run(
        # -P: nothing of this folder, whose platform.py must not stand for Python's own.
        [python, "-P", *map(str, command)],
        env={**_environment(folder), **{name: str(value) for name, value in told.items()}},
        input=given,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command[:2]))} failed; what it said stands above")
    return done.stdout.splitlines()[-1] if done.stdout.strip() else ""


def main() -> int:
    parser = harness.parser("A request answered by the framework, and by the same model in ONNX.")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="the folder with cifar10_12k.npz and bccd_detection.tar"
    )
    options: Any = parser.parse_args()
    return harness.run_with(options, "compile", partial(measure, options.data))


if __name__ == "__main__":
    sys.exit(main())
