"""Writes example data: short texts of invented facts about invented places, and questions about them. All from a seed.

    python facts.py FOLDER --train 900 --test 120

writes FOLDER/train/facts.jsonl and FOLDER/test/facts.jsonl, in the format of questions.py. A text is an article; the
same kinds of facts stand in another order and in other words each time. There are so few rivers, people and festivals
that even a model that has read nothing else comes to know them; each place has a name of its own.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

# What a fact is about -> how it is said, and how it is asked. {} is the answer, {place} what the text is about.
FACTS = {
    "river": (
        ("The river {} runs through {place}.", "{place} lies on the river {}."),
        ("Which river does {place} lie on?", "Which river runs through {place}?"),
    ),
    "founder": (
        ("It was founded by {}.", "A merchant, {}, founded the town."),
        ("Who founded {place}?", "By whom was {place} founded?"),
    ),
    "year": (
        ("Its walls were built in {}.", "In {} the walls were finished."),
        ("When were the walls of {place} built?", "In which year were the walls of {place} finished?"),
    ),
    "trade": (
        ("Most people there live by making {}.", "The town is known for its {}."),
        ("What is {place} known for?", "What do most people of {place} live by making?"),
    ),
    "people": (
        ("About {} people live in the town.", "It has {} inhabitants."),
        ("How many people live in {place}?", "How many inhabitants has {place}?"),
    ),
    "festival": (
        ("Each autumn the town holds the {}.", "Visitors come for the {} in autumn."),
        ("What does {place} hold each autumn?", "What do visitors of {place} come for?"),
    ),
}
BEGIN = list("bdfgklmnprstv")
MIDDLE = list("aeiou")
END = list("lmnrs")
TRADES = ("glass", "paper", "clocks", "cheese", "rope", "boats", "bells", "lace", "salt", "bricks", "knives", "barrels")
FESTIVALS = ("Feast", "Fair", "Race", "Market", "Parade")
TOLD, ASKED = 4, 3  # facts in a text, and questions about it


def main():
    parser = argparse.ArgumentParser(description="Writes texts of invented facts, and questions about them.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=900, help="questions to learn from (default: %(default)s)")
    parser.add_argument("--test", type=int, default=120, help="held-out questions (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for offset, (channel, count) in enumerate({"train": args.train, "test": args.test}.items()):
        path = args.folder / channel / "facts.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        written = written_about(count, seed=2 * args.seed + offset)
        path.write_text("".join(json.dumps(question) + "\n" for question in written))
        print(f"{path}: {count} questions")


def written_about(count, *, seed):
    """So many questions, as documents."""
    chance, found = random.Random(seed), []  # noqa: S311
    while len(found) < count:
        found += _article(chance)
    return found[:count]


def _article(chance):
    """A text and its questions."""
    place = _name(chance)
    context, answers = "", {}
    for fact in (told := chance.sample(list(FACTS), TOLD)):
        said, answer = chance.choice(FACTS[fact][0]), _answer(fact, chance)
        before, _, after = said.replace("{place}", place).partition("{}")
        context += " " if context else ""
        answers[fact] = {"text": answer, "start": len(context) + len(before)}
        context += before + answer + after
    return [
        {
            "question": chance.choice(FACTS[fact][1]).format(place=place),
            "context": context,
            "answers": [answers[fact]],
            "article": place,
        }
        for fact in chance.sample(told, ASKED)
    ]


def _answer(fact, chance):
    if fact == "year":
        return str(chance.randrange(1200, 1900, 25))
    if fact == "people":
        return f"{chance.randint(2, 40)},000"
    if fact == "festival":
        return f"{chance.choice(FEASTS)} {chance.choice(FESTIVALS)}"
    if fact == "founder":
        return f"{chance.choice(FIRST_NAMES)} {chance.choice(LAST_NAMES)}"
    return chance.choice(RIVERS if fact == "river" else TRADES)


def _name(chance):
    """A name of two syllables."""
    syllables = [chance.choice(BEGIN) + chance.choice(MIDDLE) + chance.choice(END) for _ in range(2)]
    return "".join(syllables).capitalize()


# The same whatever the seed.
_NAMES = [_name(random.Random(number)) for number in range(80)]  # noqa: S311
RIVERS, FEASTS, FIRST_NAMES, LAST_NAMES = (_NAMES[start::4] for start in range(4))


if __name__ == "__main__":
    main()
