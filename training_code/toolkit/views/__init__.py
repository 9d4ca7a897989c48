"""Views: pictures of a training, drawn from its saved tensors beside it. What a `views.py` of a model's folder needs.

    from toolkit.views import evaluation_steps, image_grid

    def reconstructions(trial, step, *, examples=8):
        first = evaluation_steps(trial, step)[0]
        pictures = trial.value("input", first, "eval")[:examples], trial.value("model/output", first, "eval")[:examples]
        return image_grid(pictures, row_names=("input", "reconstruction"))

A view returns a dict (a Vega-Lite document; an object with `to_dict()`, as Altair's charts, counts), a str (an SVG
document) or bytes (a PNG file). `python -m toolkit.views` draws, beside the training or afterwards; docs/views.md tells
how a view is named in pipeline.yaml, and which ones are built in.
"""

from toolkit.probe.errors import NotSavedError
from toolkit.probe.layout import EVAL, TRAIN
from toolkit.probe.trial import Trial
from toolkit.views import svg, vega
from toolkit.views.grids import image_grid
from toolkit.views.passes import evaluation_steps
from toolkit.views.pixels import png, to_pixels

__all__ = [
    "EVAL",
    "TRAIN",
    "NotSavedError",
    "Trial",
    "evaluation_steps",
    "image_grid",
    "png",
    "svg",
    "to_pixels",
    "vega",
]
