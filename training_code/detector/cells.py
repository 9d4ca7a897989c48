"""Draws what might be cells under a microscope, with their boxes: `images/` and annotations.json, all from a seed.

    python cells.py FOLDER --pictures 200 --held-out 50

Three classes: red discs with a paler middle, many; white ones with a dark kernel, few and large; small specks. They lie
across each other and over the edge.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

# Class -> radius as shares of the picture's shorter side, how many there are, colour, and of what is in the middle.
CELLS = {
    "red": ((0.07, 0.10), (4, 9), (205, 120, 125), (225, 175, 175)),
    "white": ((0.14, 0.20), (0, 2), (215, 205, 225), (95, 60, 140)),
    "platelet": ((0.025, 0.04), (0, 3), (130, 95, 165), (130, 95, 165)),
}
GROUND = (232, 224, 226)


def main():
    parser = argparse.ArgumentParser(description="Draws cells with their boxes.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=200, help="to learn from (default: %(default)s)")
    parser.add_argument("--held-out", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--size", type=int, nargs=2, default=(320, 240), help="width and height (default: 320 240)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for offset, (channel, count) in enumerate({"train": args.pictures, "test": args.held_out}.items()):
        boxes = write(args.folder / channel, count, tuple(args.size), seed=2 * args.seed + offset)
        print(f"{args.folder / channel}: {count} pictures with {boxes} boxes of {len(CELLS)} classes")


def write(folder, count, size, *, seed):
    """A channel; how many boxes there are."""
    random = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(count):
        pixels, found = draw(size, random)
        name = f"cells_{number:05}.png"
        Image.fromarray(pixels).save(folder / "images" / name)
        images.append({"file_name": name, "height": size[1], "width": size[0], "id": number})
        annotations += [{"image_id": number, "bbox": box, "category_id": kind} for box, kind in found]
    categories = [{"id": number, "name": name} for number, name in enumerate(CELLS)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(document))
    return len(annotations)


def draw(size, random):
    """A picture, uint8 (height, width, 3), and [(box, class)] in it."""
    width, height = size
    y, x = np.mgrid[:height, :width] + 0.5
    pixels = np.ones((height, width, 3)) * GROUND + random.normal(0, 6, (1, 1, 3))
    found = []
    for kind, (radii, counts, colour, middle) in enumerate(CELLS.values()):
        for _ in range(random.integers(*counts, endpoint=True)):
            across, down = random.uniform(*radii, 2) * min(size)
            left, top = random.uniform(0, width), random.uniform(0, height)
            far = ((x - left) / across) ** 2 + ((y - top) / down) ** 2
            shade = random.normal(0, 8, 3)
            pixels[far <= 1] = colour + shade
            pixels[far <= 0.3] = middle + shade
            box = [max(0, left - across), max(0, top - down), min(width, left + across), min(height, top + down)]
            if (box[2] - box[0]) * (box[3] - box[1]) > across * down:  # of others too little is seen
                found.append(([round(float(side), 1) for side in box], kind))
    noisy = pixels + random.normal(0, 5, pixels.shape)
    return noisy.clip(0, 255).astype(np.uint8), found


if __name__ == "__main__":
    main()
