"""What the autoencoder makes of digits that it doesn't learn from, the same ones at each step."""

import tsne

from toolkit.views import evaluation_steps, image_grid, vega

# What train.py saves at each look.
DIGITS, RECONSTRUCTIONS, LATENTS, LABELS = "look/digits", "look/reconstructions", "look/latents", "look/labels"


def reconstructions(trial, step):
    """Digits above what is left of them after 20 numbers."""
    look = evaluation_steps(trial, step)[0]
    rows = [trial.value(name, look, "eval") for name in (DIGITS, RECONSTRUCTIONS)]
    return image_grid(rows, row_names=("digit", "from 20 numbers"), scale=2, title=f"digits at step {step}")


def latents(trial, step, perplexity=30.0):
    """The digits' latents on a plane (t-SNE), coloured by the digit, which the network never sees.

    Each picture begins where the first look's principal components lie, so that it shows what has changed in the
    latents, and nothing of how a picture came about.
    """
    look, first = evaluation_steps(trial, step)[0], trial.steps(LATENTS, "eval")[0]
    start = tsne.principal(trial.value(LATENTS, first, "eval"))
    places = tsne.layout(trial.value(LATENTS, look, "eval"), start, perplexity=perplexity)
    digits = [str(label) for label in trial.value(LABELS, look, "eval").tolist()]
    bare = {"axis": None, "scale": {"domain": [-2.6, 2.6]}}
    return {
        "$schema": vega.SCHEMA,
        "data": {"values": vega.values(x=places[:, 0], y=places[:, 1], digit=digits)},
        "width": 440,
        "height": 440,
        "mark": {"type": "circle", "size": 45, "opacity": 0.85, "clip": True},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", **bare},
            "y": {"field": "y", "type": "quantitative", **bare},
            "color": {"field": "digit", "type": "nominal", "scale": {"scheme": "tableau10"}},
            "tooltip": {"field": "digit"},
        },
    }
