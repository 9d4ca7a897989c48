"""Tickets as CSV files with a header: a text each (`Description`), and where it belongs (`Category`)."""

import csv
from collections import Counter

import numpy as np

TEXT, LABEL = "Description", "Category"
FEWEST = 10  # of each category: with fewer there is nothing to judge a fold of it by

csv.field_size_limit(1 << 24)  # a ticket may hold a whole thread of mails


def load(folder):
    """All CSV files of the channel -> texts (a list), categories (n,). SystemExit names what is wrong, and where."""
    files = sorted(folder.rglob("*.csv"))
    if not files:
        raise SystemExit(f"no CSV file in {folder}")
    rows = [row for path in files for row in read(path)]
    counts = Counter(label for _, label in rows)
    if len(counts) < 2:
        known = ", ".join(counts) or "none"
        raise SystemExit(f"{folder} has tickets of too few categories ({known}); two at least are to be told apart")
    few = {label: count for label, count in sorted(counts.items()) if count < FEWEST}
    if few:
        told = ", ".join(f"{label} has {count}" for label, count in few.items())
        raise SystemExit(f"each category needs {FEWEST} tickets at least; {told}")
    return [text for text, _ in rows], np.array([label for _, label in rows])


def read(path):
    """One file's (text, category) pairs."""
    # -sig drops the mark that spreadsheets put at the start.
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        absent = [name for name in (TEXT, LABEL) if name not in (reader.fieldnames or ())]
        if absent:
            there = ", ".join(reader.fieldnames or ()) or "nothing"
            raise SystemExit(f"{path.name}: its header has no {' and no '.join(absent)}; it has {there}")
        return [_pair(row, f"{path.name}:{reader.line_num}") for row in reader]


def _pair(row, place):
    text, label = row[TEXT], (row[LABEL] or "").strip()
    if text is None or not label:
        raise SystemExit(f"{place} has no {TEXT if text is None else LABEL}; a ticket has both, separated by a comma")
    if None in row:
        raise SystemExit(f"{place} has more fields than the header; a text with commas in it stands in quotation marks")
    return text, label
