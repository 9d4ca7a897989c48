"""What PyTorch's inference toolkit does for a serve.py that leaves everything to it."""

import io
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from toolkit import image_functions, serving
from toolkit.errors import ServingError


class PyTorch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def script(self, name):
        module = torch.nn.Linear(2, 1)
        torch.jit.script(module).save(str(self.folder / name))
        return module

    def test_requests_become_tensors(self):
        npy = io.BytesIO()
        np.save(npy, np.array([[1.0, 2.0]]))
        for body, content_type, kind in (
            ("1,2\n3,4", "text/csv", torch.float32),
            ("[[1, 2]]", "application/json", torch.float32),
            (npy.getvalue(), "application/x-npy", torch.float64),
        ):
            self.assertEqual(image_functions.tensor(body, content_type).dtype, kind)

    def test_csv_of_different_types_needs_a_function(self):
        for body in ("1,2.5\n3,4", "1,a"):
            with self.assertRaisesRegex(ServingError, "no tensor of CSV whose columns are of different types"):
                image_functions.tensor(body, "text/csv")

    def test_torchscript_needs_no_function_of_the_model(self):
        module = self.script("net.pth")
        (self.folder / "code").mkdir()
        (self.folder / "code" / "serve.py").write_text("")
        image = {"SAGEMAKER_TRAINING_MODULE": "sagemaker_pytorch_container.training:main"}
        with mock.patch.dict(os.environ, image):
            functions = serving.load_functions(self.folder / "code")
        answers = functions.answer(functions.load(str(self.folder)), "1,2\n3,4").split()
        expected = module(torch.tensor([[1.0, 2.0], [3.0, 4.0]])).detach().ravel().tolist()
        self.assertEqual(answers, [str(value) for value in expected])

    def test_one_file_is_the_model(self):
        with self.assertRaisesRegex(ServingError, "exactly one .pt or .pth file is loaded.*here: none"):
            image_functions.load_torchscript(str(self.folder))
        self.script("a.pt")
        self.script("b.pth")
        with self.assertRaisesRegex(ServingError, "here: a.pt, b.pth"):
            image_functions.load_torchscript(str(self.folder))
        self.script("model.pt")
        self.assertIsNotNone(image_functions.load_torchscript(str(self.folder)))

    def test_what_is_no_torchscript(self):
        torch.save({"a": 1}, self.folder / "model.pt")
        with self.assertRaisesRegex(ServingError, "model.pt is no TorchScript; write a model_fn"):
            image_functions.load_torchscript(str(self.folder))


if __name__ == "__main__":
    unittest.main()
