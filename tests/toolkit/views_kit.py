"""A job with tensors for views, and the documents that tell what was drawn."""

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
from pathlib import Path

import numpy as np

from toolkit.probe import Probe
from toolkit.probe.settings import Settings
from toolkit.views.beside import Beside
from toolkit.views.configuration import Configuration

DEADLINE = 180 * float(os.environ.get("RATCHET_TEST_PATIENCE", "1"))
# A training script: steps that save a number and a tensor, then whatever the test adds.
SCRIPT = """
import os, signal, sys, time
import numpy as np
from toolkit.probe import Probe, Trial
probe = Probe.from_environment()
def train(start, end, seconds=0.0):
    for step in range(start, end):
        probe.loss("train", 1 / (1 + step))
        probe.tensor("points", np.full((4, 2), step))
        probe.step()
        time.sleep(seconds)
def evaluate(examples=6):
    with probe.mode("eval"):
        for batch in range(2):
            probe.labels(np.arange(examples) % 3)
            probe.predictions(np.arange(examples) % 3)
            probe.step()
def drawn(name, step, seconds=60):
    import json
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            document = json.loads((probe.directory / "views" / f"{name}.json").read_text())
        except OSError:
            document = {"pictures": []}
        if any(picture["step"] == step for picture in document["pictures"]):
            return
        time.sleep(0.02)
    sys.exit(f"no picture of {name} at step {step}: {document}")
"""
# Views of a model's folder.
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><text y="9">{}</text></svg>'
PLAIN = f"""
    SVG = {SVG!r}
    def plain(trial, step):
        return SVG.format(step)
"""


class ViewsCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        self.tensors = self.folder / "tensors"
        logging.getLogger("ratchet.views").setLevel(logging.CRITICAL)

    def code(self, text, name="views"):
        """A module of the model's folder."""
        (self.folder / f"{name}.py").write_text(textwrap.dedent(text))

    def document(self, name, tensors=None):
        return json.loads(((tensors or self.tensors) / "views" / f"{name}.json").read_text())

    def pictures(self, name):
        return [picture["step"] for picture in self.document(name)["pictures"]]

    def reasons(self, name):
        return [problem["reason"] for problem in self.document(name)["problems"]]

    def saved(self, steps, close=True, **collections):
        """A job's tensors: so many steps, with an evaluation pass after every tenth."""
        probe = Probe(Settings.of({"collections": collections}), directory=self.tensors)
        self.steps(probe, 0, steps)
        if close:
            probe.close()
        else:
            probe.flush()
            self.addCleanup(probe.close)
        return probe

    @staticmethod
    def steps(probe, start, end):
        for step in range(start, end):
            probe.loss("train", 1 / (1 + step))
            probe.tensor("points", np.full((4, 2), step))
            probe.step()
            if step % 10 == 9:
                with probe.mode("eval"):
                    probe.loss("validation", 2 / (1 + step))
                    probe.tensor("examples", np.full(3, step))
                    probe.step()

    def beside(self, *views, limits=None, **more):
        """Draws what is saved, in this process, as beside a training that has ended."""
        configurations = [Configuration.of(view) for view in views]
        return Beside(self.tensors, configurations, self.folder, limits=limits, **more).run()

    def script(self, code, views, wait=True, **environment):
        """A training script with the probe, and its views beside it."""
        path = self.folder / "train.py"
        path.write_text(SCRIPT + textwrap.dedent(code))
        variables = {
            **os.environ,
            "RATCHET_TENSORS": str(self.tensors),
            "RATCHET_VIEWS": views if isinstance(views, str) else json.dumps(views),
            **environment,
        }
        process = subprocess.Popen([sys.executable, str(path)], env=variables, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        if wait:
            _, self.said = process.communicate(timeout=DEADLINE)
        return process

    def poll(self, what, condition):
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                if found := condition():
                    return found
            time.sleep(0.02)
        return self.fail(f"{what} didn't happen within {DEADLINE} s")

    def processes(self):
        """The processes that draw from this test's tensors."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                said = path.read_bytes()
                if b"toolkit.views" in said and (
                    str(self.tensors).encode() in said or str(self.folder).encode() in said
                ):
                    found.append(int(path.parent.name))
        return found
