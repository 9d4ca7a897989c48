"""A PyTorch network in ONNX, and what cifar_subset and the detector answer with theirs. Runs in PyTorch's image."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

MODELS = Path(__file__).parents[2] / "training_code"
# Where the converters are, in front of the image's packages; others of this process have imported what they replace.
AROUND = {**os.environ, "PYTHONPATH": os.pathsep.join([os.environ["CONVERTERS"], os.environ["PYTHONPATH"]])}

# Answers of serve.py's functions and of compile.py's, to the same requests; fresh weights do.
SCRIPT = """
import io, sys, tempfile
from pathlib import Path
folder = sys.argv[1]
sys.path.insert(0, folder)
import compile, network, numpy as np, torch
from toolkit import network_files, serving
from toolkit.compiled import comparing, conversion, model
torch.manual_seed(0)
random = np.random.default_rng(0)
into = Path(tempfile.mkdtemp())
def saved(arch):
    net = network.build(arch)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.startswith("head.score"):  # the detector's: it finds something, and some of it surely
                parameter.copy_(torch.randn(parameter.shape) * 0.1)
    getattr(network, "save", network_files.save)(into, arch, net)  # the detector's has its index of classes besides
if folder.endswith("cifar_subset"):
    saved(network.Architecture(("cat", "dog", "owl"), 4, 2))
    def request():
        body = io.BytesIO()
        np.save(body, random.integers(0, 256, (1, 32, 32, 3), np.uint8))
        return body.getvalue(), "application/x-npy"
else:
    saved(network.Architecture(("red", "white"), 64, 4))
    def request():
        from PIL import Image
        body = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (50, 70, 3), np.uint8)).save(body, "PNG")
        return body.getvalue(), "application/x-image"
(into / "model.onnx").write_bytes(conversion.optimised(conversion._bytes(compile.onnx_model(str(into)), "onnx_model")))
(into / "code").mkdir()
assert set(conversion.kept(into)) == set(compile.KEEP)
compiled, served = model.OnnxModel(into), serving.load_functions(Path(folder))
loaded = served.load(str(into))
for _ in range(5):
    body, kind = request()
    for accept in ("text/csv", "application/json", "application/json;verbose"):
        one = served.answer(loaded, body, kind, accept)
        other = compile.output_fn(compile.predict_fn(compile.input_fn(body, kind), compiled), accept)[0]
        assert comparing.alike(one, other), (accept, one[:300], other[:300])
        assert "detector" not in folder or "[[" in one, "there are boxes"
for body, kind in ((b"", "application/x-image"), (b"no picture", "image/png"), (b"1,2", "text/csv")):
    for functions, one in ((served, loaded), (compile, compiled)):
        try:
            functions.predict_fn(functions.input_fn(body, kind), one)
        except Exception as error:
            assert type(error).__name__ in ("RequestError", "PicturesError"), error
        else:
            raise AssertionError((functions, kind))
"""
TWO_INPUTS = """
import torch
from pathlib import Path
import tempfile
from toolkit.compiled import converters, model
from toolkit.errors import ServingError, ToolkitError
class Net(torch.nn.Module):
    def forward(self, one, other):
        return one @ other.T, one.sum(1)
into = Path(tempfile.mkdtemp())
ones = (torch.ones(2, 3), torch.ones(2, 3))
made = converters.pytorch(Net(), *ones, inputs=["one", "other"], outputs=["product", "sum"])
(into / "model.onnx").write_bytes(made)
found = model.OnnxModel(into)
assert found.output("sum", [[1, 2, 3]], [[1, 1, 1]]).tolist() == [6.0]
assert found.output("product", one=[[1, 2, 3]], other=[[1, 1, 1], [0, 0, 2]]).tolist() == [[6.0, 6.0]]
for wrong, sentence in (
    (lambda: found.run([[1, 2, 3]]), "the compiled model has 2 inputs (one, other); 1 were given"),
    (lambda: found.output("none", [[1]], [[1]]), "the compiled model has no output 'none'; it has product, sum"),
):
    try:
        wrong()
    except ServingError as error:
        assert str(error) == sentence, error
    else:
        raise AssertionError(sentence)
class Broken(torch.nn.Module):
    def forward(self, x):
        raise RuntimeError("no way")
try:
    converters.pytorch(Broken(), torch.ones(1))
except ToolkitError as error:
    assert "torch.onnx can't convert Broken: RuntimeError: no way; write onnx_model" in str(error), error
else:
    raise AssertionError
"""


class Networks(unittest.TestCase):
    def runs(self, script, *arguments):
        command = [sys.executable, "-c", script, *arguments]
        done = subprocess.run(command, env=AROUND, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_answers_without_pytorch_are_those_with_it(self):
        for folder in ("cifar_subset", "detector"):
            with self.subTest(folder):
                self.runs(SCRIPT, str(MODELS / folder))

    def test_inputs_and_outputs_by_name_and_what_cannot_be_traced(self):
        self.runs(TWO_INPUTS)
