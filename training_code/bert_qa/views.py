"""Pictures of the attention with which the model reads one question about one sentence (attention.py), while it learns.

    heads     all layers and heads, small: which kinds of attention there are, and which of them change
    head      one of them with its words: from each word on the left to what it attends to on the right
    neurons   why: a word's query times each word's key, number by number, their sum, and what softmax makes of it

Layers and heads are counted from 0; layer -1 is the last.
"""

import numpy as np
from letters import TOKENS, decoded

from toolkit.views import EVAL, evaluation_steps, svg

SELF = "bert.encoder.layer.{}.attention.self"
ATTENTION, QUERY, KEY = f"{SELF}/output[1]", f"{SELF}.query/output", f"{SELF}.key/output"
ROW, TEXT = 20, 12
# The neurons' picture: where its columns begin, how wide a number is, and which numbers have a colour's full strength:
# queries' and keys' beyond 3, and their products beyond 4, are rare.
LEFT, TOP, CELL, MOST, BY_ELEMENT = 110, 84, 5, 3.0, 4.0
COLUMNS = (LEFT, LEFT + 180, LEFT + 360, LEFT + 460)
# Of an attention that is hardly there no line is drawn; spread evenly over 20 tokens it is 0.05.
FAINT, FAINT_SMALL = 0.02, 0.1
# Numbers below 0 have another hue.
STYLE = "<style>.less{fill:#bc4c00}@media(prefers-color-scheme:dark){.less{fill:#f0883e}}</style>"


def heads(trial, step, first=20):
    """Every layer's and head's attention between the first tokens, small."""
    look = looked(trial, step)
    layers = [weights(trial, look, layer)[:, :first, :first] for layer in range(layer_count(trial))]
    width, height, left, top = 44, 76, 64, 44
    parts = [svg.text(0, 14, f"Attention of all heads, after {steps(step)}", size=13)]
    for head in range(len(layers[0])):
        x = left + head * (width + 8) + width / 2
        parts.append(svg.text(x, top - 8, head, css="soft", size=10, anchor="middle"))
    for layer, of_heads in enumerate(layers):
        y = top + layer * (height + 10)
        parts.append(svg.text(0, y + height / 2, f"layer {layer}", css="soft", size=11))
        for head, matrix in enumerate(of_heads):
            x = left + head * (width + 8)
            parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" class="line grid"/>')
            parts.append(threads(matrix, x + 3, x + width - 3, y + 4, (height - 8) / len(matrix), FAINT_SMALL, 1.6))
    wide = max(260, left + len(layers[0]) * (width + 8))
    return svg.document(wide, top + len(layers) * (height + 10), *parts, title=f"Attention of all heads, step {step}")


def head(trial, step, layer=-1, head=0, first=20):
    """One head's attention between the first tokens: the thicker a line, the more."""
    look, layer = looked(trial, step), layer_number(trial, layer)
    matrix = chosen(weights(trial, look, layer), head, "head")[:first, :first]
    tokens = decoded(trial.value(TOKENS, look, EVAL))[:first]
    left, right, top = 110, 330, 48
    parts = [svg.text(0, 14, f"Layer {layer}, head {head}, after {steps(step)}", size=13)]
    parts.append(svg.text(left - 8, 34, "attends", css="soft", size=10, anchor="end"))
    parts.append(svg.text(right + 8, 34, "is attended to", css="soft", size=10))
    for number, token in enumerate(tokens):
        y = top + number * ROW + ROW / 2 + 4
        parts.append(svg.text(left - 8, y, token, size=TEXT, anchor="end"))
        parts.append(svg.text(right + 8, y, token, size=TEXT))
    parts.append(threads(matrix, left, right, top, ROW, FAINT, 8))
    title = f"Attention of layer {layer}, head {head}, step {step}"
    return svg.document(right + 110, top + len(tokens) * ROW + 8, *parts, title=title)


def neurons(trial, step, layer=-1, head=0, token=5, first=20):  # noqa: PLR0913, PLR0917
    """One token's query, by each token's key: number by number, their product, and its softmax, the attention."""
    look, layer = looked(trial, step), layer_number(trial, layer)
    attention = weights(trial, look, layer)
    row = chosen(chosen(attention, head, "head"), token, "token")
    query = of_head(trial.value(QUERY.format(layer), look, EVAL), head, len(attention))[token]
    keys = of_head(trial.value(KEY.format(layer), look, EVAL), head, len(attention))
    tokens = decoded(trial.value(TOKENS, look, EVAL))
    by_element = query * keys
    products = by_element.sum(axis=1) / np.sqrt(keys.shape[1])
    parts = [STYLE, svg.text(0, 14, f"Layer {layer}, head {head}, after {steps(step)}", size=13)]
    parts += [svg.text(LEFT - 8, TOP - 34, f"{tokens[token]} asks, q", anchor="end"), strip(query, LEFT, TOP - 46)]
    columns = ("key k", "q × k, by element", "q · k / √d", "softmax")
    parts += [svg.text(x, TOP - 8, name, css="soft", size=10) for x, name in zip(COLUMNS, columns, strict=True)]
    for place, name in enumerate(tokens[:first]):
        y = TOP + place * ROW
        parts.append(svg.text(LEFT - 8, y + ROW / 2 + 4, name, anchor="end"))
        parts += [strip(keys[place], COLUMNS[0], y), strip(by_element[place], COLUMNS[1], y, most=BY_ELEMENT)]
        parts.append(bar(products[place], np.abs(products).max(), COLUMNS[2] + 40, y, 36))
        parts.append(bar(row[place], 1.0, COLUMNS[3], y, 76))
    title = f"Queries and keys of layer {layer}, head {head}, step {step}"
    return svg.document(COLUMNS[3] + 90, TOP + len(tokens[:first]) * ROW + 8, *parts, title=title)


# ---------------------------------------------------------------------------------------------- what the probe saved


def looked(trial, step):
    """The evaluation step in which the sentence was read last."""
    saved = set(trial.steps(TOKENS, EVAL))
    found = [one for one in evaluation_steps(trial, step) if one in saved]
    if not found:  # raises what is missing, in the probe's words
        trial.value(TOKENS, max([0, *evaluation_steps(trial, step)]), EVAL)
    return found[-1]


def layer_count(trial):
    """How many layers' attention was saved."""
    return len(trial.names(r"\.attention\.self/output\[1\]$"))


def layer_number(trial, layer):
    """A layer, counted from 0; -1 is the last."""
    count = layer_count(trial)
    if not count:  # which weights() says
        return layer
    return chosen(range(count), count - 1 if layer == -1 else layer, "layer")


def weights(trial, look, layer):
    """A layer's attention: (heads, attending tokens, attended tokens), each row's sum 1."""
    return trial.value(ATTENTION.format(layer), look, EVAL)[0]


def of_head(projected, head, heads):
    """A head's part of queries or keys: (tokens, numbers)."""
    _, tokens, width = projected.shape
    return projected.reshape(tokens, heads, width // heads)[:, head]


def chosen(of, number, what):
    """of[number]; an error that says which there are."""
    if not 0 <= number < len(of):
        raise ValueError(f"there is no {what} {number}: there are 0 to {len(of) - 1}")
    return of[number]


# ------------------------------------------------------------------------------------------------------- how it looks


def threads(matrix, left, right, top, row, faint, thickest):  # noqa: PLR0913, PLR0917
    """A line from each attending token on the left to each attended one on the right, as thick as the attention."""
    lines = [
        f'<path d="M{left} {top + (i + 0.5) * row:.1f}L{right} {top + (j + 0.5) * row:.1f}" '
        f'stroke-width="{weight * thickest:.2f}" stroke-opacity="{0.35 + 0.65 * weight:.2f}"/>'
        for (i, j), weight in np.ndenumerate(matrix)
        if weight >= faint
    ]
    return f'<g class="line accent">{"".join(lines)}</g>'


def strip(numbers, x, y, most=None):
    """Numbers as a row of cells: blue above 0, orange below, the stronger the further."""
    shown = np.clip(numbers / (most or MOST), -1, 1)
    cells = [
        f'<rect x="{x + place * CELL}" y="{y + 2}" width="{CELL}" height="{ROW - 4}" '
        f'class="{"accent" if value > 0 else "less"}" fill-opacity="{abs(value):.2f}"/>'
        for place, value in enumerate(shown)
    ]
    outline = f'<rect x="{x}" y="{y + 2}" width="{len(numbers) * CELL}" height="{ROW - 4}" class="line grid"/>'
    return "".join(cells) + outline


def bar(value, most, x, y, width):
    """A number as a bar from x on, to the right above 0, to the left below."""
    long = abs(value) / (most or 1) * width
    css, start = ("accent", x) if value >= 0 else ("less", x - long)
    return f'<rect x="{start:.1f}" y="{y + 5}" width="{long:.1f}" height="{ROW - 10}" class="{css}"/>'


def steps(step):
    """A number of training steps in words."""
    return "1 step" if step == 1 else f"{step} steps"
