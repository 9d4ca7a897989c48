"""The demo's world: how its digits are turned, and where they are delivered."""

from __future__ import annotations

import pytest

from demo import data
from demo.deliveries import World, is_the_demos, next_world


@pytest.mark.parametrize(
    ("keys", "has_champion", "degrees"),
    [
        ([], False, 0),
        (["digits/test/mine.csv"], True, 0),
        (["digits/test/turned-0/held_out.csv"], True, 90),
        (["digits/test/mine.csv", "digits/test/turned-180/held_out.csv"], True, 270),
        (["digits/test/turned-270/held_out.csv"], True, 0),
        (["digits/test/turned-90/held_out.csv"], False, 0),
    ],
    ids=["first", "another's data", "second", "beside another's", "around", "its champion is gone"],
)
def test_the_world_turns_by_a_quarter_with_every_champion(keys: list[str], has_champion: bool, degrees: int) -> None:
    assert next_world(keys, has_champion=has_champion).degrees == degrees


def test_keys_say_how_the_digits_lie() -> None:
    world = World(1)
    assert list(world.held_out()) == ["digits/test/turned-90/held_out.csv"]
    assert list(world.training("few")) == ["digits/train/turned-90/few.csv"]
    assert all(is_the_demos(key) for key in (*world.held_out(), *world.training("few")))
    assert not is_the_demos("digits/train/mine.csv")


def test_deliveries_are_the_batches() -> None:
    world = World(2)
    assert world.training("wrong").popitem()[1] == data.csv_text(data.digit_batches(2)["wrong"])
    assert world.questions[0] == ",".join(world.batches["held_out"][0][1:])


def test_only_turned_digits_are_said_to_be() -> None:
    assert (str(World(0)), str(World(3))) == ("", ", turned by 270°")
