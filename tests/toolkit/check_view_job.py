"""The job of `ratchet view`, as its container runs it: from code and tensors to pictures, or to a sentence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import contract
import toolkit
from contract import drawings
from toolkit.probe import Probe

VIEWS = """
from helper import circle

def dots(trial, step, radius=2):
    return circle(trial.value("x", step), radius)
"""
HELPER = """
def circle(x, radius):
    return f'<svg xmlns="http://www.w3.org/2000/svg"><circle cx="{x}" r="{radius}"/></svg>'
"""


class Job(unittest.TestCase):
    """A container's folders, in a folder of the test's own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.ml, self.source = Path(folder.name, "ml"), Path(folder.name, "source")
        for package in (toolkit, contract):
            place = Path(package.__file__).parent
            shutil.copytree(place, self.source / place.name, ignore=shutil.ignore_patterns("__pycache__"))
        (self.source / "views.py").write_text(VIEWS)
        (self.source / "helper.py").write_text(HELPER)
        probe = Probe(directory=self.ml / "processing" / "input" / "tensors")
        for step in range(7):
            probe.scalar("x", step)
            probe.step()
        probe.close()

    def draw(self, *views, steps=None, arguments=None):
        words = drawings.arguments(views, steps) if arguments is None else arguments
        return subprocess.run(
            [sys.executable, "toolkit/view_job.py", *words],
            cwd=self.source,
            env={**os.environ, "SAGEMAKER_BASE_DIR": str(self.ml), "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )

    def document(self, name):
        return json.loads((self.ml / "processing" / "output" / "views" / f"{name}.json").read_text())

    @property
    def message(self):
        return (self.ml / "output" / "message").read_text()

    def view(self, name="dots", every=3, **parameters):
        return {"view": name, "name": name, "every": every, "parameters": parameters}

    def test_all_that_is_due_is_drawn_with_the_codes_own_modules(self):
        done = self.draw(self.view(radius=5))
        self.assertEqual(done.returncode, 0, done.stderr)
        pictures = self.document("dots")["pictures"]
        self.assertEqual([picture["step"] for picture in pictures], [0, 3, 6])
        first = (self.ml / "processing" / "output" / pictures[1]["file"]).read_text()
        self.assertIn('cx="3.0" r="5"', first)

    def test_the_steps_that_are_asked(self):
        self.assertEqual(self.draw(self.view(), steps=[0, 5]).returncode, 0)
        self.assertEqual([picture["step"] for picture in self.document("dots")["pictures"]], [0, 5])

    def test_what_a_view_does_wrong_stands_in_its_document(self):
        done = self.draw(self.view(radius=1), self.view("dots2", every=3))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("dots2", self.document("dots2")["problems"][0]["reason"])
        self.assertEqual(self.document("dots")["failed"], 0)

    def test_where_nothing_is_due_a_sentence_says_so(self):
        done = self.draw(self.view(every="evaluation"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("dots: nothing is due; there was no evaluation until training step 6", self.message)

    def test_arguments_that_it_cannot_read(self):
        self.assertEqual(self.draw(arguments=["{"]).returncode, 1)
        self.assertTrue(self.message)

    def test_requirements_that_cannot_be_installed(self):
        (self.source / "requirements.txt").write_text("./no-such-wheel.whl\n")
        self.assertEqual(self.draw(self.view()).returncode, 1)
        self.assertIn("requirements.txt can't be installed for the views: ", self.message)


if __name__ == "__main__":
    unittest.main()
