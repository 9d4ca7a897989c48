"""Maps as colours over pictures."""

import numpy as np

# Dark blue, green, yellow: each lighter than the one before it, so that the order is seen without colours too.
COLOURS = np.array([(20, 20, 90), (30, 120, 140), (60, 190, 110), (250, 230, 60)], float)


def overlaid(picture, heat, strength=0.75):
    """The picture, uint8 (h, w, 3), in grey, and a map (h, w) over it in colours: uint8 (h, w, 3)."""
    low, high = heat.min(), heat.max()
    share = (heat - low) / max(high - low, 1e-12)
    at = share * (len(COLOURS) - 1)
    coloured = np.stack([np.interp(at, range(len(COLOURS)), channel) for channel in COLOURS.T], axis=-1)
    grey = np.repeat(picture.mean(2, keepdims=True), 3, axis=2)
    return (strength * coloured + (1 - strength) * grey).round().astype(np.uint8)
