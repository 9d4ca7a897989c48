"""Views of all kinds, and some that go wrong."""

import numpy as np

from toolkit.views import png


def path(trial, step, colour="steelblue"):
    """The way of the weights, as an SVG."""
    steps = [at for at in trial.steps("weights") if at <= step]
    points = [trial.value("weights", at) for at in steps]
    line = " ".join(f"{50 + 40 * x:.2f},{50 + 20 * y:.2f}" for x, y in points)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 120" width="120" height="120">'
        f'<title>{len(steps)} steps</title><polyline points="{line}" fill="none" stroke="{colour}"/></svg>'
    )


def pixels(trial, step, *, rows=4):
    """The weights as grey pixels, as a PNG. After an evaluation: those of the last step before it."""
    last = max(at for at in trial.steps("weights") if at <= step)
    grey = np.clip(128 + 60 * trial.value("weights", last), 0, 255).astype(np.uint8)
    return png(np.repeat(grey[None, :], rows, axis=0))


def raises(trial, step):
    return trial.value("weights", step)[7]


def too_much(trial, step):
    return '<svg xmlns="http://www.w3.org/2000/svg">' + "<g/>" * 5_000_000 + "</svg>"


def not_saved(trial, step):
    return trial.value("biases", step)
