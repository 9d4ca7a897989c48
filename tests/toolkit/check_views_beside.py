"""Views beside a training process: what goes wrong in a view, and what must not go wrong by it. Runs in an image."""

import json
import os
import signal
import sys
import unittest
from unittest import mock

from views_kit import PLAIN, SVG, ViewsCase

from contract import views as limits
from toolkit.probe.sync import Sync
from toolkit.views import beside
from toolkit.views.artist import Limits

# Each of these does something that must break nothing.
BAD = f"""
    import os, subprocess, sys, threading, time
    from toolkit.views import evaluation_steps
    SVG = {SVG!r}
    def good(trial, step):
        return SVG.format(trial.value("points", step).mean())
    def raises(trial, step):
        return [][step]
    def exits(trial, step):
        sys.exit(3)
    def ends(trial, step):
        os._exit(7)
    def crashes(trial, step):
        os.kill(os.getpid(), 11)
    def unsaved(trial, step):
        return trial.value("pints", step)
    def unjudged(trial, step):
        return evaluation_steps(trial, step)
    def heavy(trial, step):
        return bytes(20 << 20)
    def number(trial, step):
        return 3
    def broken_png(trial, step):
        return b"PNG"
    def broken_svg(trial, step):
        return "<svg>"
    def hangs(trial, step):
        time.sleep(3600)
    def computes(trial, step):
        while True:
            pass
    def forks(trial, step):
        if os.fork():
            os.wait()
        return SVG.format(step)
    def meddles(trial, step):
        for number in range(3, 30):
            try:
                os.write(number, b"nonsense" + bytes([10]))
            except OSError:
                pass
        time.sleep(3600)
    def starts_others(trial, step):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)", trial.where + "/toolkit.views"])
        time.sleep(3600)
    def eats(trial, step):
        hoard = []
        while True:
            hoard.append(bytearray(b"x" * (8 << 20)))
    def odd(trial, step):
        print("loud", flush=True)
        os.chdir("/")
        os.environ["PYTHONPATH"] = "/nowhere"
        threading.Thread(target=time.sleep, args=(3600,)).start()
        os.close(0)
        return SVG.format(input() if step < 0 else "odd")
"""


class InThisProcess(ViewsCase):
    """The loop in this process, on tensors that are saved already, with limits of its own."""

    def test_draws_the_newest_step_and_counts_what_it_left_out(self):
        self.code(PLAIN)
        self.saved(35)
        self.assertEqual(self.beside({"view": "plain", "every": 10}), 0)
        found = self.document("plain")
        self.assertEqual((found["status"], found["skipped"], found["failed"]), ("ended", 3, 0))
        self.assertEqual((found["view"], found["every"], found["parameters"]), ("plain", 10, {}))
        (picture,) = found["pictures"]
        self.assertEqual((picture["step"], picture["file"]), (30, "views/plain/000000000030.svg"))
        content = (self.tensors / picture["file"]).read_text()
        self.assertEqual((content, picture["bytes"]), (SVG.format(30), len(content)))
        self.assertGreaterEqual(found["seconds"], picture["seconds"])

    def test_what_goes_wrong_is_said_and_the_others_are_drawn(self):
        self.code(BAD)
        self.saved(11)
        cases = {
            "raises": "IndexError: list index out of range (views.py:8)",
            "exits": "SystemExit: 3 (views.py:10)",
            "ends": "ended by itself, with exit code 7",
            "crashes": "ended by itself, by SIGSEGV",
            "unsaved": "pints is not saved at TRAIN step 10: there is no tensor of that name; there are",
            "heavy": "the picture has 20.0 MiB; at most 2 MiB",
            "number": "the view returned a int; a figure is a dict (Vega-Lite), a str (SVG) or bytes (PNG)",
            "broken_png": "the bytes are no PNG",
            "broken_svg": "the str is no SVG document",
            "hangs": "no picture after 1 s; it was stopped",
            "computes": "no picture after 1 s; it was stopped",
            "starts_others": "no picture after 1 s; it was stopped",
            "meddles": "answered nothing that can be read",
            "typo": "views.py has no function typo",
        }
        views = [{"view": name, "every": 10} for name in (*cases, "odd", "forks", "good")]
        limits_ = Limits(seconds=1.0, last_seconds=120.0)
        self.assertEqual(self.beside(*views, limits=limits_), 0)
        for name, part in cases.items():
            with self.subTest(name):
                found = self.document(name)
                (problem,) = found["problems"]
                self.assertIn(part, problem["reason"])
                self.assertEqual((problem["step"], found["pictures"], found["failed"]), (10, [], 1))
                self.assertEqual(found["status"], "given up" if name == "typo" else "ended")
        for name in ("good", "odd", "forks"):
            self.assertEqual((self.pictures(name), self.reasons(name)), ([10], []))
        self.assertEqual(self.processes(), [])
        left = [path for path in (self.tensors / "views").rglob("*") if path.name.startswith(".")]
        self.assertEqual(left, [])

    def test_a_view_that_takes_too_much_memory(self):
        self.code(BAD)
        self.saved(11)
        views = [{"view": name, "every": 10} for name in ("eats", "good")]
        self.beside(*views, limits=Limits(memory=200 << 20, last_seconds=120.0))
        self.assertRegex(self.reasons("eats")[0], r"it took \d+ MiB of memory, more than 200, and was stopped")
        self.assertEqual(self.pictures("good"), [10])
        self.assertEqual(self.processes(), [])

    def test_after_five_failures_in_a_row_a_view_is_given_up(self):
        self.code("""
            from toolkit.probe import NotSavedError
            def always(trial, step):
                raise ValueError(step)
            def absent(trial, step):
                return trial.value("nothing", step)
            def once(trial, step):
                return b"" if step == 40 else '<svg xmlns="http://www.w3.org/2000/svg"/>'
        """)
        probe = self.saved(1, close=False)
        configurations = [beside.Configuration.of({"view": name, "every": 10}) for name in ("always", "absent", "once")]
        drawing = beside.Beside(self.tensors, configurations, self.folder)
        always, absent, once = (shown.document for shown in drawing._shown)
        for count in range(1, limits.FAILURES + 3):
            # The next step when all have been drawn, or said.
            tried = min(count, limits.FAILURES)
            self.poll("the drawings", lambda tried=tried: drawing._looked() or always.failed == tried)
            self.poll("the absent", lambda count=count: drawing._looked() or absent.failed == count)
            self.poll("the good", lambda count=count: drawing._looked() or once.failed + once.pictures == count)
            self.steps(probe, 10 * count - 9, 10 * count + 1)
            probe.flush()
        probe.close()
        drawing.run()
        self.assertEqual((always.status, always.failed, always.skipped), ("given up", limits.FAILURES, 0))
        self.assertEqual(absent.status, "ended", "what isn't saved yet may be later")
        self.assertEqual((once.status, once.failed), ("ended", 1))

    def test_what_is_left_when_time_is_up_is_skipped(self):
        self.code(BAD)
        self.saved(21)
        views = [{"view": name, "every": 10} for name in ("hangs", "good")]
        self.assertEqual(self.beside(*views, limits=Limits(last_seconds=0.5)), 0)
        found = self.document("hangs")
        self.assertEqual((found["status"], found["skipped"], found["failed"]), ("ended", 3, 0))
        self.assertEqual(self.processes(), [])

    def test_a_view_that_broke_its_process_keeps_no_other_waiting_any_more(self):
        self.code(BAD)
        probe = self.saved(1, close=False)
        drawing = beside.Beside(
            self.tensors,
            [beside.Configuration.of({"view": name, "every": 10}) for name in ("hangs", "good")],
            self.folder,
            limits=Limits(seconds=1.0, last_seconds=0.1),
        )
        good, hangs = drawing._shown[1], drawing._shown[0]
        self.poll("the hang", lambda: drawing._looked() or hangs.document.failed)
        self.steps(probe, 1, 21)
        probe.flush()
        self.poll("another picture", lambda: drawing._looked() or good.document.has(20))
        self.assertNotEqual(hangs.artist, good.artist)
        self.assertIsNotNone(hangs.drawing, "it hangs again, by itself")
        drawing._last_pictures()
        for artist in drawing._artists.values():
            artist.kill()
        self.assertEqual(self.processes(), [])

    def test_two_hundred_pictures(self):
        """None is left out where the drawing keeps up: here the training waits for it, as none else does."""
        self.code(PLAIN)
        probe = self.saved(1, close=False)
        configuration = beside.Configuration.of({"view": "plain", "every": 1})
        drawing = beside.Beside(self.tensors, [configuration], self.folder)
        for step in range(200):
            self.poll("a picture", lambda step=step: drawing._looked() or drawing._shown[0].document.has(step))
            self.steps(probe, step + 1, step + 2)
            probe.flush()
        probe.close()
        self.assertEqual(drawing.run(), 0)
        self.assertEqual(self.pictures("plain"), list(range(201)))
        self.assertEqual(self.document("plain")["skipped"], 0)
        for picture in self.document("plain")["pictures"]:
            self.assertEqual((self.tensors / picture["file"]).stat().st_size, picture["bytes"])

    def test_a_process_that_keeps_memory_is_replaced_before_it_is_too_much(self):
        self.code("""
            import os
            hoard = []
            def keeps(trial, step):
                hoard.append(bytearray(b"x" * (60 << 20)))
                return '<svg xmlns="http://www.w3.org/2000/svg"><text>%d %d</text></svg>' % (os.getpid(), len(hoard))
        """)
        probe = self.saved(1, close=False)
        configuration = beside.Configuration.of({"view": "keeps", "every": 1})
        drawing = beside.Beside(self.tensors, [configuration], self.folder, limits=Limits(memory=300 << 20))
        for step in range(1, 6):
            self.steps(probe, step, step + 1)
            probe.flush()
            self.poll("a picture", lambda step=step: drawing._looked() or drawing._shown[0].document.has(step))
        said = [path.read_text().split(">")[2].split("<")[0].split() for path in self.tensors.glob("views/keeps/*.svg")]
        self.assertEqual(drawing._shown[0].document.failed, 0)
        self.assertGreater(len({process for process, _ in said}), 1)
        for artist in drawing._artists.values():
            artist.kill()

    def test_a_full_disk_costs_pictures_alone(self):
        self.code(PLAIN)
        self.saved(11)
        (self.tensors / "views").write_text("a file where a folder is needed")
        self.assertEqual(self.beside({"view": "plain", "every": 10}), 1)

    def test_a_disk_that_fills_up_between_picture_and_document(self):
        self.code(PLAIN)
        self.saved(11)
        with mock.patch("toolkit.views.documents.write_atomically", side_effect=OSError(28, "No space left on device")):
            self.assertEqual(self.beside({"view": "plain", "every": 10}), 1)
        self.assertTrue((self.tensors / "views" / "plain" / "000000000010.svg").exists())

    def test_tensors_that_are_gone_end_it(self):
        self.code(PLAIN)
        self.saved(3, close=False)
        configuration = beside.Configuration.of({"view": "plain", "every": 1})
        drawing = beside.Beside(self.tensors, [configuration], self.folder, limits=Limits(last_seconds=0.1))
        drawing._following.finished  # noqa: B018 - it has found the index
        for index in (self.tensors / "index").iterdir():
            index.unlink()
        self.assertEqual(drawing.run(), 0)


class ATraining(ViewsCase):
    """Scripts with the probe, which starts the views' process."""

    def test_draws_while_the_job_goes_on_and_at_its_end(self):
        self.code(PLAIN)
        process = self.script(
            """
            train(0, 11)
            drawn("plain", 10)
            train(11, 21)
            drawn("plain", 20)
            evaluate()
            train(21, 25)
            drawn("confusion", 21)
            evaluate()
            probe.close()
            print("over", file=sys.stderr)
            """,
            [{"view": "plain", "every": 10}, {"view": "confusion"}, {"view": "losses", "every": 10}],
        )
        self.assertEqual(process.returncode, 0, self.said)
        self.assertEqual(self.pictures("plain")[-2:], [10, 20])
        self.assertEqual(self.pictures("confusion"), [21, 25], "the last pass is over when the training is")
        self.assertEqual(self.document("confusion")["status"], "ended")
        self.assertLess(self.said.index("views: plain: "), self.said.index("over"), "the training waits for the last")
        self.assertEqual(self.processes(), [])

    def test_views_that_cannot_be_read_are_told_and_break_nothing(self):
        for text, part in (
            ('[{"view"', "RATCHET_VIEWS is not JSON"),
            ('["losses"]', "not 'losses'"),
            ('[{"view": "losses", "every": 0}]', "every is 0"),
        ):
            with self.subTest(text):
                process = self.script("train(0, 3)", text)
                self.assertEqual(process.returncode, 0, self.said)
                found = self.document("RATCHET_VIEWS")
                self.assertEqual((found["status"], found["pictures"]), ("given up", []))
                self.assertIn(part, found["problems"][0]["reason"])
                self.assertIn(part, self.said)

    def test_a_views_py_that_cannot_be_imported(self):
        self.code("def a(trial, step):\n    return (\n")
        self.code("import not_installed_here\n", "others")
        views = [{"view": "a", "every": 1}, {"view": "others.b", "every": 1}, {"view": "losses", "every": 1}]
        process = self.script("train(0, 30); drawn('losses', 29)", views)
        self.assertEqual(process.returncode, 0, self.said)
        self.assertIn("(views.py:2)", self.reasons("a")[0])
        self.assertIn("No module named 'not_installed_here' (others.py:1)", self.reasons("b")[0])
        for name in ("a", "b"):
            found = self.document(name)
            self.assertEqual((found["status"], found["failed"]), ("given up", 1))
        self.assertEqual(self.document("losses")["failed"], 0)

    def test_a_slow_view_skips_and_never_makes_training_wait(self):
        self.code(f"""
            import time
            def slow(trial, step):
                time.sleep(3)
                return {SVG!r}
        """)
        code = """
            started = time.monotonic()
            train(0, 60, 0.02)
            print("trained in", time.monotonic() - started, file=sys.stderr)
        """
        process = self.script(code, [{"view": "slow", "every": 2}])
        self.assertEqual(process.returncode, 0, self.said)
        found = self.document("slow")
        drawn = [picture["step"] for picture in found["pictures"]]
        self.assertEqual(len(drawn) + found["skipped"], 30)
        self.assertGreater(found["skipped"], 20)
        self.assertEqual(found["problems"], [])
        self.assertEqual(drawn, sorted(drawn))

    def test_a_trainer_that_is_killed(self):
        self.code(PLAIN)
        process = self.script(
            "train(0, 15); drawn('plain', 10); os.kill(os.getpid(), 9)", [{"view": "plain", "every": 10}]
        )
        self.assertEqual(process.returncode, -signal.SIGKILL)
        self.poll("the end", lambda: self.document("plain")["status"] == "ended")
        self.poll("no process", lambda: not self.processes())

    def test_sigterm_to_all_leaves_a_document_that_has_ended(self):
        self.code(BAD)
        process = self.script(
            "train(0, 15); drawn('good', 10); time.sleep(3600)",
            [{"view": "good", "every": 10}, {"view": "losses", "every": 10}],
            wait=False,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.poll("a picture", lambda: self.pictures("good"))
        for found in self.processes():
            os.kill(found, signal.SIGTERM)
        self.poll("the end", lambda: self.document("good")["status"] == "ended")
        self.poll("no process", lambda: not self.processes())
        self.assertIsNone(process.poll(), "the training goes on")

    def test_views_that_are_killed_with_their_drawing_leave_nobody(self):
        self.code(BAD)
        process = self.script("train(0, 15); time.sleep(3600)", [{"view": "computes", "every": 10}], wait=False)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        both = self.poll("both processes", lambda: len(found := self.processes()) > 1 and found)
        os.kill(min(both), signal.SIGKILL)
        self.poll("no process", lambda: not self.processes())
        self.assertIsNone(process.poll())

    def test_a_job_that_was_interrupted_goes_on_with_its_document(self):
        self.code(PLAIN)
        views = [{"view": "plain", "every": 10}]
        self.script("train(0, 25); drawn('plain', 20); os.kill(os.getpid(), 9)", views)
        self.poll("the end", lambda: self.document("plain")["status"] == "ended")
        before = self.document("plain")
        process = self.script("probe.load_state_dict({'TRAIN': 18}); train(18, 35); drawn('plain', 30)", views)
        self.assertEqual(process.returncode, 0, self.said)
        after = self.document("plain")
        steps = [picture["step"] for picture in after["pictures"]]
        self.assertEqual(steps, sorted(set(steps)))
        self.assertLessEqual({picture["step"] for picture in before["pictures"]} | {30}, set(steps))
        self.assertGreaterEqual(after["skipped"], before["skipped"])

    def test_of_several_processes_the_first_draws(self):
        self.code(PLAIN)
        process = self.script("train(0, 11)", [{"view": "plain", "every": 10}], RANK="1")
        self.assertEqual(process.returncode, 0, self.said)
        self.assertFalse((self.tensors / "views").exists())

    def test_a_job_without_views_starts_nothing(self):
        process = self.script("train(0, 3)", "[]")
        self.assertEqual(process.returncode, 0, self.said)
        self.assertFalse((self.tensors / "views").exists())

    def test_a_model_s_code_that_makes_a_probe_starts_no_views_of_its_own(self):
        self.code("from toolkit.probe import Probe\nprobe = Probe.from_environment()\n" + "\n".join(
            line[4:] for line in PLAIN.splitlines()
        ))  # fmt: skip
        process = self.script("train(0, 11); drawn('plain', 10)", [{"view": "plain", "every": 10}])
        self.assertEqual(process.returncode, 0, self.said)
        self.poll("no process", lambda: not self.processes())
        self.assertEqual(len(list((self.tensors / "index").iterdir())), 1, "nobody else writes to the job's tensors")


class Copies(ViewsCase):
    def test_the_first_rank_copies_pictures_before_the_documents_that_name_them(self):
        self.code(PLAIN)
        self.saved(11)
        self.beside({"view": "plain", "every": 10})
        for rank, expected in ((0, True), (1, False)):
            copied = []
            client = mock.Mock(put_object=lambda Key, copied=copied, **_: copied.append(Key))  # noqa: N803
            with mock.patch.object(Sync, "_connected", return_value=client):
                sync = Sync(self.tensors, "s3://bucket/run/tensors", 3600, mock.Mock(), rank)
                sync.close(60)
            names = [key for key in copied if "/views/" in key]
            wanted = ["run/tensors/views/plain/000000000010.svg", "run/tensors/views/plain.json"]
            self.assertEqual(names, wanted if expected else [])

    def test_a_document_that_changed_is_copied_again_though_its_length_is_the_same(self):
        self.saved(1)
        (self.tensors / "views").mkdir()
        path, copied = self.tensors / "views" / "a.json", []
        client = mock.Mock(put_object=lambda Key, Body, **_: copied.append((Key, Body)))  # noqa: N803
        with mock.patch.object(Sync, "_connected", return_value=client):
            sync = Sync(self.tensors, "s3://bucket/t", 3600, mock.Mock())
            for content in (b'{"a": 1}', b'{"a": 2}', b'{"a": 2}'):
                path.write_bytes(content)
                sync.copy()
            sync.close(60)
        self.assertEqual([body for key, body in copied if key.endswith("a.json")], [b'{"a": 1}', b'{"a": 2}'])

    def test_what_an_interrupted_job_has_copied_goes_on_elsewhere(self):
        self.code(PLAIN)
        self.saved(11)
        self.beside({"view": "plain", "every": 10})
        text = (self.tensors / "views" / "plain.json").read_bytes()

        class NoSuchKey(Exception):  # noqa: N818 - botocore's own
            pass

        def get_object(Bucket, Key):  # noqa: N803 - AWS's names
            asked.append((Bucket, Key))
            if not Key.endswith("plain.json"):
                raise NoSuchKey
            return {"Body": mock.Mock(read=lambda: text)}

        asked = []
        boto3 = mock.Mock(client=lambda *_, **__: mock.Mock(get_object=get_object))
        modules = {
            "boto3": boto3,
            "botocore": mock.Mock(),
            "botocore.config": mock.Mock(),
            "botocore.exceptions": mock.Mock(ClientError=NoSuchKey),
        }
        from toolkit.views import earlier  # noqa: PLC0415

        configurations = [beside.Configuration.of({"view": view, "every": 10}) for view in ("losses", "plain")]
        told = {"RATCHET_PROBE": '{"output": "s3://bucket/run/tensors/"}'}
        with mock.patch.dict(sys.modules, modules), mock.patch.dict(os.environ, told):
            found = earlier.earlier_documents(self.folder / "elsewhere", configurations)
        self.assertEqual(found, {"plain": json.loads(text)})
        self.assertEqual(asked[-1], ("bucket", "run/tensors/views/plain.json"))


if __name__ == "__main__":
    unittest.main()
