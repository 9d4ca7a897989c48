"""What the autoencoder makes of digits that it doesn't learn from, the same ones at each step."""

import tsne

from toolkit.views import evaluation_steps, image_grid, vega

# What train.py saves at each look.
DIGITS, RECONSTRUCTIONS, LATENTS, LABELS = "look/digits", "look/reconstructions", "look/latents", "look/labels"
# What takes the longest, kept for the next picture: by the training and the perplexity.
_firsts = {}


def reconstructions(trial, step):
    """Digits above what is left of them after 20 numbers."""
    look = evaluation_steps(trial, step)[0]
    rows = [trial.value(name, look, "eval") for name in (DIGITS, RECONSTRUCTIONS)]
    return image_grid(rows, row_names=("digit", "from 20 numbers"), scale=2, title=f"digits at step {step}")


def latents(trial, step, perplexity=30.0):
    """The digits' latents on a plane (t-SNE), coloured by the digit, which the network never sees.

    Each picture begins with the first look's, so that from one to the next only that moves which has changed in the
    latents; it is the same whichever were drawn before.
    """
    look = evaluation_steps(trial, step)[0]
    places = tsne.layout(trial.value(LATENTS, look, "eval"), perplexity=perplexity, start=_first(trial, perplexity))
    places = tsne.normalised(places)
    digits = [str(label) for label in trial.value(LABELS, look, "eval").tolist()]
    bare = {"axis": None, "scale": {"domain": [-2, 2], "clamp": True}}
    return {
        "$schema": vega.SCHEMA,
        "data": {"values": vega.values(x=places[:, 0], y=places[:, 1], digit=digits)},
        "width": 440,
        "height": 440,
        "mark": {"type": "circle", "size": 45, "opacity": 0.85},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", **bare},
            "y": {"field": "y", "type": "quantitative", **bare},
            "color": {"field": "digit", "type": "nominal", "scale": {"scheme": "tableau10"}},
            "tooltip": {"field": "digit"},
        },
    }


def _first(trial, perplexity):
    """The first look's layout."""
    if (trial.where, perplexity) not in _firsts:
        first = trial.value(LATENTS, trial.steps(LATENTS, "eval")[0], "eval")
        _firsts[trial.where, perplexity] = tsne.layout(first, perplexity=perplexity)
    return _firsts[trial.where, perplexity]
