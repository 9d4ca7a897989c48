"""Records of a channel with an augmented manifest: from real pipes and from files, and what is wrong with them."""

import json
import os
import struct
import tempfile
import threading
import unittest
from pathlib import Path

from contract import manifests as contract_manifests
from toolkit import manifests, recordio
from toolkit.errors import ToolkitError

ATTRIBUTES = ["source-ref", "class"]


def wrapped(data, flag=0):
    """By recordio.h's words: magic, flag and length, data, zeros up to a multiple of four."""
    return struct.pack("<II", 0xCED7230A, flag << 29 | len(data)) + data + bytes(-len(data) % 4)


class Channel(unittest.TestCase):
    """A job's /opt/ml with the channel `train`."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.ml = Path(folder.name)
        self.data = self.ml / "input" / "data"
        self.data.mkdir(parents=True)
        (self.ml / "input" / "config").mkdir()
        before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        os.environ["SAGEMAKER_BASE_DIR"] = str(self.ml)
        manifests._begun.clear()

    def mode(self, mode, wrapper="RecordIO", **settings):
        config = {"train": {"TrainingInputMode": mode, "RecordWrapperType": wrapper}}
        (self.ml / "input" / "config" / "inputdataconfig.json").write_text(json.dumps(config))
        told = {"train": {"attributes": ATTRIBUTES, "objects": "digits/", **settings}}
        os.environ.update(contract_manifests.variables(told))

    def refused(self, *words):
        with self.assertRaises(ToolkitError) as caught:
            list(manifests.records("train"))
        for word in words:
            self.assertIn(word, str(caught.exception))


class Piped(Channel):
    def setUp(self):
        super().setUp()
        self.mode("Pipe")
        self.broken = threading.Event()

    def stream(self, content, epoch=0):
        """SageMaker's part: the epoch's pipe, and what comes out of it."""

        def write():
            try:
                path.write_bytes(content)
            except BrokenPipeError:
                self.broken.set()

        path = self.data / f"train_{epoch}"
        os.mkfifo(path)
        thread = threading.Thread(target=write)
        thread.start()
        self.addCleanup(thread.join)

    def test_each_call_is_the_next_epoch(self):
        for epoch in range(2):
            content = b"".join(wrapped(b"picture %d" % n) + wrapped(b"%d" % (n + epoch)) for n in range(3))
            self.stream(content, epoch)
            records = manifests.records("train")
            self.assertEqual([{"source-ref": b"picture %d" % n, "class": n + epoch} for n in range(3)], list(records))
            self.assertEqual((epoch, 3), (records.epoch, records.count))

    def test_a_record_that_holds_the_magic_number_was_cut_at_it(self):
        cut = wrapped(b"four", 1) + wrapped(b"more", 2) + wrapped(b"end", 3)
        self.stream(cut + wrapped(b"7"))
        (record,) = manifests.records("train")
        self.assertEqual(b"four" + recordio.MAGIC + b"more" + recordio.MAGIC + b"end", record["source-ref"])

    def test_values_are_json_and_a_text_without_quotes_is_one_too(self):
        self.stream(wrapped(b"a") + wrapped(b'{"boxes": []}') + wrapped(b"b") + wrapped(b"cat"))
        self.assertEqual([{"boxes": []}, "cat"], [record["class"] for record in manifests.records("train")])

    def test_a_loop_that_is_left_early_closes_the_pipe(self):
        self.stream((wrapped(b"x" * 1000) + wrapped(b"1")) * 1000)
        records = manifests.records("train")
        for _ in records:
            break
        self.stream(wrapped(b"a") + wrapped(b"2"), epoch=1)
        self.assertEqual([2], [record["class"] for record in manifests.records("train")])
        self.assertTrue(self.broken.wait(60))
        self.assertEqual(1, records.count)

    def test_what_is_truncated_names_channel_epoch_and_record(self):
        whole = wrapped(b"a") + wrapped(b"1")
        for epoch, (content, words) in enumerate(
            [
                (whole + wrapped(b"picture")[:9], "of its 7 bytes there are 1"),
                (whole + wrapped(b"picture")[:5], "of its header's 8 bytes there are 5"),
                (whole + wrapped(b"picture"), "the epoch ends before its 'class'"),
                (whole + wrapped(b"four", 1), "the stream ends after a part of it"),
                (whole + wrapped(b"four", 1) + wrapped(b"b"), "a beginning, and then another record's"),
                (whole + wrapped(b"four", 3), "part number 3, without its beginning"),
                (whole + wrapped(b"four", 5), "the flag 5"),
                (
                    whole + b"\xff\xd8\xff\xe0 a picture",
                    "begins with ffd8ffe0, not with RecordIO's magic number 0a23d7ce",
                ),
            ]
        ):
            self.stream(content, epoch)
            self.refused(f"channel 'train', epoch {epoch}, record 1", words)

    def test_what_is_not_wrapped_has_no_ends(self):
        self.mode("Pipe", wrapper="None")
        self.refused("channel 'train' is piped without RecordWrapperType RecordIO")


class FromFiles(Channel):
    def setUp(self):
        super().setUp()
        self.mode("File")
        for number in range(5):
            path = self.data / "train" / "pictures" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"picture %d" % number)

    def manifest(self, text):
        folder = self.data / "train-manifest"
        folder.mkdir(exist_ok=True)
        (folder / "train.manifest").write_text(text)

    def lines(self, count=5):
        return [json.dumps({"source-ref": f"s3://b/digits/pictures/{n}.png", "class": n}) for n in range(count)]

    def test_an_empty_last_line_is_no_record(self):
        """The original counted split("\\n"), and so one example more than there is."""
        self.manifest("\n".join(self.lines()) + "\n\n")
        records = manifests.records("train")
        found = [(record["source-ref"], record["class"]) for record in records]
        self.assertEqual([(b"picture %d" % n, n) for n in range(5)], found)
        self.assertEqual(5, records.count)

    def test_a_seed_shuffles_each_epoch_anew_and_the_same_again(self):
        self.mode("FastFile", seed=7)
        self.manifest("\n".join(self.lines()))
        first, second = ([record["class"] for record in manifests.records("train")] for _ in range(2))
        manifests._begun.clear()
        self.assertEqual(first, [record["class"] for record in manifests.records("train")])
        self.assertNotEqual(first, second)
        self.assertEqual(sorted(first), sorted(second))

    def test_what_is_wrong_in_a_line_is_named_with_it(self):
        for line, words in [
            ("{", "train.manifest, line 6 is not JSON"),
            ("[1]", "train.manifest, line 6 is no JSON object"),
            ('{"source-ref": "s3://b/digits/pictures/1.png"}', "line 6 has no attribute 'class'; it has 'source-ref'"),
            (
                '{"source-ref": "pictures/1.png", "class": 1}',
                "train.manifest, line 6: 'source-ref' is 'pictures/1.png'",
            ),
            ('{"source-ref": "s3://b/digits/none.png", "class": 1}', "but there is no file none.png"),
        ]:
            self.manifest("\n".join([*self.lines(), line]))
            self.refused("channel 'train', epoch", words)

    def test_a_channel_without_a_manifest_is_named(self):
        self.refused("channel 'train-manifest' must hold the manifest of 'train' and nothing else; it has 0 files")
        with self.assertRaisesRegex(ToolkitError, "channel 'validation' has no manifest: those with one are train"):
            manifests.records("validation")
        os.environ.pop(contract_manifests.CHANNELS)
        with self.assertRaisesRegex(ToolkitError, "no channel has one.*records\\(channel, attributes="):
            manifests.records("train")

    def test_a_manifest_that_points_to_nothing_is_a_channel_alone(self):
        config = {"train-manifest": {"TrainingInputMode": "File", "RecordWrapperType": "None"}}
        (self.ml / "input" / "config" / "inputdataconfig.json").write_text(json.dumps(config))
        os.environ.update(contract_manifests.variables({"train": contract_manifests.settings(["text"], "", None)}))
        self.manifest('{"text": "good", "class": "yes"}')
        self.assertEqual([{"text": "good"}], list(manifests.records("train")))

    def test_a_job_of_ones_own_names_the_attributes(self):
        os.environ.pop(contract_manifests.CHANNELS)
        self.manifest('{"text": "good", "class": "yes"}')
        self.assertEqual([{"class": "yes", "text": "good"}], list(manifests.records("train", ["text", "class"])))


if __name__ == "__main__":
    unittest.main()
