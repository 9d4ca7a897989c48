"""What the training was made of: each epoch's share of every class, and its losses beside those of all pictures."""

import json

from toolkit.subsets import record
from toolkit.views import vega

NAMES = "subset/names"


def chosen(trial, step):
    """Above, of how many examples of each class an epoch was made, beside their share of all (1 is as many); below, the
    mean of the last losses of those that were chosen, and of all."""
    epochs = trial.numbers(record.EPOCH)
    names = json.loads(bytes(trial.value(NAMES, trial.steps(NAMES)[0])).decode())
    shares, losses = [], []
    for at, epoch in epochs.items():
        part, everything = trial.value(record.CLASSES, at)
        shares += vega.values(
            epoch=[int(epoch)] * len(names),
            name=names,
            share=part / everything,
            chosen=100 * part,
            of_all=100 * everything,
        )
        of_chosen, of_all = trial.value(record.LOSSES, at)
        losses += vega.values(epoch=[int(epoch)] * 2, of=["chosen", "all"], loss=[float(of_chosen), float(of_all)])
    return {
        "$schema": vega.SCHEMA,
        "description": f"What the epochs until step {step} were made of",
        "title": {"text": f"What the epochs until step {step} were made of", "anchor": "start"},
        "background": None,
        "vconcat": [_shares(shares), _losses(losses)],
        "resolve": {"scale": {"color": "independent"}},
    }


def _shares(rows):
    x = {"field": "epoch", "type": "ordinal", "title": "epoch", "axis": {"labelOverlap": True, "labelAngle": 0}}
    y = {"field": "name", "type": "nominal", "title": None}
    scale = {"scheme": "blueorange", "domain": [0, 1, 2], "clamp": True}
    colour = {"field": "share", "type": "quantitative", "title": "share", "scale": scale}
    told = [{"field": name, "format": ".3~g"} for name in ("share", "chosen", "of_all")]
    encoding = {"x": x, "y": y, "color": colour, "tooltip": [{"field": "epoch"}, {"field": "name"}, *told]}
    title = {"text": "A class's share of an epoch, over its share of all", "anchor": "start", "fontSize": 12}
    return {"title": title, "width": 560, "height": 200, "data": {"values": rows}, "mark": "rect", "encoding": encoding}


def _losses(rows):
    x = {"field": "epoch", "type": "quantitative", "title": "epoch", "axis": {"tickMinStep": 1}}
    y = {"field": "loss", "type": "quantitative", "title": "mean of the last losses"}
    colours = {"domain": ["chosen", "all"], "range": ["#d9730d", "#2f81f7"]}
    colour = {"field": "of", "type": "nominal", "title": None, "scale": colours, "legend": {"orient": "bottom"}}
    told = [{"field": "epoch"}, {"field": "of"}, {"field": "loss", "format": ".4~g"}]
    encoding = {"x": x, "y": y, "color": colour, "tooltip": told}
    title = {"text": "Losses of what was chosen, and of all", "anchor": "start", "fontSize": 12}
    mark = {"type": "line", "point": True}
    return {"title": title, "width": 560, "height": 180, "data": {"values": rows}, "mark": mark, "encoding": encoding}
