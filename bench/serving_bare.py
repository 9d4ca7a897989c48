"""The bare predict function, in the model's own environment.

python -P serving_bare.py FOLDER    each line of JSON {"bodies": […], "count": n} is answered by the milliseconds of
                                    n calls of predict_fn, one after the other, on what input_fn made of the bodies
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    folder = sys.argv[1]
    sys.path.insert(0, f"{folder}/code")
    import serve

    model = serve.model_fn(folder)
    for line in sys.stdin:
        asked = json.loads(line)
        given = [serve.input_fn(body, "application/json") for body in asked["bodies"]]
        print(
            json.dumps([milliseconds(serve, model, given[n % len(given)]) for n in range(asked["count"])]), flush=True
        )


def milliseconds(serve, model, given):
    started = time.perf_counter()
    serve.predict_fn(given, model)
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
