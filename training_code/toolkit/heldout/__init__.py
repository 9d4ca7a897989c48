"""The held-out examples, whatever kind of files they come in: requests to a model, and the right answers."""

from toolkit.heldout.example import DataError, Example, joined
from toolkit.heldout.reading import HeldOut, read, summary

__all__ = ["DataError", "Example", "HeldOut", "joined", "read", "summary"]
