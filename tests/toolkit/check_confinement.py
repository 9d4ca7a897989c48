"""What a model under evaluation can learn of the held-out labels, whatever it tries. Runs in an image's Python."""

import contextlib
import io
import json
import os
import tarfile
import tempfile
import textwrap
import unittest
from pathlib import Path
from unittest import mock

from toolkit import confinement, evaluate, predictions
from toolkit.confinement import LANDLOCK, NOTHING, USER, Confinement
from toolkit.heldout import Example

# A model that answers every example with all that it could do and shouldn't.
CHEATS = textwrap.dedent("""
    import ctypes, gc, json, os, socket, subprocess, tempfile
    from pathlib import Path

    libc = ctypes.CDLL(None, use_errno=True)
    judge = os.getppid()

    def reads(path):
        return lambda: SECRET in Path(path).read_bytes()

    def writes(path):
        def attempt():
            with open(path, "ab") as file:
                file.write(b"x")
            return True
        return attempt

    def judges_memory():
        with open(f"/proc/{judge}/mem", "rb") as memory:
            return bool(memory)

    def vm_readv():
        class Part(ctypes.Structure):
            _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t)]
        into = ctypes.create_string_buffer(8)
        ours, theirs = Part(ctypes.addressof(into), 8), Part(id(None), 8)
        return libc.process_vm_readv(judge, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0) > 0

    def traces():
        # By PTRACE_SEIZE, from a process that lets go at once: the judge must go on.
        child = os.fork()
        if child == 0:
            os._exit(0 if libc.ptrace(0x4206, judge, 0, 0) == 0 else 1)
        return os.waitpid(child, 0)[1] == 0

    def own_memory():
        return any(SECRET.decode() in part for part in gc.get_objects() if isinstance(part, str) and len(part) < 100)

    def links():
        os.link(TEST + "/rows.csv", "linked")
        return SECRET in Path("linked").read_bytes()

    def renames():
        os.rename(TEST, "mine")
        return True

    def another_root():
        return SECRET in Path(f"/proc/{judge}/root{TEST}/rows.csv").read_bytes()

    def another_namespace():
        done = subprocess.run(["unshare", "-rm", "cat", TEST + "/rows.csv"], capture_output=True)
        return SECRET in done.stdout

    def by_a_shell():
        return SECRET in subprocess.run(["cat", TEST + "/rows.csv"], capture_output=True).stdout

    def is_root_again():
        os.setresuid(0, 0, 0)
        return SECRET in Path(TEST + "/rows.csv").read_bytes()

    def changes_modes():
        os.chmod(TEST, 0o777)
        return SECRET in Path(TEST + "/rows.csv").read_bytes()

    def open_files():
        return [name for name in os.listdir("/proc/self/fd") if int(name) > 2 and not open_by_listing(name)][1:]

    def open_by_listing(name):
        try:
            os.fstat(int(name))
        except OSError:
            return True
        return False

    def has_credentials():
        told = Path("/proc/self/environ").read_bytes() if os.access("/proc/self/environ", os.R_OK) else b""
        return any("CREDENTIALS" in name or "SECRET" in name for name in os.environ)

    ATTEMPTS = {
        "reads the file": reads(TEST + "/rows.csv"),
        "lists the folder": lambda: os.listdir(TEST),
        "reads through a folder beside": reads(TEST + "/../test/rows.csv"),
        "reads through the judge's root": another_root,
        "reads through the judge's folder": reads(f"/proc/{judge}/cwd/rows.csv"),
        "reads the judge's environment": lambda: Path(f"/proc/{judge}/environ").read_bytes(),
        "opens the judge's memory": judges_memory,
        "reads the judge's memory": vm_readv,
        "traces the judge": traces,
        "sees what the judge has open": lambda: os.readlink(f"/proc/{judge}/fd/0"),
        "stops the judge": lambda: os.kill(judge, 0) or True,
        "has the truths in its own memory": own_memory,
        "links the file": links,
        "another mount namespace": another_namespace,
        "by a program": by_a_shell,
        "as root": is_root_again,
        "by another mode": changes_modes,
        "connections that aren't its own": open_files,
        "credentials": has_credentials,
        "writes the result": writes(OUTPUT + "/evaluation.json"),
        "writes the judge's code": writes(SOURCE + "/toolkit.py"),
        "writes beside the held-out data": writes(TEST + "/../more.csv"),
        "writes the other model": writes(OTHER + "/model.txt"),
        "moves the folder": renames,
    }

    def model_fn(model_dir):
        could = []
        for name, attempt in ATTEMPTS.items():
            try:
                if attempt():
                    could.append(name)
            except Exception:
                pass
        Path(model_dir, "own.txt").write_text("its own folder is")
        Path(os.environ["TMPDIR"], "own.txt").write_text("and one for what it likes")
        with tempfile.TemporaryFile() as file:  # which Python opens where the judge has, unless it is told
            file.write(b"too")
        open("/dev/null", "w").close()
        return could

    def input_fn(body, content_type):
        return body.splitlines()
    def predict_fn(rows, could):
        return [json.dumps(could) for row in rows]
    def output_fn(answers, accept):
        return "\\n".join(answers)
""")
SECRET = b"the-right-answer"


class Cheats(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.folder.chmod(0o755)
        for name in ("test", "output", "source", "models", "models/challenger/code", "models/champion/code"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "test" / "rows.csv").write_bytes(SECRET + b",1\n")
        (self.folder / "source" / "toolkit.py").write_text("")
        (self.folder / "models" / "champion" / "model.txt").write_text("")
        places = {"TEST": "test", "OUTPUT": "output", "SOURCE": "source", "OTHER": "models/champion"}
        head = "".join(f"{name} = {str(self.folder / place)!r}\n" for name, place in places.items())
        for name in ("challenger", "champion"):
            script = self.folder / "models" / name / "code" / "serve.py"
            script.write_text(f"{head}SECRET = {SECRET[:-1]!r} + {SECRET[-1:]!r}\n{CHEATS}")

    def could(self, found, *others):
        """What the challenger could do, while others try the same beside it."""
        credentials = {"AWS_SECRET_ACCESS_KEY": "k", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2"}
        folders = {name: self.folder / "models" / name for name in (*others, "challenger")}
        with mock.patch.dict(os.environ, credentials):
            models = predictions.Models(folders, found)
        try:
            truth = (self.folder / "test" / "rows.csv").read_bytes().decode().partition(",")[0]
            example = Example("rows.csv:1", "1", "text/csv", truth)
            answers = models.answer([example], several=True)["challenger"]
        finally:
            models.close()
        if isinstance(answers, Exception):
            raise answers
        return json.loads(answers.texts[0])

    def test_there_is_a_way_here(self):
        found = confinement.confinement(self.folder / "test", [self.folder / "models", self.folder / "source"])
        self.assertIn(found.way, (USER, LANDLOCK))

    def test_behind_landlock_it_learns_nothing_and_changes_nothing(self):
        self.assertEqual(self.could(Confinement(LANDLOCK, self.folder / "test"), "champion"), [])
        self.assertEqual(list((self.folder / "output").iterdir()), [])

    @unittest.skipIf(os.geteuid(), "only root becomes another user")
    def test_as_another_user_it_learns_nothing_and_changes_nothing(self):
        (self.folder / "test").chmod(0o700)
        self.assertEqual(self.could(Confinement(USER, self.folder / "test"), "champion"), [])
        self.assertEqual(list((self.folder / "output").iterdir()), [])

    def test_without_a_way_it_could(self):
        """So the attempts are real ones."""
        could = self.could(Confinement(NOTHING, self.folder / "test"))
        self.assertLessEqual(
            {"reads the file", "lists the folder", "by a program", "opens the judge's memory", "writes the result"},
            set(could),
        )

    def test_the_log_says_which_way(self):
        self.assertIn("another user", Confinement(USER, Path("/x")).sentence)
        self.assertIn("nothing here keeps a model's code from reading it", Confinement(NOTHING, Path("/x")).sentence)


class Judge(unittest.TestCase):
    """A whole evaluation of models that try to be more than their answers."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.folder.chmod(0o755)
        for name, place in (("SOURCE", "source"), ("ML", "ml")):
            self.addCleanup(setattr, evaluate, name, getattr(evaluate, name))
            (self.folder / place).mkdir()
            setattr(evaluate, name, self.folder / place)
        (self.folder / "test").mkdir()
        (self.folder / "test" / "rows.csv").write_text("0,0\n1,1\n" * 30)

    def evaluated(self, serve, *more):
        archive = self.folder / "challenger" / "model.tar.gz"
        archive.parent.mkdir(exist_ok=True)
        with tarfile.open(archive, "w:gz") as tar:
            member = tarfile.TarInfo("code/serve.py")
            member.size = len(serve.encode())
            tar.addfile(member, io.BytesIO(serve.encode()))
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
            given = ["--input", str(self.folder), "--output", str(self.folder / "out")]
            code = evaluate.main(["--metric", "accuracy", *given, *more])
        self.said = said.getvalue()
        return json.loads((self.folder / "out" / "evaluation.json").read_text()) if code == 0 else None

    ANSWERS = textwrap.dedent("""
        def model_fn(model_dir):
            return None
        def input_fn(body, content_type):
            return body.splitlines()
        def predict_fn(rows, model):
            return ["0" for row in rows]
        def output_fn(answers, accept):
            return "\\n".join(answers)
    """)

    def test_a_model_that_brings_its_own_reader_of_the_held_out_data_is_judged_on_the_data(self):
        """Which code reads them is said when the pipeline is deployed, not by what training has made."""
        reader = "\ndef heldout_fn(folder):\n    yield '0', 'text/csv', '0'\n"
        found = self.evaluated(self.ANSWERS + reader)
        self.assertEqual((found["examples"], found["challenger"]["score"]), (60, 0.5))

    def test_a_model_that_brings_its_own_metric_is_judged_by_the_deployed_one(self):
        (self.folder / "source" / "mine.py").write_text("def score(truths, answers):\n    return 0.25\n")
        own = "\ndef score(truths, answers):\n    return 1.0\n"
        found = self.evaluated(self.ANSWERS + own, "--metric", "mine.score")
        self.assertEqual(found["challenger"]["score"], 0.25)

    def evaluated_as_it_writes(self, message):
        """A model whose process writes a message, an expression of Python's, to every descriptor, and ends."""
        return self.evaluated(
            textwrap.dedent(f"""
                import os, pickle
                class Runs:
                    def __reduce__(self):
                        return os.mkdir, ({str(self.folder / "unpickled")!r},)
                def model_fn(model_dir):
                    text = {message}
                    for number in range(3, 64):
                        try:
                            os.write(number, len(text).to_bytes(4, "big") + text)
                        except OSError:
                            pass
                    os._exit(0)
            """)
        )

    def test_what_a_models_process_says_is_no_pickle(self):
        """Unpickled, it would run in the judge."""
        self.assertIsNone(self.evaluated_as_it_writes("pickle.dumps(Runs())"))
        self.assertIn("answer can't be read", self.said)
        self.assertFalse((self.folder / "unpickled").exists())

    def test_answers_of_another_kind_or_number_are_told(self):
        for message in ('["answer", 7]', '["answer", ["0"]]', '["answer"]', '{"a": 1}', "[]", '["a", "b", "c"]', "7"):
            with self.subTest(message):
                self.assertIsNone(self.evaluated_as_it_writes(repr(message.encode())))
                self.assertIn("error: the challenger's", self.said)


if __name__ == "__main__":
    unittest.main()
