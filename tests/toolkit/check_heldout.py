"""Reading held-out data of every kind, each beside its wrong twins. Runs in an image's Python; starts no model."""

import gzip
import io
import sys
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

from toolkit import heldout
from toolkit.heldout import DataError

from contract.held_out import Reading  # isort: skip


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, **files):
        for name, content in files.items():
            self.file(name.replace("__", "."), content)

    def file(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def read(self, **how):
        return heldout.read(self.folder, Reading(**how))

    def pairs(self, **how):
        """(request, label) of each example."""
        return [(example.body, example.label) for example in self.read(**how).examples]

    def refused(self, *parts, **how):
        with self.assertRaises(DataError) as caught:
            self.read(**how)
        for part in parts:
            self.assertIn(part, str(caught.exception))


class Tables(Files):
    def test_the_same_rows_in_many_ways(self):
        wanted = [("1,x", "a"), ("2,y", "b")]
        for name, content in {
            "rows.csv": "a,1,x\nb,2,y\n",
            "ROWS.CSV": "a,1,x\r\nb,2,y\r\n",
            "bom.csv": "\ufeffa,1,x\nb,2,y",
            "rows.tsv": "a\t1\tx\nb\t2\ty\n",
            "rows.csv.gz": gzip.compress(b"a,1,x\nb,2,y\n"),
            "rows.TSV.GZ": gzip.compress(b"a\t1\tx\nb\t2\ty\n"),
        }.items():
            with self.subTest(name):
                self.file(name, content)
                self.assertEqual(self.pairs(), wanted)
                (self.folder / name).unlink()

    def test_a_label_by_its_name(self):
        self.write(rows__csv="rooms,price\n3,100\n4,200\n")
        self.assertEqual(self.pairs(label="price"), [("3", "100"), ("4", "200")])
        found = self.read(label="price").found
        self.assertIn("1 file of csv (by their endings), a header (by the label's name)", found)
        self.assertIn("the columns rooms, price; the label is 'price', 2 of 2", found)

    def test_a_header_that_is_said_and_a_label_by_position(self):
        self.write(rows__csv="rooms,price\n3,100\n")
        self.assertEqual(self.pairs(label=1, header=True), [("3", "100")])
        self.assertEqual(self.pairs(label=1, header=False), [("rooms", "price"), ("3", "100")])

    def test_a_header_that_is_not_said(self):
        self.write(rows__csv="rooms,price\n3,100\n")
        self.refused("rows.csv:1 looks like a header ('rooms,price')", "write evaluate.header: true")

    def test_a_header_over_texts_that_is_not_said(self):
        self.write(rows__csv="label,text\n" + "spam,buy now\nham,see you\n" * 3)
        self.refused("rows.csv:1 looks like a header ('label,text')")

    def test_a_first_example_is_no_header(self):
        for text in ("spam,buy now\n" + "ham,see you\nspam,buy now\n" * 3, "?,a\n1,b\n", "a,a\n1,2\n"):
            with self.subTest(text):
                self.write(rows__csv=text)
                self.read()

    def test_line_breaks_quotation_marks_and_commas(self):
        self.write(rows__csv='"a, ""b""","one\ntwo","x, ""y"""\nc,"three\rfour",z\n')
        bodies = [body for body, _ in self.pairs()]
        self.assertEqual(bodies, ['"one\ntwo","x, ""y"""', '"three\rfour",z'])
        self.assertEqual(self.read().examples[0].label, 'a, "b"')

    def test_places_count_lines(self):
        self.write(rows__csv='a,"1\n2"\n\nb,3\n')
        self.assertEqual([example.place for example in self.read().examples], ["rows.csv:1", "rows.csv:4"])

    def test_a_long_text(self):
        self.write(rows__csv=f"a,{'x' * 200_000}\n")
        self.assertEqual(len(self.read().examples[0].body), 200_000)

    def test_wrong_twins(self):
        for text, how, part in [
            ("a,1\nb,2,3\n", {}, "rows.csv:2 has 3 columns, but rows.csv:1 has 2"),
            ("rooms,price\n1,2\n", {"label": "cost"}, "the label 'cost' isn't among the columns of rows.csv:1: rooms"),
            ("x,x\n1,2\n", {"label": "x"}, "the label 'x' is 2 times among the columns"),
            ("a,1\n", {"label": 2}, "label column 2 is out of range: rows.csv:1 has 2 columns (0 to 1)"),
            ("rooms,price\n1,\n", {"label": "price"}, "rows.csv:2: the label (column 'price') is empty"),
            ("a;1\n", {}, "has one column, the label; a model needs at least one more to be asked by (is ';' what"),
            ("rooms,price\n", {"label": "price"}, "no example in"),
            (b"\xff\xfea\x00", {}, "rows.csv is no CSV text in UTF-8"),
        ]:
            with self.subTest(text):
                self.write(rows__csv=text)
                self.refused(part, **how)

    def test_files_with_other_columns(self):
        self.write(a__csv="rooms,price\n1,2\n", b__csv="price,rooms\n2,1\n")
        self.refused("b.csv has the columns price, rooms, but a.csv has the columns rooms, price", label="price")

    def test_no_gzip(self):
        self.file("rows.csv.gz", b"a,1\n")
        self.refused("rows.csv.gz is not gzipped")
        self.file("rows.csv.gz", gzip.compress(b"a,1\n" * 1000)[:20])
        self.refused("rows.csv.gz is not gzipped, or cut off")


class Kinds(Files):
    def test_unknown_files_are_named(self):
        self.write(rows__csv="a,1\n", README__md="# data", notes__txt="x")
        self.refused("README.md, notes.txt: held-out files of an unknown kind", "heldout_fn")

    def test_a_format_that_is_said(self):
        self.file("part-00000", "a\t1\n")
        self.assertEqual(self.pairs(format="tsv"), [("1", "a")])
        self.assertIn("of tsv (said)", self.read(format="tsv").found)
        self.file("rows.parquet", "x")
        self.refused("rows.parquet: can't be tsv", format="tsv")

    def test_kinds_that_are_mixed(self):
        self.write(rows__csv="a,1\n", rows__tsv="a\t1\n")
        self.refused("held-out files of 2 kinds (rows.csv, rows.tsv)")

    def test_what_tools_leave_beside(self):
        self.write(rows__csv="a,1\n", _SUCCESS="")
        self.file(".DS_Store", "x")
        self.file(".ipynb_checkpoints/rows.csv", "b,2\n")
        found = self.read()
        self.assertEqual(len(found.examples), 1)
        self.assertIn("left out: .DS_Store, .ipynb_checkpoints/rows.csv, _SUCCESS", found.found)

    def test_the_labels_are_told(self):
        self.write(rows__csv="a,1\nb,2\na,3\n")
        self.assertEqual(heldout.summary(self.read().examples), "3 examples of 2 classes (a: 2, b: 1)")
        self.write(rows__csv="".join(f"{number},1\n" for number in range(30)))
        self.assertEqual(heldout.summary(self.read().examples), "30 examples of 30 different labels (0, 1, 2, …)")

    def test_labels_that_are_pictures_dont_fill_the_log(self):
        examples = [heldout.Example(f"a:{number}", "", "text/csv", f"[{number}{', 0' * 784}]") for number in range(30)]
        told = heldout.summary(examples)
        self.assertTrue(told.startswith("30 examples of 30 different labels ([0, 0, 0, 0"), told)
        self.assertLess(len(told), 200)


class Lines(Files):
    def test_objects(self):
        self.write(rows__jsonl='{"text": "é", "label": "a"}\n\n{"text": 2, "label": 1.5}\n')
        self.assertEqual(self.pairs(), [('{"text": "é"}', "a"), ('{"text": 2}', "1.5")])
        self.assertEqual(self.read().examples[0].content_type, "application/jsonlines")
        self.assertEqual(self.pairs(label="text")[1], ('{"label": 1.5}', "2"))

    def test_lists(self):
        self.write(rows__ndjson="[0, 1, 2]\n[3, 4, 5]\n")
        self.assertEqual(self.pairs(label=2), [("[0, 1]", "2"), ("[3, 4]", "5")])

    def test_wrong_twins(self):
        for text, how, part in [
            ('{"label": 1, "x": 2}\n{"label": \n', {}, "rows.jsonl:2 is no JSON"),
            ('{"x": 1}\n', {}, "rows.jsonl:1 has no label 'label', only x; write evaluate.label: <key>"),
            ('{"label": 1}\n', {"label": 1}, "is an object, which has no position 1"),
            ("[1, 2]\n", {"label": 2}, "is a list of 2, in which there is no label 2"),
            ('{"label": [1]}\n', {}, "the label 'label' is a list; it must be a text or a number"),
            ('{"label": null}\n', {}, "the label 'label' is empty"),
            ("3\n", {}, "rows.jsonl:1 is 3; an example is an object"),
            (b"\xff\n", {}, "rows.jsonl is no text in UTF-8"),
        ]:
            with self.subTest(text):
                self.write(rows__jsonl=text)
                self.refused(part, **how)


class Arrays(Files):
    def npz(self, name="rows.npz", **arrays):
        out = io.BytesIO()
        np.savez(out, **arrays)
        self.file(name, out.getvalue())

    def test_arrays(self):
        for names in (("X", "y"), ("features", "labels")):
            with self.subTest(names):
                self.npz(**{names[0]: np.arange(6, dtype="float32").reshape(3, 2), names[1]: np.array(["a", "b", "a"])})
                examples = self.read().examples
                self.assertEqual([example.label for example in examples], ["a", "b", "a"])
                self.assertEqual((examples[1].place, examples[1].content_type), ("rows.npz:1", "application/x-npy"))
                body = np.load(io.BytesIO(heldout.joined(examples)))
                self.assertEqual((body.shape, body.dtype), ((3, 2), np.float32))

    def test_an_array_of_labels_by_its_name(self):
        self.npz(pixels=np.zeros((2, 3)), kind=np.float32([[0.1], [0.2]]))
        self.assertEqual([label for _, label in self.pairs(label="kind")], ["0.1", "0.2"])

    def test_wrong_twins(self):
        x = np.zeros((2, 3))
        for arrays, part in [
            ({"X": x}, "has no array of labels (y, Y,"),
            ({"X": x, "y": np.zeros(3)}, "X has the shape (2, 3), y (3,); one label an example is needed"),
            ({"X": x, "y": np.zeros((2, 4))}, "one label an example is needed"),
            ({"a": x, "b": x, "y": np.zeros(2)}, "has no array of features"),
            ({"X": x, "y": np.array([{}, {}])}, "without Python objects"),
        ]:
            with self.subTest(part):
                self.npz(**arrays)
                self.refused(part)
        self.file("rows.npz", b"PK nonsense")
        self.refused("rows.npz can't be read")

    def parquet(self, columns):
        """An image with pyarrow, as far as it is asked."""

        class ParquetFile:
            def __init__(self, _path):
                pass

            def read(self):
                return types.SimpleNamespace(to_pydict=lambda: columns)

        package = types.ModuleType("pyarrow")
        package.parquet = types.ModuleType("pyarrow.parquet")
        package.parquet.ParquetFile = ParquetFile
        modules = {"pyarrow": package, "pyarrow.parquet": package.parquet}
        patch = mock.patch.dict(sys.modules, modules)
        patch.start()
        self.addCleanup(patch.stop)

    def test_parquet(self):
        self.file("part-0.snappy.parquet", "x")
        self.parquet({"rooms": [3, None], "text": ["a, b", "c"], "price": [1.5, 2], "__index_level_0__": [0, 1]})
        self.assertEqual(self.pairs(label="price"), [('3,"a, b"', "1.5"), (",c", "2")])
        self.assertEqual(self.pairs(label=1)[1], (",2", "c"))

    def test_wrong_twins_of_parquet(self):
        self.file("rows.parquet", "x")
        self.parquet({"rooms": [[3]], "price": [1.5], "empty": [None]})
        self.refused("'rooms' is list, which no CSV row can hold", label="price")
        self.refused("the label 'cost' isn't among the columns of rows.parquet: rooms, price", label="cost")
        self.refused("label column 3 is out of range", label=3)
        self.parquet({"price": [1.5], "empty": [None]})
        self.refused("rows.parquet:row 1: the label ('empty') is empty", label="empty")

    def test_an_image_that_reads_no_parquet(self):
        self.file("rows.parquet", "x")
        with mock.patch.dict(sys.modules, {"pyarrow": None, "pyarrow.parquet": None, "pandas": None}):
            self.refused(
                "the image can't read rows.parquet: Parquet needs pyarrow; put it into the model's requirements"
            )

    def test_a_pyarrow_that_does_not_fit_the_image_says_why(self):
        self.file("rows.parquet", "x")
        shadow = tempfile.TemporaryDirectory()
        self.addCleanup(shadow.cleanup)
        Path(shadow.name, "pyarrow.py").write_text("raise ImportError('pyarrow requires NumPy 2.0 or newer')\n")
        shadowed = [shadow.name, *sys.path]
        with mock.patch.object(sys, "path", shadowed), mock.patch.dict(sys.modules, {"pandas": None}):
            for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
                del sys.modules[name]  # the image holds one, which other checks have imported
            self.refused("Parquet needs pyarrow; put it into the model's requirements.txt (pyarrow requires NumPy 2.0")


class Pictures(Files):
    def test_folders_are_classes(self):
        self.file("cat/1.png", "1")
        self.file("dog/deep/2.JPEG", "2")
        found = [(example.body, example.content_type, example.label) for example in self.read().examples]
        self.assertEqual(found, [(b"1", "image/png", "cat"), (b"2", "image/jpeg", "deep")])

    def test_wrong_twins(self):
        self.file("1.png", "1")
        self.refused("1.png lies in no folder; an image's label is its folder's name, as cat/1.png")
        (self.folder / "1.png").unlink()
        self.file("cat/1.png", "")
        self.refused("1.png is empty")
        self.file("cat/labels.xml", "<x/>")
        self.refused("cat/labels.xml: held-out files of an unknown kind")

    def test_augmented_manifests(self):
        self.file("images/1.png", "1")
        self.file(
            "all.manifest", '{"source-ref": "s3://data/pets/test/images/1.png", "class": 0, "class-metadata": {}}\n'
        )
        self.file("texts.manifest", '{"source": "so good", "class": 1}\n')
        found = [(example.body, example.content_type, example.label) for example in self.read().examples]
        self.assertEqual(found, [(b"1", "image/png", "0"), ("so good", "text/plain", "1")])

    def test_wrong_twins_of_manifests(self):
        for line, how, part in [
            (
                '{"source-ref": "s3://data/test/2.png", "class": 0}',
                {},
                "a.manifest:1 names s3://data/test/2.png, which isn't",
            ),
            (
                '{"source-ref": "s3://data/../a.manifest", "class": 0}',
                {},
                "which isn't among the held-out channel's files",
            ),
            ('{"class": 0}', {}, "has neither source-ref"),
            ('{"source": "x"}', {}, "has 0 attributes (none); write evaluate.label"),
            ('{"source": "x", "a": 0, "b": 1}', {}, "has 2 attributes (a, b); write evaluate.label"),
            ('{"source": "x", "a": 0}', {"label": "b"}, "has no label 'b'"),
            ("[1]", {}, "a.manifest:1 is no JSON object"),
        ]:
            with self.subTest(line):
                self.file("a.manifest", line + "\n")
                self.refused(part, **how)


if __name__ == "__main__":
    unittest.main()
