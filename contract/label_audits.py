"""Audits of a channel's labels (`ratchet labels`), as spec, infra, command line and toolkit agree on them.

A processing job in the image that trains reads a channel and writes AUDIT, one JSON document:

    {"version": VERSION,
     "channel": "train",
     "format": "csv", "reading": {"label": 0, "header": null, "format": null},     how its files were read
     "examples": 1797, "classes": ["0", …], "counts": {"0": 178, …},
     "learner": "a forest of 300 extremely randomised trees, of 64 numbers", "folds": 5, "seed": 0,
     "agreement": 0.93,             of the examples whose likeliest class is the given one, where it wasn't learned from
     "estimated_errors": 88.1,      wrong labels in all, by the confident joint
     "pairs": [{"given": "1", "suggested": "8", "count": 3}, …],   of suspects, the most frequent first
     "suspects": [{"place": "digits.csv:12", "given": "1", "suggested": "8",
                   "given_probability": 0.02,              the least stands first
                   "suggested_probability": 0.91,
                   "margin": -0.89,                        of the two
                   "confident": true,                      whether it is one by the thresholds of both classes
                   "text": "0,0,5,…"                       what it is, cut; and where it is a picture
                   "picture": {"content_type": "image/png", "base64": "…"}}, …]}

A page made of it lets a reader mark what is right, and gives that as a document:

    {"version": VERSION, "pipeline", "environment", "channel", "audit": the audit's id,
     "corrections": [{"place": "digits.csv:12", "given": "1", "label": "8"},
                     {"place": "digits.csv:40", "given": "3", "label": null}]}     null: the example is left out
"""

from __future__ import annotations

from contract import files

VERSION = 1
AUDIT = "audit.json"
# The job's input with the channel, beside that with the code; the one with its manifest, where that lies elsewhere than
# what it points to; and its output.
DATA_INPUT, MANIFEST_INPUT, OUTPUT_NAME = "data", "manifest", "labels"
# The stack's output that names the role of such jobs.
ROLE_OUTPUT = "AuditingRoleArn"
# The module of the model's folder that may have a learner of its own, and the function that it is.
MODULE, FUNCTION = "label_audit", "probabilities"

FOLDS, LEAST_FOLDS, MOST_FOLDS = 5, 2, 20
SEED = 0
# Suspects that a page shows, unless told otherwise.
SUSPECTS, MOST_SUSPECTS = 100, 2000
# Examples that are audited at once: their features and probabilities are in memory together.
MOST_EXAMPLES = 200_000
# Letters of an example's text, bytes of its picture, and of all pictures together: they are on one page.
TEXT_LENGTH, PICTURE_BYTES, PICTURES_BYTES = 2000, 200_000, 24 << 20


def audits_folder(pipeline: str) -> str:
    """`tries/<pipeline>/labels/`: audits of labels, a folder each."""
    return f"{files.tries_folder(pipeline)}labels/"
