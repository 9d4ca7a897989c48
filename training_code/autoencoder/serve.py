"""Encodes and decodes digits. The endpoint and the evaluation both call these functions.

A request in JSON says what it wants: {"encode": digits}, {"decode": latents}, or {"reconstruct": digits}, both at once.
Rows of CSV and arrays of NPY say it by their width: a digit has 784 numbers, from 0 to 255, and is encoded; latents
have 20, and are decoded.
"""

import io
import json

import autoencoder
import digit_files
import numpy as np
import torch
from digit_files import PIXELS, SIZE, DigitsError
from pca import Pca
from reconstruction import squared_error

from toolkit import request_body
from toolkit.request_body import RequestError
from toolkit.signature import signed

torch.set_num_threads(1)  # one request is one digit: handing it to threads would cost more than it saves

ENCODE, DECODE, RECONSTRUCT = "encode", "decode", "reconstruct"
CSV, JSON, NPY = "text/csv", "application/json", "application/x-npy"
# Of latents; a network's own are far smaller. Of numbers near float32's largest a layer makes NaN, which no JSON has.
FURTHEST = 1e6


def model_fn(model_dir):
    """The network, from tensors and JSON: nothing that is loaded runs."""
    return autoencoder.load(model_dir)


def input_fn(body, content_type):
    """A request -> what is wanted (encode, decode or reconstruct), and an array with a digit or latents a row."""
    kind = content_type.partition(";")[0].strip()
    if kind == JSON:
        return _wanted(request_body.document(body))
    if kind == CSV:
        return _by_width(digit_files.table(request_body.text(body), "the request"))
    if kind == NPY:
        return _by_width(request_body.array(body))
    raise RequestError(f"content type {content_type}: send {JSON}, {CSV} or {NPY}")


def predict_fn(data, model):
    """What is wanted -> it: latents (n, 20), or digits (n, 784)."""
    wanted, array = data
    latents = _latents(array, model.latents) if wanted == DECODE else _encoded(array, wanted, model)
    if wanted == ENCODE:
        return wanted, latents
    return wanted, autoencoder.decode(model, latents).reshape(-1, PIXELS)


@signed
def output_fn(prediction, accept):
    """Latents or digits -> {"latents": …} or {"digits": …} (application/json), NPY, or rows of CSV; with its type."""
    wanted, array = prediction
    if accept == NPY:
        body = io.BytesIO()
        np.save(body, array, allow_pickle=False)
        return body.getvalue(), NPY
    # Seven digits are all that float32 has.
    rows = [[f"{number:.7g}" for number in row] for row in array.tolist()]
    if accept == JSON:
        name = "latents" if wanted == ENCODE else "digits"
        return json.dumps({name: [[float(number) for number in row] for row in rows]}), JSON
    return "\n".join(",".join(row) for row in rows), CSV


def heldout_fn(folder):
    """The held-out digits, each to be reconstructed; with each what 20 principal components lose of it.

    They are fitted to the held-out digits themselves: none that were fitted to others, as to those that a model learned
    from, lose less of these. So challenger and champion are measured by the same, whatever they learned from.
    """
    _, digits = digit_files.load(folder)
    reconstructed = Pca(digits, autoencoder.LATENTS).reconstruct(digits)
    for digit, best in zip(digits.reshape(-1, PIXELS), reconstructed.reshape(-1, PIXELS), strict=True):
        truth = {"digit": digit.tolist(), "pca_error": squared_error(digit, best)}
        yield json.dumps({RECONSTRUCT: [digit.tolist()]}), JSON, truth


def _wanted(document):
    """What a document wants, and the array that it is wanted of."""
    wanted = [name for name in (ENCODE, DECODE, RECONSTRUCT) if isinstance(document, dict) and name in document]
    if len(wanted) != 1 or len(document) != 1:
        raise RequestError('the request must be {"encode": digits}, {"decode": latents} or {"reconstruct": digits}')
    try:
        return wanted[0], np.array(document[wanted[0]])
    except ValueError as error:
        raise RequestError(f"{wanted[0]}: rows must be equally long lists of numbers") from error


def _by_width(array):
    width = array.shape[1:]
    if width == (autoencoder.LATENTS,):
        return DECODE, array
    if width in ((PIXELS,), (SIZE, SIZE)):
        return ENCODE, array
    raise RequestError(
        f"an array of the shape {array.shape}: a digit has {PIXELS} numbers and is encoded, "
        f"latents have {autoencoder.LATENTS} and are decoded"
    )


def _encoded(array, wanted, model):
    try:
        return autoencoder.encode(model, digit_files.shaped(array, wanted))
    except DigitsError as error:
        raise RequestError(str(error)) from error


def _latents(array, count):
    if array.dtype.kind not in "iuf" or array.ndim != 2 or array.shape[1] != count or not len(array):
        raise RequestError(f"{DECODE} holds {array.dtype} of the shape {array.shape}; latents are numbers (n, {count})")
    if not (np.abs(array) <= FURTHEST).all():  # nor NaN
        raise RequestError(f"{DECODE}: latents must be numbers from -{FURTHEST:g} to {FURTHEST:g}")
    return array
