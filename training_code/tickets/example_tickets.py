"""Writes example data: tickets of an invented help desk, some of them about two things at once. All from a seed.

    python example_tickets.py FOLDER --train 900 --test 240

writes FOLDER/train/tickets.csv and FOLDER/test/tickets.csv, in the format of tickets.py.
"""

from __future__ import annotations

import argparse
import csv
import random
from pathlib import Path

# Category -> what is said, with {} for one of its things, and the things.
TOPICS = {
    "Access": (
        ("cannot log in to {}", "please reset my password for {}", "my account on {} is locked", "need rights for {}"),
        ("the portal", "payroll", "the wiki", "my mailbox", "the shared drive", "the test database"),
    ),
    "Hardware": (
        ("{} does not turn on", "{} is broken", "please replace {}", "{} makes a loud noise", "I need {} for my desk"),
        ("the laptop", "my monitor", "the docking station", "the keyboard", "a headset", "the printer on floor two"),
    ),
    "Network": (
        ("no connection to {}", "{} is very slow today", "{} drops every few minutes", "timeouts when I open {}"),
        ("the vpn", "the wireless", "the internet", "the shared drive", "the office in the south", "video calls"),
    ),
    "Software": (
        ("{} crashes when I save", "please install {}", "{} needs an update", "error message when {} starts"),
        ("the spreadsheet", "the mail client", "the editor", "payroll", "the browser", "the drawing program"),
    ),
    "Purchase": (
        ("please order {}", "the invoice for {} is wrong", "when does {} arrive", "approval needed to buy {}"),
        ("ten licences", "two chairs", "a headset", "my monitor", "toner", "the new laptop"),
    ),
}
OPENINGS = ("hi", "hello team", "dear all", "good morning", "urgent", "")
CLOSINGS = ("thanks", "kind regards", "please help", "best, Kim", "it worked last week", "")
# How often a ticket is about something else, too, how often a word is misspelt, and how often the desk filed it wrong.
ASIDE, MISSPELT, MISFILED = 0.35, 0.04, 0.04


def main():
    parser = argparse.ArgumentParser(description="Writes tickets of an invented help desk.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=900, help="tickets to learn from (default: %(default)s)")
    parser.add_argument("--test", type=int, default=240, help="held-out tickets (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for offset, (channel, count) in enumerate({"train": args.train, "test": args.test}.items()):
        path = args.folder / channel / "tickets.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["Description", "Category"])
            writer.writerows(written(count, seed=2 * args.seed + offset))
        print(f"{path}: {count} tickets of {len(TOPICS)} categories")


def written(count, *, seed):
    """So many (text, category) pairs; categories take turns."""
    chance, names = random.Random(seed), list(TOPICS)  # noqa: S311
    return [_ticket(names[number % len(names)], chance) for number in range(count)]


def _ticket(category, chance):
    about = [category] * chance.choice((1, 1, 2))
    if chance.random() < ASIDE:
        about.append(chance.choice(list(TOPICS)))
    chance.shuffle(about)
    parts = [chance.choice(OPENINGS), *(_clause(one, chance) for one in about), chance.choice(CLOSINGS)]
    text = ", ".join(filter(None, parts))
    words = [_misspelt(word, chance) if chance.random() < MISSPELT else word for word in text.split()]
    filed = chance.choice(list(TOPICS)) if chance.random() < MISFILED else category
    return " ".join(words), filed


def _clause(category, chance):
    said, things = TOPICS[category]
    return chance.choice(said).format(chance.choice(things))


def _misspelt(word, chance):
    """Two neighbouring letters in each other's place."""
    if len(word) < 3:
        return word
    at = chance.randrange(len(word) - 1)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


if __name__ == "__main__":
    main()
