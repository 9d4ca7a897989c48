"""What the detector finds while it learns: the same pictures after each epoch, with its boxes and the right ones."""

import base64
import json

import numpy as np

from toolkit.views import EVAL, evaluation_steps, png, svg

# What train.py saves: pictures, and for each the right boxes and the found ones, as JSON in bytes.
PICTURES, TOLD = "shown/pictures", "shown/boxes"
# Told apart without their colours by the labels beside them.
COLOURS = ("#e6194b", "#4363d8", "#3cb44b", "#f58231", "#911eb4", "#42d4f4", "#f032e6", "#bfef45")
DASHED = 'stroke="#ffffff" stroke-width="1" stroke-dasharray="4 3"'
GAP, FONT, LEAST_WIDTH = 8, 12, 420
# The longest side of a picture, in pixels: a page holds hundreds of views.
MOST = 128


def boxes(trial, step, least=0.3, scale=2):
    """Pictures with the right boxes (dashed) and those that are found, as surely as `least` at least, by class."""
    look = evaluation_steps(trial, step)[-1]
    images = trial.value(PICTURES, look, EVAL)
    told = json.loads(bytes(trial.value(TOLD, look, EVAL)).decode())
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(told["classes"])}
    side, top = images.shape[1] * scale, 2 * (FONT + GAP)
    parts = legend(colours, step)
    for column, (picture, right, found) in enumerate(zip(images, told["right"], told["found"], strict=True)):
        corner = (column * (side + GAP), top)
        parts.append(photograph(picture, corner, side))
        parts += [outline(box, corner, side, DASHED) for box in right["boxes"]]
        sure = [place for place, score in enumerate(found["scores"]) if score >= least]
        for place in sure:
            line = f'stroke="{colours[found["labels"][place]]}" stroke-width="{1 + 2 * found["scores"][place]:.1f}"'
            parts.append(outline(found["normalized_boxes"][place], corner, side, line))
    wide = max(len(images) * (side + GAP) - GAP, LEAST_WIDTH)
    return svg.document(wide, top + side, *parts, title=f"What is found in {len(images)} pictures, step {step}")


def legend(colours, step):
    """The step, and each class's name in its colour."""
    parts = [svg.text(0, FONT, f"Found after {step} steps; dashed: what is there", size=FONT)]
    left = 0.0
    for name, colour in colours.items():
        parts.append(f'<rect x="{left}" y="{FONT + GAP}" width="10" height="10" fill="{colour}"/>')
        parts.append(svg.text(left + 14, 2 * FONT + GAP - 2, name, size=FONT))
        left += 14 + svg.width_of(name, FONT) + 2 * GAP
    return parts


def photograph(picture, corner, side):
    """A picture, uint8 (h, w, 3), with its left upper corner there."""
    data = base64.b64encode(png(picture)).decode()
    where = f'x="{corner[0]}" y="{corner[1]}" width="{side}" height="{side}"'
    return f'<image {where} href="data:image/png;base64,{data}"/>'


def outline(box, corner, side, line):
    """The rectangle of a box, whose numbers are shares of the picture."""
    x, y, right, bottom = (share * side for share in box)
    where = f'x="{corner[0] + x:.1f}" y="{corner[1] + y:.1f}" width="{right - x:.1f}" height="{bottom - y:.1f}"'
    return f'<rect {where} fill="none" {line}/>'


def save(probe, images, truths, answers, classes):
    """Saves what `boxes` draws, at the probe's step. Words go as UTF-8 bytes, for a tensor holds numbers."""
    every = -(-images.shape[1] // MOST)
    told = {"classes": list(classes), "right": truths, "found": answers}
    probe.tensor(PICTURES, np.ascontiguousarray(images[:, ::every, ::every]))
    probe.tensor(TOLD, np.frombuffer(json.dumps(told).encode(), np.uint8))
