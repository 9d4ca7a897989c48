"""The XGBoost container's ways to read a request, with RecordIO as AWS's `sagemaker_containers` writes it.

Its own decoder isn't on PyPI, so each type is held against the matrix that was written.
"""

from __future__ import annotations

import json

import numpy as np
import ours
import scipy.sparse
from sagemaker_containers import _encoders

ROWS = np.array([[0.5, 0.0, 2.0], [0.0, 4.0, -1.5]])
SPARSE = scipy.sparse.csr_matrix(ROWS)
LIBSVM = "1 {0}:0.5 {2}:2\n0 {1}:4 {2}:-1.5\n"
BODIES = {
    "csv": ("text/csv", "0.5,0,2\n0,4,-1.5"),
    "csv as bytes": ("text/csv; charset=utf-8", b"0.5,0,2\n0,4,-1.5"),
    "other delimiter": ("text/csv", "0.5;0;2\n0;4;-1.5"),
    "libsvm from 0": ("text/libsvm", LIBSVM.format(0, 1, 2).encode()),
    "libsvm from 1": ("text/x-libsvm", LIBSVM.format(1, 2, 3).encode()),
    "recordio, doubles": ("application/x-recordio-protobuf", _encoders.array_to_recordio_protobuf(ROWS)),
    "recordio, floats": (
        "application/x-recordio-protobuf",
        _encoders.array_to_recordio_protobuf(ROWS.astype("float32"), np.array([1.0, 0.0])),
    ),
    "recordio, sparse": ("application/x-recordio-protobuf", _encoders.array_to_recordio_protobuf(SPARSE)),
}


def main() -> None:
    read = ours.part("xgboost_functions").read
    told = {}
    for name, (content_type, body) in BODIES.items():
        matrix = read(body, content_type).get_data().toarray()
        told[name] = bool(np.array_equal(matrix, ROWS))
    missing = read("1,,3", "text/csv")
    told["an empty field is missing"] = (missing.num_col(), missing.num_nonmissing()) == (3, 2)
    whole = _encoders.array_to_recordio_protobuf(np.array([[1, 2], [3, 4]]))
    told["recordio, integers"] = read(whole, "application/x-recordio-protobuf").get_data().toarray().tolist() == [
        [1, 2],
        [3, 4],
    ]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
