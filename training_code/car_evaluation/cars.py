"""Makes example data: cars described in words, and how a buyer would judge them. All from a seed.

    python cars.py FOLDER --train 1200 --test 400

writes FOLDER/train/cars.csv and FOLDER/test/cars.csv. A column a feature, then `class`; no car is in both files. The
shape is that of the car evaluation data of UCI's repository (six categorical features, four classes of which one is
most cars'), the words and the rule by which cars are judged are this file's own.
"""

import argparse
import csv
import io
import itertools
import random
from pathlib import Path

WORDS = {
    "price": ("bargain", "fair", "dear", "steep"),
    "upkeep": ("little", "modest", "much", "ruinous"),
    "doors": ("2", "3", "4", "5"),
    "seats": ("2", "4", "more"),
    "boot": ("small", "medium", "big"),
    "safety": ("poor", "decent", "good"),
}
CLASS, CLASSES = "class", ("no", "perhaps", "yes", "at-once")


def main():
    parser = argparse.ArgumentParser(description="Makes cars, and how a buyer would judge them.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=1200, help="cars to learn from (default: %(default)s)")
    parser.add_argument("--test", type=int, default=400, help="held-out cars (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    made = cars(args.seed)
    if args.train + args.test > len(made):
        raise SystemExit(f"there are {len(made)} different cars; ask for no more of them")
    for channel, part in {"train": made[: args.train], "test": made[args.train :][: args.test]}.items():
        path = args.folder / channel / "cars.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(csv_text(part))
        print(f"{path}: {len(part)} cars")


def cars(seed=0):
    """Every car that the words describe, with its class behind, in an order of the seed's."""
    every = [[*words, judged(words)] for words in itertools.product(*WORDS.values())]
    random.Random(seed).shuffle(every)  # noqa: S311 - nothing here is secret
    return every


def judged(words):
    """How a buyer would judge a car: by what it costs and by what it offers."""
    price, upkeep, doors, seats, boot, safety = words
    if safety == "poor" or seats == "2" or (price == "steep" and upkeep in ("much", "ruinous")):
        return "no"
    is_cheap = price in ("bargain", "fair") and upkeep in ("little", "modest")
    is_roomy = boot == "big" or (boot == "medium" and doors in ("4", "5"))
    if is_cheap and safety == "good":
        return "at-once" if is_roomy else "yes"
    return "perhaps" if safety == "decent" and not is_roomy else "yes" if is_cheap or is_roomy else "no"


def csv_text(rows):
    """Cars as CSV, with a first line that names the columns."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[*WORDS, CLASS], *rows])
    return text.getvalue()


if __name__ == "__main__":
    main()
