"""What of a run's pictures a page holds: at most so many a view, and so many bytes of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ratchet.views import Picture

PAGE_BYTES, PICTURES = 24 << 20, 200


def chosen(
    views: Mapping[str, Sequence[Picture]], page_bytes: int = PAGE_BYTES, most: int = PICTURES
) -> dict[str, list[Picture]]:
    """Of each view the pictures that have room, spread evenly; the first and the last stay as long as two have.

    A view that needs less than its share leaves the rest to the others.
    """
    wanted = {name: spread(pictures, most) for name, pictures in views.items()}
    found: dict[str, list[Picture]] = {}
    left = page_bytes
    by_size = sorted(wanted, key=lambda name: size(wanted[name]))
    for place, name in enumerate(by_size):
        found[name] = within(wanted[name], left // (len(by_size) - place))
        left -= size(found[name])
    return {name: found[name] for name in views}


def within(pictures: Sequence[Picture], most_bytes: int) -> list[Picture]:
    """As many of them, evenly, as so many bytes hold."""
    # More of them are nearly always larger together; where sizes vary wildly, a few less than could be.
    low, high = 0, len(pictures)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(spread(pictures, middle)) <= most_bytes else (low, middle - 1)
    return spread(pictures, low)


def spread(pictures: Sequence[Picture], count: int) -> list[Picture]:
    """So many of them, evenly: the first and the last among them; of one the last."""
    if count >= len(pictures):
        return list(pictures)
    if count <= 1:
        return list(pictures[-1:]) if count else []
    apart = (len(pictures) - 1) / (count - 1)
    return [pictures[round(place * apart)] for place in range(count)]


def size(pictures: Sequence[Picture]) -> int:
    """Bytes of them together."""
    return sum(picture.bytes for picture in pictures)
