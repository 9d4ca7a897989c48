"""S3's notification configurations: one prefix and one suffix a filter, and no two that an object could fit. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from xml.etree import ElementTree

from localaws.ministack_adapter.limits.refusals import Refusal

_EVERY = ":*"  # at the end of a kind of event


@dataclass(frozen=True)
class _Rule:
    """Which objects and events one destination is told of."""

    prefix: str
    suffix: str
    events: tuple[str, ...]

    def overlaps(self, other: _Rule) -> bool:
        prefixes = self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)
        suffixes = self.suffix.endswith(other.suffix) or other.suffix.endswith(self.suffix)
        return prefixes and suffixes and any(_share(a, b) for a in self.events for b in other.events)


def refusal(body: bytes) -> Refusal | None:
    """Of PutBucketNotificationConfiguration's XML; what isn't XML is left to who reads it."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - from this machine's own clients
    except ElementTree.ParseError:
        return None
    rules = []
    for configuration in (each for each in root if _tag(each).endswith("Configuration")):
        filters = list(_filters(configuration))
        for name in ("prefix", "suffix"):
            if sum(found == name for found, _ in filters) > 1:
                return _invalid(f"Cannot specify more than one {name} rule in a filter.")
        if strange := [found for found, _ in filters if found not in ("prefix", "suffix")]:
            return _invalid(f"filter rule name must be either prefix or suffix, not {strange[0]}")
        if events := tuple(each.text or "" for each in configuration if _tag(each) == "Event"):
            rules.append(_Rule(dict(filters).get("prefix", ""), dict(filters).get("suffix", ""), events))
    if any(one.overlaps(other) for one, other in combinations(rules, 2)):
        return _invalid(
            "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are "
            "overlapping for the same event type."
        )
    return None


def _invalid(message: str) -> Refusal:
    return Refusal("InvalidArgument", message)


def _filters(configuration: ElementTree.Element) -> Iterator[tuple[str, str]]:
    for rule in (each for each in configuration.iter() if _tag(each) == "FilterRule"):
        found = {_tag(member): member.text or "" for member in rule}
        yield found.get("Name", "").lower(), found.get("Value", "")


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _share(one: str, other: str) -> bool:
    """Whether an event fits both kinds: s3:ObjectCreated:* holds s3:ObjectCreated:Put."""
    return one == other or any(
        each.endswith(_EVERY) and of.startswith(each.removesuffix("*")) for each, of in ((one, other), (other, one))
    )
