"""A checkout of the benchmark's own, with as many models as it likes: this one's app, and copies of one model."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench import harness
from demo import data

COPIED = harness.ROOT / "training_code" / "iris_tree"
SOAK = "soak"
# All that the app, the ratchet and the cdk command look for beside the models.
_LINKED = (
    *("app.py", "cdk.json", "contract", "infra", "lambdas", "ratchet", "requirements", "node_modules", "package.json"),
    *("pyproject.toml", ".venv"),
)


@dataclass(frozen=True)
class Checkout:
    """`training_code` is its own; all else is this checkout's."""

    root: Path

    def add_copies(self, count: int) -> list[str]:
        """Copies of iris-tree, each with a name and prefixes of its own, until there are so many; the names of all."""
        names = [f"copy-{number:03d}" for number in range(count)]
        for name in names:
            folder = self.root / "training_code" / name.replace("-", "_")
            if not folder.exists():
                shutil.copytree(COPIED, folder, ignore=shutil.ignore_patterns("__pycache__", "sample"))
                _rename(folder / "pipeline.yaml", name)
        return names

    def add_soak(self) -> None:
        """The model that trains nothing."""
        shutil.copytree(harness.ROOT / "bench" / "scale_model", self.root / "training_code" / SOAK)


@contextmanager
def checkout() -> Iterator[Checkout]:
    """The working directory, and forgotten at the end."""
    root, before = Path(tempfile.mkdtemp(prefix="ratchet-scale-")), Path.cwd()
    (root / "training_code").mkdir()
    (root / "training_code" / "toolkit").symlink_to(harness.ROOT / "training_code" / "toolkit")
    for name in _LINKED:
        if (harness.ROOT / name).exists():
            (root / name).symlink_to(harness.ROOT / name)
    os.chdir(root)
    try:
        yield Checkout(root)
    finally:
        os.chdir(before)
        shutil.rmtree(root, ignore_errors=True)


def _rename(path: Path, name: str) -> None:
    spec = yaml.safe_load(path.read_text())
    spec.update(name=name, data={channel: f"{name}/{channel}/" for channel in spec["data"]})
    spec["triggers"] = {"data": spec["triggers"]["data"], "code": False}
    path.write_text(yaml.safe_dump(spec, sort_keys=False))


@dataclass(frozen=True)
class Flowers:
    """The data of a copy."""

    name: str

    @property
    def files(self) -> dict[str, str]:
        batches = data.iris_batches()
        return {
            f"{self.name}/test/held_out.csv": data.csv_text(batches["held_out"]),
            f"{self.name}/train/flowers.csv": data.csv_text(batches["flowers"]),
        }

    @property
    def question(self) -> str:
        return ",".join(data.iris()[0][1:])
