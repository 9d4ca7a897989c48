"""One side of bench/compile.py, in the environment of a model's image with the converters in front of it.

python compile_side.py pack MODEL INTO    compiles the model; says the bytes of the original and of each form
python compile_side.py serve MODEL        answers requests that come on standard input, and says how long each took
python compile_side.py compare            says which share of the pairs of answers on standard input are alike
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path


def pack(model: Path, into: Path) -> None:
    """The forms of the model, each a folder that serves it."""
    import onnxruntime  # noqa: PLC0415 - of the side that compiles

    from toolkit.compiled import conversion, packing  # noqa: PLC0415

    made = conversion.onnx_model(model)
    forms = {"float32": conversion.optimised(made), "int8": conversion.in_int8(made)}
    runtime = Path(onnxruntime.__file__).parent
    into.mkdir()
    sizes = {}
    for name, content in forms.items():
        if content is not None:
            packing.pack(model, content, conversion.kept(model), runtime, into / name)
            sizes[name] = len(content)
    files = [path for path in model.rglob("*") if path.is_file() and "code" not in path.relative_to(model).parts]
    print(json.dumps({"original": sum(path.stat().st_size for path in files), "forms": sizes}))


def serve(model: Path) -> None:
    """A request is a line, and so is its answer, with the seconds from its body to its text."""
    from toolkit import serving  # noqa: PLC0415 - the model's own, which is on the path first

    functions = serving.load_functions(model / "code")
    loaded = functions.load(str(model))
    for line in sys.stdin:
        content, kind, accept = json.loads(line)
        body = base64.b64decode(content)
        started = time.perf_counter()
        answer = functions.answer(loaded, body, kind, accept)
        print(json.dumps([time.perf_counter() - started, answer]), flush=True)


def compare() -> None:
    """As a compile job compares them."""
    from toolkit.compiled import comparing  # noqa: PLC0415 - as above

    pairs = json.load(sys.stdin)
    unequal = comparing.unequal([one for one, _ in pairs], [other for _, other in pairs])
    print(1 - len(unequal) / len(pairs))


if __name__ == "__main__":
    {"pack": pack, "serve": serve, "compare": compare}[sys.argv[1]](*map(Path, sys.argv[2:]))
