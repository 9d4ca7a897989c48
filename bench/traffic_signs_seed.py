"""One training of training_code/traffic_signs on real signs, and what it comes to. Runs where torch is.

Prints one line of JSON; traffic_signs.py starts it, once a seed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "training_code" / "traffic_signs"
# In the place of this folder, which has a platform.py that must not stand for Python's own.
sys.path[0:1] = [str(FOLDER), str(FOLDER.parent), str(FOLDER.parents[1])]

import learning  # noqa: E402
import network  # noqa: E402
import numpy as np  # noqa: E402
import pictures  # noqa: E402
import saliency  # noqa: E402
import sanity  # noqa: E402
import sign_metrics  # noqa: E402
import thresholds  # noqa: E402
import torch  # noqa: E402
import tracks  # noqa: E402
import train  # noqa: E402

from toolkit import network_files  # noqa: E402

SIXTY = "60_kmh"
# The correlation from which two pictures of a class are taken for twins: two of different classes hardly ever reach it.
TWIN = 0.97


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    data = Data(options)
    model, arch, seconds = trained(data, options)
    if options.model_dir:
        options.model_dir.mkdir(parents=True, exist_ok=True)
        network_files.save(options.model_dir, arch, model)
    print(json.dumps({"seed": options.seed, "train_seconds": seconds, **measured(model, arch, data, options)}))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--epochs", type=int, default=train.EPOCHS)
    parser.add_argument("--shown", type=int, required=True, help="held-out pictures whose maps are judged")
    parser.add_argument("--most", type=int, default=0, help="training pictures at most; 0 takes all")
    parser.add_argument("--model-dir", type=Path, help="where the network is kept, to be looked at")
    return parser.parse_args()


class Data:
    """Pictures to learn from, those that judge the recipe, and the held-out ones, with the classes' names."""

    def __init__(self, options: argparse.Namespace) -> None:
        with np.load(options.data, allow_pickle=False) as file:
            self.names = [str(name) for name in file["classes"]]
            images, labels = file["x_train"], file["y_train"].astype(np.int64)
            self.test = file["x_test"], file["y_test"].astype(np.int64)
        if options.most:
            images, labels = images[: options.most], labels[: options.most]
        self.all = images, labels
        track = tracks.found(images, labels)
        learned, judged = tracks.split(labels, track, validation=train.VALIDATION, seed=options.seed)
        self.learned = images[learned], labels[learned]
        self.judged = images[judged], labels[judged]


def trained(data: Data, options: argparse.Namespace) -> tuple[Any, Any, float]:
    """The network, its architecture, and how many of the processor's seconds it took, as train.py trains it."""
    arch = network.Architecture(tuple(data.names), train.WIDTH)
    model = network.build(arch)
    recipe = learning.Recipe(
        epochs=options.epochs,
        learning_rate=train.LEARNING_RATE,
        batch=train.BATCH,
        weight_decay=train.WEIGHT_DECAY,
        smoothing=train.SMOOTHING,
        strength=train.STRENGTH,
        heavy=thresholds.with_floors(arch.classes),
        weight=train.WEIGHT,
        seed=options.seed,
    )
    started = time.process_time()
    for _ in learning.Training(model, len(data.names), recipe).epochs(*data.learned):
        pass
    return model.eval(), arch, round(time.process_time() - started, 1)


def measured(model: Any, arch: Any, data: Data, options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is reported of one network."""
    (images, labels), likely = data.test, learning.probabilities(model, data.test[0])
    judged, found = data.judged[1], learning.probabilities(model, data.judged[0]).argmax(1)
    varied = learning.varied_probabilities(model, data.judged[0], train.STRENGTH, options.seed)
    told = np.tile(judged, learning.TIMES)
    least = thresholds.chosen(varied, told, arch.classes, train.FALSE_ALARMS)
    answers, alone = thresholds.decided(likely, arch.classes, least), ~alike(data, tracks.ALIKE)
    return {
        "parameters": network.parameters(model),
        "threshold_60": least[SIXTY],
        **of_answers(data, answers),
        **{f"{name}_most_likely": of for name, of in of_answers(data, likely.argmax(1)).items()},
        "accuracy_without_twins": float((answers == labels)[alone].mean()),
        "pictures_without_twins": int(alone.sum()),
        "pictures_60": int((labels == data.names.index(SIXTY)).sum()),
        **of_other_classes(likely, labels, varied, told, data.names),
        "tracks": twins(data),
        "validation_accuracy": float((found == judged).mean()),
        "validation_recall_60": sign_metrics.recall(named(data, judged), named(data, found), SIXTY),
        **of_maps(model, arch, images, options),
    }


def of_answers(data: Data, answers: Any) -> dict[str, Any]:
    """What answers for the held-out pictures, (n,), come to."""
    truths, answered = named(data, data.test[1]), named(data, answers)
    return {
        "recall_60": sign_metrics.recall(truths, answered, SIXTY),
        "taken_for_60": sum(answer == SIXTY != truth for truth, answer in zip(truths, answered, strict=True)),
        "accuracy": sign_metrics.accuracy(truths, answered),
    }


def of_other_classes(likely: Any, labels: Any, varied: Any, told: Any, names: list[str]) -> dict[str, Any]:
    """What thresholds do for the classes that had no say in how they are chosen: each in turn as the one with a floor.

    Args:
        likely, labels: of the held-out pictures, (n, classes) and (n,).
        varied, told: of the pictures by which thresholds are chosen.
    """
    usual, rows = likely.argmax(1), []
    for number, name in enumerate(names):
        shows = labels == number
        if name == SIXTY or not shows.any():
            continue
        least = {name: thresholds.least(varied[told != number, number], train.FALSE_ALARMS)}
        taken = thresholds.decided(likely, names, least) == number
        rows.append(((usual == number)[shows].mean(), taken[shows].mean(), taken[~shows].mean()))
    before, after, false_alarms = np.array(rows).T
    floor = sign_metrics.FLOORS[SIXTY]
    return {
        "others_below_floor_most_likely": int((before < floor).sum()),
        "others_below_floor": int((after < floor).sum()),
        "others_false_alarms": float(false_alarms.mean()),
    }


def named(data: Data, numbers: Any) -> list[str]:
    return [data.names[number] for number in numbers]


def alike(data: Data, least: float) -> Any:
    """Which held-out pictures have one of their class among the training pictures that is at least so alike, (n,)."""
    (images, labels), (learned, classes) = data.test, data.all
    near = tracks.features(images) @ tracks.features(learned).T
    return np.where(labels[:, None] == classes, near, -1).max(1) > least


def twins(data: Data) -> dict[str, Any]:
    """How many pictures have a twin of their class, and for comparison of another one, which can't be the same sign."""
    (learned, classes), (images, labels) = data.all, data.test
    known, held_out = tracks.features(learned), tracks.features(images)
    pairs = {
        "within_training": (known @ known.T, classes, classes),
        "within_held_out": (held_out @ held_out.T, labels, labels),
        "across": (held_out @ known.T, labels, classes),
    }
    found: dict[str, Any] = {"alike": TWIN}
    for name, (near, ones, others) in pairs.items():
        if ones is others:
            np.fill_diagonal(near, -1)
        same = ones[:, None] == others
        for kind, likeness in (("", np.where(same, near, -1)), ("_of_another_class", np.where(same, -1, near))):
            found[f"{name}{kind}"] = int((likeness.max(1) > TWIN).sum())
        found[f"{name}_of"] = len(ones)
    return found


def of_maps(model: Any, arch: Any, images: Any, options: argparse.Namespace) -> dict[str, Any]:
    """The saliency's sanity checks on held-out pictures, drawn evenly, and what is left over of the scores."""
    shown = images[np.linspace(0, len(images) - 1, options.shown).astype(int)]
    gradients = saliency.gradients_of(model, pictures.tensor(shown))
    maps, cams = saliency.full_gradient(gradients), saliency.grad_cam(gradients)
    areas = {
        "": maps,
        "_grad_cam": cams,
        "_random": sanity.random_maps(len(shown), options.seed),
        "_pixels": sanity.random_maps(len(shown), options.seed, pictures.SIZE),
        "_other": np.roll(maps, 1, axis=0),  # the map of another picture: what all have in common
    }
    deletion = {name: float(sanity.area(sanity.deletion(model, shown, heat)).mean()) for name, heat in areas.items()}
    layers = list(sanity.cascade(model, arch, shown, options.seed))
    seeds = [sanity.random_maps(len(shown), seed) for seed in (1000 + options.seed, 2000 + options.seed)]
    return {
        "remainder": float(np.abs(gradients.remainder() / gradients.scores).max()),
        "deletion_gain": deletion["_random"] - deletion[""],
        "deletion_gain_pixels": deletion["_pixels"] - deletion[""],
        "deletion_gain_other": deletion["_other"] - deletion[""],
        "grad_cam_deletion_gain": deletion["_random"] - deletion["_grad_cam"],
        "randomisation_changes": 1 - layers[-1][1],
        "randomisation_changes_last_stage": 1 - dict(layers)["stage4.block1.conv1"],
        "noise_changes": 1 - float(sanity.correlations(*seeds).mean()),
    }


if __name__ == "__main__":
    main()
