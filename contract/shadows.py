"""A challenger as a shadow: what its answers to copies of the traffic came to, in a run's variables and in its record.

{SKIPPED: why there was nothing to compare with}, or {AGREES: whether it may take over, "reason": a sentence, "pairs",
"differ", "unpaired": numbers of answers, "copies", "errors", "latencies": {"p90": milliseconds or null}, "examples":
[{"event_id", "served", "shadow"}]}.
"""

from __future__ import annotations

SHADOW = "shadow"
# The variant beside the endpoint's own.
SHADOW_VARIANT = "Shadow"
AGREES, SKIPPED = "agrees", "skipped"
