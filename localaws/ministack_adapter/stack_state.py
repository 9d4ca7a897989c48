"""CloudFormation's state: stacks, what each of them has made, and its change sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from localaws.ministack_adapter.growing_state import glance_beside, without
from localaws.ministack_adapter.journal import Record
from localaws.ministack_adapter.service_state import Key, Part, ServiceState, Stores, entries, packed, whole

Document = dict[str, Any]

_MAKING = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
_STATUSES = ("StackStatus", "Status", "ExecutionStatus")
_TEMPLATE = "_template"


class StackState(ServiceState):
    """CloudFormation's records: stacks without their resources, and each stack's resources.

    What a stack has made is noted with the commit that has it, whoever commits: a stack that is cut off knows what to
    delete.
    """

    def __init__(self, stores: Callable[[], Stores]) -> None:
        super().__init__("cloudformation", stores, _split_stack, _join_stack, _glance_at_stack)
        self._statuses: dict[Any, tuple[str, ...]] | None = None  # at the last look; None: it couldn't be committed
        self._made: set[Any] = set()  # the stacks that weren't being made then

    @property
    def has_moved(self) -> bool:
        """Whether a stack's thread may have changed something since the last look: one works, or has ended."""
        now = self._statuses_now()
        return now != self._statuses or any(name.endswith("_IN_PROGRESS") for names in now.values() for name in names)

    def changes(self) -> list[Record]:
        statuses = self._statuses_now()  # before what they come with
        found = super().changes()
        self._statuses = statuses
        self._made = {key for key, (status, *_) in statuses.items() if status not in _MAKING}
        return found

    def forget(self) -> None:
        super().forget()
        self._statuses, self._made = None, set()

    def _statuses_now(self) -> dict[Any, tuple[str, ...]]:
        """By the keys of stacks and change sets, of which one is never the other's."""
        stores = self._stores()
        found = [each for name in ("stacks", "change_sets") if name in stores for each in entries(stores[name])]
        return {key: tuple(str(document.get(name)) for name in _STATUSES) for key, document in found}

    def changes_in_progress(self) -> list[Record]:
        """The changes of the resources of stacks being made or updated; small, and looked at with every commit.

        With the first of them the stack itself, which its creator may not have been told of yet.
        """
        changed, known = list[Record](), self._tokens.setdefault("stacks", {})
        for key, stack in self._being_made(list(self._stores()["stacks"]._data.items())):
            for part in _split_stack("stacks", stack):
                if part.sub or (key, part.sub) not in known:
                    self._look("stacks", key, part, known, changed)
                    # What is on disk now isn't what the last glance was at.
                    self._glances.get("stacks", {}).pop(key, None)
        return changed

    def _being_made(self, stacks: list[tuple[Any, Document]]) -> list[tuple[Any, Document]]:
        """Those that only gain resources, or did until a moment ago.

        What a stack gives up is noted with all that it deletes: else nobody would know of what is left.
        """
        return [
            (key, stack)
            for key, stack in stacks
            if (status := stack.get("StackStatus")) in _MAKING
            or (status == "CREATE_COMPLETE" and key not in self._made)
        ]


def _split_stack(store: str, value: Any) -> Iterator[Part]:
    if store != "stacks":
        yield from whole(store, value)
        return
    yield Part((), None, without(value, "_resources"))
    yield _resources_of(value)


def _glance_at_stack(store: str, value: Any) -> Any:
    """At a stack or a change set with its template's hash, and which object has been parsed of it: that is replaced
    by another one, never changed."""
    if store not in ("stacks", "change_sets") or _TEMPLATE not in value:
        return packed(store, value)
    return id(value[_TEMPLATE]), glance_beside(without(value, _TEMPLATE), f"{_TEMPLATE}_body")


def _resources_of(stack: Document) -> Part:
    return Part(("resources",), None, stack.get("_resources", {}))


def _join_stack(parts: dict[Key, Any]) -> Any:
    stack = parts.get(())
    return {**stack, "_resources": parts[("resources",)]} if stack and ("resources",) in parts else stack
