"""The network in ONNX, and the functions that answer with it where PyTorch isn't (`deploy: {compile: {target: onnx}}`).

Requests and answers are serve.py's, whose functions need PyTorch.
"""

import io
import json

import numpy as np
from PIL import Image

from toolkit import request_body
from toolkit.compiled import converters
from toolkit.request_body import RequestError
from toolkit.signature import signed

KEEP = ["architecture.json"]  # with the classes' names

CSV, JSON, NPY, PNG, JPEG = "text/csv", "application/json", "application/x-npy", "image/png", "image/jpeg"
SIZE = 32  # pixels, of width and height
MOST_PIXELS = 16_000_000


def onnx_model(model_dir):
    """The network that train.py has saved."""
    import network
    import torch

    net, _arch = network.load(model_dir)
    return converters.pytorch(net, torch.zeros(1, 3, SIZE, SIZE))


def input_fn(body, content_type):
    """A request -> pictures, uint8 (n, 32, 32, 3). Raises RequestError."""
    kind = content_type.partition(";")[0].strip()
    if kind in (PNG, JPEG):
        return _decoded(body)[None]
    if kind != NPY:
        raise RequestError(f"content type {content_type}: send {PNG}, {JPEG} or {NPY}")
    images = request_body.array(body)
    if images.ndim != 4 or images.shape[1:] != (SIZE, SIZE, 3) or not len(images):
        raise RequestError(f"the request has pictures of shape {images.shape}; (n, {SIZE}, {SIZE}, 3) is needed")
    if images.dtype.kind not in "uif" or images.min() < 0 or images.max() > 255:
        raise RequestError(f"the request has pixels of type {images.dtype}; they are numbers from 0 to 255")
    return images.astype(np.uint8)


def predict_fn(images, model):
    """Pictures -> (class, probability) of each."""
    (scores,) = model.run(images.transpose(0, 3, 1, 2) / np.float32(63.75) - np.float32(2.0))
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    classes = json.loads((model.folder / KEEP[0]).read_text())["classes"]
    return [(classes[of.argmax()], float(of.max())) for of in shares]


@signed
def output_fn(found, accept):
    """What was found -> the answer's text, with its type."""
    if accept == JSON:
        return json.dumps([{"class": name, "probability": round(share, 6)} for name, share in found]), JSON
    return "\n".join(name for name, _ in found), CSV


def _decoded(body):
    """A PNG's or JPEG's pixels as the network takes them."""
    try:
        with Image.open(io.BytesIO(body), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MOST_PIXELS:
                raise RequestError(f"a picture of {image.width} x {image.height}; {MOST_PIXELS:,} pixels are the most")
            return np.array(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RequestError(f"no PNG or JPEG can be read from these {len(body)} bytes: {error}") from error
