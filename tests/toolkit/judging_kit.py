"""What tests of the evaluation's script stand on: its folders, held-out data, models, and what it says."""

import contextlib
import io
import json
import tarfile
import tempfile
import textwrap
import unittest
from pathlib import Path

from toolkit import evaluate

# A model that answers with a text of its own model.txt: the column to repeat.
REPEATS = textwrap.dedent("""
    def model_fn(model_dir):
        return int(open(model_dir + "/model.txt").read())
    def input_fn(body, content_type):
        assert content_type == "text/csv"
        return [line.split(",") for line in body.splitlines()]
    def predict_fn(rows, column):
        return [row[column] for row in rows]
    def output_fn(answers, accept):
        return "\\n".join(answers)
""")


class Judging(unittest.TestCase):
    """The script runs in a folder of the test's own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.ml = Path(folder.name)
        self.addCleanup(setattr, evaluate, "ML", evaluate.ML)
        evaluate.ML = self.ml
        # The code as it was deployed: what training copies into its model.
        self.addCleanup(setattr, evaluate, "SOURCE", evaluate.SOURCE)
        evaluate.SOURCE = self.ml / "source"
        evaluate.SOURCE.mkdir()
        self.input, self.output = self.ml / "processing" / "input", self.ml / "processing" / "output"
        # The label, then the label again, then something that is right four times of six.
        self.data("0,0,0\n1,1,1\n2,2,2\n0,0,0\n1,1,2\n2,2,1\n" * 30)

    def data(self, text, name="rows.csv"):
        path = self.input / "test" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def only(self, name, text):
        (self.input / "test" / "rows.csv").unlink()
        self.data(text, name)

    def model(self, name="challenger", serve=REPEATS, column="0", **more):
        files = {"model.txt": column, "code/serve.py": textwrap.dedent(serve), **more}
        if name == "challenger":
            for path, text in files.items():
                if path.startswith("code/") and text is not None:
                    place = evaluate.SOURCE / path[len("code/") :]
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_text(text)
        self.archive(name, [(tarfile.TarInfo(path), text.encode()) for path, text in files.items() if text is not None])

    def archive(self, name, members):
        path = self.input / name / "model.tar.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w:gz") as archive:
            for member, content in members:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    def run_script(self, *arguments, metric="accuracy"):
        with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()) as printed:
            code = evaluate.main(["--metric", metric, *arguments])
        self.said, self.printed = said.getvalue(), printed.getvalue()
        return code

    def judged(self, *arguments, **options):
        self.assertEqual(self.run_script(*arguments, **options), 0, getattr(self, "said", ""))
        return json.loads((self.output / "evaluation.json").read_text())

    def refused(self, *parts, arguments=(), **options):
        """The script fails, and its sentence (in ExitMessage and in the log) has these parts."""
        self.assertEqual(self.run_script(*arguments, **options), 1)
        message = (self.ml / "output" / "message").read_text()
        for part in parts:
            self.assertIn(part, message)
        self.assertIn(message[:200], self.said)
        self.assertFalse((self.output / "evaluation.json").exists())
