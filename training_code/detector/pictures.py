"""Pictures with boxes as SageMaker's TensorFlow object detection takes them: `images/`, and `annotations.json` with

    "images": [{"file_name", "height", "width", "id"}]
    "annotations": [{"image_id", "bbox": [xmin, ymin, xmax, ymax], "category_id"}]

and, if the classes have names, "categories": [{"id", "name"}], as COCO has them. Boxes are in pixels.
"""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.picture_arrays import PicturesError
from toolkit.picture_files import decoded

ANNOTATIONS, FOLDER = "annotations.json", "images"


@dataclass(frozen=True)
class Annotated:
    """A picture's file and its boxes (n, 4), as shares of its width and height; `classes`: their numbers (n,)."""

    path: Path
    boxes: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Channel:
    """A channel's pictures, the labels of its classes, and what was left out, a sentence each."""

    pictures: list
    labels: tuple
    left_out: list


def load(folder):
    """A channel as its annotations.json says it. The pictures themselves are read by `pixels`.

    Raises:
        PicturesError: a file, or what is missing or wrong in it.
    """
    path = Path(folder) / ANNOTATIONS
    document = _document(path)
    images = _images(document, path)
    categories = _categories(document, path)
    boxes, left_out = _boxes(document, path, images)
    known = categories or {
        number: str(number) for number in sorted({number for of in boxes.values() for _, number in of})
    }
    order = {number: place for place, number in enumerate(known)}
    found = [_annotated(path.parent / FOLDER / name, boxes[key], order, path) for key, (name, _) in images.items()]
    if not any(len(one.boxes) for one in found):
        raise PicturesError(f"{path} holds no box; there is nothing to learn or to find")
    return Channel(found, tuple(known.values()), left_out)


def _document(path):
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PicturesError(f"there is no {path}; a channel holds {ANNOTATIONS} and the folder {FOLDER}/") from error
    except (OSError, ValueError, RecursionError) as error:
        raise PicturesError(f"{path} can't be read as JSON: {error}") from error
    for field in ("images", "annotations"):
        if not isinstance(document, dict) or not isinstance(document.get(field), list):
            raise PicturesError(f'{path} has no list "{field}"; it is {{"images": [...], "annotations": [...]}}')
    return document


def _images(document, path):
    """id -> (file name, (width, height))."""
    found = {}
    for number, entry in enumerate(document["images"]):
        where = f"{path}: images[{number}]"
        name, key = _field(entry, "file_name", str, where), _field(entry, "id", (int, str), where)
        width, height = (_field(entry, side, int, where) for side in ("width", "height"))
        if key in found:
            raise PicturesError(f"{where}: the id {key!r} is {found[key][0]}'s already; each picture needs its own")
        if width < 1 or height < 1:
            raise PicturesError(f"{where}: {name} is {width} x {height}; a picture has at least a pixel")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise PicturesError(f"{where}: file_name is {name!r}; write a name below {FOLDER}/")
        if not (path.parent / FOLDER / name).is_file():
            raise PicturesError(f"{where}: there is no file {FOLDER}/{name}")
        found[key] = (name, (width, height))
    return found


def _field(entry, field, kind, where):
    value = entry.get(field) if isinstance(entry, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        wanted = " or ".join({int: "a whole number", str: "a text"}[one] for one in np.atleast_1d(kind))
        raise PicturesError(f"{where}: {field} is {value!r:.60}; it must be {wanted}")
    return value


def _categories(document, path):
    """Category id -> label, in the order of the file; nothing where it has none."""
    listed = document.get("categories", [])
    if not isinstance(listed, list):
        raise PicturesError(f'{path}: categories is {listed!r:.60}; it must be a list of {{"id", "name"}}')
    found = {}
    for number, entry in enumerate(listed):
        where = f"{path}: categories[{number}]"
        found[_field(entry, "id", (int, str), where)] = _field(entry, "name", str, where)
    if len(set(found.values())) < len(listed):
        raise PicturesError(f"{path}: two categories have one id or one name; each needs its own")
    return found


def _boxes(document, path, images):
    """id -> [(box, category)], and what was left out of them."""
    found, left_out = {key: [] for key in images}, []
    for number, entry in enumerate(document["annotations"]):
        where = f"{path}: annotations[{number}]"
        key = _field(entry, "image_id", (int, str), where)
        if key not in images:
            raise PicturesError(f"{where}: image_id is {key!r}, but no picture of images has this id")
        category = _field(entry, "category_id", (int, str), where)
        box = _shares(entry.get("bbox"), *images[key], where)
        if box is None:
            left_out.append(f"{where}: the box {entry['bbox']} of {images[key][0]} has no area")
        else:
            found[key].append((box, category))
    return found, left_out


def _shares(box, name, size, where):
    """A box as shares of its picture's width and height; None where it has no area."""
    numbers = isinstance(box, list) and all(isinstance(one, (int, float)) and math.isfinite(one) for one in box)
    if not numbers or len(box) != 4:
        raise PicturesError(f"{where}: bbox is {box!r:.60}; it must be [xmin, ymin, xmax, ymax], four numbers")
    left, top, right, bottom = box
    if right < left or bottom < top:
        raise PicturesError(
            f"{where}: bbox is {box}, with xmax or ymax below xmin or ymin; it must be [xmin, ymin, xmax, ymax], not "
            "COCO's [x, y, width, height]"
        )
    width, height = size
    # Annotators draw a pixel or two beyond the edge; what lies there can't be seen.
    if (
        left > width + 1
        or top > height + 1
        or right > 1.1 * width + 2
        or bottom > 1.1 * height + 2
        or right < 0
        or bottom < 0
    ):
        raise PicturesError(
            f"{where}: bbox is {box}, but {name} is {width} x {height} pixels; boxes are in pixels of it"
        )
    inside = [
        min(max(left, 0), width),
        min(max(top, 0), height),
        min(max(right, 0), width),
        min(max(bottom, 0), height),
    ]
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        return None
    return [inside[0] / width, inside[1] / height, inside[2] / width, inside[3] / height]


def _annotated(file, boxes, order, path):
    unknown = Counter(category for _, category in boxes if category not in order)
    if unknown:
        raise PicturesError(
            f"{path}: the category_id {next(iter(unknown))!r} of {file.name} isn't among the categories"
        )
    classes = np.array([order[category] for _, category in boxes], np.int64)
    return Annotated(file, np.array([box for box, _ in boxes], np.float32).reshape(-1, 4), classes)


def pixels(annotated, size):
    """Pictures as uint8 (n, size, size, 3), which of them these are, and what can't be read, a sentence each."""
    arrays, kept, left_out = [], [], []
    for one in annotated:
        try:
            arrays.append(decoded(one.path, size, one.path.name))
            kept.append(one)
        except PicturesError as error:
            left_out.append(str(error))
    if not kept:
        raise PicturesError(f"none of the {len(annotated)} pictures can be read; the first: {left_out[0]}")
    return np.stack(arrays), kept, left_out


def tensor(array):
    """Pictures as bytes -> (n, 3, height, width), about -2 to 2: what the backbone has learned from."""
    import torch  # only here: compile.py reads pictures where PyTorch isn't

    return torch.from_numpy(array).permute(0, 3, 1, 2).float().div_(63.75).sub_(2.0).contiguous()
